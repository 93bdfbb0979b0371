/* SPDX-License-Identifier: BSD-3-Clause */
/* granted keys: they do what the roots would, for what was granted only. */
#include "aead.h"
#include "kdf.h"
#include "ring.h"

#include <time.h>

enum { PACKET = 256 };

/* The policy of ring_json() with clients. */
static json_t *roots(unsigned generation)
{
    json_t *ring = ring_json(generation);

    json_object_update_new(ring_policy(ring, 0),
                           json_pack("{s:[s,s],s:s}", "selectors", "source",
                                     "destination", "client", "source"));
    return ring;
}

/* Generation of each level that the policy has. */
static json_t *generations_json(const struct eesp_policy *policy,
                                const struct eesp_grant *g)
{
    json_t *object = json_object();
    unsigned i;

    for (i = 0; i < EESP_LEVELS; i++)
        if (eesp_policy_info(policy)->levels & 1u << i)
            json_object_set_new(object, eesp_level_name((enum eesp_level)i),
                                json_integer(g->generations[i]));
    return object;
}

/* The ring that grants what the policy's roots give. */
static json_t *granted(json_t *ring, const uint64_t *client)
{
    json_t *made = json_pack("{s:i,s:[],s:[O]}", "eesp_version", 1, "keys",
                             "eesp_policies", ring_policy(ring, 0));
    struct eesp_keyring *keyring     = ring_parse(ring);
    const struct eesp_policy *policy = eesp_keyring_policy_at(keyring, 0);
    struct eesp_grant g;
    unsigned i;

    for (i = 0; i < eesp_policy_grants(policy); i++) {
        int ret = eesp_policy_grant(policy, i, client, &g);
        char k[100];
        json_t *key;

        if (ret == EESP_DROP_GENERATION)
            continue;
        assert_int_equal(ret, EESP_OK);
        base64url(g.key, g.length, k);
        key = json_pack("{s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:o,s:s}", "kty",
                        "oct", "kid", "g", "k", k, "eesp_level", "master",
                        "eesp_spi", RING_SPI, "eesp_kdf",
                        eesp_kdf_by_id(g.kdf)->name, "eesp_aead",
                        eesp_aead_find(g.aead, NULL)->name, "eesp_generations",
                        generations_json(policy, &g), "eesp_state",
                        eesp_key_state_name(g.state));
        if (client)
            json_object_set_new(key, "eesp_client",
                                json_integer((json_int_t)*client));
        json_array_append_new(json_object_get(made, "keys"), key);
    }
    eesp_keyring_free(keyring);
    return made;
}

/* A ring is refused once key has that member. */
static void defect(json_t *ring, size_t key, const char *member,
                   const char *value, const char *wanted)
{
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN];

    json_object_set_new(ring_key(ring, key), member, json_string(value));
    assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
    if (strstr(why, wanted) == NULL)
        fail_msg("\"%s\" does not say: %s", why, wanted);
}

/* What opening gives, with source sealing to 9; gives up both rings. */
static int pass(json_t *from_ring, json_t *to_ring, uint64_t source)
{
    struct eesp_keyring *a = ring_parse(from_ring), *b = ring_parse(to_ring);
    struct eesp_lane *from = lane_open(a, (struct eesp_lane_params){
                                              .id = source});
    struct eesp_lane *to = lane_open(b, (struct eesp_lane_params){.id = 9});
    struct eesp_destination d = {.incarnation = eesp_lane_incarnation(to),
                                 .id = 9, .session_id = 1};
    uint8_t packet[PACKET], plaintext[PACKET];
    struct iovec iov = {"four", 4};
    struct eesp_opened opened;
    struct eesp_counters counters;
    size_t length;
    int ret = eesp_seal(from, &d, &iov, 1, packet, sizeof(packet), &length);

    if (ret == EESP_OK) {
        ret = eesp_open(to, packet, length, plaintext, sizeof(plaintext),
                        &opened);
        eesp_lane_counters(to, &counters);
        assert_int_equal(counters.derived, ret == EESP_OK);
    }
    eesp_lane_destroy(from);
    eesp_lane_destroy(to);
    eesp_keyring_free(a);
    eesp_keyring_free(b);
    return ret;
}

static void as_the_roots(void **unused)
{
    (void)unused;
    assert_int_equal(pass(roots(7), granted(roots(7), NULL), 5), EESP_OK);
    assert_int_equal(pass(granted(roots(7), NULL), roots(7), 5), EESP_OK);
    /* One step apart, both ways; two steps: nothing is derived. */
    assert_int_equal(pass(roots(8), granted(roots(7), NULL), 5), EESP_OK);
    assert_int_equal(pass(granted(roots(7), NULL), roots(8), 5), EESP_OK);
    assert_int_equal(pass(roots(9), granted(roots(7), NULL), 5),
                     EESP_DROP_GENERATION);
    assert_int_equal(pass(roots(7), roots(9), 5), EESP_DROP_GENERATION);
    assert_int_equal(pass(roots(9), roots(7), 5), EESP_DROP_GENERATION);
}

