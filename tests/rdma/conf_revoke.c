/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conf_revoke: memory is deregistered while a peer's get of it is at the card
 * (UCX_EESP_OFFLOAD=conf). A child gets 1 MiB from its parent, who unmaps it
 * and uses it for something else after so many steps of progress, in each round
 * after others. A get brings what was there, or an error; none stays for ever.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../uct/ucp_side.h"
#include "../uct/uct.h"

enum { LENGTH = 1 << 20, ROUNDS = 24, STEPS = 8, LIMIT_SECONDS = 90 };

struct told {
    uint64_t address;
    size_t   length; /* of what follows */
    char     bytes[2000];
};

static uint8_t *memory;
static int link_fd; /* to the other process */

static void say(const void *message, size_t length)
{
    check(send(link_fd, message, length, 0) == (ssize_t)length, "send");
}

static void hear(void *message, size_t length)
{
    ssize_t n;

    while ((n = recv(link_fd, message, length, MSG_DONTWAIT)) < 0)
        ucp_side_wait(-1);
    check(n > 0, "the other process is gone");
}

static void say_address(void)
{
    struct told told = {0};
    ucp_address_t *address;

    check_ok(ucp_worker_get_address(ucp_side.worker, &address, &told.length));
    memcpy(told.bytes, address, told.length);
    ucp_worker_release_address(ucp_side.worker, address);
    say(&told, sizeof(told));
}

static ucp_ep_h connect_to(const struct told *told)
{
    ucp_ep_params_t params = {
        .field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS,
        .address    = (const ucp_address_t *)told->bytes,
    };
    ucp_ep_h ep;

    check_ok(ucp_ep_create(ucp_side.worker, &params, &ep));
    return ep;
}

/* ---- The parent's side -------------------------------------------------- */

static ucp_mem_h map(void)
{
    ucp_mem_map_params_t params = {
        .field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS |
                      UCP_MEM_MAP_PARAM_FIELD_LENGTH,
        .address    = memory,
        .length     = LENGTH,
    };
    struct told told = {.address = (uintptr_t)memory};
    ucp_mem_h mem;
    void *key;

    check_ok(ucp_mem_map(ucp_side.context, &params, &mem));
    check_ok(ucp_rkey_pack(ucp_side.context, mem, &key, &told.length));
    memcpy(told.bytes, key, told.length);
    ucp_rkey_buffer_release(key);
    say(&told, sizeof(told));
    return mem;
}

static void target(void)
{
    unsigned round, steps;
    char ready;

    for (round = 0; round < ROUNDS; round++) {
        ucp_mem_h mem;

        memset(memory, (int)round + 1, LENGTH);
        mem = map();
        hear(&ready, sizeof(ready)); /* it has connected: its get comes */
        for (steps = 0; steps < round % STEPS &&
                        recv(link_fd, &ready, 1, MSG_PEEK | MSG_DONTWAIT) < 0;)
            steps += ucp_worker_progress(ucp_side.worker) > 0;
        check_ok(ucp_mem_unmap(ucp_side.context, mem));
        memset(memory, 0xee, LENGTH);
        hear(&ready, sizeof(ready)); /* it is at its end */
    }
}

/* ---- The child's side --------------------------------------------------- */

static ucs_status_t get(ucp_ep_h ep, const struct told *told, size_t length)
{
    ucp_request_param_t param = {0};
    ucs_status_t status;
    ucp_rkey_h key;

    check_ok(ucp_ep_rkey_unpack(ep, told->bytes, &key));
    status = ucp_side_finish(ucp_get_nbx(ep, memory, length, told->address, key,
                                         &param));
    ucp_rkey_destroy(key);
    return status;
}

/* Whether the get has brought something. */
static int requester(const struct told *peer, unsigned round)
{
    ucp_ep_h ep = connect_to(peer);
    struct told told;
    ucs_status_t status;
    size_t i;

    hear(&told, sizeof(told));
    check_ok(get(ep, &told, 8)); /* the card's connection comes with it */
    for (i = 0; i < 20000; i++)
        ucp_worker_progress(ucp_side.worker);
    say("r", 1);
    memset(memory, 0, LENGTH);
    status = get(ep, &told, LENGTH);
    for (i = 0; status == UCS_OK && i < LENGTH; i++)
        check(memory[i] == round + 1, "byte %zu is of another time", i);
    ucp_side_close_ep(ep, 1);
    say("e", 1);
    return status == UCS_OK;
}

int main(void)
{
    struct told peer;
    unsigned round, brought = 0;
    int ends[2], status;
    pid_t pid;

    check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0, "socketpair");
    pid     = fork();
    link_fd = ends[pid == 0];
    memory  = aligned_alloc(4096, LENGTH);
    check(pid >= 0 && memory != NULL, "memory");
    deadline(LIMIT_SECONDS);
    setenv("UCX_EESP_RANK", pid == 0 ? "1" : "0", 1);
    ucp_side_open(0);
    say_address();
    hear(&peer, sizeof(peer));
    if (pid != 0) {
        target();
    } else {
        for (round = 0; round < ROUNDS; round++)
            brought += (unsigned)requester(&peer, round);
        printf("conf_revoke: %u gets, %u brought their data\n", ROUNDS,
               brought);
    }
    ucp_side_close();
    check(pid == 0 || (waitpid(pid, &status, 0) == pid && status == 0),
          "the child failed");
    return 0;
}
