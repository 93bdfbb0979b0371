/* SPDX-License-Identifier: BSD-3-Clause */
#include "ends.h"

#include <err.h>
#include <string.h>

#include "keyring_text.h"

/* Two levels, as `eesp keygen` makes them. */
static const char keyring_text[] =
    "{\"keys\": ["
    "{\"kty\": \"oct\", \"kid\": \"d\", \"k\": \"" BENCH_KEY "\","
    " \"eesp_level\": \"domain\", \"eesp_generation\": 1,"
    " \"eesp_state\": \"current\"},"
    "{\"kty\": \"oct\", \"kid\": \"j\", \"k\": \"" BENCH_KEY "\","
    " \"eesp_level\": \"job\", \"eesp_generation\": 1,"
    " \"eesp_state\": \"current\"}],"
    "\"eesp_version\": 1, \"eesp_policies\": ["
    "{\"spi\": 65537, \"name\": \"ranks\", \"profile\": \"sl1\","
    " \"kdf\": \"cmac-aes256\", \"aead\": \"aes-256-gcm\","
    " \"levels\": {\"domain\": \"d\", \"job\": \"j\"},"
    " \"selectors\": [\"ranks\"], \"compact_id\": 1,"
    " \"epoch\": 1, \"epoch_window\": 1, \"phase_shift\": 24,"
    " \"replay\": \"strict\", \"bind_destination\": true}]}";

static struct eesp_lane *open_lane(const struct ends *ends,
                                   const char *backend, unsigned key_cache,
                                   uint32_t rank)
{
    struct eesp_lane_params params = {
        .keyring   = ends->keyring,
        .policy    = eesp_keyring_policy_at(ends->keyring, 0),
        .backend   = backend,
        .key_cache = key_cache,
        .rank      = rank,
    };
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN];

    if (eesp_lane_create(&params, &lane, why) != EESP_OK)
        errx(1, "%s", why);
    return lane;
}

void ends_open(struct ends *ends, const char *backend, unsigned key_cache)
{
    char why[EESP_WHY_LEN];

    if (eesp_keyring_parse("bench", keyring_text, strlen(keyring_text),
                           &ends->keyring, why) != EESP_OK)
        errx(1, "%s", why);
    ends->tx = open_lane(ends, backend, key_cache, 0);
    ends->rx = open_lane(ends, backend, key_cache, 1);
    ends->to = (struct eesp_destination){
        .incarnation = eesp_lane_incarnation(ends->rx), .rank = 1};
}

void ends_close(struct ends *ends)
{
    eesp_lane_destroy(ends->tx);
    eesp_lane_destroy(ends->rx);
    eesp_keyring_free(ends->keyring);
}

size_t ends_max_payload(const struct ends *ends)
{
    return eesp_policy_info(eesp_keyring_policy_at(ends->keyring, 0))
        ->max_payload;
}

int ends_agree(const struct ends *ends)
{
    struct eesp_counters tx, rx;
    int i;

    eesp_lane_counters(ends->tx, &tx);
    eesp_lane_counters(ends->rx, &rx);
    for (i = 0; i < -EESP_ERROR_MIN; i++)
        if (rx.dropped[i] != 0)
            return 0;
    return tx.sealed > 0 && tx.sealed == rx.opened;
}
