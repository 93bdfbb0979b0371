/* SPDX-License-Identifier: BSD-3-Clause
 *
 * stage_check STAGE SECONDS DIR: a job that stays in one stage for so long,
 * checks its data, and ends well; made for ranks that are killed or stopped
 * meanwhile. Each rank that is well inside the stage leaves a file DIR/RANK with
 * its process id. The last rank is the one to be hit. A file DIR/stop ends what
 * repeats before its time.
 *
 *   idle      after MPI_Init, no message yet; the others wait for one of the
 *             last rank's
 *   flood     small messages from everyone to everyone
 *   large     64 MiB by rendezvous, around the ring
 *   rma       Put and Get on memory from malloc
 *   finalize  the last rank is late, the others are in MPI_Finalize
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *stage;
static double seconds;
static const char *dir;

static void announce(void)
{
    char part[4096], name[4096];
    FILE *f;

    snprintf(name, sizeof(name), "%s/%d", dir, job.rank);
    snprintf(part, sizeof(part), "%s/%d.part", dir, job.rank);
    f = fopen(part, "w");
    if (f == NULL || fprintf(f, "%d\n", (int)getpid()) < 0 || fclose(f) != 0 ||
        rename(part, name) != 0) {
        perror(name);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
}

static int is_stopped(void)
{
    char name[4096];

    snprintf(name, sizeof(name), "%s/stop", dir);
    return access(name, F_OK) == 0;
}

/* Signals that only stop and continue cut a sleep short. */
static void wait_until(double end)
{
    while (MPI_Wtime() < end && !is_stopped()) {
        usleep(50000);
    }
}

static int is_last(void)
{
    return job.rank == job.size - 1;
}

static void idle(void)
{
    uint64_t word = 0;
    int r;

    announce();
    if (!is_last()) {
        MPI_Recv(&word, 8, MPI_BYTE, job.size - 1, 1, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
        pattern_check("after idling", &word, 8, 1);
        return;
    }
    wait_until(MPI_Wtime() + seconds);
    pattern_fill(&word, 8, 1);
    for (r = 0; r < job.size - 1; r++) {
        MPI_Send(&word, 8, MPI_BYTE, r, 1, MPI_COMM_WORLD);
    }
}

static void flood(int round)
{
    enum { COUNT = 100, MAX = 150 };
    uint8_t out[COUNT * MAX], in[COUNT * MAX];
    MPI_Request req[2 * COUNT];
    int d, i;

    for (d = 1; d < job.size; d++) {
        const int to = ring_next(d), from = ring_prev(d);

        for (i = 0; i < COUNT; i++) {
            pattern_fill(out + i * MAX, MAX,
                         seed_of(job.rank, to, round + i, MAX));
            MPI_Irecv(in + i * MAX, MAX, MPI_BYTE, from, i, MPI_COMM_WORLD,
                      &req[2 * i]);
            MPI_Isend(out + i * MAX, MAX, MPI_BYTE, to, i, MPI_COMM_WORLD,
                      &req[2 * i + 1]);
        }
        MPI_Waitall(2 * COUNT, req, MPI_STATUSES_IGNORE);
        for (i = 0; i < COUNT; i++) {
            pattern_check("flood", in + i * MAX, MAX,
                          seed_of(from, job.rank, round + i, MAX));
        }
    }
}

static void large(int round)
{
    const size_t n = (size_t)64 << 20;
    static uint8_t *out, *in;
    const int to = ring_next(1), from = ring_prev(1);

    if (out == NULL) {
        out = check_alloc(n);
        in = check_alloc(n);
        pattern_fill(out, n, seed_of(job.rank, to, 0, n));
    }
    memset(in, round, n);
    MPI_Sendrecv(out, (int)n, MPI_BYTE, to, 2, in, (int)n, MPI_BYTE, from, 2,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    pattern_check("large", in, n, seed_of(from, job.rank, 0, n));
}

static void rma(int round)
{
    const int n = 100000, to = ring_next(1), from = ring_prev(1);
    static uint8_t *mem, *buf;
    static MPI_Win win;
    int i;

    if (mem == NULL) {
        mem = check_alloc((size_t)n);
        buf = check_alloc((size_t)n);
        MPI_Win_create(mem, n, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &win);
        MPI_Win_fence(0, win);
    }
    pattern_fill(buf, (size_t)n, seed_of(job.rank, to, round, (size_t)n));
    for (i = 0; i < n; i += 2500) {
        MPI_Put(buf + i, 2500, MPI_BYTE, to, i, 2500, MPI_BYTE, win);
    }
    MPI_Win_fence(0, win);
    pattern_check("Put", mem, (size_t)n,
                  seed_of(from, job.rank, round, (size_t)n));
    memset(buf, 0, (size_t)n);
    MPI_Win_fence(0, win);
    MPI_Get(buf, n, MPI_BYTE, to, 0, n, MPI_BYTE, win);
    MPI_Win_fence(0, win);
    pattern_check("Get", buf, (size_t)n,
                  seed_of(job.rank, to, round, (size_t)n));
    if (round < 0) {
        MPI_Win_free(&win);
    }
}

/* Rank 0's clock says when it is over. Announced after a few rounds, so that
 * all connections are made and the stage is in full swing. */
static void repeat(void (*step)(int round))
{
    double end = MPI_Wtime() + seconds;
    int round, more = 1;

    for (round = 0; more; round++) {
        step(round);
        if (round == 2) {
            announce();
        }
        more = round < 3 || (MPI_Wtime() < end && !is_stopped());
        MPI_Bcast(&more, 1, MPI_INT, 0, MPI_COMM_WORLD);
    }
    if (step == rma) {
        rma(-1);
    }
}

int main(int argc, char **argv)
{
    unsigned long total;

    if (argc != 4) {
        fprintf(stderr, "usage: stage_check STAGE SECONDS DIR\n");
        return 2;
    }
    stage = argv[1];
    seconds = strtod(argv[2], NULL);
    dir = argv[3];
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &job.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &job.size);
    if (strcmp(stage, "idle") == 0) {
        idle();
    } else if (strcmp(stage, "flood") == 0) {
        repeat(flood);
    } else if (strcmp(stage, "large") == 0) {
        repeat(large);
    } else if (strcmp(stage, "rma") == 0) {
        repeat(rma);
    } else if (strcmp(stage, "finalize") != 0) {
        fprintf(stderr, "stage_check: no stage `%s'\n", stage);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    MPI_Reduce(&job.checks, &total, 1, MPI_UNSIGNED_LONG, MPI_SUM, 0,
               MPI_COMM_WORLD);
    if (job.rank == 0) {
        printf("stage_check: %s ok (%lu checks)\n", stage, total);
        fflush(stdout);
    }
    if (strcmp(stage, "finalize") == 0) {
        MPI_Barrier(MPI_COMM_WORLD);
        announce();
        if (is_last()) {
            wait_until(MPI_Wtime() + seconds);
        }
    }
    MPI_Finalize();
    return 0;
}
