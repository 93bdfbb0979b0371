/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ucp_pair: CPU time of one tagged message between two UCP workers of this
 * process, which one thread progresses in turns: sender and receiver together,
 * and nothing that waiting would add. UCX_TLS chooses the transport. Prints
 *
 *     size ns_cpu_per_message
 *
 * for each block of messages. All data of the first message of a size is
 * compared.
 */
#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucp/api/ucp.h>

#include "bench.h"

enum { TAG = 1, WARM_UP = 200 };

struct end {
    ucp_worker_h worker;
    ucp_ep_h     ep; /* to the other end */
};

static ucp_context_h context;
static struct end ends[2];

static void must(ucs_status_t status, const char *what)
{
    if (status != UCS_OK)
        errx(1, "%s: %s", what, ucs_status_string(status));
}

static void progress(void)
{
    ucp_worker_progress(ends[0].worker);
    ucp_worker_progress(ends[1].worker);
}

static void finish(ucs_status_ptr_t request, const char *what)
{
    ucs_status_t status = UCS_PTR_STATUS(request);

    if (!UCS_PTR_IS_PTR(request)) {
        must(status, what);
        return;
    }
    while ((status = ucp_request_check_status(request)) == UCS_INPROGRESS)
        progress();
    ucp_request_free(request);
    must(status, what);
}

static void open_worker(struct end *end)
{
    ucp_worker_params_t params = {
        .field_mask  = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
        .thread_mode = UCS_THREAD_MODE_SINGLE,
    };

    must(ucp_worker_create(context, &params, &end->worker), "worker");
}

static void connect_end(struct end *from, const struct end *to)
{
    ucp_ep_params_t params = {.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS};
    ucp_address_t *address;
    size_t length;

    must(ucp_worker_get_address(to->worker, &address, &length), "address");
    params.address = address;
    must(ucp_ep_create(from->worker, &params, &from->ep), "endpoint");
    ucp_worker_release_address(to->worker, address);
}

static void open_pair(void)
{
    ucp_params_t params = {
        .field_mask = UCP_PARAM_FIELD_FEATURES,
        .features   = UCP_FEATURE_TAG,
    };
    ucp_config_t *config;

    must(ucp_config_read(NULL, NULL, &config), "UCX configuration");
    must(ucp_init(&params, config, &context), "UCX");
    ucp_config_release(config);
    open_worker(&ends[0]);
    open_worker(&ends[1]);
    connect_end(&ends[0], &ends[1]);
    connect_end(&ends[1], &ends[0]);
}

static void close_pair(void)
{
    ucp_request_param_t param = {0};
    int i;

    for (i = 0; i < 2; i++)
        finish(ucp_ep_close_nbx(ends[i].ep, &param), "close");
    for (i = 0; i < 2; i++)
        ucp_worker_destroy(ends[i].worker);
    ucp_cleanup(context);
}

/* One message, received when this returns. */
static void transfer(const void *out, void *in, size_t size)
{
    ucp_request_param_t param = {0};
    ucs_status_ptr_t receiving, sending;

    receiving = ucp_tag_recv_nbx(ends[1].worker, in, size, TAG, UINT64_MAX,
                                 &param);
    sending   = ucp_tag_send_nbx(ends[0].ep, out, size, TAG, &param);
    finish(receiving, "receive");
    finish(sending, "send");
}

/* CPU time of count messages. */
static uint64_t run_block(const void *out, void *in, size_t size,
                          uint64_t count)
{
    uint64_t start = bench_cpu_clock();

    while (count-- > 0)
        transfer(out, in, size);
    return bench_cpu_clock() - start;
}

static void run_size(size_t size, unsigned blocks, double block_ns)
{
    uint8_t *out = bench_buffer(size), *in = bench_buffer(size);
    uint64_t count = WARM_UP, spent;
    size_t i;

    for (i = 0; i < size; i++)
        out[i] = (uint8_t)(i * 7 + i / 251 + 1);
    transfer(out, in, size);
    if (memcmp(out, in, size) != 0)
        errx(1, "%zu bytes did not arrive as they were sent", size);
    spent = run_block(out, in, size, count);
    count = (uint64_t)((double)count * block_ns * 1.1 / (double)spent) + 1;
    while (blocks > 0) {
        spent = run_block(out, in, size, count);
        if ((double)spent < block_ns) { /* faster than the warm-up */
            count = (uint64_t)((double)count * block_ns * 1.2 /
                               (double)spent) + 1;
            continue;
        }
        printf("%zu %.1f\n", size, (double)spent / (double)count);
        blocks--;
    }
    free(out);
    free(in);
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"blocks", required_argument, NULL, 'b'},
        {"block-ms", required_argument, NULL, 'm'},
        {NULL, 0, NULL, 0}};
    double block_ns = 50e6;
    unsigned blocks = 3;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'b' && atoi(optarg) > 0)
            blocks = (unsigned)atoi(optarg);
        else if (option == 'm' && atoi(optarg) > 0)
            block_ns = 1e6 * atoi(optarg);
        else
            errx(2, "usage: ucp_pair [--blocks N] [--block-ms MS] BYTES...");
    }
    bench_pin();
    open_pair();
    for (; optind < argc; optind++)
        run_size(strtoul(argv[optind], NULL, 10), blocks, block_ns);
    close_pair();
    return 0;
}
