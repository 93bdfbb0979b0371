/* SPDX-License-Identifier: BSD-3-Clause */
/* offload_check: cards that cannot, or that lose what they had. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "offload_check.h"

/* A card that is refused as a whole, and says why; AEAD stays. */
static void refused(struct end *e, const char *fault, long value,
                    const char *reason, const char *name)
{
    char why[VCC_WHY_LEN], soft_why[VCC_WHY_LEN];
    struct vcc_dev *dev = NULL;
    long before         = control(fault, -1);
    const struct vcc_backend *mlx5 = vcc_backend("mlx5");
    int good;

    control(fault, value);
    good = vcc_pick(e->ctx, VCC_CONF | VCC_RX_DIRECT, why) == NULL &&
           strstr(why, reason) != NULL && strchr(why, '\n') == NULL &&
           mlx5->open(e->pd, &dev) == -EOPNOTSUPP && dev == NULL &&
           vcc_pick(e->ctx, VCC_CONF | VCC_INTEG | VCC_REPLAY, soft_why) ==
               vcc_backend("soft");
    is(good, name);
    control(fault, before);
}

static void limit_in_mid_run(const struct vcc_backend *b, struct end *a)
{
    struct vcc_key *key[3] = {key_of(a, 10), key_of(a, 11), key_of(a, 12)};
    struct vcc_mem *mem[3] = {NULL};
    int i;

    is(attach(a, key[0], 4096, 0, VCC_RX, &mem[0]) == 0 &&
           (control("deks_taken", 15), 1) &&
           attach(a, key[1], 4096, 0, VCC_RX, &mem[1]) == -ENOSPC &&
           mem[1] == NULL,
       "limit of DEKs in mid-run: refused, and what is attached stays");
    b->detach(mem[0]);
    is(attach(a, key[1], 4096, 0, VCC_RX, &mem[1]) == 0 &&
           control("deks", -1) == 1,
       "an idle key makes room below the limit");
    control("deks_taken", 0);
    is(attach(a, key[0], 4096, 0, VCC_RX, &mem[0]) == 0 && mem[0]->unit0 == 1,
       "its numbers go on when it comes back");
    b->detach(mem[0]);
    b->detach(mem[1]);
    for (i = 0; i < 3; i++)
        b->key_destroy(key[i]);
}

static void dek_in_error(const struct vcc_backend *b, struct end *a)
{
    struct vcc_key *key = key_of(a, 20), *other = key_of(a, 21);
    struct vcc_mem *mem = NULL, *none = NULL;
    int good = attach(a, key, 4096, 0, VCC_RX, &mem) == 0 &&
               b->key_check(key) == 0;

    control("dek_error", 1);
    is(good && b->key_check(key) == -EKEYREJECTED &&
           b->renew(mem, key, 0) == -EKEYREJECTED &&
           attach(a, other, 4096, 0, VCC_RX, &none) == -EKEYREJECTED,
       "DEK in state ERROR: never used again");
    control("dek_error", 0);
    b->detach(mem);
    is(b->key_destroy(key) == 0 && b->key_destroy(other) == 0 &&
           strstr(vcc_strerror(-EKEYREJECTED), "soft") != NULL,
       "and it can be destroyed");
}

static void region_gone(const struct vcc_backend *b)
{
    struct end a = {0}, z = {0};
    struct vcc_key *own, *theirs;
    struct vcc_mem *rx = NULL, *tx = NULL;
    int good;

    open_ends(&a, &z);
    own    = key_of(&z, 30);
    theirs = key_of(&a, 30);
    memset(a.memory, 0x11, SIZE);
    good = attach(&z, own, 4096, 0, VCC_RX | VCC_REMOTE, &rx) == 0 &&
           attach(&a, theirs, 4096, rx->unit0, VCC_TX, &tx) == 0;
    ibv_dereg_mr(a.mr);
    a.mr = NULL;
    is(good && post(&a, IBV_WR_RDMA_WRITE, tx, 4096, rx->rkey) == 0 &&
           completed(&a, 7) == IBV_WC_LOC_PROT_ERR && z.memory[0] == 0,
       "MR deregistered in flight: an error, and nothing is sent");
    is(post(&a, IBV_WR_RDMA_WRITE, tx, 4096, rx->rkey) != 0 ||
           completed(&a, 7) == IBV_WC_WR_FLUSH_ERR,
       "and the QP takes no more");
    b->detach(rx);
    b->detach(tx);
    b->key_destroy(own);
    b->key_destroy(theirs);
    close_end(&a);
    close_end(&z);
}

