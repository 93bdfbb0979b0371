/* SPDX-License-Identifier: BSD-3-Clause */
#include "master.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include "bytes.h"
#include "fips.h"
#include "secret.h"

#define MASTER_LABEL "EESP-SL1 master"
#define KDK_LABEL    "EESP-SL1 kdk"

enum {
    PRK_LEN = 32,
    PROFILE = 0, /* SL1 */
    FORMAT  = 1,
    IKM_MAX = EESP_LEVELS *
              (1 + 1 + EESP_KEY_ID_MAX + 4 + 2 + EESP_KEY_MAX),
};

/* HKDF with SHA-256 (RFC 5869), one of its two steps. */
static int hkdf(int mode, const uint8_t *key, size_t key_length,
                const char *octets, const void *data, size_t data_length,
                uint8_t *out, size_t length)
{
    EVP_KDF *kdf     = EVP_KDF_fetch(eesp_crypto_context(), "HKDF",
                                     eesp_crypto_properties());
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, "SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key,
                                          key_length),
        OSSL_PARAM_construct_octet_string(octets, (void *)data, data_length),
        OSSL_PARAM_construct_end(),
    };
    int done = ctx != NULL && EVP_KDF_derive(ctx, out, length, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return done ? EESP_OK : EESP_ERR_CRYPTO;
}

static size_t put_root(uint8_t *out, const struct eesp_key *key)
{
    size_t id  = strlen(key->info.id);
    uint8_t *p = out;

    *p++ = (uint8_t)(key->info.level + 1);
    *p++ = (uint8_t)id;
    memcpy(p, key->info.id, id);
    p += id;
    store32(p, key->info.generation);
    store16(p + 4, (uint16_t)key->info.length);
    memcpy(p + 6, key->bytes, key->info.length);
    return (size_t)(p - out) + 6 + key->info.length;
}

static size_t put_info(uint8_t *out, const struct eesp_policy_info *info,
                       const struct eesp_suite *suite)
{
    uint8_t *p = out;

    memcpy(p, KDK_LABEL, sizeof(KDK_LABEL)); /* with its NUL, the 00 */
    p   += sizeof(KDK_LABEL);
    *p++ = FORMAT << 4 | PROFILE;
    *p++ = suite->kdf->id;
    *p++ = (uint8_t)suite->aead;
    *p++ = (uint8_t)info->levels;
    store32(p, info->spi);
    return (size_t)(p - out) + 4;
}

unsigned eesp_master_state(unsigned *index)
{
    unsigned state = *index % EESP_STATES;

    *index /= EESP_STATES;
    return state;
}

int eesp_master_is_old(const struct eesp_policy *policy, unsigned index)
{
    int level, old = 0;

    for (level = 0; level < EESP_LEVELS; level++)
        if (policy->info.levels & 1u << level)
            old |= eesp_master_state(&index) == EESP_PREVIOUS;
    return old;
}

int eesp_master_tuple(const struct eesp_policy *policy, unsigned index,
                      uint32_t generations[EESP_LEVELS])
{
    int level, key;

    memset(generations, 0, EESP_LEVELS * sizeof(*generations));
    for (level = 0; level < EESP_LEVELS; level++) {
        if (!(policy->info.levels & 1u << level))
            continue;
        key = policy->ring[level][eesp_master_state(&index)];
        if (key < 0)
            return 0;
        generations[level] = policy->keyring->keys[key].info.generation;
    }
    return 1;
}

/* When a key's lifetime ends: *until becomes that, if it is sooner. */
static void take_end(const struct eesp_keyring *keyring,
                     const struct eesp_key_info *key, uint64_t *until)
{
    uint64_t end = key->expires - keyring->loaded + keyring->loaded_boot;

    if (key->expires != 0 && (*until == 0 || end < *until))
        *until = end;
}

/* A tuple that was not granted stays absent. */
static void copy_tuple(const struct eesp_policy *policy,
                       const struct eesp_suite *suite, unsigned index,
                       struct eesp_master *master)
{
    uint32_t generations[EESP_LEVELS];
    const struct eesp_granted *granted;

