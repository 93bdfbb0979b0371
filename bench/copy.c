/* SPDX-License-Identifier: BSD-3-Clause */
/* copy: ns of one memcpy() by size, buffers in the cache: what sealing out of
 * place saves a transport that would have copied. */
#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum { SIZES_MAX = 16, SIZE_LIMIT = 1 << 28 };

struct job {
    size_t size;
    char  *from, *to;
};

static void run_copy(void *arg, uint64_t calls, double ns[BENCH_PARTS])
{
    struct job *job = arg;
    uint64_t start  = bench_clock(), i;

    for (i = 0; i < calls; i++) {
        memcpy(job->to, job->from, job->size);
        __asm__ volatile("" : : "r"(job->to) : "memory");
    }
    ns[0] += (double)(bench_clock() - start) / (double)calls;
}

static void open_job(struct job *job, const char *text)
{
    char *end;

    job->size = strtoul(text, &end, 10);
    if (*end != '\0' || job->size > SIZE_LIMIT)
        errx(2, "not a size in bytes: %s", text);
    job->from = bench_buffer(job->size);
    job->to   = bench_buffer(job->size);
    memset(job->from, 0x5a, job->size);
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"windows", required_argument, NULL, 'w'}, {NULL, 0, NULL, 0}};
    struct bench_case cases[SIZES_MAX];
    struct job jobs[SIZES_MAX];
    unsigned windows = 41, count, i;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'w' && atoi(optarg) > 0)
            windows = (unsigned)atoi(optarg);
        else
            errx(2, "usage: copy [--windows N] BYTES...");
    }
    count = (unsigned)(argc - optind);
    if (count == 0 || count > SIZES_MAX)
        errx(2, "1 to %d sizes", SIZES_MAX);
    bench_pin();
    for (i = 0; i < count; i++) {
        open_job(&jobs[i], argv[optind + (int)i]);
        cases[i] = (struct bench_case){.run = run_copy, .arg = &jobs[i]};
    }
    bench_measure(cases, count, windows);
    for (i = 0; i < count; i++) {
        printf("%zu %.2f %.2f %.2f\n", jobs[i].size, cases[i].part[0].median,
               cases[i].part[0].low, cases[i].part[0].high);
        free(jobs[i].from);
        free(jobs[i].to);
    }
    return 0;
}
