/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire: the bytes of an EESP version 0 packet (draft-ietf-ipsecme-eesp-03) and
 * of the two Stateless Context Options of profile SL1. No keys here.
 *
 *     0 base header 8 | options | sequence 8 | Payload Info Header 4 |
 *     payload | padding 0..3 | ICV 16
 *
 * The header, from base header to sequence, is the associated data.
 * eesp_header_parse() in eesp.h is the other direction.
 */
#ifndef EESP_WIRE_H
#define EESP_WIRE_H

#include "eesp.h"
#include "selectors.h"

#define EESP_BASE_LEN     8
#define EESP_SEQUENCE_LEN 8
#define EESP_INFO_LEN     EESP_PAYLOAD_OFFSET /* Payload Info Header */
#define EESP_ICV_LEN      16
#define EESP_HEADER_MAX   (EESP_BASE_LEN + 255 + EESP_SEQUENCE_LEN)

#define EESP_BYTE0        0x80 /* marker 1, version 0, reserved 0 */
#define EESP_OPTION_FULL    0xE0
#define EESP_OPTION_COMPACT 0xE1
#define EESP_FULL_FIXED   24 /* bytes of the full option before selectors */
#define EESP_COMPACT_LEN  20
/* Where the source incarnation lies, from the start of a packet of ours. */
#define EESP_FULL_INCARNATION    (EESP_BASE_LEN + 16)
#define EESP_COMPACT_INCARNATION (EESP_BASE_LEN + 12)
#define EESP_FORMAT       1  /* version nibble of the full option */
#define EESP_FLAG_BOUND   0x80 /* D */
#define EESP_NEXT_HEADER  253 /* experimental: a UCX payload */

/* Length of the header that eesp_header_build() makes. */
size_t eesp_header_length(int compact, unsigned selectors);

/*
 * Writes header into out, which has room for EESP_HEADER_MAX bytes, and sets
 * header->length.
 */
void eesp_header_build(struct eesp_header *header, uint8_t *out);

/*
 * eesp_header_parse() that leaves header->values as it finds it where there is
 * nothing for it.
 */
int eesp_header_read(const void *packet, size_t length,
                     struct eesp_header *header);

/* Payload Info Header for a payload; its low byte says the padding, 0..3. */
static inline unsigned eesp_padding(size_t payload)
{
    return (unsigned)(-payload & 3);
}

#endif
