/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * underway: what two lanes say of packets on their way, through rotations and
 * epochs, packet by packet and in bursts; and that nothing lost is forgotten
 * before its generation's number comes again.
 */
#include "unit.h"

#include "lane.h"
#include "ring.h"

enum { PACKET = 256, BURST = 8 };

struct pair {
    struct eesp_keyring *keyring[2];
    struct eesp_lane    *lane[2];
};

static struct eesp_keyring *keyring_at(unsigned generation, unsigned epoch)
{
    json_t *ring = ring_json(generation);

    json_object_set_new(ring_policy(ring, 0), "epoch", json_integer(epoch));
    return ring_parse(ring);
}

static struct pair pair_make(unsigned generation, unsigned epoch)
{
    struct pair p;
    unsigned i;

    for (i = 0; i < 2; i++) {
        p.keyring[i] = keyring_at(generation, epoch);
        p.lane[i]    = lane_open(p.keyring[i],
                                 (struct eesp_lane_params){.rank = i});
    }
    return p;
}

static void pair_end(struct pair *p)
{
    unsigned i;

    for (i = 0; i < 2; i++) {
        eesp_lane_destroy(p->lane[i]);
        eesp_keyring_free(p->keyring[i]);
    }
}

static void follow(struct pair *p, unsigned i, unsigned generation,
                   unsigned epoch)
{
    struct eesp_keyring *next = keyring_at(generation, epoch);
    char why[EESP_WHY_LEN];

    assert_int_equal(eesp_lane_reload(p->lane[i], next, why), EESP_OK);
    eesp_keyring_free(p->keyring[i]);
    p->keyring[i] = next;
}

static struct eesp_destination to(const struct pair *p, unsigned i)
{
    return (struct eesp_destination){
        .incarnation = eesp_lane_incarnation(p->lane[i]), .rank = i};
}

static size_t seal(struct pair *p, unsigned from, uint8_t packet[PACKET])
{
    struct eesp_destination d = to(p, !from);
    struct iovec iov = {"text", 4};
    size_t length;

    assert_int_equal(eesp_seal(p->lane[from], &d, &iov, 1, packet, PACKET,
                               &length),
                     EESP_OK);
    return length;
}

static int open_at(struct pair *p, unsigned i, const uint8_t *packet,
                   size_t length)
{
    uint8_t plain[PACKET];
    struct eesp_opened opened;

    return eesp_open(p->lane[i], packet, length, plain, sizeof(plain), &opened);
}

static struct eesp_underway_sums sums(const struct pair *p)
{
    struct eesp_underway all = {.sum = {0}};
    struct eesp_underway_sums s;
    unsigned i;

    for (i = 0; i < 2; i++)
        eesp_lane_underway(p->lane[i], &all);
    eesp_underway_fold(&all, &s);
    return s;
}

/* Both directions, while one or both sides take a step. */
static void balance(void **unused)
{
    struct pair p = pair_make(7, 2);
    unsigned generation, epoch = 2, i;

    (void)unused;
    for (generation = 7; generation < 30; generation++) {
        uint8_t packet[2][PACKET];
        struct eesp_underway_sums s;
        size_t n[2];

        for (i = 0; i < 2; i++)
            n[i] = seal(&p, i, packet[i]);
        s = sums(&p);
        assert_true(s.level[EESP_DOMAIN][generation & 3] ==
                    eesp_lane_incarnation(p.lane[0]) +
                        eesp_lane_incarnation(p.lane[1]));
        assert_true(s.level[EESP_JOB][1] != 0);
        assert_true(s.epoch[epoch & 3] != 0);
        assert_true(s.level[EESP_TENANT][0] != 0); /* no such level */
        follow(&p, 0, generation + 1, ++epoch);
        assert_int_equal(open_at(&p, 0, packet[1], n[1]), EESP_OK);
        assert_int_equal(open_at(&p, 0, packet[1], n[1]), EESP_DROP_REPLAY);
        s = sums(&p);
        assert_true(s.level[EESP_DOMAIN][generation & 3] ==
                    eesp_lane_incarnation(p.lane[0]));
        n[1] = seal(&p, 0, packet[1]); /* ahead of its receiver */
        assert_int_equal(open_at(&p, 1, packet[0], n[0]), EESP_OK);
        assert_int_equal(open_at(&p, 1, packet[1], n[1]), EESP_OK);
        follow(&p, 1, generation + 1, epoch);
        s = sums(&p);
        for (i = 0; i < 4; i++) {
            assert_true(s.level[EESP_DOMAIN][i] == 0);
            assert_true(s.level[EESP_JOB][i] == 0);
            assert_true(s.epoch[i] == 0);
        }
    }
    pair_end(&p);
}

/* What is opened where its data belongs is off the way, too. */
static void in_two_places(void **unused)
{
    struct pair p = pair_make(7, 2);
    uint8_t packet[PACKET], head[EESP_PAYLOAD_OFFSET + 1], data[3];
    size_t n = seal(&p, 0, packet);
    struct eesp_opened opened;

    (void)unused;
    packet[n - 1] ^= 1;
    assert_int_equal(eesp_open_split(p.lane[1], packet, n, head, 1, data, 3,
                                     &opened), EESP_DROP_AUTH);
    assert_true(sums(&p).level[EESP_DOMAIN][3] != 0);
    packet[n - 1] ^= 1;
    assert_int_equal(eesp_open_split(p.lane[1], packet, n, head, 1, data, 3,
                                     &opened), EESP_OK);
    assert_true(sums(&p).level[EESP_DOMAIN][3] == 0);
    pair_end(&p);
}

