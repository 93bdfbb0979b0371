/* SPDX-License-Identifier: BSD-3-Clause */
/* offload: keys of label "SX" against the oracle's, and what has none. */
#include "ring.h"

enum { VECTORS_MIN = 20 };

static uint64_t hex64(const json_t *v, const char *member)
{
    return strtoull(json_string_value(json_object_get(v, member)), NULL, 16);
}

static uint64_t number(const json_t *v, const char *member)
{
    return (uint64_t)json_integer_value(json_object_get(v, member));
}

static struct eesp_offload_receiver receiver_of(const json_t *v)
{
    struct eesp_offload_receiver r = {
        .incarnation = hex64(v, "incarnation"),
        .id          = hex64(v, "id"),
        .rank        = (uint32_t)number(v, "rank"),
        .number      = number(v, "number"),
        .epoch       = (uint16_t)number(v, "epoch"),
    };
    int level;

    for (level = 0; level < EESP_LEVELS; level++)
        r.generations[level] = (uint8_t)json_integer_value(
            json_array_get(json_object_get(v, "generations"), (size_t)level));
    return r;
}

/* Computed by tests/oracle/offload.py, which shares no code with libeesp. */
static void known_answers(void **state)
{
    char path[512], why[EESP_WHY_LEN];
    struct eesp_keyring *keyring;
    json_t *file, *list, *v;
    json_error_t error;
    size_t i;
    FILE *f;
    static char text[1 << 18];

    (void)state;
    /* Vectors are readable by all, which the file's own loader refuses. */
    snprintf(path, sizeof(path), "%s/keyring.json", vectors_dir("eesp"));
    f = fopen(path, "r");
    assert_non_null(f);
    i = fread(text, 1, sizeof(text), f);
    fclose(f);
    assert_int_equal(eesp_keyring_parse(path, text, i, &keyring, why),
                     EESP_OK);
    snprintf(path, sizeof(path), "%s/offload_keys.json", vectors_dir("eesp"));
    file = json_load_file(path, 0, &error);
    assert_non_null(file);
    list = json_object_get(file, "vectors");
    assert_true(json_array_size(list) >= VECTORS_MIN);
    json_array_foreach(list, i, v) {
        struct eesp_offload_receiver r = receiver_of(v);
        uint8_t want[EESP_OFFLOAD_KEY_MAX], key[EESP_OFFLOAD_KEY_MAX];
        size_t n = unhex(json_string_value(json_object_get(v, "key")), want,
                         sizeof(want));

        assert_int_equal(eesp_policy_offload_key(
                             eesp_keyring_policy_spi(
                                 keyring, (uint32_t)number(v, "spi")),
                             (enum eesp_offload_use)number(v, "use"), &r, key,
                             n), EESP_OK);
        assert_memory_equal(key, want, n);
    }
    json_decref(file);
    eesp_keyring_free(keyring);
}

static int derive(const struct eesp_policy *policy,
                  const struct eesp_offload_receiver *r, uint8_t key[64])
{
    return eesp_policy_offload_key(policy, EESP_OFFLOAD_XTS, r, key, 64);
}

/* A sample receiver of ring_json(7), whose epoch is 2 and window 1. */
static struct eesp_offload_receiver sample(const struct eesp_policy *policy)
{
    struct eesp_offload_receiver r = {.incarnation = 0x1234, .id = 5,
                                      .rank = 6, .number = 7, .epoch = 2};

    eesp_policy_generations(policy, r.generations);
    return r;
}

/* No part of the receiver may be forgotten: a key would come twice. */
static void every_part_counts(void **state)
{
    struct eesp_keyring *keyring = ring_parse(ring_json(7));
    const struct eesp_policy *policy = eesp_keyring_policy_at(keyring, 0);
    struct eesp_offload_receiver r = sample(policy), other[7];
    uint8_t key[8][64];
    size_t i, j;

    (void)state;
    for (i = 0; i < 7; i++)
        other[i] = r;
    other[0].incarnation++;
    other[1].id++;
    other[2].rank++;
    other[3].number++;
    other[4].epoch++;
    other[5].generations[EESP_DOMAIN]++;
    other[6].generations[EESP_DOMAIN]--;
    assert_int_equal(derive(policy, &r, key[7]), EESP_OK);
    for (i = 0; i < 7; i++)
        assert_int_equal(derive(policy, &other[i], key[i]), EESP_OK);
    for (i = 0; i < 8; i++) {
        assert_memory_not_equal(key[i], key[i] + 32, 32); /* IEEE 1619 */
        for (j = 0; j < i; j++)
            assert_memory_not_equal(key[i], key[j], 64);
    }
    /* Another use: not the first half of the same bytes. */
    assert_int_equal(eesp_policy_offload_key(policy, EESP_OFFLOAD_GMAC, &r,
                                             key[0], 32), EESP_OK);
    assert_memory_not_equal(key[0], key[7], 32);
    eesp_keyring_free(keyring);
}

static void refusals(void **state)
{
    static const uint8_t zeros[64];
    struct eesp_keyring *keyring = ring_parse(ring_json(7));
    const struct eesp_policy *policy = eesp_keyring_policy_at(keyring, 0);
    struct eesp_offload_receiver r = sample(policy), bad;
    uint8_t key[64];

    (void)state;
    memset(key, 0xa5, sizeof(key));
    bad = r;
    bad.incarnation = 0;
    assert_int_equal(derive(policy, &bad, key), EESP_ERR_ARGUMENT);
    assert_memory_equal(key, zeros, sizeof(key));
    assert_int_equal(eesp_policy_offload_key(policy, EESP_OFFLOAD_XTS, &r, key,
                                             32), EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_policy_offload_key(policy, EESP_OFFLOAD_GMAC, &r,
                                             key, 64), EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_policy_offload_key(policy,
                                             (enum eesp_offload_use)3, &r, key,
                                             32), EESP_ERR_ARGUMENT);
    bad = r;
    bad.generations[EESP_DOMAIN] += 2;
    assert_int_equal(derive(policy, &bad, key), EESP_DROP_GENERATION);
    bad = r;
    bad.generations[EESP_TENANT] = 1; /* a level that the policy has not */
    assert_int_equal(derive(policy, &bad, key), EESP_DROP_GENERATION);
    bad       = r;
    bad.epoch = 4;
    assert_int_equal(derive(policy, &bad, key), EESP_DROP_EPOCH);
    bad.epoch = 0;
    assert_int_equal(derive(policy, &bad, key), EESP_DROP_EPOCH);
    bad.epoch = 1;
    assert_int_equal(derive(policy, &bad, key), EESP_OK);
    eesp_keyring_free(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(every_part_counts),
        cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
