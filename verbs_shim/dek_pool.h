/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dek_pool: which keys are in the card. It holds few (DEKs), and a command to
 * its firmware is needed for each: so a fixed number of slots, whatever the
 * number of keys, of which the least recently used that nothing is attached to
 * makes room.
 *
 * The keys are those of receivers (label "SX"), not of pairs: all who hold the
 * same bytes hold one key and one DEK.
 *
 *     dek_pool_create(&ops, card, slots, &pool);
 *     dek_pool_hold(pool, bytes, &key);           counts holders
 *     dek_pool_use(pool, key, &dek);              installs it, counts users
 *     ...
 *     dek_pool_unuse(key);
 *     dek_pool_release(pool, key);                the last wipes it
 *
 * Rotation is hold and use of the new key, renew of what is attached, unuse of
 * the old (drained when its last user is gone) and release, which destroys it.
 * Numbers of data units live as long as the key, not as long as its DEK: an
 * eviction forgets none.
 */
#ifndef VERBS_SHIM_DEK_POOL_H
#define VERBS_SHIM_DEK_POOL_H

#include <stdint.h>

enum { DEK_KEY_LEN = 64, DEK_POOL_KEYS = 4096 };

struct dek_ops {
    /* Into the card. -ENOSPC: it takes no more; -EKEYREJECTED: not this. */
    int (*create)(void *card, const uint8_t key[DEK_KEY_LEN], void **dek_p);
    /* 0 if the card can use it, or -EKEYREJECTED. */
    int (*query)(void *card, void *dek);
    int (*destroy)(void *card, void *dek);
};

/* In memory of eesp_secret_alloc(). */
struct dek_key {
    struct dek_key *next;
    unsigned        holders, users;
    void           *dek;       /* NULL: not in the card */
    uint64_t        used_at;   /* pool's clock */
    unsigned        direction; /* 0 until the first attachment */
    int             lost;      /* the card reported it as in error */
    uint64_t        unit;      /* to take next, or lowest to use */
    uint8_t         bytes[DEK_KEY_LEN];
};

struct dek_pool {
    const struct dek_ops *ops;
    void                 *card;
    unsigned              slots, installed, keys;
    uint64_t              clock;
    uint64_t              evictions;
    struct dek_key       *first;
};

void dek_pool_init(struct dek_pool *pool, const struct dek_ops *ops, void *card,
                   unsigned slots);

/* -EINVAL: halves alike, which XTS must not have; -ENOSPC: DEK_POOL_KEYS. */
int dek_pool_hold(struct dek_pool *pool, const uint8_t bytes[DEK_KEY_LEN],
                  struct dek_key **key_p);
/* -EBUSY if this is the last holder and there are users. */
int dek_pool_release(struct dek_pool *pool, struct dek_key *key);

/*
 * The key's DEK, which stays until unuse. -ENOSPC: all slots, or all that the
 * card has room for, are in use; -EKEYREJECTED: the card cannot use it.
 */
int dek_pool_use(struct dek_pool *pool, struct dek_key *key, void **dek_p);
void dek_pool_unuse(struct dek_key *key);

/* Asks the card: 0, or -EKEYREJECTED, and the key is used no more. */
int dek_pool_check(struct dek_pool *pool, struct dek_key *key);

#endif
