/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One-sided communication under every kind of synchronisation, on memory from
 * MPI and on memory from malloc.
 */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define GAP 0x3c

/* A window of this process: `mem` is `size` bytes; `owned` when it came from
 * malloc and must be freed after the window. */
struct window {
    MPI_Win win;
    uint8_t *mem;
    size_t size;
    int owned;
};

static void window_open(struct window *w, size_t size, int user_memory)
{
    w->size = size;
    w->owned = user_memory;
    if (user_memory) {
        w->mem = check_alloc(size);
        MPI_Win_create(w->mem, (MPI_Aint)size, 1, MPI_INFO_NULL, MPI_COMM_WORLD,
                       &w->win);
    } else {
        MPI_Win_allocate((MPI_Aint)size, 1, MPI_INFO_NULL, MPI_COMM_WORLD,
                         &w->mem, &w->win);
    }
    memset(w->mem, 0, size);
    MPI_Barrier(MPI_COMM_WORLD);
}

static void window_close(struct window *w)
{
    MPI_Win_free(&w->win);
    if (w->owned) {
        free(w->mem);
    }
}

static const size_t sizes[] = {1,    3,    8,     63,    1000,   4096,   8151,
                               8192, 8195, 65536, 65543, 300007, 1048576};

#define NSIZES (sizeof(sizes) / sizeof(sizes[0]))
#define MAX    1048576

/* Put to the right neighbour, then Get from the left one, between fences. */
static void fence(int user_memory)
{
    const int to = ring_next(1), from = ring_prev(1);
    uint8_t *buf = check_alloc(MAX);
    struct window w;
    size_t i, n;

    window_open(&w, MAX + 64, user_memory);
    MPI_Win_fence(0, w.win);
    for (i = 0; i < NSIZES; i++) {
        n = sizes[i];
        memset(w.mem, GAP, n + 64);
        pattern_fill(buf, n, seed_of(job.rank, to, (int)i, n));
        MPI_Win_fence(0, w.win);
        MPI_Put(buf, (int)n, MPI_BYTE, to, 5, (int)n, MPI_BYTE, w.win);
        MPI_Win_fence(0, w.win);
        value_check("before Put", w.mem, 5, GAP);
        pattern_check("Put", w.mem + 5, n, seed_of(from, job.rank, (int)i, n));
        value_check("behind Put", w.mem + 5 + n, 59, GAP);
        memset(buf, 0, n);
        MPI_Win_fence(0, w.win);
        MPI_Get(buf, (int)n, MPI_BYTE, to, 5, (int)n, MPI_BYTE, w.win);
        MPI_Win_fence(0, w.win);
        pattern_check("Get", buf, n, seed_of(job.rank, to, (int)i, n));
    }
    window_close(&w);
    free(buf);
}

/* Every rank puts and gets its own slot at every other, many small ones in one
 * epoch. */
static void all_pairs(int user_memory)
{
    enum { SLOT = 96, COUNT = 100 };
    const size_t area = (size_t)SLOT * COUNT;
    uint8_t *out = check_alloc(area * (size_t)job.size),
            *in = check_alloc(area * (size_t)job.size);
    struct window w;
    int r, i;

    window_open(&w, area * (size_t)job.size, user_memory);
    MPI_Win_fence(0, w.win);
    for (r = 0; r < job.size; r++) {
        pattern_fill(out + (size_t)r * area, area,
                     seed_of(job.rank, r, 7, area));
        for (i = 0; i < COUNT; i++) {
            MPI_Put(out + (size_t)r * area + i * SLOT, SLOT, MPI_BYTE, r,
                    (MPI_Aint)((size_t)job.rank * area) + i * SLOT, SLOT,
                    MPI_BYTE, w.win);
        }
    }
    MPI_Win_fence(0, w.win);
    for (r = 0; r < job.size; r++) {
        pattern_check("Put, all pairs", w.mem + (size_t)r * area, area,
                      seed_of(r, job.rank, 7, area));
        for (i = COUNT - 1; i >= 0; i--) {
            MPI_Get(in + (size_t)r * area + i * SLOT, SLOT, MPI_BYTE, r,
                    (MPI_Aint)((size_t)job.rank * area) + i * SLOT, SLOT,
                    MPI_BYTE, w.win);
        }
    }
    MPI_Win_fence(0, w.win);
    expect_int("Get, all pairs", 0, 0,
               memcmp(in, out, area * (size_t)job.size));
    window_close(&w);
    free(in);
    free(out);
}

