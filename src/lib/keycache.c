/* SPDX-License-Identifier: BSD-3-Clause */
#include "keycache.h"

#include <stdlib.h>
#include <string.h>

#include "eesp.h"
#include "secret.h"

/* Keys that were not kept lately: who comes again among so many is. */
enum { MISSED = 64, MISSED_SHIFT = 26, REFUSE = 8 };

struct entry {
    uint32_t             slot;
    uint32_t             used; /* clock of the last use */
    struct eesp_key_name name; /* length 0: free; its end is cut off */
};

struct eesp_keycache {
    const struct eesp_aead *aead;
    uint8_t      *entries;
    struct entry *last;   /* the one found or inserted last */
    struct entry *before; /* and the one before it */
    size_t        entry_stride;
    size_t        name_size; /* as much of a name as there is */
    uint32_t      set_mask;
    uint32_t      entries_count;
    uint32_t      clock;
    uint32_t      spare;      /* slot that no entry has */
    size_t        stride;     /* bytes of a slot */
    uint8_t      *slots;      /* secret memory, entries_count + 1 */
    uint32_t      slots_open; /* with aead->open() done */
    uint32_t      refused;    /* keys that were not kept, since one was */
    uint32_t      missed[MISSED]; /* hashes, by their upper bits */
};

static struct eesp_key_slot *slot_at(const struct eesp_keycache *cache,
                                     uint32_t index)
{
    void *slot = cache->slots + index * cache->stride;

    return slot;
}

static struct entry *entry_at(const struct eesp_keycache *cache,
                              uint32_t index)
{
    void *entry = cache->entries + index * cache->entry_stride;

    return entry;
}

static size_t slots_size(const struct eesp_keycache *cache)
{
    return (cache->entries_count + 1) * cache->stride;
}

struct eesp_keycache *eesp_keycache_create(const struct eesp_aead *aead,
                                           size_t context_length,
                                           unsigned entries)
{
    struct eesp_keycache *cache = calloc(1, sizeof(*cache));
    uint32_t count              = EESP_KEYCACHE_WAYS;

    if (cache == NULL)
        return NULL;
    while (count < entries && count < 1u << 20)
        count *= 2;
    cache->aead          = aead;
    cache->entries_count = count;
    cache->set_mask      = count / EESP_KEYCACHE_WAYS - 1;
    cache->spare         = count;
    cache->stride = (sizeof(struct eesp_key_slot) + aead->key_size + 63) &
                    ~(size_t)63;
    cache->name_size = offsetof(struct eesp_key_name, context) +
                       ((context_length + 7) & ~(size_t)7);
    cache->entry_stride = offsetof(struct entry, name) + cache->name_size;
    cache->entries      = calloc(count, cache->entry_stride);
    cache->slots   = eesp_secret_alloc(slots_size(cache));
    if (cache->entries == NULL || cache->slots == NULL)
        goto fail;
    cache->last   = entry_at(cache, 0);
    cache->before = cache->last;
    for (; cache->slots_open <= count; cache->slots_open++) {
        if (cache->slots_open < count)
            entry_at(cache, cache->slots_open)->slot = cache->slots_open;
        if (aead->open(slot_at(cache, cache->slots_open)->aead) != EESP_OK)
            goto fail;
    }
    return cache;
fail:
    eesp_keycache_destroy(cache);
    return NULL;
}

void eesp_keycache_destroy(struct eesp_keycache *cache)
{
    if (cache == NULL)
        return;
    while (cache->slots_open > 0)
        cache->aead->close(slot_at(cache, --cache->slots_open)->aead);
    eesp_secret_free(cache->slots, slots_size(cache));
    free(cache->entries);
    free(cache);
}

static inline uint64_t word(const struct eesp_key_name *name, unsigned i)
{
    uint64_t w;

    memcpy(&w, name->context + 8 * i, sizeof(w));
    return w;
}

/* Products that do not wait for each other; the high halves mix the low. */
void eesp_key_name_hash(struct eesp_key_name *name)
{
    unsigned words = name->length / 8, i;
    uint64_t h     = name->master;

    for (i = 0; i + 1 < words; i += 2) {
        unsigned __int128 product =
            (unsigned __int128)(word(name, i) ^ 0x9e3779b97f4a7c15u) *
            (word(name, i + 1) ^ 0xbf58476d1ce4e5b9u);

        h ^= ((uint64_t)product ^ (uint64_t)(product >> 64)) + i;
    }
    if (i < words)
        h ^= (word(name, i) ^ 0x94d049bb133111ebu) * 0xd6e8feb86659fd93u;
    name->hash = (uint32_t)(h ^ h >> 32);
}

