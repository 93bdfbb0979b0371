/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keyring_policy: each member, each rule of wire-format section 1, and the
 * message that names it.
 */
#include "ring.h"

/* One case: member of the policy, its value as JSON, and what is said. */
struct change {
    const char *member, *value, *message; /* message NULL: accepted */
};

static json_t *changed(const struct change *c)
{
    json_t *ring = ring_json(7), *policy = ring_policy(ring, 0), *value;

    if (c->value == NULL) {
        assert_int_equal(json_object_del(policy, c->member), 0);
        return ring;
    }
    value = json_loads(c->value, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    json_object_set_new(policy, c->member, value);
    return ring;
}

static void try_ring(json_t *ring, const char *message)
{
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN];
    int ret = ring_try(ring, &keyring, why);

    if (message == NULL) {
        if (ret != EESP_OK)
            fail_msg("%s", why);
        eesp_keyring_free(keyring);
        return;
    }
    if (ret == EESP_OK)
        fail_msg("accepted, though: %s", message);
    assert_int_equal(ret, EESP_ERR_KEYRING);
    assert_null(keyring);
    assert_int_equal(strncmp(why, "ring.jwks: policy ", 18), 0);
    if (strstr(why, message) == NULL)
        fail_msg("\"%s\" does not say: %s", why, message);
}

static void try_all(const struct change *changes, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        try_ring(changed(&changes[i]), changes[i].message);
}

#define TRY(_changes) try_all(_changes, sizeof(_changes) / sizeof(_changes[0]))

static void members(void **unused)
{
    static const struct change c[] = {
        {"comment", "\"x\"", "unknown policy member \"comment\""},
        {"eesp_replay", "\"off\"", "unknown policy member \"eesp_replay\""},
        {"Replay", "\"off\"", "unknown policy member \"Replay\""},
        {"partitioned", "1", "\"partitioned\" must be true or false"},
        {"partitioned", "false", NULL},
        {"partitioned", "true", "+ log2(partitions) must not exceed 36"},
        {"partitions", "16", "needs \"partitioned\": true"},
        {"partitions", "65537", "\"partitions\" must be"},
        {"clients", "\"source\"", "unknown policy member \"clients\""},
        {"commit", "1", "\"commit\" must be true or false"},
        {"commit", "false", NULL},
        {"commit", "true", "commit needs a kdf other than cmac-aes256"},
        {"client", "\"both\"", "client \"both\" is not one of"},
        {"client", "false", "is not one of: source, destination"},
        {"client", "\"source\"", "client needs the selectors source and"},
        {"crypt_offset_max", "63", NULL},
        {"crypt_offset_max", "64", "\"crypt_offset_max\" must be"},
        {"proxies", "[]", "\"proxies\" must be a non-empty list"},
        {"proxies", "[{\"id\": 5, \"domains\": [1]}]",
         "\"proxies\" needs a domain_id"},
        {"spi", NULL, "\"spi\" must be"},
        {"spi", "0", "\"spi\" must be"},
        {"spi", "\"65602\"", "\"spi\" must be"},
        {"spi", "4294967296", "\"spi\" must be"},
        {"spi", "-1", "\"spi\" must be"},
        {"spi", "4294967295", NULL},
        {"name", NULL, "\"name\" must be"},
        {"name", "7", "\"name\" must be"},
        {"name", "\"\"", "\"name\" must be 1 to 63"},
        {"name", "\"a b\"", "\"name\" must be 1 to 63"},
        {"name", "\"a234567890123456789012345678901234567890123456789012345678"
                 "901234\"", "1 to 63"},
        {"name", "\"a234567890123456789012345678901234567890123456789012345678"
                 "90123\"", NULL},
        {"profile", NULL, "\"profile\" must be a string"},
        {"profile", "\"sl2\"", "profile \"sl2\" is not one of: sl1, psp"},
        {"kdf", NULL, "\"kdf\" must be a string"},
        {"kdf", "1", "\"kdf\" must be a string"},
        {"kdf", "\"hkdf-sha1\"", "not one of: cmac-aes256, hkdf-sha256"},
        {"kdf", "\"hkdf-sha256\"", NULL},
        {"kdf", "\"hkdf-sha384\"", NULL},
        {"kdf", "\"hkdf-sha512\"", NULL},
        {"kdf", "\"hmac-sha256\"", NULL},
        {"aead", NULL, "\"aead\" must be a string"},
        {"aead", "\"aes-192-gcm\"", "not one of: aes-128-gcm, aes-256-gcm"},
        {"aead", "\"aes-128-gcm\"", NULL},
        {"aead", "\"chacha20-poly1305\"", NULL},
        {"aead", "\"aes-256-gcm-siv\"", NULL}, /* a lane needs OpenSSL 3.2 */
        {"aead", "\"aes-256-gmac\"", "needs \"confidentiality\": false"},
        {"confidentiality", "true", NULL},
        {"confidentiality", "false", "needs the aead aes-256-gmac"},
        {"confidentiality", "0", "\"confidentiality\" must be true or false"},
        {"bind_destination", "1", "\"bind_destination\" must be"},
        {"bind_destination", "\"true\"", "\"bind_destination\" must be"},
        {"bind_destination", "null", "\"bind_destination\" must be"},
        {"replay", "\"on\"", "replay \"on\" is not one of"},
        {"replay", "\"windows\"", "replay \"windows\" is not one of"},
        {"replay_window", "1024", "needs \"replay\": \"window\""},
        {"replay_window", "65600", "\"replay_window\" must be"},
        {"replay", "true", "is not one of: strict, window, off"},
        {"replay", "null", "is not one of: strict, window, off"},
        {"replay", "\"strict\"", NULL},
        {"replay", "\"off\"", NULL},
        {"epoch", "65535", NULL},
        {"epoch", "65536", "\"epoch\" must be"},
        {"epoch", "1.0", "\"epoch\" must be"},
        {"epoch_window", "32767", NULL},
        {"epoch_window", "32768", "\"epoch_window\" must be"},
        {"domain_id", "4294967295", NULL},
        {"domain_id", "4294967296", "\"domain_id\" must be"},
        {"compact_id", "255", NULL},
        {"compact_id", "256", "\"compact_id\" must be"},
        {"compact_id", "true", "\"compact_id\" must be"},
    };

    (void)unused;
    TRY(c);
}

