/* SPDX-License-Identifier: BSD-3-Clause */
/* wire: headers to bytes and back, and what a parser must not let through. */
#include "unit.h"

#include "wire.h"

enum { BODY_MIN = EESP_INFO_LEN + EESP_ICV_LEN };

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* By way of the parser: only the selected ones, and zeros where they belong. */
static void fill_values(struct eesp_header *h)
{
    uint8_t bytes[EESP_SELECTORS_MAX];
    struct eesp_header parsed = *h;
    size_t i, n = eesp_selectors_length(h->selectors);
    uint8_t *p  = bytes;
    unsigned bit;

    for (i = 0; i < n; i++)
        bytes[i] = (uint8_t)next_random();
    for (bit = 0; bit < 13; bit++) {
        if (!(h->selectors & 1u << bit))
            continue;
        p += eesp_selectors_length(1u << bit);
        if (1u << bit == EESP_SELECT_TUPLE4 || 1u << bit == EESP_SELECT_TUPLE6)
            memset(p - 3, 0, 3);
    }
    assert_int_equal(eesp_selectors_parse(bytes, &parsed), EESP_OK);
    h->values = parsed.values;
}

/* Selectors for round i of nine: 0..7 of the first three, then random ones. */
static unsigned some_selectors(unsigned i)
{
    return i % 9 == 8 ? EESP_SELECT_RANKS :
           i % 2      ? i % 9 | (unsigned)(next_random() &
                                           EESP_SELECTORS_VALUES) :
                        i % 9;
}

static void crypt_offset(struct eesp_header *h)
{
    h->options     |= EESP_HAS_CRYPT_OFFSET;
    h->crypt_offset = next_random() & 63;
}

/* Any of the three. */
static void some_options(struct eesp_header *h)
{
    unsigned bits = (unsigned)next_random() & 7;
    size_t i;

    if (h->compact)
        bits &= 4;
    if (bits & 1) {
        h->options |= EESP_HAS_COMMITMENT;
        h->flags   |= EESP_FLAG_COMMITTED;
        for (i = 0; i < sizeof(h->commitment); i++)
            h->commitment[i] = (uint8_t)next_random();
    }
    if (bits & 2) {
        h->options        |= EESP_HAS_ORIGIN;
        h->flags          |= EESP_FLAG_PROXIED;
        h->origin.hops     = (uint8_t)next_random();
        h->origin.domain   = (uint32_t)next_random();
        h->origin.rank     = (uint32_t)next_random();
        h->origin.sequence = next_random();
    }
    if ((bits & 4) && eesp_header_length(h->compact, h->selectors, h->options |
                                         EESP_HAS_CRYPT_OFFSET) <= 252)
        crypt_offset(h);
}

static struct eesp_header sample(int compact, unsigned selectors)
{
    struct eesp_header h = {.session_id  = (uint16_t)next_random(),
                            .spi         = (uint32_t)next_random(),
                            .compact     = compact,
                            .selectors   = selectors,
                            .epoch       = (uint16_t)next_random(),
                            .incarnation = next_random(),
                            .sequence    = next_random()};
    int level;

    for (level = 0; level < EESP_LEVELS; level++)
        h.generations[level] = (uint8_t)(next_random() & (compact ? 3 : 255));
    if (compact) {
        h.combination_id   = 1 + (unsigned)(next_random() % 255);
        h.destination_rank = (uint16_t)next_random();
        h.source_rank      = (uint32_t)next_random();
        return h;
    }
    h.profile     = next_random() & 15;
    h.kdf         = next_random() & 255;
    h.aead        = next_random() & 255;
    h.flags      |= next_random() & 0xc0;
    h.levels      = next_random() & 15;
    h.phase_shift = next_random() & 255;
    if (selectors & EESP_SELECT_RANKS) {
        h.source_rank      = (uint32_t)next_random();
        h.destination_rank = (uint32_t)next_random();
    }
    if (selectors & EESP_SELECT_SOURCE)
        h.source_id = next_random();
    if (selectors & EESP_SELECT_DESTINATION)
        h.destination_id = next_random();
    if (selectors & EESP_SELECTORS_VALUES)
        fill_values(&h);
    return h;
}

