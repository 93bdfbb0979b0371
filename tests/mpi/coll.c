/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Blocking collectives. Every value is a whole number small enough for each
 * type, so results are exact in any order.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int counts[] = {1, 3, 17, 1000, 2049, 8193, 65537};

#define NCOUNTS (sizeof(counts) / sizeof(counts[0]))

/* What rank r contributes at index i: 1..10, different for neighbours in both
 * directions. */
static long long value(int r, long i)
{
    return (r * 3 + i * 7) % 10 + 1;
}

/* The same result, computed without MPI. */
static long long reduced(MPI_Op op, long i)
{
    long long v = value(0, i), w;
    int r;

    for (r = 1; r < job.size; r++) {
        w = value(r, i);
        v = op == MPI_SUM    ? v + w
            : op == MPI_PROD ? v * w
            : op == MPI_MAX  ? (w > v ? w : v)
            : op == MPI_MIN  ? (w < v ? w : v)
            : op == MPI_BXOR ? (v ^ w)
            : op == MPI_BAND ? (v & w)
                             : (v | w);
    }
    return v;
}

/* Access to element i of a buffer of this type. */
static void put(void *buf, MPI_Datatype type, long i, long long v)
{
    if (type == MPI_INT32_T) {
        ((int32_t *)buf)[i] = (int32_t)v;
    } else if (type == MPI_INT64_T) {
        ((int64_t *)buf)[i] = v;
    } else if (type == MPI_UINT16_T) {
        ((uint16_t *)buf)[i] = (uint16_t)v;
    } else if (type == MPI_FLOAT) {
        ((float *)buf)[i] = (float)v;
    } else {
        ((double *)buf)[i] = (double)v;
    }
}

static double get(const void *buf, MPI_Datatype type, long i)
{
    if (type == MPI_INT32_T) {
        return ((const int32_t *)buf)[i];
    } else if (type == MPI_INT64_T) {
        return (double)((const int64_t *)buf)[i];
    } else if (type == MPI_UINT16_T) {
        return ((const uint16_t *)buf)[i];
    } else if (type == MPI_FLOAT) {
        return ((const float *)buf)[i];
    }
    return ((const double *)buf)[i];
}

static void allreduce(MPI_Datatype type, MPI_Op op, int count, int in_place)
{
    void *in = check_alloc((size_t)count * 8),
         *out = check_alloc((size_t)count * 8);
    int i;

    for (i = 0; i < count; i++) {
        put(in, type, i, value(job.rank, i));
    }
    if (in_place) {
        memcpy(out, in, (size_t)count * 8);
    }
    MPI_Allreduce(in_place ? MPI_IN_PLACE : in, out, count, type, op,
                  MPI_COMM_WORLD);
    for (i = 0; i < count; i++) {
        expect_real("allreduce", i, (double)reduced(op, i), get(out, type, i));
    }
    free(out);
    free(in);
}

/* The largest value and the lowest rank that has it: a pair type with a gap in
 * it. */
static void maxloc(void)
{
    enum { COUNT = 777 };
    struct {
        double v;
        int r;
    } in[COUNT], out[COUNT];
    int i, r, best;

    memset(in, 0, sizeof(in));
    for (i = 0; i < COUNT; i++) {
        in[i].v = (double)value(job.rank, i);
        in[i].r = job.rank;
    }
    MPI_Allreduce(in, out, COUNT, MPI_DOUBLE_INT, MPI_MAXLOC, MPI_COMM_WORLD);
    for (i = 0; i < COUNT; i++) {
        for (r = 1, best = 0; r < job.size; r++) {
            best = value(r, i) > value(best, i) ? r : best;
        }
        expect_real("maxloc: value", i, (double)value(best, i), out[i].v);
        expect_int("maxloc: rank", i, best, out[i].r);
    }
}

/* x -> a x + b, packed as two numbers: composition is associative but not
 * commutative, so the order of ranks shows. */
