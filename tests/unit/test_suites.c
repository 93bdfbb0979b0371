/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * receive: members of a group change their algorithms one by one. Who still
 * seals the old way is understood by who already seals the new way, and the
 * other way round; what is not in the list is dropped.
 */
#include "lane.h"
#include "ring.h"

enum { PACKET = 256 };

/* The ring of one member, who seals with kdf and aead. */
static json_t *member(const char *kdf, const char *aead, const char *receive)
{
    json_t *ring = ring_json(7), *policy = ring_policy(ring, 0);

    json_object_set_new(policy, "kdf", json_string(kdf));
    json_object_set_new(policy, "aead", json_string(aead));
    if (receive != NULL) {
        json_t *list = json_loads(receive, JSON_DECODE_ANY, NULL);

        assert_non_null(list);
        json_object_set_new(policy, "receive", list);
    }
    return ring;
}

#define OLD      "cmac-aes256", "aes-256-gcm"
#define NEW      "hkdf-sha384", "chacha20-poly1305"
#define PAIR_OLD "{\"kdf\":\"cmac-aes256\",\"aead\":\"aes-256-gcm\"}"
#define PAIR_NEW "{\"kdf\":\"hkdf-sha384\",\"aead\":\"chacha20-poly1305\"}"

/* What opening of count packets gives: the first that is not EESP_OK. */
static int pass(json_t *from_ring, json_t *to_ring, unsigned count)
{
    struct eesp_keyring *a = ring_parse(from_ring), *b = ring_parse(to_ring);
    struct eesp_lane *from = lane_open(a, (struct eesp_lane_params){.rank = 1});
    struct eesp_lane *to   = lane_open(b, (struct eesp_lane_params){.rank = 2});
    struct eesp_destination d = {.incarnation = eesp_lane_incarnation(to),
                                 .rank = 2, .session_id = 1};
    uint8_t packet[PACKET], plaintext[PACKET];
    struct iovec iov = {"text", 4};
    struct eesp_opened opened;
    size_t length;
    int ret = EESP_OK;

    while (count-- > 0 && ret == EESP_OK) {
        assert_int_equal(eesp_seal(from, &d, &iov, 1, packet, sizeof(packet),
                                   &length), EESP_OK);
        ret = eesp_open(to, packet, length, plaintext, sizeof(plaintext),
                        &opened);
        if (ret == EESP_OK)
            assert_memory_equal(opened.payload, "text", 4);
        /* Whatever opened it: not a second time. */
        if (ret == EESP_OK)
            assert_int_equal(eesp_open(to, packet, length, plaintext,
                                       sizeof(plaintext), &opened),
                             EESP_DROP_REPLAY);
        packet[length - 1] ^= 1;
        assert_true(eesp_open(to, packet, length, plaintext, sizeof(plaintext),
                              &opened) < 0);
    }
    eesp_lane_destroy(from);
    eesp_lane_destroy(to);
    eesp_keyring_free(a);
    eesp_keyring_free(b);
    return ret;
}

static void one_by_one(void **unused)
{
    (void)unused;
    assert_int_equal(pass(member(OLD, NULL), member(NEW, NULL), 1),
                     EESP_DROP_POLICY);
    assert_int_equal(pass(member(OLD, NULL), member(NEW, "[" PAIR_OLD "]"), 3),
                     EESP_OK);
    assert_int_equal(pass(member(NEW, NULL), member(OLD, "[" PAIR_NEW "]"), 3),
                     EESP_OK);
    assert_int_equal(pass(member(NEW, "[" PAIR_OLD "]"), member(OLD, NULL), 1),
                     EESP_DROP_POLICY);
    /* Its own pair stays, named or not. */
    assert_int_equal(pass(member(OLD, NULL), member(OLD, "[" PAIR_NEW "]"), 3),
                     EESP_OK);
    assert_int_equal(pass(member(OLD, NULL),
                          member(OLD, "[" PAIR_OLD "," PAIR_NEW "]"), 3),
                     EESP_OK);
    /* One of two only. */
    assert_int_equal(pass(member("hkdf-sha384", "aes-256-gcm", NULL),
                          member(OLD, "[" PAIR_NEW "]"), 1),
                     EESP_DROP_POLICY);
}

