/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seal: a payload becomes an EESP packet. Hot path: no allocation, lock or
 * system call. Only header, ciphertext and ICV are ever written to packet, the
 * header last: packet may be memory that another process watches.
 */
#include <string.h>

#include "context.h"
#include "lane.h"
#include "seal_begin.h"
#include "underway.h"

size_t eesp_overhead(const struct eesp_policy *policy)
{
    const struct eesp_policy_info *info = &policy->info;
    unsigned options = (info->commit ? EESP_HAS_COMMITMENT : 0) |
                       (info->crypt_offset_max ? EESP_HAS_CRYPT_OFFSET : 0);

    return eesp_header_length(info->compact_id != 0, info->selectors,
                              options) +
           EESP_INFO_LEN + 3 + EESP_ICV_LEN;
}

/*
 * Payload Info Header, parts and padding, in one piece if that is short; else
 * the first bytes are, so that what is long begins with a block of the AEAD. aad
 * has the header, and room for readable bytes behind it.
 */
static int encrypt(struct eesp_lane *lane, struct eesp_key_slot *slot,
                   const struct eesp_header *header, uint8_t *aad,
                   const struct iovec *iov, unsigned iovcnt, size_t payload,
                   uint8_t *out, uint8_t *icv)
{
    static const uint8_t zeros[3];
    unsigned padding           = eesp_padding(payload);
    uint8_t info[EESP_INFO_LEN] = {0, 0, EESP_NEXT_HEADER, (uint8_t)padding};
    const struct eesp_aead *aead = lane->suites[0].aead;
    struct iovec parts[EESP_IOV_MAX + 3];
    uint8_t nonce[EESP_NONCE_LEN];
    size_t exposed = 4 * (size_t)header->crypt_offset;
    unsigned i, count = 0;
    int ret;

    eesp_lane_nonce(lane, header, slot->mask, nonce);
    if (payload <= lane->gather_size - EESP_INFO_LEN - 3) {
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
        parts[count++] = (struct iovec){lane->gather, EESP_GATHER_FIRST};
        parts[count++] = (struct iovec){info, sizeof(info)};
        for (i = 0; i < iovcnt; i++)
            parts[count++] = iov[i];
        parts[count++] = (struct iovec){(void *)zeros, padding};
        eesp_aead_take(parts + 1, EESP_GATHER_FIRST, lane->gather);
    }
    if (exposed > 0)
        eesp_aead_take(parts, exposed, aad + header->length);
    ret = (lane->stepwise && aead->seal_steps != NULL ? aead->seal_steps :
                                                        aead->seal)(
        slot->aead, nonce, aad, header->length + exposed, parts, count,
        out + exposed, icv);
    /* What is authenticated goes out, whatever becomes of the source. */
    if (ret == EESP_OK && exposed > 0)
        memcpy(out, aad + header->length, exposed);
    return ret;
}

/* Two callers, and one of them is every packet. */
static inline __attribute__((always_inline)) int
seal(struct eesp_lane *lane, struct eesp_header *header, unsigned master,
     uint64_t destination_incarnation, const struct iovec *iov,
     unsigned iovcnt, size_t payload, uint8_t *packet, size_t *length_p)
{
    size_t body = EESP_INFO_LEN + payload + eesp_padding(payload);
    uint8_t built[EESP_HEADER_MAX + EESP_EXPOSED_MAX], icv[EESP_ICV_LEN];
    struct eesp_key_name name;
    struct eesp_key_slot *slot;
    int ret, derived;

    if (header->crypt_offset > body / 4)
        header->crypt_offset = (unsigned)(body / 4);
    eesp_header_build(header, built);
    name.master = (uint16_t)master;
    name.length = (uint16_t)eesp_context_build(&lane->policy->info, header,
                                               destination_incarnation,
                                               name.context);
    ret = eesp_lane_key(lane, 0, &name, &slot, &derived);
    if (ret != EESP_OK)
        return ret;
    if (header->options & EESP_HAS_COMMITMENT) {
        memcpy(header->commitment, slot->commitment,
               sizeof(slot->commitment));
        eesp_header_commit(header, built);
    }
    ret = encrypt(lane, slot, header, built, iov, iovcnt, payload,
                  packet + header->length, icv);
    if (ret != EESP_OK)
        return ret;
    if (derived) {
        eesp_keycache_keep(lane->suites[0].keys, &name);
        if (lane->keylog != NULL)
            eesp_lane_log_key(lane, 0, &name);
    }
    memcpy(packet + header->length + body, icv, EESP_ICV_LEN);
    memcpy(packet, built, header->length);
    *length_p = header->length + body + EESP_ICV_LEN;
    eesp_underway_sealed(lane, header);
    lane->counters.sealed++;
    lane->counters.sealed_bytes += payload;
    return EESP_OK;
}

int eesp_seal_fields(struct eesp_lane *lane, struct eesp_header *header,
                     unsigned master, uint64_t destination_incarnation,
                     const struct iovec *iov, unsigned iovcnt, void *packet,
                     size_t size, size_t *length_p)
{
    int ret;
    size_t length  = eesp_header_length(header->compact, header->selectors,
                                        header->options);
    size_t payload = eesp_seal_measure(&lane->policy->info, length, iov, iovcnt, size,
                             &ret);

    return ret == EESP_OK ? seal(lane, header, master, destination_incarnation,
                                 iov, iovcnt, payload, packet, length_p) :
                            ret;
}

static inline __attribute__((always_inline)) int
seal_with(struct eesp_lane *lane, const struct eesp_destination *destination,
          const struct eesp_seal_options *options, const struct iovec *iov,
          unsigned iovcnt, void *packet, size_t size, size_t *length_p)
{
    struct eesp_header header;
    size_t payload;
    int ret = eesp_seal_begin(lane, destination, options, iov, iovcnt, size,
                              &header, &payload);

    if (ret != EESP_OK)
        return ret;
    return seal(lane, &header, (unsigned)lane->policy->send,
                destination->incarnation, iov, iovcnt, payload, packet,
                length_p);
}

int eesp_seal_with(struct eesp_lane *lane,
                   const struct eesp_destination *destination,
                   const struct eesp_seal_options *options,
                   const struct iovec *iov, unsigned iovcnt, void *packet,
                   size_t size, size_t *length_p)
{
    return seal_with(lane, destination, options, iov, iovcnt, packet, size,
                     length_p);
}

int eesp_seal(struct eesp_lane *lane,
              const struct eesp_destination *destination,
              const struct iovec *iov, unsigned iovcnt, void *packet,
              size_t size, size_t *length_p)
{
    return seal_with(lane, destination, NULL, iov, iovcnt, packet, size,
                     length_p);
}