static void compose(void *in, void *inout, int *len, MPI_Datatype *type)
{
    const int64_t *f = in;
    int64_t *g = inout;
    int i;

    (void)type;
    for (i = 0; i < *len; i++, f += 2, g += 2) {
        g[1] += f[1] * g[0];
        g[0] *= f[0];
    }
}

static void user_op(void)
{
    enum { COUNT = 500 };
    int64_t in[2 * COUNT], out[2 * COUNT], a, b;
    MPI_Datatype pair;
    MPI_Op op;
    int i, r;

    MPI_Type_contiguous(2, MPI_INT64_T, &pair);
    MPI_Type_commit(&pair);
    MPI_Op_create(compose, 0, &op);
    for (i = 0; i < COUNT; i++) {
        in[2 * i] = value(job.rank, i);
        in[2 * i + 1] = job.rank + i;
    }
    MPI_Allreduce(in, out, COUNT, pair, op, MPI_COMM_WORLD);
    for (i = 0; i < COUNT; i++) {
        for (r = job.size - 1, a = 1, b = 0; r >= 0; r--) {
            b += (r + i) * a;
            a *= value(r, i);
        }
        expect_int("user operation: factor", i, a, out[2 * i]);
        expect_int("user operation: addend", i, b, out[2 * i + 1]);
    }
    MPI_Op_free(&op);
    MPI_Type_free(&pair);
}

void group_allreduce(void)
{
    const MPI_Datatype ints[] = {MPI_INT32_T, MPI_INT64_T, MPI_UINT16_T},
                       reals[] = {MPI_FLOAT, MPI_DOUBLE};
    const MPI_Op arith[] = {MPI_SUM, MPI_PROD, MPI_MAX, MPI_MIN},
                 bits[] = {MPI_BXOR, MPI_BAND, MPI_BOR};
    size_t c, t, o;

    for (c = 0; c < NCOUNTS; c++) {
        for (t = 0; t < 3; t++) {
            /* The longest vectors with one operation per type only, to bound
             * the time. */
            for (o = 0; o < (counts[c] > 9000 ? 1 : 4); o++) {
                allreduce(ints[t], arith[o], counts[c], (int)o & 1);
            }
            for (o = 0; o < (counts[c] > 9000 ? 0 : 3); o++) {
                allreduce(ints[t], bits[o], counts[c], (int)o & 1);
            }
        }
        for (t = 0; t < 2; t++) {
            for (o = 0; o < (counts[c] > 9000 ? 1 : 4); o++) {
                allreduce(reals[t], arith[o], counts[c], (int)o & 1);
            }
        }
    }
    allreduce(MPI_DOUBLE, MPI_SUM, 500001, 0);
    maxloc();
    user_op();
}

static void alltoall(size_t n)
{
    uint8_t *out = check_alloc(n * (size_t)job.size),
            *in = check_alloc(n * (size_t)job.size);
    int r;

    for (r = 0; r < job.size; r++) {
        pattern_fill(out + (size_t)r * n, n, seed_of(job.rank, r, 1, n));
    }
    memset(in, 0, n * (size_t)job.size);
    MPI_Alltoall(out, (int)n, MPI_BYTE, in, (int)n, MPI_BYTE, MPI_COMM_WORLD);
    for (r = 0; r < job.size; r++) {
        pattern_check("alltoall", in + (size_t)r * n, n,
                      seed_of(r, job.rank, 1, n));
    }
    free(in);
    free(out);
}

/* From 0 up to 6 units, different for each pair and direction. */
static int part(int from, int to, int unit)
{
    return (from * 5 + to * 3) % 7 * unit;
}