/* A strided target: the library turns it into many small puts. */
static void strided(int user_memory)
{
    enum { BLOCKS = 200, LEN = 40, STRIDE = 64 };
    const int to = ring_next(1), from = ring_prev(1);
    uint8_t out[BLOCKS * LEN], packed[BLOCKS * LEN];
    MPI_Datatype type;
    struct window w;
    int i;

    window_open(&w, BLOCKS * STRIDE, user_memory);
    memset(w.mem, GAP, w.size);
    MPI_Type_vector(BLOCKS, LEN, STRIDE, MPI_BYTE, &type);
    MPI_Type_commit(&type);
    pattern_fill(out, sizeof(out), seed_of(job.rank, to, 9, sizeof(out)));
    MPI_Win_fence(0, w.win);
    MPI_Put(out, BLOCKS * LEN, MPI_BYTE, to, 0, 1, type, w.win);
    MPI_Win_fence(0, w.win);
    for (i = 0; i < BLOCKS; i++) {
        memcpy(packed + i * LEN, w.mem + i * STRIDE, LEN);
        value_check("gap of strided Put", w.mem + i * STRIDE + LEN,
                    STRIDE - LEN, GAP);
    }
    pattern_check("strided Put", packed, sizeof(packed),
                  seed_of(from, job.rank, 9, sizeof(packed)));
    MPI_Type_free(&type);
    window_close(&w);
}

/* All ranks add into the same elements of all ranks. */
static void accumulate(int user_memory)
{
    enum { COUNT = 1500 };
    int64_t in[COUNT], old[COUNT], *mem;
    struct window w;
    int i, r;

    window_open(&w, 2 * sizeof(in), user_memory);
    mem = (int64_t *)(void *)w.mem;
    for (i = 0; i < COUNT; i++) {
        in[i] = (int64_t)(job.rank + 1) * (i + 1);
    }
    MPI_Win_fence(0, w.win);
    for (r = 0; r < job.size; r++) {
        MPI_Accumulate(in, COUNT, MPI_INT64_T, r, 0, COUNT, MPI_INT64_T,
                       MPI_SUM, w.win);
        MPI_Accumulate(in, COUNT, MPI_INT64_T, r, sizeof(in), COUNT,
                       MPI_INT64_T, MPI_MAX, w.win);
    }
    MPI_Win_fence(0, w.win);
    for (i = 0; i < COUNT; i++) {
        expect_int("Accumulate, sum", i,
                   (int64_t)job.size * (job.size + 1) / 2 * (i + 1), mem[i]);
        expect_int("Accumulate, max", i, (int64_t)job.size * (i + 1),
                   mem[COUNT + i]);
    }
    MPI_Win_fence(0, w.win);
    /* Not MPI_REPLACE: Open MPI 4.1 then sends a get and a put and nothing
     * between them, and UCX may answer the get after the put. */
    MPI_Get_accumulate(in, COUNT, MPI_INT64_T, old, COUNT, MPI_INT64_T,
                       ring_next(1), 0, COUNT, MPI_INT64_T, MPI_SUM, w.win);
    MPI_Win_fence(0, w.win);
    for (i = 0; i < COUNT; i++) {
        expect_int("Get_accumulate, old", i,
                   (int64_t)job.size * (job.size + 1) / 2 * (i + 1), old[i]);
        expect_int("Get_accumulate, new", i,
                   old[i] + (int64_t)(ring_prev(1) + 1) * (i + 1), mem[i]);
    }
    window_close(&w);
}

/* Tickets: what Fetch_and_op returns at one target only grows, and no increment
 * is lost. */
