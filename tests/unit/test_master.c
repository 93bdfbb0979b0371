/* SPDX-License-Identifier: BSD-3-Clause */
/* master: every derivation key against HMAC by hand, and the look-up. */
#include "ring.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "master.h"
#include "secret.h"

/* Derivation key of wire-format section 3, with HMAC-SHA-256 alone. */
static void reference(const struct eesp_policy *policy,
                      const struct eesp_key *const root[EESP_LEVELS],
                      uint8_t kdk[32])
{
    const struct eesp_policy_info *p = &policy->info;
    uint8_t ikm[512], prk[32], info[64] = "EESP-SL1 kdk";
    size_t n = 0;
    int level;

    for (level = 0; level < EESP_LEVELS; level++) {
        const struct eesp_key *key = root[level];
        size_t id;

        if (key == NULL)
            continue;
        id       = strlen(key->info.id);
        ikm[n++] = (uint8_t)(level + 1);
        ikm[n++] = (uint8_t)id;
        memcpy(ikm + n, key->info.id, id);
        n       += id;
        ikm[n++] = (uint8_t)(key->info.generation >> 24);
        ikm[n++] = (uint8_t)(key->info.generation >> 16);
        ikm[n++] = (uint8_t)(key->info.generation >> 8);
        ikm[n++] = (uint8_t)key->info.generation;
        ikm[n++] = 0;
        ikm[n++] = (uint8_t)key->info.length;
        memcpy(ikm + n, key->bytes, key->info.length);
        n += key->info.length;
    }
    HMAC(EVP_sha256(), "EESP-SL1 master", 15, ikm, n, prk, NULL);
    info[13] = 0x10;
    info[14] = (uint8_t)p->kdf;
    info[15] = (uint8_t)p->aead;
    info[16] = (uint8_t)p->levels;
    info[17] = (uint8_t)(p->spi >> 24);
    info[18] = (uint8_t)(p->spi >> 16);
    info[19] = (uint8_t)(p->spi >> 8);
    info[20] = (uint8_t)p->spi;
    info[21] = 1; /* the counter of HKDF-Expand */
    HMAC(EVP_sha256(), prk, sizeof(prk), info, 22, kdk, NULL);
}

/* Four levels with three generations each: 81 tuples. */
static json_t *big_ring(unsigned generation)
{
    static const char *const states[] = {"previous", "current", "next"};
    json_t *ring = ring_json(7), *keys = json_array(), *levels = json_object();
    int level, state;

    for (level = 0; level < EESP_LEVELS; level++) {
        const char *name = eesp_level_name((enum eesp_level)level);

        json_object_set_new(levels, name, json_string("x.y"));
        for (state = 0; state < 3; state++)
            json_array_append_new(
                keys, key_json(name, "x.y",
                               generation + 10 * (unsigned)level +
                                   (unsigned)state,
                               states[state], (uint8_t)(level * 3 + state),
                               32 + 8 * (unsigned)level));
    }
    json_object_set_new(ring, "keys", keys);
    json_object_set_new(ring_policy(ring, 0), "levels", levels);
    return ring;
}

static void every_tuple(void **unused)
{
    struct eesp_keyring *ring = ring_parse(big_ring(250));
    const struct eesp_policy *policy = eesp_keyring_policy_at(ring, 0);
    unsigned digit[EESP_LEVELS], i;
    int level;

    (void)unused;
    assert_int_equal(policy->masters_count, 81);
    for (i = 0; i < 81; i++) {
        const struct eesp_key *root[EESP_LEVELS];
        uint8_t g[EESP_LEVELS], got[EESP_LEVELS], kdk[32];
        unsigned rest = i;

        for (level = 0; level < EESP_LEVELS; level++) {
            digit[level] = rest % 3;
            rest        /= 3;
            root[level]  = &ring->keys[3 * (unsigned)level + digit[level]];
            assert_int_equal(root[level]->info.generation,
                             250u + 10 * (unsigned)level + digit[level]);
            g[level] = (uint8_t)root[level]->info.generation;
        }
        assert_int_equal(eesp_master_find(policy, &policy->suites[0], g, 0xff),
                         i);
        eesp_master_generations(policy, i, got);
        assert_memory_equal(g, got, EESP_LEVELS);
        reference(policy, root, kdk);
        assert_true(policy->suites[0].masters[i].present);
        assert_memory_equal(policy->suites[0].masters[i].kdk, kdk, sizeof(kdk));
        for (level = 0; level < EESP_LEVELS; level++)
            g[level] &= 3; /* as the compact option carries them */
        assert_int_equal(eesp_master_find(policy, &policy->suites[0], g, 3), i);
    }
    assert_int_equal(policy->send, 1 + 3 + 9 + 27); /* all current */
    eesp_keyring_free(ring);
}

/* Every byte that a packet can carry, for a ring at every place modulo 256. */
static void look_up(void **unused)
{
    static const uint32_t at[] = {0, 1, 2, 254, 255, 256, 257, 0x7fffffff,
                                  0xfffffffd};
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        struct eesp_keyring *ring = ring_parse(ring_json(at[i] + 1));
        const struct eesp_policy *policy = eesp_keyring_policy_at(ring, 0);
        unsigned value, mask;

        for (mask = 3; mask < 256; mask += 252)
            for (value = 0; value <= mask; value++) {
                uint8_t g[EESP_LEVELS] = {(uint8_t)value, 0, 1, 0};
                unsigned away = (value - at[i]) & mask;
                int wanted = away < 3 ? (int)(away + 3 * EESP_CURRENT) :
                                        EESP_DROP_GENERATION;

                assert_int_equal(eesp_master_find(policy, &policy->suites[0],
                                                  g, mask), wanted);
            }
        eesp_keyring_free(ring);
    }
}

