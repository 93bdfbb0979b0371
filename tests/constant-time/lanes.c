/* SPDX-License-Identifier: BSD-3-Clause */
/* From secret root keys to packets and back, under policies of every kind. */
#include "secrets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aead.h"
#include "eesp.h"
#include "keyring.h"
#include "master.h"
#include "secret.h"

static const char keys_text[] =
    "{\"eesp_version\":1,\"keys\":["
    "{\"kty\":\"oct\",\"kid\":\"cluster-a\",\"eesp_level\":\"domain\","
    "\"eesp_generation\":3,\"eesp_state\":\"current\","
    "\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"},"
    "{\"kty\":\"oct\",\"kid\":\"cluster-a\",\"eesp_level\":\"domain\","
    "\"eesp_generation\":4,\"eesp_state\":\"next\","
    "\"k\":\"AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"},"
    "{\"kty\":\"oct\",\"kid\":\"job-42\",\"eesp_level\":\"job\","
    "\"eesp_generation\":1,\"eesp_state\":\"current\","
    "\"k\":\"%c_ECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}],"
    "\"eesp_policies\":[{\"spi\":65602,\"name\":\"p\",\"profile\":\"sl1\","
    "\"levels\":{\"domain\":\"cluster-a\",\"job\":\"job-42\"},\"epoch\":2,%s}]}";

static const struct {
    const char *name, *members;
    unsigned    crypt_offset;
} policies[] = {
    {"ranks", "\"kdf\":\"cmac-aes256\",\"aead\":\"aes-256-gcm\","
              "\"selectors\":[\"ranks\"],\"compact_id\":1", 0},
    {"commitment", "\"kdf\":\"hmac-sha256\",\"aead\":\"aes-128-gcm\","
                   "\"selectors\":[\"ranks\"],\"commit\":true", 0},
    {"readable", "\"kdf\":\"hmac-sha256\",\"aead\":\"aes-256-gmac\","
                 "\"confidentiality\":false,\"selectors\":[\"ranks\"]", 0},
    {"client key", "\"kdf\":\"hkdf-sha256\","
                   "\"aead\":\"chacha20-poly1305\",\"selectors\":"
                   "[\"source\",\"destination\"],\"client\":\"source\"", 0},
    {"crypt offset", "\"kdf\":\"hkdf-sha384\",\"aead\":\"aes-256-gcm\","
                     "\"selectors\":[\"ranks\"],\"crypt_offset_max\":8", 8},
    {"phase", "\"kdf\":\"hkdf-sha512\",\"aead\":\"aes-256-gcm\","
              "\"selectors\":[\"ranks\"],\"phase_shift\":10", 0},
};

static struct eesp_keyring *parse(const char *members, char job)
{
    char text[2000], why[EESP_WHY_LEN];
    struct eesp_keyring *keyring;
    int n = snprintf(text, sizeof(text), keys_text, job, members);

    must(n > 0 && (size_t)n < sizeof(text), "room for a keyring");
    if (eesp_keyring_parse("ring", text, (size_t)n, &keyring, why) != EESP_OK)
        must(0, why);
    return keyring;
}

/* As if the roots had been secret when they were read. */
static void derive_again(struct eesp_keyring *keyring)
{
    char why[EESP_WHY_LEN];
    unsigned i;

    for (i = 0; i < keyring->keys_count; i++)
        make_secret(keyring->keys[i].bytes, keyring->keys[i].info.length);
    eesp_secret_free(keyring->masters, keyring->masters_size);
    must(eesp_masters_derive(keyring, "ring", why) == EESP_OK, why);
}

static struct eesp_lane *lane_of(const struct eesp_keyring *keyring,
                                 unsigned rank, const char *backend)
{
    struct eesp_lane_params params = {
        .keyring = keyring, .policy = eesp_keyring_policy_at(keyring, 0),
        .backend = backend, .key_cache = 4, .replay_table = 16, .rank = rank,
        .id = rank};
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN];

    must(eesp_lane_create(&params, &lane, why) == EESP_OK, why);
    return lane;
}

