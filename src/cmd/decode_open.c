/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_open: opens packets as their receivers would. Two things that the
 * key depends on are not in a packet: the receiver's incarnation (policies
 * that bind the destination) and, in the compact form, the upper half of its
 * rank. The user gives them, or each receiver that was seen to send is tried.
 */
#include <stdlib.h>
#include <string.h>

#include "decode.h"

struct opener {
    const struct eesp_keyring *keyring;
    struct keylog             *keylog; /* NULL: the keyring opens */
    struct open_options        options;
    const struct peers        *peers;
    struct eesp_lane         **lanes; /* by index of the policy */
    uint8_t                   *plaintext;
    size_t                     size;
};

struct opener *opener_new(const struct eesp_keyring *keyring,
                          struct keylog *keylog,
                          const struct open_options *options,
                          const struct peers *peers)
{
    struct opener *opener = cmd_realloc(NULL, sizeof(*opener));
    size_t size;

    *opener = (struct opener){ .keyring = keyring, .keylog = keylog,
                               .options = *options, .peers = peers };
    if (keylog)
        return opener;
    size = eesp_keyring_policies(keyring) * sizeof(*opener->lanes);
    opener->lanes = cmd_realloc(NULL, size);
    memset(opener->lanes, 0, size);
    return opener;
}

static void wipe_plaintext(struct opener *opener)
{
    if (opener->plaintext)
        explicit_bzero(opener->plaintext, opener->size);
    free(opener->plaintext);
    opener->plaintext = NULL;
    opener->size = 0;
}

void opener_free(struct opener *opener)
{
    unsigned i;

    if (!opener)
        return;
    for (i = 0; opener->lanes && i < eesp_keyring_policies(opener->keyring);
         i++)
        if (opener->lanes[i])
            eesp_lane_destroy(opener->lanes[i]);
    wipe_plaintext(opener);
    free(opener->lanes);
    free(opener);
}

static void reserve(struct opener *opener, size_t length)
{
    if (opener->size >= length)
        return;
    wipe_plaintext(opener);
    opener->size = length;
    opener->plaintext = cmd_realloc(NULL, length);
}

/* The lane of a policy, made at its first packet; NULL and *error. */
static struct eesp_lane *lane_of(struct opener *opener, uint32_t spi,
                                 int *error)
{
    struct eesp_lane_params params = {
        .keyring = opener->keyring,
        .replay_table = 16, /* such a lane checks no replay */
    };
    char why[EESP_WHY_LEN];
    unsigned i = 0;

    params.policy = eesp_keyring_policy_spi(opener->keyring, spi);
    while (eesp_keyring_policy_at(opener->keyring, i) != params.policy)
        i++;
    if (!opener->lanes[i]) {
        *error = eesp_lane_create(&params, &opener->lanes[i], why);
        if (*error != EESP_OK) {
            cmd_complain("%s", why);
            opener->lanes[i] = NULL;
        }
    }
    return opener->lanes[i];
}

static bool attempt(struct opener *opener, struct eesp_lane *lane,
                    const struct decode_packet *packet,
                    struct open_result *result)
{
    const struct receiver *as = &result->receiver;

    eesp_lane_impersonate(lane, as->rank, as->id, as->incarnation);
    result->error = eesp_open(lane, packet->bytes, packet->length,
                              opener->plaintext, opener->size,
                              &result->opened);
    return result->error == EESP_OK;
}

/* A wrong receiver shows as one of these; no other receiver mends the rest. */
static bool try_another(int error)
{
    return error == EESP_DROP_AUTH || error == EESP_DROP_DESTINATION;
}

/* What the user or the header says about the receiver. */
static struct receiver named_receiver(const struct open_options *options,
                                      const struct eesp_header *header)
{
    struct receiver receiver = {
        .rank = header->destination_rank,
        .id = header->destination_id,
    };

    if (options->has_rank)
        receiver.rank = options->given.rank;
    if (options->has_id)
        receiver.id = options->given.id;
    if (options->has_incarnation)
        receiver.incarnation = options->given.incarnation;
    return receiver;
}

/*
 * Tries those who were seen to send, then the receiver as it is named: for a
 * compact packet without binding, a rank below 65536 that sent nothing.
 */
static void try_receivers(struct opener *opener, struct eesp_lane *lane,
                          const struct decode_packet *packet,
                          struct open_result *result)
{
    const struct open_options *options = &opener->options;
    const struct eesp_header *header = &result->header;
    struct receiver named = named_receiver(options, header);
    bool bound = result->policy->bind_destination;
    bool rank_known = options->has_rank || !header->compact;
    bool incarnation_known = options->has_incarnation || !bound;
    int32_t peer = PEERS_NONE;

    result->guessed = !rank_known || !incarnation_known;
    while (result->guessed) {
        result->receiver = named;
        peer = peers_next(opener->peers, peer, header, &result->receiver);
        if (peer == PEERS_NONE)
            break;
        if ((options->has_rank && result->receiver.rank != named.rank) ||
            (options->has_id && result->receiver.id != named.id))
            continue;
        if (incarnation_known)
            result->receiver.incarnation = named.incarnation;
        if (attempt(opener, lane, packet, result) ||
            !try_another(result->error))
            return;
    }
    result->receiver = named;
    attempt(opener, lane, packet, result);
}

void opener_open(struct opener *opener, const struct decode_packet *packet,
                 struct open_result *result)
{
    const struct eesp_policy *policy;
    struct eesp_lane *lane;

    *result = (struct open_result){ 0 };
    result->error = eesp_header_parse(packet->bytes, packet->length,
                                      &result->header);
    if (result->error != EESP_OK)
        return;
    result->has_header = true;
    if (opener->keylog) {
        keylog_open(opener->keylog, packet, result);
        return;
    }
    policy = eesp_keyring_policy_spi(opener->keyring, result->header.spi);
    if (!policy) {
        result->error = EESP_DROP_SPI;
        return;
    }
    result->policy = eesp_policy_info(policy);
    result->bound = result->policy->bind_destination;
    lane = lane_of(opener, result->header.spi, &result->error);
    if (!lane)
        return;
    reserve(opener, packet->length);
    try_receivers(opener, lane, packet, result);
}

bool opener_key(const struct eesp_keyring *keyring,
                const struct open_result *result, enum eesp_level level,
                struct eesp_key_info *key)
{
    uint32_t modulus = result->header.compact ? 4 : 256;
    unsigned i;

    for (i = 0; i < eesp_keyring_keys(keyring); i++) {
        eesp_keyring_key(keyring, i, key);
        if (key->level == level &&
            strcmp(key->id, result->policy->key_id[level]) == 0 &&
            key->generation % modulus == result->header.generations[level])
            return true;
    }
    return false;
}
