/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keyring: the keys in it. Every defect is refused whole, by a
 * message that names the source and what is wrong. Policies: test_policy.c,
 * text that is no JSON: test_keyring_text.c.
 */
#include "ring.h"

#include <time.h>

#include "keyring.h"
#include "master.h"

/* Refused with a message that begins with the source and holds all texts. */
static void refused(json_t *ring, const char *text)
{
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN];
    int ret = ring_try(ring, &keyring, why);

    if (ret == EESP_OK)
        fail_msg("accepted, though: %s", text);
    assert_int_equal(ret, EESP_ERR_KEYRING);
    assert_null(keyring);
    assert_int_equal(strncmp(why, "ring.jwks: ", 11), 0);
    if (strstr(why, text) == NULL)
        fail_msg("\"%s\" does not say: %s", why, text);
}

/* The ring with one member of its first key (or of the top) changed. */
static json_t *with_key(const char *member, json_t *value)
{
    json_t *ring = ring_json(7);

    if (value != NULL)
        json_object_set_new(ring_key(ring, 0), member, value);
    else
        json_object_del(ring_key(ring, 0), member);
    return ring;
}

static json_t *with_top(const char *member, json_t *value)
{
    json_t *ring = ring_json(7);

    if (value != NULL)
        json_object_set_new(ring, member, value);
    else
        json_object_del(ring, member);
    return ring;
}

static void good(void **unused)
{
    struct eesp_keyring *k = ring_parse(ring_json(7));
    struct eesp_key_info info;

    (void)unused;
    assert_int_equal(eesp_keyring_keys(k), 4);
    assert_int_equal(eesp_keyring_policies(k), 1);
    eesp_keyring_key(k, 2, &info);
    assert_int_equal(info.level, EESP_DOMAIN);
    assert_int_equal(info.state, EESP_NEXT);
    assert_int_equal(info.generation, 8);
    assert_int_equal(info.length, 32);
    assert_string_equal(info.id, "cluster-a");
    assert_true(info.expires == 0 && info.not_before == 0);
    eesp_keyring_key(k, 4, &info); /* past the end: nothing */
    assert_int_equal(info.length, 0);
    assert_non_null(eesp_keyring_policy(k, "default"));
    assert_ptr_equal(eesp_keyring_policy(k, "65602"),
                     eesp_keyring_policy_at(k, 0));
    assert_ptr_equal(eesp_keyring_policy(k, "0x10042"),
                     eesp_keyring_policy_spi(k, RING_SPI));
    assert_null(eesp_keyring_policy(k, "Default"));
    assert_null(eesp_keyring_policy(k, ""));
    assert_null(eesp_keyring_policy(k, "65602x"));
    assert_null(eesp_keyring_policy(k, "4295032898")); /* 2^32 + 65602 */
    assert_null(eesp_keyring_policy_at(k, 1));
    assert_null(eesp_keyring_policy_spi(k, 1));
    eesp_keyring_free(k);
    eesp_keyring_free(NULL);
}

/* What is not ours is ignored, at the top and in keys. */
static void foreign_members(void **unused)
{
    json_t *ring = ring_json(7);

    (void)unused;
    json_object_set_new(ring, "issuer", json_pack("{s:[i,n]}", "a", 1));
    json_object_set_new(ring, "eesp", json_true());
    json_object_set_new(ring_key(ring, 0), "alg", json_string("A256GCM"));
    json_object_set_new(ring_key(ring, 0), "x-owner", json_null());
    eesp_keyring_free(ring_parse(ring));
}

