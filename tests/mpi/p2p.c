/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Point to point, contiguous data: every size class and every send mode.
 */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SIZE  ((size_t)8 << 20)
#define GUARD     64 /* bytes behind a buffer that must stay as they were */
#define GUARD_VAL 0xa5

/* Short, bcopy and rendezvous sizes, and both sides of the powers of two where
 * a transport changes its mind. */
static const size_t sizes[] = {
    0,      1,       2,       3,       7,       8,       9,      15,
    16,     17,      31,      63,      64,      65,      127,    200,
    255,    256,     257,     511,     1000,    1023,    1024,   1025,
    2047,   4095,    4096,    4097,    12287,   16383,   16384,  16385,
    32767,  32769,   65535,   65536,   65537,   131071,  131075, 262144,
    524287, 1048575, 1048577, 3000001, 4194317, 8388608,
};

#define NSIZES (sizeof(sizes) / sizeof(sizes[0]))

static void shift(uint8_t *out, uint8_t *in, size_t n, int distance, int tag)
{
    int to = ring_next(distance), from = ring_prev(distance);
    MPI_Request req[2];
    MPI_Status st[2];

    pattern_fill(out, n, seed_of(job.rank, to, tag, n));
    memset(in, GUARD_VAL, n + GUARD);
    MPI_Irecv(in, (int)n + GUARD, MPI_BYTE, from, tag, MPI_COMM_WORLD, &req[0]);
    MPI_Isend(out, (int)n, MPI_BYTE, to, tag, MPI_COMM_WORLD, &req[1]);
    MPI_Waitall(2, req, st);
    status_check("Irecv", &st[0], from, tag, n);
    pattern_check("Irecv", in, n, seed_of(from, job.rank, tag, n));
    value_check("room behind Irecv", in + n, GUARD, GUARD_VAL);
}

/* Distance 0 is a message to oneself; large messages go to one neighbour only,
 * to bound the time. */
static void all_sizes(uint8_t *out, uint8_t *in)
{
    size_t i;
    int d;

    for (i = 0; i < NSIZES; i++) {
        for (d = 0; d < job.size && (d <= 1 || sizes[i] <= 65537); d++) {
            shift(out, in, sizes[i], d, 100 + d);
        }
    }
}

/* Segments hold 8, 64 or 65 KiB less several headers, which differ by
 * transport: walk over every candidate. */
static void fragment_edges(uint8_t *out, uint8_t *in)
{
    size_t n;

    for (n = 8192 - 160; n <= 8192 + 16; n++) {
        shift(out, in, n, 1, 200);
    }
    for (n = 2 * 8192 - 300; n <= 2 * 8192 + 8; n += 7) {
        shift(out, in, n, 1, 201);
    }
    for (n = 65536 - 160; n <= 65536 + 16; n++) {
        shift(out, in, n, 1, 202);
    }
    for (n = 66560 - 256; n <= 66560 + 16; n++) {
        shift(out, in, n, 1, 203);
    }
}

/* No transport may rely on the alignment of user memory. */
static void odd_addresses(uint8_t *out, uint8_t *in)
{
    static const size_t odd[] = {1, 5, 33, 1001, 8191, 65537, 300007};
    size_t i;

    for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        shift(out + 1, in + 3, odd[i], 1, 300);
    }
}

enum mode { STANDARD, SYNCHRONOUS, BUFFERED, READY };

