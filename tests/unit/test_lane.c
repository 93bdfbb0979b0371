/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane: who can open what. Receivers, keyrings, generations, epochs and replay
 * from a packet's point of view.
 */
#include "ring.h"

#include "lane.h"

static uint8_t packet[4096], plain[4096];

static struct eesp_lane *lane_of(const struct eesp_keyring *keyring,
                                 uint32_t rank)
{
    return lane_open(keyring, (struct eesp_lane_params){.rank = rank});
}

static struct eesp_destination to_lane(struct eesp_lane *rx)
{
    return (struct eesp_destination){eesp_lane_incarnation(rx), rx->id,
                                     rx->rank, 0};
}

/* Seals one packet; its length. */
static size_t seal(struct eesp_lane *tx, struct eesp_destination to)
{
    struct iovec iov = {"payload", 8};
    size_t length    = 0;

    assert_int_equal(eesp_seal(tx, &to, &iov, 1, packet, sizeof(packet),
                               &length),
                     EESP_OK);
    return length;
}

/* Opens; what a drop leaves in the counters is checked with it. */
static int open_it(struct eesp_lane *rx, size_t length)
{
    struct eesp_opened opened;
    struct eesp_counters before, after;
    int ret, i;

    eesp_lane_counters(rx, &before);
    ret = eesp_open(rx, packet, length, plain, sizeof(plain), &opened);
    eesp_lane_counters(rx, &after);
    if (ret == EESP_OK)
        assert_string_equal((const char *)opened.payload, "payload");
    assert_int_equal(after.opened - before.opened, ret == EESP_OK);
    for (i = 0; i < -EESP_ERROR_MIN; i++)
        assert_int_equal(after.dropped[i] - before.dropped[i],
                         ret != EESP_OK && i == -ret);
    return ret;
}

static json_t *policy_ring(unsigned generation, const char *member,
                           json_int_t value)
{
    json_t *ring = ring_json(generation);

    json_object_set_new(ring_policy(ring, 0), member, json_integer(value));
    return ring;
}

