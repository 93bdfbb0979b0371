/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a keyring may take the place of one in use: nothing goes back. */
#include <string.h>

#include "keyring.h"
#include "secret.h"

/* The generation that is current in the key's ring, whatever its own state. */
static int64_t current_generation(const struct eesp_key_info *key)
{
    return (int64_t)key->generation + EESP_CURRENT - (int64_t)key->state;
}

static int follows_key(const struct eesp_key *old, const struct eesp_key *next,
                       const char *name, char why[EESP_WHY_LEN])
{
    const struct eesp_key_info *a = &old->info, *b = &next->info;
    int64_t from = current_generation(a), to = current_generation(b);

    if (a->level != b->level || strcmp(a->id, b->id) != 0)
        return EESP_OK;
    if (to < from)
        return eesp_keyring_refuse(why, name, "%s key \"%s\" goes back from "
                                   "generation %lld to %lld; the keys loaded "
                                   "before stay: put the newer keyring back",
                                   eesp_level_name(b->level), b->id,
                                   (long long)from, (long long)to);
    if (a->generation == b->generation && a->length != 0 && b->length != 0 &&
        (a->length != b->length ||
         !eesp_same(old->bytes, next->bytes, a->length)))
        return eesp_keyring_refuse(why, name, "%s key \"%s\": generation %u "
                                   "has other bytes than before; the keys "
                                   "loaded before stay: a new key needs a new "
                                   "generation", eesp_level_name(b->level),
                                   b->id, b->generation);
    return EESP_OK;
}

static int follows_granted(const struct eesp_keyring *old,
                           const struct eesp_granted *next, const char *name,
                           char why[EESP_WHY_LEN])
{
    const struct eesp_granted *before =
        eesp_granted_find(old, next->spi, next->kdf, next->aead,
                          next->generations);

    if (before == NULL || before->has_client != next->has_client ||
        before->client != next->client ||
        eesp_same(before->key.bytes, next->key.bytes, sizeof(next->key.bytes)))
        return EESP_OK;
    return eesp_keyring_refuse(why, name, "granted key \"%s\" of SPI %u has "
                               "other bytes than before for the same "
                               "generations; the keys loaded before stay",
                               next->key.info.id, next->spi);
}

/* Epochs are serial numbers of 16 bits (wire-format section 8). */
static int follows_policy(const struct eesp_policy_info *old,
                          const struct eesp_policy_info *next,
                          const char *name, char why[EESP_WHY_LEN])
{
    if ((uint16_t)(next->epoch - old->epoch) < 0x8000)
        return EESP_OK;
    return eesp_keyring_refuse(why, name, "policy \"%s\" (SPI %u) goes back "
                               "from epoch %u to %u; the keys loaded before "
                               "stay: put the newer keyring back", next->name,
                               next->spi, old->epoch, next->epoch);
}

int eesp_keyring_follows(const struct eesp_keyring *old,
                         const struct eesp_keyring *next, const char *name,
                         char why[EESP_WHY_LEN])
{
    unsigned i, k;
    int ret;

    for (i = 0; i < old->keys_count; i++)
        for (k = 0; k < next->keys_count; k++) {
            ret = follows_key(&old->keys[i], &next->keys[k], name, why);
            if (ret != EESP_OK)
                return ret;
        }
    for (i = 0; i < next->granted_count; i++) {
        ret = follows_granted(old, &next->granted[i], name, why);
        if (ret != EESP_OK)
            return ret;
    }
    for (i = 0; i < next->policies_count; i++) {
        const struct eesp_policy_info *info = &next->policies[i].info;
        const struct eesp_policy *before =
            eesp_keyring_policy_spi(old, info->spi);

        if (before == NULL)
            continue;
        ret = follows_policy(&before->info, info, name, why);
        if (ret != EESP_OK)
            return ret;
    }
    return EESP_OK;
}