/* Neither what was refused nor what was only looked at is off the way. */
static void refused(void **unused)
{
    struct pair p = pair_make(7, 2);
    uint8_t packet[PACKET], scratch[PACKET];
    size_t n = seal(&p, 0, packet);

    (void)unused;
    assert_int_equal(eesp_verify(p.lane[1], packet, n, scratch, PACKET),
                     EESP_OK);
    packet[n - 1] ^= 1;
    assert_int_equal(open_at(&p, 1, packet, n), EESP_DROP_AUTH);
    assert_true(sums(&p).level[EESP_DOMAIN][7 & 3] ==
                eesp_lane_incarnation(p.lane[0]));
    packet[n - 1] ^= 1;
    assert_int_equal(open_at(&p, 1, packet, n), EESP_OK);
    assert_true(sums(&p).level[EESP_DOMAIN][7 & 3] == 0);
    seal(&p, 1, packet);
    assert_true(sums(&p).level[EESP_DOMAIN][7 & 3] != 0);
    eesp_lane_unsent(p.lane[1]);
    assert_true(sums(&p).level[EESP_DOMAIN][7 & 3] == 0);
    pair_end(&p);
}

/* A lost packet is missed as long as its generation may be there. */
static void lost(void **unused)
{
    struct pair p = pair_make(7, 2);
    uint8_t packet[PACKET];
    unsigned generation;

    (void)unused;
    seal(&p, 0, packet);
    for (generation = 8; generation <= 9; generation++) {
        follow(&p, 0, generation, 2);
        follow(&p, 1, generation, 2);
        assert_true(sums(&p).level[EESP_DOMAIN][7 & 3] != 0);
    }
    /* 11 is staged now, and begins at 0. */
    follow(&p, 0, 10, 2);
    follow(&p, 1, 10, 2);
    assert_true(sums(&p).level[EESP_DOMAIN][7 & 3] == 0);
    pair_end(&p);
}

/* What a lane left that is gone follows as the others do. */
static void closed(void **unused)
{
    struct pair p = pair_make(7, 65535);
    struct eesp_keyring *next = keyring_at(8, 0);
    struct eesp_underway left = {.sum = {0}};
    struct eesp_underway_sums s;
    uint8_t packet[PACKET];

    (void)unused;
    seal(&p, 0, packet);
    eesp_lane_underway(p.lane[0], &left);
    eesp_underway_follow(&left, eesp_keyring_policy_at(p.keyring[0], 0),
                         eesp_keyring_policy_at(next, 0));
    eesp_underway_fold(&left, &s);
    assert_true(s.level[EESP_DOMAIN][7 & 3] == eesp_lane_incarnation(p.lane[0]));
    assert_true(s.epoch[65535 & 3] == eesp_lane_incarnation(p.lane[0]));
    eesp_keyring_free(next);
    next = keyring_at(8, 2);
    eesp_underway_follow(&left, eesp_keyring_policy_at(p.keyring[0], 0),
                         eesp_keyring_policy_at(next, 0));
    eesp_underway_fold(&left, &s);
    assert_true(s.epoch[65535 & 3] == 0); /* 3 is near */
    eesp_keyring_free(next);
    pair_end(&p);
}

static void burst(void **unused)
{
    struct pair p = pair_make(7, 2);
    struct eesp_destination d = to(&p, 1);
    struct eesp_seal_item seals[BURST];
    struct eesp_open_item opens[BURST];
    uint8_t packet[BURST][PACKET], plain[BURST][PACKET];
    struct iovec iov = {"text", 4};
    unsigned i;

    (void)unused;
    memset(seals, 0, sizeof(seals));
    memset(opens, 0, sizeof(opens));
    for (i = 0; i < BURST; i++) {
        seals[i].destination = &d;
        seals[i].iov         = &iov;
        seals[i].iovcnt      = 1;
        seals[i].packet      = packet[i];
        seals[i].size        = PACKET;
    }
    assert_int_equal(eesp_seal_burst(p.lane[0], seals, BURST), BURST);
    assert_true(sums(&p).level[EESP_DOMAIN][7 & 3] ==
                BURST * eesp_lane_incarnation(p.lane[0]));
    for (i = 0; i < BURST; i++) {
        opens[i].packet    = packet[i];
        opens[i].length    = seals[i].length;
        opens[i].plaintext = plain[i];
        opens[i].size      = PACKET;
    }
    assert_int_equal(eesp_open_burst(p.lane[1], opens, BURST), BURST);
    assert_true(sums(&p).level[EESP_DOMAIN][7 & 3] == 0);
    pair_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(balance), cmocka_unit_test(in_two_places),
        cmocka_unit_test(refused),
        cmocka_unit_test(lost),    cmocka_unit_test(closed),
        cmocka_unit_test(burst),
    };

    return cmocka_run_group_tests_name("underway", tests, NULL, NULL);
}