static void unused_levels(void **unused)
{
    struct eesp_keyring *ring = ring_parse(ring_json(7));
    const struct eesp_policy *policy = eesp_keyring_policy_at(ring, 0);
    uint8_t g[EESP_LEVELS];
    unsigned value;

    (void)unused;
    eesp_policy_generations(policy, g);
    assert_int_equal(eesp_master_find(policy, &policy->suites[0], g, 0xff), 4);
    for (value = 1; value < 256; value++) {
        uint8_t tenant[EESP_LEVELS] = {7, (uint8_t)value, 1, 0};
        uint8_t task[EESP_LEVELS]   = {7, 0, 1, (uint8_t)value};

        assert_int_equal(eesp_master_find(policy, &policy->suites[0], tenant,
                                          0xff),
                         EESP_DROP_GENERATION);
        assert_int_equal(eesp_master_find(policy, &policy->suites[0], task,
                                          0xff),
                         EESP_DROP_GENERATION);
        assert_int_equal(eesp_master_find(policy, &policy->suites[0], task, 3),
                         EESP_DROP_GENERATION);
    }
    eesp_keyring_free(ring);
}

/* No wrap: 0 does not follow 2^32 - 1. */
static void end_of_generations(void **unused)
{
    json_t *ring = ring_json(0xfffffffe);
    struct eesp_keyring *keyring = ring_parse(json_deep_copy(ring));
    char why[EESP_WHY_LEN];

    (void)unused;
    eesp_keyring_free(keyring);
    json_object_set_new(ring_key(ring, 2), "eesp_generation", json_integer(0));
    assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "do not follow each other"));
}

static void check_value(json_t *ring, const uint8_t g[EESP_LEVELS],
                        uint8_t value[EESP_CHECK_VALUE_LEN])
{
    struct eesp_keyring *keyring = ring_parse(ring);

    assert_int_equal(eesp_policy_check_value(eesp_keyring_policy_at(keyring, 0),
                                             g, value),
                     EESP_OK);
    eesp_keyring_free(keyring);
}

/* Equal for the same roots whatever their state; else different. */
static void check_values(void **unused)
{
    static const uint8_t g[EESP_LEVELS] = {7, 0, 1, 0}, lacking[EESP_LEVELS] = {
        9, 0, 1, 0};
    uint8_t first[EESP_CHECK_VALUE_LEN], v[EESP_CHECK_VALUE_LEN];
    uint8_t zero[EESP_CHECK_VALUE_LEN] = {0};
    struct eesp_keyring *keyring;
    unsigned i;

    (void)unused;
    check_value(ring_json(7), g, first);
    assert_true(memcmp(first, zero, sizeof(zero)) != 0);
    for (i = 6; i <= 8; i++) { /* 7 as next, current and previous */
        check_value(ring_json(i), g, v);
        assert_memory_equal(first, v, sizeof(v));
    }
    for (i = 0; i < 8; i++) {
        json_t *ring   = ring_json(7), *policy = ring_policy(ring, 0);
        uint8_t at[EESP_LEVELS] = {7, 0, 1, 0};

        if (i == 0) /* a byte of the domain key, of the job key, the length */
            json_array_set_new(json_object_get(ring, "keys"), 1,
                               key_json("domain", "cluster-a", 7, "current",
                                        0x71, 32));
        else if (i == 1)
            json_array_set_new(json_object_get(ring, "keys"), 3,
                               key_json("job", "job-42", 1, "current", 0x43,
                                        32));
        else if (i == 2)
            json_array_set_new(json_object_get(ring, "keys"), 3,
                               key_json("job", "job-42", 1, "current", 0x42,
                                        33));
        else if (i == 3)
            json_object_set_new(policy, "spi", json_integer(RING_SPI + 1));
        else if (i == 4)
            json_object_set_new(policy, "levels",
                                json_pack("{s:s}", "job", "job-42"));
        else if (i == 5) /* the same bytes under another generation */
            json_object_set_new(ring_key(ring, 3), "eesp_generation",
                                json_integer(257));
        else
            at[EESP_DOMAIN] = (uint8_t)(i == 6 ? 6 : 8);
        if (i == 4)
            at[EESP_DOMAIN] = 0;
        check_value(ring, at, v);
        assert_true(memcmp(first, v, sizeof(v)) != 0);
    }
    keyring = ring_parse(ring_json(7));
    assert_int_equal(
        eesp_policy_check_value(eesp_keyring_policy_at(keyring, 0), lacking, v),
        EESP_DROP_GENERATION);
    assert_memory_equal(v, zero, sizeof(zero));
    eesp_keyring_free(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tuple),   cmocka_unit_test(look_up),
        cmocka_unit_test(unused_levels), cmocka_unit_test(end_of_generations),
        cmocka_unit_test(check_values),
    };

    return cmocka_run_group_tests_name("master", tests, NULL, NULL);
}
