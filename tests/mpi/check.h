/* SPDX-License-Identifier: BSD-3-Clause
 *
 * mpi_check: an MPI program that knows every byte it should receive.
 *
 * A group is one function; it moves data, and compares all of it with what the
 * pattern of the sender's seed says. The first mismatch ends the job with a
 * non-zero status: nothing after it could be trusted.
 *
 *     pattern_fill(out, n, seed_of(job.rank, to, tag, n));
 *     MPI_Sendrecv(out, n, MPI_BYTE, to, tag, in, n, MPI_BYTE, from, tag,
 * MPI_COMM_WORLD, &status); pattern_check("Sendrecv", in, n, seed_of(from,
 * job.rank, tag, n));
 */
#ifndef MPI_CHECK_H
#define MPI_CHECK_H

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

/* The job as this process sees it. */
struct job {
    int rank;
    int size;
    unsigned long checks; /* comparisons that held */
};

extern struct job job;

/* Neighbours on the ring of ranks: the process we send to and receive from at
 * this distance. */
static inline int ring_next(int distance)
{
    return (job.rank + distance) % job.size;
}

static inline int ring_prev(int distance)
{
    return (job.rank + job.size - distance) % job.size;
}

/* A seed for one message: sender, receiver, tag and length, so that a mixed-up
 * message never looks right. */
uint64_t seed_of(int src, int dst, int tag, size_t n);

/* Fills or compares n bytes; `what` names the call for the error message. */
void pattern_fill(void *buf, size_t n, uint64_t seed);
void pattern_check(const char *what, const void *buf, size_t n, uint64_t seed);

/* n bytes that all must have this value: room behind a receive buffer, gaps of
 * a datatype. */
void value_check(const char *what, const void *buf, size_t n, uint8_t value);

void expect_int(const char *what, long index, long long expected,
                long long got);
void expect_real(const char *what, long index, double expected, double got);

/* Source, tag and length in bytes of a completed receive. */
void status_check(const char *what, const MPI_Status *status, int source,
                  int tag, size_t n);

/* malloc that ends the job when there is no memory. The caller frees. */
void *check_alloc(size_t n);

/* p2p.c */
void group_p2p(void);
/* types.c */
void group_types(void);
/* match.c */
void group_unexpected(void);
void group_reordered(void);
void group_wildcard(void);
void group_flood(void);
/* coll.c */
void group_allreduce(void);
void group_alltoall(void);
void group_bcast(void);
void group_reduce_scatter(void);
/* icoll.c */
void group_icoll(void);
/* rma.c */
void group_rma(void);
void group_rma_user(void);
void group_rma_fence(void);
/* marker.c */
void group_marker(void);

#endif