static void fetch_and_op(int user_memory)
{
    enum { ROUNDS = 100 };
    const int64_t one = 1;
    int64_t got, last, zero = 0;
    struct window w;
    int i, d, target;

    window_open(&w, 64, user_memory);
    MPI_Win_lock_all(0, w.win);
    for (d = 0; d < job.size; d++) {
        target = ring_next(d);
        for (i = 0, last = -1; i < ROUNDS; i++, last = got) {
            MPI_Fetch_and_op(&one, &got, MPI_INT64_T, target, 8, MPI_SUM,
                             w.win);
            MPI_Win_flush(target, w.win);
            expect_int("Fetch_and_op grows", i, 1, got > last);
        }
    }
    MPI_Barrier(MPI_COMM_WORLD);
    for (target = 0; target < job.size; target++) {
        MPI_Fetch_and_op(&zero, &got, MPI_INT64_T, target, 8, MPI_NO_OP, w.win);
        MPI_Win_flush(target, w.win);
        expect_int("Fetch_and_op total", target, (long long)ROUNDS * job.size,
                   got);
    }
    MPI_Win_unlock_all(w.win);
    window_close(&w);
}

/* Counting by swaps: one that is lost or done twice makes the total wrong. */
static void compare_and_swap(int user_memory)
{
    enum { ROUNDS = 40 };
    int64_t seen = 0, next, got;
    struct window w;
    int i;

    window_open(&w, 64, user_memory);
    MPI_Win_lock_all(0, w.win);
    for (i = 0; i < ROUNDS; i++) {
        for (;;) {
            next = seen + 1;
            MPI_Compare_and_swap(&next, &seen, &got, MPI_INT64_T, 0, 16, w.win);
            MPI_Win_flush(0, w.win);
            if (got == seen) {
                break;
            }
            expect_int("Compare_and_swap grows", i, 1, got > seen);
            seen = got;
        }
        seen = next;
    }
    MPI_Win_unlock_all(w.win);
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Win_lock(MPI_LOCK_SHARED, 0, 0, w.win);
    MPI_Get(&got, 1, MPI_INT64_T, 0, 16, 1, MPI_INT64_T, w.win);
    MPI_Win_unlock(0, w.win);
    expect_int("Compare_and_swap total", 0, (long long)ROUNDS * job.size, got);
    window_close(&w);
}

/* Read, add one, write back, under an exclusive lock: correct only if locks
 * exclude and unlock completes. */
