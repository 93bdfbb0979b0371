/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Point to point with derived datatypes: what is between the elements must stay
 * untouched.
 */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define GAP 0x5c

/* Copies the blocks that a vector type (blocks of `len` bytes every `stride`)
 * names into one run of bytes. */
static void gather_blocks(uint8_t *to, const uint8_t *from, size_t blocks,
                          size_t len, size_t stride)
{
    size_t i;

    for (i = 0; i < blocks; i++) {
        memcpy(to + i * len, from + i * stride, len);
    }
}

/* Strided on both sides, strided to contiguous, and contiguous to strided. */
static void vectors(size_t blocks, size_t len, size_t stride)
{
    const int to = ring_next(1), from = ring_prev(1);
    const size_t n = blocks * len, extent = blocks * stride;
    uint8_t *packed = check_alloc(n), *out = check_alloc(extent),
            *in = check_alloc(extent);
    MPI_Datatype type;
    size_t i;
    int way;

    MPI_Type_vector((int)blocks, (int)len, (int)stride, MPI_BYTE, &type);
    MPI_Type_commit(&type);
    for (way = 0; way < 3; way++) {
        const int strided_out = way != 2, strided_in = way != 1;
        const int tag = 10 + way;

        pattern_fill(packed, n, seed_of(job.rank, to, tag, n));
        if (strided_out) {
            memset(out, GAP, extent);
            for (i = 0; i < blocks; i++) {
                memcpy(out + i * stride, packed + i * len, len);
            }
        } else {
            memcpy(out, packed, n);
        }
        memset(in, GAP, extent);
        MPI_Sendrecv(out, strided_out ? 1 : (int)n,
                     strided_out ? type : MPI_BYTE, to, tag, in,
                     strided_in ? 1 : (int)n, strided_in ? type : MPI_BYTE,
                     from, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        if (strided_in) {
            gather_blocks(packed, in, blocks, len, stride);
            for (i = 0; i + 1 < blocks; i++) {
                value_check("gap of vector", in + i * stride + len,
                            stride - len, GAP);
            }
        } else {
            memcpy(packed, in, n);
        }
        pattern_check("vector", packed, n, seed_of(from, job.rank, tag, n));
    }
    MPI_Type_free(&type);
    free(in);
    free(out);
    free(packed);
}

/* Blocks of growing length at growing distances, listed by MPI_Type_indexed. */
static void indexed(void)
{
    enum { BLOCKS = 50, EXTENT = 8000 };
    const int to = ring_next(1), from = ring_prev(1);
    int lens[BLOCKS], at[BLOCKS], i, k, pos = 0;
    int out[EXTENT], in[EXTENT], want;
    MPI_Datatype type;

    for (i = 0; i < BLOCKS; i++) {
        lens[i] = i + 1;
        at[i] = pos;
        pos += 2 * i + 3;
    }
    for (i = 0; i < EXTENT; i++) {
        out[i] = job.rank * 100000 + i;
        in[i] = -1;
    }
    MPI_Type_indexed(BLOCKS, lens, at, MPI_INT, &type);
    MPI_Type_commit(&type);
    MPI_Sendrecv(out, 2, type, to, 20, in, 2, type, from, 20, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    MPI_Type_free(&type);

    /* Two elements: the second starts where the first one's extent ends. */
    pos = at[BLOCKS - 1] + lens[BLOCKS - 1];
    for (i = 0; i < 2 * pos; i++) {
        want = -1;
        for (k = 0; k < BLOCKS; k++) {
            if (i % pos >= at[k] && i % pos < at[k] + lens[k]) {
                want = from * 100000 + i;
            }
        }
        expect_int("indexed", i, want, in[i]);
    }
}

struct particle {
    char kind;
    double where[3];
    short cell;
    int64_t id;
};

/* A struct with padding, as most codes send them. */
static void structs(int count)
{
    const int to = ring_next(1), from = ring_prev(1);
    const int lens[4] = {1, 3, 1, 1};
    const MPI_Aint at[4] = {
        offsetof(struct particle, kind), offsetof(struct particle, where),
        offsetof(struct particle, cell), offsetof(struct particle, id)};
    const MPI_Datatype of[4] = {MPI_CHAR, MPI_DOUBLE, MPI_SHORT, MPI_INT64_T};
    struct particle *out = check_alloc((size_t)count * sizeof(*out));
    struct particle *in = check_alloc((size_t)count * sizeof(*in));
    MPI_Datatype bare, type;
    int i, k;

    MPI_Type_create_struct(4, lens, at, of, &bare);
    MPI_Type_create_resized(bare, 0, sizeof(struct particle), &type);
    MPI_Type_commit(&type);
    memset(in, GAP, (size_t)count * sizeof(*in));
    for (i = 0; i < count; i++) {
        out[i] = (struct particle){(char)(i % 100),
                                   {i, i + job.rank, -i},
                                   (short)(i % 1000),
                                   (int64_t)job.rank << 40 | i};
    }
    MPI_Sendrecv(out, count, type, to, 30, in, count, type, from, 30,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    for (i = 0; i < count; i++) {
        const double where[3] = {i, i + from, -i};

        expect_int("struct: kind", i, i % 100, in[i].kind);
        for (k = 0; k < 3; k++) {
            expect_real("struct: where", i, where[k], in[i].where[k]);
        }
        expect_int("struct: cell", i, i % 1000, in[i].cell);
        expect_int("struct: id", i, (long long)from << 40 | i, in[i].id);
    }
    MPI_Type_free(&type);
    MPI_Type_free(&bare);
    free(in);
    free(out);
}

/* The inner cube of a three-dimensional array: the halo exchange of stencil
 * codes. */
static void subarray(int edge)
{
    const int to = ring_next(1), from = ring_prev(1);
    const int full[3] = {edge, edge, edge},
              part[3] = {edge - 2, edge - 2, edge - 2}, start[3] = {1, 1, 1};
    const size_t n = (size_t)edge * (size_t)edge * (size_t)edge;
    double *out = check_alloc(n * sizeof(*out)),
           *in = check_alloc(n * sizeof(*in));
    MPI_Datatype type;
    size_t i;

    for (i = 0; i < n; i++) {
        out[i] = (double)(job.rank + 1) * 1e6 + (double)i;
        in[i] = -1;
    }
    MPI_Type_create_subarray(3, full, part, start, MPI_ORDER_C, MPI_DOUBLE,
                             &type);
    MPI_Type_commit(&type);
    MPI_Sendrecv(out, 1, type, to, 40, in, 1, type, from, 40, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    for (i = 0; i < n; i++) {
        const int x = (int)i % edge, y = (int)i / edge % edge,
                  z = (int)i / edge / edge;
        const int inner = x > 0 && x < edge - 1 && y > 0 && y < edge - 1 &&
                          z > 0 && z < edge - 1;

        expect_real("subarray", (long)i,
                    inner ? (double)(from + 1) * 1e6 + (double)i : -1.0, in[i]);
    }
    MPI_Type_free(&type);
    free(in);
    free(out);
}

void group_types(void)
{
    vectors(10, 4, 12);
    vectors(1000, 3, 7);
    vectors(2048, 100, 160);
    vectors(33, 40001, 50000);
    indexed();
    structs(1);
    structs(300);
    structs(20000);
    subarray(8);
    subarray(40);
}
