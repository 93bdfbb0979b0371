/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * selectors: what a data key may depend on besides who sends (wire-format
 * section 4). One table says name, bit, size and where the value lies in a
 * header; everything else about selectors follows from it.
 */
#ifndef EESP_SELECTORS_H
#define EESP_SELECTORS_H

#include "bytes.h"
#include "eesp.h"

#define EESP_SELECTORS_KNOWN 0x1fff
/* Those whose values are in header->values. */
#define EESP_SELECTORS_VALUES \
    (EESP_SELECTORS_KNOWN &   \
     ~(EESP_SELECT_RANKS | EESP_SELECT_SOURCE | EESP_SELECT_DESTINATION))
#define EESP_SELECTORS_ADDRESSES                                          \
    (EESP_SELECT_IPV4 | EESP_SELECT_IPV6 | EESP_SELECT_TUPLE4 |           \
     EESP_SELECT_TUPLE6)
/* One of these, and no two senders share a key. */
#define EESP_SELECTORS_SENDER                                             \
    (EESP_SELECT_RANKS | EESP_SELECT_SOURCE | EESP_SELECT_DEVICE |        \
     EESP_SELECTORS_ADDRESSES)
/* One of these, and a packet is for one receiver. */
#define EESP_SELECTORS_RECEIVER                                           \
    (EESP_SELECT_RANKS | EESP_SELECT_DESTINATION | EESP_SELECTORS_ADDRESSES)
#define EESP_SELECTORS_MAX 176 /* bytes of all values */

/* Bit of a name of the keyring, 0: none. */
unsigned eesp_selector_by_name(const char *name);

/* Bytes that the values take: a multiple of 8. */
size_t eesp_selectors_length(unsigned selectors);

/* Values of header->selectors in ascending bit order; the bytes written. */
size_t eesp_selectors_build_all(const struct eesp_header *header,
                                uint8_t *out);

static inline size_t eesp_selectors_build(const struct eesp_header *header,
                                          uint8_t *out)
{
    if (header->selectors != EESP_SELECT_RANKS)
        return eesp_selectors_build_all(header, out);
    /* What MPI uses: no table. */
    store64(out, (uint64_t)header->source_rank << 32 |
                     header->destination_rank);
    return 8;
}

/* The other way. EESP_DROP_OPTION if bytes that must be zero are not. */
int eesp_selectors_parse(const uint8_t *p, struct eesp_header *header);

/*
 * Own values against those of a received header: for each selector of mask
 * (addresses: the own source half against the received destination half) 1 if
 * they are the same.
 */
int eesp_selectors_match(unsigned mask, const struct eesp_selector_values *own,
                         const struct eesp_selector_values *received);

/* Who sends, as far as the selectors tell: for the replay table. */
uint64_t eesp_selectors_source_all(const struct eesp_header *header);

static inline uint64_t eesp_selectors_source(const struct eesp_header *header)
{
    return header->selectors & EESP_SELECT_RANKS ?
               header->source_rank :
               eesp_selectors_source_all(header);
}

#endif