static void levels(void **unused)
{
    static const struct change c[] = {
        {"levels", NULL, "at least one level"},
        {"levels", "{}", "at least one level"},
        {"levels", "[\"domain\"]", "at least one level"},
        {"levels", "\"domain\"", "at least one level"},
        {"levels", "{\"rack\": \"cluster-a\"}", "\"rack\" must be one of"},
        {"levels", "{\"domain\": 7}", "\"domain\" must be one of"},
        {"levels", "{\"domain\": \"a b\"}", "\"domain\" must be one of"},
        {"levels", "{\"job\": \"cluster-a\"}",
         "no job key has the id \"cluster-a\""},
        {"levels", "{\"job\": \"job-43\"}", "no job key has the id \"job-43\""},
        {"levels", "{\"job\": \"job-42\"}", NULL},
    };

    (void)unused;
    TRY(c);
}

static void selectors(void **unused)
{
    static const struct change c[] = {
        {"selectors", NULL, "\"selectors\" must be a non-empty array"},
        {"selectors", "[]", "\"selectors\" must be a non-empty array"},
        {"selectors", "\"ranks\"", "\"selectors\" must be a non-empty array"},
        {"selectors", "{\"ranks\": true}", "must be a non-empty array"},
        {"selectors", "[\"Ranks\"]", "\"Ranks\" is repeated or not one of"},
        {"selectors", "[\"flows\"]", "\"flows\" is repeated or not one of"},
        {"selectors", "[\"flow\"]", "selectors need ranks, source, device"},
        {"selectors", "[\"vm\"]", "selectors need ranks, source, device"},
        {"selectors", "[\"device\"]", NULL},
        {"selectors", "[\"ipv4\"]", NULL},
        {"selectors", "[\"ipv6\", \"tenant\"]", NULL},
        {"selectors", "[\"tuple4\", \"task\"]", NULL},
        {"selectors", "[\"tuple6\", \"job\"]", NULL},
        {"selectors", "[\"flow\", \"ranks\", \"vm\"]", NULL},
        {"selectors", "[1]", "(not a string)"},
        {"selectors", "[\"ranks\", \"ranks\"]", "\"ranks\" is repeated"},
        {"selectors", "[\"ranks\", \"source\", \"destination\"]", NULL},
        {"selectors", "[\"destination\"]", "need ranks, source"},
        {"selectors", "[\"source\"]", NULL}, /* bound to the destination */
    };

    (void)unused;
    TRY(c);
}

