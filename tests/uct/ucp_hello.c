/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ucp_hello [--wakeup] [GROUP...]: two processes without a launcher, which
 * exchange UCP addresses over a socket and then everything that UCP's API
 * offers; all data is compared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ucp_side.h"
#include "uct.h"

static struct pair pair;
static ucp_ep_h peer;

/* Below, at and above the packets of each lower transport, and rendezvous. */
static const size_t sizes[] = {0,    1,     8,     200,   2040,   4096,   8165,
                               8192, 65445, 65446, 65536, 66469, 66470,
                               300000, 2000000};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define LARGEST 2000000

static uint64_t seed_from(int side, size_t n)
{
    return (uint64_t)side << 56 | n;
}

static void meet(void)
{
    pair_meet(&pair, ucp_side_wait);
}

static void *outgoing(size_t n)
{
    void *buffer = allocate(n);

    pattern_fill(buffer, n, seed_from(pair.side, n));
    return buffer;
}

static void check_incoming(const void *buffer, size_t n)
{
    pattern_check(buffer, n, seed_from(!pair.side, n));
}

/* ---- Tag ---------------------------------------------------------------- */

static ucs_status_ptr_t tag_receive(void *buffer, size_t n)
{
    ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FLAG_NO_IMM_CMPL};

    return ucp_tag_recv_nbx(ucp_side.worker, buffer, n, 100 + n, UINT64_MAX,
                            &param);
}

/* Both at once; `late`: receives only after the message has come. */
static void tag_both(size_t n, int late)
{
    ucp_request_param_t param = {.op_attr_mask = 0};
    void *out = outgoing(n), *in = allocate(n + 1);
    ucs_status_ptr_t receive = NULL, send;

    stage("tag, %zu bytes%s", n, late ? ", unexpected" : "");
    memset(in, 0xee, n + 1);
    if (!late)
        receive = tag_receive(in, n);
    send = ucp_tag_send_nbx(peer, out, n, 100 + n, &param);
    if (late) {
        meet();
        receive = tag_receive(in, n);
    }
    check_ok(ucp_side_finish(send));
    check_ok(ucp_side_finish(receive));
    check_incoming(in, n);
    check(((uint8_t *)in)[n] == 0xee, "written beyond the message");
    free(out);
    free(in);
}

static void group_tag(void)
{
    for (size_t i = 0; i < SIZES; i++) {
        tag_both(sizes[i], 0);
        tag_both(sizes[i], 1);
    }
}

/* A message that is longer than the receive buffer is an error, no overrun. */
static void group_truncated(void)
{
    ucp_request_param_t param = {.op_attr_mask = 0};
    char *out = outgoing(100), in[64];
    ucs_status_ptr_t send;

    memset(in, 0xee, sizeof(in));
    send = ucp_tag_send_nbx(peer, out, 100, 100 + 50, &param);
    check(ucp_side_finish(tag_receive(in, 50)) == UCS_ERR_MESSAGE_TRUNCATED,
          "not truncated");
    check(in[50] == (char)0xee, "written beyond the buffer");
    check_ok(ucp_side_finish(send));
    free(out);
}

/* Many small messages, all unexpected, then received in reverse order. */
static void group_flood(void)
{
    enum { COUNT = 3000, SIZE = 700 };
    static ucs_status_ptr_t sends[COUNT];
    ucp_request_param_t param = {.op_attr_mask = 0};
    uint8_t *out = allocate((size_t)COUNT * SIZE), in[SIZE];
    ucp_tag_t tag;

    for (unsigned i = 0; i < COUNT; i++) {
        pattern_fill(out + (size_t)i * SIZE, SIZE, seed_from(pair.side, i));
        sends[i] = ucp_tag_send_nbx(peer, out + (size_t)i * SIZE, SIZE,
                                    (ucp_tag_t)1 << 40 | i, &param);
    }
    meet();
    for (unsigned i = COUNT; i-- > 0;) {
        tag = (ucp_tag_t)1 << 40 | i;
        check_ok(ucp_side_finish(ucp_tag_recv_nbx(ucp_side.worker, in, SIZE,
                                                  tag, UINT64_MAX, &param)));
        pattern_check(in, SIZE, seed_from(!pair.side, i));
    }
    for (unsigned i = 0; i < COUNT; i++)
        check_ok(ucp_side_finish(sends[i]));
    free(out);
}

