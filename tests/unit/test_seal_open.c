/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seal and open: every length there and back on every backend, and every bit
 * and byte of damage refused for the reason it should be.
 */
#include "ring.h"

#include "lane.h"

enum { LARGE = 65536, PACKET_MAX = LARGE + 400 };

static uint8_t payload[LARGE + 4], packet[PACKET_MAX], plain[PACKET_MAX];

/* A sender, rank 3, and a receiver, rank 9, under policies of one keyring. */
struct pair {
    struct eesp_keyring    *keyring;
    struct eesp_lane       *tx, *rx;
    struct eesp_destination to;
};

enum form { FULL, COMPACT, IDS, UNBOUND, FORMS };

static struct pair pair_open(enum form form, const char *backend)
{
    json_t *ring = ring_json(7), *policy = ring_policy(ring, 0);
    struct pair p;

    if (form == COMPACT)
        json_object_set_new(policy, "compact_id", json_integer(5));
    if (form == IDS)
        json_object_set_new(policy, "selectors",
                            json_pack("[s,s]", "source", "destination"));
    if (form == UNBOUND) {
        json_object_set_new(policy, "bind_destination", json_false());
        json_object_set_new(policy, "replay", json_string("off"));
    }
    p.keyring = ring_parse(ring);
    p.tx = lane_open(p.keyring, (struct eesp_lane_params){
                                    .rank = 3, .id = 30, .backend = backend});
    p.rx = lane_open(p.keyring, (struct eesp_lane_params){
                                    .rank = 9, .id = 90, .backend = backend});
    p.to = (struct eesp_destination){eesp_lane_incarnation(p.rx), 90, 9, 77};
    return p;
}

static void pair_close(struct pair *p)
{
    eesp_lane_destroy(p->tx);
    eesp_lane_destroy(p->rx);
    eesp_keyring_free(p->keyring);
}

static size_t seal(struct pair *p, size_t n)
{
    struct iovec iov = {payload, n};
    size_t length    = 0;

    assert_int_equal(eesp_seal(p->tx, &p->to, &iov, 1, packet, sizeof(packet),
                               &length),
                     EESP_OK);
    return length;
}

/*
 * Opens, from memory of exactly that length. A drop is counted under its
 * reason and leaves nothing in plain.
 */
static int open_it(struct pair *p, const void *bytes, size_t length,
                   struct eesp_opened *opened)
{
    uint8_t *copy = malloc(length ? length : 1);
    struct eesp_counters before, after;
    size_t i;
    int ret;

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    memset(plain, 0xa5, length);
    eesp_lane_counters(p->rx, &before);
    ret = eesp_open(p->rx, copy, length, plain, sizeof(plain), opened);
    eesp_lane_counters(p->rx, &after);
    free(copy);
    if (ret == EESP_OK) {
        assert_int_equal(after.opened, before.opened + 1);
        return ret;
    }
    assert_int_equal(after.dropped[-ret], before.dropped[-ret] + 1);
    assert_int_equal(after.opened, before.opened);
    assert_null(opened->payload);
    for (i = 0; i < length; i++)
        if (plain[i] != 0 && plain[i] != 0xa5)
            fail_msg("a drop (%d) left byte %zu", ret, i);
    return ret;
}

static int make_payload(void **unused)
{
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(payload); i++) /* neither 0 nor 0xa5 */
        payload[i] = (uint8_t)(1 + i * 7 % 163);
    return 0;
}

static void there_and_back(struct pair *p, size_t n)
{
    static const unsigned pads[] = {0, 3, 2, 1};
    struct eesp_opened opened;
    size_t length = seal(p, n), header;

    header = eesp_header_length(p->tx->policy->info.compact_id != 0,
                                p->tx->policy->info.selectors, 0);
    assert_int_equal(length, header + 4 + n + pads[n % 4] + 16);
    assert_true(length <= n + eesp_overhead(p->tx->policy));
    assert_int_equal(open_it(p, packet, length, &opened), EESP_OK);
    assert_int_equal(opened.length, n);
    assert_ptr_equal(opened.payload, plain + EESP_PAYLOAD_OFFSET);
    assert_int_equal(memcmp(opened.payload, payload, n), 0);
    assert_int_equal(opened.next_header, EESP_NEXT_HEADER);
    assert_int_equal(opened.session_id, 77);
    assert_true(opened.has_source);
    assert_true(opened.incarnation == eesp_lane_incarnation(p->tx));
    assert_int_equal(plain[length], 0); /* nothing behind */
}

