/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every packet of tests/vectors/eesp that this version can make: sealed and
 * opened bit for bit on every backend. The vectors come from an independent
 * program.
 */
#include "unit.h"

#include <jansson.h>

#include "lane.h"
#include "master.h"

static unsigned done, skipped;

static json_t *load(const char *name)
{
    json_error_t error;
    json_t *json;
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", vectors_dir("eesp"), name);
    json = json_load_file(path, 0, &error);
    if (json == NULL)
        fail_msg("%s: %s", path, error.text);
    return json;
}

static const char *text(const json_t *object, const char *member)
{
    const char *s = json_string_value(json_object_get(object, member));

    if (s == NULL)
        fail_msg("vector has no %s", member);
    return s;
}

static uint64_t hex64(const json_t *object, const char *member)
{
    return strtoull(text(object, member), NULL, 16);
}

static uint64_t number(const json_t *object, const char *member)
{
    return (uint64_t)json_integer_value(json_object_get(object, member));
}

/* The selector values of a vector into a header. */
static void read_selectors(struct eesp_header *h, const char *hex)
{
    uint8_t v[EESP_SELECTORS_MAX];

    assert_int_equal(unhex(hex, v, sizeof(v)),
                     eesp_selectors_length(h->selectors));
    assert_int_equal(eesp_selectors_parse(v, h), EESP_OK);
}

/* Seals and opens one vector under a lane of the given backend. */
static void both_ways(struct eesp_keyring *keyring,
                      const struct eesp_policy *policy, struct eesp_header h,
                      uint64_t bound, const json_t *v, const char *backend)
{
    static uint8_t payload[8192], packet[8192], made[8192], plain[8192];
    size_t payload_len = unhex(text(v, "payload"), payload, sizeof(payload));
    size_t packet_len  = unhex(text(v, "packet"), packet, sizeof(packet));
    struct iovec iov[3];
    struct eesp_lane_params par = {.keyring = keyring, .policy = policy,
                                   .backend = backend, .key_cache = 4,
                                   .replay_table = 8};
    struct eesp_opened opened;
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN];
    size_t len = 0, part = payload_len / 3;
    int master;

    if (eesp_lane_create(&par, &lane, why) != EESP_OK)
        fail_msg("%s", why);
    master = eesp_master_find(policy, &policy->suites[0], h.generations, 0xff);
    assert_true(master >= 0);
    iov[0] = (struct iovec){payload, part};
    iov[1] = (struct iovec){payload + part, part};
    iov[2] = (struct iovec){payload + 2 * part, payload_len - 2 * part};
    assert_int_equal(eesp_seal_fields(lane, &h, (unsigned)master, bound, iov,
                                      3, made, sizeof(made), &len),
                     EESP_OK);
    assert_int_equal(len, packet_len);
    assert_memory_equal(made, packet, len);

    eesp_lane_impersonate(lane, h.destination_rank, h.destination_id, bound);
    assert_int_equal(eesp_open(lane, packet, packet_len, plain, sizeof(plain),
                               &opened),
                     EESP_OK);
    assert_int_equal(opened.length, payload_len);
    assert_memory_equal(opened.payload, payload, payload_len);
    assert_int_equal(opened.sequence, h.sequence);
    assert_int_equal(opened.incarnation, h.incarnation);
    assert_int_equal(opened.next_header, EESP_NEXT_HEADER);
    eesp_lane_destroy(lane);
    done++;
}

/* Options of the packet: what is in them comes from the vector alone. */
static void read_options(struct eesp_header *h, const json_t *v,
                         const struct eesp_policy_info *info)
{
    static uint8_t packet[8192];
    size_t n = unhex(text(v, "packet"), packet, sizeof(packet));
    struct eesp_header parsed;

    h->flags = info->flags;
    if (info->commit)
        h->options |= EESP_HAS_COMMITMENT;
    assert_int_equal(eesp_header_parse(packet, n, &parsed), EESP_OK);
    h->options     |= parsed.options & ~(unsigned)EESP_HAS_COMMITMENT;
    h->crypt_offset = parsed.crypt_offset;
    h->origin       = parsed.origin;
    if (h->options & EESP_HAS_ORIGIN)
        h->flags |= EESP_FLAG_PROXIED;
}

