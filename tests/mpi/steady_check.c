/* SPDX-License-Identifier: BSD-3-Clause
 *
 * steady_check [-r] DIR [PAUSE]: exchanges checked data around the ring of ranks
 * without a pause, or with one of so many microseconds, until the first byte of
 * the file DIR/stop, which must be there, is no longer 0; then says how long
 * exchanges took. Each rank leaves a file DIR/RANK with its process id once it
 * is under way. -r: after each exchange, what is put into the next rank's memory
 * is got from there, and a number there counted up.
 *
 * Its main thread makes no file call between two that name /steady_check/begin
 * and /steady_check/end: so strace shows who else makes some.
 */
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX = 100000, WARM = 200, AGREE = 64 };

/* Eight buckets an octave, from a microsecond to minutes. */
enum { PER_OCTAVE = 8, BUCKETS = 30 * PER_OCTAVE };
static unsigned long buckets[BUCKETS];

static const char *path_in(const char *dir, const char *name)
{
    static char path[4096];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void fail(const char *what)
{
    perror(what);
    MPI_Abort(MPI_COMM_WORLD, 2);
}

static volatile const char *map_stop(const char *dir)
{
    const char *path = path_in(dir, "stop");
    int fd = open(path, O_RDONLY);
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED) {
        fail(path);
    }
    close(fd);
    return p;
}

static void announce(const char *dir)
{
    char name[32];
    const char *path;
    FILE *f;

    snprintf(name, sizeof(name), "%d", job.rank);
    path = path_in(dir, name);
    f = fopen(path, "w");
    if (f == NULL || fprintf(f, "%d\n", (int)getpid()) < 0 || fclose(f) != 0) {
        fail(path);
    }
}

/* Without libm: the octave, and linear within it. */
static int bucket_of(double microseconds)
{
    int octave = 0;

    while (microseconds >= 2 && octave < BUCKETS / PER_OCTAVE - 1) {
        microseconds /= 2;
        octave++;
    }
    if (microseconds < 1) {
        microseconds = 1;
    }
    if (microseconds >= 2) {
        return BUCKETS - 1;
    }
    return octave * PER_OCTAVE + (int)((microseconds - 1) * PER_OCTAVE);
}

/* Its upper edge. */
static double bucket_end(int bucket)
{
    return (double)(1UL << (bucket / PER_OCTAVE)) *
           (1 + (bucket % PER_OCTAVE + 1) / (double)PER_OCTAVE);
}

static double percentile(double part)
{
    unsigned long total = 0, sum = 0;
    int i;

    for (i = 0; i < BUCKETS; i++) {
        total += buckets[i];
    }
    for (i = 0; i < BUCKETS - 1; i++) {
        sum += buckets[i];
        if ((double)sum >= part * (double)total) {
            break;
        }
    }
    return bucket_end(i);
}

/* Short ones mostly, as latency is of; every protocol of UCX has its turn. */
static size_t size_of(int round)
{
    static const size_t sizes[] = {8, 64, 1, 200, 8, 1024, 16, 3000,
                                   8, 64, 2, 9000, 8, 100, 32, MAX};

    return sizes[round % 16];
}

static void exchange(int round, uint8_t *out, uint8_t *in)
{
    const int to = ring_next(1), from = ring_prev(1), tag = round & 0x7fff;
    const size_t n = size_of(round);
    double start;

    pattern_fill(out, n, seed_of(job.rank, to, round, n));
    memset(in, 0, n < 16 ? n : 16);
    start = MPI_Wtime();
    MPI_Sendrecv(out, (int)n, MPI_BYTE, to, tag, in, (int)n, MPI_BYTE, from,
                 tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (round >= WARM) {
        buckets[bucket_of((MPI_Wtime() - start) * 1e6)]++;
    }
    pattern_check("exchange", in, n, seed_of(from, job.rank, round, n));
}

/* Of this rank, for the one before; the number lies behind the data. */
static struct {
    MPI_Win win;
    uint8_t *memory;
} window;

static void window_open(void)
{
    MPI_Win_allocate(MAX + 8, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &window.memory,
                     &window.win);
    memset(window.memory, 0, MAX + 8);
    MPI_Win_lock_all(0, window.win);
    MPI_Barrier(MPI_COMM_WORLD);
}

static void window_close(void)
{
    MPI_Win_unlock_all(window.win);
    MPI_Win_free(&window.win);
}

static void one_sided(int round, uint8_t *out, uint8_t *in)
{
    const int64_t one = 1;
    const int to = ring_next(1);
    const size_t n = size_of(round + 3);
    int64_t before = -1;

    pattern_fill(out, n, seed_of(to, job.rank, round, n));
    memset(in, 0, n);
    MPI_Put(out, (int)n, MPI_BYTE, to, 0, (int)n, MPI_BYTE, window.win);
    MPI_Win_flush(to, window.win);
    MPI_Get(in, (int)n, MPI_BYTE, to, 0, (int)n, MPI_BYTE, window.win);
    MPI_Fetch_and_op(&one, &before, MPI_INT64_T, to, MAX, MPI_SUM, window.win);
    MPI_Win_flush(to, window.win);
    pattern_check("put and got", in, n, seed_of(to, job.rank, round, n));
    expect_int("counted", round, round, (int)before);
}

int main(int argc, char **argv)
{
    volatile const char *stop;
    unsigned long checks;
    uint8_t *in, *out;
    int round, done = 0, rma;
    useconds_t pause_us;

    rma = argc > 1 && strcmp(argv[1], "-r") == 0;
    argc -= rma;
    argv += rma;
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: steady_check [-r] DIR [PAUSE]\n");
        return 2;
    }
    pause_us = argc > 2 ? (useconds_t)strtoul(argv[2], NULL, 10) : 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &job.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &job.size);
    stop = map_stop(argv[1]);
    in = check_alloc(MAX);
    out = check_alloc(MAX);
    if (rma) {
        window_open();
    }
    for (round = 0; !done; round++) {
        exchange(round, out, in);
        if (rma) {
            one_sided(round, out, in);
        }
        if (pause_us > 0 && round > WARM) {
            usleep(pause_us);
        }
        if (round % AGREE == 0) {
            done = *stop != 0;
            MPI_Allreduce(MPI_IN_PLACE, &done, 1, MPI_INT, MPI_MAX,
                          MPI_COMM_WORLD);
        }
        if (round == WARM) {
            announce(argv[1]);
            (void)access("/steady_check/begin", F_OK);
        }
    }
    (void)access("/steady_check/end", F_OK);
    MPI_Allreduce(MPI_IN_PLACE, buckets, BUCKETS, MPI_UNSIGNED_LONG, MPI_SUM,
                  MPI_COMM_WORLD);
    MPI_Reduce(&job.checks, &checks, 1, MPI_UNSIGNED_LONG, MPI_SUM, 0,
               MPI_COMM_WORLD);
    if (job.rank == 0) {
        printf("steady_check: ok, %lu exchanges checked, in us: 50 %% within "
               "%.0f, 99 %% %.0f, 99.9 %% %.0f, all %.0f\n", checks,
               percentile(0.5), percentile(0.99), percentile(0.999),
               percentile(1));
        fflush(stdout);
    }
    if (rma) {
        window_close();
    }
    free(in);
    free(out);
    MPI_Finalize();
    return 0;
}
