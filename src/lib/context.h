/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * context: the bytes that name a data key under a derivation key.
 *
 *     0 flags|levels 1 | S 1 | selectors 2 | epoch 2 | Session ID 2 |
 *     8 source incarnation 8 | destination incarnation 8 | phase 8 |
 *     32 selector values
 */
#ifndef EESP_CONTEXT_H
#define EESP_CONTEXT_H

#include "selectors.h"

#define EESP_CONTEXT_FIXED 32
#define EESP_CONTEXT_MAX   (EESP_CONTEXT_FIXED + EESP_SELECTORS_MAX)

/*
 * header holds the full destination rank, even where the packet carries its
 * low 16 bits. Returns the length of the context.
 */
size_t eesp_context_build(const struct eesp_policy_info *policy,
                          const struct eesp_header *header,
                          uint64_t destination_incarnation,
                          uint8_t context[EESP_CONTEXT_MAX]);

#endif