static void replay(void **unused)
{
    struct eesp_keyring *keyring = ring_parse(ring_json(7));
    struct eesp_lane *tx = lane_of(keyring, 3), *rx = lane_of(keyring, 9);
    struct eesp_destination to = to_lane(rx);
    static uint8_t old[4096];
    size_t n;

    (void)unused;
    n = seal(tx, to);
    memcpy(old, packet, n);
    assert_int_equal(open_it(rx, n), EESP_OK);
    assert_int_equal(open_it(rx, n), EESP_DROP_REPLAY);
    seal(tx, to);
    assert_int_equal(open_it(rx, n), EESP_OK);
    memcpy(packet, old, n);
    assert_int_equal(open_it(rx, n), EESP_DROP_REPLAY);
    /* The number is the lane's, the order is each session's. */
    seal(tx, to);
    memcpy(old, packet, n);
    to.session_id = 1;
    seal(tx, to);
    assert_int_equal(open_it(rx, n), EESP_OK);
    memcpy(packet, old, n);
    assert_int_equal(open_it(rx, n), EESP_OK);
    assert_int_equal(count_drops(rx, EESP_DROP_REPLAY), 2);
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

/* A packet that came twice is authentic; one with a damaged number is not. */
static void verify(void **unused)
{
    struct eesp_keyring *keyring = ring_parse(ring_json(7));
    struct eesp_lane *tx = lane_of(keyring, 3), *rx = lane_of(keyring, 9);
    struct eesp_destination to = to_lane(rx);
    struct eesp_counters before, after;
    size_t n, i;

    (void)unused;
    seal(tx, to);
    n = seal(tx, to); /* number 2, which damage can lower */
    assert_int_equal(open_it(rx, n), EESP_OK);
    assert_int_equal(open_it(rx, n), EESP_DROP_REPLAY);
    eesp_lane_counters(rx, &before);
    memset(plain, 0x77, sizeof(plain));
    assert_int_equal(eesp_verify(rx, packet, n, plain, n), EESP_OK);
    for (i = 0; i < sizeof(plain); i++)
        assert_int_equal(plain[i], i < n ? 0 : 0x77);
    packet[51] = 1;
    assert_int_equal(eesp_verify(rx, packet, n, plain, n), EESP_DROP_AUTH);
    packet[51] = 0;
    assert_true(eesp_verify(rx, packet, n, plain, n) != EESP_OK);
    packet[51] = 2;
    packet[n - 1] ^= 1;
    assert_int_equal(eesp_verify(rx, packet, n, plain, n), EESP_DROP_AUTH);
    assert_int_equal(eesp_verify(rx, packet, n, plain, n - 1), EESP_ERR_SPACE);
    eesp_lane_counters(rx, &after);
    assert_memory_equal(before.dropped, after.dropped, sizeof(after.dropped));
    assert_int_equal(before.opened, after.opened);
    /* Nor does it take a number: the packet after it still opens once. */
    n = seal(tx, to);
    assert_int_equal(eesp_verify(rx, packet, n, plain, n), EESP_OK);
    assert_int_equal(open_it(rx, n), EESP_OK);
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

/* A full table refuses the new source before it costs a decryption. */
static void replay_full(void **unused)
{
    struct eesp_keyring *keyring = ring_parse(ring_json(7));
    struct eesp_lane *rx = lane_open(
        keyring, (struct eesp_lane_params){.rank = 9, .replay_table = 2});
    struct eesp_lane *tx[3];
    size_t n;
    int i;

    (void)unused;
    for (i = 0; i < 3; i++) {
        tx[i] = lane_of(keyring, 1);
        n     = seal(tx[i], to_lane(rx));
        assert_int_equal(open_it(rx, n),
                         i < 2 ? EESP_OK : EESP_DROP_REPLAY_FULL);
    }
    for (i = 0; i < 3; i++) {
        n = seal(tx[i], to_lane(rx));
        assert_int_equal(open_it(rx, n),
                         i < 2 ? EESP_OK : EESP_DROP_REPLAY_FULL);
        eesp_lane_destroy(tx[i]);
    }
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

static void destinations(void **unused)
{
    struct eesp_keyring *keyring = ring_parse(ring_json(7));
    struct eesp_keyring *small   = ring_parse(policy_ring(7, "compact_id", 1));
    struct eesp_lane *tx = lane_of(keyring, 3), *ctx = lane_of(small, 3);
    struct eesp_lane *rx = lane_of(keyring, 0x10009);
    struct eesp_lane *crx = lane_of(small, 0x10009);
    struct eesp_destination to = to_lane(rx), cto = to_lane(crx);

    (void)unused;
    assert_int_equal(open_it(rx, seal(tx, to)), EESP_OK);
    assert_int_equal(open_it(crx, seal(ctx, cto)), EESP_OK);
    to.rank  = 0x10008;
    cto.rank = 0x10008;
    assert_int_equal(open_it(rx, seal(tx, to)), EESP_DROP_DESTINATION);
    assert_int_equal(open_it(crx, seal(ctx, cto)), EESP_DROP_DESTINATION);
    /* Only the low 16 bits travel in the compact form; the key knows all. */
    to.rank  = 0x20009;
    cto.rank = 0x20009;
    assert_int_equal(open_it(rx, seal(tx, to)), EESP_DROP_DESTINATION);
    assert_int_equal(open_it(crx, seal(ctx, cto)), EESP_DROP_AUTH);
    /* D: as before the receiver's restart, or for another interface */
    to  = to_lane(rx);
    cto = to_lane(crx);
    to.incarnation ^= 1;
    cto.incarnation ^= 1;
    assert_int_equal(open_it(rx, seal(tx, to)), EESP_DROP_AUTH);
    assert_int_equal(open_it(crx, seal(ctx, cto)), EESP_DROP_AUTH);
    /* A packet of the other form is not what the policy says. */
    assert_int_equal(open_it(crx, seal(tx, to_lane(crx))), EESP_DROP_POLICY);
    assert_int_equal(open_it(rx, seal(ctx, to_lane(rx))), EESP_DROP_POLICY);
    eesp_lane_destroy(tx);
    eesp_lane_destroy(ctx);
    eesp_lane_destroy(rx);
    eesp_lane_destroy(crx);
    eesp_keyring_free(keyring);
    eesp_keyring_free(small);
}

static void ids(void **unused)
{
    json_t *ring = ring_json(7);
    struct eesp_keyring *keyring;
    struct eesp_lane *tx, *rx;
    struct eesp_destination to;
    struct eesp_opened opened;
    size_t n;

    (void)unused;
    json_object_set_new(ring_policy(ring, 0), "selectors",
                        json_pack("[s,s]", "source", "destination"));
    keyring = ring_parse(ring);
    tx = lane_open(keyring, (struct eesp_lane_params){.id = 0x1122334455667788});
    rx = lane_open(keyring, (struct eesp_lane_params){.id = 0x99aabbccddeeff00});
    to = to_lane(rx);
    n  = seal(tx, to);
    assert_int_equal(eesp_open(rx, packet, n, plain, sizeof(plain), &opened),
                     EESP_OK);
    assert_true(opened.source_id == 0x1122334455667788);
    assert_int_equal(opened.source_rank, 0);
    to.id ^= (uint64_t)1 << 63;
    assert_int_equal(open_it(rx, seal(tx, to)), EESP_DROP_DESTINATION);
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

/* The ring of the receiver is one step behind, at, or ahead of the sender's. */
static void generations(void **unused)
{
    int form;
    unsigned at;

    (void)unused;
    for (form = 0; form < 2; form++) {
        struct eesp_keyring *sender =
            ring_parse(policy_ring(256, "compact_id", form));
        struct eesp_lane *tx = lane_of(sender, 3);

        for (at = 253; at <= 259; at++) {
            struct eesp_keyring *keyring =
                ring_parse(policy_ring(at, "compact_id", form));
            struct eesp_lane *rx = lane_of(keyring, 9);
            int wanted = at >= 255 && at <= 257 ? EESP_OK :
                                                  EESP_DROP_GENERATION;

            /* Two bits of a generation come round again after four. */
            if (form == 1 && (at == 253 || at == 259))
                wanted = EESP_DROP_AUTH;
            assert_int_equal(open_it(rx, seal(tx, to_lane(rx))), wanted);
            eesp_lane_destroy(rx);
            eesp_keyring_free(keyring);
        }
        eesp_lane_destroy(tx);
        eesp_keyring_free(sender);
    }
}

static void other_keyring(void **unused)
{
    struct eesp_keyring *keyring = ring_parse(ring_json(7)), *other;
    struct eesp_lane *tx = lane_of(keyring, 3), *rx;
    json_t *ring         = ring_json(7);

    (void)unused;
    json_array_set_new(json_object_get(ring, "keys"), 3,
                       key_json("job", "job-42", 1, "current", 0x43, 32));
    other = ring_parse(ring);
    rx    = lane_of(other, 9);
    assert_int_equal(open_it(rx, seal(tx, to_lane(rx))), EESP_DROP_AUTH);
    eesp_lane_destroy(rx);
    eesp_keyring_free(other);
    other = ring_parse(policy_ring(7, "spi", 77));
    rx    = lane_of(other, 9);
    assert_int_equal(open_it(rx, seal(tx, to_lane(rx))), EESP_DROP_SPI);
    eesp_lane_destroy(rx);
    eesp_keyring_free(other);
    other = ring_parse(policy_ring(7, "phase_shift", 23));
    rx    = lane_of(other, 9);
    assert_int_equal(open_it(rx, seal(tx, to_lane(rx))), EESP_DROP_POLICY);
    eesp_lane_destroy(rx);
    eesp_lane_destroy(tx);
    eesp_keyring_free(other);
    eesp_keyring_free(keyring);
}

/* Serial arithmetic: 0 comes after 65535. */
static void epochs(void **unused)
{
    static const json_int_t at[] = {0, 1, 2, 32767, 32768, 65534, 65535};
    static const json_int_t windows[] = {0, 1, 3, 32767};
    struct eesp_keyring *receivers[4];
    struct eesp_lane *rx[4];
    unsigned r, w;
    int d;

    (void)unused;
    for (r = 0; r < 7; r++) {
        for (w = 0; w < 4; w++) {
            json_t *ring = policy_ring(7, "epoch", at[r]);

            json_object_set_new(ring_policy(ring, 0), "epoch_window",
                                json_integer(windows[w]));
            receivers[w] = ring_parse(ring);
            rx[w]        = lane_of(receivers[w], 9);
        }
        for (d = -5; d <= 5; d++) {
            struct eesp_keyring *sender =
                ring_parse(policy_ring(7, "epoch", (at[r] + d) & 0xffff));
            struct eesp_lane *tx = lane_of(sender, 3);

            for (w = 0; w < 4; w++)
                assert_int_equal(open_it(rx[w], seal(tx, to_lane(rx[w]))),
                                 abs(d) <= windows[w] ? EESP_OK :
                                                        EESP_DROP_EPOCH);
            eesp_lane_destroy(tx);
            eesp_keyring_free(sender);
        }
        for (w = 0; w < 4; w++) {
            eesp_lane_destroy(rx[w]);
            eesp_keyring_free(receivers[w]);
        }
    }
}

static void impersonate(void **unused)
{
    struct eesp_keyring *keyring = ring_parse(ring_json(7));
    struct eesp_lane *tx = lane_of(keyring, 3), *rx = lane_of(keyring, 9);
    struct eesp_lane *tool = lane_of(keyring, 0);
    struct eesp_destination to = to_lane(rx);
    struct iovec iov           = {"x", 1};
    size_t n                   = seal(tx, to), made;

    (void)unused;
    assert_int_equal(open_it(tool, n), EESP_DROP_DESTINATION);
    eesp_lane_impersonate(tool, 9, 0, to.incarnation);
    assert_int_equal(open_it(tool, n), EESP_OK);
    assert_int_equal(open_it(tool, n), EESP_OK); /* a capture read twice */
    assert_int_equal(open_it(rx, n), EESP_OK);
    /* It would have to use numbers of a lane that is alive elsewhere. */
    assert_int_equal(eesp_seal(tool, &to, &iov, 1, packet, sizeof(packet),
                               &made),
                     EESP_ERR_ARGUMENT);
    eesp_lane_destroy(tool);
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

static void end_of_numbers(void **unused)
{
    struct eesp_keyring *keyring = ring_parse(ring_json(7));
    struct eesp_lane *tx = lane_of(keyring, 3), *rx = lane_of(keyring, 9);
    struct eesp_destination to = to_lane(rx);
    struct iovec iov           = {"x", 1};
    size_t n;

    (void)unused;
    tx->nonce->next = UINT64_MAX;
    assert_int_equal(open_it(rx, seal(tx, to)), EESP_OK);
    memset(packet, 0x77, sizeof(packet));
    assert_int_equal(eesp_seal(tx, &to, &iov, 1, packet, sizeof(packet), &n),
                     EESP_ERR_LIMIT);
    assert_int_equal(packet[0] & packet[60], 0x77);
    assert_int_equal(eesp_lane_reincarnate(tx), EESP_OK);
    assert_int_equal(open_it(rx, seal(tx, to)), EESP_OK);
    eesp_lane_destroy(tx);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

static void create(void **unused)
{
    struct eesp_keyring *keyring = ring_parse(ring_json(7));
    struct eesp_keyring *other   = ring_parse(ring_json(7));
    const struct eesp_policy *policy = eesp_keyring_policy_at(keyring, 0);
    struct eesp_lane_params good = {.keyring = keyring, .policy = policy};
    struct eesp_lane_params bad[] = {
        {.policy = policy}, {.keyring = keyring},
        {.keyring = other, .policy = policy},
        {.keyring = keyring, .policy = policy, .replay_table = UINT32_MAX}};
    struct eesp_lane *lane;
    char why[EESP_WHY_LEN];
    unsigned i;

    (void)unused;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(eesp_lane_create(&bad[i], &lane, why),
                         EESP_ERR_ARGUMENT);
        assert_null(lane);
    }
    good.backend = "abacus";
    assert_int_equal(eesp_lane_create(&good, &lane, why),
                     EESP_ERR_UNSUPPORTED);
    assert_non_null(strstr(why, "\"abacus\""));
    good.backend = "openssl";
    assert_int_equal(eesp_lane_create(&good, &lane, why), EESP_OK);
    assert_string_equal(eesp_lane_backend(lane), "openssl");
    eesp_lane_destroy(lane);
    eesp_lane_destroy(NULL);
    eesp_keyring_free(keyring);
    eesp_keyring_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay),         cmocka_unit_test(replay_full),
        cmocka_unit_test(destinations),   cmocka_unit_test(ids),
        cmocka_unit_test(generations),    cmocka_unit_test(other_keyring),
        cmocka_unit_test(epochs),         cmocka_unit_test(impersonate),
        cmocka_unit_test(end_of_numbers), cmocka_unit_test(create),
        cmocka_unit_test(verify),
    };

    return cmocka_run_group_tests_name("lane", tests, NULL, NULL);
}
