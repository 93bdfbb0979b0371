/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ucp_check: what MPI does not ask of UCX.
 *
 *   align      the data of active messages lies where the receiver asked for
 *   error      of two peers one is killed: the error handler gets that one's
 *              endpoint, and the other one is still of use
 *   contexts   what a context opens it closes, and only what it needs stays open
 */
#define _GNU_SOURCE 1
#include <ucp/api/ucp.h>
#include <uct/api/uct.h>

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT 20.0

static void fail(const char *what, long expected, long got)
{
    fprintf(stderr, "ucp_check: %s: expected %ld, got %ld\n", what, expected,
            got);
    exit(1);
}

static void expect(const char *what, long expected, long got)
{
    if (expected != got) {
        fail(what, expected, got);
    }
}

static void expect_ok(const char *what, ucs_status_t status)
{
    if (status != UCS_OK) {
        fprintf(stderr, "ucp_check: %s: %s\n", what, ucs_status_string(status));
        exit(1);
    }
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static ucp_context_h make_context(void)
{
    ucp_params_t params = {.field_mask = UCP_PARAM_FIELD_FEATURES,
                           .features = UCP_FEATURE_TAG | UCP_FEATURE_AM};
    ucp_context_h context;
    ucp_config_t *config;

    expect_ok("ucp_config_read", ucp_config_read(NULL, NULL, &config));
    expect_ok("ucp_init", ucp_init(&params, config, &context));
    ucp_config_release(config);
    return context;
}

static ucp_worker_h make_worker(ucp_context_h context, size_t alignment)
{
    ucp_worker_params_t params = {
        .field_mask = alignment > 0 ? UCP_WORKER_PARAM_FIELD_AM_ALIGNMENT : 0,
        .am_alignment = alignment};
    ucp_worker_h worker;

    expect_ok("ucp_worker_create",
              ucp_worker_create(context, &params, &worker));
    return worker;
}

static ucp_ep_h make_ep(ucp_worker_h worker, const void *address,
                        ucp_err_handler_cb_t handler)
{
    ucp_ep_params_t params = {
        .field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS,
        .address = address,
        .err_mode = UCP_ERR_HANDLING_MODE_PEER,
        .err_handler = {.cb = handler}};
    ucp_ep_h ep;

    if (handler != NULL) {
        params.field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLER |
                             UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE;
    }
    expect_ok("ucp_ep_create", ucp_ep_create(worker, &params, &ep));
    return ep;
}

/* Progresses one or two workers until the request is done. */
static ucs_status_t finish(void *request, ucp_worker_h a, ucp_worker_h b)
{
    double end = now() + TIMEOUT;
    ucs_status_t status;

    if (!UCS_PTR_IS_PTR(request)) {
        return UCS_PTR_STATUS(request);
    }
    while ((status = ucp_request_check_status(request)) == UCS_INPROGRESS) {
        ucp_worker_progress(a);
        ucp_worker_progress(b);
        if (now() > end) {
            fail("a request ends in time", 1, 0);
        }
    }
    ucp_request_free(request);
    return status;
}

static void close_ep(ucp_ep_h ep, ucp_worker_h a, ucp_worker_h b)
{
    ucp_request_param_t force = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
                                 .flags = UCP_EP_CLOSE_FLAG_FORCE};

    finish(ucp_ep_close_nbx(ep, &force), a, b);
}

/* ---- align -------------------------------------------------------------- */

#define AM_ID 5

struct arrival {
    size_t alignment;
    size_t length;
    int arrived;
    int in_place; /* messages whose data UCP left where it was received */
};

static uint8_t byte_of(size_t at, size_t length)
{
    return (uint8_t)(at * 7 + length);
}

static ucs_status_t on_message(void *arg, const void *header,
                               size_t header_length, void *data, size_t length,
                               const ucp_am_recv_param_t *param)
{
    const uint8_t *p = data;
    struct arrival *a = arg;
    size_t i;

    (void)header;
    (void)header_length;
    a->arrived++;
    if (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) {
        return UCS_OK; /* not what this is about: dropped */
    }
    expect("length", (long)a->length, (long)length);
    if (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_DATA) {
        a->in_place++;
        expect("alignment of data", 0,
               (long)((uintptr_t)data % a->alignment));
    }
    for (i = 0; i < length; i++) {
        expect("data", byte_of(i, length), p[i]);
    }
    return UCS_OK;
}