static void alltoallv(int unit)
{
    const size_t max = 7 * (size_t)unit;
    uint8_t *out = check_alloc(max * (size_t)job.size),
            *in = check_alloc(max * (size_t)job.size);
    int *n = check_alloc(4 * (size_t)job.size * sizeof(*n));
    int *out_n = n, *out_at = n + job.size, *in_n = n + 2 * job.size,
        *in_at = n + 3 * job.size;
    int r;

    memset(in, 0x5c, max * (size_t)job.size);
    for (r = 0; r < job.size; r++) {
        out_n[r] = part(job.rank, r, unit);
        in_n[r] = part(r, job.rank, unit);
        out_at[r] = (int)max * r;
        in_at[r] = (int)max * (job.size - 1 - r);
        pattern_fill(out + out_at[r], (size_t)out_n[r],
                     seed_of(job.rank, r, unit, (size_t)out_n[r]));
    }
    MPI_Alltoallv(out, out_n, out_at, MPI_BYTE, in, in_n, in_at, MPI_BYTE,
                  MPI_COMM_WORLD);
    for (r = 0; r < job.size; r++) {
        pattern_check("alltoallv", in + in_at[r], (size_t)in_n[r],
                      seed_of(r, job.rank, unit, (size_t)in_n[r]));
        value_check("room behind alltoallv", in + in_at[r] + in_n[r],
                    max - (size_t)in_n[r], 0x5c);
    }
    free(n);
    free(in);
    free(out);
}

void group_alltoall(void)
{
    static const size_t n[] = {0,    1,    13,   64,    1000,
                               4097, 8192, 8193, 65537, 262145};
    static const int units[] = {1, 9, 700, 8191, 40001};
    size_t i;

    for (i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
        alltoall(n[i]);
    }
    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        alltoallv(units[i]);
    }
    /* Many short ones back to back: ranks run ahead of each other. */
    for (i = 0; i < 300; i++) {
        alltoall(8 + i % 5);
    }
}

void group_bcast(void)
{
    static const size_t n[] = {0,    1,     100,   1024,   8191,
                               8192, 65535, 65537, 1048579};
    uint8_t *buf = check_alloc(1048579);
    size_t i;
    int root;

    for (i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
        for (root = 0; root < job.size; root++) {
            memset(buf, 0, n[i]);
            if (job.rank == root) {
                pattern_fill(buf, n[i], seed_of(root, 0, (int)i, n[i]));
            }
            MPI_Bcast(buf, (int)n[i], MPI_BYTE, root, MPI_COMM_WORLD);
            pattern_check("bcast", buf, n[i], seed_of(root, 0, (int)i, n[i]));
        }
    }
    free(buf);
}

static void reduce_scatter(MPI_Datatype type, MPI_Op op, int unit)
{
    int *n = check_alloc((size_t)job.size * sizeof(*n)), total = 0, mine = 0, i,
        r;
    void *in, *out;

    for (r = 0; r < job.size; r++) {
        n[r] = unit * (r + 1);
        mine += r < job.rank ? n[r] : 0;
        total += n[r];
    }
    in = check_alloc((size_t)total * 8);
    out = check_alloc((size_t)n[job.rank] * 8);
    for (i = 0; i < total; i++) {
        put(in, type, i, value(job.rank, i));
    }
    MPI_Reduce_scatter(in, out, n, type, op, MPI_COMM_WORLD);
    for (i = 0; i < n[job.rank]; i++) {
        expect_real("reduce_scatter", i, (double)reduced(op, mine + i),
                    get(out, type, i));
    }
    MPI_Reduce_scatter_block(in, out, unit, type, op, MPI_COMM_WORLD);
    for (i = 0; i < unit; i++) {
        expect_real("reduce_scatter_block", i,
                    (double)reduced(op, job.rank * unit + i),
                    get(out, type, i));
    }
    free(out);
    free(in);
    free(n);
}

void group_reduce_scatter(void)
{
    size_t c;

    for (c = 0; c < NCOUNTS; c++) {
        reduce_scatter(MPI_INT32_T, MPI_SUM, counts[c]);
        reduce_scatter(MPI_DOUBLE, MPI_MAX, counts[c]);
        reduce_scatter(MPI_INT64_T, MPI_BXOR, counts[c]);
    }
}
