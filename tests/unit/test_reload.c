/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane_reload: two peers follow their keyrings through rotations and epochs,
 * never more than a step apart, and lose nothing; numbers go on, what was
 * opened stays opened, and a keyring that does not fit changes nothing.
 */
#include "unit.h"

#include "lane.h"
#include "ring.h"

enum { PACKET = 256 };

struct peer {
    struct eesp_keyring *keyring;
    struct eesp_lane *lane;
    unsigned generation, epoch;
    uint64_t last; /* sequence number sealed last */
};

static struct eesp_keyring *keyring_at(unsigned generation, unsigned epoch)
{
    json_t *ring = ring_json(generation);

    json_object_set_new(ring_policy(ring, 0), "epoch", json_integer(epoch));
    return ring_parse(ring);
}

static struct peer peer_make(uint32_t rank)
{
    struct peer p = {.keyring = keyring_at(7, 2), .generation = 7, .epoch = 2};

    p.lane = lane_open(p.keyring, (struct eesp_lane_params){.rank = rank});
    return p;
}

static void peer_end(struct peer *p)
{
    eesp_lane_destroy(p->lane);
    eesp_keyring_free(p->keyring);
}

/* The old keyring is freed at once: nothing may look at it any more. */
static void peer_follow(struct peer *p, unsigned generation, unsigned epoch)
{
    struct eesp_keyring *next = keyring_at(generation, epoch);
    char why[EESP_WHY_LEN];

    assert_int_equal(eesp_keyring_follows(p->keyring, next, "next", why),
                     EESP_OK);
    assert_int_equal(eesp_lane_reload(p->lane, next, why), EESP_OK);
    eesp_keyring_free(p->keyring);
    p->keyring    = next;
    p->generation = generation;
    p->epoch      = epoch;
}

static size_t seal_from(struct peer *from, struct peer *to, uint32_t text,
                        uint8_t packet[PACKET])
{
    struct eesp_destination d = {eesp_lane_incarnation(to->lane), 0,
                                 to->lane->rank, 1};
    struct iovec iov = {&text, sizeof(text)};
    size_t length;

    assert_int_equal(eesp_seal(from->lane, &d, &iov, 1, packet, PACKET,
                               &length),
                     EESP_OK);
    /* One counter goes through all keys: no number comes twice. */
    assert_int_equal(eesp_lane_sequence(from->lane), from->last + 1);
    from->last++;
    return length;
}

static int open_at(struct peer *p, const uint8_t *packet, size_t length)
{
    uint8_t plain[PACKET];
    struct eesp_opened opened;

    return eesp_open(p->lane, packet, length, plain, sizeof(plain), &opened);
}

static void rotations(void **unused)
{
    struct peer p[2] = {peer_make(0), peer_make(1)};
    uint64_t incarnation = eesp_lane_incarnation(p[0].lane), x = 99;
    uint8_t before[2][PACKET], packet[PACKET];
    unsigned i, who, derived = 0;
    struct eesp_counters counters;

    (void)unused;
    for (i = 0; i < 2000; i++) {
        size_t n[2];

        for (who = 0; who < 2; who++) /* on the way while a key changes */
            n[who] = seal_from(&p[who], &p[!who], i, before[who]);
        x   = x * 6364136223846793005u + 1442695040888963407u;
        who = (unsigned)(x >> 63);
        peer_follow(&p[who],
                    p[who].generation + (p[who].generation <=
                                         p[!who].generation),
                    p[who].epoch + (p[who].epoch <= p[!who].epoch &&
                                    (x >> 40 & 1)));
        for (who = 0; who < 2; who++) {
            assert_int_equal(open_at(&p[!who], before[who], n[who]), EESP_OK);
            assert_int_equal(open_at(&p[!who], before[who], n[who]),
                             EESP_DROP_REPLAY);
            n[who] = seal_from(&p[who], &p[!who], i, packet);
            assert_int_equal(open_at(&p[!who], packet, n[who]), EESP_OK);
        }
    }
    assert_true(p[0].generation > 300);
    assert_true(p[0].epoch > 300);
    assert_true(eesp_lane_incarnation(p[0].lane) == incarnation);
    eesp_lane_counters(p[0].lane, &counters);
    derived = (unsigned)counters.derived;
    assert_true(derived > 600 && derived < 8000); /* anew, and then cached */
    peer_end(&p[0]);
    peer_end(&p[1]);
}