/* With a second pair of algorithms: a grant has keys for both. */
static json_t *two_pairs(const char *kdf, const char *other)
{
    json_t *ring = roots(7);

    json_object_update_new(
        ring_policy(ring, 0),
        json_pack("{s:s,s:[{s:s,s:s}]}", "kdf", kdf, "receive", "kdf", other,
                  "aead", "aes-256-gcm"));
    return ring;
}

static void both_pairs(void **unused)
{
    static const char one[] = "cmac-aes256", two[] = "hkdf-sha384";
    json_t *ring;

    (void)unused;
    assert_int_equal(pass(granted(two_pairs(one, two), NULL),
                          two_pairs(two, one), 5), EESP_OK);
    assert_int_equal(pass(two_pairs(two, one),
                          granted(two_pairs(one, two), NULL), 5), EESP_OK);
    ring = granted(two_pairs(one, two), NULL);
    assert_int_equal(json_array_size(json_object_get(ring, "keys")), 6);
    json_array_remove(json_object_get(ring, "keys"), 5);
    assert_int_equal(pass(two_pairs(two, one), ring, 5), EESP_OK);
    defect(granted(two_pairs(one, two), NULL), 4, "eesp_state", "next",
           "for a pair of kdf and aead has");
}

static void add_ring(json_t *ring, const char *level, const char *kid,
                     uint8_t fill)
{
    json_t *keys = json_object_get(ring, "keys");

    json_array_append_new(keys, key_json(level, kid, 0, "previous", fill, 32));
    json_array_append_new(keys, key_json(level, kid, 2, "next", fill + 2, 32));
}

/* Four levels with full rings, and as many pairs as a policy may have. */
static json_t *largest_roots(void)
{
    static const char *const pairs[][2] = {
        {"hkdf-sha256", "aes-256-gcm"}, {"hkdf-sha384", "aes-256-gcm"},
        {"hkdf-sha512", "aes-256-gcm"}, {"hmac-sha256", "aes-256-gcm"},
        {"cmac-aes256", "aes-128-gcm"}, {"hkdf-sha256", "aes-128-gcm"},
        {"hkdf-sha384", "aes-128-gcm"},
    };
    json_t *ring = roots(7), *keys = json_object_get(ring, "keys"),
           *receive = json_array();
    unsigned i;

    add_ring(ring, "job", "job-42", 0x41);
    json_array_append_new(keys, key_json("tenant", "t", 1, "current", 8, 32));
    add_ring(ring, "tenant", "t", 7);
    json_array_append_new(keys, key_json("task", "t", 1, "current", 80, 32));
    add_ring(ring, "task", "t", 79);
    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        json_array_append_new(receive, json_pack("{s:s,s:s}", "kdf",
                                                 pairs[i][0], "aead",
                                                 pairs[i][1]));
    json_object_update_new(
        ring_policy(ring, 0),
        json_pack("{s:{s:s,s:s,s:s,s:s},s:o}", "levels", "domain", "cluster-a",
                  "tenant", "t", "job", "job-42", "task", "t", "receive",
                  receive));
    return ring;
}

static void largest_grant(void **unused)
{
    json_t *ring = granted(largest_roots(), NULL);

    (void)unused;
    assert_int_equal(json_array_size(json_object_get(ring, "keys")),
                     EESP_SUITES_MAX * 81);
    assert_int_equal(pass(largest_roots(), ring, 5), EESP_OK);
}

static void not_granted(void **unused)
{
    json_t *ring = granted(roots(7), NULL);

    (void)unused;
    json_array_remove(json_object_get(ring, "keys"), 2); /* generation 8 */
    assert_int_equal(pass(roots(8), ring, 5), EESP_DROP_GENERATION);
}

static void one_client(void **unused)
{
    uint64_t five = 5;

    (void)unused;
    assert_int_equal(pass(granted(roots(7), &five), roots(7), 5), EESP_OK);
    assert_int_equal(pass(roots(7), granted(roots(7), &five), 5), EESP_OK);
    assert_int_equal(pass(granted(roots(7), &five), roots(7), 6),
                     EESP_ERR_ARGUMENT);
    assert_int_equal(pass(roots(7), granted(roots(7), &five), 6),
                     EESP_DROP_POLICY);
}

/* Sets a member of key 1 (current) or of the policy. */
static void refused(int of_policy, const char *member, json_t *value,
                    const char *wanted)
{
    json_t *ring = granted(roots(7), NULL);
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN];

    json_object_set_new(of_policy ? ring_policy(ring, 0) : ring_key(ring, 1),
                        member, value);
    assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
    if (strstr(why, wanted) == NULL)
        fail_msg("\"%s\" does not say: %s", why, wanted);
}