/* ---- Stream ------------------------------------------------------------- */

/*
 * One stream of all sizes, received in pieces of another length. But for 0,
 * the first: UCX's stream stops the program at an empty message that is there
 * before its receive.
 */
static void group_stream(void)
{
    ucp_request_param_t send_param = {.op_attr_mask = 0};
    ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
                                 .flags = UCP_STREAM_RECV_FLAG_WAITALL};
    ucs_status_ptr_t sends[SIZES];
    size_t total = 0, done, n, got;
    uint8_t *out, *in;

    for (size_t i = 0; i < SIZES; i++)
        total += sizes[i];
    out = outgoing(total);
    in  = allocate(total);
    for (size_t i = 1, at = 0; i < SIZES; at += sizes[i++])
        sends[i] = ucp_stream_send_nbx(peer, out + at, sizes[i], &send_param);
    for (done = 0; done < total; done += n) {
        n = total - done < 77777 ? total - done : 77777;
        check_ok(ucp_side_finish(
            ucp_stream_recv_nbx(peer, in + done, n, &got, &param)));
    }
    check_incoming(in, total);
    for (size_t i = 1; i < SIZES; i++)
        check_ok(ucp_side_finish(sends[i]));
    free(out);
    free(in);
}

/* ---- Active messages ---------------------------------------------------- */

#define AM_ID 7
#define AM_KEPT 600 /* so many descriptors are kept at a time */

static struct {
    unsigned count;
    size_t length;
    uint8_t *in;          /* LARGEST bytes */
    void *large;          /* to be received by rendezvous */
    void *kept[AM_KEPT];  /* to be released later */
    unsigned num_kept;
    int keep;
} am;

static ucs_status_t am_came(void *arg, const void *header, size_t header_length,
                            void *data, size_t length,
                            const ucp_am_recv_param_t *param)
{
    (void)arg;
    check(header_length == 24, "header of %zu bytes", header_length);
    pattern_check(header, header_length, seed_from(!pair.side, length + 1));
    am.length = length;
    am.count++;
    if (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) {
        am.large = data;
        return UCS_INPROGRESS;
    }
    if (am.keep && (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_DATA)) {
        check(am.num_kept < AM_KEPT, "more messages than were sent");
        am.kept[am.num_kept++] = data;
        return UCS_INPROGRESS;
    }
    memcpy(am.in, data, length);
    return UCS_OK;
}

static ucs_status_ptr_t am_send(const void *out, size_t n, uint8_t header[24],
                                uint32_t flags)
{
    ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
                                 .flags        = flags};

    pattern_fill(header, 24, seed_from(pair.side, n + 1));
    return ucp_am_send_nbx(peer, AM_ID, header, 24, out, n, &param);
}

static void am_listen(void)
{
    ucp_am_handler_param_t param = {
        .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID |
                      UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                      UCP_AM_HANDLER_PARAM_FIELD_CB,
        .id    = AM_ID,
        .flags = UCP_AM_FLAG_WHOLE_MSG | UCP_AM_FLAG_PERSISTENT_DATA,
        .cb    = am_came,
    };

    check_ok(ucp_worker_set_am_recv_handler(ucp_side.worker, &param));
    am.in = allocate(LARGEST);
    meet();
}

