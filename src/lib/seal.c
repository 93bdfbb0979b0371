/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seal: a payload becomes an EESP packet. Hot path: no allocation, lock or
 * system call. Only header, ciphertext and ICV are ever written to packet, the
 * header last: packet may be memory that another process watches.
 */
#include <string.h>

#include "context.h"
#include "lane.h"

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
        parts[count++] = (struct iovec){info, sizeof(info)};
        for (i = 0; i < iovcnt; i++)
            parts[count++] = iov[i];
        parts[count++] = (struct iovec){(void *)zeros, padding};
    }
    return lane->aead->seal(slot->aead, nonce, aad, header->length, parts,
                            count, out, icv);
}

/* Length of the payload, or 0 and *error if it or its packet does not fit. */
static size_t measure(const struct eesp_policy_info *policy, size_t header,
                      const struct iovec *iov, unsigned iovcnt, size_t size,
                      int *error)
{
    size_t payload = 0;
    unsigned i;

    *error = EESP_ERR_SPACE;
    for (i = 0; i < iovcnt; i++) {
        if (iov[i].iov_len > policy->max_payload - payload)
            return 0;
        payload += iov[i].iov_len;
    }
    if (size < header + EESP_INFO_LEN + payload + eesp_padding(payload) +
                   EESP_ICV_LEN)
        return 0;
    *error = EESP_OK;
    return payload;
}

/* Two callers, and one of them is every packet. */
static inline __attribute__((always_inline)) int
seal(struct eesp_lane *lane, struct eesp_header *header, unsigned master,
     uint64_t destination_incarnation, const struct iovec *iov,
     unsigned iovcnt, size_t payload, uint8_t *packet, size_t *length_p)
{
    size_t body = EESP_INFO_LEN + payload + eesp_padding(payload);
    uint8_t built[EESP_HEADER_MAX], icv[EESP_ICV_LEN];
    struct eesp_key_name name;
    struct eesp_key_slot *slot;
    int ret, derived;

    eesp_header_build(header, built);
    name.master = (uint16_t)master;
    name.length = (uint16_t)eesp_context_build(&lane->policy->info, header,
                                               destination_incarnation,
                                               name.context);
    ret = eesp_lane_key(lane, &name, &slot, &derived);
    if (ret != EESP_OK)
        return ret;
    ret = encrypt(lane, slot, header, built, iov, iovcnt, payload,
                  packet + header->length, icv);
    if (ret != EESP_OK)
        return ret;
    if (derived)
        eesp_keycache_insert(lane->keys, &name);
    memcpy(packet + header->length + body, icv, EESP_ICV_LEN);
    memcpy(packet, built, header->length);
    *length_p = header->length + body + EESP_ICV_LEN;
    lane->counters.sealed++;
    return EESP_OK;
}

int eesp_seal_fields(struct eesp_lane *lane, struct eesp_header *header,
                     unsigned master, uint64_t destination_incarnation,
                     const struct iovec *iov, unsigned iovcnt, void *packet,
                     size_t size, size_t *length_p)
{
    int ret;
    size_t payload = measure(&lane->policy->info, lane->header_length, iov,
                             iovcnt, size, &ret);

    return ret == EESP_OK ? seal(lane, header, master, destination_incarnation,
                                 iov, iovcnt, payload, packet, length_p) :
                            ret;
}

/* All but the values, which few policies have. */
static inline void start_header(const struct eesp_lane *lane,
                                const struct eesp_seal_options *options,
                                struct eesp_header *header)
{
    memcpy(header, &lane->sending, offsetof(struct eesp_header, values));
    if (header->selectors & EESP_SELECTORS_VALUES)
        header->values = options && options->values ? *options->values :
                                                      lane->sending.values;
}

static inline __attribute__((always_inline)) int
seal_with(struct eesp_lane *lane, const struct eesp_destination *destination,
          const struct eesp_seal_options *options, const struct iovec *iov,
          unsigned iovcnt, void *packet, size_t size, size_t *length_p)
{
    const struct eesp_policy *policy = lane->policy;
    struct eesp_header header;
    size_t payload;
    int ret;

    if (iovcnt > EESP_IOV_MAX || lane->impersonating)
        return EESP_ERR_ARGUMENT;
    if (policy->send < 0 ||
        (policy->send_until != 0 && eesp_boot_seconds() >= policy->send_until))
        return EESP_ERR_EXPIRED;
    /* Everything that may refuse comes before the number is taken. */
    payload = measure(&policy->info, lane->header_length, iov, iovcnt, size,
                      &ret);
    if (ret != EESP_OK)
        return ret;
    start_header(lane, options, &header);
    header.session_id       = destination->session_id;
    header.destination_rank = destination->rank;
    header.destination_id   = destination->id;
    ret = eesp_nonce_take(lane->nonce, &header.incarnation, &header.sequence);
    if (ret != EESP_OK)
        return ret;
    return seal(lane, &header, (unsigned)policy->send,
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
