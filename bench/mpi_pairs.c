/* SPDX-License-Identifier: BSD-3-Clause */
/* mpi_pairs: latency, bw, bibw and mbw_mr, messages from one rank to another. */
#include "mpi_job.h"

enum { TAG_DATA = 1, TAG_ACK = 2, ACK = 4 };

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
    job_expect(job, job->in, job->size, !job->rank);
}

/* One way. */
static double latency_figure(const struct job *job, double seconds)
{
    return job_microseconds(job, seconds) / 2;
}

/* A window of messages from one, to another, and what says that all came. */
static void window(struct job *job, int from, int to, int peer)
{
    MPI_Request requests[2 * FLIGHT_MAX];
    int n = (int)job->size, posted = 0;
    char ack[ACK];
    unsigned i;

    if (to)
        for (i = 0; i < job->flight; i++)
            MPI_Irecv(job->in + i * job->size, n, MPI_CHAR, peer, TAG_DATA,
                      MPI_COMM_WORLD, &requests[posted++]);
    if (from)
        for (i = 0; i < job->flight; i++)
            MPI_Isend(job->out, n, MPI_CHAR, peer, TAG_DATA, MPI_COMM_WORLD,
                      &requests[posted++]);
    MPI_Waitall(posted, requests, MPI_STATUSES_IGNORE);
    job_fill(ack, sizeof(ack), 1);
    if (job->rank < peer)
        MPI_Recv(ack, sizeof(ack), MPI_CHAR, peer, TAG_ACK, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    else
        MPI_Send(ack, sizeof(ack), MPI_CHAR, peer, TAG_ACK, MPI_COMM_WORLD);
}

static void check_window(struct job *job, int sender)
{
    unsigned i;

    for (i = 0; i < job->flight; i++)
        job_expect(job, job->in + i * job->size, job->size, sender);
}

static void bw_step(struct job *job)
{
    window(job, job->rank == 0, job->rank == 1, !job->rank);
}

static void bw_check(struct job *job)
{
    if (job->rank == 1)
        check_window(job, 0);
}

static double bw_figure(const struct job *job, double seconds)
{
    return job->flight * (double)job->size / seconds / 1e6;
}

static void bibw_step(struct job *job)
{
    window(job, 1, 1, !job->rank);
}

static void bibw_check(struct job *job)
{
    check_window(job, !job->rank);
}

static double bibw_figure(const struct job *job, double seconds)
{
    return 2 * bw_figure(job, seconds);
}

static void mbw_step(struct job *job)
{
    int half = job->ranks / 2, sends = job->rank < half;

    window(job, sends, !sends, sends ? job->rank + half : job->rank - half);
}

static void mbw_check(struct job *job)
{
    if (job->rank >= job->ranks / 2)
        check_window(job, job->rank - job->ranks / 2);
}

static double mbw_figure(const struct job *job, double seconds)
{
    return job->ranks / 2 * bw_figure(job, seconds);
}

const struct command mpi_pairs[] = {
    {.name       = "latency",
     .title      = "Latency Test",
     .column     = "Latency (us)",
     .members    = MEMBERS_PAIR,
     .granule    = 1,
     .out_copies = job_one_copy,
     .in_copies  = job_one_copy,
     .step       = latency_step,
     .check      = latency_check,
     .figure     = latency_figure},
    {.name       = "bw",
     .title      = "Bandwidth Test",
     .column     = "Bandwidth (MB/s)",
     .members    = MEMBERS_PAIR,
     .granule    = 1,
     .out_copies = job_one_copy,
     .in_copies  = job_flight_copies,
     .step       = bw_step,
     .check      = bw_check,
     .figure     = bw_figure},
    {.name       = "bibw",
     .title      = "Bi-Directional Bandwidth Test",
     .column     = "Bandwidth (MB/s)",
     .members    = MEMBERS_PAIR,
     .granule    = 1,
     .out_copies = job_one_copy,
     .in_copies  = job_flight_copies,
     .step       = bibw_step,
     .check      = bibw_check,
     .figure     = bibw_figure},
    {.name       = "mbw_mr",
     .title      = "Multiple Bandwidth / Message Rate Test",
     .column     = "MB/s",
     .members    = MEMBERS_HALVES,
     .granule    = 1,
     .out_copies = job_one_copy,
     .in_copies  = job_flight_copies,
     .step       = mbw_step,
     .check      = mbw_check,
     .figure     = mbw_figure},
    {.name = NULL}};
