/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane: many peers over a small key cache, forks in mid-stream, and members
 * of the group that send nonsense under a good key.
 */
#include "ring.h"

#include <sys/wait.h>
#include <unistd.h>

#include "context.h"
#include "lane.h"
#include "master.h"

enum { PEERS = 100, PACKET = 128 };

static uint8_t plain[4096];

static struct eesp_lane *lane_of(const struct eesp_keyring *keyring,
                                 uint32_t rank, unsigned key_cache)
{
    return lane_open(keyring, (struct eesp_lane_params){
                                  .rank = rank, .key_cache = key_cache,
                                  .replay_table = 1000});
}

static struct eesp_destination to_lane(struct eesp_lane *rx)
{
    return (struct eesp_destination){eesp_lane_incarnation(rx), 0, rx->rank, 0};
}

static size_t seal_to(struct eesp_lane *tx, struct eesp_destination to,
                      uint32_t number, uint8_t packet[PACKET])
{
    struct iovec iov = {&number, sizeof(number)};
    size_t length    = 0;

    assert_int_equal(eesp_seal(tx, &to, &iov, 1, packet, PACKET, &length),
                     EESP_OK);
    return length;
}

static size_t seal_number(struct eesp_lane *tx, struct eesp_lane *rx,
                          uint32_t number, uint8_t packet[PACKET])
{
    return seal_to(tx, to_lane(rx), number, packet);
}

static void open_number(struct eesp_lane *rx, const uint8_t *packet,
                        size_t length, uint32_t rank, uint32_t number)
{
    struct eesp_opened opened;

    assert_int_equal(eesp_open(rx, packet, length, plain, sizeof(plain),
                               &opened),
                     EESP_OK);
    assert_int_equal(opened.source_rank, rank);
    assert_int_equal(opened.length, sizeof(number));
    assert_memory_equal(opened.payload, &number, sizeof(number));
}

/* A cache of four keys for a hundred senders, and for a hundred receivers. */
static void small_cache(void **unused)
{
    struct eesp_keyring *keyring = ring_parse(ring_json(7));
    struct eesp_lane *hub = lane_of(keyring, 1000, 4), *peer[PEERS];
    struct eesp_counters c;
    uint8_t packet[PACKET];
    uint32_t round, i;
    uint64_t hits;
    size_t n;

    (void)unused;
    for (i = 0; i < PEERS; i++)
        peer[i] = lane_of(keyring, i, 4);
    for (round = 0; round < 4; round++)
        for (i = 0; i < PEERS; i++) {
            n = seal_number(peer[i], hub, 1000 * round + i, packet);
            open_number(hub, packet, n, i, 1000 * round + i);
            n = seal_number(hub, peer[i], 7777 + i, packet);
            open_number(peer[i], packet, n, 1000, 7777 + i);
        }
    eesp_lane_counters(hub, &c);
    assert_int_equal(c.sealed, 4 * PEERS);
    assert_int_equal(c.opened, 4 * PEERS);
    assert_int_equal(c.derived + c.cached, 8 * PEERS);
    assert_true(c.cached < PEERS); /* in this order hardly a hit */
    hits = c.cached;
    for (i = 0; i < 3; i++) /* kept at the second, if it was not at all */
        n = seal_number(hub, peer[PEERS - 1], 1, packet);
    eesp_lane_counters(hub, &c);
    assert_in_range(c.cached, hits + 1, hits + 3);
    for (i = 0; i < PEERS; i++) {
        eesp_lane_counters(peer[i], &c);
        assert_int_equal(c.derived, 2); /* one each way */
        assert_int_equal(c.cached, 6);
        eesp_lane_destroy(peer[i]);
    }
    eesp_lane_destroy(hub);
    eesp_keyring_free(keyring);
}

