/* SPDX-License-Identifier: BSD-3-Clause */
/* mpi_collectives: allreduce, alltoall, bcast, allgather, reduce_scatter. */
#include "mpi_job.h"

#include <err.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { RANKS_MAX = 4096 };

/* ---- Sums of 32-bit words ---------------------------------------------- */

/* Words first to first + count of the sum of all that the ranks put in. */
static void expect_sum(const struct job *job, size_t first, size_t count)
{
    uint32_t *sum = calloc(count + 1, sizeof(*sum));
    char *theirs  = malloc(job->size + 1);
    size_t i;
    int rank;

    if (sum == NULL || theirs == NULL)
        err(1, "%zu bytes", job->size);
    for (rank = 0; rank < job->ranks; rank++) {
        job_fill(theirs, job->size, rank);
        for (i = 0; i < count; i++) {
            uint32_t word;

            memcpy(&word, theirs + (first + i) * sizeof(word), sizeof(word));
            sum[i] += word;
        }
    }
    if (memcmp(sum, job->in, count * sizeof(*sum)) != 0)
        job_fail(job, "the sum");
    free(sum);
    free(theirs);
}

static void allreduce_step(struct job *job)
{
    MPI_Allreduce(job->out, job->in, (int)(job->size / sizeof(uint32_t)),
                  MPI_UINT32_T, MPI_SUM, MPI_COMM_WORLD);
}

static void allreduce_check(struct job *job)
{
    expect_sum(job, 0, job->size / sizeof(uint32_t));
}

/* Words that fall to a rank: what does not divide goes to the first ones. */
static size_t share(const struct job *job, int rank)
{
    size_t words = job->size / sizeof(uint32_t), n = (size_t)job->ranks;

    return words / n + ((size_t)rank < words % n);
}

static void reduce_scatter_step(struct job *job)
{
    static int counts[RANKS_MAX];
    int i;

    if (job->ranks > RANKS_MAX)
        errx(2, "more than %d ranks", RANKS_MAX);
    for (i = 0; i < job->ranks; i++)
        counts[i] = (int)share(job, i);
    MPI_Reduce_scatter(job->out, job->in, counts, MPI_UINT32_T, MPI_SUM,
                       MPI_COMM_WORLD);
}

static void reduce_scatter_check(struct job *job)
{
    size_t first = 0;
    int i;

    for (i = 0; i < job->rank; i++)
        first += share(job, i);
    expect_sum(job, first, share(job, job->rank));
}

/* ---- Bytes -------------------------------------------------------------- */

static void alltoall_step(struct job *job)
{
    int n = (int)job->size;

    MPI_Alltoall(job->out, n, MPI_CHAR, job->in, n, MPI_CHAR, MPI_COMM_WORLD);
}

/* Every rank sends the same stream, cut into a piece for each. */
static void alltoall_check(struct job *job)
{
    size_t all = job->size * (size_t)job->ranks;
    char *theirs = malloc(all + 1);
    int i;

    if (theirs == NULL)
        err(1, "%zu bytes", all);
    for (i = 0; i < job->ranks; i++) {
        job_fill(theirs, all, i);
        if (memcmp(job->in + (size_t)i * job->size,
                   theirs + (size_t)job->rank * job->size, job->size) != 0)
            job_fail(job, "received data");
    }
    free(theirs);
}

static void allgather_step(struct job *job)
{
    int n = (int)job->size;

    MPI_Allgather(job->out, n, MPI_CHAR, job->in, n, MPI_CHAR, MPI_COMM_WORLD);
}

static void allgather_check(struct job *job)
{
    int i;

    for (i = 0; i < job->ranks; i++)
        job_expect(job, job->in + (size_t)i * job->size, job->size, i);
}

/* Each time from another root: none runs ahead of the others. */
static void bcast_step(struct job *job)
{
    int root = (int)(job->iteration % job->ranks);

    MPI_Bcast(root == job->rank ? job->out : job->in, (int)job->size, MPI_CHAR,
              root, MPI_COMM_WORLD);
}

static void bcast_check(struct job *job)
{
    int root = (int)(job->iteration % job->ranks);

    if (root != job->rank)
        job_expect(job, job->in, job->size, root);
}

#define COLLECTIVE(_name, _title, _granule, _out, _in) \
    {.name       = #_name,                              \
     .title      = _title " Latency Test",              \
     .column     = "Avg Latency (us)",                  \
     .members    = MEMBERS_ALL,                         \
     .granule    = _granule,                            \
     .out_copies = _out,                                \
     .in_copies  = _in,                                 \
     .step       = _name##_step,                        \
     .check      = _name##_check,                       \
     .figure     = job_microseconds}

const struct command mpi_collectives[] = {
    COLLECTIVE(allreduce, "Allreduce", sizeof(uint32_t), job_one_copy,
               job_one_copy),
    COLLECTIVE(alltoall, "All-to-All Personalized Exchange", 1,
               job_rank_copies, job_rank_copies),
    COLLECTIVE(bcast, "Broadcast", 1, job_one_copy, job_one_copy),
    COLLECTIVE(allgather, "Allgather", 1, job_one_copy, job_rank_copies),
    COLLECTIVE(reduce_scatter, "Reduce_scatter", sizeof(uint32_t),
               job_one_copy, job_one_copy),
    {.name = NULL}};
