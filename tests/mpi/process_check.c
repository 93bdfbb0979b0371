/* SPDX-License-Identifier: BSD-3-Clause
 *
 * process_check: jobs that are more than a fixed set of processes with one
 * thread each. All data is checked as in mpi_check.
 *
 *   spawn          two further jobs at once, each with ranks 0 and 1 like this
 *   accept FILE    leaves its port in FILE, waits for `connect FILE`
 *   connect FILE
 *   threads        four threads in each rank, with own messages and collectives
 *   fork           children that exit, exec or scribble while messages are on
 *                  their way
 */
#include "check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_SIZE 1048583

static const size_t sizes[] = {0, 1, 100, 1025, 9000, 70001, MAX_SIZE};

#define NSIZES (sizeof(sizes) / sizeof(sizes[0]))

/* Everyone with everyone, then a sum and a broadcast from the last rank. */
static void exchange(MPI_Comm comm, int salt)
{
    uint8_t *out = check_alloc(MAX_SIZE), *in = check_alloc(MAX_SIZE);
    int rank, size, d, to, from, one = 1, sum;
    size_t i, n;

    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    for (d = 0; d < size; d++) {
        to = (rank + d) % size;
        from = (rank + size - d) % size;
        for (i = 0; i < NSIZES; i++) {
            n = sizes[i];
            pattern_fill(out, n, seed_of(rank, to, salt, n));
            memset(in, 0, n);
            MPI_Sendrecv(out, (int)n, MPI_BYTE, to, salt, in, (int)n, MPI_BYTE,
                         from, salt, comm, MPI_STATUS_IGNORE);
            pattern_check("Sendrecv", in, n, seed_of(from, rank, salt, n));
        }
    }
    MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, comm);
    expect_int("Allreduce", salt, size, sum);
    if (rank == size - 1) {
        pattern_fill(in, MAX_SIZE, (uint64_t)salt);
    }
    MPI_Bcast(in, MAX_SIZE, MPI_BYTE, size - 1, comm);
    pattern_check("Bcast", in, MAX_SIZE, (uint64_t)salt);
    free(in);
    free(out);
}

/* ---- Jobs ------------------------------------------------------------------ */

/* The other job as one communicator with ours; `high` puts us behind it. */
static MPI_Comm merged(MPI_Comm other, int high)
{
    MPI_Comm all;

    MPI_Intercomm_merge(other, high, &all);
    return all;
}

static void start_job(const char *program, MPI_Comm *other, MPI_Comm *all)
{
    static char child[] = "child";
    char *argv[] = {child, NULL};

    MPI_Comm_spawn(program, argv, 2, MPI_INFO_NULL, 0, MPI_COMM_WORLD, other,
                   MPI_ERRCODES_IGNORE);
    *all = merged(*other, 0);
}

static void end_job(MPI_Comm *other, MPI_Comm *all)
{
    MPI_Comm_free(all);
    MPI_Comm_disconnect(other);
}

static void run_spawn(const char *program)
{
    MPI_Comm other[2], all[2];
    int size, k;

    exchange(MPI_COMM_WORLD, 1);
    for (k = 0; k < 2; k++) {
        start_job(program, &other[k], &all[k]);
    }
    for (k = 0; k < 2; k++) {
        MPI_Comm_size(all[k], &size);
        expect_int("size with children", k, job.size + 2, size);
        exchange(all[k], 10);
        exchange(MPI_COMM_WORLD, 2);
    }
    exchange(all[0], 11);
    exchange(all[1], 11);
    for (k = 0; k < 2; k++) {
        end_job(&other[k], &all[k]);
    }
    /* Ranks that come again in a new job are new processes. */
    start_job(program, &other[0], &all[0]);
    exchange(all[0], 10);
    exchange(all[0], 11);
    end_job(&other[0], &all[0]);
    exchange(MPI_COMM_WORLD, 3);
}

static void run_child(void)
{
    MPI_Comm parent, all;

    MPI_Comm_get_parent(&parent);
    expect_int("a child has a parent", 0, 1, parent != MPI_COMM_NULL);
    all = merged(parent, 1);
    exchange(MPI_COMM_WORLD, 4);
    exchange(all, 10);
    exchange(all, 11);
    end_job(&parent, &all);
}

