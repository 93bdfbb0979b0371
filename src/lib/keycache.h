/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keycache: a fixed number of expanded data keys, found by derivation key and
 * context. Its size does not depend on the number of peers; what it has lost
 * is derived again. Sets of four, least recently used of the set goes; a key is
 * wiped when it leaves.
 *
 *     slot = eesp_keycache_find(cache, &name);
 *     if (slot == NULL) {
 *         slot = eesp_keycache_spare(cache);     fill slot->aead, slot->mask
 *         ... use it; for a received packet only once it has opened: ...
 *         eesp_keycache_keep(cache, &name);      the spare becomes an entry
 *     }
 */
#ifndef EESP_KEYCACHE_H
#define EESP_KEYCACHE_H

#include "aead.h"
#include "context.h"

#define EESP_KEYCACHE_WAYS 4

/* What names a data key. Unused bytes of context are not looked at. */
struct eesp_key_name {
    uint32_t hash;    /* set by eesp_keycache_find() */
    uint16_t master;  /* index of the derivation key */
    uint16_t length;  /* of context, a multiple of 8 */
    uint8_t  context[EESP_CONTEXT_MAX] __attribute__((aligned(8)));
};

void eesp_key_name_hash(struct eesp_key_name *name);

struct eesp_key_slot {
    uint8_t  mask[EESP_NONCE_LEN]; /* IVMASK */
    uint32_t unused;
    uint8_t  commitment[16];       /* where the policy has one */
    /* Expanded key of the AEAD, aead->key_size bytes. */
    uint8_t  aead[] __attribute__((aligned(64)));
};

struct eesp_keycache;

/*
 * entries is rounded up to a power of two of at least 4; names have contexts of
 * at most context_length bytes. NULL: no memory.
 */
struct eesp_keycache *eesp_keycache_create(const struct eesp_aead *aead,
                                           size_t context_length,
                                           unsigned entries);
void eesp_keycache_destroy(struct eesp_keycache *cache);
/* Forgets and wipes every key. */
void eesp_keycache_clear(struct eesp_keycache *cache);

/* NULL: not there, and the name has got its hash, for an insertion. */
struct eesp_key_slot *eesp_keycache_find(struct eesp_keycache *cache,
                                         struct eesp_key_name *name);
struct eesp_key_slot *eesp_keycache_spare(struct eesp_keycache *cache);
/* The key in the spare slot did not prove good: wipes it. */
void eesp_keycache_forget(struct eesp_keycache *cache);
void eesp_keycache_insert(struct eesp_keycache *cache,
                          const struct eesp_key_name *name);
/*
 * The same where there is room; else only if this key was missed a moment ago,
 * or the last eight were not kept, and the others are wiped. With more peers
 * than entries nearly all that is kept gives way unused, and to keep it costs
 * more than to derive it again: the spare slot is in the CPU's first cache, the
 * others are not.
 */
void eesp_keycache_keep(struct eesp_keycache *cache,
                        const struct eesp_key_name *name);

#endif