static struct entry *set_of(const struct eesp_keycache *cache,
                            const struct eesp_key_name *name)
{
    return entry_at(cache,
                    (name->hash & cache->set_mask) * EESP_KEYCACHE_WAYS);
}

static struct entry *next_of(const struct eesp_keycache *cache,
                             struct entry *entry)
{
    void *next = (uint8_t *)entry + cache->entry_stride;

    return next;
}

/* Contexts are public: no need for constant time. */
static int same_name(const struct eesp_key_name *a,
                     const struct eesp_key_name *b)
{
    unsigned words = b->length / 8, i;
    uint64_t other = a->master ^ b->master;

    if (a->length != b->length)
        return 0;
    for (i = 0; i < words; i++)
        other |= word(a, i) ^ word(b, i);
    return other == 0;
}

static struct eesp_key_slot *touch(struct eesp_keycache *cache,
                                   struct entry *entry)
{
    if (entry != cache->last) {
        cache->before = cache->last;
        cache->last   = entry;
    }
    entry->used = ++cache->clock;
    return slot_at(cache, entry->slot);
}

/*
 * A stream of packets to one peer has the key of the packet before; where it
 * answers each, there are two keys by turns.
 */
struct eesp_key_slot *eesp_keycache_find(struct eesp_keycache *cache,
                                         struct eesp_key_name *name)
{
    struct entry *entry;
    int i;

    if (same_name(&cache->last->name, name))
        return touch(cache, cache->last);
    if (same_name(&cache->before->name, name))
        return touch(cache, cache->before);
    eesp_key_name_hash(name);
    entry = set_of(cache, name);
    for (i = 0; i < EESP_KEYCACHE_WAYS; i++, entry = next_of(cache, entry))
        if (entry->name.hash == name->hash && same_name(&entry->name, name))
            return touch(cache, entry);
    return NULL;
}

struct eesp_key_slot *eesp_keycache_spare(struct eesp_keycache *cache)
{
    return slot_at(cache, cache->spare);
}

static void wipe_slot(struct eesp_keycache *cache, struct eesp_key_slot *slot)
{
    explicit_bzero(slot->mask, sizeof(slot->mask));
    cache->aead->forget(slot->aead);
}

void eesp_keycache_forget(struct eesp_keycache *cache)
{
    wipe_slot(cache, eesp_keycache_spare(cache));
}

void eesp_keycache_clear(struct eesp_keycache *cache)
{
    uint32_t i;

    for (i = 0; i < cache->entries_count; i++) {
        struct entry *entry = entry_at(cache, i);

        if (entry->name.length == 0)
            continue;
        wipe_slot(cache, slot_at(cache, entry->slot));
        memset(&entry->name, 0, cache->name_size);
    }
    eesp_keycache_forget(cache);
}

static int is_full(const struct eesp_keycache *cache, struct entry *entry)
{
    int i;

    for (i = 0; i < EESP_KEYCACHE_WAYS; i++, entry = next_of(cache, entry))
        if (entry->name.length == 0)
            return 0;
    return 1;
}

void eesp_keycache_keep(struct eesp_keycache *cache,
                        const struct eesp_key_name *name)
{
    uint32_t *missed = &cache->missed[name->hash >> MISSED_SHIFT];

    if (*missed != name->hash && cache->refused < REFUSE &&
        is_full(cache, set_of(cache, name))) {
        *missed = name->hash;
        cache->refused++;
        eesp_keycache_forget(cache);
        return;
    }
    cache->refused = 0;
    eesp_keycache_insert(cache, name);
}

/*
 * The entry that gives way passes its slot on as the new spare. Its key is
 * overwritten there at once, not whenever the spare is next used.
 */
void eesp_keycache_insert(struct eesp_keycache *cache,
                          const struct eesp_key_name *name)
{
    struct entry *entry = set_of(cache, name), *victim = entry;
    uint32_t slot;
    int i, had_key;

    for (i = 0; i < EESP_KEYCACHE_WAYS; i++, entry = next_of(cache, entry)) {
        if (entry->name.length == 0) {
            victim = entry;
            break;
        }
        /* Age, so that the clock may wrap. */
        if (cache->clock - entry->used > cache->clock - victim->used)
            victim = entry;
    }
    had_key = victim->name.length != 0;
    slot    = victim->slot;
    memcpy(&victim->name, name, cache->name_size);
    victim->slot = cache->spare;
    cache->spare = slot;
    (void)touch(cache, victim);
    if (had_key)
        wipe_slot(cache, slot_at(cache, slot));
}