static void top_level(void **unused)
{
    (void)unused;
    refused(json_array(), "not a JSON object");
    refused(json_object(), "eesp_version must be 1");
    refused(with_top("eesp_version", NULL), "eesp_version must be 1");
    refused(with_top("eesp_version", json_integer(2)), "must be 1");
    refused(with_top("eesp_version", json_string("1")), "must be 1");
    refused(with_top("eesp_version", json_real(1.0)), "must be 1");
    refused(with_top("eesp_vresion", json_integer(1)), "\"eesp_vresion\"");
    refused(with_top("eesp_level", json_string("job")), "\"eesp_level\"");
    refused(with_top("keys", NULL), "\"keys\"");
    refused(with_top("keys", json_array()), "\"keys\"");
    refused(with_top("keys", json_object()), "\"keys\"");
    refused(with_top("eesp_policies", NULL), "\"eesp_policies\"");
    refused(with_top("eesp_policies", json_array()), "\"eesp_policies\"");
    refused(with_top("eesp_policies", json_object()), "\"eesp_policies\"");
}

static void key_members(void **unused)
{
    static const char *const wrong_ids[] = {
        "", "a b", "a/b", "caf\xc3\xa9", "a\nb", "123456789012345678901234567890123"};
    static const char *const names[] = {"kty", "kid", "k", "eesp_level",
                                        "eesp_state", "eesp_generation"};
    size_t i;

    (void)unused;
    for (i = 0; i < 6; i++) {
        char quoted[40];

        snprintf(quoted, sizeof(quoted), "\"%s\"", names[i]);
        refused(with_key(names[i], NULL), quoted); /* missing */
        refused(with_key(names[i], json_null()), quoted); /* wrong types */
        refused(with_key(names[i], json_real(7.5)), quoted);
        refused(with_key(names[i], json_array()), quoted);
        refused(with_key(names[i], json_string("")), quoted);
        refused(with_key(names[i], json_true()), quoted);
        refused(with_key("kid", json_string(wrong_ids[i])),
                "key 1: \"kid\" must be");
    }
    refused(with_key("kty", json_string("RSA")), "must be \"oct\"");
    refused(with_key("kty", json_string("OCT")), "must be \"oct\"");
    refused(with_key("eesp_level", json_string("Domain")),
            "domain, tenant, job, task, master, psp or tss");
    refused(with_key("eesp_state", json_string("old")),
            "previous, current or next");
    refused(with_key("eesp_stat", json_string("next")),
            "key 1: unknown member \"eesp_stat\"");
    refused(with_key("eesp_spi", json_integer(1)), "\"eesp_spi\"");
    refused(with_key("eesp_generation", json_integer(-1)),
            "0 to 4294967295");
    refused(with_key("eesp_generation", json_integer(4294967296)),
            "0 to 4294967295");
    refused(with_key("nbf", json_string("now")), "\"nbf\"");
    refused(with_key("nbf", json_integer(-1)), "\"nbf\"");
    refused(with_key("exp", json_real(1.8e9)), "\"exp\"");
    refused(with_top("keys", json_pack("[i]", 5)), "key 1: ");
    refused(with_top("keys", json_pack("[s]", "k")), "key 1: ");
}

static void key_lengths(void **unused)
{
    size_t n;

    (void)unused;
    for (n = 0; n <= 100; n++) {
        json_t *ring = ring_json(7);

        json_array_set_new(json_object_get(ring, "keys"), 3,
                           key_json("job", "job-42", 1, "current", 1, n));
        if (n >= 32 && n <= 64) {
            struct eesp_keyring *k = ring_parse(ring);

            assert_int_equal(k->keys[3].info.length, n);
            assert_int_equal(k->keys[3].bytes[0], 1);
            assert_int_equal(k->keys[3].bytes[n - 1], n);
            eesp_keyring_free(k);
        } else {
            refused(ring, n < 32 ? "bytes short of the 32" :
                                   "at most 64 bytes");
        }
    }
}