static void qp_error(const struct vcc_backend *b)
{
    struct ibv_qp_attr error = {.qp_state = IBV_QPS_ERR};
    struct end a = {0}, z = {0};
    struct vcc_key *theirs, *next;
    struct vcc_mem *tx = NULL, *more = NULL;

    open_ends(&a, &z);
    theirs = key_of(&a, 40);
    next   = key_of(&a, 41);
    is(attach(&a, theirs, 4096, 0, VCC_TX, &tx) == 0 &&
           post(&a, IBV_WR_RDMA_WRITE, tx, 4096, 12345) == 0 &&
           completed(&a, 7) == IBV_WC_REM_ACCESS_ERR,
       "a wrong rkey: the peer refuses, by a completion");
    ibv_modify_qp(a.qp, &error, IBV_QP_STATE);
    is(attach(&a, next, 4096, 0, VCC_TX, &more) == -ECOMM &&
           b->key_check(next) == 0,
       "QP in error: the attachment's completion says so, the key is well");
    if (more != NULL)
        b->detach(more);
    is(b->detach(tx) == 0 && b->key_destroy(theirs) == 0 &&
           b->key_destroy(next) == 0,
       "and all can be taken down");
    close_end(&a);
    close_end(&z);
}

void bad_input(const struct vcc_backend *b)
{
    struct end a = {0}, z = {0};
    struct vcc_key *key;
    struct vcc_mem *mem = NULL;

    open_ends(&a, &z);
    refused(&a, "absent", 1, "not a device of libmlx5",
            "a card of another make is refused, with a reason");
    refused(&a, "no_crypto", 1, "no crypto offload",
            "a card without the capability is refused, with a reason");
    refused(&a, "failed_selftests", 3, "self-tests",
            "a card whose self-tests failed is refused, with a reason");
    refused(&a, "wrapped_only", 1, "wrapped keys only",
            "a card for wrapped keys only is refused, with a reason");
    limit_in_mid_run(b, &a);
    dek_in_error(b, &a);
    close_end(&a);
    close_end(&z);

    control("single_block", 1);
    open_ends(&a, &z);
    key = key_of(&a, 50);
    is(attach(&a, key, 8192, 0, VCC_RX, &mem) == -EMSGSIZE &&
           attach(&a, key, 4096, 0, VCC_RX, &mem) == 0,
       "a card of single blocks gets no more than one");
    b->detach(mem);
    b->key_destroy(key);
    close_end(&a);
    close_end(&z);
    control("single_block", 0);

    region_gone(b);
    qp_error(b);
}

void removal(const struct vcc_backend *b)
{
    struct end a = {0}, z = {0};
    struct vcc_key *theirs, *key;
    struct vcc_mem *tx = NULL, *mem = NULL;
    struct pollfd ready;
    struct ibv_async_event event;
    int good;

    open_ends(&a, &z);
    theirs = key_of(&a, 60);
    key    = key_of(&a, 61);
    good   = attach(&a, theirs, 4096, 0, VCC_TX, &tx) == 0;
    control("remove_after", 1);
    good = good && post(&a, IBV_WR_RDMA_WRITE, tx, 4096, 1) != 0;
    ready = (struct pollfd){.fd = a.ctx->async_fd, .events = POLLIN};
    is(good && poll(&ready, 1, 5000) == 1 &&
           ibv_get_async_event(a.ctx, &event) == 0 &&
           event.event_type == IBV_EVENT_DEVICE_FATAL,
       "device removed: an error and the event DEVICE_FATAL");
    is(attach(&a, key, 4096, 0, VCC_RX, &mem) == -EIO && mem == NULL &&
           b->key_check(theirs) == -EKEYREJECTED,
       "nothing can be attached any more");
    is(b->detach(tx) == -EIO && b->key_destroy(theirs) == 0 &&
           b->key_destroy(key) == 0 &&
           strstr(vcc_strerror(-EIO), "removed") != NULL,
       "and what was attached is let go, with the reason");
}
