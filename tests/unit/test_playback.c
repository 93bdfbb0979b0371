/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recorded traffic, played back: at the receiver that has opened it, at one
 * that was restarted, and at another interface of the same rank. Each replay
 * mode with and without the binding to the receiver (flag D), and what they
 * let through is what wire-format sections 8 and 10 say.
 */
#include "unit.h"

#include "ring.h"

enum { PACKETS = 200, PACKET = 256, WINDOW = 64 };

static uint8_t recorded[PACKETS][PACKET];
static size_t length;

static struct eesp_keyring *ring_with(const char *replay, int bind, int epoch)
{
    json_t *ring = ring_json(7), *policy = ring_policy(ring, 0);

    json_object_set_new(policy, "replay", json_string(replay));
    json_object_set_new(policy, "bind_destination", json_boolean(bind));
    json_object_set_new(policy, "epoch", json_integer(epoch));
    if (strcmp(replay, "window") == 0)
        json_object_set_new(policy, "replay_window", json_integer(WINDOW));
    return ring_parse(ring);
}

static struct eesp_lane *receiver(const struct eesp_keyring *keyring)
{
    return lane_open(keyring, (struct eesp_lane_params){.rank = 1});
}

/* A sender's traffic to rx, before anything of it has been opened. */
static void record(const struct eesp_keyring *keyring, struct eesp_lane *rx)
{
    struct eesp_lane *tx = lane_open(keyring, (struct eesp_lane_params){
                                                  .rank = 0});
    struct eesp_destination to = {eesp_lane_incarnation(rx), 0, 1, 3};
    unsigned i;

    for (i = 0; i < PACKETS; i++) {
        struct iovec iov = {&i, sizeof(i)};

        assert_int_equal(eesp_seal(tx, &to, &iov, 1, recorded[i], PACKET,
                                   &length),
                         EESP_OK);
    }
    eesp_lane_destroy(tx);
}

static int play_one(struct eesp_lane *rx, unsigned i)
{
    uint8_t plain[PACKET];
    struct eesp_opened opened;
    int ret = eesp_open(rx, recorded[i], length, plain, sizeof(plain), &opened);

    if (ret == EESP_OK) {
        assert_int_equal(opened.length, sizeof(i));
        assert_memory_equal(opened.payload, &i, sizeof(i));
    }
    return ret;
}

/* Plays all in this order; all of them must end alike, and be counted so. */
static void play_all(struct eesp_lane *rx, int wanted)
{
    int before = wanted == EESP_OK ? 0 : count_drops(rx, wanted);
    unsigned i;

    for (i = 0; i < PACKETS; i++)
        assert_int_equal(play_one(rx, i), wanted);
    if (wanted != EESP_OK)
        assert_int_equal(count_drops(rx, wanted) - before, PACKETS);
}

/* One receiver's life: what it opens once, and what comes again. */
static void live(const char *replay, int bind, int again)
{
    struct eesp_keyring *keyring = ring_with(replay, bind, 2);
    struct eesp_lane *rx         = receiver(keyring);

    record(keyring, rx);
    play_all(rx, EESP_OK);
    play_all(rx, again);
    play_all(rx, again);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

static void live_receiver(void **unused)
{
    (void)unused;
    live("strict", 1, EESP_DROP_REPLAY);
    live("window", 1, EESP_DROP_REPLAY);
    live("strict", 0, EESP_DROP_REPLAY);
    live("window", 0, EESP_DROP_REPLAY);
    live("off", 1, EESP_OK);
    live("off", 0, EESP_OK);
}

/* After a restart, whose keyring has this epoch; and at a second interface. */
static void elsewhere(const char *replay, int bind, int epoch, int wanted)
{
    struct eesp_keyring *keyring = ring_with(replay, bind, 2), *later;
    struct eesp_lane *rx         = receiver(keyring);

    record(keyring, rx);
    play_all(rx, EESP_OK);
    eesp_lane_destroy(rx);
    later = ring_with(replay, bind, epoch);
    rx    = receiver(later);
    play_all(rx, wanted);
    eesp_lane_destroy(rx);
    eesp_keyring_free(later);
    eesp_keyring_free(keyring);
}

static void restarted_receiver(void **unused)
{
    (void)unused;
    /* Bound to the run before: no number need be remembered. */
    elsewhere("strict", 1, 2, EESP_DROP_AUTH);
    elsewhere("window", 1, 2, EESP_DROP_AUTH);
    elsewhere("off", 1, 2, EESP_DROP_AUTH);
    /* Not bound: the epoch floor keeps them out, if the epoch was raised ... */
    elsewhere("strict", 0, 3, EESP_DROP_EPOCH);
    elsewhere("window", 0, 3, EESP_DROP_EPOCH);
    /* ... and if it was not, they open once more: eesp-keyring(5) says so. */
    elsewhere("window", 0, 2, EESP_OK);
    elsewhere("strict", 0, 2, EESP_OK);
    /* No floor where nothing is asked of replays: one epoch back opens. */
    elsewhere("off", 0, 3, EESP_OK);
    elsewhere("off", 0, 4, EESP_DROP_EPOCH);
}

/* The floor is one-sided: a sender may be ahead of this receiver. */
static void sender_ahead(void **unused)
{
    struct eesp_keyring *ahead = ring_with("window", 0, 3);
    struct eesp_keyring *here  = ring_with("window", 0, 2);
    struct eesp_lane *rx       = receiver(here);

    (void)unused;
    record(ahead, rx);
    play_all(rx, EESP_OK);
    play_all(rx, EESP_DROP_REPLAY);
    eesp_lane_destroy(rx);
    eesp_keyring_free(ahead);
    eesp_keyring_free(here);
}

/* Out of order: strict loses what was overtaken, window only what is too old. */
static void out_of_order(const char *replay, int near, int far)
{
    struct eesp_keyring *keyring = ring_with(replay, 1, 2);
    struct eesp_lane *rx         = receiver(keyring);
    unsigned i;

    record(keyring, rx);
    for (i = 0; i + 2 <= 100; i += 2) { /* neighbours change places */
        assert_int_equal(play_one(rx, i + 1), EESP_OK);
        assert_int_equal(play_one(rx, i), near);
        assert_int_equal(play_one(rx, i + 1), EESP_DROP_REPLAY);
    }
    assert_int_equal(play_one(rx, PACKETS - 1), EESP_OK);
    assert_int_equal(play_one(rx, PACKETS - 1 - WINDOW), far);
    assert_int_equal(play_one(rx, PACKETS - WINDOW), near);
    assert_int_equal(play_one(rx, PACKETS - WINDOW), EESP_DROP_REPLAY);
    eesp_lane_destroy(rx);
    eesp_keyring_free(keyring);
}

static void order(void **unused)
{
    (void)unused;
    out_of_order("strict", EESP_DROP_REPLAY, EESP_DROP_REPLAY);
    out_of_order("window", EESP_OK, EESP_DROP_REPLAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_receiver),
        cmocka_unit_test(restarted_receiver),
        cmocka_unit_test(sender_ahead),
        cmocka_unit_test(order),
    };

    return cmocka_run_group_tests_name("playback", tests, NULL, NULL);
}