/* Forged packets cost a derivation, and drive no key out of the cache. */
static void forgers(void **unused)
{
    struct eesp_keyring *keyring = ring_parse(ring_json(7));
    struct eesp_lane *tx = lane_of(keyring, 3, 4), *rx = lane_of(keyring, 9, 4);
    struct eesp_opened opened;
    struct eesp_counters c;
    uint8_t packet[PACKET], forged[PACKET];
    uint32_t i;
    size_t n;

    (void)unused;
    n = seal_number(tx, rx, 1, packet);
    open_number(rx, packet, n, 3, 1);
    for (i = 0; i < 200; i++) {
        memcpy(forged, packet, n);
        forged[24 + i % 8] ^= (uint8_t)(i + 1); /* another incarnation */
        assert_int_equal(eesp_open(rx, forged, n, plain, sizeof(plain),
                                   &opened),
                         EESP_DROP_AUTH);
        assert_true(opened.has_source);
        assert_int_equal(opened.known, 0);
    }
    n = seal_number(tx, rx, 2, packet);
    open_number(rx, packet, n, 3, 2);
    eesp_lane_counters(rx, &c);
    assert_int_equal(c.derived, 1 + 200);
    assert_int_equal(c.cached, 1);
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

/* New keys at a phase's end, and the same lane goes on. */
static void phases(void **unused)
{
    json_t *ring = ring_json(7);
    struct eesp_keyring *keyring;
    struct eesp_lane *tx, *rx;
    struct eesp_counters c;
    uint8_t packet[PACKET];
    uint32_t i;
    size_t n;

    (void)unused;
    json_object_set_new(ring_policy(ring, 0), "phase_shift", json_integer(2));
    keyring = ring_parse(ring);
    tx      = lane_of(keyring, 3, 4);
    rx      = lane_of(keyring, 9, 4);
    for (i = 1; i < 64; i++) {
        n = seal_number(tx, rx, i, packet);
        open_number(rx, packet, n, 3, i);
    }
    eesp_lane_counters(rx, &c);
    assert_in_range(c.derived, 16, 2 * 16); /* who comes again is kept */
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

/* The child of a fork seals with the parent's lane, through a pipe. */
static void fork_in_stream(void **unused)
{
    enum { EACH = 50 };
    static uint8_t from[2][EACH][PACKET];
    struct eesp_keyring *keyring = ring_parse(ring_json(7));
    struct eesp_lane *tx = lane_of(keyring, 3, 4), *rx = lane_of(keyring, 9, 4);
    uint64_t receiving   = eesp_lane_incarnation(tx);
    /* Not asked for in the child, where that lane is another receiver. */
    struct eesp_destination to = to_lane(rx);
    struct eesp_header a, b;
    struct eesp_opened opened;
    uint8_t packet[PACKET];
    int fds[2], status, i, j;
    size_t n = 0;
    pid_t child;

    (void)unused;
    for (i = 0; i < 10; i++) {
        n = seal_number(tx, rx, 0, packet);
        open_number(rx, packet, n, 3, 0);
    }
    assert_int_equal(pipe(fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (i = 0; i < EACH; i++)
            seal_to(tx, to, 42, from[1][i]);
        if (eesp_lane_incarnation(tx) == receiving)
            _exit(1);
        _exit(write(fds[1], from[1], sizeof(from[1])) ==
                      (ssize_t)sizeof(from[1]) ? 0 : 1);
    }
    for (i = 0; i < EACH; i++)
        seal_to(tx, to, 42, from[0][i]);
    for (i = 0; i < (int)sizeof(from[1]);) {
        ssize_t got = read(fds[0], (uint8_t *)from[1] + i,
                           sizeof(from[1]) - (size_t)i);

        assert_true(got > 0);
        i += (int)got;
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(eesp_lane_incarnation(tx) == receiving);
    for (i = 0; i < EACH; i++) {
        assert_int_equal(eesp_header_parse(from[0][i], n, &a), EESP_OK);
        assert_int_equal(eesp_header_parse(from[1][i], n, &b), EESP_OK);
        /* Another incarnation is another key, whatever the number. */
        assert_true(a.incarnation != b.incarnation);
        assert_true(a.sequence == 11 + (uint64_t)i);
        assert_true(b.sequence == 1 + (uint64_t)i);
        for (j = 0; j < EACH; j++) /* one payload, no two ciphertexts alike */
            assert_true(memcmp(from[0][i] + a.length, from[1][j] + a.length,
                               8) != 0);
        open_number(rx, from[0][i], n, 3, 42);
        assert_int_equal(eesp_open(rx, from[1][i], n, plain, sizeof(plain),
                                   &opened),
                         EESP_OK);
        assert_int_equal(opened.known, i > 0); /* a source of its own */
        assert_true(opened.incarnation == b.incarnation);
    }
    close(fds[0]);
    close(fds[1]);
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

/* The child of a receiver cannot open what was sealed for its parent. */
static void fork_of_receiver(void **unused)
{
    struct eesp_keyring *keyring = ring_parse(ring_json(7));
    struct eesp_lane *tx = lane_of(keyring, 3, 4), *rx = lane_of(keyring, 9, 4);
    struct eesp_opened opened;
    uint8_t packet[PACKET];
    size_t n = seal_number(tx, rx, 5, packet);
    int status;
    pid_t child = fork();

    (void)unused;
    assert_true(child >= 0);
    if (child == 0)
        _exit(eesp_open(rx, packet, n, plain, sizeof(plain), &opened) ==
                      EESP_DROP_AUTH ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    open_number(rx, packet, n, 3, 5);
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

/* A packet with this plaintext, which a member of the group can make. */
static size_t seal_plain(struct eesp_lane *tx, struct eesp_lane *rx,
                         const uint8_t *text, size_t n, uint8_t *packet)
{
    const struct eesp_policy_info *p = &tx->policy->info;
    struct eesp_header h = {.spi = p->spi, .kdf = p->kdf, .aead = p->aead,
                            .flags = EESP_FLAG_BOUND, .levels = p->levels,
                            .selectors = p->selectors, .epoch = p->epoch,
                            .phase_shift = p->phase_shift,
                            .source_rank = tx->rank,
                            .destination_rank = rx->rank};
    struct iovec iov = {(void *)text, n};
    uint8_t nonce[EESP_NONCE_LEN];
    struct eesp_key_name name;
    struct eesp_key_slot *slot;
    int derived;

    assert_int_equal(eesp_nonce_take(tx->nonce, &h.incarnation, &h.sequence),
                     EESP_OK);
    eesp_policy_generations(tx->policy, h.generations);
    eesp_header_build(&h, packet);
    name.master = (uint16_t)tx->policy->send;
    name.length = (uint16_t)eesp_context_build(p, &h, eesp_lane_incarnation(rx),
                                               name.context);
    assert_int_equal(eesp_lane_key(tx, 0, &name, &slot, &derived), EESP_OK);
    eesp_lane_nonce(tx, &h, slot->mask, nonce);
    assert_int_equal(tx->suites[0].aead->seal(slot->aead, nonce, packet, h.length, &iov,
                                    1, packet + h.length,
                                    packet + h.length + n),
                     EESP_OK);
    return h.length + n + EESP_ICV_LEN;
}

/* Payload Info Header and padding of an authentic packet are checked too. */
static void bad_plaintext(void **unused)
{
    static const struct {
        uint8_t text[12];
        size_t  length;
        int     payload; /* length that comes out, -1: dropped */
    } c[] = {
        {{0, 0, 253, 0}, 4, 0},
        {{0, 0, 253, 0, 1, 2, 3, 4}, 8, 4},
        {{0, 0, 253, 3, 1}, 8, 1},
        {{0, 0, 253, 4}, 8, 0},          /* padding more than needed */
        {{0, 0, 59, 0, 1, 2, 3, 4}, 8, 4}, /* Next Header is the caller's */
        {{0x40, 0, 253, 0, 1, 2, 3, 4}, 8, -1}, /* nibble: an IPv4 header */
        {{0x10, 0, 253, 0}, 4, -1},
        {{0x01, 0, 253, 0}, 4, -1},       /* reserved bits */
        {{0, 1, 253, 0}, 4, -1},
        {{0, 0, 253, 1}, 4, -1},          /* padding that is not there */
        {{0, 0, 253, 5, 0, 0, 0, 0}, 8, -1},
        {{0, 0, 253, 255, 0, 0, 0, 0}, 8, -1},
        {{0, 0, 253, 1, 1, 2, 3, 4}, 8, -1}, /* padding not zero */
        {{0, 0, 253, 3, 1, 0, 1, 0}, 8, -1},
        {{0, 0, 253, 0, 1}, 5, -1},       /* no multiple of 4 */
        {{0, 0, 253, 3, 1, 0, 0}, 7, -1},
    };
    struct eesp_keyring *keyring = ring_parse(ring_json(7));
    struct eesp_lane *tx = lane_of(keyring, 3, 4), *rx = lane_of(keyring, 9, 4);
    struct eesp_opened opened;
    uint8_t packet[PACKET];
    size_t i, j, n;
    int drops = 0;

    (void)unused;
    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        int ret;

        n = seal_plain(tx, rx, c[i].text, c[i].length, packet);
        memset(plain, 0x77, sizeof(plain));
        ret = eesp_open(rx, packet, n, plain, sizeof(plain), &opened);
        if (c[i].payload >= 0) {
            assert_int_equal(ret, EESP_OK);
            assert_int_equal(opened.length, c[i].payload);
            assert_int_equal(opened.next_header, c[i].text[2]);
            continue;
        }
        assert_int_equal(ret, EESP_DROP_PAYLOAD);
        assert_null(opened.payload);
        for (j = 0; j < sizeof(plain); j++)
            assert_int_equal(plain[j], j < c[i].length ? 0 : 0x77);
        assert_int_equal(count_drops(rx, EESP_DROP_PAYLOAD), ++drops);
        /* Its number is spent: it was an authentic packet. */
        assert_int_equal(eesp_open(rx, packet, n, plain, sizeof(plain),
                                   &opened),
                         EESP_DROP_REPLAY);
    }
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_cache),    cmocka_unit_test(forgers),
        cmocka_unit_test(phases),         cmocka_unit_test(fork_in_stream),
        cmocka_unit_test(fork_of_receiver), cmocka_unit_test(bad_plaintext),
    };

    return cmocka_run_group_tests_name("lane_peers", tests, NULL, NULL);
}