static void every_length(void **unused)
{
    unsigned i, form;
    size_t n;

    (void)unused;
    for (i = 0; i < eesp_backends(); i++) {
        struct eesp_backend_info b;

        eesp_backend(i, &b);
        if (!b.available || strcmp(b.algorithm, "aes-256-gcm") != 0)
            continue;
        for (form = 0; form < FORMS; form++) {
            struct pair p = pair_open((enum form)form, b.name);
            struct eesp_counters c;

            memset(plain, 0, sizeof(plain));
            for (n = 0; n <= 300; n++)
                there_and_back(&p, n);
            for (n = EESP_GATHER_MAX - 20; n < EESP_GATHER_MAX + 20; n++)
                there_and_back(&p, n);
            for (n = LARGE - 4; n <= LARGE; n++)
                there_and_back(&p, n);
            eesp_lane_counters(p.tx, &c);
            assert_int_equal(c.sealed, 301 + 40 + 5);
            assert_int_equal(c.derived, 1); /* one key of one context */
            assert_int_equal(c.cached, c.sealed - 1);
            pair_close(&p);
        }
    }
}

/* However the payload is cut into parts, packet bytes are the same. */
static void parts(void **unused)
{
    struct pair p = pair_open(FULL, NULL);
    static uint8_t whole[PACKET_MAX];
    struct iovec iov[EESP_IOV_MAX + 1];
    size_t sizes[] = {0, 1, 5, 24, 100, 2041, 2042, 5000, LARGE}, length, s;
    unsigned cut;

    (void)unused;
    for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
        for (cut = 1; cut <= EESP_IOV_MAX; cut++) {
            size_t used = 0, n = sizes[s];
            uint64_t next = p.tx->nonce->next;
            unsigned i;

            for (i = 0; i < cut; i++) {
                size_t part = i + 1 == cut ? n - used : (n - used) / 2 * (i & 1);

                iov[i] = (struct iovec){part ? payload + used : NULL, part};
                used  += part;
            }
            length = seal(&p, n);
            memcpy(whole, packet, length);
            p.tx->nonce->next = next; /* the same number: only in a test */
            assert_int_equal(eesp_seal(p.tx, &p.to, iov, cut, packet,
                                       sizeof(packet), &length),
                             EESP_OK);
            assert_int_equal(memcmp(whole, packet, length), 0);
        }
    assert_int_equal(eesp_seal(p.tx, &p.to, iov, EESP_IOV_MAX + 1, packet,
                               sizeof(packet), &length),
                     EESP_ERR_ARGUMENT);
    pair_close(&p);
}

/* Reasons by which a flipped bit of this byte may be found. */
static int fits(enum form form, size_t at, size_t header, int ret)
{
    static const struct {
        size_t from, to;
        int    first, second;
    } full[] = {
        {0, 0, EESP_DROP_VERSION, 0},
        {2, 3, EESP_DROP_AUTH, 0},                  /* Session ID */
        {4, 7, EESP_DROP_SPI, 0},
        {8, 9, EESP_DROP_OPTION, 0},
        {10, 10, EESP_DROP_OPTION, EESP_DROP_POLICY}, /* format, profile */
        {11, 12, EESP_DROP_POLICY, 0}, /* KDF, AEAD */
        {13, 13, EESP_DROP_POLICY, EESP_DROP_OPTION}, /* flags and levels */
        {14, 15, EESP_DROP_OPTION, 0}, /* selectors, against the length */
        {16, 17, EESP_DROP_EPOCH, EESP_DROP_AUTH},
        {18, 18, EESP_DROP_POLICY, 0}, /* S */
        {19, 19, EESP_DROP_OPTION, 0}, /* reserved */
        {20, 20, EESP_DROP_GENERATION, EESP_DROP_AUTH},
        {21, 23, EESP_DROP_GENERATION, 0},
        {24, 35, EESP_DROP_AUTH, 0}, /* incarnation, source rank */
        {36, 39, EESP_DROP_DESTINATION, 0},
        {40, 40, EESP_DROP_OPTION, 0}, /* PadN, or an option cut short */
        {41, 41, EESP_DROP_OPTION, EESP_DROP_AUTH}, /* PadN, then Pad1 */
        {42, 43, EESP_DROP_OPTION, 0},
        {44, 51, EESP_DROP_AUTH, EESP_DROP_REPLAY}, /* sequence */
    }, compact[] = {
        {0, 0, EESP_DROP_VERSION, 0},
        {2, 3, EESP_DROP_AUTH, 0},
        {4, 7, EESP_DROP_SPI, 0},
        {8, 9, EESP_DROP_OPTION, 0},
        {10, 10, EESP_DROP_POLICY, 0}, /* combination id */
        {11, 11, EESP_DROP_GENERATION, EESP_DROP_AUTH},
        {12, 13, EESP_DROP_EPOCH, EESP_DROP_AUTH},
        {14, 15, EESP_DROP_DESTINATION, 0},
        {16, 27, EESP_DROP_AUTH, 0},
        {28, 35, EESP_DROP_AUTH, EESP_DROP_REPLAY},
    };
    size_t i;

    if (at >= header)
        return ret == EESP_DROP_AUTH;
    /* Opt Len: a number's leading zeros read like Pad1. */
    if (at == 1)
        return ret == EESP_DROP_LENGTH || ret == EESP_DROP_OPTION ||
               ret == EESP_DROP_AUTH;
    for (i = 0; form == FULL && i < sizeof(full) / sizeof(full[0]); i++)
        if (at >= full[i].from && at <= full[i].to)
            return ret == full[i].first || ret == full[i].second;
    for (i = 0; form == COMPACT && i < sizeof(compact) / sizeof(compact[0]); i++)
        if (at >= compact[i].from && at <= compact[i].to)
            return ret == compact[i].first || ret == compact[i].second;
    return ret != EESP_OK; /* forms without a table of their own */
}