static void every_backend(struct eesp_keyring *keyring, uint32_t spi,
                          struct eesp_header h, uint64_t bound,
                          const json_t *v)
{
    const struct eesp_policy *policy = eesp_keyring_policy_spi(keyring, spi);
    const struct eesp_policy_info *info;
    unsigned i;

    assert_non_null(policy);
    info             = eesp_policy_info(policy);
    h.spi            = spi;
    h.compact        = info->compact_id != 0;
    h.kdf            = info->kdf;
    h.aead           = info->aead;
    h.levels         = info->levels;
    h.selectors      = info->selectors;
    h.combination_id = info->compact_id;
    h.phase_shift    = info->phase_shift;
    read_selectors(&h, text(v, "selector_values"));
    read_options(&h, v, info);
    for (i = 0; i < eesp_backends(); i++) {
        struct eesp_backend_info b;

        eesp_backend(i, &b);
        if (b.available && eesp_aead_id_by_name(b.algorithm) == h.aead)
            both_ways(keyring, policy, h, bound, v, b.name);
    }
}

static struct eesp_keyring *parse(json_t *document)
{
    char *dump = json_dumps(document, 0), why[EESP_WHY_LEN];
    struct eesp_keyring *keyring;

    if (eesp_keyring_parse("vectors", dump, strlen(dump), &keyring, why))
        fail_msg("%s", why);
    free(dump);
    return keyring;
}

/*
 * Who may speak for the origin of the vector "proxied": the vectors' keyring
 * does not say, and what it says is not part of any key.
 */
static void name_proxy(json_t *policy)
{
    if (strcmp(text(policy, "name"), "proxied") != 0)
        return;
    json_object_set_new(policy, "domain_id", json_integer(1));
    json_object_set_new(policy, "proxies",
                        json_pack("[{s:i,s:[i]}]", "id", 5, "domains",
                                  0xa00a));
}

/* native_profile_sl1_more.json with its keyring.json. */
static void more(void **unused)
{
    json_t *file = load("native_profile_sl1_more.json");
    json_t *ring = load("keyring.json");
    json_t *kept = json_array(), *policy, *v;
    struct eesp_keyring *keyring;
    size_t i;

    (void)unused;
    json_array_foreach(json_object_get(ring, "eesp_policies"), i, policy)
        if (eesp_aead_find(eesp_aead_id_by_name(text(policy, "aead")), NULL)) {
            name_proxy(policy);
            json_array_append(kept, policy);
        }
    json_object_set_new(ring, "eesp_policies", kept);
    keyring = parse(ring);
    done = skipped = 0;
    json_array_foreach(json_object_get(file, "vectors"), i, v) {
        uint32_t spi         = (uint32_t)number(v, "spi");
        struct eesp_header h = {.epoch = (uint16_t)number(v, "epoch")};
        const json_t *g      = json_object_get(v, "generations");

        if (eesp_keyring_policy_spi(keyring, spi) == NULL) {
            skipped++;
            continue;
        }
        for (int l = 0; l < EESP_LEVELS; l++)
            h.generations[l] =
                (uint8_t)number(g, eesp_level_name((enum eesp_level)l));
        h.session_id  = (uint16_t)number(v, "session_id");
        h.sequence    = hex64(v, "sequence");
        h.incarnation = hex64(v, "source_incarnation");
        every_backend(keyring, spi, h, hex64(v, "destination_incarnation"), v);
    }
    print_message("%u packets both ways, %u vectors need what libcrypto "
                  "lacks\n", done, skipped);
    assert_int_equal(skipped, 0);
    assert_true(done >= 36); /* on at least one backend */
    eesp_keyring_free(keyring);
    json_decref(file);
    json_decref(ring);
}

