/* SPDX-License-Identifier: BSD-3-Clause */
/* granted keys: they do what the roots would, for what was granted only. */
#include "aead.h"
#include "kdf.h"
#include "ring.h"

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

/* The ring that grants tuples of domain generation 7 and its neighbours. */
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
        key = json_pack("{s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:{s:i,s:i},s:s}", "kty",
                        "oct", "kid", "g", "k", k, "eesp_level", "master",
                        "eesp_spi", RING_SPI, "eesp_kdf",
                        eesp_kdf_by_id(g.kdf)->name, "eesp_aead",
                        eesp_aead_find(g.aead, NULL)->name, "eesp_generations",
                        "domain", (int)g.generations[EESP_DOMAIN], "job",
                        (int)g.generations[EESP_JOB], "eesp_state",
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_roots),
        cmocka_unit_test(both_pairs),
        cmocka_unit_test(not_granted),
        cmocka_unit_test(one_client),
        cmocka_unit_test(defects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
