/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sender's side of TSS: which counters it may use. (key, nonce) is used
 * once, since a key belongs to one SSI and epoch, or with direct keys the nonce
 * has both in it, and there each counter is taken once:
 *
 *     a restart          nothing is sealed until the caller names counters that
 *                        are fresh, or that it has put on record before
 *     two ends           a range that overlaps one given out before in this
 *                        process, for that key, SSI and epoch, is refused
 *     fork               the counter's page reads as zeros in the child, which
 *                        refuses
 *     client and server  bit 47 is 0 in a client's counters, 1 in a server's
 *     another AN's key   new counters come with it, never without
 *     end                the last counter is 2^48 - 1 (2^47 of them for each
 *                        of client and server), then EESP_ERR_LIMIT
 */
#include "bytes.h"
#include "claims.h"
#include "kdf.h"
#include "tss.h"

static uint64_t counters(const struct eesp_tss *tss)
{
    return tss->params.mode == EESP_TSS_SERVER ? EESP_TSS_SERVER_BIT :
                                                 EESP_TSS_COUNTERS;
}

/* The client's key, or the domain's: NULL, none. *epoch: the current one. */
static const uint8_t *sealing_key(const struct eesp_tss *tss, unsigned an,
                                  uint16_t *epoch)
{
    const struct eesp_tss_slot *slot  = &tss->secrets->slot[an];
    const struct eesp_tss_grant *kept = tss->secrets->grant[an];

    if (tss->grants[an] > 0) {
        *epoch = kept[0].epoch;
        return kept[0].key;
    }
    *epoch = slot->epoch;
    return slot->has_key ? slot->key : NULL;
}

/*
 * EESP_OK if first .. limit - 1 were not given out before in this process for
 * that key, SSI and epoch; from now on they are. Of the key there is a MAC,
 * which does not tell it.
 */
static int claim_range(const struct eesp_tss *tss, const uint8_t *key,
                       uint16_t epoch, uint64_t first, uint64_t limit)
{
    uint8_t context[4 + 2 + 2], print[EESP_CLAIM_LEN];
    int ret;

    store32(context, tss->params.server ? 0 : (uint32_t)tss->params.ssi);
    store16(context + 4, epoch);
    context[6] = (uint8_t)(tss->params.server != 0);
    context[7] = (uint8_t)tss->params.mode;
    ret = eesp_kdf_once(&eesp_kdf_cmac_aes256, key, EESP_LABEL_CHECK_VALUE,
                        context, sizeof(context), print, sizeof(print));
    return ret == EESP_OK ?
               eesp_claim(EESP_CLAIM_TSS, print, first, limit) : ret;
}

int eesp_tss_send_from(struct eesp_tss *tss, unsigned an, uint16_t epoch,
                       uint64_t first, uint64_t limit)
{
    struct eesp_tss_counter *counter = tss->counter;
    const uint8_t *key;
    uint16_t current;
    int ret;

    if (!counter->alive)
        return EESP_ERR_LEASE;
    if (tss->params.any)
        return EESP_ERR_ARGUMENT;
    if (limit == EESP_TSS_COUNTERS)
        limit = counters(tss);
    if (an > 1 || first >= limit || limit > counters(tss))
        return EESP_ERR_ARGUMENT;
    key = sealing_key(tss, an, &current);
    if (key == NULL)
        return EESP_DROP_GENERATION;
    if (epoch != current)
        return EESP_ERR_ARGUMENT;
    ret = claim_range(tss, key, epoch, first, limit);
    if (ret != EESP_OK)
        return ret;
    tss->an        = an;
    tss->epoch     = epoch;
    counter->next  = first;
    counter->limit = limit;
    return EESP_OK;
}

int eesp_tss_seal(struct eesp_tss *tss, const struct eesp_tss_place *place,
                  const void *payload, size_t payload_length, void *packet,
                  size_t size, size_t *length_p)
{
    struct eesp_tss_counter *counter = tss->counter;
    struct eesp_tss_header header    = {
        .an = (uint8_t)tss->an, .sdi = tss->params.sdi, .epoch = tss->epoch,
        .ssi = (uint32_t)tss->params.ssi,
    };
    struct eesp_tss_name name;
    int ret;

    if (!counter->alive)
        return EESP_ERR_LEASE;
    if (counter->next == counter->limit)
        return counter->limit == counters(tss) ? EESP_ERR_LIMIT :
                                                 EESP_ERR_LEASE;
    if (tss->params.server) {
        if (place == NULL)
            return EESP_ERR_ARGUMENT;
        header.ssi = place->client;
    }
    header.counter = counter->next;
    if (tss->params.server)
        header.counter |= EESP_TSS_SERVER_BIT;
    name = (struct eesp_tss_name){
        .an = header.an, .epoch = header.epoch, .ssi = header.ssi,
        .rekey = eesp_tss_rekey(&tss->params, header.counter)};
    ret = eesp_tss_use(tss, &tss->tx, &name);
    if (ret != EESP_OK)
        return ret;
    counter->next++; /* whatever becomes of it: not a second time */
    if (tss->params.form == EESP_TSS_IN_EESP)
        return eesp_tss_seal_eesp(&tss->tx, &header, tss->params.ranks, place,
                                  payload, payload_length, packet, size,
                                  length_p);
    return eesp_tss_seal_fields(&tss->tx, &header, place, payload,
                                payload_length, packet, size, length_p);
}
