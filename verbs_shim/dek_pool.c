/* SPDX-License-Identifier: BSD-3-Clause */
#include "dek_pool.h"

#include <errno.h>
#include <string.h>

#include "secret.h"

void dek_pool_init(struct dek_pool *pool, const struct dek_ops *ops, void *card,
                   unsigned slots)
{
    *pool = (struct dek_pool){.ops = ops, .card = card, .slots = slots};
}

int dek_pool_hold(struct dek_pool *pool, const uint8_t bytes[DEK_KEY_LEN],
                  struct dek_key **key_p)
{
    struct dek_key *key;

    *key_p = NULL;
    if (eesp_same(bytes, bytes + DEK_KEY_LEN / 2, DEK_KEY_LEN / 2))
        return -EINVAL;
    for (key = pool->first; key != NULL; key = key->next) {
        if (eesp_same(key->bytes, bytes, DEK_KEY_LEN)) {
            key->holders++;
            *key_p = key;
            return 0;
        }
    }
    if (pool->keys >= DEK_POOL_KEYS)
        return -ENOSPC;
    key = eesp_secret_alloc(sizeof(*key));
    if (key == NULL)
        return -ENOMEM;
    memcpy(key->bytes, bytes, DEK_KEY_LEN);
    key->holders = 1;
    key->next    = pool->first;
    pool->first  = key;
    pool->keys++;
    *key_p = key;
    return 0;
}

/* Out of the card. A card that is gone has lost its keys by itself. */
static void uninstall(struct dek_pool *pool, struct dek_key *key)
{
    if (key->dek == NULL)
        return;
    (void)pool->ops->destroy(pool->card, key->dek);
    key->dek = NULL;
    pool->installed--;
}

int dek_pool_release(struct dek_pool *pool, struct dek_key *key)
{
    struct dek_key **at;

    if (key->holders == 1 && key->users > 0)
        return -EBUSY;
    if (--key->holders > 0)
        return 0;
    uninstall(pool, key);
    for (at = &pool->first; *at != key; at = &(*at)->next)
        continue;
    *at = key->next;
    pool->keys--;
    eesp_secret_free(key, sizeof(*key));
    return 0;
}

/* The least recently used that has no user; 0, or -ENOSPC if all have. */
static int evict(struct dek_pool *pool)
{
    struct dek_key *key, *oldest = NULL;

    for (key = pool->first; key != NULL; key = key->next)
        if (key->dek != NULL && key->users == 0 &&
            (oldest == NULL || key->used_at < oldest->used_at))
            oldest = key;
    if (oldest == NULL)
        return -ENOSPC;
    uninstall(pool, oldest);
    pool->evictions++;
    return 0;
}

static int install(struct dek_pool *pool, struct dek_key *key)
{
    int ret = 0;

    if (pool->installed >= pool->slots)
        ret = evict(pool);
    while (ret == 0) {
        ret = pool->ops->create(pool->card, key->bytes, &key->dek);
        /* Others use the card's keys, too: there is less room than it said. */
        if (ret != -ENOSPC)
            break;
        ret = evict(pool);
    }
    if (ret != 0) {
        key->dek = NULL;
        return ret;
    }
    pool->installed++;
    ret = pool->ops->query(pool->card, key->dek);
    if (ret != 0)
        uninstall(pool, key);
    return ret;
}

int dek_pool_use(struct dek_pool *pool, struct dek_key *key, void **dek_p)
{
    int ret;

    if (key->lost)
        return -EKEYREJECTED;
    if (key->dek == NULL) {
        ret = install(pool, key);
        if (ret != 0)
            return ret;
    }
    key->used_at = ++pool->clock;
    key->users++;
    *dek_p = key->dek;
    return 0;
}

void dek_pool_unuse(struct dek_key *key)
{
    key->users--;
}

int dek_pool_check(struct dek_pool *pool, struct dek_key *key)
{
    if (!key->lost && key->dek != NULL &&
        pool->ops->query(pool->card, key->dek) != 0)
        key->lost = 1;
    return key->lost ? -EKEYREJECTED : 0;
}