/* S + ceil(log2(max_payload / 16)) <= 36, at every edge. */
static void data_limit(void **unused)
{
    static const struct change c[] = {
        {"max_payload", "63", "max_payload must be at least 64"},
        {"max_payload", "0", "max_payload must be at least 64"},
        {"max_payload", "64", NULL},
        {"max_payload", "65536", NULL},
        {"max_payload", "65537", "data limit of a key"},
        {"max_payload", "1048577", "\"max_payload\" must be"},
        {"phase_shift", "0", NULL},
        {"phase_shift", "24", NULL},
        {"phase_shift", "25", "data limit of a key"},
        {"phase_shift", "48", "data limit of a key"},
        {"phase_shift", "49", "\"phase_shift\" must be"},
    };
    unsigned shift, bits;

    (void)unused;
    TRY(c);
    for (bits = 6; bits <= 20; bits++)
        for (shift = 14; shift <= 36; shift++) {
            json_t *ring = ring_json(7), *policy = ring_policy(ring, 0);
            json_t *more;

            json_object_set_new(policy, "max_payload",
                                json_integer((json_int_t)1 << bits));
            json_object_set_new(policy, "phase_shift",
                                json_integer((json_int_t)shift));
            more = json_deep_copy(ring);
            try_ring(ring, bits - 4 + shift <= 36 ? NULL : "must not exceed 36");
            json_object_set_new(ring_policy(more, 0), "max_payload",
                                json_integer(((json_int_t)1 << bits) + 1));
            if (bits < 20)
                try_ring(more, bits - 3 + shift <= 36 ? NULL :
                                                        "must not exceed 36");
            else
                json_decref(more);
        }
}

/* Rules that are about more than one member. */
static void rules(void **unused)
{
    static const struct {
        const char *levels, *selectors, *replay;
        int bind, compact;
        const char *message;
    } c[] = {
        /* two jobs must not share contexts */
        {"{\"domain\":\"cluster-a\"}", "[\"ranks\"]", "strict", 1, 0,
         "ranks needs a job or task level"},
        {"{\"domain\":\"cluster-a\"}", "[\"ranks\",\"vm\"]", "strict", 1, 0,
         "ranks needs a job or task level"},
        {"{\"domain\":\"cluster-a\"}", "[\"ranks\",\"job\"]", "strict", 1, 0, NULL},
        {"{\"domain\":\"cluster-a\"}", "[\"ranks\",\"task\"]", "strict", 1, 0, NULL},
        {"{\"domain\":\"cluster-a\"}", "[\"source\"]", "strict", 1, 0, NULL},
        {"{\"job\":\"job-42\"}", "[\"ranks\"]", "strict", 1, 0, NULL},
        /* replay memory does not outlive a restart: then the epoch floor */
        {"{\"job\":\"job-42\"}", "[\"ranks\"]", "strict", 0, 0, NULL},
        {"{\"job\":\"job-42\"}", "[\"ranks\"]", "window", 0, 0, NULL},
        {"{\"job\":\"job-42\"}", "[\"source\"]", "window", 0, 0,
         "without a destination selector, bind_destination is needed"},
        {"{\"job\":\"job-42\"}", "[\"ranks\"]", "off", 0, 0, NULL},
        /* nor may one packet be for everybody */
        {"{\"job\":\"job-42\"}", "[\"source\"]", "off", 0, 0,
         "without a destination selector, bind_destination is needed"},
        {"{\"job\":\"job-42\"}", "[\"source\",\"destination\"]", "off", 0, 0,
         NULL},
        {"{\"job\":\"job-42\"}", "[\"device\",\"vm\"]", "off", 0, 0,
         "without a destination selector, bind_destination is needed"},
        {"{\"job\":\"job-42\"}", "[\"ipv4\"]", "off", 0, 0, NULL},
        {"{\"job\":\"job-42\"}", "[\"tuple6\"]", "off", 0, 0, NULL},
        {"{\"job\":\"job-42\"}", "[\"source\"]", "off", 1, 0, NULL},
        /* the compact option carries ranks and nothing else */
        {"{\"job\":\"job-42\"}", "[\"ranks\"]", "strict", 1, 1, NULL},
        {"{\"job\":\"job-42\"}", "[\"source\"]", "strict", 1, 1,
         "compact_id needs the selectors"},
        {"{\"job\":\"job-42\"}", "[\"ranks\",\"source\"]", "strict", 1, 1,
         "compact_id needs the selectors"},
    };
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        json_t *ring = ring_json(7), *policy = ring_policy(ring, 0);

        json_object_set_new(policy, "levels",
                            json_loads(c[i].levels, 0, NULL));
        json_object_set_new(policy, "selectors",
                            json_loads(c[i].selectors, 0, NULL));
        json_object_set_new(policy, "replay", json_string(c[i].replay));
        json_object_set_new(policy, "bind_destination",
                            json_boolean(c[i].bind));
        if (c[i].compact)
            json_object_set_new(policy, "compact_id", json_integer(1));
        try_ring(ring, c[i].message);
    }
}

