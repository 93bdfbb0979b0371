/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire.h"

#include <string.h>

#include "bytes.h"

enum { OPTION_PAD1 = 0, OPTION_PADN = 1 };
/* Bytes of whole options. */
enum { COMMITMENT_LEN = 18, ORIGIN_LEN = 20, CRYPT_OFFSET_LEN = 4 };

/* Bytes of the options beside the context option. */
static size_t others_length(unsigned options)
{
    return (options & EESP_HAS_COMMITMENT ? COMMITMENT_LEN : 0) +
           (options & EESP_HAS_ORIGIN ? ORIGIN_LEN : 0) +
           (options & EESP_HAS_CRYPT_OFFSET ? CRYPT_OFFSET_LEN : 0);
}

/* The payload starts on a multiple of 8 from the start of the packet. */
static size_t padding(size_t options)
{
    return -(EESP_BASE_LEN + options + EESP_SEQUENCE_LEN + EESP_INFO_LEN) & 7;
}

size_t eesp_header_length(int compact, unsigned selectors, unsigned options)
{
    size_t length = compact ? EESP_COMPACT_LEN :
                              EESP_FULL_FIXED +
                                  eesp_selectors_length(selectors);

    length += others_length(options);
    return EESP_BASE_LEN + length + padding(length) + EESP_SEQUENCE_LEN;
}

static size_t build_full(const struct eesp_header *header, uint8_t *p)
{
    size_t length = EESP_FULL_FIXED + eesp_selectors_build(
                                          header, p + EESP_FULL_FIXED);

    p[0] = EESP_OPTION_FULL;
    p[1] = (uint8_t)(length - 2);
    p[2] = (uint8_t)(EESP_FORMAT << 4 | header->profile);
    p[3] = (uint8_t)header->kdf;
    p[4] = (uint8_t)header->aead;
    p[5] = (uint8_t)(header->flags | header->levels);
    store16(p + 6, (uint16_t)header->selectors);
    store16(p + 8, header->epoch);
    p[10] = (uint8_t)header->phase_shift;
    p[11] = 0;
    memcpy(p + 12, header->generations, EESP_LEVELS);
    store64(p + 16, header->incarnation);
    return length;
}

static size_t build_compact(const struct eesp_header *header, uint8_t *p)
{
    const uint8_t *g = header->generations;

    p[0] = EESP_OPTION_COMPACT;
    p[1] = EESP_COMPACT_LEN - 2;
    p[2] = (uint8_t)header->combination_id;
    p[3] = (uint8_t)((g[EESP_TASK] & 3) << 6 | (g[EESP_JOB] & 3) << 4 |
                     (g[EESP_TENANT] & 3) << 2 | (g[EESP_DOMAIN] & 3));
    store16(p + 4, header->epoch);
    store16(p + 6, (uint16_t)header->destination_rank);
    store32(p + 8, header->source_rank);
    store64(p + 12, header->incarnation);
    return EESP_COMPACT_LEN;
}

static size_t build_commitment(const struct eesp_header *header, uint8_t *p)
{
    p[0] = EESP_OPTION_COMMITMENT;
    p[1] = COMMITMENT_LEN - 2;
    memcpy(p + 2, header->commitment, sizeof(header->commitment));
    return COMMITMENT_LEN;
}

static size_t build_origin(const struct eesp_origin *origin, uint8_t *p)
{
    p[0] = EESP_OPTION_ORIGIN;
    p[1] = ORIGIN_LEN - 2;
    p[2] = origin->hops;
    p[3] = 0;
    store32(p + 4, origin->domain);
    store32(p + 8, origin->rank);
    store64(p + 12, origin->sequence);
    return ORIGIN_LEN;
}

/* Payload Offset 6 bits, CryptOffset 6, reserved 4: standards 1.3. */
static size_t build_crypt_offset(const struct eesp_header *header, size_t start,
                                 uint8_t *p)
{
    p[0] = EESP_OPTION_CRYPT_OFFSET;
    p[1] = CRYPT_OFFSET_LEN - 2;
    store16(p + 2, (uint16_t)(start / 4 << 10 | header->crypt_offset << 4));
    return CRYPT_OFFSET_LEN;
}