static void assert_same(const struct eesp_header *a, const struct eesp_header *b)
{
    assert_int_equal(a->session_id, b->session_id);
    assert_int_equal(a->spi, b->spi);
    assert_int_equal(a->compact, b->compact);
    assert_int_equal(a->profile, b->profile);
    assert_int_equal(a->kdf, b->kdf);
    assert_int_equal(a->aead, b->aead);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->levels, b->levels);
    assert_int_equal(a->selectors, b->selectors);
    assert_int_equal(a->combination_id, b->combination_id);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->phase_shift, b->phase_shift);
    assert_memory_equal(a->generations, b->generations, EESP_LEVELS);
    assert_true(a->incarnation == b->incarnation);
    assert_int_equal(a->source_rank, b->source_rank);
    assert_int_equal(a->destination_rank, b->destination_rank);
    assert_true(a->source_id == b->source_id);
    assert_true(a->destination_id == b->destination_id);
    assert_true(a->sequence == b->sequence);
    assert_int_equal(a->length, b->length);
    assert_int_equal(a->options, b->options);
    assert_int_equal(a->crypt_offset, b->crypt_offset);
    assert_memory_equal(a->commitment, b->commitment, sizeof(a->commitment));
    assert_int_equal(a->origin.hops, b->origin.hops);
    assert_int_equal(a->origin.domain, b->origin.domain);
    assert_int_equal(a->origin.rank, b->origin.rank);
    assert_true(a->origin.sequence == b->origin.sequence);
    assert_memory_equal(&a->values, &b->values, sizeof(a->values));
}

/* From memory of exactly that length: a read beyond it meets the sanitizer. */
static int parse_exact(const uint8_t *bytes, size_t length,
                       struct eesp_header *header)
{
    uint8_t *copy = malloc(length ? length : 1);
    int ret;

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    ret = eesp_header_parse(copy, length, header);
    free(copy);
    return ret;
}

static void round_trip(void **unused)
{
    uint8_t packet[EESP_HEADER_MAX + BODY_MIN] = {0};
    unsigned i;

    (void)unused;
    for (i = 0; i < 9 * 200; i++) {
        int compact          = i % 9 == 8;
        unsigned selectors   = some_selectors(i);
        struct eesp_header h = sample(compact, selectors), parsed;

        if (i % 2)
            some_options(&h);
        eesp_header_build(&h, packet);
        assert_int_equal(h.length, eesp_header_length(compact, selectors,
                                                      h.options));
        /* The payload is aligned. */
        assert_int_equal((h.length + EESP_INFO_LEN) % 8, 0);
        assert_int_equal(parse_exact(packet, h.length + BODY_MIN, &parsed),
                         EESP_OK);
        assert_same(&h, &parsed);
    }
}

/* Bytes written by hand from wire-format sections 5 and 6. */
static void exact_bytes(void **unused)
{
    static const char full[] =
        "8024abcd00010042e01e10010285000100021800070003001122334455667788"
        "0000000500000009010200000000000001000002";
    static const char compact[] =
        "8014abcd00010042e11201330002000900010005112233445566778800"
        "00000001000002";
    struct eesp_header h = {.session_id = 0xabcd, .spi = 65602, .kdf = 1,
                            .aead = 2, .flags = 0x80, .levels = 5,
                            .selectors = EESP_SELECT_RANKS, .epoch = 2,
                            .phase_shift = 24, .generations = {7, 0, 3, 0},
                            .incarnation = 0x1122334455667788, .source_rank = 5,
                            .destination_rank = 9, .sequence = 0x1000002};
    uint8_t wanted[EESP_HEADER_MAX], made[EESP_HEADER_MAX];
    size_t n = unhex(full, wanted, sizeof(wanted));

    (void)unused;
    eesp_header_build(&h, made);
    assert_int_equal(h.length, n);
    assert_memory_equal(made, wanted, n);

    h.compact          = 1;
    h.combination_id   = 1;
    h.source_rank      = 0x10005;
    h.destination_rank = 0x70009; /* the low 16 bits travel */
    n = unhex(compact, wanted, sizeof(wanted));
    eesp_header_build(&h, made);
    assert_int_equal(h.length, n);
    assert_memory_equal(made, wanted, n);
}

