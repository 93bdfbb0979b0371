/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpi_onesided: put and get of rank 0 at rank 1's window, each flushed, so that
 * it is done at the target. Rank 1 waits in a collective meanwhile.
 */
#include "mpi_job.h"

static void put_step(struct job *job)
{
    int n = (int)job->size;

    if (job->rank != 0)
        return;
    MPI_Put(job->out, n, MPI_CHAR, 1, 0, n, MPI_CHAR, job->window);
    MPI_Win_flush(1, job->window);
}

static void put_check(struct job *job)
{
    if (job->rank == 1)
        job_expect(job, job->in, job->size, 0);
}

/* The window of rank 1 begins with what it sends. */
static void get_step(struct job *job)
{
    int n = (int)job->size;

    if (job->rank != 0)
        return;
    MPI_Get(job->in, n, MPI_CHAR, 1, n, n, MPI_CHAR, job->window);
    MPI_Win_flush(1, job->window);
}

static void get_check(struct job *job)
{
    if (job->rank == 0)
        job_expect(job, job->in, job->size, 1);
}

#define ONE_SIDED(_name, _title)                \
    {.name         = #_name,                    \
     .title        = _title " Latency Test",    \
     .column       = "Latency (us)",            \
     .members      = MEMBERS_PAIR,              \
     .one_sided    = 1,                         \
     .origin_times = 1,                         \
     .granule      = 1,                         \
     .out_copies   = job_one_copy,              \
     .in_copies    = job_one_copy,              \
     .step         = _name##_step,              \
     .check        = _name##_check,             \
     .figure       = job_microseconds}

const struct command mpi_onesided[] = {
    ONE_SIDED(put, "MPI_Put with MPI_Win_flush"),
    ONE_SIDED(get, "MPI_Get with MPI_Win_flush"),
    {.name = NULL}};