static void group_am(void)
{
    ucp_request_param_t param = {.op_attr_mask = 0};
    ucs_status_ptr_t send;
    uint8_t header[24];
    void *out;

    am_listen();
    for (size_t i = 0; i < SIZES; i++) {
        stage("am, %zu bytes", sizes[i]);
        out  = outgoing(sizes[i]);
        send = am_send(out, sizes[i], header, 0);
        while (am.count == 0)
            ucp_side_wait(-1);
        if (am.large != NULL)
            check_ok(ucp_side_finish(ucp_am_recv_data_nbx(
                ucp_side.worker, am.large, am.in, am.length, &param)));
        check(am.count == 1 && am.length == sizes[i], "%u messages, %zu bytes",
              am.count, am.length);
        check_incoming(am.in, am.length);
        check_ok(ucp_side_finish(send));
        free(out);
        /* Before the other side can send the next one. */
        am.count = 0;
        am.large = NULL;
        meet();
    }

    /* Data that the program keeps where the transport put it. */
    stage("am, kept data");
    am.keep = 1;
    meet();
    out = outgoing(7000);
    for (unsigned i = 0; i < AM_KEPT; i++)
        check_ok(ucp_side_finish(
            am_send(out, 7000, header, UCP_AM_SEND_FLAG_EAGER)));
    while (am.count < AM_KEPT)
        ucp_side_wait(-1);
    check(am.num_kept > 0, "nothing was kept");
    for (unsigned i = am.num_kept; i-- > 0;) {
        check_incoming(am.kept[i], 7000);
        ucp_am_data_release(ucp_side.worker, am.kept[i]);
    }
    free(out);
    free(am.in);
}

/* ---- Remote memory ------------------------------------------------------ */

static struct {
    uint8_t *memory;
    size_t size;
    ucp_mem_h handle;
    uint64_t remote;
    ucp_rkey_h rkey;
} window;

static void window_open(size_t size)
{
    ucp_mem_map_params_t params = {
        .field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS |
                      UCP_MEM_MAP_PARAM_FIELD_LENGTH,
    };
    uint64_t address, *remote;
    size_t length;
    void *rkey;

    window.size    = size;
    window.memory  = allocate(size);
    params.address = window.memory;
    params.length  = size;
    memset(window.memory, 0, size);
    check_ok(ucp_mem_map(ucp_side.context, &params, &window.handle));

    address = (uintptr_t)window.memory;
    pair_put(&pair, &address, sizeof(address));
    remote        = pair_get(&pair, &length);
    window.remote = *remote;
    free(remote);

    check_ok(ucp_rkey_pack(ucp_side.context, window.handle, &rkey, &length));
    pair_put(&pair, rkey, length);
    ucp_rkey_buffer_release(rkey);
    rkey = pair_get(&pair, &length);
    check_ok(ucp_ep_rkey_unpack(peer, rkey, &window.rkey));
    free(rkey);
}

static void window_close(void)
{
    meet();
    ucp_rkey_destroy(window.rkey);
    check_ok(ucp_mem_unmap(ucp_side.context, window.handle));
    free(window.memory);
}

static void group_rma(void)
{
    ucp_request_param_t param = {.op_attr_mask = 0};
    void *out, *in;

    window_open(LARGEST);
    for (size_t i = 0; i < SIZES; i++) {
        stage("put and get, %zu bytes", sizes[i]);
        out = outgoing(sizes[i]);
        in  = allocate(sizes[i]);
        check_ok(ucp_side_finish(ucp_put_nbx(peer, out, sizes[i], window.remote,
                                             window.rkey, &param)));
        ucp_side_flush(peer);
        meet();
        check_incoming(window.memory, sizes[i]);
        meet();
        check_ok(ucp_side_finish(ucp_get_nbx(peer, in, sizes[i], window.remote,
                                             window.rkey, &param)));
        pattern_check(in, sizes[i], seed_from(pair.side, sizes[i]));
        meet();
        free(out);
        free(in);
    }
    window_close();
}

/* ---- Atomics ------------------------------------------------------------ */

static uint64_t atomic(ucp_atomic_op_t op, uint64_t value, uint64_t swap,
                       size_t width, int fetch)
{
    uint64_t reply = swap;
    ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_DATATYPE |
                        (fetch ? UCP_OP_ATTR_FIELD_REPLY_BUFFER : 0),
        .datatype     = ucp_dt_make_contig(width),
        .reply_buffer = &reply,
    };

    /* Little endian: the first four bytes are the lower half. */
    check_ok(ucp_side_finish(ucp_atomic_op_nbx(peer, op, &value, 1,
                                               window.remote, window.rkey,
                                               &param)));
    ucp_side_flush(peer);
    return width == 4 ? (uint32_t)reply : reply;
}