/*
 * Whatever a parser accepts, the builder makes again: no two byte strings mean
 * the same header. Only padding has more than one form.
 */
static void mutations(void **unused)
{
    uint8_t packet[EESP_HEADER_MAX + BODY_MIN] = {0}, again[EESP_HEADER_MAX];
    struct eesp_header h, parsed;
    unsigned i, value, accepted = 0;
    size_t at;

    (void)unused;
    for (i = 0; i < 18; i++) {
        int compact = i % 9 == 8;
        size_t pad;

        h = sample(compact, some_selectors(i));
        eesp_header_build(&h, packet);
        pad = h.length - EESP_SEQUENCE_LEN - (compact ? 0 : 4);
        for (at = 0; at < h.length; at++) {
            uint8_t old = packet[at];

            for (value = 0; value < 256; value++) {
                packet[at] = (uint8_t)value;
                if (parse_exact(packet, h.length + BODY_MIN, &parsed) !=
                    EESP_OK) {
                    assert_true(value != old);
                    continue;
                }
                accepted++;
                if (at == 1 && value != old) {
                    assert_int_equal(value, old - 4); /* without padding */
                    continue;
                }
                if (!compact && at >= pad && at < pad + 4) {
                    /* PadN of 4, 3 or 2 bytes, the rest Pad1 */
                    assert_true(at == pad + 1 ? value <= 2 : value == old);
                    continue;
                }
                eesp_header_build(&parsed, again);
                assert_memory_equal(again, packet, h.length);
            }
            packet[at] = old;
        }
    }
    assert_true(accepted > 9 * 256 * 20);
}

/* The same of commitment, origin and crypt offset, in full and compact. */
static void option_mutations(void **unused)
{
    uint8_t packet[EESP_HEADER_MAX + BODY_MIN] = {0}, again[EESP_HEADER_MAX];
    struct eesp_header h, parsed;
    unsigned i, value, accepted = 0;
    size_t at, from, until;

    (void)unused;
    for (i = 0; i < 64; i++) {
        h = sample(i % 8 == 0, EESP_SELECT_RANKS);
        do
            some_options(&h);
        while (h.options == 0);
        eesp_header_build(&h, packet);
        from  = EESP_BASE_LEN + (h.compact ? EESP_COMPACT_LEN :
                                             EESP_FULL_FIXED + 8);
        until = from + (h.options & EESP_HAS_COMMITMENT ? 18 : 0) +
                (h.options & EESP_HAS_ORIGIN ? 20 : 0) +
                (h.options & EESP_HAS_CRYPT_OFFSET ? 4 : 0);
        for (at = from; at < until; at++) {
            uint8_t old = packet[at];

            for (value = 0; value < 256; value++) {
                packet[at] = (uint8_t)value;
                if (parse_exact(packet, h.length + BODY_MIN, &parsed) !=
                    EESP_OK) {
                    assert_true(value != old);
                    continue;
                }
                accepted++;
                eesp_header_build(&parsed, again);
                if ((h.options & EESP_HAS_CRYPT_OFFSET) && at == until - 1)
                    again[at] |= value & 0xf; /* reserved bits: ignored */
                assert_memory_equal(again, packet, until);
            }
            packet[at] = old;
        }
    }
    assert_true(accepted > 64 * 256);
}