static const char *aead_name(unsigned id)
{
    unsigned i = 0;

    while (eesp_aead_at(i)->id != id)
        i++;
    return eesp_aead_at(i)->name;
}

/* One policy for the flags of a vector of native_profile_sl1.json. */
static json_t *policy_for(const json_t *v, uint32_t spi)
{
    long flags  = strtol(text(v, "flags"), NULL, 16);
    int bound   = (flags & EESP_FLAG_BOUND) != 0;
    json_t *policy;
    unsigned aead = (unsigned)number(v, "aead");

    policy = json_pack(
        "{s:i,s:s,s:s,s:s,s:s,s:{s:s,s:s,s:s},s:[s],s:i,s:i,s:s,s:b,s:b}",
        "spi", (int)spi, "name", "v", "profile", "sl1", "kdf",
        eesp_kdf_name((unsigned)number(v, "kdf") - 1), "aead", aead_name(aead),
        "levels", "domain", "dom-A", "job", "job-42", "task",
        "task-9", "selectors", "ranks", "epoch", (int)number(v, "epoch"),
        "phase_shift", (int)number(v, "shift"), "replay",
        bound ? "strict" : "off", "bind_destination", bound != 0,
        "confidentiality", aead != EESP_AEAD_AES_256_GMAC);
    if (flags & EESP_FLAG_PARTITION) {
        json_object_set_new(policy, "partitioned", json_true());
        json_object_set_new(policy, "partitions", json_integer(1));
    }
    return policy;
}

static json_t *root_key(const json_t *level, const char *name)
{
    uint8_t key[64], id[33] = {0};
    char k[128];
    size_t n = unhex(text(level, "key"), key, sizeof(key));

    unhex(text(level, "key_id"), id, sizeof(id) - 1);
    base64url(key, n, k);
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:i}", "kty", "oct", "kid",
                     (char *)id, "k", k, "eesp_level", name, "eesp_state",
                     "current", "eesp_generation",
                     (int)number(level, "generation"));
}

static void base(void **unused)
{
    json_t *file   = load("native_profile_sl1.json"), *v;
    json_t *levels = json_object_get(file, "levels");
    uint32_t spi   = (uint32_t)hex64(file, "spi");
    size_t i;

    (void)unused;
    done = skipped = 0;
    json_array_foreach(json_object_get(file, "vectors"), i, v) {
        long flags = strtol(text(v, "flags"), NULL, 16);
        struct eesp_header h = {.epoch = (uint16_t)number(v, "epoch")};
        struct eesp_keyring *keyring;
        json_t *doc;

        /* AES-256-GCM-SIV, where libcrypto has none */
        if (!eesp_aead_find((unsigned)number(v, "aead"), NULL)) {
            skipped++;
            continue;
        }
        doc = json_pack("{s:i,s:[o],s:[o,o,o]}", "eesp_version", 1,
                        "eesp_policies", policy_for(v, spi), "keys",
                        root_key(json_object_get(levels, "domain"), "domain"),
                        root_key(json_object_get(levels, "job"), "job"),
                        root_key(json_object_get(levels, "task"), "task"));
        keyring = parse(doc);
        h.generations[EESP_DOMAIN] = 7;
        h.generations[EESP_JOB]    = 3;
        h.generations[EESP_TASK]   = 1;
        h.session_id  = (uint16_t)number(v, "session_id");
        h.sequence    = hex64(v, "seq");
        h.incarnation = hex64(v, "src_instance");
        every_backend(keyring, spi, h,
                      flags & EESP_FLAG_BOUND ? hex64(v, "dst_instance") : 0,
                      v);
        eesp_keyring_free(keyring);
        json_decref(doc);
    }
    print_message("%u packets both ways, %u vectors need what libcrypto "
                  "lacks\n", done, skipped);
    assert_int_equal(skipped, !eesp_aead_find(EESP_AEAD_AES_256_GCM_SIV, NULL));
    assert_true(done >= 14);
    json_decref(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base),
        cmocka_unit_test(more),
    };

    return cmocka_run_group_tests_name("vectors", tests, NULL, NULL);
}
