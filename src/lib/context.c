/* SPDX-License-Identifier: BSD-3-Clause */
#include "context.h"

#include "bytes.h"
#include "wire.h"

size_t eesp_context_build(const struct eesp_policy_info *policy,
                          const struct eesp_header *header,
                          uint64_t destination_incarnation,
                          uint8_t context[EESP_CONTEXT_MAX])
{
    unsigned flags = policy->flags;

    if (header->options & EESP_HAS_ORIGIN)
        flags |= EESP_FLAG_PROXIED;
    /* Words, as they are read again at once: parts would have to be in memory
     * before a word of them could be read. */
    store64(context,
            (uint64_t)(uint8_t)(flags | policy->levels) << 56 |
                (uint64_t)(uint8_t)policy->phase_shift << 48 |
                (uint64_t)(uint16_t)policy->selectors << 32 |
                (uint32_t)header->epoch << 16 |
                (flags & EESP_FLAG_PARTITION ? 0 : header->session_id));
    store64(context + 8, header->incarnation);
    store64(context + 16,
            flags & EESP_FLAG_BOUND ? destination_incarnation : 0);
    store64(context + 24, header->sequence >> policy->phase_shift);
    return EESP_CONTEXT_FIXED +
           eesp_selectors_build(header, context + EESP_CONTEXT_FIXED);
}
