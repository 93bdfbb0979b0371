/* SPDX-License-Identifier: BSD-3-Clause */
/* grant: derivation keys of a policy, for who shall not have its roots. */
#include <string.h>

#include "bytes.h"
#include "master.h"

unsigned eesp_policy_grants(const struct eesp_policy *policy)
{
    return policy->suites_count * policy->masters_count;
}

/* State and lifetime of a tuple: that of the keys it is made from. */
static void grant_lifetime(const struct eesp_policy *policy,
                           const struct eesp_suite *suite, unsigned index,
                           struct eesp_grant *grant)
{
    int level;

    grant->state = EESP_CURRENT;
    if (suite->granted != NULL) {
        const struct eesp_granted *granted = eesp_granted_find(
            policy->keyring, policy->info.spi, grant->kdf, grant->aead,
            grant->generations);

        grant->not_before = granted->key.info.not_before;
        grant->expires    = granted->key.info.expires;
    }
    for (level = 0; level < EESP_LEVELS; level++) {
        const struct eesp_key_info *key;

        if (!(policy->info.levels & 1u << level))
            continue;
        key = &policy->keyring
                   ->keys[policy->ring[level][eesp_master_state(&index)]]
                   .info;
        if (key->state == EESP_NEXT || grant->state == EESP_CURRENT)
            grant->state = key->state;
        if (key->not_before > grant->not_before)
            grant->not_before = key->not_before;
        if (key->expires != 0 &&
            (grant->expires == 0 || key->expires < grant->expires))
            grant->expires = key->expires;
    }
}

int eesp_policy_grant(const struct eesp_policy *policy, unsigned index,
                      const uint64_t *client, struct eesp_grant *grant)
{
    const struct eesp_suite *suite;
    const struct eesp_master *master;
    uint8_t id[sizeof(*client)];

    memset(grant, 0, sizeof(*grant));
    if (index >= eesp_policy_grants(policy) ||
        (client != NULL && policy->info.client == EESP_CLIENT_NONE))
        return EESP_ERR_ARGUMENT;
    suite  = &policy->suites[index / policy->masters_count];
    index %= policy->masters_count;
    master = &suite->masters[index];
    if (suite->granted != NULL && suite->granted->has_client)
        return EESP_ERR_ARGUMENT;
    if (!master->present)
        return EESP_DROP_GENERATION;
    grant->kdf    = (enum eesp_kdf_id)suite->kdf->id;
    grant->aead   = suite->aead;
    grant->length = suite->kdf->key_length;
    eesp_master_tuple(policy, index, grant->generations);
    grant_lifetime(policy, suite, index, grant);
    if (client == NULL) {
        memcpy(grant->key, master->kdk, grant->length);
        return EESP_OK;
    }
    /* KDKc = KDF(KDK, "SD", client id), wire-format section 3. */
    store64(id, *client);
    return eesp_kdf_once(suite->kdf, master->kdk, EESP_LABEL_CLIENT_KEY, id,
                         sizeof(id), grant->key, grant->length);
}