/* Ranks pair up (0-1, 2-3); the odd one out of an odd job has no partner. */
static void send_mode(enum mode mode, uint8_t *out, uint8_t *in, size_t n,
                      int tag)
{
    int peer = job.rank ^ 1, go = 0;
    MPI_Request req;
    MPI_Status st;

    if (peer >= job.size) {
        return;
    }
    pattern_fill(out, n, seed_of(job.rank, peer, tag, n));
    memset(in, GUARD_VAL, n + GUARD);
    if (mode == READY) {
        MPI_Irecv(in, (int)n, MPI_BYTE, peer, tag, MPI_COMM_WORLD, &req);
        /* A ready send needs the receive posted: the peer's word that it is
         * arrives first. */
        MPI_Sendrecv(&go, 1, MPI_INT, peer, tag + 1, &go, 1, MPI_INT, peer,
                     tag + 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        MPI_Rsend(out, (int)n, MPI_BYTE, peer, tag, MPI_COMM_WORLD);
        MPI_Wait(&req, &st);
    } else if (mode == BUFFERED) {
        MPI_Bsend(out, (int)n, MPI_BYTE, peer, tag, MPI_COMM_WORLD);
        memset(out, 0, n);
        MPI_Recv(in, (int)n, MPI_BYTE, peer, tag, MPI_COMM_WORLD, &st);
    } else if (job.rank < peer) {
        (mode == SYNCHRONOUS ? MPI_Ssend : MPI_Send)(out, (int)n, MPI_BYTE,
                                                     peer, tag, MPI_COMM_WORLD);
        MPI_Recv(in, (int)n, MPI_BYTE, peer, tag, MPI_COMM_WORLD, &st);
    } else {
        MPI_Recv(in, (int)n, MPI_BYTE, peer, tag, MPI_COMM_WORLD, &st);
        (mode == SYNCHRONOUS ? MPI_Ssend : MPI_Send)(out, (int)n, MPI_BYTE,
                                                     peer, tag, MPI_COMM_WORLD);
    }
    status_check("send mode", &st, peer, tag, n);
    pattern_check("send mode", in, n, seed_of(peer, job.rank, tag, n));
    value_check("room behind send mode", in + n, GUARD, GUARD_VAL);
}

static void all_modes(uint8_t *out, uint8_t *in)
{
    static const size_t n[] = {0,    1,     100,    1025,   8100,
                               8193, 65537, 262147, 1048577};
    int len = 2 * (1048577 + MPI_BSEND_OVERHEAD);
    void *attached;
    size_t i;

    attached = check_alloc((size_t)len);
    MPI_Buffer_attach(attached, len);
    for (i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
        send_mode(STANDARD, out, in, n[i], 400);
        send_mode(SYNCHRONOUS, out, in, n[i], 410);
        send_mode(BUFFERED, out, in, n[i], 420);
        send_mode(READY, out, in, n[i], 430);
    }
    MPI_Buffer_detach(&attached, &len);
    free(attached);
}

static void replace(uint8_t *buf)
{
    static const size_t n[] = {1, 4000, 9000, 70001, 500009};
    int to = ring_next(1), from = ring_prev(1);
    MPI_Status st;
    size_t i;

    for (i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
        pattern_fill(buf, n[i], seed_of(job.rank, to, 500, n[i]));
        MPI_Sendrecv_replace(buf, (int)n[i], MPI_BYTE, to, 500, from, 500,
                             MPI_COMM_WORLD, &st);
        status_check("Sendrecv_replace", &st, from, 500, n[i]);
        pattern_check("Sendrecv_replace", buf, n[i],
                      seed_of(from, job.rank, 500, n[i]));
    }
}

/* One pair of requests, started many times with new data: the transport must
 * not keep an old copy. */
static void persistent(uint8_t *out, uint8_t *in)
{
    const size_t n = 3001;
    int to = ring_next(1), from = ring_prev(1), round;
    MPI_Request req[2];

    MPI_Recv_init(in, (int)n, MPI_BYTE, from, 600, MPI_COMM_WORLD, &req[0]);
    MPI_Send_init(out, (int)n, MPI_BYTE, to, 600, MPI_COMM_WORLD, &req[1]);
    for (round = 0; round < 200; round++) {
        pattern_fill(out, n, seed_of(job.rank, to, round, n));
        MPI_Startall(2, req);
        MPI_Waitall(2, req, MPI_STATUSES_IGNORE);
        pattern_check("persistent request", in, n,
                      seed_of(from, job.rank, round, n));
    }
    MPI_Request_free(&req[0]);
    MPI_Request_free(&req[1]);
}

void group_p2p(void)
{
    uint8_t *out = check_alloc(MAX_SIZE + GUARD);
    uint8_t *in = check_alloc(MAX_SIZE + GUARD);

    all_sizes(out, in);
    fragment_edges(out, in);
    odd_addresses(out, in);
    all_modes(out, in);
    replace(out);
    persistent(out, in);
    free(in);
    free(out);
}