static void defects(void **unused)
{
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN];
    json_t *ring;

    (void)unused;
    refused(0, "eesp_spi", json_integer(0), "eesp_spi");
    refused(0, "eesp_spi", json_integer(3), "none of its granted");
    refused(0, "eesp_kdf", json_string("md5"), "eesp_kdf");
    refused(0, "eesp_kdf", json_string("hmac-sha256"), "neither \"kdf\"");
    refused(0, "eesp_aead", json_string("aes-128-gcm"), "nor \"receive\"");
    refused(0, "eesp_aead", json_null(), "eesp_aead");
    refused(0, "eesp_client", json_integer(3), "eesp_client");
    refused(0, "eesp_state", json_string("next"),
            "\"eesp_state\" \"current\"; make");
    refused(0, "eesp_generation", json_integer(7), "eesp_generation");
    refused(0, "eesp_generations", json_object(), "eesp_generations");
    refused(0, "eesp_generations", json_pack("{s:i,s:i}", "domain", 6, "job",
                                             1), "same \"eesp_generations\"");
    refused(0, "eesp_generations", json_pack("{s:i,s:i}", "domain", 5, "job",
                                             1), "more than one step");
    refused(0, "k", json_string("QUJD"), "\"k\"");
    refused(1, "kdf", json_string("hmac-sha256"), "neither \"kdf\"");
    refused(1, "aead", json_string("aes-128-gcm"), "neither \"kdf\"");
    refused(1, "levels", json_pack("{s:s}", "job", "job-42"), "\"levels\"");
    ring = granted(roots(7), NULL);
    json_object_set_new(ring_key(ring, 0), "eesp_state",
                        json_string("current"));
    assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "\"eesp_state\" \"current\" like"));
    ring = granted(roots(7), NULL);
    json_object_set_new(ring_key(ring, 0), "eesp_spi", json_integer(3));
    assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "no policy has the \"eesp_spi\" 3"));
    /* A policy of roots beside it finds none in the ring of a grant. */
    ring = granted(roots(7), NULL);
    json_array_append_new(json_object_get(ring, "eesp_policies"),
                          json_deep_copy(ring_policy(ring, 0)));
    json_object_set_new(ring_policy(ring, 1), "spi", json_integer(77));
    json_object_set_new(ring_policy(ring, 1), "name", json_string("other"));
    assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "no domain key has the id"));
}

/* Generations of key number key: domain, and other levels too. */
static json_t *tuple(int domain, const char *level, json_t *value)
{
    json_t *object = json_pack("{s:i,s:i}", "domain", domain, "job", 1);

    if (level != NULL)
        json_object_set_new(object, level, value);
    return object;
}

static void more_defects(void **unused)
{
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN];
    uint64_t five = 5;
    json_t *ring, *root;

    (void)unused;
    refused(0, "eesp_generations", tuple(7, "rack", json_integer(1)),
            "\"rack\" must be one of domain");
    refused(0, "eesp_generations", tuple(7, "job", json_integer(-1)),
            "whole number from 0");
    refused(0, "eesp_generations", tuple(7, "job", json_real(1.5)),
            "whole number from 0");
    refused(0, "eesp_generations", tuple(7, "tenant", json_integer(1)),
            "other levels in \"eesp_generations\"");
    refused(0, "k",
            json_string("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUm"
                        "JygpKissLS4v"), "needs 32");
    /* A client's keys need the member that says whose id it is. */
    ring = granted(roots(7), &five);
    json_object_del(ring_policy(ring, 0), "client");
    assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "\"client\" is missing"));
    /* All roots beside what they make: one of the two is too much. */
    ring = granted(roots(7), NULL);
    root = roots(7);
    json_array_extend(json_object_get(ring, "keys"),
                      json_object_get(root, "keys"));
    json_decref(root);
    assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "the root keys are there beside"));
    /* A root of another generation than the grant's. */
    ring = granted(roots(7), NULL);
    json_array_append_new(json_object_get(ring, "keys"),
                          key_json("job", "job-42", 3, "current", 1, 32));
    assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "do not agree with"));
    /* Two pairs, and their current ones are of different generations. */
    ring = granted(two_pairs("cmac-aes256", "hkdf-sha384"), NULL);
    json_object_set_new(ring_key(ring, 4), "eesp_state",
                        json_string("previous"));
    json_object_set_new(ring_key(ring, 5), "eesp_state",
                        json_string("current"));
    assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "two pairs of kdf and aead differ"));
}

