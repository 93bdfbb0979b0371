/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Patterns, comparisons and the way out when one fails.
 */
#define _GNU_SOURCE 1
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job job;

/* Several threads may check at a time. */
static void held(void)
{
    __atomic_add_fetch(&job.checks, 1, __ATOMIC_RELAXED);
}

static void fail(const char *what, long index, const char *expected,
                 const char *got)
{
    fprintf(stderr, "%s: rank %d: %s: index %ld: expected %s, got %s\n",
            program_invocation_short_name, job.rank, what, index, expected,
            got);
    fflush(stderr);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

void expect_int(const char *what, long index, long long expected, long long got)
{
    char e[32], g[32];

    if (expected != got) {
        snprintf(e, sizeof(e), "%lld", expected);
        snprintf(g, sizeof(g), "%lld", got);
        fail(what, index, e, g);
    }
    held();
}

/* All values the groups compute are whole numbers a double holds exactly, so
 * equality is the right test. */
void expect_real(const char *what, long index, double expected, double got)
{
    char e[48], g[48];

    if (expected < got || expected > got || got != got) {
        snprintf(e, sizeof(e), "%.17g", expected);
        snprintf(g, sizeof(g), "%.17g", got);
        fail(what, index, e, g);
    }
    held();
}

/* splitmix64: neighbouring seeds give unrelated streams, and 8 MiB cost
 * milliseconds. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t seed_of(int src, int dst, int tag, size_t n)
{
    return mix(mix((uint64_t)src << 32 | (uint32_t)dst) ^ ((uint64_t)n << 24) ^
               (uint32_t)tag);
}

void pattern_fill(void *buf, size_t n, uint64_t seed)
{
    uint8_t *p = buf;
    uint64_t word;
    size_t i;

    for (i = 0; i + 8 <= n; i += 8) {
        word = mix(seed + i);
        memcpy(p + i, &word, 8);
    }
    if (i < n) {
        word = mix(seed + i);
        memcpy(p + i, &word, n - i);
    }
}

void pattern_check(const char *what, const void *buf, size_t n, uint64_t seed)
{
    const uint8_t *p = buf;
    uint8_t want[8];
    uint64_t word;
    char e[8], g[8];
    size_t i, k, len;

    for (i = 0; i < n; i += 8) {
        len = n - i < 8 ? n - i : 8;
        word = mix(seed + i);
        memcpy(want, &word, 8);
        if (memcmp(p + i, want, len) == 0) {
            continue;
        }
        for (k = 0; p[i + k] == want[k]; k++) {
        }
        snprintf(e, sizeof(e), "0x%02x", want[k]);
        snprintf(g, sizeof(g), "0x%02x", p[i + k]);
        fail(what, (long)(i + k), e, g);
    }
    held();
}

void value_check(const char *what, const void *buf, size_t n, uint8_t value)
{
    const uint8_t *p = buf;
    char e[8], g[8];
    size_t i;

    for (i = 0; i < n; i++) {
        if (p[i] != value) {
            snprintf(e, sizeof(e), "0x%02x", value);
            snprintf(g, sizeof(g), "0x%02x", p[i]);
            fail(what, (long)i, e, g);
        }
    }
    held();
}

void status_check(const char *what, const MPI_Status *status, int source,
                  int tag, size_t n)
{
    char name[128];
    int count;

    MPI_Get_count(status, MPI_BYTE, &count);
    snprintf(name, sizeof(name), "%s: source, tag (1), length (2)", what);
    expect_int(name, 0, source, status->MPI_SOURCE);
    expect_int(name, 1, tag, status->MPI_TAG);
    expect_int(name, 2, (long long)n, count);
}

void *check_alloc(size_t n)
{
    void *p = malloc(n > 0 ? n : 1);

    if (p == NULL) {
        fprintf(stderr, "%s: rank %d: no memory for %zu bytes\n",
                program_invocation_short_name, job.rank, n);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    return p;
}