static size_t build_others(const struct eesp_header *header, size_t length,
                           uint8_t *p)
{
    size_t start, pad;

    if (header->options & EESP_HAS_COMMITMENT)
        length += build_commitment(header, p + length);
    if (header->options & EESP_HAS_ORIGIN)
        length += build_origin(&header->origin, p + length);
    start = eesp_header_length(header->compact, header->selectors,
                               header->options);
    if (header->options & EESP_HAS_CRYPT_OFFSET)
        length += build_crypt_offset(header, start, p + length);
    pad = start - EESP_BASE_LEN - EESP_SEQUENCE_LEN - length;
    if (pad > 0) { /* lengths are even: at least two bytes */
        memset(p + length, 0, pad);
        p[length]     = OPTION_PADN;
        p[length + 1] = (uint8_t)(pad - 2);
    }
    return length + pad;
}

void eesp_header_build(struct eesp_header *header, uint8_t *out)
{
    uint8_t *p    = out + EESP_BASE_LEN;
    size_t option = header->compact ? build_compact(header, p) :
                                      build_full(header, p);

    if (!header->compact || header->options != 0)
        option = build_others(header, option, p);

    out[0] = EESP_BYTE0;
    out[1] = (uint8_t)option;
    store16(out + 2, header->session_id);
    store32(out + 4, header->spi);
    store64(p + option, header->sequence);
    header->length = EESP_BASE_LEN + option + EESP_SEQUENCE_LEN;
}

/* It stands right behind the context option in what we build. */
void eesp_header_commit(const struct eesp_header *header, uint8_t *out)
{
    build_commitment(header, out + EESP_BASE_LEN + EESP_FULL_FIXED +
                                 eesp_selectors_length(header->selectors));
}

/* size: bytes of the whole option. */
static int parse_full(const uint8_t *p, size_t size, struct eesp_header *header)
{
    if (size < EESP_FULL_FIXED || p[2] >> 4 != EESP_FORMAT || p[11] != 0)
        return EESP_DROP_OPTION;
    header->profile     = p[2] & 0xf;
    header->kdf         = p[3];
    header->aead        = p[4];
    header->flags       = p[5] & 0xf0;
    header->levels      = p[5] & 0x0f;
    header->selectors   = load16(p + 6);
    header->epoch       = load16(p + 8);
    header->phase_shift = p[10];
    memcpy(header->generations, p + 12, EESP_LEVELS);
    header->incarnation = load64(p + 16);
    if ((header->selectors & ~(unsigned)EESP_SELECTORS_KNOWN) ||
        size != EESP_FULL_FIXED + eesp_selectors_length(header->selectors))
        return EESP_DROP_OPTION;
    return eesp_selectors_parse(p + EESP_FULL_FIXED, header);
}

static int parse_compact(const uint8_t *p, size_t size,
                         struct eesp_header *header)
{
    int level;

    if (size != EESP_COMPACT_LEN || p[2] == 0)
        return EESP_DROP_OPTION;
    header->compact        = 1;
    header->combination_id = p[2];
    for (level = 0; level < EESP_LEVELS; level++)
        header->generations[level] = p[3] >> (2 * level) & 3;
    header->selectors        = EESP_SELECT_RANKS;
    header->epoch            = load16(p + 4);
    header->destination_rank = load16(p + 6);
    header->source_rank      = load32(p + 8);
    header->incarnation      = load64(p + 12);
    return EESP_OK;
}

static int all_zero(const uint8_t *p, size_t length)
{
    while (length > 0)
        if (p[--length] != 0)
            return 0;
    return 1;
}

static int parse_commitment(const uint8_t *p, size_t size,
                            struct eesp_header *header)
{
    if (size != COMMITMENT_LEN)
        return EESP_DROP_OPTION;
    memcpy(header->commitment, p + 2, sizeof(header->commitment));
    return EESP_OK;
}

static int parse_origin(const uint8_t *p, size_t size,
                        struct eesp_header *header)
{
    struct eesp_origin *origin = &header->origin;

    if (size != ORIGIN_LEN || p[3] != 0)
        return EESP_DROP_OPTION;
    memset(origin, 0, sizeof(*origin));
    origin->hops     = p[2];
    origin->domain   = load32(p + 4);
    origin->rank     = load32(p + 8);
    origin->sequence = load64(p + 12);
    return EESP_OK;
}