static void align_one(ucp_context_h context, size_t alignment)
{
    static const size_t lengths[] = {1, 100, 3000, 8000, 9000, 20000, 60000};
    struct arrival arrival = {.alignment = alignment};
    ucp_am_handler_param_t handler = {
        .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID |
                      UCP_AM_HANDLER_PARAM_FIELD_CB |
                      UCP_AM_HANDLER_PARAM_FIELD_ARG,
        .id = AM_ID,
        .cb = on_message,
        .arg = &arrival};
    ucp_request_param_t eager = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
                                 .flags = UCP_AM_SEND_FLAG_EAGER};
    ucp_worker_h from = make_worker(context, 0),
                 to = make_worker(context, alignment);
    uint8_t *data = malloc(60000);
    ucp_address_t *address;
    double end;
    ucp_ep_h ep;
    size_t i, k;

    expect_ok("ucp_worker_set_am_recv_handler",
              ucp_worker_set_am_recv_handler(to, &handler));
    expect_ok("ucp_worker_get_address",
              ucp_worker_get_address(to, &address, &k));
    ep = make_ep(from, address, NULL);
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        arrival.length = lengths[i];
        for (k = 0; k < lengths[i]; k++) {
            data[k] = byte_of(k, lengths[i]);
        }
        arrival.arrived = 0;
        expect_ok("ucp_am_send_nbx",
                  finish(ucp_am_send_nbx(ep, AM_ID, NULL, 0, data, lengths[i],
                                         &eager),
                         from, to));
        for (end = now() + TIMEOUT; arrival.arrived == 0 && now() < end;) {
            ucp_worker_progress(from);
            ucp_worker_progress(to);
        }
        expect("messages arrived", 1, arrival.arrived);
    }
    printf("ucp_check: alignment %zu, %d of %zu messages in place\n", alignment,
           arrival.in_place, sizeof(lengths) / sizeof(lengths[0]));
    expect("some messages stay in place", 1, arrival.in_place > 0);
    ucp_worker_release_address(to, address);
    close_ep(ep, from, to);
    ucp_worker_destroy(from);
    ucp_worker_destroy(to);
    free(data);
}

static void run_align(void)
{
    ucp_context_h context = make_context();
    size_t alignment;

    for (alignment = 1; alignment <= 4096; alignment *= 4) {
        align_one(context, alignment);
    }
    ucp_cleanup(context);
}

/* ---- error -------------------------------------------------------------- */

/* A peer writes its address to a pipe and answers each word by the next. */
struct peer {
    pid_t pid;
    int to, from; /* pipes */
    ucp_ep_h ep;
    int errors;
};

static struct peer peers[2];
static ucp_worker_h self;

static void on_error(void *arg, ucp_ep_h ep, ucs_status_t status)
{
    size_t i;
    int known = 0;

    (void)arg;
    for (i = 0; i < 2; i++) {
        if (peers[i].ep == ep) {
            peers[i].errors++;
            known = 1;
            printf("ucp_check: peer %zu: %s\n", i, ucs_status_string(status));
        }
    }
    expect("the handler gets an endpoint of ours", 1, known);
}

static void exchange_address(ucp_worker_h worker, int to, int from,
                             void *theirs, size_t room)
{
    ucp_address_t *address;
    size_t length;

    expect_ok("ucp_worker_get_address",
              ucp_worker_get_address(worker, &address, &length));
    expect("write", (long)length, write(to, address, length));
    ucp_worker_release_address(worker, address);
    expect("read", 1, read(from, theirs, room) > 0);
}

