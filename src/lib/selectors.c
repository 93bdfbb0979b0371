/* SPDX-License-Identifier: BSD-3-Clause */
#include "selectors.h"

#include <string.h>

enum kind {
    RANKS,   /* two 32-bit numbers */
    ID,      /* a 64-bit number */
    BYTES,   /* as they are */
    ADDRESS, /* bytes: source, then as many of the destination */
};

#define FIELD(_field) offsetof(struct eesp_header, _field)
#define VALUE(_field) offsetof(struct eesp_header, values._field)

/* Index: bit number. zeros: last bytes of the value, which say nothing. */
static const struct selector {
    const char *name;
    uint8_t     size, kind, zeros, address;
    uint16_t    offset; /* of the value in struct eesp_header */
} table[] = {
    {"ranks",       8,  RANKS,   0, 0,  FIELD(source_rank)},
    {"source",      8,  ID,      0, 0,  FIELD(source_id)},
    {"destination", 8,  ID,      0, 0,  FIELD(destination_id)},
    {"flow",        8,  ID,      0, 0,  VALUE(flow)},
    {"device",      8,  ID,      0, 0,  VALUE(device)},
    {"vm",          16, BYTES,   0, 0,  VALUE(vm)},
    {"task",        8,  ID,      0, 0,  VALUE(task)},
    {"job",         8,  ID,      0, 0,  VALUE(job)},
    {"ipv4",        8,  ADDRESS, 0, 4,  VALUE(ipv4)},
    {"ipv6",        32, ADDRESS, 0, 16, VALUE(ipv6)},
    {"tuple4",      16, ADDRESS, 3, 4,  VALUE(tuple4)},
    {"tuple6",      40, ADDRESS, 3, 16, VALUE(tuple6)},
    {"tenant",      8,  ID,      0, 0,  VALUE(tenant)},
};

enum { SELECTORS = sizeof(table) / sizeof(table[0]) };

_Static_assert(EESP_SELECTORS_KNOWN == (1 << SELECTORS) - 1,
               "a selector of the table has no bit, or the other way round");
_Static_assert(sizeof(struct eesp_ipv4_pair) == 8 &&
                   sizeof(struct eesp_ipv6_pair) == 32 &&
                   sizeof(struct eesp_tuple4) == 16 &&
                   sizeof(struct eesp_tuple6) == 40,
               "address structures are their own wire form");
_Static_assert(FIELD(destination_rank) == FIELD(source_rank) + 4,
               "the two ranks lie side by side");

const char *eesp_selector_name(unsigned bit)
{
    return bit < SELECTORS ? table[bit].name : NULL;
}

unsigned eesp_selector_by_name(const char *name)
{
    unsigned bit;

    for (bit = 0; bit < SELECTORS; bit++)
        if (strcmp(table[bit].name, name) == 0)
            return 1u << bit;
    return 0;
}

size_t eesp_selectors_length(unsigned selectors)
{
    size_t length = 0;
    unsigned bit;

    for (bit = 0; bit < SELECTORS; bit++)
        if (selectors & 1u << bit)
            length += table[bit].size;
    return length;
}

static void put(const struct selector *s, const uint8_t *value, uint8_t *out)
{
    uint64_t id;
    uint32_t ranks[2];

    switch (s->kind) {
    case RANKS:
        memcpy(ranks, value, sizeof(ranks));
        store32(out, ranks[0]);
        store32(out + 4, ranks[1]);
        break;
    case ID:
        memcpy(&id, value, sizeof(id));
        store64(out, id);
        break;
    default:
        memcpy(out, value, s->size);
        memset(out + s->size - s->zeros, 0, s->zeros);
    }
}

static void take(const struct selector *s, const uint8_t *p, uint8_t *value)
{
    uint64_t id;
    uint32_t ranks[2];

    switch (s->kind) {
    case RANKS:
        ranks[0] = load32(p);
        ranks[1] = load32(p + 4);
        memcpy(value, ranks, sizeof(ranks));
        break;
    case ID:
        id = load64(p);
        memcpy(value, &id, sizeof(id));
        break;
    default:
        memcpy(value, p, s->size);
    }
}

size_t eesp_selectors_build_all(const struct eesp_header *header, uint8_t *out)
{
    const uint8_t *fields = (const uint8_t *)header;
    unsigned left         = header->selectors;
    uint8_t *p            = out;

    for (; left != 0; left &= left - 1) {
        const struct selector *s = &table[__builtin_ctz(left)];

        put(s, fields + s->offset, p);
        p += s->size;
    }
    return (size_t)(p - out);
}

int eesp_selectors_parse(const uint8_t *p, struct eesp_header *header)
{
    uint8_t *fields = (uint8_t *)header, others = 0;
    unsigned left   = header->selectors, i;

    if (left & EESP_SELECTORS_VALUES)
        memset(&header->values, 0, sizeof(header->values));
    for (; left != 0; left &= left - 1) {
        const struct selector *s = &table[__builtin_ctz(left)];

        take(s, p, fields + s->offset);
        for (i = 1; i <= s->zeros; i++)
            others |= p[s->size - i];
        p += s->size;
    }
    return others == 0 ? EESP_OK : EESP_DROP_OPTION;
}

int eesp_selectors_match(unsigned mask, const struct eesp_selector_values *own,
                         const struct eesp_selector_values *received)
{
    const size_t base = FIELD(values);
    uint8_t differs   = 0;
    unsigned left     = mask & EESP_SELECTORS_VALUES;

    for (; left != 0; left &= left - 1) {
        const struct selector *s = &table[__builtin_ctz(left)];
        const uint8_t *a = (const uint8_t *)own + (s->offset - base);
        const uint8_t *b = (const uint8_t *)received + (s->offset - base);

        differs |= s->address ?
                       memcmp(a, b + s->address, s->address) != 0 :
                       memcmp(a, b, s->size) != 0;
    }
    return !differs;
}

uint64_t eesp_selectors_source_all(const struct eesp_header *header)
{
    const struct eesp_selector_values *v = &header->values;
    unsigned selectors                   = header->selectors;

    if (selectors & EESP_SELECT_SOURCE)
        return header->source_id;
    if (selectors & EESP_SELECT_DEVICE)
        return v->device;
    if (selectors & EESP_SELECT_IPV4)
        return load32(v->ipv4.source);
    if (selectors & EESP_SELECT_TUPLE4)
        return load32(v->tuple4.source);
    if (selectors & EESP_SELECT_IPV6)
        return load64(v->ipv6.source) ^ load64(v->ipv6.source + 8);
    if (selectors & EESP_SELECT_TUPLE6)
        return load64(v->tuple6.source) ^ load64(v->tuple6.source + 8);
    return 0;
}
