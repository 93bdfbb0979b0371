/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay.h"

#include <stdlib.h>

#include "secret.h"

struct eesp_replay_table {
    struct eesp_replay_entry *entries;
    uint64_t *bits;   /* words of each entry, one behind the other */
    unsigned words;   /* one more than the window has: RFC 6479 */
    unsigned window;  /* numbers, 0: strict */
    size_t   mask;  /* places - 1, a power of two at least twice sources */
    unsigned used;
    unsigned sources;
    uint64_t seed;  /* keeps insiders from choosing colliding sources */
};

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
    table->entries = calloc(places, sizeof(*table->entries));
    if (window != 0) {
        table->window = window;
        table->words  = window / 64 + 1;
        table->bits   = calloc(places, table->words * sizeof(*table->bits));
    }
    if (table->entries == NULL || (window != 0 && table->bits == NULL) ||
        eesp_random(&table->seed, sizeof(table->seed)) != EESP_OK) {
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
    free(table->entries);
    free(table);
}

static size_t hash(const struct eesp_replay_table *table,
                   const struct eesp_replay_source *s)
{
    uint64_t h = s->incarnation ^ table->seed;

    h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 29 ^ s->source) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 32 ^ s->session_id) * 0x94d049bb133111ebu;
    return (size_t)(h ^ h >> 31);
}

/* Half of the places stay free, so the search ends. */
struct eesp_replay_entry *
eesp_replay_find(const struct eesp_replay_table *table,
                 const struct eesp_replay_source *source)
{
    size_t place = hash(table, source) & table->mask;
    struct eesp_replay_entry *entry;

    while ((entry = &table->entries[place])->highest != 0) {
        if (entry->incarnation == source->incarnation &&
            entry->source == source->source &&
            entry->session_id == source->session_id)
            break;
        place = (place + 1) & table->mask;
    }
    return entry;
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
        entry->incarnation = source->incarnation;
        entry->source      = source->source;
        entry->session_id  = source->session_id;
        table->used++;
    }
    if (table->window != 0)
        mark(table, entry, sequence);
    if (sequence > entry->highest)
        entry->highest = sequence;
    return is_new;
}