static void be_peer(int to, int from)
{
    ucp_worker_h worker = make_worker(make_context(), 0);
    ucp_request_param_t none = {0};
    uint8_t address[4096];
    uint64_t word;
    ucp_ep_h ep;

    exchange_address(worker, to, from, address, sizeof(address));
    ep = make_ep(worker, address, on_error);
    for (;;) {
        expect_ok("peer receives",
                  finish(ucp_tag_recv_nbx(worker, &word, 8, 1, UINT64_MAX,
                                          &none),
                         worker, worker));
        word++;
        expect_ok("peer sends",
                  finish(ucp_tag_send_nbx(ep, &word, 8, 2, &none), worker,
                         worker));
    }
}

static void start_peer(struct peer *peer)
{
    int down[2], up[2];

    expect("pipes", 0, pipe(down) | pipe(up));
    fflush(NULL);
    peer->pid = fork();
    if (peer->pid == 0) {
        be_peer(up[1], down[0]);
    }
    peer->to = down[1];
    peer->from = up[0];
}

static void ask(struct peer *peer, uint64_t word)
{
    ucp_request_param_t none = {0};
    uint64_t answer = 0;

    expect_ok("send", finish(ucp_tag_send_nbx(peer->ep, &word, 8, 1, &none),
                             self, self));
    expect_ok("receive", finish(ucp_tag_recv_nbx(self, &answer, 8, 2,
                                                 UINT64_MAX, &none),
                                self, self));
    expect("answer", (long)word + 1, (long)answer);
}

/* The peers come first: they must inherit nothing of UCX. */
static void run_error(void)
{
    uint8_t address[4096];
    ucp_context_h context;
    double end;
    int status, i;

    start_peer(&peers[0]);
    start_peer(&peers[1]);
    context = make_context();
    self = make_worker(context, 0);
    for (i = 0; i < 2; i++) {
        exchange_address(self, peers[i].to, peers[i].from, address,
                         sizeof(address));
        peers[i].ep = make_ep(self, address, on_error);
    }
    for (i = 0; i < 4; i++) {
        ask(&peers[i % 2], (uint64_t)i);
    }
    kill(peers[1].pid, SIGKILL);
    waitpid(peers[1].pid, &status, 0);
    for (end = now() + TIMEOUT; peers[1].errors == 0 && now() < end;) {
        ucp_worker_progress(self);
    }
    expect("errors of the peer that was killed", 1, peers[1].errors);
    for (i = 0; i < 10; i++) {
        ask(&peers[0], (uint64_t)i);
    }
    expect("errors of the other peer", 0, peers[0].errors);
    kill(peers[0].pid, SIGKILL);
    waitpid(peers[0].pid, &status, 0);
    for (i = 0; i < 2; i++) {
        close_ep(peers[i].ep, self, self);
    }
    ucp_worker_destroy(self);
    ucp_cleanup(context);
}

/* ---- contexts ----------------------------------------------------------- */

/* These stand before libuct's for UCP and for the plugin. */
#define INTERPOSED __attribute__((visibility("default")))

static int opened;

INTERPOSED ucs_status_t uct_md_open(uct_component_h component, const char *name,
                                    const uct_md_config_t *config, uct_md_h *md)
{
    static ucs_status_t (*real)(uct_component_h, const char *,
                                const uct_md_config_t *, uct_md_h *);
    ucs_status_t status;

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "uct_md_open");
    }
    status = real(component, name, config, md);
    opened += status == UCS_OK;
    return status;
}

INTERPOSED void uct_md_close(uct_md_h md)
{
    static void (*real)(uct_md_h);

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "uct_md_close");
    }
    opened--;
    real(md);
}

static void run_contexts(int needed)
{
    ucp_context_h context;
    int i;

    for (i = 0; i < 20; i++) {
        context = make_context();
        expect("memory domains open", needed, opened);
        ucp_cleanup(context);
        expect("memory domains open afterwards", 0, opened);
    }
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";

    if (strcmp(mode, "align") == 0) {
        run_align();
    } else if (strcmp(mode, "error") == 0) {
        run_error();
    } else if (strcmp(mode, "contexts") == 0 && argc == 3) {
        run_contexts(atoi(argv[2]));
    } else {
        fprintf(stderr, "usage: ucp_check align|error|contexts NUMBER\n");
        return 2;
    }
    printf("ucp_check: %s ok\n", mode);
    return 0;
}
