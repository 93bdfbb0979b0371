/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "secret.h"

enum { LARGE = 4 << 20 };

struct eesp_replay_table {
    struct eesp_replay_entry *entries;
    uint64_t *bits;   /* words of each entry, one behind the other */
    unsigned words;   /* one more than the window has: RFC 6479 */
    unsigned window;  /* numbers, 0: strict */
    size_t   mask;  /* places - 1, a power of two at least twice sources */
    unsigned used;
    unsigned sources;
    uint64_t seed[2]; /* keep senders from choosing sources that collide */
    struct eesp_ages ages;
    int may_have_dead; /* an age has ended since they were cleared away */
};

/*
 * A large table is used all over: with pages of 2 MB a look into it does not
 * also miss the translation of its address. NULL: no memory.
 */
static void *map_zeros(size_t size)
{
    void *zeros = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (zeros == MAP_FAILED)
        return NULL;
    if (size >= LARGE)
        madvise(zeros, size, MADV_HUGEPAGE); /* as the machine allows */
    return zeros;
}

struct eesp_replay_table *eesp_replay_create(unsigned sources, unsigned window)
{
    struct eesp_replay_table *table = calloc(1, sizeof(*table));
    size_t places                   = 2;

    if (table == NULL)
        return NULL;
    while (places < 2 * (size_t)sources)
        places *= 2;
    table->mask    = places - 1;
    table->sources = sources;
    /* Not secret; the kernel gives its pages as they are first used. */
    table->entries = map_zeros(places * sizeof(*table->entries));
    if (window != 0) {
        table->window = window;
        table->words  = window / 64 + 1;
        table->bits   = calloc(places, table->words * sizeof(*table->bits));
    }
    if (table->entries == NULL || (window != 0 && table->bits == NULL) ||
        eesp_random(table->seed, sizeof(table->seed)) != EESP_OK) {
        eesp_replay_destroy(table);
        table = NULL;
    }
    return table;
}

void eesp_replay_destroy(struct eesp_replay_table *table)
{
    if (table == NULL)
        return;
    free(table->bits);
    if (table->entries != NULL)
        munmap(table->entries, (table->mask + 1) * sizeof(*table->entries));
    free(table);
}

static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Without the 4 bits of the age. */
static uint64_t source_id(const struct eesp_replay_table *table,
                          const struct eesp_replay_source *s)
{
    uint64_t h = fold(s->incarnation ^ table->seed[0],
                      s->source ^ table->seed[1]);

    h = fold(h ^ table->seed[1], s->session_id ^ table->seed[0]);
    return h / EESP_AGES * EESP_AGES;
}

static size_t home(const struct eesp_replay_table *table, uint64_t id)
{
    return (size_t)(id >> 32) & table->mask;
}

/* Half of the places stay free, so the search ends. */
struct eesp_replay_entry *
eesp_replay_find(const struct eesp_replay_table *table,
                 const struct eesp_replay_source *source)
{
    uint64_t id  = source_id(table, source);
    size_t place = home(table, id);
    struct eesp_replay_entry *entry;

    while ((entry = &table->entries[place])->highest != 0) {
        if ((entry->id ^ id) < EESP_AGES)
            break;
        place = (place + 1) & table->mask;
    }
    return entry;
}

/* Moves an entry to a free place. */
static void move(struct eesp_replay_table *table, size_t from, size_t to)
{
    table->entries[to] = table->entries[from];
    if (table->window != 0)
        memcpy(&table->bits[to * table->words],
               &table->bits[from * table->words],
               table->words * sizeof(*table->bits));
}

static void clear(struct eesp_replay_table *table, size_t place)
{
    table->entries[place] = (struct eesp_replay_entry){0, 0};
    if (table->window != 0)
        memset(&table->bits[place * table->words], 0,
               table->words * sizeof(*table->bits));
}

/* Frees a place, and lets those behind it that a search would miss move up. */
static void forget(struct eesp_replay_table *table, size_t place)
{
    size_t next = place;

    for (;;) {
        size_t at;

        next = (next + 1) & table->mask;
        if (table->entries[next].highest == 0)
            break;
        at = home(table, table->entries[next].id);
        if (((next - at) & table->mask) < ((next - place) & table->mask))
            continue; /* its search begins behind the free place */
        move(table, next, place);
        place = next;
    }
    clear(table, place);
    table->used--;
}

void eesp_replay_age(struct eesp_replay_table *table,
                     const struct eesp_policy *policy)
{
    if (eesp_ages_next(&table->ages, policy) > 0)
        table->may_have_dead = 1;
}

int eesp_replay_make_room(struct eesp_replay_table *table)
{
    size_t place = 0;

    if (!table->may_have_dead)
        return 0;
    table->may_have_dead = 0;
    while (place <= table->mask) {
        const struct eesp_replay_entry *entry = &table->entries[place];

        if (entry->highest != 0 &&
            !eesp_ages_is_live(&table->ages, entry->id % EESP_AGES))
            forget(table, place); /* and look at what came in its place */
        else
            place++;
    }
    return table->used < table->sources;
}

/* The word with the bit of number sequence. */
static uint64_t *word(const struct eesp_replay_table *table,
                      const struct eesp_replay_entry *entry, uint64_t sequence)
{
    return &table->bits[(size_t)(entry - table->entries) * table->words +
                        sequence / 64 % table->words];
}

static uint64_t bit(uint64_t sequence)
{
    return (uint64_t)1 << sequence % 64;
}

/* Number sequence, not above the highest: too old, or opened before? */
static int was_seen(const struct eesp_replay_table *table,
                    const struct eesp_replay_entry *entry, uint64_t sequence)
{
    return sequence == 0 || entry->highest - sequence >= table->window ||
           (*word(table, entry, sequence) & bit(sequence)) != 0;
}

int eesp_replay_check(const struct eesp_replay_table *table,
                      const struct eesp_replay_entry *entry,
                      uint64_t sequence)
{
    if (sequence <= entry->highest && was_seen(table, entry, sequence))
        return EESP_DROP_REPLAY; /* also number 0, which no sender uses */
    if (entry->highest == 0 && table->used >= table->sources)
        return EESP_DROP_REPLAY_FULL;
    return EESP_OK;
}

/*
 * Marks number sequence as opened. Words between the highest number's and its
 * own come into use again: they held numbers that have left the window.
 */
static void mark(struct eesp_replay_table *table,
                 struct eesp_replay_entry *entry, uint64_t sequence)
{
    uint64_t last = sequence / 64, next = entry->highest / 64 + 1;

    if (last >= next + table->words)
        next = last - table->words + 1;
    for (; next <= last; next++)
        *word(table, entry, next * 64) = 0;
    *word(table, entry, sequence) |= bit(sequence);
}

int eesp_replay_commit(struct eesp_replay_table *table,
                       struct eesp_replay_entry *entry,
                       const struct eesp_replay_source *source,
                       uint64_t sequence)
{
    int is_new = entry->highest == 0;

    if (is_new) {
        entry->id = source_id(table, source);
        table->used++;
    }
    entry->id = entry->id / EESP_AGES * EESP_AGES +
                eesp_ages_now(&table->ages);
    if (table->window != 0)
        mark(table, entry, sequence);
    if (sequence > entry->highest)
        entry->highest = sequence;
    return is_new;
}