/* Members that need others: text replaces members of the usual policy. */
static void together(void **unused)
{
    static const struct {
        const char *text, *message;
    } c[] = {
        {"{\"kdf\":\"hkdf-sha256\",\"commit\":true}", NULL},
        {"{\"kdf\":\"hmac-sha256\",\"commit\":true}", NULL},
        {"{\"kdf\":\"hkdf-sha512\",\"commit\":true,\"compact_id\":1}",
         "commit needs the full option"},
        {"{\"client\":\"source\",\"selectors\":[\"source\"]}",
         "client needs the selectors source and destination"},
        {"{\"client\":\"destination\",\"selectors\":[\"source\","
         "\"destination\"]}", NULL},
        {"{\"client\":\"source\",\"selectors\":[\"ranks\",\"source\","
         "\"destination\"]}", NULL},
        {"{\"domain_id\":9,\"proxies\":[{\"id\":5,\"domains\":[1,2]},"
         "{\"id\":6,\"domains\":[1]}]}", NULL},
        {"{\"domain_id\":9,\"proxies\":[{\"id\":5,\"domains\":[1,9]}]}",
         "must not name the policy's own domain_id"},
        {"{\"domain_id\":9,\"proxies\":[{\"id\":5,\"domains\":[1,1]}]}",
         "names a domain twice"},
        {"{\"domain_id\":9,\"proxies\":[{\"id\":5}]}", "must be a list of"},
        {"{\"domain_id\":9,\"proxies\":[{\"id\":5,\"domains\":[]}]}",
         "must be a list of"},
        {"{\"domain_id\":9,\"proxies\":[{\"id\":-5,\"domains\":[1]}]}",
         "must be a list of"},
        {"{\"domain_id\":9,\"proxies\":[{\"id\":5,\"domains\":[1],\"x\":1}]}",
         "must be a list of"},
        {"{\"domain_id\":9,\"proxies\":[5]}", "must be a list of"},
        {"{\"domain_id\":9,\"proxies\":5}", "must be a non-empty list"},
        {"{\"domain_id\":9,\"compact_id\":1,"
         "\"proxies\":[{\"id\":5,\"domains\":[1]}]}",
         "proxies needs the full option"},
        {"{\"domain_id\":9,\"selectors\":[\"ipv4\"],"
         "\"proxies\":[{\"id\":5,\"domains\":[1]}]}",
         "proxies needs the selector ranks or source"},
        {"{\"crypt_offset_max\":1,\"selectors\":[\"ranks\",\"source\","
         "\"destination\",\"flow\",\"device\",\"vm\",\"task\",\"job\","
         "\"ipv4\",\"ipv6\",\"tuple4\",\"tuple6\",\"tenant\"]}", NULL},
        {"{\"kdf\":\"hkdf-sha256\",\"commit\":true,\"crypt_offset_max\":1,"
         "\"domain_id\":9,\"proxies\":[{\"id\":5,\"domains\":[1]}],"
         "\"selectors\":[\"ranks\",\"source\",\"destination\",\"flow\","
         "\"device\",\"vm\",\"task\",\"job\",\"ipv4\",\"ipv6\","
         "\"tuple4\",\"tuple6\",\"tenant\"]}",
         "header is longer than 252 bytes"},
        {"{\"crypt_offset_max\":1,\"compact_id\":1}", NULL},
        /* S + log2(64 KiB / 16) + log2(partitions) <= 36 */
        {"{\"partitioned\":true,\"phase_shift\":20}", NULL},
        {"{\"partitioned\":true,\"phase_shift\":21}", "must not exceed 36"},
        {"{\"partitioned\":true,\"partitions\":1}", NULL},
        {"{\"replay\":\"window\",\"replay_window\":64}", NULL},
        {"{\"replay\":\"window\",\"replay_window\":65536}", NULL},
        {"{\"replay\":\"window\",\"replay_window\":0}", "multiple of 64"},
        {"{\"replay\":\"window\",\"replay_window\":100}", "multiple of 64"},
        {"{\"replay\":\"off\",\"replay_window\":64}", "needs"},
        {"{\"partitioned\":true,\"partitions\":2}", "must not exceed 36"},
        {"{\"partitioned\":true,\"partitions\":17,\"phase_shift\":20}",
         "must not exceed 36"},
        {"{\"partitioned\":true,\"partitions\":65536,\"phase_shift\":8}",
         NULL},
        {"{\"partitioned\":true,\"partitions\":65536,\"phase_shift\":9}",
         "must not exceed 36"},
        {"{\"partitioned\":true,\"partitions\":0,\"phase_shift\":9}",
         "\"partitions\" must be a number from 1"},
        /* the lease tells senders apart */
        {"{\"partitioned\":true,\"partitions\":1,\"selectors\":[\"flow\"]}",
         NULL},
    };
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        json_t *ring = ring_json(7), *change = json_loads(c[i].text, 0, NULL);

        assert_non_null(change);
        json_object_update(ring_policy(ring, 0), change);
        json_decref(change);
        try_ring(ring, c[i].message);
    }
}

