/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bursts: what is sealed together opens one by one under libcrypto and the
 * other way round, in the order and with the drops of packets one by one; with
 * the kernel of lanes.h where this CPU has it, and without.
 */
#include "ring.h"

#include "incoming.h"
#include "lanes.h"

enum { BURST = 37, ROOM = 900 };

struct pair {
    struct eesp_keyring    *keyring;
    struct eesp_lane       *tx, *rx;
    struct eesp_destination to[BURST];
};

enum form { FULL, COMPACT, IDS, LEASED, FORMS };

static uint8_t payload[BURST][ROOM], packet[BURST][ROOM], plain[BURST][ROOM];
static struct iovec iov[BURST][3];
static struct eesp_seal_item out[BURST];
static struct eesp_open_item in[BURST];

static struct pair pair_open(enum form form, const char *tx, const char *rx)
{
    static const struct eesp_lease lease = {0x1234567890abcdef, 7};
    static uint64_t leases;
    struct eesp_lease own = lease;
    json_t *ring = ring_json(7), *policy = ring_policy(ring, 0);
    struct pair p;
    unsigned i;

    if (form == COMPACT)
        json_object_set_new(policy, "compact_id", json_integer(5));
    if (form == IDS)
        json_object_set_new(policy, "selectors",
                            json_pack("[s,s]", "source", "destination"));
    if (form == LEASED)
        json_object_update_new(policy,
                               json_pack("{s:b, s:i}", "partitioned", 1,
                                         "phase_shift", 20));
    p.keyring = ring_parse(ring);
    p.tx = lane_open(p.keyring, (struct eesp_lane_params){
                                    .rank = 3, .id = 30, .backend = tx});
    p.rx = lane_open(p.keyring, (struct eesp_lane_params){
                                    .rank = 9, .id = 90, .backend = rx});
    own.incarnation += ++leases;
    if (form == LEASED)
        assert_int_equal(eesp_lane_lease(p.tx, &own), EESP_OK);
    for (i = 0; i < BURST; i++)
        p.to[i] = (struct eesp_destination){
            eesp_lane_incarnation(p.rx), 90, 9, (uint16_t)(i % 5)};
    return p;
}

static void pair_close(struct pair *p)
{
    eesp_lane_destroy(p->tx);
    eesp_lane_destroy(p->rx);
    eesp_keyring_free(p->keyring);
}

/* Items of those lengths, in parts; every byte of a payload tells whose it is. */
static void prepare(struct pair *p, const unsigned *lengths, unsigned count)
{
    unsigned i, k;

    memset(packet, 0x5a, sizeof(packet));
    memset(plain, 0xa5, sizeof(plain));
    for (i = 0; i < count; i++) {
        unsigned first = lengths[i] / 3;

        for (k = 0; k < lengths[i]; k++)
            payload[i][k] = (uint8_t)(i * 7 + k * 13 + 1);
        iov[i][0] = (struct iovec){payload[i], first};
        iov[i][1] = (struct iovec){NULL, 0};
        iov[i][2] = (struct iovec){payload[i] + first, lengths[i] - first};
        out[i]    = (struct eesp_seal_item){.destination = &p->to[i],
                                            .iov = iov[i], .iovcnt = 3,
                                            .packet = packet[i],
                                            .size = ROOM};
    }
}

static void receive(unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++)
        in[i] = (struct eesp_open_item){.packet = packet[i],
                                        .length = out[i].length,
                                        .plaintext = plain[i],
                                        .size = ROOM};
}

static void check_opened(const struct eesp_open_item *item, unsigned i,
                         unsigned length, uint64_t sequence)
{
    assert_int_equal(item->result, EESP_OK);
    assert_int_equal(item->opened.length, length);
    assert_memory_equal(item->opened.payload, payload[i], length);
    assert_int_equal(item->opened.sequence, sequence);
    assert_int_equal(item->opened.next_header, EESP_NEXT_HEADER);
    assert_int_equal(item->opened.previous, i >= 5 && sequence > 5 ?
                                                sequence - 5 : 0);
    assert_int_equal(item->opened.known, sequence > 5);
}