/* 43 characters are 32 bytes and two bits that must be zero. */
static void base64(void **unused)
{
    static const char good_characters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char k[64];
    unsigned c, at;

    (void)unused;
    for (at = 0; at < 43; at += 21)
        for (c = 1; c < 256; c++) {
            const char *place = strchr(good_characters, (int)c);
            json_t *ring;

            memset(k, 'A', 43);
            k[43] = '\0';
            k[at] = (char)c;
            if (c >= 0x80) /* U+0080..: two bytes in JSON */
                continue;
            ring = with_key("k", json_string(k));
            if (place != NULL && (at < 42 || (place - good_characters) % 4 == 0))
                eesp_keyring_free(ring_parse(ring));
            else
                refused(ring, "key 1: \"k\" is not base64url");
        }
    memset(k, 'A', sizeof(k));
    strcpy(k + 43, "=");
    refused(with_key("k", json_string(k)), "not base64url"); /* padded */
    strcpy(k + 43, "\xc3\xa9");
    refused(with_key("k", json_string(k)), "not base64url");
    strcpy(k + 43, "AA"); /* 45 characters: no number of bytes */
    refused(with_key("k", json_string(k)), "not base64url");
}

static void rings(void **unused)
{
    json_t *ring;

    (void)unused;
    refused(with_key("eesp_generation", json_integer(5)),
            "generations 5 and 7 do not follow each other");
    refused(with_key("eesp_generation", json_integer(7)),
            "do not follow each other");
    refused(with_key("eesp_state", json_string("current")),
            "domain key \"cluster-a\": two keys are \"current\"");
    ring = ring_json(7);
    json_object_set_new(ring_key(ring, 2), "eesp_generation", json_integer(9));
    refused(ring, "do not follow each other");
    /* previous and next without a current between them */
    ring = ring_json(7);
    json_array_remove(json_object_get(ring, "keys"), 1);
    eesp_keyring_free(ring_parse(ring));
    /* Rings are by level and id: this key is then in no policy. */
    eesp_keyring_free(ring_parse(with_key("kid", json_string("other"))));
    eesp_keyring_free(ring_parse(with_key("eesp_level", json_string("task"))));
}

/* Seals one packet under policy 0 of ring. */
static int seal_once(json_t *ring)
{
    struct eesp_keyring *keyring = ring_parse(ring);
    struct eesp_lane *lane = lane_open(keyring, (struct eesp_lane_params){0});
    struct eesp_destination to = {0};
    struct iovec iov           = {"x", 1};
    uint8_t packet[200];
    size_t length;
    int ret = eesp_seal(lane, &to, &iov, 1, packet, sizeof(packet), &length);

    eesp_lane_destroy(lane);
    eesp_keyring_free(keyring);
    return ret;
}

static json_t *with_time(size_t key, const char *member, time_t value)
{
    json_t *ring = ring_json(7);

    json_object_set_new(ring_key(ring, key), member, json_integer(value));
    return ring;
}

static void lifetimes(void **unused)
{
    static const uint8_t gone[EESP_LEVELS] = {6, 0, 1, 0};
    time_t now = time(NULL);
    struct eesp_keyring *keyring;
    struct eesp_policy *policy;
    unsigned i;

    (void)unused;
    for (i = 1; i < 4; i += 2) { /* current domain key, current job key */
        assert_int_equal(seal_once(with_time(i, "exp", now + 1000)), EESP_OK);
        assert_int_equal(seal_once(with_time(i, "exp", now - 1)),
                         EESP_ERR_EXPIRED);
        assert_int_equal(seal_once(with_time(i, "nbf", now - 1)), EESP_OK);
        assert_int_equal(seal_once(with_time(i, "nbf", now + 1000)),
                         EESP_ERR_EXPIRED);
    }
    /* An expired previous key is erased, and its packets have no key. */
    keyring = ring_parse(with_time(0, "exp", now - 1));
    policy  = &keyring->policies[0];
    assert_int_equal(eesp_keyring_keys(keyring), 3);
    assert_int_equal(eesp_master_find(policy, &policy->suites[0], gone, 0xff),
                     EESP_DROP_GENERATION);
    eesp_keyring_free(keyring);
    refused(with_time(1, "exp", 0), "\"exp\" 0 is in 1970");
    /* It belongs to its ring until then, wherever it stands. */
    for (i = 0; i < 2; i++) {
        json_t *ring = with_time(0, "exp", now - 1), *keys, *key;

        json_object_set_new(ring_key(ring, 0), "eesp_generation",
                            json_integer(3));
        keys = json_object_get(ring, "keys");
        key  = json_incref(json_array_get(keys, 0));
        json_array_remove(keys, 0);
        json_array_insert_new(keys, 3 * i, key);
        refused(ring, "do not follow each other");
    }
    keyring = ring_parse(with_time(0, "exp", now + 1000));
    assert_int_equal(eesp_keyring_keys(keyring), 4);
    policy = &keyring->policies[0];
    assert_true(eesp_master_find(policy, &policy->suites[0], gone, 0xff) >= 0);
    eesp_keyring_free(keyring);
}