/* The Payload Offset is known anyway; the reserved bits say nothing. */
static int parse_crypt_offset(const uint8_t *p, size_t size,
                              struct eesp_header *header)
{
    if (size != CRYPT_OFFSET_LEN || 4u * (p[2] >> 2) != header->length)
        return EESP_DROP_OPTION;
    header->crypt_offset = load16(p + 2) >> 4 & 63;
    return EESP_OK;
}

/* An option that may stand there once: few packets have one. */
static __attribute__((noinline, cold)) int
parse_other(const uint8_t *p, size_t size, struct eesp_header *header)
{
    static const struct {
        uint8_t  type;
        unsigned option;
        int (*parse)(const uint8_t *p, size_t size,
                     struct eesp_header *header);
    } known[] = {
        {EESP_OPTION_COMMITMENT, EESP_HAS_COMMITMENT, parse_commitment},
        {EESP_OPTION_ORIGIN, EESP_HAS_ORIGIN, parse_origin},
        {EESP_OPTION_CRYPT_OFFSET, EESP_HAS_CRYPT_OFFSET, parse_crypt_offset},
    };
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (p[0] == known[i].type && !(header->options & known[i].option)) {
            header->options |= known[i].option;
            return known[i].parse(p, size, header);
        }
    return EESP_DROP_OPTION;
}

/* C and X are set exactly if their options are there, and never in compact. */
static int check_flags(const struct eesp_header *header)
{
    unsigned flags = header->compact ? 0 : header->flags, wanted = 0;

    if (header->options & EESP_HAS_COMMITMENT)
        wanted |= EESP_FLAG_COMMITTED;
    if (header->options & EESP_HAS_ORIGIN)
        wanted |= EESP_FLAG_PROXIED;
    return (flags & (EESP_FLAG_COMMITTED | EESP_FLAG_PROXIED)) == wanted ?
               EESP_OK :
               EESP_DROP_OPTION;
}

/* Every option inside Opt Len, exactly one context option among them. */
static int parse_options(const uint8_t *p, size_t length,
                         struct eesp_header *header)
{
    int seen = 0, ret;
    size_t size;

    while (length > 0) {
        if (p[0] == OPTION_PAD1) {
            p++;
            length--;
            continue;
        }
        if (length < 2 || (size = 2u + p[1]) > length)
            return EESP_DROP_OPTION;
        if (p[0] == OPTION_PADN)
            ret = all_zero(p + 2, size - 2) ? EESP_OK : EESP_DROP_OPTION;
        else if (p[0] != EESP_OPTION_FULL && p[0] != EESP_OPTION_COMPACT)
            ret = parse_other(p, size, header);
        else if (seen++)
            ret = EESP_DROP_OPTION;
        else
            ret = p[0] == EESP_OPTION_FULL ? parse_full(p, size, header) :
                                             parse_compact(p, size, header);
        if (ret != EESP_OK)
            return ret;
        p      += size;
        length -= size;
    }
    return seen ? check_flags(header) : EESP_DROP_OPTION;
}

int eesp_header_read(const void *packet, size_t length,
                     struct eesp_header *header)
{
    const uint8_t *p = packet;
    size_t options;

    clear_struct(header, EESP_HEADER_COMMON);
    if (length < EESP_BASE_LEN)
        return EESP_DROP_LENGTH;
    if (p[0] != EESP_BYTE0)
        return EESP_DROP_VERSION;
    options            = p[1];
    header->length     = EESP_BASE_LEN + options + EESP_SEQUENCE_LEN;
    header->session_id = load16(p + 2);
    header->spi        = load32(p + 4);
    if (length < header->length + EESP_INFO_LEN + EESP_ICV_LEN)
        return EESP_DROP_LENGTH;
    header->sequence = load64(p + EESP_BASE_LEN + options);
    return parse_options(p + EESP_BASE_LEN, options, header);
}

int eesp_header_parse(const void *packet, size_t length,
                      struct eesp_header *header)
{
    memset(header, 0, sizeof(*header));
    return eesp_header_read(packet, length, header);
}
