/* SPDX-License-Identifier: BSD-3-Clause */
/* replay: strict order in each source, and a full table. */
#include "unit.h"

#include "replay.h"

static struct eesp_replay_source source(uint64_t incarnation, uint64_t rank,
                                        uint16_t session)
{
    return (struct eesp_replay_source){incarnation, rank, session};
}

/* As an opened packet goes: find, check, commit. */
static int take(struct eesp_replay_table *table, struct eesp_replay_source s,
                uint64_t sequence)
{
    struct eesp_replay_entry *entry = eesp_replay_find(table, &s);
    int ret = eesp_replay_check(table, entry, sequence);

    if (ret == EESP_DROP_REPLAY_FULL && eesp_replay_make_room(table)) {
        entry = eesp_replay_find(table, &s);
        ret   = eesp_replay_check(table, entry, sequence);
    }
    if (ret == EESP_OK)
        eesp_replay_commit(table, entry, &s, sequence);
    return ret;
}

static void strict(void **unused)
{
    struct eesp_replay_table *t = eesp_replay_create(4, 0);
    struct eesp_replay_source s = source(1, 2, 3);

    (void)unused;
    assert_non_null(t);
    assert_int_equal(take(t, s, 0), EESP_DROP_REPLAY);
    assert_int_equal(take(t, s, 5), EESP_OK); /* need not start at 1 */
    assert_int_equal(take(t, s, 0), EESP_DROP_REPLAY);
    assert_int_equal(take(t, s, 4), EESP_DROP_REPLAY);
    assert_int_equal(take(t, s, 5), EESP_DROP_REPLAY);
    assert_int_equal(take(t, s, 6), EESP_OK);
    assert_int_equal(take(t, s, 1000), EESP_OK); /* gaps are allowed */
    assert_int_equal(take(t, s, 999), EESP_DROP_REPLAY);
    assert_int_equal(take(t, s, UINT64_MAX), EESP_OK);
    assert_int_equal(take(t, s, UINT64_MAX), EESP_DROP_REPLAY);
    assert_int_equal(take(t, s, 1), EESP_DROP_REPLAY);
    eesp_replay_destroy(t);
}

/* A check alone, as for a forged packet, leaves no trace. */
static void check_changes_nothing(void **unused)
{
    struct eesp_replay_table *t = eesp_replay_create(1, 0);
    struct eesp_replay_source s = source(1, 2, 3), other = source(9, 9, 9);
    uint64_t i;

    (void)unused;
    for (i = 0; i < 1000; i++) {
        struct eesp_replay_source forged = source(i, i, (uint16_t)i);

        assert_int_equal(eesp_replay_check(t, eesp_replay_find(t, &forged), 7),
                         EESP_OK);
    }
    assert_int_equal(take(t, s, 10), EESP_OK);
    assert_int_equal(eesp_replay_check(t, eesp_replay_find(t, &s), 50),
                     EESP_OK);
    assert_int_equal(take(t, s, 11), EESP_OK);
    assert_int_equal(take(t, other, 1), EESP_DROP_REPLAY_FULL);
    eesp_replay_destroy(t);
}

static void sources_apart(void **unused)
{
    struct eesp_replay_table *t = eesp_replay_create(8, 0);

    (void)unused;
    assert_int_equal(take(t, source(1, 1, 1), 100), EESP_OK);
    assert_int_equal(take(t, source(2, 1, 1), 1), EESP_OK);
    assert_int_equal(take(t, source(1, 2, 1), 1), EESP_OK);
    assert_int_equal(take(t, source(1, 1, 2), 1), EESP_OK);
    assert_int_equal(take(t, source(1, 1, 1), 100), EESP_DROP_REPLAY);
    assert_int_equal(take(t, source(1, 1, 2), 2), EESP_OK);
    /* All zero is a source like any other. */
    assert_int_equal(take(t, source(0, 0, 0), 1), EESP_OK);
    assert_int_equal(take(t, source(0, 0, 0), 1), EESP_DROP_REPLAY);
    eesp_replay_destroy(t);
}