/* Every number of items of all lengths around the kernel's limits. */
static void there(enum form form, const char *tx, const char *rx)
{
    unsigned lengths[BURST], count, i;

    for (count = 0; count <= BURST; count++) {
        struct pair p = pair_open(form, tx, rx);
        struct eesp_counters counters;
        uint64_t bytes = 0;

        for (i = 0; i < count; i++) {
            lengths[i] = (i * 67 + count * 11) % (i % 9 == 8 ? 800 : 280);
            bytes += lengths[i];
        }
        if (form == LEASED) /* one Session ID for all */
            for (i = 0; i < count; i++)
                p.to[i].session_id = 7;
        prepare(&p, lengths, count);
        assert_int_equal(eesp_seal_burst(p.tx, out, count), count);
        receive(count);
        if (count % 2) {
            assert_int_equal(eesp_open_burst(p.rx, in, count), count);
        } else {
            for (i = 0; i < count; i++)
                in[i].result = eesp_open(p.rx, in[i].packet, in[i].length,
                                         in[i].plaintext, in[i].size,
                                         &in[i].opened);
        }
        for (i = 0; i < count; i++) {
            assert_int_equal(out[i].result, EESP_OK);
            if (form == LEASED) {
                assert_int_equal(in[i].result, EESP_OK);
                assert_int_equal(in[i].opened.sequence, i + 1);
                assert_memory_equal(in[i].opened.payload, payload[i],
                                    lengths[i]);
                continue;
            }
            check_opened(&in[i], i, lengths[i], i + 1);
            assert_int_equal(in[i].opened.session_id, i % 5);
        }
        eesp_lane_counters(p.tx, &counters);
        assert_int_equal(counters.sealed, count);
        assert_int_equal(counters.sealed_bytes, bytes);
        eesp_lane_counters(p.rx, &counters);
        assert_int_equal(counters.opened, count);
        assert_int_equal(counters.opened_bytes, bytes);
        pair_close(&p);
    }
}

static void test_there_and_back(void **state)
{
    static const char *const backends[] = {NULL, "openssl"};
    unsigned form, i;

    (void)state;
    for (form = 0; form < FORMS; form++)
        for (i = 0; i < 4; i++)
            there((enum form)form, backends[i % 2], backends[i / 2]);
}

/* A packet that opens one by one, with keys of libcrypto, opens in a burst. */
static void test_others_packets(void **state)
{
    unsigned lengths[BURST], i;
    struct pair p = pair_open(FULL, "openssl", NULL);

    (void)state;
    for (i = 0; i < BURST; i++)
        lengths[i] = 8 * i;
    prepare(&p, lengths, BURST);
    for (i = 0; i < BURST; i++)
        assert_int_equal(eesp_seal(p.tx, out[i].destination, out[i].iov,
                                   out[i].iovcnt, packet[i], ROOM,
                                   &out[i].length),
                         EESP_OK);
    receive(BURST);
    assert_int_equal(eesp_open_burst(p.rx, in, BURST), BURST);
    for (i = 0; i < BURST; i++)
        check_opened(&in[i], i, lengths[i], i + 1);
    pair_close(&p);
}

static void nothing_in(const uint8_t *bytes, size_t size, uint8_t before)
{
    size_t i;

    for (i = 0; i < size; i++)
        assert_true(bytes[i] == 0 || bytes[i] == before);
}

/* One damaged packet, wherever it is, is refused; the others open. */
static void damaged(const char *backend, unsigned victim, size_t byte)
{
    unsigned lengths[16], i;
    struct pair p = pair_open(COMPACT, NULL, backend);
    struct eesp_counters counters;

    for (i = 0; i < 16; i++)
        lengths[i] = 100;
    prepare(&p, lengths, 16);
    assert_int_equal(eesp_seal_burst(p.tx, out, 16), 16);
    receive(16);
    packet[victim][byte < out[victim].length ? byte : out[victim].length - 1] ^=
        0x10;
    assert_int_equal(eesp_open_burst(p.rx, in, 16), 15);
    for (i = 0; i < 16; i++) {
        assert_int_equal(in[i].result == EESP_OK, i != victim);
        if (i == victim)
            nothing_in(plain[i], ROOM, 0xa5);
        else
            assert_memory_equal(in[i].opened.payload, payload[i], 100);
    }
    eesp_lane_counters(p.rx, &counters);
    assert_int_equal(counters.opened, 15);
    assert_int_equal(counters.dropped[-in[victim].result], 1);
    pair_close(&p);
}