    if (!eesp_master_tuple(policy, index, generations))
        return;
    granted = eesp_granted_find(policy->keyring, policy->info.spi,
                                (enum eesp_kdf_id)suite->kdf->id, suite->aead,
                                generations);
    if (granted == NULL)
        return;
    memcpy(master->kdk, granted->key.bytes, suite->kdf->key_length);
    master->present = 1;
    if (granted->key.info.state != EESP_CURRENT)
        take_end(policy->keyring, &granted->key.info, &master->until);
}

static int derive_tuple(const struct eesp_policy *policy,
                        const struct eesp_suite *suite, unsigned index,
                        struct eesp_master *master)
{
    const struct eesp_keyring *keyring = policy->keyring;
    uint8_t ikm[IKM_MAX], prk[PRK_LEN], info[64];
    size_t length = 0, info_length = put_info(info, &policy->info, suite);
    int level, ret = EESP_OK;

    if (suite->granted != NULL) {
        copy_tuple(policy, suite, index, master);
        return EESP_OK;
    }
    for (level = 0; level < EESP_LEVELS; level++) {
        int key;

        if (!(policy->info.levels & 1u << level))
            continue;
        key = policy->ring[level][eesp_master_state(&index)];
        if (key < 0)
            goto out; /* the ring has no such key: the tuple stays absent */
        length += put_root(ikm + length, &keyring->keys[key]);
        if (keyring->keys[key].info.state == EESP_PREVIOUS)
            take_end(keyring, &keyring->keys[key].info, &master->until);
    }
    ret = hkdf(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, ikm, length,
               OSSL_KDF_PARAM_SALT, MASTER_LABEL, strlen(MASTER_LABEL), prk,
               sizeof(prk));
    if (ret == EESP_OK)
        ret = hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, prk, sizeof(prk),
                   OSSL_KDF_PARAM_INFO, info, info_length, master->kdk,
                   suite->kdf->key_length);
    master->present = ret == EESP_OK;
out:
    explicit_bzero(ikm, sizeof(ikm));
    explicit_bzero(prk, sizeof(prk));
    return ret;
}

/* Whether a key is within its lifetime; *until becomes its end, if sooner. */
static int sends_now(const struct eesp_keyring *keyring,
                     const struct eesp_key_info *key, uint64_t *until)
{
    if (key->not_before > keyring->loaded ||
        (key->expires != 0 && key->expires <= keyring->loaded))
        return 0;
    take_end(keyring, key, until);
    return 1;
}

/*
 * The tuple of the current keys sends. nbf and exp are compared with the wall
 * clock here only; from now on the boot clock counts what is left.
 */
static void choose_sender(struct eesp_policy *policy)
{
    const struct eesp_keyring *keyring = policy->keyring;
    unsigned radix = 1, index = 0;
    uint64_t until = 0;
    int level;

    policy->send = -1;
    if (policy->suites[0].granted != NULL &&
        !sends_now(keyring, &policy->suites[0].granted->key.info, &until))
        return;
    for (level = 0; level < EESP_LEVELS; level++) {
        int key = policy->ring[level][EESP_CURRENT];

        if (!(policy->info.levels & 1u << level))
            continue;
        if (key < 0 || !sends_now(keyring, &keyring->keys[key].info, &until))
            return;
        index += radix * EESP_CURRENT;
        radix *= EESP_STATES;
    }
    policy->send       = (int)index;
    policy->send_until = until;
}

static unsigned tuples(const struct eesp_policy *policy)
{
    unsigned count = 1;
    int level;

    for (level = 0; level < EESP_LEVELS; level++)
        if (policy->info.levels & 1u << level)
            count *= EESP_STATES;
    return count;
}

/* All tuples of one suite, into masters. */
static int derive_suite(struct eesp_keyring *keyring,
                        const struct eesp_policy *policy,
                        struct eesp_suite *suite, struct eesp_master *masters)
{
    unsigned index;
    int ret = EESP_OK;

    suite->masters = masters;
    for (index = 0; index < policy->masters_count && ret == EESP_OK; index++) {
        uint64_t until;

        ret   = derive_tuple(policy, suite, index, &masters[index]);
        until = masters[index].until;
        if (until != 0 && (keyring->until == 0 || until < keyring->until))
            keyring->until = until;
    }
    return ret;
}