static void lifetimes(void **unused)
{
    json_int_t now = (json_int_t)time(NULL);
    json_t *ring   = granted(roots(7), NULL);
    struct eesp_keyring *keyring;
    struct eesp_grant g;
    uint64_t client = 5;
    const struct eesp_policy *policy;

    (void)unused;
    /* A previous one that has ended is not there, nor is its generation. */
    json_object_set_new(ring_key(ring, 0), "exp", json_integer(now - 1));
    assert_int_equal(pass(roots(6), ring, 5), EESP_DROP_GENERATION);
    /* A current one that has ended opens and does not send. */
    ring = granted(roots(7), NULL);
    json_object_set_new(ring_key(ring, 1), "exp", json_integer(now - 1));
    assert_int_equal(pass(roots(7), json_incref(ring), 5), EESP_OK);
    assert_int_equal(pass(ring, roots(7), 5), EESP_ERR_EXPIRED);
    /* Grants take over the narrower times of all their roots, and of grants. */
    ring = roots(7);
    json_object_set_new(ring_key(ring, 1), "exp", json_integer(now + 900));
    json_object_set_new(ring_key(ring, 1), "nbf", json_integer(now - 20));
    json_object_set_new(ring_key(ring, 3), "exp", json_integer(now + 800));
    json_object_set_new(ring_key(ring, 3), "nbf", json_integer(now - 30));
    keyring = ring_parse(ring);
    policy  = eesp_keyring_policy_at(keyring, 0);
    assert_int_equal(eesp_policy_grant(policy, EESP_CURRENT +
                                       EESP_STATES * EESP_CURRENT, NULL, &g),
                     EESP_OK);
    assert_true(g.expires == (uint64_t)now + 800);
    assert_true(g.not_before == (uint64_t)now - 20);
    assert_int_equal(eesp_policy_grant(policy, eesp_policy_grants(policy),
                                       NULL, &g), EESP_ERR_ARGUMENT);
    eesp_keyring_free(keyring);
    ring = granted(roots(7), NULL);
    json_object_set_new(ring_key(ring, 1), "exp", json_integer(now + 700));
    keyring = ring_parse(ring);
    policy  = eesp_keyring_policy_at(keyring, 0);
    assert_int_equal(eesp_policy_grant(policy, EESP_CURRENT +
                                       EESP_STATES * EESP_CURRENT, &client,
                                       &g), EESP_OK);
    assert_true(g.expires == (uint64_t)now + 700);
    eesp_keyring_free(keyring);
    /* A client's key makes none for others, and no check value. */
    keyring = ring_parse(granted(roots(7), &client));
    policy  = eesp_keyring_policy_at(keyring, 0);
    assert_int_equal(eesp_policy_grant(policy, EESP_CURRENT +
                                       EESP_STATES * EESP_CURRENT, &client,
                                       &g), EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_policy_check_value(policy,
                                             (uint8_t[EESP_LEVELS]){7, 0, 1},
                                             (uint8_t[EESP_CHECK_VALUE_LEN]){0}
                                             ), EESP_ERR_UNSUPPORTED);
    assert_int_equal(eesp_policy_offload_key(
                         policy, EESP_OFFLOAD_XTS,
                         &(struct eesp_offload_receiver){
                             .incarnation = 1, .epoch = 2,
                             .generations = {7, 0, 1}},
                         (uint8_t[EESP_OFFLOAD_KEY_MAX]){0},
                         EESP_OFFLOAD_KEY_MAX), EESP_ERR_UNSUPPORTED);
    eesp_keyring_free(keyring);
}

/* In the place of another grant: the same bytes for the same generations. */
static void follows(void **unused)
{
    struct eesp_keyring *old = ring_parse(granted(roots(7), NULL)), *next;
    json_t *ring             = granted(roots(8), NULL), *changed;
    char why[EESP_WHY_LEN], *k;

    (void)unused;
    next = ring_parse(ring);
    assert_int_equal(eesp_keyring_follows(old, next, "next", why), EESP_OK);
    assert_int_equal(eesp_keyring_follows(next, old, "old", why),
                     EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "from generation 8 to 7"));
    eesp_keyring_free(next);
    changed = granted(roots(7), NULL);
    k       = strdup(json_string_value(json_object_get(ring_key(changed, 1),
                                                       "k")));
    k[0]    = k[0] == 'A' ? 'B' : 'A';
    json_object_set_new(ring_key(changed, 1), "k", json_string(k));
    free(k);
    next = ring_parse(changed);
    assert_int_equal(eesp_keyring_follows(old, next, "next", why),
                     EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "granted key \"g\" of SPI 65602 has other "
                                "bytes than before"));
    eesp_keyring_free(next);
    eesp_keyring_free(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_roots),
        cmocka_unit_test(both_pairs),
        cmocka_unit_test(largest_grant),
        cmocka_unit_test(not_granted),
        cmocka_unit_test(one_client),
        cmocka_unit_test(defects),
        cmocka_unit_test(more_defects),
        cmocka_unit_test(lifetimes),
        cmocka_unit_test(follows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