/* What was sealed before its keys became previous is counted, once. */
static void previous(void **unused)
{
    struct peer tx = peer_make(0), rx = peer_make(1);
    uint8_t packet[2][PACKET];
    size_t n[2];
    struct eesp_counters counters;

    (void)unused;
    n[0] = seal_from(&tx, &rx, 1, packet[0]);
    n[1] = seal_from(&tx, &rx, 2, packet[1]);
    assert_int_equal(open_at(&rx, packet[0], n[0]), EESP_OK);
    eesp_lane_counters(rx.lane, &counters);
    assert_int_equal(counters.previous, 0);
    peer_follow(&rx, rx.generation + 1, rx.epoch);
    assert_int_equal(open_at(&rx, packet[1], n[1]), EESP_OK);
    assert_int_equal(open_at(&rx, packet[1], n[1]), EESP_DROP_REPLAY);
    eesp_lane_counters(rx.lane, &counters);
    assert_int_equal(counters.previous, 1);
    assert_int_equal(counters.opened_bytes, 2 * sizeof(uint32_t));
    peer_end(&tx);
    peer_end(&rx);
}

/* The key of a generation that has left the ring opens and seals no more. */
static void retired(void **unused)
{
    struct peer tx = peer_make(0), rx = peer_make(1);
    uint8_t packet[PACKET];
    size_t n = seal_from(&tx, &rx, 1, packet);
    struct eesp_counters before, after;

    (void)unused;
    assert_int_equal(open_at(&rx, packet, n), EESP_OK); /* key is cached */
    n = seal_from(&tx, &rx, 2, packet);
    peer_follow(&rx, 8, 2);
    peer_follow(&rx, 9, 2);
    eesp_lane_counters(rx.lane, &before);
    assert_int_equal(open_at(&rx, packet, n), EESP_DROP_GENERATION);
    eesp_lane_counters(rx.lane, &after);
    assert_int_equal(after.derived, before.derived); /* refused for nothing */
    peer_end(&tx);
    peer_end(&rx);
}

/* Without D the floor is the epoch at the start, not that of the last reload. */
static void floor_stays(void **unused)
{
    struct eesp_keyring *rings[3];
    struct eesp_lane *tx, *rx;
    struct eesp_destination d = {.rank = 1};
    struct eesp_opened opened;
    uint8_t packet[PACKET], plain[PACKET];
    char why[EESP_WHY_LEN];
    size_t n;
    int i;

    (void)unused;
    for (i = 0; i < 3; i++) {
        json_t *ring = ring_json(7), *policy = ring_policy(ring, 0);

        json_object_set_new(policy, "epoch", json_integer(1 + i));
        json_object_set_new(policy, "bind_destination", json_false());
        rings[i] = ring_parse(ring);
    }
    tx = lane_open(rings[1], (struct eesp_lane_params){.rank = 0});
    rx = lane_open(rings[1], (struct eesp_lane_params){.rank = 1});
    assert_int_equal(eesp_seal(tx, &d, NULL, 0, packet, PACKET, &n), EESP_OK);
    assert_int_equal(eesp_lane_reload(rx, rings[2], why), EESP_OK);
    assert_int_equal(eesp_open(rx, packet, n, plain, PACKET, &opened), EESP_OK);
    eesp_lane_destroy(rx);
    rx = lane_open(rings[2], (struct eesp_lane_params){.rank = 1});
    assert_int_equal(eesp_open(rx, packet, n, plain, PACKET, &opened),
                     EESP_DROP_EPOCH);
    eesp_lane_destroy(rx);
    eesp_lane_destroy(tx);
    for (i = 0; i < 3; i++)
        eesp_keyring_free(rings[i]);
}

/* A full replay table has room again for who comes after three generations. */
static void room_again(void **unused)
{
    enum { SOURCES = 4 };
    struct peer rx = peer_make(1), tx[SOURCES + 1];
    uint8_t packet[SOURCES][PACKET], last[PACKET];
    unsigned i, generation;
    size_t n[SOURCES], size;

    (void)unused;
    eesp_lane_destroy(rx.lane);
    rx.lane = lane_open(rx.keyring, (struct eesp_lane_params){
                                        .rank = 1, .replay_table = SOURCES});
    for (i = 0; i <= SOURCES; i++)
        tx[i] = peer_make(2 + i);
    for (i = 0; i < SOURCES; i++) {
        n[i] = seal_from(&tx[i], &rx, i, packet[i]);
        assert_int_equal(open_at(&rx, packet[i], n[i]), EESP_OK);
    }
    for (generation = 8; generation <= 10; generation++) {
        size = seal_from(&tx[SOURCES], &rx, 9, last);
        assert_int_equal(open_at(&rx, last, size), EESP_DROP_REPLAY_FULL);
        peer_follow(&rx, generation, 2);
        peer_follow(&tx[SOURCES], generation, 2);
        peer_follow(&tx[0], generation, 2);
        size = seal_from(&tx[0], &rx, 1, packet[0]); /* this one stays */
        assert_int_equal(open_at(&rx, packet[0], size), EESP_OK);
        n[0] = size;
    }
    size = seal_from(&tx[SOURCES], &rx, 9, last);
    assert_int_equal(open_at(&rx, last, size), EESP_OK);
    assert_int_equal(open_at(&rx, last, size), EESP_DROP_REPLAY);
    assert_int_equal(open_at(&rx, packet[0], n[0]), EESP_DROP_REPLAY);
    for (i = 1; i < SOURCES; i++) /* forgotten, and nothing to be feared */
        assert_int_equal(open_at(&rx, packet[i], n[i]), EESP_DROP_GENERATION);
    for (i = 0; i <= SOURCES; i++)
        peer_end(&tx[i]);
    peer_end(&rx);
}

