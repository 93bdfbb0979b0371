/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seal_begin: what comes before a packet is sealed: may it be, does it fit, and
 * its number. Inlined where every packet passes.
 */
#ifndef EESP_SEAL_BEGIN_H
#define EESP_SEAL_BEGIN_H

#include "lane.h"

/* Length of the payload, or 0 and *error if it or its packet does not fit. */
static inline size_t
eesp_seal_measure(const struct eesp_policy_info *policy, size_t header,
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

/* What few headers have is left out where it can be. */
static inline void eesp_seal_header(const struct eesp_lane *lane,
                                const struct eesp_seal_options *options,
                                struct eesp_header *header)
{
    memcpy(header, &lane->sending, EESP_HEADER_COMMON);
    if (header->options & EESP_HAS_COMMITMENT)
        memset(header->commitment, 0, sizeof(header->commitment));
    if (options && options->crypt_offset != 0) {
        header->options     |= EESP_HAS_CRYPT_OFFSET;
        header->crypt_offset = options->crypt_offset;
    }
    if (header->selectors & EESP_SELECTORS_VALUES)
        header->values = options && options->values ? *options->values :
                                                      lane->sending.values;
}

/*
 * Everything that may refuse, and then the number, which is taken for good:
 * header is filled but for what eesp_header_build() sets.
 */
static inline __attribute__((always_inline)) int
eesp_seal_begin(struct eesp_lane *lane,
                const struct eesp_destination *destination,
                const struct eesp_seal_options *options,
                const struct iovec *iov, unsigned iovcnt, size_t size,
                struct eesp_header *header, size_t *payload)
{
    const struct eesp_policy *policy = lane->policy;
    size_t length                    = lane->header_length;
    int ret;

    if (iovcnt > EESP_IOV_MAX || lane->impersonating)
        return EESP_ERR_ARGUMENT;
    if (options && options->crypt_offset != 0) {
        if (options->crypt_offset > policy->info.crypt_offset_max)
            return EESP_ERR_ARGUMENT;
        length = eesp_header_length(lane->sending.compact,
                                    lane->sending.selectors,
                                    lane->sending.options |
                                        EESP_HAS_CRYPT_OFFSET);
    }
    if (policy->send < 0 ||
        (policy->send_until != 0 && eesp_boot_seconds() >= policy->send_until))
        return EESP_ERR_EXPIRED;
    *payload = eesp_seal_measure(&policy->info, length, iov, iovcnt, size,
                                 &ret);
    if (ret != EESP_OK)
        return ret;
    eesp_seal_header(lane, options, header);
    header->session_id       = destination->session_id;
    header->destination_rank = destination->rank;
    header->destination_id   = destination->id;
    return policy->info.partitions == 0 ?
               eesp_nonce_take(lane->nonce, &header->incarnation,
                               &header->sequence) :
               eesp_nonce_take_leased(lane->nonce, &header->incarnation,
                                      &header->session_id, &header->sequence);
}

#endif