static void test_damaged(void **state)
{
    unsigned victim;
    size_t byte;

    (void)state;
    for (victim = 0; victim < 16; victim += 5)
        for (byte = 0; byte < 170; byte += 3) {
            damaged(NULL, victim, byte);
            damaged("openssl", victim, byte);
        }
}

/* The same packet twice in a burst, and one that comes after a later one. */
static void test_replay(void **state)
{
    static const char *const backends[] = {NULL, "openssl"};
    static const unsigned order[] = {0, 1, 1, 3, 2, 4, 0, 5, 6, 6};
    static const int result[] = {EESP_OK, EESP_OK, EESP_DROP_REPLAY, EESP_OK,
                                 EESP_DROP_REPLAY, EESP_OK, EESP_DROP_REPLAY,
                                 EESP_OK, EESP_OK, EESP_DROP_REPLAY};
    unsigned lengths[7] = {9, 9, 9, 9, 9, 9, 9}, i, b;

    (void)state;
    for (b = 0; b < 2; b++) {
        struct pair p = pair_open(FULL, NULL, backends[b]);

        for (i = 0; i < 7; i++)
            p.to[i].session_id = 1;
        prepare(&p, lengths, 7);
        assert_int_equal(eesp_seal_burst(p.tx, out, 7), 7);
        for (i = 0; i < 10; i++)
            in[i] = (struct eesp_open_item){.packet = packet[order[i]],
                                            .length = out[order[i]].length,
                                            .plaintext = plain[i],
                                            .size = ROOM};
        assert_int_equal(eesp_open_burst(p.rx, in, 10), 6);
        for (i = 0; i < 10; i++) {
            assert_int_equal(in[i].result, result[i]);
            if (result[i] != EESP_OK)
                nothing_in(plain[i], ROOM, 0xa5);
        }
        pair_close(&p);
    }
}

/* What is refused takes no number and disturbs no other. */
static void test_refused(void **state)
{
    static const char *const backends[] = {NULL, "openssl"};
    unsigned lengths[10], i, b;

    (void)state;
    for (b = 0; b < 2; b++) {
        struct pair p = pair_open(FULL, backends[b], "openssl");

        for (i = 0; i < 10; i++)
            lengths[i] = 20;
        prepare(&p, lengths, 10);
        out[4].size   = 50;
        out[7].iovcnt = EESP_IOV_MAX + 1;
        assert_int_equal(eesp_seal_burst(p.tx, out, 10), 8);
        assert_int_equal(out[4].result, EESP_ERR_SPACE);
        assert_int_equal(out[7].result, EESP_ERR_ARGUMENT);
        assert_int_equal(out[4].length + out[7].length, 0);
        nothing_in(packet[4], ROOM, 0x5a);
        assert_int_equal(eesp_lane_sequence(p.tx), 8);
        receive(10);
        in[3].size   = 60; /* too little for what comes out */
        in[4].length = in[7].length = 3;
        assert_int_equal(eesp_open_burst(p.rx, in, 10), 7);
        assert_int_equal(in[3].result, EESP_ERR_SPACE);
        assert_int_equal(in[4].result, EESP_DROP_LENGTH);
        assert_int_equal(in[9].opened.sequence, 8);
        nothing_in(plain[3], ROOM, 0xa5);
        pair_close(&p);
    }
}

/* The kernel leaves no key, and is what it says. */
static void test_kernel(void **state)
{
    static const uint8_t none[sizeof(((struct eesp_lanes *)NULL)->round_keys)];
    unsigned lengths[8], i;
    struct pair p = pair_open(FULL, NULL, NULL);
    int ret       = eesp_burst_selftest();

    (void)state;
    assert_true(ret == EESP_OK || ret == EESP_ERR_UNSUPPORTED);
    assert_int_equal(ret == EESP_OK, p.tx->lanes != NULL);
    if (p.tx->lanes == NULL) {
        pair_close(&p);
        print_message("%s\n", eesp_lanes_missing());
        skip();
    }
    for (i = 0; i < 8; i++)
        lengths[i] = 64;
    prepare(&p, lengths, 8);
    assert_int_equal(eesp_seal_burst(p.tx, out, 8), 8);
    assert_memory_equal(p.tx->lanes->round_keys, none, sizeof(none));
    receive(8);
    assert_int_equal(eesp_open_burst(p.rx, in, 8), 8);
    assert_memory_equal(p.rx->lanes->round_keys, none, sizeof(none));
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_others_packets),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
