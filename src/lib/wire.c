/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire.h"

#include <string.h>

#include "bytes.h"

enum { OPTION_PAD1 = 0, OPTION_PADN = 1 };

/* The payload starts on a multiple of 8 from the start of the packet. */
static size_t full_padding(size_t option)
{
    return -(EESP_BASE_LEN + option + EESP_SEQUENCE_LEN + EESP_INFO_LEN) & 7;
}

size_t eesp_header_length(int compact, unsigned selectors)
{
    size_t option = EESP_COMPACT_LEN;

    if (!compact) {
        option  = EESP_FULL_FIXED + eesp_selectors_length(selectors);
        option += full_padding(option);
    }
    return EESP_BASE_LEN + option + EESP_SEQUENCE_LEN;
}

static size_t build_full(const struct eesp_header *header, uint8_t *p)
{
    size_t values = eesp_selectors_length(header->selectors);
    size_t length = EESP_FULL_FIXED + values;
    size_t pad    = full_padding(length);

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
    eesp_selectors_build(header, p + EESP_FULL_FIXED);
    /* Selectors take multiples of 8, so pad is 4. */
    memset(p + length, 0, pad);
    p[length]     = OPTION_PADN;
    p[length + 1] = (uint8_t)(pad - 2);
    return length + pad;
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

void eesp_header_build(struct eesp_header *header, uint8_t *out)
{
    uint8_t *p    = out + EESP_BASE_LEN;
    size_t option = header->compact ? build_compact(header, p) :
                                      build_full(header, p);

    out[0] = EESP_BYTE0;
    out[1] = (uint8_t)option;
    store16(out + 2, header->session_id);
    store32(out + 4, header->spi);
    store64(p + option, header->sequence);
    header->length = EESP_BASE_LEN + option + EESP_SEQUENCE_LEN;
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
        else if (seen++)
            ret = EESP_DROP_OPTION;
        else if (p[0] == EESP_OPTION_FULL)
            ret = parse_full(p, size, header);
        else if (p[0] == EESP_OPTION_COMPACT)
            ret = parse_compact(p, size, header);
        else
            ret = EESP_DROP_OPTION;
        if (ret != EESP_OK)
            return ret;
        p      += size;
        length -= size;
    }
    return seen ? EESP_OK : EESP_DROP_OPTION;
}

int eesp_header_read(const void *packet, size_t length,
                     struct eesp_header *header)
{
    const uint8_t *p = packet;
    size_t options;

    memset(header, 0, offsetof(struct eesp_header, values));
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
    memset(&header->values, 0, sizeof(header->values));
    return eesp_header_read(packet, length, header);
}