/* Every pair this machine has, from a receiver that has them all in its list. */
static void every_pair(void **unused)
{
    static const char *const aeads[] = {"aes-128-gcm", "aes-256-gcm",
                                        "chacha20-poly1305"};
    unsigned i, k, n = 0;

    (void)unused;
    for (i = 0; i < eesp_kdfs(); i++)
        for (k = 0; k < 3; k++) {
            char list[1024];
            int used = snprintf(list, sizeof(list), "[" PAIR_OLD);
            unsigned m;

            /* 6 beside the own one, this one among them. */
            for (m = 0; m < 6; m++) {
                unsigned at = (i * 3 + k + m) % (eesp_kdfs() * 3);

                if (at == 1) /* cmac-aes256, aes-256-gcm: there */
                    continue;
                used += snprintf(list + used, sizeof(list) - (size_t)used,
                                 ",{\"kdf\":\"%s\",\"aead\":\"%s\"}",
                                 eesp_kdf_name(at / 3), aeads[at % 3]);
            }
            snprintf(list + used, sizeof(list) - (size_t)used, "]");
            assert_int_equal(pass(member(eesp_kdf_name(i), aeads[k], NULL),
                                  member(OLD, list), 2), EESP_OK);
            n++;
        }
    assert_int_equal(n, 15);
}

static void refused(json_t *ring, const char *wanted)
{
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN];

    assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
    if (strstr(why, wanted) == NULL)
        fail_msg("\"%s\" does not say: %s", why, wanted);
}

static void with(json_t *ring, const char *name, json_t *value,
                 const char *wanted)
{
    json_object_set_new(ring_policy(ring, 0), name, value);
    refused(ring, wanted);
}

static void defects(void **unused)
{
    static const char gmac[] =
        "[{\"kdf\":\"cmac-aes256\",\"aead\":\"aes-256-gmac\"}]";
    char list[1024] = "[";
    unsigned i;

    (void)unused;
    refused(member(OLD, "{}"), "list of at most 7 pairs");
    refused(member(OLD, "[1]"), "list of {\"kdf\": NAME");
    refused(member(OLD, "[{\"kdf\":\"cmac-aes256\"}]"), "list of {\"kdf\"");
    refused(member(OLD, "[{\"kdf\":\"cmac-aes256\",\"aead\":\"aes-256-gcm\","
                        "\"more\":1}]"), "list of {\"kdf\"");
    refused(member(OLD, "[{\"kdf\":\"md5\",\"aead\":\"aes-256-gcm\"}]"),
            "kdf \"md5\" is not one of");
    refused(member(OLD, "[{\"kdf\":\"cmac-aes256\",\"aead\":\"rc4\"}]"),
            "aead \"rc4\" is not one of");
    refused(member(OLD, "[{\"kdf\":3,\"aead\":\"rc4\"}]"),
            "\"kdf\" must be a string");
    refused(member(OLD, "[" PAIR_NEW "," PAIR_NEW "]"), "twice");
    refused(member(OLD, gmac), "\"confidentiality\": false");
    with(member(NEW, "[" PAIR_OLD "]"), "commit", json_true(), "commit needs");
    with(member(OLD, "[" PAIR_NEW "]"), "compact_id", json_integer(1),
         "receive needs the full option");
    for (i = 0; i < 8; i++)
        strcat(list, i > 0 ? "," PAIR_NEW : PAIR_NEW);
    strcat(list, "]");
    refused(member(OLD, list), "list of at most 7 pairs");
}

/* What a running lane accepts does not change under it. */
static void reload(void **unused)
{
    struct eesp_keyring *a = ring_parse(member(OLD, "[" PAIR_NEW "]"));
    struct eesp_keyring *b = ring_parse(member(OLD, NULL));
    struct eesp_keyring *c = ring_parse(member(OLD, "[" PAIR_NEW "]"));
    struct eesp_lane *lane = lane_open(a, (struct eesp_lane_params){.rank = 1});
    char why[EESP_WHY_LEN];

    (void)unused;
    assert_int_equal(eesp_lane_reload(lane, b, why), EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "another kdf, aead or receive"));
    assert_int_equal(eesp_lane_reload(lane, c, why), EESP_OK);
    eesp_lane_destroy(lane);
    eesp_keyring_free(a);
    eesp_keyring_free(b);
    eesp_keyring_free(c);
}

/* One backend for all pairs, or no lane. */
static void no_backend(void **unused)
{
    struct eesp_keyring *a = ring_parse(member(OLD, "[" PAIR_NEW "]"));
    struct eesp_lane_params par = {.keyring = a, .backend = "none",
                                   .policy = eesp_keyring_policy_at(a, 0)};
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN];

    (void)unused;
    assert_int_equal(eesp_lane_create(&par, &lane, why),
                     EESP_ERR_UNSUPPORTED);
    assert_null(lane);
    eesp_keyring_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_by_one), cmocka_unit_test(every_pair),
        cmocka_unit_test(defects),    cmocka_unit_test(reload),
        cmocka_unit_test(no_backend),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