/* The end comes while the keyring is in use; the first of two counts. */
static void expires_in_use(void **unused)
{
    json_t *ring = with_time(1, "exp", time(NULL) + 1000);
    struct eesp_keyring *keyring;
    struct eesp_policy *policy;
    struct eesp_lane *lane;
    struct eesp_destination to = {0};
    struct iovec iov           = {"x", 1};
    uint8_t packet[200];
    uint64_t boot;
    size_t length;

    (void)unused;
    json_object_set_new(ring_key(ring, 3), "exp",
                        json_integer(time(NULL) + 500));
    keyring = ring_parse(ring);
    policy  = &keyring->policies[0];
    boot    = eesp_boot_seconds();
    assert_in_range(policy->send_until, boot + 490, boot + 510);
    lane = lane_open(keyring, (struct eesp_lane_params){0});
    assert_int_equal(eesp_seal(lane, &to, &iov, 1, packet, sizeof(packet),
                               &length), EESP_OK);
    policy->send_until = boot;
    assert_int_equal(eesp_seal(lane, &to, &iov, 1, packet, sizeof(packet),
                               &length), EESP_ERR_EXPIRED);
    eesp_lane_destroy(lane);
    eesp_keyring_free(keyring);
}

/* A previous key opens until its end, then no more, and the keyring says so. */
static void grace_ends_in_use(void **unused)
{
    struct eesp_keyring *old = ring_parse(ring_json(6));
    struct eesp_keyring *keyring =
        ring_parse(with_time(0, "exp", time(NULL) + 500));
    const struct eesp_policy *policy = &keyring->policies[0];
    struct eesp_lane *from = lane_open(old, (struct eesp_lane_params){0});
    struct eesp_lane *to   = lane_open(keyring, (struct eesp_lane_params){0});
    struct eesp_destination d = {.incarnation = eesp_lane_incarnation(to)};
    struct iovec iov          = {"x", 1};
    uint8_t packet[200], plaintext[200];
    uint64_t boot = eesp_boot_seconds();
    struct eesp_opened opened;
    size_t length;
    int i;

    (void)unused;
    assert_in_range(keyring->until, boot + 490, boot + 510);
    for (i = 0; i < 2; i++) {
        assert_int_equal(eesp_seal(from, &d, &iov, 1, packet, sizeof(packet),
                                   &length), EESP_OK);
        assert_int_equal(eesp_keyring_stale(keyring), i);
        assert_int_equal(eesp_open(to, packet, length, plaintext,
                                   sizeof(plaintext), &opened),
                         i ? EESP_DROP_GENERATION : EESP_OK);
        policy->suites[0].masters[EESP_PREVIOUS +
                                  EESP_STATES * EESP_CURRENT].until = boot;
        keyring->until = boot;
    }
    assert_int_equal(eesp_keyring_stale(old), 0);
    eesp_lane_destroy(from);
    eesp_lane_destroy(to);
    eesp_keyring_free(old);
    eesp_keyring_free(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),           cmocka_unit_test(foreign_members),
        cmocka_unit_test(top_level),      cmocka_unit_test(key_members),
        cmocka_unit_test(key_lengths),    cmocka_unit_test(base64),
        cmocka_unit_test(rings),          cmocka_unit_test(lifetimes),
        cmocka_unit_test(expires_in_use),
        cmocka_unit_test(grace_ends_in_use),
    };

    return cmocka_run_group_tests_name("keyring", tests, NULL, NULL);
}