static void commit_tells_new(void **unused)
{
    struct eesp_replay_table *t = eesp_replay_create(2, 0);
    struct eesp_replay_source s = source(1, 1, 1);

    (void)unused;
    assert_int_equal(eesp_replay_commit(t, eesp_replay_find(t, &s), &s, 1), 1);
    assert_int_equal(eesp_replay_commit(t, eesp_replay_find(t, &s), &s, 2), 0);
    eesp_replay_destroy(t);
}

static void full(void **unused)
{
    static const unsigned sizes[] = {1, 2, 3, 7, 64, 1000};
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct eesp_replay_table *t = eesp_replay_create(sizes[i], 0);
        unsigned j, round;

        for (j = 0; j < sizes[i]; j++)
            assert_int_equal(take(t, source(j, 0, 0), 1), EESP_OK);
        for (round = 2; round < 5; round++) {
            for (j = 0; j < 200; j++)
                assert_int_equal(take(t, source(sizes[i] + j, 0, 0), round),
                                 EESP_DROP_REPLAY_FULL);
            /* No old source has given way: none forgets its number. */
            for (j = 0; j < sizes[i]; j++) {
                assert_int_equal(take(t, source(j, 0, 0), round - 1),
                                 EESP_DROP_REPLAY);
                assert_int_equal(take(t, source(j, 0, 0), round), EESP_OK);
            }
        }
        eesp_replay_destroy(t);
    }
}

/* Against a plain array that cannot be wrong. */
static void model(void **unused)
{
    enum { SOURCES = 500, ROOM = 300 };
    static uint64_t highest[SOURCES];
    struct eesp_replay_table *t = eesp_replay_create(ROOM, 0);
    unsigned live = 0, i;
    uint64_t x = 12345;

    (void)unused;
    for (i = 0; i < 200000; i++) {
        unsigned n;
        uint64_t sequence;
        int wanted;

        x        = x * 6364136223846793005u + 1442695040888963407u;
        n        = (unsigned)(x >> 33) % SOURCES;
        sequence = highest[n] + (x >> 60) - 7;
        if (highest[n] < 8)
            sequence = x >> 60;
        wanted = sequence <= highest[n]                 ? EESP_DROP_REPLAY :
                 highest[n] == 0 && live == ROOM        ? EESP_DROP_REPLAY_FULL :
                                                          EESP_OK;
        assert_int_equal(take(t, source(n / 100, n % 10, (uint16_t)(n / 10 % 10)),
                              sequence),
                         wanted);
        if (wanted != EESP_OK)
            continue;
        live      += highest[n] == 0;
        highest[n] = sequence;
    }
    assert_int_equal(live, ROOM);
    eesp_replay_destroy(t);
    eesp_replay_destroy(NULL);
}

static void window(void **unused)
{
    struct eesp_replay_table *t = eesp_replay_create(4, 128);
    struct eesp_replay_source s = source(1, 2, 3), other = source(1, 2, 4);

    (void)unused;
    assert_int_equal(take(t, s, 0), EESP_DROP_REPLAY);
    assert_int_equal(take(t, s, 1000), EESP_OK);
    assert_int_equal(take(t, s, 1000), EESP_DROP_REPLAY);
    assert_int_equal(take(t, s, 872), EESP_DROP_REPLAY); /* 128 behind */
    assert_int_equal(take(t, s, 873), EESP_OK);
    assert_int_equal(take(t, s, 873), EESP_DROP_REPLAY);
    assert_int_equal(take(t, s, 999), EESP_OK);
    assert_int_equal(take(t, s, 1001), EESP_OK);
    assert_int_equal(take(t, s, 999), EESP_DROP_REPLAY);
    assert_int_equal(take(t, other, 999), EESP_OK); /* a source of its own */
    /* Far ahead: nothing of what was marked stands in its way. */
    assert_int_equal(take(t, s, 1001 + (1 << 20)), EESP_OK);
    assert_int_equal(take(t, s, 1001 + (1 << 20) - 127), EESP_OK);
    assert_int_equal(take(t, s, 1002), EESP_DROP_REPLAY);
    assert_int_equal(take(t, s, UINT64_MAX), EESP_OK);
    assert_int_equal(take(t, s, UINT64_MAX), EESP_DROP_REPLAY);
    assert_int_equal(take(t, s, UINT64_MAX - 127), EESP_OK);
    assert_int_equal(take(t, s, UINT64_MAX - 128), EESP_DROP_REPLAY);
    eesp_replay_destroy(t);
}