/* Each option once, in any place; C and X exactly if theirs is there. */
static void option_flags(void **unused)
{
    uint8_t packet[EESP_HEADER_MAX + BODY_MIN] = {0};
    struct eesp_header h, parsed;
    unsigned options, flags;

    (void)unused;
    for (options = 0; options < 4; options++)
        for (flags = 0; flags < 16; flags++) {
            unsigned wanted = (options & 1 ? EESP_FLAG_COMMITTED : 0) |
                              (options & 2 ? EESP_FLAG_PROXIED : 0);

            h         = sample(0, EESP_SELECT_RANKS);
            h.options = options;
            h.flags   = flags << 4;
            eesp_header_build(&h, packet);
            assert_int_equal(parse_exact(packet, h.length + BODY_MIN, &parsed),
                             (h.flags & 0x30) == wanted ? EESP_OK :
                                                          EESP_DROP_OPTION);
        }
    for (options = 1; options < 8; options++) { /* compact: offset alone */
        h         = sample(1, EESP_SELECT_RANKS);
        h.options = options;
        eesp_header_build(&h, packet);
        assert_int_equal(parse_exact(packet, h.length + BODY_MIN, &parsed),
                         options == EESP_HAS_CRYPT_OFFSET ? EESP_OK :
                                                            EESP_DROP_OPTION);
    }
}

static void fixed_fields(void **unused)
{
    uint8_t packet[EESP_HEADER_MAX + BODY_MIN] = {0};
    struct eesp_header h = sample(0, EESP_SELECT_RANKS), parsed;
    size_t size;
    unsigned bit, i;

    (void)unused;
    eesp_header_build(&h, packet);
    size = h.length + BODY_MIN;
    for (bit = 0; bit < 8; bit++) {
        packet[0] ^= 1u << bit; /* marker, version, reserved bits */
        assert_int_equal(parse_exact(packet, size, &parsed),
                         EESP_DROP_VERSION);
        packet[0] ^= 1u << bit;
        packet[19] ^= 1u << bit; /* reserved byte of the full option */
        assert_int_equal(parse_exact(packet, size, &parsed),
                         EESP_DROP_OPTION);
        packet[19] ^= 1u << bit;
    }
    for (i = 0; i < 16; i++) { /* format version */
        packet[10] = (uint8_t)(i << 4);
        assert_int_equal(parse_exact(packet, size, &parsed),
                         i == EESP_FORMAT ? EESP_OK : EESP_DROP_OPTION);
    }
    packet[10] = EESP_FORMAT << 4;
    for (bit = 13; bit < 16; bit++) { /* selectors of other versions */
        packet[14] = (uint8_t)(1u << bit >> 8);
        packet[15] = (uint8_t)(1u << bit | EESP_SELECT_RANKS);
        assert_int_equal(parse_exact(packet, size, &parsed),
                         EESP_DROP_OPTION);
    }
}

/* Sizes and places of wire-format section 4, and the bytes that are zero. */
static void selectors(void **unused)
{
    static const struct {
        const char *name;
        unsigned    size, zeros;
    } all[] = {{"ranks", 8, 0},  {"source", 8, 0}, {"destination", 8, 0},
               {"flow", 8, 0},   {"device", 8, 0}, {"vm", 16, 0},
               {"task", 8, 0},   {"job", 8, 0},    {"ipv4", 8, 0},
               {"ipv6", 32, 0},  {"tuple4", 16, 3}, {"tuple6", 40, 3},
               {"tenant", 8, 0}};
    uint8_t bytes[EESP_SELECTORS_MAX], made[EESP_SELECTORS_MAX];
    unsigned bit, byte, total = 0;

    (void)unused;
    for (bit = 0; bit < 13; bit++) {
        struct eesp_header h = {.selectors = 1u << bit};

        assert_string_equal(eesp_selector_name(bit), all[bit].name);
        assert_int_equal(eesp_selector_by_name(all[bit].name), 1u << bit);
        assert_int_equal(eesp_selectors_length(1u << bit), all[bit].size);
        total += all[bit].size;
        for (byte = 0; byte < all[bit].size; byte++) { /* every byte counts */
            int zero = byte >= all[bit].size - all[bit].zeros;

            memset(bytes, 0, sizeof(bytes));
            bytes[byte] = 0x80;
            assert_int_equal(eesp_selectors_parse(bytes, &h),
                             zero ? EESP_DROP_OPTION : EESP_OK);
            assert_int_equal(eesp_selectors_build(&h, made), all[bit].size);
            bytes[byte] = zero ? 0 : 0x80;
            assert_memory_equal(made, bytes, all[bit].size);
        }
    }
    assert_int_equal(total, EESP_SELECTORS_MAX);
    assert_null(eesp_selector_name(bit));
    assert_int_equal(eesp_selector_by_name("rank"), 0);
}