/* Readable payloads have to be asked for twice. */
static void gmac(void **unused)
{
    json_t *ring = ring_json(7), *policy = ring_policy(ring, 0);
    struct eesp_keyring *keyring;

    (void)unused;
    json_object_set_new(policy, "aead", json_string("aes-256-gmac"));
    json_object_set_new(policy, "confidentiality", json_false());
    keyring = ring_parse(ring);
    assert_int_equal(
        eesp_policy_info(eesp_keyring_policy_at(keyring, 0))->confidentiality,
        0);
    eesp_keyring_free(keyring);
}

static void defaults(void **unused)
{
    struct eesp_keyring *keyring = ring_parse(ring_json(7));
    const struct eesp_policy_info *p =
        eesp_policy_info(eesp_keyring_policy_at(keyring, 0));

    (void)unused;
    assert_int_equal(p->phase_shift, 24);
    assert_int_equal(p->bind_destination, 1);
    assert_int_equal(p->confidentiality, 1);
    assert_int_equal(p->replay, EESP_REPLAY_STRICT);
    assert_int_equal(p->epoch_window, 1);
    assert_int_equal(p->max_payload, 65536);
    assert_int_equal(p->compact_id, 0);
    assert_int_equal(p->levels, 5);
    assert_string_equal(p->key_id[EESP_DOMAIN], "cluster-a");
    assert_string_equal(p->key_id[EESP_TENANT], "");
    assert_string_equal(p->key_id[EESP_JOB], "job-42");
    eesp_keyring_free(keyring);
}

/* One SPI has one policy, and a name or a number means one policy. */
static void twice(void **unused)
{
    json_t *ring = ring_json(7), *second = policy_json();

    (void)unused;
    json_array_append(json_object_get(ring, "eesp_policies"), second);
    try_ring(json_deep_copy(ring), "policy 2: SPI 65602 is in use");
    json_object_set_new(second, "spi", json_integer(1));
    try_ring(json_deep_copy(ring), "policy 2: name \"default\" is in use");
    json_object_set_new(second, "name", json_string("65602"));
    try_ring(json_deep_copy(ring), "the first no digit");
    json_object_set_new(second, "name", json_string("second"));
    try_ring(json_deep_copy(ring), NULL);
    json_array_set_new(json_object_get(ring, "eesp_policies"), 1,
                       json_string("default"));
    try_ring(ring, "policy 2: not an object");
    json_decref(second);
}

static void too_many(void **unused)
{
    json_t *ring = ring_json(7), *list = json_object_get(ring, "eesp_policies");
    struct eesp_keyring *keyring;
    char name[20], why[EESP_WHY_LEN];
    int i;

    (void)unused;
    for (i = 2; i <= 257; i++) {
        json_t *policy = policy_json();

        snprintf(name, sizeof(name), "p%d", i);
        json_object_set_new(policy, "spi", json_integer(i));
        json_object_set_new(policy, "name", json_string(name));
        json_array_append_new(list, policy);
        if (i == 256)
            try_ring(json_deep_copy(ring), NULL);
    }
    assert_int_equal(ring_try(ring, &keyring, why), EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "more than 256 policies"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members),    cmocka_unit_test(levels),
        cmocka_unit_test(selectors),  cmocka_unit_test(data_limit),
        cmocka_unit_test(rules),      cmocka_unit_test(defaults),
        cmocka_unit_test(twice),      cmocka_unit_test(too_many),
        cmocka_unit_test(gmac),       cmocka_unit_test(together),
    };

    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