static void exclusive_lock(int user_memory)
{
    enum { ROUNDS = 30, WORDS = 200 };
    int64_t block[WORDS];
    struct window w;
    int i, k;

    window_open(&w, sizeof(block), user_memory);
    for (i = 0; i < ROUNDS; i++) {
        MPI_Win_lock(MPI_LOCK_EXCLUSIVE, 0, 0, w.win);
        MPI_Get(block, WORDS, MPI_INT64_T, 0, 0, WORDS, MPI_INT64_T, w.win);
        MPI_Win_flush(0, w.win);
        for (k = 0; k < WORDS; k++) {
            expect_int("locked block is whole", k, block[0], block[k]);
            block[k] = block[0] + (k > 0);
        }
        block[0]++;
        MPI_Put(block, WORDS, MPI_INT64_T, 0, 0, WORDS, MPI_INT64_T, w.win);
        MPI_Win_unlock(0, w.win);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Win_lock(MPI_LOCK_SHARED, 0, 0, w.win);
    MPI_Get(block, WORDS, MPI_INT64_T, 0, 0, WORDS, MPI_INT64_T, w.win);
    MPI_Win_unlock(0, w.win);
    expect_int("exclusive lock total", 0, (long long)ROUNDS * job.size,
               block[0]);
    window_close(&w);
}

/* Put, flush, Get back; and the local variants, after which the origin buffer
 * may change at once. */
static void flush(int user_memory)
{
    static const size_t n[] = {8, 777, 8192, 100003};
    uint8_t *buf = check_alloc(100003);
    MPI_Request req;
    struct window w;
    size_t i;
    int round, to;

    window_open(&w, 100003 * (size_t)job.size, user_memory);
    MPI_Win_lock_all(0, w.win);
    for (i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
        for (round = 0; round < 5; round++) {
            const MPI_Aint at = (MPI_Aint)100003 * job.rank;

            to = ring_next(round % job.size);
            pattern_fill(buf, n[i], seed_of(job.rank, to, round, n[i]));
            if (round % 2) {
                MPI_Put(buf, (int)n[i], MPI_BYTE, to, at, (int)n[i], MPI_BYTE,
                        w.win);
                MPI_Win_flush_local(to, w.win);
            } else {
                MPI_Rput(buf, (int)n[i], MPI_BYTE, to, at, (int)n[i], MPI_BYTE,
                         w.win, &req);
                MPI_Wait(&req, MPI_STATUS_IGNORE);
            }
            memset(buf, 0, n[i]);
            if (round == 4) {
                MPI_Win_flush_all(w.win);
            } else {
                MPI_Win_flush(to, w.win);
            }
            MPI_Rget(buf, (int)n[i], MPI_BYTE, to, at, (int)n[i], MPI_BYTE,
                     w.win, &req);
            MPI_Wait(&req, MPI_STATUS_IGNORE);
            pattern_check("flush", buf, n[i],
                          seed_of(job.rank, to, round, n[i]));
        }
    }
    MPI_Win_unlock_all(w.win);
    window_close(&w);
    free(buf);
}

/* Post, start, complete, wait with the two neighbours only. */
static void pscw(int user_memory)
{
    static const size_t n[] = {4, 1000, 8200, 66000};
    const int to = ring_next(1), from = ring_prev(1);
    uint8_t *out = check_alloc(66000), *in = check_alloc(66000);
    MPI_Group world, access, exposure;
    struct window w;
    size_t i;

    window_open(&w, 2 * 66000, user_memory);
    MPI_Comm_group(MPI_COMM_WORLD, &world);
    MPI_Group_incl(world, 1, &to, &access);
    MPI_Group_incl(world, 1, &from, &exposure);
    for (i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
        pattern_fill(w.mem + 66000, n[i], seed_of(job.rank, -1, (int)i, n[i]));
        pattern_fill(out, n[i], seed_of(job.rank, to, (int)i, n[i]));
        MPI_Win_post(exposure, 0, w.win);
        MPI_Win_start(access, 0, w.win);
        MPI_Put(out, (int)n[i], MPI_BYTE, to, 0, (int)n[i], MPI_BYTE, w.win);
        MPI_Get(in, (int)n[i], MPI_BYTE, to, 66000, (int)n[i], MPI_BYTE, w.win);
        MPI_Win_complete(w.win);
        MPI_Win_wait(w.win);
        pattern_check("Put, post/start", w.mem, n[i],
                      seed_of(from, job.rank, (int)i, n[i]));
        pattern_check("Get, post/start", in, n[i],
                      seed_of(to, -1, (int)i, n[i]));
    }
    MPI_Group_free(&exposure);
    MPI_Group_free(&access);
    MPI_Group_free(&world);
    window_close(&w);
    free(in);
    free(out);
}

static void all(int user_memory)
{
    fence(user_memory);
    all_pairs(user_memory);
    strided(user_memory);
    accumulate(user_memory);
    fetch_and_op(user_memory);
    compare_and_swap(user_memory);
    exclusive_lock(user_memory);
    flush(user_memory);
    pscw(user_memory);
}

void group_rma(void)
{
    all(0);
}

/* Apart from group_rma because plain UCX 1.13.1 over shared memory may complete
 * a fence before the data (ucp_worker_flush does not see requests that wait for
 * room in the FIFO), so this group can fail there through no fault of ours. */
void group_rma_user(void)
{
    all(1);
}

/* The part of it where that shows most, alone and short: to be run often. */
void group_rma_fence(void)
{
    fence(1);
    all_pairs(1);
}
