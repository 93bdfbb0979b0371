/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Matching: messages that come before, after, and in another order than the
 * receives.
 */
#include "check.h"

#include <stdlib.h>

/* Eager, several segments, and rendezvous, in turn. */
static size_t mixed_size(int i)
{
    static const size_t n[] = {0,    8,     120,   1000,  4099,
                               8192, 20001, 66000, 150001};

    return n[(size_t)i % (sizeof(n) / sizeof(n[0]))];
}

#define MIXED_MAX 150001

/* All sends leave before any receive is posted: the receiver keeps them until
 * it is asked. */
void group_unexpected(void)
{
    enum { COUNT = 90 };
    uint8_t *out = check_alloc((size_t)COUNT * MIXED_MAX),
            *in = check_alloc(MIXED_MAX);
    MPI_Request req[COUNT];
    MPI_Status st;
    int d, i;

    for (d = 1; d < job.size; d++) {
        const int to = ring_next(d), from = ring_prev(d);

        for (i = 0; i < COUNT; i++) {
            const size_t n = mixed_size(i);

            pattern_fill(out + (size_t)i * MIXED_MAX, n,
                         seed_of(job.rank, to, i, n));
            MPI_Isend(out + (size_t)i * MIXED_MAX, (int)n, MPI_BYTE, to, i,
                      MPI_COMM_WORLD, &req[i]);
        }
        MPI_Barrier(MPI_COMM_WORLD);
        for (i = 0; i < COUNT; i++) {
            const size_t n = mixed_size(i);

            MPI_Recv(in, MIXED_MAX, MPI_BYTE, from, i, MPI_COMM_WORLD, &st);
            status_check("unexpected", &st, from, i, n);
            pattern_check("unexpected", in, n, seed_of(from, job.rank, i, n));
        }
        MPI_Waitall(COUNT, req, MPI_STATUSES_IGNORE);
    }
    free(in);
    free(out);
}

/* Receives ask for the tags in another order than they were sent; 37 is coprime
 * to the count, so each comes once. */
void group_reordered(void)
{
    enum { COUNT = 72 };
    const int to = ring_next(1), from = ring_prev(1);
    uint8_t *out = check_alloc((size_t)COUNT * MIXED_MAX),
            *in = check_alloc((size_t)COUNT * MIXED_MAX);
    MPI_Request req[2 * COUNT];
    MPI_Status st[2 * COUNT];
    int i, k, posted;

    for (posted = 0; posted < 2; posted++) {
        for (i = 0; posted && i < COUNT; i++) {
            k = (i * 37 + 11) % COUNT;
            MPI_Irecv(in + (size_t)k * MIXED_MAX, MIXED_MAX, MPI_BYTE, from, k,
                      MPI_COMM_WORLD, &req[COUNT + k]);
        }
        for (i = 0; i < COUNT; i++) {
            pattern_fill(out + (size_t)i * MIXED_MAX, mixed_size(i),
                         seed_of(job.rank, to, i, mixed_size(i)));
            MPI_Isend(out + (size_t)i * MIXED_MAX, (int)mixed_size(i), MPI_BYTE,
                      to, i, MPI_COMM_WORLD, &req[i]);
        }
        if (posted) {
            MPI_Waitall(COUNT, req + COUNT, st + COUNT);
        }
        for (i = 0; !posted && i < COUNT; i++) {
            k = (i * 37 + 11) % COUNT;
            MPI_Recv(in + (size_t)k * MIXED_MAX, MIXED_MAX, MPI_BYTE, from, k,
                     MPI_COMM_WORLD, &st[COUNT + k]);
        }
        for (i = 0; i < COUNT; i++) {
            const size_t n = mixed_size(i);

            status_check("reordered", &st[COUNT + i], from, i, n);
            pattern_check("reordered", in + (size_t)i * MIXED_MAX, n,
                          seed_of(from, job.rank, i, n));
        }
        MPI_Waitall(COUNT, req, MPI_STATUSES_IGNORE);
    }
    free(in);
    free(out);
}

/* How a wildcard receive finds out what came. */
enum how { BY_STATUS, BY_PROBE, BY_MPROBE, NHOW };