static void exchange(struct eesp_lane *from, struct eesp_lane *to,
                     unsigned crypt_offset)
{
    static const size_t lengths[] = {0, 1, 64, 700, 3000};
    static uint8_t text[3000], packet[4000], plain[4000];
    struct eesp_destination destination = {
        .incarnation = eesp_lane_incarnation(to), .id = 1, .rank = 1};
    struct eesp_seal_options options = {.crypt_offset = crypt_offset};
    struct eesp_opened opened;
    size_t i, length;
    int ret;

    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct iovec iov[2] = {{text, lengths[i] / 2},
                               {text + lengths[i] / 2,
                                lengths[i] - lengths[i] / 2}};

        make_secret(text, sizeof(text));
        must(eesp_seal_with(from, &destination, &options, iov, 2, packet,
                            sizeof(packet), &length) == EESP_OK, "seal");
        make_known(packet, sizeof(packet));
        packet[length - 1] ^= 1;
        ret = eesp_open(to, packet, length, plain, sizeof(plain), &opened);
        must(ret == EESP_DROP_AUTH, "a wrong ICV is refused");
        packet[length - 1] ^= 1;
        ret = eesp_open(to, packet, length, plain, sizeof(plain), &opened);
        must(ret == EESP_OK && opened.length == lengths[i], "open");
        ret = eesp_open(to, packet, length, plain, sizeof(plain), &opened);
        must(ret == EESP_DROP_REPLAY, "a replay is refused");
    }
}

static void one_policy(unsigned i, const char *backend)
{
    struct eesp_keyring *keyring = parse(policies[i].members, 'A');
    const struct eesp_policy *policy = eesp_keyring_policy_at(keyring, 0);
    struct eesp_lane *from, *to;
    struct eesp_grant grant;
    uint8_t generations[EESP_LEVELS], value[EESP_CHECK_VALUE_LEN];
    uint64_t client = 7;
    unsigned k;

    begin("lane %s %s", policies[i].name, backend);
    derive_again(keyring);
    from = lane_of(keyring, 0, backend);
    to   = lane_of(keyring, 1, backend);
    exchange(from, to, policies[i].crypt_offset);
    eesp_policy_generations(policy, generations);
    must(eesp_policy_check_value(policy, generations, value) == EESP_OK,
         "check value");
    for (k = 0; k < eesp_policy_grants(policy); k++)
        (void)eesp_policy_grant(policy, k,
                                eesp_policy_info(policy)->client ? &client :
                                                                   NULL,
                                &grant);
    eesp_lane_destroy(from);
    eesp_lane_destroy(to);
    eesp_keyring_free(keyring);
}

/* The same keyring may follow, one with another key of that generation not. */
static void follow(void)
{
    struct eesp_keyring *a = parse(policies[0].members, 'A');
    struct eesp_keyring *b = parse(policies[0].members, 'A');
    struct eesp_keyring *c = parse(policies[0].members, 'B');
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN];

    begin("a keyring follows another");
    derive_again(a);
    derive_again(b);
    derive_again(c);
    lane = lane_of(a, 0, NULL);
    must(eesp_keyring_follows(a, b, "b", why) == EESP_OK, why);
    must(eesp_keyring_follows(a, c, "c", why) == EESP_ERR_KEYRING, "refused");
    must(eesp_lane_reload(lane, b, why) == EESP_OK, why);
    eesp_lane_destroy(lane);
    eesp_keyring_free(a);
    eesp_keyring_free(b);
    eesp_keyring_free(c);
}

void secrets_of_lanes(void)
{
    const char *backends[] = {"openssl", "ipsec-mb-avx2", "ipsec-mb-sse"};
    unsigned i, k;

    for (k = 0; k < sizeof(backends) / sizeof(backends[0]); k++) {
        if (eesp_aead_find(EESP_AEAD_AES_256_GCM, backends[k]) == NULL)
            continue;
        for (i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
            one_policy(i, backends[k]);
    }
    follow();
}