/* Against a list of all that was taken; steps from small to whole windows. */
static void window_model(void **unused)
{
    enum { NUMBERS = 1 << 22, BASE = 1 << 14 };
    static const unsigned windows[] = {64, 128, 1024, 8192};
    static uint8_t taken[NUMBERS];
    size_t w;

    (void)unused;
    for (w = 0; w < sizeof(windows) / sizeof(windows[0]); w++) {
        struct eesp_replay_table *t = eesp_replay_create(1, windows[w]);
        struct eesp_replay_source s = source(1, 1, 1);
        uint64_t x = windows[w], highest = BASE, sequence;

        memset(taken, 0, sizeof(taken));
        assert_int_equal(take(t, s, BASE), EESP_OK);
        taken[BASE] = 1;
        while (highest < NUMBERS - 3 * windows[w]) {
            x        = x * 6364136223846793005u + 1442695040888963407u;
            sequence = highest + (x >> 33) % (2u << (x >> 60));
            x        = x * 6364136223846793005u + 1442695040888963407u;
            sequence -= (x >> 33) % (windows[w] + windows[w] / 2);
            if (sequence > NUMBERS - 1)
                break;
            assert_int_equal(take(t, s, sequence),
                             taken[sequence] || sequence + windows[w] <= highest
                                 ? EESP_DROP_REPLAY :
                                 EESP_OK);
            if (sequence + windows[w] > highest)
                taken[sequence] = 1;
            highest = sequence > highest ? sequence : highest;
        }
        eesp_replay_destroy(t);
    }
}

/* A policy of epochs only: what is older than one window is over. */
static void age(struct eesp_replay_table *table, uint16_t epoch,
                uint16_t window)
{
    struct eesp_policy policy = {.info.epoch = epoch,
                                 .info.epoch_window = window};

    memset(policy.ring, 0xff, sizeof(policy.ring));
    eesp_replay_age(table, &policy);
}

enum { AGED = 500 };
static uint64_t aged_highest[AGED];
static unsigned aged_last[AGED]; /* steps from the first epoch */

/* Whose last number is of the last three epochs stays, or seems to be so. */
static unsigned clear_dead(unsigned now)
{
    unsigned n, gone = 0;

    for (n = 0; n < AGED; n++)
        if (aged_highest[n] != 0 && (now - aged_last[n]) % 16 > 2) {
            aged_highest[n] = 0;
            gone++;
        }
    return gone;
}

/* Against a plain array; of a full table the dead give way, and only they. */
static void model_of_ages(void **unused)
{
    enum { ROOM = 300, STEP = 3000, FIRST = 65500 };
    struct eesp_replay_table *t = eesp_replay_create(ROOM, 0);
    unsigned live = 0, forgotten = 0, refused = 0, now = 0, cleared = 0, i, n;
    uint64_t x = 54321;

    (void)unused;
    age(t, FIRST, 1);
    for (i = 0; i < 400000; i++) {
        uint64_t sequence;
        int wanted;

        if (i % STEP == STEP - 1) /* over the end of 16 bits, too */
            age(t, (uint16_t)(FIRST + ++now), 1);
        x = x * 6364136223846793005u + 1442695040888963407u;
        /* Groups of sources that speak for a while, then others do. */
        n        = ((unsigned)(x >> 33) % 120 + now * 37) % AGED;
        sequence = aged_highest[n] + (x >> 60) - 7;
        if (aged_highest[n] < 8)
            sequence = x >> 60;
        if (aged_highest[n] == 0 && sequence > 0 && live == ROOM &&
            now >= 3 && cleared != now) {
            unsigned gone = clear_dead(now);

            forgotten += gone;
            live      -= gone;
            cleared    = now;
        }
        wanted = sequence <= aged_highest[n]          ? EESP_DROP_REPLAY :
                 aged_highest[n] == 0 && live == ROOM ? EESP_DROP_REPLAY_FULL :
                                                        EESP_OK;
        assert_int_equal(take(t, source(n / 100, n % 10,
                                        (uint16_t)(n / 10 % 10)), sequence),
                         wanted);
        refused += wanted == EESP_DROP_REPLAY_FULL;
        if (wanted != EESP_OK)
            continue;
        live           += aged_highest[n] == 0;
        aged_highest[n] = sequence;
        aged_last[n]    = now;
    }
    assert_true(forgotten > 1000);
    print_message("%u forgotten, %u refused\n", forgotten, refused);
    eesp_replay_destroy(t);
}

