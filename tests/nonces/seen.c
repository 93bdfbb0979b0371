/* SPDX-License-Identifier: BSD-3-Clause */
#include "seen.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SUSPECTS_MAX = 4096, RADIX = 256 };

struct seen {
    unsigned passes, pass;
    size_t   room, bytes;
    size_t   used;  /* counted beyond room, too: then it is an error */
    uint64_t total;
    size_t   suspects_count;
    uint64_t suspects[SUSPECTS_MAX];
    uint64_t hashes[];
};

struct seen *seen_create(uint64_t expected, size_t bytes)
{
    size_t room = (bytes - sizeof(struct seen)) / sizeof(uint64_t);
    unsigned passes = 1;
    struct seen *seen;

    /* Parts differ by chance: some room more than on average. */
    while (expected / passes + expected / passes / 16 + 4096 > room)
        passes++;
    if (passes == 1)
        room = (size_t)(expected + expected / 16 + 4096);
    bytes = sizeof(struct seen) + room * sizeof(uint64_t);
    seen  = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seen == MAP_FAILED)
        err(1, "%zu bytes", bytes);
    seen->passes = passes;
    seen->room   = room;
    seen->bytes  = bytes;
    return seen;
}

unsigned seen_passes(const struct seen *seen)
{
    return seen->passes;
}

size_t seen_bytes(const struct seen *seen)
{
    return seen->bytes;
}

uint64_t seen_total(const struct seen *seen)
{
    return seen->total;
}

void seen_start(struct seen *seen, unsigned pass)
{
    seen->pass  = pass;
    seen->used  = 0;
    seen->total = 0;
}

static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash(const void *data, size_t length, uint64_t seed)
{
    const uint8_t *p = data;
    uint64_t h       = seed, word;

    for (; length > 0; length -= 8, p += 8) {
        memcpy(&word, p, sizeof(word));
        h = fold(h ^ word ^ 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u ^ h);
        h = h << 23 | h >> 41;
    }
    return fold(h ^ 0xbf58476d1ce4e5b9u, 0x94d049bb133111ebu);
}

static int compare(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

static void put(struct seen *seen, uint64_t value)
{
    size_t at = __atomic_fetch_add(&seen->used, 1, __ATOMIC_RELAXED);

    if (at < seen->room)
        seen->hashes[at] = value;
}

void seen_note(struct seen *seen, const void *data, size_t length)
{
    uint64_t h = hash(data, length, 1);

    if (seen->pass < seen->passes) {
        /* The upper half chooses the part, all of it tells things apart. */
        if ((h >> 32) * seen->passes >> 32 == seen->pass)
            put(seen, h);
    } else if (bsearch(&h, seen->suspects, seen->suspects_count, sizeof(h),
                       compare) != NULL) {
        put(seen, hash(data, length, 2) ^ h);
    }
    __atomic_fetch_add(&seen->total, 1, __ATOMIC_RELAXED);
}

/* In place, by one byte after the other from the top (American flag sort). */
static void sort(uint64_t *v, size_t n, int shift)
{
    size_t count[RADIX] = {0}, next[RADIX], end[RADIX], at = 0, i;
    unsigned d;

    if (n < 64 || shift < 0) {
        if (n > 1 && shift >= 0)
            qsort(v, n, sizeof(*v), compare);
        return;
    }
    for (i = 0; i < n; i++)
        count[v[i] >> shift & (RADIX - 1)]++;
    for (d = 0; d < RADIX; d++) {
        next[d] = at;
        at     += count[d];
        end[d]  = at;
    }
    for (d = 0; d < RADIX; d++)
        while (next[d] < end[d]) {
            uint64_t value = v[next[d]];
            unsigned to    = value >> shift & (RADIX - 1);

            if (to == d) {
                next[d]++;
            } else {
                v[next[d]]    = v[next[to]];
                v[next[to]++] = value;
            }
        }
    for (d = 0; d < RADIX; d++)
        sort(v + end[d] - count[d], count[d], shift - 8);
}

size_t seen_finish(struct seen *seen, unsigned pass)
{
    size_t i, found = 0;

    if (seen->used > seen->room)
        errx(1, "a part of %zu does not fit the room of %zu", seen->used,
             seen->room);
    sort(seen->hashes, seen->used, 56);
    for (i = 1; i < seen->used; i++) {
        if (seen->hashes[i] != seen->hashes[i - 1])
            continue;
        found++;
        if (pass < seen->passes && seen->suspects_count < SUSPECTS_MAX)
            seen->suspects[seen->suspects_count++] = seen->hashes[i];
    }
    qsort(seen->suspects, seen->suspects_count, sizeof(uint64_t), compare);
    return found;
}
