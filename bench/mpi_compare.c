/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpi_compare: what an MPI job sees, test by test in the manner and output
 * format of the OSU micro-benchmarks. One line per size: the median over the
 * repeats, then their quartiles. Data that arrives is compared, sums are
 * computed again.
 */
#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "mpi_job.h"
#include "mpi_turns.h"

enum { REPEATS_MAX = 1001, WARM_UP = 20, SIZES_MAX = 32, SIZE_LIMIT = 1 << 28 };

static const struct command *const tables[] = {mpi_pairs, mpi_collectives,
                                               mpi_onesided};
static const char *marker;
static unsigned repeats = 21;

/* ---- For the tests ------------------------------------------------------ */

void job_fill(char *buffer, size_t size, int from)
{
    size_t length = marker ? strlen(marker) : 0, i;

    for (i = 0; i < size; i++)
        buffer[i] = marker ? marker[i % length] :
                             (char)(i * 7 + i / 251 + (size_t)from * 101 + 1);
}

void job_fail(const struct job *job, const char *what)
{
    fprintf(stderr, "mpi_compare: rank %d: %s is wrong at %zu bytes\n",
            job->rank, what, job->size);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

void job_expect(const struct job *job, const char *buffer, size_t size,
                int from)
{
    char *expected = malloc(size + 1);

    if (expected == NULL)
        err(1, "%zu bytes", size);
    job_fill(expected, size, from);
    if (memcmp(buffer, expected, size) != 0)
        job_fail(job, "received data");
    free(expected);
}

unsigned job_one_copy(const struct job *job)
{
    (void)job;
    return 1;
}

unsigned job_flight_copies(const struct job *job)
{
    return job->flight;
}

unsigned job_rank_copies(const struct job *job)
{
    return (unsigned)job->ranks;
}

double job_microseconds(const struct job *job, double seconds)
{
    (void)job;
    return seconds * 1e6;
}

/* ---- Measuring ---------------------------------------------------------- */

/* Seconds of one of count iterations. */
static double time_steps(const struct command *command, struct job *job,
                         MPI_Comm comm, long count)
{
    double seconds, sum;
    int timers;
    long i;

    MPI_Barrier(comm);
    seconds = MPI_Wtime();
    for (i = 0; i < count; i++) {
        command->step(job);
        job->iteration++;
    }
    seconds = (MPI_Wtime() - seconds) / (double)count;
    MPI_Comm_size(comm, &timers);
    if (command->origin_times) {
        timers = 1;
        if (job->rank != 0)
            seconds = 0;
    }
    MPI_Allreduce(&seconds, &sum, 1, MPI_DOUBLE, MPI_SUM, comm);
    return sum / timers;
}

/* One iteration into an empty buffer, and a look at what arrived. */
static void verify(const struct command *command, struct job *job,
                   MPI_Comm comm)
{
    memset(job->in, 0, job->size * command->in_copies(job));
    MPI_Barrier(comm);
    command->step(job);
    MPI_Barrier(comm);
    if (command->one_sided)
        MPI_Win_sync(job->window);
    command->check(job);
    job->iteration++;
}

/* How many iterations fit into budget seconds, the same on all ranks. */
static long plan(const struct command *command, struct job *job, MPI_Comm comm,
                 double budget)
{
    double seconds = time_steps(command, job, comm, 2);
    long count;

    if (seconds * WARM_UP < budget * repeats)
        seconds = time_steps(command, job, comm, WARM_UP);
    count = (long)(budget / seconds);
    if (count < 1)
        count = 1;
    MPI_Bcast(&count, 1, MPI_LONG, 0, comm);
    return count;
}

/* For puts, and behind it what gets take. */
static void open_window(struct job *job, MPI_Comm comm)
{
    char *base;

    MPI_Win_allocate((MPI_Aint)(2 * job->size + 1), 1, MPI_INFO_NULL, comm,
                     &base, &job->window);
    if (job->rank == 1) {
        job->in = base;
        job_fill(base + job->size, job->size, 1);
    }
    MPI_Win_lock_all(0, job->window);
    MPI_Win_sync(job->window);
}

static void close_window(struct job *job)
{
    MPI_Win_unlock_all(job->window);
    MPI_Win_free(&job->window);
}

static unsigned flight(size_t size)
{
    size_t n = FLIGHT_BYTES / (size ? size : 1);

    return n > FLIGHT_MAX ? FLIGHT_MAX : n < FLIGHT_MIN ? FLIGHT_MIN :
                                                          (unsigned)n;
}

static void measure(const struct command *command, struct job *job,
                    MPI_Comm comm, double budget)
{
    double v[REPEATS_MAX];
    struct bench_spread r;
    char *in;
    long count;
    unsigned i;

    job->flight = flight(job->size);
    job->out    = bench_buffer(job->size * command->out_copies(job));
    job->in = in = bench_buffer(job->size * command->in_copies(job));
    job_fill(job->out, job->size * command->out_copies(job), job->rank);
    turns_take(comm);
    if (command->one_sided)
        open_window(job, comm);
    verify(command, job, comm);
    count = plan(command, job, comm, budget / repeats);
    turns_pass(comm);
    for (i = 0; i < repeats; i++) {
        turns_take(comm);
        v[i] = command->figure(job, time_steps(command, job, comm, count));
        turns_pass(comm);
    }
    turns_take(comm);
    verify(command, job, comm);
    r = bench_spread(v, repeats);
    if (job->rank == 0) {
        printf("%-10zu%18.2f%12.2f%12.2f\n", job->size, r.median, r.low,
               r.high);
        fflush(stdout);
    }
    if (command->one_sided)
        close_window(job);
    turns_pass(comm);
    free(job->out);
    free(in);
}

/* ---- The command line --------------------------------------------------- */

/* Calls visit for each test. */
static const struct command *each(int (*visit)(const struct command *command,
                                               const char *name),
                                  const char *name)
{
    const struct command *command;
    size_t i;

    for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        for (command = tables[i]; command->name != NULL; command++)
            if (visit(command, name))
                return command;
    return NULL;
}

static int is_named(const struct command *command, const char *name)
{
    return strcmp(command->name, name) == 0;
}

static int show_name(const struct command *command, const char *name)
{
    (void)name;
    fprintf(stderr, " %s", command->name);
    return 0;
}

static void usage(void)
{
    fprintf(stderr, "usage: mpi_compare TEST [--seconds S per size] "
            "[--repeats N] [--marker TEXT] [--turns FILE:I:N] [BYTES...]\n"
            "tests:");
    each(show_name, NULL);
    fputc('\n', stderr);
    exit(2);
}

static unsigned take_sizes(char *const *texts, size_t granule,
                           size_t sizes[SIZES_MAX])
{
    unsigned count = 0;
    char *end;

    for (; *texts != NULL; texts++) {
        if (count == SIZES_MAX)
            errx(2, "more than %d sizes", SIZES_MAX);
        sizes[count] = strtoul(*texts, &end, 10);
        if (*end != '\0' || sizes[count] > SIZE_LIMIT ||
            sizes[count] % granule != 0)
            errx(2, "size %s: must be a multiple of %zu up to %d bytes",
                 *texts, granule, SIZE_LIMIT);
        count++;
    }
    if (count == 0)
        for (size_t size = 8; size <= 1 << 20; size *= 2)
            sizes[count++] = size;
    return count;
}

/* The ranks that take part; MPI_COMM_NULL on the others. */
static MPI_Comm take_part(const struct command *command, const struct job *job)
{
    MPI_Comm comm;

    if (job->ranks < 2)
        errx(2, "needs 2 ranks: mpirun -np 2");
    if (command->members == MEMBERS_HALVES && job->ranks % 2 != 0)
        errx(2, "%s needs an even number of ranks", command->name);
    MPI_Comm_split(MPI_COMM_WORLD,
                   command->members == MEMBERS_PAIR && job->rank > 1 ?
                       MPI_UNDEFINED : 0,
                   job->rank, &comm);
    return comm;
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"marker", required_argument, NULL, 'm'},
        {"repeats", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},
        {"turns", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0}};
    const struct command *command;
    size_t sizes[SIZES_MAX];
    struct job job = {0};
    double seconds = 0.2;
    unsigned count, i;
    MPI_Comm comm;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'm' && *optarg != '\0')
            marker = optarg;
        else if (option == 'r' && atoi(optarg) > 0 &&
                 atoi(optarg) <= REPEATS_MAX)
            repeats = (unsigned)atoi(optarg);
        else if (option == 's' && atof(optarg) > 0)
            seconds = atof(optarg);
        else if (option != 't' || !turns_open(optarg))
            usage();
    }
    command = optind < argc ? each(is_named, argv[optind]) : NULL;
    if (command == NULL)
        usage();
    count = take_sizes(argv + optind + 1, command->granule, sizes);

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &job.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &job.ranks);
    comm = take_part(command, &job);
    if (job.rank == 0)
        printf("# MPI %s, %d ranks, median and quartiles of %u repeats\n"
               "%-10s%18s%12s%12s\n", command->title,
               command->members == MEMBERS_PAIR ? 2 : job.ranks, repeats,
               "# Size", command->column, "25 %", "75 %");
    if (comm != MPI_COMM_NULL) {
        for (i = 0; i < count; i++) {
            job.size = sizes[i];
            measure(command, &job, comm, seconds);
        }
        MPI_Comm_free(&comm);
    }
    MPI_Finalize();
    return 0;
}
