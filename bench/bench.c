/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench.h"

#include <err.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* Disturbed windows allowed for each good one before all are taken. */
enum { PATIENCE = 20, CLOCK_READS = 1001, BENCH_PAGE = 4096 };

void bench_pin(void)
{
    const char *wanted = getenv("BENCH_CORE");
    cpu_set_t set;
    int core;

    if (wanted != NULL) {
        core = atoi(wanted);
    } else {
        if (sched_getaffinity(0, sizeof(set), &set) != 0)
            err(1, "sched_getaffinity");
        for (core = CPU_SETSIZE - 1; core > 0 && !CPU_ISSET(core, &set);)
            core--;
    }
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
        err(1, "core %d", core);
}

void bench_pin_nth(unsigned n)
{
    cpu_set_t allowed, one;
    int core = -1;

    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        err(1, "sched_getaffinity");
    for (n %= (unsigned)CPU_COUNT(&allowed); core < CPU_SETSIZE - 1;)
        if (CPU_ISSET(++core, &allowed) && n-- == 0)
            break;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0)
        err(1, "core %d", core);
}

void *bench_buffer(size_t size)
{
    size_t pages = size / BENCH_PAGE + 1;
    void *p      = aligned_alloc(BENCH_PAGE, pages * BENCH_PAGE);

    if (p == NULL)
        err(1, "%zu bytes", size);
    return memset(p, 0, pages * BENCH_PAGE);
}

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t bench_clock(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t bench_cpu_clock(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

/* Of many reads at a time: one may be below the clock's resolution. */
double bench_clock_cost(void)
{
    double v[CLOCK_READS];
    uint64_t start;
    int i, j;

    for (i = 0; i < CLOCK_READS; i++) {
        start = bench_clock();
        for (j = 0; j < 16; j++)
            bench_clock();
        v[i] = (double)(bench_clock() - start) / 17;
    }
    return bench_spread(v, CLOCK_READS).median;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct bench_spread bench_spread(double *v, unsigned n)
{
    qsort(v, n, sizeof(*v), compare);
    return (struct bench_spread){v[n / 4], v[n / 2], v[n - 1 - n / 4]};
}

static long preemptions(void)
{
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

/* How many calls a window takes. */
static void calibrate(struct bench_case *c)
{
    double ignored[BENCH_PARTS] = {0};
    uint64_t spent = 0;

    for (c->calls = 1; spent < BENCH_WINDOW_NS / 4; c->calls *= 2) {
        uint64_t start = bench_clock();

        c->run(c->arg, c->calls, ignored);
        spent = bench_clock() - start;
    }
    c->calls = c->calls / 2 * BENCH_WINDOW_NS / spent;
    if (c->calls == 0)
        c->calls = 1;
}

void bench_measure(struct bench_case *cases, unsigned count, unsigned windows)
{
    size_t stride   = (size_t)BENCH_PARTS * windows;
    double *samples = calloc(count * stride, sizeof(*samples));
    unsigned tries = 0, window, i, part;

    if (samples == NULL)
        err(1, "bench");
    for (i = 0; i < count; i++)
        calibrate(&cases[i]);
    for (window = 0; window < windows; window++)
        for (i = 0; i < count; i++) {
            double ns[BENCH_PARTS] = {0};
            long before;

            do {
                cases[i].run(cases[i].arg, 1, ns); /* warms the caches */
                memset(ns, 0, sizeof(ns));
                before = preemptions();
                cases[i].run(cases[i].arg, cases[i].calls, ns);
            } while (preemptions() != before &&
                     tries++ < PATIENCE * windows * count);
            for (part = 0; part < BENCH_PARTS; part++)
                samples[i * stride + part * windows + window] = ns[part];
        }
    for (i = 0; i < count; i++)
        for (part = 0; part < BENCH_PARTS; part++)
            cases[i].part[part] = bench_spread(
                samples + i * stride + part * windows, windows);
    free(samples);
}

void bench_fit(const double *s, const double *f, unsigned n, double *a,
               double *b)
{
    double w, sw = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    unsigned i;

    for (i = 0; i < n; i++) {
        w = 1 / (f[i] * f[i]);
        sw += w;
        sx += w * s[i];
        sy += w * f[i];
        sxx += w * s[i] * s[i];
        sxy += w * s[i] * f[i];
    }
    *b = (sw * sxy - sx * sy) / (sw * sxx - sx * sx);
    *a = (sy - *b * sx) / sw;
}
