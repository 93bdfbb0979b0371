/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seal: a payload becomes an EESP packet. Hot path: no allocation, lock or
 * system call. Only header, ciphertext and ICV are ever written to packet, the
 * header last: packet may be memory that another process watches.
 */
#include <string.h>

#include "context.h"
#include "lane.h"
#include "master.h"

size_t eesp_overhead(const struct eesp_policy *policy)
{
    return eesp_header_length(policy->info.compact_id != 0,
                              policy->info.selectors) +
           EESP_INFO_LEN + 3 + EESP_ICV_LEN;
}

/* Payload Info Header, parts and padding, in one piece if that is short. */
static int encrypt(struct eesp_lane *lane, struct eesp_key_slot *slot,
                   const struct eesp_header *header, const uint8_t *aad,
                   const struct iovec *iov, unsigned iovcnt, size_t payload,
                   uint8_t *out, uint8_t *icv)
{
    static const uint8_t zeros[3];
    unsigned padding           = eesp_padding(payload);
    uint8_t info[EESP_INFO_LEN] = {0, 0, EESP_NEXT_HEADER, (uint8_t)padding};
    struct iovec parts[EESP_IOV_MAX + 2];
    uint8_t nonce[EESP_NONCE_LEN];
    unsigned i, count = 0;

    eesp_lane_nonce(lane, header, slot->mask, nonce);
    if (payload <= EESP_GATHER_MAX - EESP_INFO_LEN - 3) {
        uint8_t *p = lane->gather;

        memcpy(p, info, sizeof(info));
        p += sizeof(info);
        for (i = 0; i < iovcnt; i++) {
            if (iov[i].iov_len > 0)
                memcpy(p, iov[i].iov_base, iov[i].iov_len);
            p += iov[i].iov_len;
        }
        memcpy(p, zeros, padding);
        parts[count++] = (struct iovec){
            lane->gather, (size_t)(p - lane->gather) + padding};
    } else {
        parts[count++] = (struct iovec){info, sizeof(info)};
        for (i = 0; i < iovcnt; i++)
            parts[count++] = iov[i];
        parts[count++] = (struct iovec){(void *)zeros, padding};
    }
    return lane->aead->seal(slot->aead, nonce, aad, header->length, parts,
                            count, out, icv);
}

int eesp_seal_fields(struct eesp_lane *lane, struct eesp_header *header,
                     unsigned master, uint64_t destination_incarnation,
                     const struct iovec *iov, unsigned iovcnt, void *packet,
                     size_t size, size_t *length_p)
{
    const struct eesp_policy_info *policy = &lane->policy->info;
    uint8_t built[EESP_HEADER_MAX], icv[EESP_ICV_LEN], *out = packet;
    size_t payload = 0, body;
    struct eesp_key_name name;
    struct eesp_key_slot *slot;
    int ret, derived;
    unsigned i;

    for (i = 0; i < iovcnt; i++) {
        if (iov[i].iov_len > policy->max_payload - payload)
            return EESP_ERR_SPACE;
        payload += iov[i].iov_len;
    }
    eesp_header_build(header, built);
    body = EESP_INFO_LEN + payload + eesp_padding(payload);
    if (size < header->length + body + EESP_ICV_LEN)
        return EESP_ERR_SPACE;

    name.master = (uint16_t)master;
    name.length = (uint16_t)eesp_context_build(
        policy, header, destination_incarnation, name.context);
    ret = eesp_lane_key(lane, &name, &slot, &derived);
    if (ret != EESP_OK)
        return ret;
    ret = encrypt(lane, slot, header, built, iov, iovcnt, payload,
                  out + header->length, icv);
    if (ret != EESP_OK)
        return ret;
    if (derived)
        eesp_keycache_insert(lane->keys, &name);
    memcpy(out + header->length + body, icv, EESP_ICV_LEN);
    memcpy(out, built, header->length);
    *length_p = header->length + body + EESP_ICV_LEN;
    lane->counters.sealed++;
    return EESP_OK;
}

int eesp_seal(struct eesp_lane *lane,
              const struct eesp_destination *destination,
              const struct iovec *iov, unsigned iovcnt, void *packet,
              size_t size, size_t *length_p)
{
    const struct eesp_policy *policy    = lane->policy;
    const struct eesp_policy_info *info = &policy->info;
    struct eesp_header header = {
        .session_id       = destination->session_id,
        .spi              = info->spi,
        .compact          = info->compact_id != 0,
        .kdf              = info->kdf,
        .aead             = info->aead,
        .flags            = info->bind_destination ? EESP_FLAG_BOUND : 0,
        .levels           = info->levels,
        .selectors        = info->selectors,
        .combination_id   = info->compact_id,
        .epoch            = info->epoch,
        .phase_shift      = info->phase_shift,
        .source_rank      = lane->rank,
        .destination_rank = destination->rank,
        .source_id        = lane->id,
        .destination_id   = destination->id,
    };
    int ret;

    if (iovcnt > EESP_IOV_MAX || lane->impersonating)
        return EESP_ERR_ARGUMENT;
    if (policy->send < 0 ||
        (policy->send_until != 0 && eesp_boot_seconds() >= policy->send_until))
        return EESP_ERR_EXPIRED;
    eesp_master_generations(policy, (unsigned)policy->send,
                            header.generations);
    ret = eesp_nonce_take(lane->nonce, &header.incarnation, &header.sequence);
    if (ret != EESP_OK)
        return ret;
    return eesp_seal_fields(lane, &header, (unsigned)policy->send,
                            destination->incarnation, iov, iovcnt, packet,
                            size, length_p);
}