/* More ages than have numbers: late rather than early. */
static void many_ages(void **unused)
{
    struct eesp_replay_table *t = eesp_replay_create(1, 0);
    unsigned i;

    (void)unused;
    age(t, 0, 100);
    assert_int_equal(take(t, source(1, 1, 1), 5), EESP_OK);
    for (i = 1; i <= 200; i++) {
        age(t, (uint16_t)i, 100);
        assert_int_equal(take(t, source(2, 2, 2), 1), EESP_DROP_REPLAY_FULL);
        assert_int_equal(take(t, source(1, 1, 1), 5), EESP_DROP_REPLAY);
    }
    age(t, 201, 100);
    assert_int_equal(take(t, source(2, 2, 2), 1), EESP_OK);
    /* That one came in the age that was widened from 7 to 207. */
    for (i = 202; i <= 401; i++)
        age(t, (uint16_t)i, 100);
    assert_int_equal(take(t, source(2, 2, 2), 1), EESP_DROP_REPLAY);
    eesp_replay_destroy(t);
}

/* Their windows move with the entries. */
static void windows_move(void **unused)
{
    enum { ROOM = 64 };
    struct eesp_replay_table *t = eesp_replay_create(ROOM, 64);
    unsigned n, epoch;

    (void)unused;
    for (epoch = 0; epoch < 500; epoch += 10) {
        age(t, (uint16_t)epoch, 0);
        eesp_replay_make_room(t); /* nobody from before is left */
        for (n = 0; n < ROOM; n++) {
            assert_int_equal(take(t, source(epoch, n, 1), 100), EESP_OK);
            assert_int_equal(take(t, source(epoch, n, 1), 90), EESP_OK);
        }
        age(t, (uint16_t)epoch, 1);
        for (n = 0; n < ROOM; n += 2)
            assert_int_equal(take(t, source(epoch, n, 1), 101), EESP_OK);
        age(t, (uint16_t)(epoch + 1), 0); /* who spoke before only dies */
        assert_int_equal(eesp_replay_make_room(t), 1);
        assert_int_equal(eesp_replay_make_room(t), 0); /* once */
        for (n = 0; n < ROOM; n += 2) {
            struct eesp_replay_source s = source(epoch, n, 1);

            assert_int_equal(take(t, s, 90), EESP_DROP_REPLAY);
            assert_int_equal(take(t, s, 100), EESP_DROP_REPLAY);
            assert_int_equal(take(t, s, 99), EESP_OK);
        }
        for (n = 1; n < ROOM; n += 2)
            assert_int_equal(take(t, source(epoch, n, 1), 90), EESP_OK);
    }
    eesp_replay_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strict),        cmocka_unit_test(check_changes_nothing),
        cmocka_unit_test(sources_apart), cmocka_unit_test(commit_tells_new),
        cmocka_unit_test(full),          cmocka_unit_test(model),
        cmocka_unit_test(window),
        cmocka_unit_test(window_model),  cmocka_unit_test(model_of_ages),
        cmocka_unit_test(many_ages),     cmocka_unit_test(windows_move),
    };

    return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