static void truncation(void **unused)
{
    uint8_t packet[EESP_HEADER_MAX + BODY_MIN] = {0};
    struct eesp_header parsed;
    size_t length;
    unsigned i;

    (void)unused;
    for (i = 0; i < 9; i++) {
        struct eesp_header h = sample(i == 8, some_selectors(i));

        eesp_header_build(&h, packet);
        for (length = 0; length < h.length + BODY_MIN; length++)
            assert_int_equal(parse_exact(packet, length, &parsed),
                             EESP_DROP_LENGTH);
        /* Opt Len beyond the packet */
        packet[1]++;
        assert_int_equal(parse_exact(packet, length, &parsed),
                         EESP_DROP_LENGTH);
        packet[1] = 255;
        assert_int_equal(parse_exact(packet, length, &parsed),
                         EESP_DROP_LENGTH);
    }
}

/* Result for a packet whose option field is exactly these bytes. */
static int walk(const uint8_t *options, size_t length)
{
    uint8_t packet[EESP_HEADER_MAX + BODY_MIN] = {EESP_BYTE0, (uint8_t)length};
    struct eesp_header parsed;

    assert_true(length <= 255);
    memcpy(packet + EESP_BASE_LEN, options, length);
    /* A sequence number that reads like options, for a walk that runs over. */
    memset(packet + EESP_BASE_LEN + length, 0, EESP_SEQUENCE_LEN);
    return parse_exact(packet,
                       EESP_BASE_LEN + length + EESP_SEQUENCE_LEN + BODY_MIN,
                       &parsed);
}

/* A well-formed context option, without padding; its length. */
static size_t put_option(uint8_t *out, int compact, unsigned selectors)
{
    struct eesp_header h = sample(compact, selectors);
    uint8_t packet[EESP_HEADER_MAX];
    size_t n = compact ? EESP_COMPACT_LEN :
                         EESP_FULL_FIXED + eesp_selectors_length(selectors);

    eesp_header_build(&h, packet);
    memcpy(out, packet + EESP_BASE_LEN, n);
    return n;
}

static void padding(void **unused)
{
    uint8_t o[255] = {0};
    size_t n, before, after, i;

    (void)unused;
    assert_int_equal(walk(o, 0), EESP_DROP_OPTION);
    assert_int_equal(walk(o, 8), EESP_DROP_OPTION); /* nothing but Pad1 */
    for (before = 0; before < 40; before++) {
        for (after = 0; after < 40; after++) {
            memset(o, 0, sizeof(o)); /* Pad1 */
            if (before >= 2) {
                o[0] = 1; /* PadN */
                o[1] = (uint8_t)(before - 2);
            }
            n = before + put_option(o + before, (before + after) & 1, 1);
            memset(o + n, 0, sizeof(o) - n);
            if (after >= 2) {
                o[n]     = 1;
                o[n + 1] = (uint8_t)(after - 2);
            }
            assert_int_equal(walk(o, n + after), EESP_OK);
            if (after < 2)
                continue;
            for (i = n + 2; i < n + after; i++) {
                o[i] = 0x80; /* padding says nothing */
                assert_int_equal(walk(o, n + after), EESP_DROP_OPTION);
                o[i] = 0;
            }
            o[n + 1]++; /* runs over Opt Len */
            assert_int_equal(walk(o, n + after), EESP_DROP_OPTION);
        }
    }
    n = put_option(o, 1, 1);
    memset(o + n, 0, sizeof(o) - n);
    assert_int_equal(walk(o, 255), EESP_OK);
    o[254] = 1; /* a PadN without its length */
    assert_int_equal(walk(o, 255), EESP_DROP_OPTION);
}

