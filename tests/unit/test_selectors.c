/* SPDX-License-Identifier: BSD-3-Clause */
/* selectors: values of a lane and of a packet, and what a receiver expects. */
#include "ring.h"

#include "lane.h"

static const char *const names[] = {"flow", "device", "vm",     "task",
                                    "job",  "ipv4",   "ipv6",   "tuple4",
                                    "tuple6", "tenant"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static struct eesp_selector_values values(uint8_t fill)
{
    struct eesp_selector_values v;

    memset(&v, fill, sizeof(v));
    memset(v.tuple4.zero, 0, sizeof(v.tuple4.zero));
    memset(v.tuple6.zero, 0, sizeof(v.tuple6.zero));
    return v;
}

static struct eesp_keyring *keyring_of(const char *name)
{
    json_t *ring = ring_json(7);

    json_object_set_new(ring_policy(ring, 0), "selectors",
                        json_pack("[s,s,s]", name, "source", "destination"));
    return ring_parse(ring);
}

static int transfer(struct eesp_lane *tx, struct eesp_lane *rx,
                    const struct eesp_selector_values *own, size_t flip)
{
    static uint8_t packet[400], plain[400];
    struct eesp_destination to = {eesp_lane_incarnation(rx), 90, 0, 0};
    struct eesp_seal_options options = {.values = own};
    struct iovec iov = {"payload", 7};
    struct eesp_opened opened;
    size_t length;

    assert_int_equal(eesp_seal_with(tx, &to, own ? &options : NULL, &iov, 1,
                                    packet, sizeof(packet), &length),
                     EESP_OK);
    if (flip != 0)
        packet[flip] ^= 0x40;
    return eesp_open(rx, packet, length, plain, sizeof(plain), &opened);
}

static void every_selector(void **unused)
{
    struct eesp_selector_values a = values(0x11), b = values(0x22);
    unsigned i;

    (void)unused;
    for (i = 0; i < NAMES; i++) {
        struct eesp_keyring *keyring = keyring_of(names[i]);
        unsigned bit = eesp_selector_by_name(names[i]);
        struct eesp_lane_params par = {.id = 30, .values = &a};
        struct eesp_lane *tx, *rx, *strict;
        uint64_t derived;

        tx         = lane_open(keyring, par);
        par.id     = 90;
        rx         = lane_open(keyring, par);
        par.expect = bit;
        strict     = lane_open(keyring, par);
        /* The lane's own, then those of the packet. */
        assert_int_equal(transfer(tx, rx, NULL, 0), EESP_OK);
        assert_int_equal(transfer(tx, rx, &a, 0), EESP_OK);
        derived = rx->counters.derived;
        assert_int_equal(derived, 1);
        assert_int_equal(transfer(tx, rx, &b, 0), EESP_OK);
        assert_int_equal(rx->counters.derived, derived + 1);
        /* Each byte of the values is bound to the key. */
        assert_int_equal(transfer(tx, rx, &a, EESP_BASE_LEN + 24 + 16),
                         EESP_DROP_AUTH);
        assert_int_equal(transfer(tx, strict, &a, 0), EESP_OK);
        assert_int_equal(transfer(tx, strict, &b, 0), EESP_DROP_DESTINATION);
        assert_int_equal(count_drops(strict, EESP_DROP_DESTINATION), 1);
        eesp_lane_destroy(tx);
        eesp_lane_destroy(rx);
        eesp_lane_destroy(strict);
        eesp_keyring_free(keyring);
    }
}

/* An address is expected where the sender names its destination. */
static void addresses(void **unused)
{
    struct eesp_keyring *keyring = keyring_of("tuple4");
    struct eesp_selector_values mine = values(0), sent = values(0);
    struct eesp_lane *tx, *rx;

    (void)unused;
    memcpy(mine.tuple4.source, "\x0a\0\0\x01", 4);
    memcpy(sent.tuple4.source, "\x0a\0\0\x02", 4);
    memcpy(sent.tuple4.destination, "\x0a\0\0\x01", 4);
    sent.tuple4.protocol = 17;
    tx = lane_open(keyring, (struct eesp_lane_params){.id = 30});
    rx = lane_open(keyring, (struct eesp_lane_params){
                                .id = 90, .values = &mine,
                                .expect = EESP_SELECT_TUPLE4});
    assert_int_equal(transfer(tx, rx, &sent, 0), EESP_OK);
    sent.tuple4.source[3] = 77;
    assert_int_equal(transfer(tx, rx, &sent, 0), EESP_OK);
    sent.tuple4.destination[3] = 3;
    assert_int_equal(transfer(tx, rx, &sent, 0), EESP_DROP_DESTINATION);
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

/* Ranks and ids are always checked: asking for it is a mistake. */
static void bad_expect(void **unused)
{
    struct eesp_keyring *keyring = keyring_of("flow");
    struct eesp_lane_params par = {
        .keyring = keyring, .policy = eesp_keyring_policy_at(keyring, 0)};
    static const unsigned bad[] = {EESP_SELECT_RANKS, EESP_SELECT_SOURCE,
                                   EESP_SELECT_DESTINATION, 1 << 13, 1u << 31};
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN];
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        par.expect = bad[i];
        assert_int_equal(eesp_lane_create(&par, &lane, why),
                         EESP_ERR_ARGUMENT);
    }
    eesp_keyring_free(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_selector),
        cmocka_unit_test(addresses),
        cmocka_unit_test(bad_expect),
    };

    return cmocka_run_group_tests_name("selectors", tests, NULL, NULL);
}
