/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys and policies of PSP and TSS in a keyring: what is refused and how, what
 * is told of them, and ends that are made from them.
 */
#include "unit.h"

#include "eesp_psp.h"
#include "eesp_tss.h"
#include "ring.h"

enum { PACKET = 256 };

static json_t *bit_key(const char *level, const char *member, int bit,
                       const char *kid, uint8_t fill)
{
    char k[60];
    uint8_t bytes[32];

    memset(bytes, fill, sizeof(bytes));
    base64url(bytes, sizeof(bytes), k);
    return json_pack("{s:s,s:s,s:s,s:s,s:i}", "kty", "oct", "kid", kid, "k", k,
                     "eesp_level", level, member, bit);
}

static json_t *psp_key(int bit)
{
    return bit_key("psp", "eesp_master", bit, "nic-7", (uint8_t)(0x70 + bit));
}

static json_t *tss_key(int an)
{
    return bit_key("tss", "eesp_an", an, "sd-5", (uint8_t)(0x50 + an));
}

static json_t *psp_policy(void)
{
    return json_pack("{s:s,s:s,s:s}", "name", "nic", "profile", "psp",
                     "master", "nic-7");
}

static json_t *tss_policy(const char *mode)
{
    return json_pack("{s:s,s:s,s:s,s:i,s:s,s:i,s:i}", "name", "domain",
                     "profile", "tss", "key", "sd-5", "sdi", 5, "mode", mode,
                     "epoch", 300, "epoch_age", 2);
}

/* Keys 0 and 1 of PSP, 2 and 3 of TSS; policies 0 of PSP, 1 of TSS. */
static json_t *document(const char *mode)
{
    return json_pack("{s:i,s:[o,o,o,o],s:[o,o]}", "eesp_version", 1, "keys",
                     psp_key(0), psp_key(1), tss_key(0), tss_key(1),
                     "eesp_policies", psp_policy(), tss_policy(mode));
}

static void told(void **unused)
{
    json_t *mixed = ring_json(5);
    struct eesp_keyring *keyring;
    struct eesp_psp_policy psp;
    struct eesp_tss_policy tss;

    (void)unused;
    keyring = ring_parse(document("cluster"));
    assert_int_equal(eesp_keyring_policies(keyring), 0);
    assert_int_equal(eesp_keyring_keys(keyring), 0);
    assert_null(eesp_keyring_policy(keyring, "nic"));
    assert_null(eesp_keyring_policy(keyring, "0"));
    assert_int_equal(eesp_psp_policy(keyring, 0, &psp), EESP_OK);
    assert_string_equal(psp.name, "nic");
    assert_string_equal(psp.key_id, "nic-7");
    assert_int_equal(psp.keys, 3);
    assert_int_equal(eesp_psp_policy(keyring, 1, &psp), EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_tss_policy(keyring, 0, &tss), EESP_OK);
    assert_string_equal(tss.name, "domain");
    assert_string_equal(tss.key_id, "sd-5");
    assert_int_equal(tss.keys, 3);
    assert_int_equal(tss.params.mode, EESP_TSS_CLUSTER);
    assert_int_equal(tss.params.sdi, 5);
    assert_int_equal(tss.params.epoch_age, 2);
    assert_int_equal(tss.epoch, 300);
    assert_int_equal(eesp_tss_policy(keyring, 1, &tss), EESP_ERR_ARGUMENT);
    eesp_keyring_free(keyring);

    /* Beside others: whatever the order, these are not counted among them. */
    json_array_insert_new(json_object_get(mixed, "keys"), 0, tss_key(1));
    json_array_insert_new(json_object_get(mixed, "eesp_policies"), 0,
                          tss_policy("direct"));
    keyring = ring_parse(mixed);
    assert_int_equal(eesp_keyring_policies(keyring), 1);
    assert_int_equal(eesp_keyring_keys(keyring), 4);
    assert_int_equal(
        eesp_policy_info(eesp_keyring_policy_at(keyring, 0))->spi, RING_SPI);
    assert_int_equal(eesp_tss_policy(keyring, 0, &tss), EESP_OK);
    assert_int_equal(tss.keys, 2);
    assert_int_equal(eesp_psp_policy(keyring, 0, &psp), EESP_ERR_ARGUMENT);
    eesp_keyring_free(keyring);
}