static void write_port(const char *name, const char *port)
{
    char part[4096];
    FILE *f;

    snprintf(part, sizeof(part), "%s.part", name);
    f = fopen(part, "w");
    if (f == NULL || fprintf(f, "%s\n", port) < 0 || fclose(f) != 0 ||
        rename(part, name) != 0) {
        perror(name);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
}

static void read_port(const char *name, char port[MPI_MAX_PORT_NAME])
{
    FILE *f = NULL;
    int i;

    for (i = 0; i < 200 && f == NULL; i++) {
        usleep(50000);
        f = fopen(name, "r");
    }
    if (f == NULL || fgets(port, MPI_MAX_PORT_NAME, f) == NULL) {
        fprintf(stderr, "process_check: no port in %s\n", name);
        MPI_Abort(MPI_COMM_WORLD, 2);
        return;
    }
    port[strcspn(port, "\n")] = '\0';
    fclose(f);
}

static void run_accept(const char *file)
{
    char port[MPI_MAX_PORT_NAME] = "";
    MPI_Comm other, all;
    int k;

    if (job.rank == 0) {
        MPI_Open_port(MPI_INFO_NULL, port);
        write_port(file, port);
    }
    for (k = 0; k < 2; k++) {
        MPI_Comm_accept(port, MPI_INFO_NULL, 0, MPI_COMM_WORLD, &other);
        all = merged(other, 0);
        exchange(all, 20 + k);
        end_job(&other, &all);
        exchange(MPI_COMM_WORLD, 5);
    }
    if (job.rank == 0) {
        MPI_Close_port(port);
    }
}

static void run_connect(const char *file)
{
    char port[MPI_MAX_PORT_NAME] = "";
    MPI_Comm other, all;
    int k;

    if (job.rank == 0) {
        read_port(file, port);
    }
    for (k = 0; k < 2; k++) {
        MPI_Comm_connect(port, MPI_INFO_NULL, 0, MPI_COMM_WORLD, &other);
        all = merged(other, 1);
        exchange(all, 20 + k);
        end_job(&other, &all);
        exchange(MPI_COMM_WORLD, 5);
    }
}

/* ---- Threads --------------------------------------------------------------- */

#define THREADS        4
#define THREAD_ROUNDS  200
#define THREAD_MAXIMUM 200003

struct thread {
    pthread_t id;
    int number;
    MPI_Comm comm; /* collectives of one communicator are one thread's */
};

static size_t thread_size(int round)
{
    static const size_t n[] = {8, 0,     333, 9001,          64,
                               1, 70000, 20,  THREAD_MAXIMUM};

    return n[(size_t)round % (sizeof(n) / sizeof(n[0]))];
}

/* Neighbours over the common communicator, where only the tag keeps the
 * threads apart, and a sum over the thread's own. */
static void *thread_main(void *arg)
{
    struct thread *t = arg;
    uint8_t *out = check_alloc(THREAD_MAXIMUM),
            *in = check_alloc(THREAD_MAXIMUM);
    int to = ring_next(1), from = ring_prev(1), round, mine, sum, tag;
    size_t n;

    for (round = 0; round < THREAD_ROUNDS; round++) {
        n = thread_size(round + t->number);
        tag = round * THREADS + t->number;
        pattern_fill(out, n, seed_of(job.rank, to, tag, n));
        memset(in, 0, n);
        MPI_Sendrecv(out, (int)n, MPI_BYTE, to, t->number, in, (int)n, MPI_BYTE,
                     from, t->number, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        pattern_check("Sendrecv of a thread", in, n,
                      seed_of(from, job.rank, tag, n));
        mine = tag + job.rank;
        MPI_Allreduce(&mine, &sum, 1, MPI_INT, MPI_SUM, t->comm);
        expect_int("Allreduce of a thread", tag,
                   (long long)tag * job.size + job.size * (job.size - 1) / 2,
                   sum);
    }
    free(in);
    free(out);
    return NULL;
}

static void run_threads(void)
{
    struct thread t[THREADS];
    int provided, i;

    MPI_Query_thread(&provided);
    expect_int("MPI_THREAD_MULTIPLE", 0, MPI_THREAD_MULTIPLE, provided);
    for (i = 0; i < THREADS; i++) {
        t[i].number = i;
        MPI_Comm_dup(MPI_COMM_WORLD, &t[i].comm);
    }
    for (i = 0; i < THREADS; i++) {
        expect_int("pthread_create", i, 0,
                   pthread_create(&t[i].id, NULL, thread_main, &t[i]));
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(t[i].id, NULL);
        MPI_Comm_free(&t[i].comm);
    }
}

/* ---- Forks ----------------------------------------------------------------- */

#define FORK_ROUNDS  24
#define FORK_SMALL   64 /* messages beside a large one */
#define FORK_SMALL_N 500

enum child { EXITS, LEAVES, EXECS, LINGERS, SCRIBBLES, NCHILD };

/* What the child does with its copy of everything. The one that lingers is
 * another program that holds what it inherited while the parent goes on. */
static void be_child(enum child kind, uint8_t *out, uint8_t *in)
{
    switch (kind) {
    case EXITS:
        exit(0);
    case EXECS:
        execl("/bin/true", "true", (char *)NULL);
        _exit(9);
    case LINGERS:
        execl("/bin/sleep", "sleep", "0.3", (char *)NULL);
        _exit(9);
    case SCRIBBLES:
        memset(out, 0xee, MAX_SIZE);
        memset(in, 0xee, MAX_SIZE);
        _exit(0);
    default:
        _exit(0);
    }
}

/* One large and many small messages; the fork comes when some of them are on
 * their way. */
static pid_t fork_round(int round, uint8_t *out, uint8_t *in)
{
    const size_t area = MAX_SIZE - (size_t)FORK_SMALL * FORK_SMALL_N;
    MPI_Request req[2 * FORK_SMALL + 2];
    const int to = ring_next(1), from = ring_prev(1);
    int i, flag;
    pid_t pid;

    pattern_fill(out, area, seed_of(job.rank, to, round, area));
    memset(in, 0, MAX_SIZE);
    for (i = 0; i <= FORK_SMALL; i++) {
        size_t n = i == 0 ? area : FORK_SMALL_N;
        size_t at = i == 0 ? 0 : area + (size_t)(i - 1) * FORK_SMALL_N;

        pattern_fill(out + at, n, seed_of(job.rank, to, round + i, n));
        MPI_Irecv(in + at, (int)n, MPI_BYTE, from, i, MPI_COMM_WORLD,
                  &req[2 * i]);
        MPI_Isend(out + at, (int)n, MPI_BYTE, to, i, MPI_COMM_WORLD,
                  &req[2 * i + 1]);
    }
    for (i = 0; i < round % 7; i++) {
        MPI_Testall(2 * FORK_SMALL + 2, req, &flag, MPI_STATUSES_IGNORE);
        if (flag) {
            break;
        }
    }
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        be_child((enum child)((round + job.rank) % NCHILD), out, in);
    }
    expect_int("fork", round, 1, pid > 0);
    MPI_Waitall(2 * FORK_SMALL + 2, req, MPI_STATUSES_IGNORE);
    for (i = 0; i <= FORK_SMALL; i++) {
        size_t n = i == 0 ? area : FORK_SMALL_N;
        size_t at = i == 0 ? 0 : area + (size_t)(i - 1) * FORK_SMALL_N;

        pattern_check("beside a fork", in + at, n,
                      seed_of(from, job.rank, round + i, n));
    }
    return pid;
}

static void run_fork(void)
{
    uint8_t *out = check_alloc(MAX_SIZE), *in = check_alloc(MAX_SIZE);
    pid_t pid[FORK_ROUNDS];
    int round, status;

    for (round = 0; round < FORK_ROUNDS; round++) {
        pid[round] = fork_round(round, out, in);
    }
    for (round = 0; round < FORK_ROUNDS; round++) {
        expect_int("waitpid", round, pid[round],
                   waitpid(pid[round], &status, 0));
        expect_int("status of a child", round, 0, status);
    }
    expect_int("system()", 0, 0, system("/bin/true"));
    exchange(MPI_COMM_WORLD, 6);
    free(in);
    free(out);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    int wants_file = strcmp(mode, "accept") == 0 ||
                     strcmp(mode, "connect") == 0;
    int provided, known = 1;
    unsigned long total;

    if (argc != 2 + wants_file) {
        fprintf(stderr, "usage: process_check spawn|accept FILE|connect FILE|"
                        "threads|fork\n");
        return 2;
    }
    MPI_Init_thread(&argc, &argv,
                    strcmp(mode, "threads") == 0 ? MPI_THREAD_MULTIPLE
                                                 : MPI_THREAD_SINGLE,
                    &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &job.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &job.size);
    if (strcmp(mode, "spawn") == 0) {
        run_spawn(argv[0]);
    } else if (strcmp(mode, "child") == 0) {
        run_child();
    } else if (strcmp(mode, "accept") == 0) {
        run_accept(argv[2]);
    } else if (strcmp(mode, "connect") == 0) {
        run_connect(argv[2]);
    } else if (strcmp(mode, "threads") == 0) {
        run_threads();
    } else if (strcmp(mode, "fork") == 0) {
        run_fork();
    } else {
        known = 0;
    }
    expect_int("a mode that there is", 0, 1, known);
    MPI_Reduce(&job.checks, &total, 1, MPI_UNSIGNED_LONG, MPI_SUM, 0,
               MPI_COMM_WORLD);
    if (job.rank == 0) {
        printf("process_check: %s ok (%lu checks)\n", mode, total);
        fflush(stdout);
    }
    MPI_Finalize();
    return 0;
}
