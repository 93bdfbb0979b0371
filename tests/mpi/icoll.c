/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Nonblocking collectives, several in flight at once, with point-to-point
 * traffic between them.
 */
#include "check.h"

#include <stdlib.h>
#include <string.h>

/* Everything one round has in flight; three communicators, so that the library
 * may progress them in any order. */
enum { REDUCE, ALLTOALL, BCAST, GATHER, BARRIER, SEND, RECV, NREQ };

struct round {
    size_t n; /* bytes per block, a multiple of 8 */
    int64_t *sum_in;
    int64_t *sum_out;
    uint8_t *all_out, *all_in;
    uint8_t *bcast;
    uint8_t *gather_out, *gather_in;
    uint8_t *p2p_out, *p2p_in;
};

static void round_alloc(struct round *r, size_t n)
{
    const size_t ranks = (size_t)job.size;

    r->n = n;
    r->sum_in = check_alloc(n);
    r->sum_out = check_alloc(n);
    r->all_out = check_alloc(n * ranks);
    r->all_in = check_alloc(n * ranks);
    r->bcast = check_alloc(n);
    r->gather_out = check_alloc(n);
    r->gather_in = check_alloc(n * ranks);
    r->p2p_out = check_alloc(n);
    r->p2p_in = check_alloc(n);
}

static void round_free(struct round *r)
{
    free(r->sum_in);
    free(r->sum_out);
    free(r->all_out);
    free(r->all_in);
    free(r->bcast);
    free(r->gather_out);
    free(r->gather_in);
    free(r->p2p_out);
    free(r->p2p_in);
}

static void round_start(struct round *r, int tag, MPI_Comm comm[3],
                        MPI_Request req[NREQ])
{
    const size_t n = r->n;
    const int len = (int)n, root = tag % job.size;
    const int to = ring_next(1), from = ring_prev(1);
    size_t i;
    int k;

    for (i = 0; i < n / 8; i++) {
        r->sum_in[i] = (int64_t)(i + 1) * (job.rank + 1);
    }
    for (k = 0; k < job.size; k++) {
        pattern_fill(r->all_out + (size_t)k * n, n,
                     seed_of(job.rank, k, tag, n));
    }
    memset(r->bcast, 0, n);
    if (job.rank == root) {
        pattern_fill(r->bcast, n, seed_of(root, -1, tag, n));
    }
    pattern_fill(r->gather_out, n, seed_of(job.rank, -2, tag, n));
    pattern_fill(r->p2p_out, n, seed_of(job.rank, to, -3, n));

    MPI_Irecv(r->p2p_in, len, MPI_BYTE, from, tag, comm[0], &req[RECV]);
    MPI_Iallreduce(r->sum_in, r->sum_out, len / 8, MPI_INT64_T, MPI_SUM,
                   comm[0], &req[REDUCE]);
    MPI_Ialltoall(r->all_out, len, MPI_BYTE, r->all_in, len, MPI_BYTE, comm[1],
                  &req[ALLTOALL]);
    MPI_Ibcast(r->bcast, len, MPI_BYTE, root, comm[0], &req[BCAST]);
    MPI_Iallgather(r->gather_out, len, MPI_BYTE, r->gather_in, len, MPI_BYTE,
                   comm[2], &req[GATHER]);
    MPI_Ibarrier(comm[1], &req[BARRIER]);
    MPI_Isend(r->p2p_out, len, MPI_BYTE, to, tag, comm[0], &req[SEND]);
}

static void round_check(const struct round *r, int tag)
{
    const size_t n = r->n;
    const int root = tag % job.size, from = ring_prev(1);
    const int64_t s = (int64_t)job.size * (job.size + 1) / 2;
    size_t i;
    int k;

    for (i = 0; i < n / 8; i++) {
        expect_int("Iallreduce", (long)i, (int64_t)(i + 1) * s, r->sum_out[i]);
    }
    for (k = 0; k < job.size; k++) {
        pattern_check("Ialltoall", r->all_in + (size_t)k * n, n,
                      seed_of(k, job.rank, tag, n));
        pattern_check("Iallgather", r->gather_in + (size_t)k * n, n,
                      seed_of(k, -2, tag, n));
    }
    pattern_check("Ibcast", r->bcast, n, seed_of(root, -1, tag, n));
    pattern_check("Irecv among collectives", r->p2p_in, n,
                  seed_of(from, job.rank, -3, n));
}

/* Odd ranks complete by testing, even ones by waiting; two rounds are in flight
 * at any time. */
void group_icoll(void)
{
    static const size_t n[] = {8,    8,    64,    1000,  1024,  8000,
                               8192, 8200, 40000, 65536, 65544, 300000};
    enum { ROUNDS = sizeof(n) / sizeof(n[0]) };
    struct round rounds[ROUNDS];
    MPI_Request req[ROUNDS][NREQ];
    MPI_Comm comm[3];
    int i, done;

    comm[0] = MPI_COMM_WORLD;
    MPI_Comm_dup(MPI_COMM_WORLD, &comm[1]);
    MPI_Comm_dup(MPI_COMM_WORLD, &comm[2]);
    for (i = 0; i <= ROUNDS; i++) {
        if (i < ROUNDS) {
            round_alloc(&rounds[i], n[i]);
            round_start(&rounds[i], 1000 + i, comm, req[i]);
        }
        if (i == 0) {
            continue;
        }
        if (job.rank % 2 == 0) {
            MPI_Waitall(NREQ, req[i - 1], MPI_STATUSES_IGNORE);
        } else {
            do {
                MPI_Testall(NREQ, req[i - 1], &done, MPI_STATUSES_IGNORE);
            } while (!done);
        }
        round_check(&rounds[i - 1], 1000 + i - 1);
        round_free(&rounds[i - 1]);
    }
    MPI_Comm_free(&comm[1]);
    MPI_Comm_free(&comm[2]);
}