/* Back to older keys, whose packets the table may have forgotten: refused. */
static void not_back(void **unused)
{
    struct peer rx = peer_make(1), tx = peer_make(0);
    struct eesp_keyring *older = keyring_at(7, 2), *other;
    uint8_t packet[PACKET];
    char why[EESP_WHY_LEN];
    json_t *ring = ring_json(9);
    size_t n = seal_from(&tx, &rx, 1, packet);

    (void)unused;
    peer_follow(&rx, 8, 2);
    assert_int_equal(eesp_lane_reload(rx.lane, older, why), EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "from generation 8 to 7"));
    assert_int_equal(open_at(&rx, packet, n), EESP_OK);
    /* Nor to a key of another name, which has generations of its own. */
    json_object_set_new(ring_key(ring, 3), "kid", json_string("job-43"));
    json_object_set_new(json_object_get(ring_policy(ring, 0), "levels"), "job",
                        json_string("job-43"));
    other = ring_parse(ring);
    assert_int_equal(eesp_lane_reload(rx.lane, other, why), EESP_ERR_KEYRING);
    assert_non_null(strstr(why, "another levels"));
    eesp_keyring_free(older);
    eesp_keyring_free(other);
    peer_end(&rx);
    peer_end(&tx);
}

/* What may not change under a running process, and that nothing has changed. */
static void refusals(void **unused)
{
    static const struct {
        const char *member, *value, *what;
    } c[] = {
        {"spi", "65603", "no longer there"},
        {"kdf", "\"hmac-sha256\"", "kdf, aead or receive"},
        {"aead", "\"aes-128-gcm\"", "kdf, aead or receive"},
        {"levels", "{\"domain\":\"cluster-a\"}", "levels"},
        {"selectors", "[\"ranks\",\"source\"]", "selectors"},
        {"compact_id", "3", "compact_id"},
        {"phase_shift", "20", "phase_shift"},
        {"max_payload", "1024", "max_payload"},
        {"crypt_offset_max", "4", "crypt_offset_max"},
        {"replay", "\"window\"", "replay"},
        {"epoch_window", "5", "epoch_window"},
        {"domain_id", "5", "domain_id"},
        {"partitioned", "true", "partitions"},
    };
    struct peer tx = peer_make(0), rx = peer_make(1);
    uint8_t packet[PACKET];
    size_t i, n;

    (void)unused;
    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        json_t *ring = ring_json(7), *policy = ring_policy(ring, 0);
        struct eesp_keyring *other;
        char why[EESP_WHY_LEN];

        json_object_set_new(policy, c[i].member,
                            json_loads(c[i].value, JSON_DECODE_ANY, NULL));
        if (strcmp(c[i].member, "levels") == 0)
            json_object_set_new(policy, "selectors",
                                json_pack("[ss]", "ranks", "job"));
        if (strcmp(c[i].member, "partitioned") == 0)
            json_object_set_new(policy, "phase_shift", json_integer(20));
        other = ring_parse(ring);
        assert_int_equal(eesp_lane_reload(rx.lane, other, why),
                         EESP_ERR_KEYRING);
        if (strstr(why, c[i].what) == NULL)
            fail_msg("%s: %s", c[i].member, why);
        eesp_keyring_free(other);
        n = seal_from(&tx, &rx, 1, packet);
        assert_int_equal(open_at(&rx, packet, n), EESP_OK);
    }
    peer_end(&tx);
    peer_end(&rx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotations),
        cmocka_unit_test(previous),
        cmocka_unit_test(retired),
        cmocka_unit_test(floor_stays),
        cmocka_unit_test(room_again),
        cmocka_unit_test(not_back),
        cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}
