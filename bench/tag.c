/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tag: what UCX_EESP_OFFLOAD=conf+mac leaves to the CPU, ns of one AES-256-GMAC
 * over memory, beside one seal by AES-256-GCM, by the best backend of each.
 */
#include "aead.h"

#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "eesp.h"

enum { SIZES = 3, SIZE_LIMIT = 1 << 20 };

static const size_t sizes[SIZES] = {65536, 262144, SIZE_LIMIT};
static uint8_t *data, *sealed;

struct job {
    const struct eesp_aead *aead;
    void                   *key;
    size_t                  size;
    int                     tag;
    uint64_t                counter;
};

static void run(void *arg, uint64_t calls, double ns[BENCH_PARTS])
{
    struct job *job   = arg;
    struct iovec part = {data, job->size};
    uint8_t nonce[EESP_NONCE_LEN] = {0}, icv[16];
    uint64_t start = bench_clock(), i;
    int ret = EESP_OK;

    for (i = 0; i < calls; i++) {
        memcpy(nonce, &job->counter, sizeof(job->counter));
        job->counter++;
        ret |= job->tag ? job->aead->seal(job->key, nonce, data, job->size,
                                          NULL, 0, NULL, icv)
                        : job->aead->seal(job->key, nonce, NULL, 0, &part, 1,
                                          sealed, icv);
    }
    if (ret != EESP_OK)
        errx(1, "%s: %s", job->aead->backend, eesp_strerror(ret));
    ns[0] += (double)(bench_clock() - start) / (double)calls;
}

static void open_job(struct job *job, unsigned id, size_t size)
{
    static const uint8_t bytes[EESP_AEAD_KEY_MAX] = {1};

    job->aead = eesp_aead_find(id, NULL);
    job->size = size;
    job->tag  = id == EESP_AEAD_AES_256_GMAC;
    if (job->aead == NULL)
        errx(1, "no backend");
    job->key = aligned_alloc(64, (job->aead->key_size + 63) / 64 * 64);
    if (job->key == NULL || job->aead->open(job->key) != EESP_OK ||
        job->aead->expand(job->key, bytes) != EESP_OK)
        errx(1, "%s: no key", job->aead->backend);
}

static void print(const struct job *job, struct bench_spread ns, FILE *csv)
{
    printf("%-12s %-16s %8zu bytes %8.0f ns [%.0f %.0f] %5.1f GB/s\n",
           job->aead->name, job->aead->backend, job->size, ns.median, ns.low,
           ns.high, (double)job->size / ns.median);
    if (csv != NULL)
        fprintf(csv, "%s,%s,%zu,%.1f,%.1f,%.1f\n", job->aead->name,
                job->aead->backend, job->size, ns.low, ns.median, ns.high);
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"csv", required_argument, NULL, 'c'},
        {"windows", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0}};
    static const unsigned ids[] = {EESP_AEAD_AES_256_GCM,
                                   EESP_AEAD_AES_256_GMAC};
    struct bench_case cases[2 * SIZES] = {{0}};
    struct job jobs[2 * SIZES]         = {{0}};
    unsigned windows = 41;
    FILE *csv        = NULL;
    int option, i;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c' && (csv = fopen(optarg, "w")) == NULL)
            err(1, "%s", optarg);
        else if (option == 'w' && atoi(optarg) > 0)
            windows = (unsigned)atoi(optarg);
        else if (option != 'c')
            errx(2, "usage: tag [--windows N] [--csv FILE]");
    }
    data   = bench_buffer(SIZE_LIMIT);
    sealed = bench_buffer(SIZE_LIMIT);
    memset(data, 0x5a, SIZE_LIMIT);
    bench_pin();
    for (i = 0; i < 2 * SIZES; i++) {
        open_job(&jobs[i], ids[i % 2], sizes[i / 2]);
        cases[i] = (struct bench_case){.run = run, .arg = &jobs[i]};
    }
    bench_measure(cases, 2 * SIZES, windows);
    if (csv != NULL)
        fprintf(csv, "aead,backend,bytes,ns_25,ns_median,ns_75\n");
    for (i = 0; i < 2 * SIZES; i++)
        print(&jobs[i], cases[i].part[0], csv);
    return csv != NULL && fclose(csv) != 0;
}