static void every_bit(void **unused)
{
    struct eesp_opened opened;
    unsigned i, form;
    size_t bit;

    (void)unused;
    for (i = 0; i < eesp_backends(); i++) {
        struct eesp_backend_info b;

        eesp_backend(i, &b);
        if (!b.available || strcmp(b.algorithm, "aes-256-gcm") != 0)
            continue;
        for (form = 0; form < FORMS; form++) {
            struct pair p = pair_open((enum form)form, b.name);
            size_t length = seal(&p, 45);
            size_t header = eesp_header_length(form == COMPACT,
                                               p.tx->policy->info.selectors, 0);

            for (bit = 0; bit < 8 * length; bit++) {
                int ret;

                packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
                ret = open_it(&p, packet, length, &opened);
                if (!fits((enum form)form, bit / 8, header, ret))
                    fail_msg("form %u, byte %zu, bit %zu: %s", form, bit / 8,
                             bit % 8, eesp_strerror(ret));
                packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
            }
            /* None of that has changed the receiver. */
            assert_int_equal(open_it(&p, packet, length, &opened), EESP_OK);
            assert_int_equal(opened.known, 0);
            pair_close(&p);
        }
    }
}

static void every_truncation(void **unused)
{
    struct eesp_opened opened;
    unsigned form;
    size_t n;

    (void)unused;
    for (form = 0; form < FORMS; form++) {
        struct pair p = pair_open((enum form)form, NULL);
        size_t length = seal(&p, 45);
        size_t header = eesp_header_length(form == COMPACT,
                                           p.tx->policy->info.selectors, 0);

        for (n = 0; n < length; n++)
            assert_int_equal(open_it(&p, packet, n, &opened),
                             n < header + 20 ? EESP_DROP_LENGTH :
                                               EESP_DROP_AUTH);
        for (n = length + 1; n < length + 40; n++) /* and bytes too many */
            assert_int_equal(open_it(&p, packet, n, &opened), EESP_DROP_AUTH);
        assert_int_equal(open_it(&p, packet, length, &opened), EESP_OK);
        pair_close(&p);
    }
}

static void too_large(void **unused)
{
    struct pair p = pair_open(FULL, NULL);
    struct iovec iov[2] = {{payload, LARGE + 1},
                           {payload, SIZE_MAX - LARGE + 9}};
    struct eesp_opened opened;
    size_t length = 12345, n, size;

    (void)unused;
    assert_int_equal(eesp_seal(p.tx, &p.to, iov, 1, packet, sizeof(packet),
                               &length),
                     EESP_ERR_SPACE);
    iov[0].iov_len = LARGE; /* a sum that wraps */
    assert_int_equal(eesp_seal(p.tx, &p.to, iov, 2, packet, sizeof(packet),
                               &length),
                     EESP_ERR_SPACE);
    /* A buffer that lacks one byte is not touched at all. */
    for (n = 0; n < 3000; n += 611) {
        memset(packet, 0x77, sizeof(packet));
        iov[0].iov_len = n;
        size           = 52 + 4 + (n + 3) / 4 * 4 + 16;
        assert_int_equal(eesp_seal(p.tx, &p.to, iov, 1, packet, size - 1,
                                   &length),
                         EESP_ERR_SPACE);
        for (length = 0; length < size; length++)
            assert_int_equal(packet[length], 0x77);
        assert_int_equal(eesp_seal(p.tx, &p.to, iov, 1, packet, size,
                                   &length),
                         EESP_OK);
        assert_int_equal(length, size);
        assert_int_equal(packet[size], 0x77);
        assert_int_equal(eesp_open(p.rx, packet, length, plain, length - 1,
                                   &opened),
                         EESP_ERR_SPACE);
        assert_int_equal(eesp_open(p.rx, packet, length, plain, length,
                                   &opened),
                         EESP_OK);
    }
    /* Longer than the policy allows: not even decrypted. */
    length = seal(&p, 8);
    assert_int_equal(eesp_open(p.rx, packet, LARGE + 400, plain, sizeof(plain),
                               &opened),
                     EESP_DROP_LENGTH);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length),     cmocka_unit_test(parts),
        cmocka_unit_test(every_bit),        cmocka_unit_test(every_truncation),
        cmocka_unit_test(too_large),
    };

    return cmocka_run_group_tests_name("seal_open", tests, make_payload, NULL);
}