/* One member of one key or policy changed ("-": taken away). */
static void refused(void **unused)
{
    static const struct {
        const char *list;
        size_t      index;
        const char *member, *value, *why;
    } cases[] = {
        {"keys", 0, "eesp_master", "2", "key 1: \"eesp_master\" must be a"},
        {"keys", 0, "eesp_master", "-", "key 1: \"eesp_master\" must be 0 or"},
        {"keys", 0, "eesp_master", "1", "psp key \"nic-7\": two keys have "
                                        "\"eesp_master\" 1"},
        {"keys", 0, "eesp_an", "1", "key 1: unknown member \"eesp_an\""},
        {"keys", 0, "eesp_state", "\"current\"", "unknown member \"eesp_st"},
        {"keys", 0, "exp", "9999999999", "key 1: psp keys have no \"nbf\""},
        {"keys", 2, "nbf", "5", "key 3: tss keys have no \"nbf\""},
        {"keys", 0, "kty", "\"RSA\"", "key 1: \"kty\" must be \"oct\""},
        {"keys", 0, "kid", "\"a b\"", "key 1: \"kid\" must be 1 to 32"},
        {"keys", 0, "k", "\"AAAA\"", "key 1: \"k\" is 29 bytes short"},
        {"keys", 0, "k", "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIj\"",
         "key 1: \"k\" has 36 bytes; a psp key has 32"},
        {"keys", 2, "eesp_an", "-", "key 3: \"eesp_an\" must be 0 or 1"},
        {"keys", 2, "eesp_an", "1", "tss key \"sd-5\": two keys have "},
        {"eesp_policies", 0, "spi", "5", "policy 1: unknown policy member \"s"},
        {"eesp_policies", 0, "sdi", "5", "policy 1: unknown policy member \"s"},
        {"eesp_policies", 0, "name", "\"domain\"", "name \"domain\" is in use"},
        {"eesp_policies", 0, "name", "\"7\"", "policy 1: \"name\" must be"},
        {"eesp_policies", 0, "name", "-", "\"name\" must be a string"},
        {"eesp_policies", 0, "master", "\"sd-5\"", "no psp key has the id"},
        {"eesp_policies", 0, "master", "5", "\"master\" must be a key id"},
        {"eesp_policies", 0, "profile", "\"tss\"", "unknown policy member"},
        {"eesp_policies", 1, "key", "\"nic-7\"", "no tss key has the id"},
        {"eesp_policies", 1, "mode", "\"fast\"", "\"mode\" must be direct, cl"},
        {"eesp_policies", 1, "mode", "-", "\"mode\" must be direct, cluster"},
        {"eesp_policies", 1, "sdi", "16777216", "\"sdi\" must be a whole num"},
        {"eesp_policies", 1, "sdi", "-", "policy 2: \"sdi\" is missing"},
        {"eesp_policies", 1, "epoch", "65536", "\"epoch\" must be a whole"},
        {"eesp_policies", 1, "epoch_age", "32768", "\"epoch_age\" must be"},
        {"eesp_policies", 1, "rekey_shift", "48", "\"rekey_shift\" must be"},
        {"eesp_policies", 1, "rekey_mask", "281474976710656",
         "\"rekey_mask\" must be"},
        {"eesp_policies", 1, "rekey_mask", "5", "need \"mode\": \"cluster\""},
        {"eesp_policies", 1, "rekey_shift", "5", "need \"mode\": \"cluster\""},
    };
    char why[EESP_WHY_LEN];
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *ring = document("direct");
        json_t *object =
            json_array_get(json_object_get(ring, cases[i].list),
                           cases[i].index);
        struct eesp_keyring *keyring;

        if (cases[i].value[0] == '-')
            json_object_del(object, cases[i].member);
        else
            json_object_set_new(object, cases[i].member,
                                json_loads(cases[i].value, JSON_DECODE_ANY,
                                           NULL));
        assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
        assert_null(keyring);
        if (strstr(why, cases[i].why) == NULL)
            fail_msg("case %zu: %s", i, why);
    }
}

static void too_many(void **unused)
{
    json_t *ring = document("direct"), *policy;
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN], text[20];
    int i;

    (void)unused;
    policy = tss_policy("direct");
    json_object_set_new(policy, "name", json_string("again"));
    json_array_append_new(json_object_get(ring, "eesp_policies"), policy);
    assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "policy 3: SDI 5 is in use"));

    ring = document("direct");
    for (i = 0; i < 63; i++) {
        policy = psp_policy();
        snprintf(text, sizeof(text), "p%d", i);
        json_object_set_new(policy, "name", json_string(text));
        json_array_append_new(json_object_get(ring, "eesp_policies"), policy);
    }
    assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "more than 64 policies of psp and tss"));

    ring = document("direct");
    for (i = 0; i < 125; i++) {
        snprintf(text, sizeof(text), "k%d", i);
        json_array_append_new(json_object_get(ring, "keys"),
                              bit_key("tss", "eesp_an", 0, text, 1));
    }
    assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "more than 128 keys of psp and tss"));
}