static void options(void **unused)
{
    uint8_t o[255] = {0};
    unsigned type, a, b;
    size_t n, length;

    (void)unused;
    for (type = 2; type < 256; type++) { /* and none of these fits */
        if (type == EESP_OPTION_FULL || type == EESP_OPTION_COMPACT)
            continue;
        n        = put_option(o, 0, 1);
        o[n]     = (uint8_t)type;
        o[n + 1] = 2;
        o[n + 2] = o[n + 3] = 0;
        assert_int_equal(walk(o, n), EESP_OK);
        assert_int_equal(walk(o, n + 4), EESP_DROP_OPTION);
        assert_int_equal(walk(o + n, 4), EESP_DROP_OPTION);
    }
    for (a = 0; a < 2; a++) {
        for (b = 0; b < 2; b++) { /* exactly one context option */
            n  = put_option(o, (int)a, 1);
            n += put_option(o + n, (int)b, 1);
            assert_int_equal(walk(o, n), EESP_DROP_OPTION);
        }
    }
    for (length = 0; length < 60; length++) {
        /* A data length that is not that of the form and its selectors */
        n    = put_option(o, 0, EESP_SELECT_RANKS);
        memset(o + n, 0, sizeof(o) - n);
        o[1] = (uint8_t)length;
        assert_int_equal(walk(o, 62), length == n - 2 ? EESP_OK :
                                                        EESP_DROP_OPTION);
        n    = put_option(o, 1, EESP_SELECT_RANKS);
        memset(o + n, 0, sizeof(o) - n);
        o[1] = (uint8_t)length;
        assert_int_equal(walk(o, 62), length == n - 2 ? EESP_OK :
                                                        EESP_DROP_OPTION);
    }
    n = put_option(o, 1, 1);
    for (length = 1; length < n; length++) /* cut off by Opt Len */
        assert_int_equal(walk(o, length), EESP_DROP_OPTION);
    o[2] = 0; /* combination ids start at 1 */
    assert_int_equal(walk(o, n), EESP_DROP_OPTION);
}

/* Any bytes at all: no crash, and a result of the parser's own kind. */
static void garbage(void **unused)
{
    uint8_t bytes[EESP_HEADER_MAX + BODY_MIN];
    struct eesp_header parsed;
    unsigned i;
    size_t j;

    (void)unused;
    for (i = 0; i < 100000; i++) {
        size_t n = next_random() % (sizeof(bytes) + 1);
        int ret;

        for (j = 0; j < n; j++)
            bytes[j] = (uint8_t)next_random();
        if (n > 10 && (i & 3) != 0) { /* so that it gets further in */
            bytes[0] = EESP_BYTE0;
            bytes[1] %= 64;
            bytes[8] = i & 4 ? EESP_OPTION_FULL : EESP_OPTION_COMPACT;
            bytes[9] = i & 4 ? 30 : 18;
        }
        ret = parse_exact(bytes, n, &parsed);
        assert_true(ret == EESP_OK || (ret <= EESP_DROP_LENGTH &&
                                       ret >= EESP_DROP_OPTION));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(exact_bytes),
        cmocka_unit_test(mutations),  cmocka_unit_test(fixed_fields),
        cmocka_unit_test(truncation), cmocka_unit_test(padding),
        cmocka_unit_test(options),    cmocka_unit_test(garbage),
        cmocka_unit_test(selectors),  cmocka_unit_test(option_mutations),
        cmocka_unit_test(option_flags),
    };

    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