int eesp_masters_derive(struct eesp_keyring *keyring, const char *name,
                        char why[EESP_WHY_LEN])
{
    size_t total = 0, used = 0;
    unsigned i, k;

    for (i = 0; i < keyring->policies_count; i++)
        total += keyring->policies[i].suites_count *
                 tuples(&keyring->policies[i]);
    if (total == 0)
        return EESP_OK; /* policies of other profiles only */
    keyring->masters_size = total * sizeof(*keyring->masters);
    keyring->masters      = eesp_secret_alloc(keyring->masters_size);
    if (keyring->masters == NULL)
        return eesp_keyring_refuse(why, name, "out of memory");
    for (i = 0; i < keyring->policies_count; i++) {
        struct eesp_policy *policy = &keyring->policies[i];

        policy->masters_count = tuples(policy);
        for (k = 0; k < policy->suites_count; k++) {
            if (derive_suite(keyring, policy, &policy->suites[k],
                             keyring->masters + used) != EESP_OK)
                return eesp_keyring_refuse(why, name, "libcrypto refused "
                                           "HKDF with SHA-256");
            used += policy->masters_count;
        }
        choose_sender(policy);
    }
    return EESP_OK;
}

int eesp_master_find(const struct eesp_policy *policy,
                     const struct eesp_suite *suite,
                     const uint8_t generations[EESP_LEVELS], unsigned mask)
{
    unsigned radix = 1, index = 0;
    int level, state;

    for (level = 0; level < EESP_LEVELS; level++) {
        if (!(policy->info.levels & 1u << level)) {
            if (generations[level] != 0)
                return EESP_DROP_GENERATION;
            continue;
        }
        /* Three neighbours differ modulo 256 and modulo 4: no ambiguity. */
        for (state = 0; state < EESP_STATES; state++) {
            int key = policy->ring[level][state];

            if (key >= 0 && ((policy->keyring->keys[key].info.generation ^
                              generations[level]) & mask) == 0)
                break;
        }
        if (state == EESP_STATES)
            return EESP_DROP_GENERATION;
        index += radix * (unsigned)state;
        radix *= EESP_STATES;
    }
    /* Granted keys need not be all that the generations could make. */
    return suite->masters[index].present ? (int)index : EESP_DROP_GENERATION;
}

void eesp_master_generations(const struct eesp_policy *policy, unsigned index,
                             uint8_t generations[EESP_LEVELS])
{
    int level;

    for (level = 0; level < EESP_LEVELS; level++) {
        int key = -1;

        if (policy->info.levels & 1u << level)
            key = policy->ring[level][eesp_master_state(&index)];
        generations[level] =
            key < 0 ? 0 : (uint8_t)policy->keyring->keys[key].info.generation;
    }
}

void eesp_policy_generations(const struct eesp_policy *policy,
                             uint8_t generations[EESP_LEVELS])
{
    memset(generations, 0, EESP_LEVELS);
    if (policy->send >= 0)
        eesp_master_generations(policy, (unsigned)policy->send, generations);
}

int eesp_policy_check_value(const struct eesp_policy *policy,
                            const uint8_t generations[EESP_LEVELS],
                            uint8_t value[EESP_CHECK_VALUE_LEN])
{
    const struct eesp_suite *suite = &policy->suites[0];
    int index = eesp_master_find(policy, suite, generations, 0xff);

    memset(value, 0, EESP_CHECK_VALUE_LEN);
    if (index < 0)
        return index;
    if (suite->granted != NULL && suite->granted->has_client)
        return EESP_ERR_UNSUPPORTED; /* it needs the key that the client's
                                        was made from */
    return eesp_kdf_once(suite->kdf, suite->masters[index].kdk,
                         EESP_LABEL_CHECK_VALUE, NULL, 0, value,
                         EESP_CHECK_VALUE_LEN);
}

int eesp_keyring_stale(const struct eesp_keyring *keyring)
{
    return keyring->until != 0 && eesp_boot_seconds() >= keyring->until;
}
