/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpi_compare: latency, bandwidth and allreduce of an MPI job, in the manner
 * and output format of the OSU micro-benchmarks. One line per size: the median
 * over the repeats, then their quartiles. Data that arrives is compared, and
 * so is the result of allreduce.
 */
#include <err.h>
#include <getopt.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum { REPEATS = 21, WARM_UP = 20, SIZES_MAX = 32, SIZE_LIMIT = 1 << 28 };
/* Messages under way at a time, within so many bytes. */
enum { FLIGHT_MAX = 64, FLIGHT_MIN = 4, FLIGHT_BYTES = 8 << 20 };
enum { TAG_DATA = 1, TAG_ACK = 2 };

struct job {
    int      rank, ranks;
    size_t   size;
    char    *out, *in;
    unsigned flight;
};

struct command {
    const char *name, *title, *column;
    size_t      granule; /* sizes are multiples of it */
    int         pair;    /* ranks 0 and 1 only */
    /* One iteration of every rank that takes part. */
    void (*step)(struct job *job);
    void (*check)(struct job *job);
    /* What to print for the seconds of one iteration. */
    double (*figure)(const struct job *job, double seconds);
};

static const char *marker;

/* Bytes that a rank sends; with a marker all ranks send the same. */
static void fill(char *buffer, size_t size, int rank)
{
    size_t length = marker ? strlen(marker) : 0, i;

    for (i = 0; i < size; i++)
        buffer[i] = marker ? marker[i % length] :
                             (char)(i * 7 + i / 251 + (size_t)rank * 101 + 1);
}

