/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring: keyrings and lanes for the tests. The documents are jansson objects,
 * so that a test changes the one member it is about.
 */
#ifndef RING_H
#define RING_H

#include "unit.h"

#include <jansson.h>

#define RING_SPI 65602

/* A root key of length bytes that count up from fill. */
static inline json_t *key_json(const char *level, const char *kid,
                               unsigned generation, const char *state,
                               uint8_t fill, size_t length)
{
    uint8_t bytes[100];
    char k[140];
    size_t i;

    assert_true(length <= sizeof(bytes));
    for (i = 0; i < length; i++)
        bytes[i] = (uint8_t)(fill + i);
    base64url(bytes, length, k);
    return json_pack("{s:s,s:s,s:s,s:s,s:I,s:s}", "kty", "oct", "kid", kid,
                     "k", k, "eesp_level", level, "eesp_generation",
                     (json_int_t)generation, "eesp_state", state);
}

static inline json_t *policy_json(void)
{
    return json_pack("{s:i,s:s,s:s,s:s,s:s,s:{s:s,s:s},s:[s],s:i}", "spi",
                     RING_SPI, "name", "default", "profile", "sl1", "kdf",
                     "cmac-aes256", "aead", "aes-256-gcm", "levels", "domain",
                     "cluster-a", "job", "job-42", "selectors", "ranks",
                     "epoch", 2);
}

/*
 * Domain ring of generation - 1, generation, generation + 1, a job key, and
 * one policy. A generation has the same key whatever its state.
 */
static inline json_t *ring_json(unsigned generation)
{
    uint8_t fill = (uint8_t)(16 * generation);

    return json_pack(
        "{s:i,s:[o,o,o,o],s:[o]}", "eesp_version", 1, "keys",
        key_json("domain", "cluster-a", generation - 1, "previous",
                 (uint8_t)(fill - 16), 32),
        key_json("domain", "cluster-a", generation, "current", fill, 32),
        key_json("domain", "cluster-a", generation + 1, "next",
                 (uint8_t)(fill + 16), 32),
        key_json("job", "job-42", 1, "current", 0x42, 32), "eesp_policies",
        policy_json());
}

static inline json_t *ring_key(const json_t *ring, size_t index)
{
    return json_array_get(json_object_get(ring, "keys"), index);
}

static inline json_t *ring_policy(const json_t *ring, size_t index)
{
    return json_array_get(json_object_get(ring, "eesp_policies"), index);
}

/* Parses and gives up ring. Its result, with the reason of a refusal. */
static inline int ring_try(json_t *ring, struct eesp_keyring **keyring_p,
                           char why[EESP_WHY_LEN])
{
    char *text = json_dumps(ring, 0);
    int ret;

    assert_non_null(text);
    why[0] = '\0';
    ret    = eesp_keyring_parse("ring.jwks", text, strlen(text), keyring_p,
                                why);
    free(text);
    json_decref(ring);
    return ret;
}

static inline struct eesp_keyring *ring_parse(json_t *ring)
{
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN];

    if (ring_try(ring, &keyring, why) != EESP_OK)
        fail_msg("%s", why);
    return keyring;
}

/* A lane of params under policy 0 unless params names one. */
static inline struct eesp_lane *lane_open(const struct eesp_keyring *keyring,
                                          struct eesp_lane_params params)
{
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN];

    params.keyring = keyring;
    if (params.policy == NULL)
        params.policy = eesp_keyring_policy_at(keyring, 0);
    if (params.replay_table == 0)
        params.replay_table = 64;
    if (params.key_cache == 0)
        params.key_cache = 16;
    if (eesp_lane_create(&params, &lane, why) != EESP_OK)
        fail_msg("%s", why);
    return lane;
}

static inline int count_drops(const struct eesp_lane *lane, int error)
{
    struct eesp_counters counters;

    eesp_lane_counters(lane, &counters);
    return (int)counters.dropped[-error];
}

#endif