static void wild_receive(enum how how, uint8_t *in, MPI_Status *st)
{
    MPI_Message msg;
    int n;

    switch (how) {
    case BY_PROBE:
        MPI_Probe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, st);
        MPI_Get_count(st, MPI_BYTE, &n);
        MPI_Recv(in, n, MPI_BYTE, st->MPI_SOURCE, st->MPI_TAG, MPI_COMM_WORLD,
                 st);
        break;
    case BY_MPROBE:
        MPI_Mprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &msg, st);
        MPI_Get_count(st, MPI_BYTE, &n);
        MPI_Mrecv(in, n, MPI_BYTE, &msg, st);
        break;
    default:
        MPI_Recv(in, MIXED_MAX, MPI_BYTE, MPI_ANY_SOURCE, MPI_ANY_TAG,
                 MPI_COMM_WORLD, st);
    }
}

/* Everybody sends to everybody; the tag numbers the messages of a sender, and
 * they must not overtake each other. */
void group_wildcard(void)
{
    enum { COUNT = 54 };
    const int peers = job.size - 1;
    uint8_t *out = check_alloc((size_t)COUNT * (size_t)peers * MIXED_MAX),
            *in = check_alloc(MIXED_MAX);
    MPI_Request *req =
        check_alloc((size_t)COUNT * (size_t)peers * sizeof(*req));
    int *next = check_alloc((size_t)job.size * sizeof(*next));
    MPI_Status st;
    int how, d, i, k;

    for (how = 0; how < NHOW; how++) {
        for (i = 0, k = 0; i < COUNT; i++) {
            for (d = 1; d < job.size; d++, k++) {
                const size_t n = mixed_size(i);
                uint8_t *p = out + (size_t)k * MIXED_MAX;

                pattern_fill(p, n, seed_of(job.rank, ring_next(d), i, n));
                MPI_Isend(p, (int)n, MPI_BYTE, ring_next(d), i, MPI_COMM_WORLD,
                          &req[k]);
            }
        }
        for (i = 0; i < job.size; i++) {
            next[i] = 0;
        }
        for (i = 0; i < COUNT * peers; i++) {
            wild_receive((enum how)how, in, &st);
            status_check("wildcard", &st, st.MPI_SOURCE, next[st.MPI_SOURCE],
                         mixed_size(st.MPI_TAG));
            pattern_check("wildcard", in, mixed_size(st.MPI_TAG),
                          seed_of(st.MPI_SOURCE, job.rank, st.MPI_TAG,
                                  mixed_size(st.MPI_TAG)));
            next[st.MPI_SOURCE]++;
        }
        MPI_Waitall(COUNT * peers, req, MPI_STATUSES_IGNORE);
        /* A wildcard receive would take the next round's messages from a faster
         * rank. */
        MPI_Barrier(MPI_COMM_WORLD);
    }
    free(next);
    free(req);
    free(in);
    free(out);
}

/* 20 000 messages from each rank, in bursts to one peer after the other. */
void group_flood(void)
{
    enum { TOTAL = 20000, BURST = 500, MAX = 160 };
    uint8_t *out = check_alloc((size_t)BURST * MAX),
            *in = check_alloc((size_t)BURST * MAX);
    MPI_Request *req = check_alloc(2 * BURST * sizeof(*req));
    int sent, i;

    for (sent = 0; sent < TOTAL; sent += BURST) {
        const int d = 1 + sent / BURST % (job.size - 1);
        const int to = ring_next(d), from = ring_prev(d);

        for (i = 0; i < BURST; i++) {
            const size_t n = (size_t)((sent + i) % MAX);

            pattern_fill(out + i * MAX, n, seed_of(job.rank, to, sent + i, n));
            MPI_Isend(out + i * MAX, (int)n, MPI_BYTE, to, i, MPI_COMM_WORLD,
                      &req[i]);
        }
        for (i = 0; i < BURST; i++) {
            MPI_Irecv(in + i * MAX, MAX, MPI_BYTE, from, i, MPI_COMM_WORLD,
                      &req[BURST + i]);
        }
        MPI_Waitall(2 * BURST, req, MPI_STATUSES_IGNORE);
        for (i = 0; i < BURST; i++) {
            const size_t n = (size_t)((sent + i) % MAX);

            pattern_check("flood", in + i * MAX, n,
                          seed_of(from, job.rank, sent + i, n));
        }
    }
    free(req);
    free(in);
    free(out);
}