static void fail(const struct job *job, const char *what)
{
    fprintf(stderr, "mpi_compare: rank %d: %s is wrong at %zu bytes\n",
            job->rank, what, job->size);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* in holds copies of what rank sender sent. */
static void check_in(struct job *job, int sender, unsigned copies)
{
    char *expected = malloc(job->size + 1);
    unsigned i;

    if (expected == NULL)
        err(1, "%zu bytes", job->size);
    fill(expected, job->size, sender);
    for (i = 0; i < copies; i++)
        if (memcmp(job->in + i * job->size, expected, job->size) != 0)
            fail(job, "received data");
    free(expected);
}

/* ---- Latency ------------------------------------------------------------ */

static void latency_step(struct job *job)
{
    int n = (int)job->size, peer = !job->rank;

    if (job->rank == 0)
        MPI_Send(job->out, n, MPI_CHAR, peer, TAG_DATA, MPI_COMM_WORLD);
    MPI_Recv(job->in, n, MPI_CHAR, peer, TAG_DATA, MPI_COMM_WORLD,
             MPI_STATUS_IGNORE);
    if (job->rank == 1)
        MPI_Send(job->out, n, MPI_CHAR, peer, TAG_DATA, MPI_COMM_WORLD);
}

static void latency_check(struct job *job)
{
    check_in(job, !job->rank, 1);
}

/* One way. */
static double latency_figure(const struct job *job, double seconds)
{
    (void)job;
    return seconds / 2 * 1e6;
}

/* ---- Bandwidth ---------------------------------------------------------- */

static void bw_step(struct job *job)
{
    MPI_Request requests[FLIGHT_MAX];
    int n = (int)job->size;
    char ack[4];
    unsigned i;

    for (i = 0; i < job->flight; i++) {
        if (job->rank == 0)
            MPI_Isend(job->out, n, MPI_CHAR, 1, TAG_DATA, MPI_COMM_WORLD,
                      &requests[i]);
        else
            MPI_Irecv(job->in + i * job->size, n, MPI_CHAR, 0, TAG_DATA,
                      MPI_COMM_WORLD, &requests[i]);
    }
    MPI_Waitall((int)job->flight, requests, MPI_STATUSES_IGNORE);
    fill(ack, sizeof(ack), 1);
    if (job->rank == 0)
        MPI_Recv(ack, sizeof(ack), MPI_CHAR, 1, TAG_ACK, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    else
        MPI_Send(ack, sizeof(ack), MPI_CHAR, 0, TAG_ACK, MPI_COMM_WORLD);
}

static void bw_check(struct job *job)
{
    if (job->rank == 1)
        check_in(job, 0, job->flight);
}

static double bw_figure(const struct job *job, double seconds)
{
    return (double)job->flight * (double)job->size / seconds / 1e6;
}

/* ---- Allreduce ---------------------------------------------------------- */

static void allreduce_step(struct job *job)
{
    MPI_Allreduce(job->out, job->in, (int)(job->size / sizeof(uint32_t)),
                  MPI_UINT32_T, MPI_SUM, MPI_COMM_WORLD);
}

static void allreduce_check(struct job *job)
{
    size_t words = job->size / sizeof(uint32_t), i;
    uint32_t *sum = calloc(words + 1, sizeof(*sum));
    char *theirs  = malloc(job->size + 1);
    int rank;

    if (sum == NULL || theirs == NULL)
        err(1, "%zu bytes", job->size);
    for (rank = 0; rank < job->ranks; rank++) {
        fill(theirs, job->size, rank);
        for (i = 0; i < words; i++) {
            uint32_t word;

            memcpy(&word, theirs + i * sizeof(word), sizeof(word));
            sum[i] += word;
        }
    }
    if (memcmp(sum, job->in, job->size) != 0)
        fail(job, "the sum");
    free(sum);
    free(theirs);
}

static double allreduce_figure(const struct job *job, double seconds)
{
    (void)job;
    return seconds * 1e6;
}

/* ---- Measuring ---------------------------------------------------------- */

static const struct command commands[] = {
    {"latency", "Latency Test", "Latency (us)", 1, 1, latency_step,
     latency_check, latency_figure},
    {"bw", "Bandwidth Test", "Bandwidth (MB/s)", 1, 1, bw_step, bw_check,
     bw_figure},
    {"allreduce", "Allreduce Latency Test", "Avg Latency (us)",
     sizeof(uint32_t), 0, allreduce_step, allreduce_check, allreduce_figure},
};

/* Seconds of one of count iterations, mean over the ranks that take part. */
static double time_steps(const struct command *command, struct job *job,
                         MPI_Comm comm, long count)
{
    double seconds, sum;
    int members;
    long i;

    MPI_Barrier(comm);
    seconds = MPI_Wtime();
    for (i = 0; i < count; i++)
        command->step(job);
    seconds = (MPI_Wtime() - seconds) / (double)count;
    MPI_Allreduce(&seconds, &sum, 1, MPI_DOUBLE, MPI_SUM, comm);
    MPI_Comm_size(comm, &members);
    return sum / members;
}

/* One iteration into an empty buffer, and a look at what arrived. */
static void verify(const struct command *command, struct job *job,
                   size_t in_size)
{
    memset(job->in, 0, in_size);
    command->step(job);
    command->check(job);
}

/* How many iterations fit into budget seconds, the same on all ranks. */
static long plan(const struct command *command, struct job *job, MPI_Comm comm,
                 double budget)
{
    double seconds = time_steps(command, job, comm, 2);
    long count;

    if (seconds * WARM_UP < budget * REPEATS)
        seconds = time_steps(command, job, comm, WARM_UP);
    count = (long)(budget / seconds);
    if (count < 1)
        count = 1;
    MPI_Bcast(&count, 1, MPI_LONG, 0, comm);
    return count;
}

static void measure(const struct command *command, struct job *job,
                    MPI_Comm comm, double budget)
{
    double v[REPEATS];
    struct bench_spread r;
    size_t in_size;
    long count;
    int i;

    job->flight = (unsigned)(FLIGHT_BYTES / (job->size ? job->size : 1));
    if (job->flight > FLIGHT_MAX)
        job->flight = FLIGHT_MAX;
    if (job->flight < FLIGHT_MIN)
        job->flight = FLIGHT_MIN;
    in_size  = job->size * (command->step == bw_step ? job->flight : 1) + 1;
    job->out = malloc(job->size + 1);
    job->in  = malloc(in_size);
    if (job->out == NULL || job->in == NULL)
        err(1, "%zu bytes", job->size);
    fill(job->out, job->size, job->rank);

    verify(command, job, in_size);
    count = plan(command, job, comm, budget / REPEATS);
    for (i = 0; i < REPEATS; i++)
        v[i] = command->figure(job, time_steps(command, job, comm, count));
    verify(command, job, in_size);

    r = bench_spread(v, REPEATS);
    if (job->rank == 0) {
        printf("%-10zu%18.2f%12.2f%12.2f\n", job->size, r.median, r.low,
               r.high);
        fflush(stdout);
    }
    free(job->out);
    free(job->in);
}

static void usage(void)
{
    errx(2, "usage: mpi_compare latency|bw|allreduce [--seconds S per size] "
         "[--marker TEXT] [BYTES...]");
}

static const struct command *find_command(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (name != NULL && strcmp(commands[i].name, name) == 0)
            return &commands[i];
    usage();
    return NULL;
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

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"marker", required_argument, NULL, 'm'},
        {"seconds", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0}};
    const struct command *command;
    size_t sizes[SIZES_MAX];
    double seconds = 0.2;
    unsigned count, i;
    struct job job;
    MPI_Comm comm;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'm' && *optarg != '\0')
            marker = optarg;
        else if (option == 's' && atof(optarg) > 0)
            seconds = atof(optarg);
        else
            usage();
    }
    command = find_command(argv[optind]);
    count   = take_sizes(argv + optind + 1, command->granule, sizes);

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &job.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &job.ranks);
    if (job.ranks < 2)
        errx(2, "needs 2 ranks: mpirun -np 2");
    MPI_Comm_split(MPI_COMM_WORLD,
                   command->pair && job.rank > 1 ? MPI_UNDEFINED : 0,
                   job.rank, &comm);
    if (job.rank == 0)
        printf("# MPI %s, %d ranks, median and quartiles of %d repeats\n"
               "%-10s%18s%12s%12s\n", command->title,
               command->pair ? 2 : job.ranks, REPEATS, "# Size",
               command->column, "25 %", "75 %");
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
