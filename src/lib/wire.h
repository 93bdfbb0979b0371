/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire: the bytes of an EESP version 0 packet (draft-ietf-ipsecme-eesp-03) and
 * of the options of profile SL1. No keys here.
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
#define EESP_OPTION_ORIGIN  0xE2
#define EESP_OPTION_COMMITMENT   0xE3
#define EESP_OPTION_CRYPT_OFFSET 2
#define EESP_FULL_FIXED   24 /* bytes of the full option before selectors */
#define EESP_COMPACT_LEN  20
/* Where the source incarnation lies, from the start of a packet of ours. */
#define EESP_FULL_INCARNATION    (EESP_BASE_LEN + 16)
#define EESP_COMPACT_INCARNATION (EESP_BASE_LEN + 12)
#define EESP_FORMAT       1  /* version nibble of the full option */
#define EESP_FLAG_BOUND     0x80 /* D */
#define EESP_FLAG_PARTITION 0x40 /* P */
#define EESP_FLAG_COMMITTED 0x20 /* C */
#define EESP_FLAG_PROXIED   0x10 /* X */
#define EESP_HOPS_MAX     4
#define EESP_EXPOSED_MAX  (63 * 4) /* bytes: crypt offsets have 6 bits */
/* What every packet has of a header; the rest is there if something is. */
#define EESP_HEADER_COMMON offsetof(struct eesp_header, commitment)

/* Length of the header that eesp_header_build() makes. */
size_t eesp_header_length(int compact, unsigned selectors, unsigned options);

/*
 * Writes header into out, which has room for EESP_HEADER_MAX bytes, and sets
 * header->length. All options together fit: 200 + 18 + 20 + 4 + 6 of padding.
 */
void eesp_header_build(struct eesp_header *header, uint8_t *out);

/* Puts header->commitment into a header that was built without it. */
void eesp_header_commit(const struct eesp_header *header, uint8_t *out);

/*
 * eesp_header_parse() that leaves what is behind EESP_HEADER_COMMON as it finds
 * it where there is nothing for it.
 */
int eesp_header_read(const void *packet, size_t length,
                     struct eesp_header *header);

/* Payload Info Header for a payload; its low byte says the padding, 0..3. */
static inline unsigned eesp_padding(size_t payload)
{
    return (unsigned)(-payload & 3);
}

#endif