/* A receiver has the keyring's master keys, and no others. */
static void receivers(void **unused)
{
    const struct eesp_psp_options options = {.next_header = 6};
    json_t *half = document("direct");
    struct eesp_keyring *keyring = ring_parse(document("direct"));
    uint8_t masters[2][EESP_PSP_MASTER_LEN], packet[2][PACKET], body[PACKET];
    struct eesp_psp_receiver *known, *receiver;
    struct eesp_psp_opened opened;
    struct eesp_psp_grant grant;
    size_t length = 0;
    unsigned i;

    (void)unused;
    memset(masters[0], 0x70, sizeof(masters[0]));
    memset(masters[1], 0x71, sizeof(masters[1]));
    assert_int_equal(eesp_psp_receiver_create(
                         (const uint8_t (*)[EESP_PSP_MASTER_LEN])masters, NULL,
                         &known), EESP_OK);
    assert_int_equal(eesp_psp_receiver_from(keyring, 0, NULL, &receiver),
                     EESP_OK);
    assert_int_equal(eesp_psp_issue(receiver, 0, EESP_PSP_PACKET, &grant),
                     EESP_ERR_LEASE);
    assert_int_equal(eesp_psp_rotate(receiver), EESP_ERR_LEASE);
    eesp_psp_receiver_destroy(receiver);
    assert_int_equal(eesp_psp_receiver_from(keyring, 1, NULL, &receiver),
                     EESP_ERR_ARGUMENT);
    assert_null(receiver);
    assert_int_equal(eesp_psp_receiver_from(keyring, 0, "no-such", &receiver),
                     EESP_ERR_UNSUPPORTED);
    eesp_keyring_free(keyring);

    /* The vectors' own check is in test_psp; here packets of either key. */
    for (i = 0; i < 2; i++) {
        struct eesp_psp_sa *sa;
        /* CMAC of the master keys above, by `openssl mac`. */
        static const char *const keys[2] = {
            "616456f36454d7f2a5d0e3d5d5723029",
            "b862205ec3afcfbe8d70dd0c47cab2ae"};

        memset(&grant, 0, sizeof(grant));
        grant.spi = i << 31 | 9;
        unhex(keys[i], grant.key, 16);
        assert_int_equal(eesp_psp_sa_create(&grant, NULL, &sa), EESP_OK);
        assert_int_equal(eesp_psp_seal(sa, &options, "x", 1, packet[i],
                                       PACKET, &length), EESP_OK);
        assert_int_equal(eesp_psp_open(known, packet[i], length, body, PACKET,
                                       &opened), EESP_OK);
        eesp_psp_sa_destroy(sa);
    }
    json_array_remove(json_object_get(half, "keys"), 0);
    keyring = ring_parse(half);
    assert_int_equal(eesp_psp_receiver_from(keyring, 0, NULL, &receiver),
                     EESP_OK);
    assert_int_equal(eesp_psp_open(receiver, packet[0], length, body, PACKET,
                                   &opened), EESP_DROP_GENERATION);
    assert_int_equal(eesp_psp_open(receiver, packet[1], length, body, PACKET,
                                   &opened), EESP_OK);
    eesp_psp_receiver_destroy(receiver);
    eesp_psp_receiver_destroy(known);
    eesp_keyring_free(keyring);
}

/* Two ends of one keyring; a third that opens whatever anybody sent. */
static void ends(void **unused)
{
    static const char *const modes[] = {"direct", "cluster", "server"};
    struct eesp_tss_place place = {.client = 7, .rank = 8};
    int mode, form;

    (void)unused;
    for (mode = 0; mode < 6; mode++) {
        struct eesp_keyring *keyring = ring_parse(document(modes[mode % 3]));
        struct eesp_tss_params own = {.ssi = 7};
        struct eesp_tss *from = NULL, *any = NULL;
        struct eesp_tss_opened opened;
        uint8_t packet[PACKET], body[PACKET];
        size_t length;

        form       = mode / 3;
        own.form   = (enum eesp_tss_form)form;
        own.ranks  = form;
        own.server = mode % 3 == EESP_TSS_SERVER;
        assert_int_equal(eesp_tss_create_from(keyring, 0, &own, &from),
                         EESP_OK);
        assert_int_equal(eesp_tss_send_from(from, 1, 300, 10u + 1000 * form,
                                            500u + 1000 * form), EESP_OK);
        assert_int_equal(eesp_tss_seal(from, &place, "text", 4, packet,
                                       sizeof(packet), &length), EESP_OK);
        own.any = 1;
        assert_int_equal(eesp_tss_create_from(keyring, 0, &own, &any),
                         EESP_OK);
        assert_int_equal(eesp_tss_open(any, NULL, packet, length, body,
                                       sizeof(body), &opened), EESP_OK);
        assert_int_equal(opened.length, 4);
        assert_memory_equal(opened.payload, "text", 4);
        assert_int_equal(eesp_tss_open(from, NULL, packet, length, body,
                                       sizeof(body), &opened),
                         EESP_DROP_DESTINATION);
        assert_int_equal(eesp_tss_send_from(any, 1, 300, 5000, 6000),
                         EESP_ERR_ARGUMENT);
        eesp_tss_destroy(from);
        eesp_tss_destroy(any);
        if (mode % 3 == EESP_TSS_SERVER) { /* no end but the server has it */
            own.server = 0;
            assert_int_equal(eesp_tss_create_from(keyring, 0, &own, &any),
                             EESP_ERR_ARGUMENT);
            own.any = 0;
            assert_int_equal(eesp_tss_create_from(keyring, 0, &own, &any),
                             EESP_ERR_ARGUMENT);
            assert_null(any);
        }
        assert_int_equal(eesp_tss_create_from(keyring, 1, &own, &any),
                         EESP_ERR_ARGUMENT);
        eesp_keyring_free(keyring);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told),      cmocka_unit_test(refused),
        cmocka_unit_test(too_many),  cmocka_unit_test(receivers),
        cmocka_unit_test(ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