static void expect_remote(uint64_t expected, size_t width)
{
    uint64_t got = atomic(UCP_ATOMIC_OP_ADD, 0, 0, width, 1);

    check(got == expected, "%lx, not %lx", got, expected);
}

static void group_amo(void)
{
    static const struct {
        const char *name;
        ucp_atomic_op_t op;
        uint64_t operand, result;
        int post; /* can be had without a reply too */
    } steps[] = {
        {"add", UCP_ATOMIC_OP_ADD, 0x70, 0x70, 1},
        {"or", UCP_ATOMIC_OP_OR, 0x0f, 0x7f, 1},
        {"and", UCP_ATOMIC_OP_AND, 0x3c, 0x3c, 1},
        {"xor", UCP_ATOMIC_OP_XOR, 0xff, 0xc3, 1},
        {"swap", UCP_ATOMIC_OP_SWAP, 0x1234567, 0x1234567, 0},
        {"cswap", UCP_ATOMIC_OP_CSWAP, 0x1234567, 0x777, 0},
        {"cswap of another value", UCP_ATOMIC_OP_CSWAP, 1, 0x777, 0},
    };
    uint64_t before, value;

    window_open(64);
    for (size_t width = 4; width <= 8; width += 4) {
        value = 0;
        atomic(UCP_ATOMIC_OP_SWAP, 0, 0, width, 1);
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
            stage("atomic %s of %zu bytes", steps[i].name, width);
            if (steps[i].post && width == 8) { /* by post, then undone */
                atomic(steps[i].op, steps[i].operand, 0, width, 0);
                expect_remote(steps[i].result, width);
                atomic(UCP_ATOMIC_OP_SWAP, value, 0, width, 1);
            }
            before = atomic(steps[i].op, steps[i].operand, 0x777, width, 1);
            check(before == value, "was %lx, not %lx", before, value);
            value = steps[i].result;
            expect_remote(value, width);
        }
    }

    /* Neither loses one of the other's. */
    stage("a shared counter");
    atomic(UCP_ATOMIC_OP_SWAP, 0, 0, 8, 1);
    for (unsigned i = 0; i < 300; i++)
        check(atomic(UCP_ATOMIC_OP_ADD, 1, 0, 8, 1) == i, "lost at %u", i);
    window_close();
}

/* ---- Life --------------------------------------------------------------- */

static void connect_peer(void)
{
    ucp_ep_params_t params = {.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS};
    ucp_address_t *address;
    size_t length;

    check_ok(ucp_worker_get_address(ucp_side.worker, &address, &length));
    pair_put(&pair, address, length);
    ucp_worker_release_address(ucp_side.worker, address);

    address        = pair_get(&pair, &length);
    params.address = address;
    check_ok(ucp_ep_create(ucp_side.worker, &params, &peer));
    free(address);
}

int main(int argc, char **argv)
{
    static const struct group groups[] = {
        {"tag", group_tag},       {"truncated", group_truncated},
        {"flood", group_flood},   {"stream", group_stream},
        {"am", group_am},         {"rma", group_rma},
        {"amo", group_amo},       {NULL, NULL},
    };
    char **arguments = argv;
    int wakeup       = argc > 1 && strcmp(argv[1], "--wakeup") == 0;
    int ret;

    deadline(90);
    pair_start(&pair, arguments);
    stage("connecting");
    ucp_side_open(wakeup);
    connect_peer();
    ret = run_groups(groups, argc - wakeup, argv + wakeup);
    stage("closing");
    meet();
    ucp_side_flush(peer);
    meet();
    ucp_side_close_ep(peer, 0);
    meet();
    ucp_side_close();
    pair_finish(&pair);
    if (pair.side == 0 && ret == 0)
        puts("ucp_hello: ok");
    return ret;
}
