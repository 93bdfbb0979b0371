/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench: what the measuring programs share. Cases that are to be compared are
 * measured in turns, window by window, so that whatever else the machine does
 * meets all of them.
 *
 *     struct bench_case cases[] = {{run, &this_one}, {run, &that_one}};
 *
 *     bench_pin();
 *     bench_measure(cases, 2, 41);
 *     printf("%.1f ns\n", cases[0].part[0].median);
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_PARTS     2
#define BENCH_WINDOW_NS 400000

/* Percentiles 25, 50 and 75. */
struct bench_spread {
    double low, median, high;
};

struct bench_case {
    /*
     * Does its work calls times and adds the nanoseconds of one piece of work
     * to each of the parts it knows.
     */
    void (*run)(void *arg, uint64_t calls, double ns[BENCH_PARTS]);
    void *arg;
    struct bench_spread part[BENCH_PARTS]; /* result */
    uint64_t            calls;             /* of one window */
};

/* To core BENCH_CORE of the environment, else to the last one allowed. */
void bench_pin(void);
/* To the nth of those allowed, counted round. */
void bench_pin_nth(unsigned n);

/*
 * Zeroed memory from a page's beginning on, as the OSU benchmarks have; to be freed
 * by free(). Buffers of malloc() may follow one another in the heap, 16 bytes away
 * from a whole number of pages: memcpy() from the one to the other by `rep movsb`
 * has been seen at 3 GB/s instead of 47 (AMD EPYC of family 25 model 1).
 */
void *bench_buffer(size_t size);

/* Nanoseconds of the clock, of the process's CPU time, of reading the clock. */
uint64_t bench_clock(void);
uint64_t bench_cpu_clock(void);
double bench_clock_cost(void);

/* Sorts v, which holds n > 0 values. */
struct bench_spread bench_spread(double *v, unsigned n);

/*
 * Fills the result of every case from so many windows of about
 * BENCH_WINDOW_NS, without those in which another process took the core.
 */
void bench_measure(struct bench_case *cases, unsigned count,
                   unsigned windows);

/* Least squares of the relative deviations: f = a + b s. */
void bench_fit(const double *s, const double *f, unsigned n, double *a,
               double *b);

#endif
