/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ways: of ways whose times are given, the fastest one is taken, the others are
 * looked at now and then, and a change is noticed.
 */
#include "config.h"

#include "unit.h"
#include "ways.h"

/* Ticks: so many that what the test itself takes does not matter. */
#define SHORT ((uint64_t)1 << 36)
#define NEVER (8 * SHORT)
enum { LENGTH = 8192, WAYS = UCT_EESP_WAY_LAST, LOOK = UCT_EESP_WAYS_LOOK,
       SELDOM = UCT_EESP_WAYS_SELDOM * LOOK };

static unsigned taken[WAYS];

/* So many packets, each way taking its time; how often each was taken. */
static void go(uct_eesp_ways_t *ways, unsigned number, unsigned packets,
               uint64_t direct, uint64_t steps, uint64_t beside)
{
    const uint64_t ticks[] = {direct, steps, beside};

    memset(taken, 0, sizeof(taken));
    while (packets-- > 0) {
        uct_eesp_trial_t trial = uct_eesp_ways_begin(ways, number);

        trial.start = ucs_arch_read_hres_clock() - ticks[trial.way];
        uct_eesp_ways_end(ways, &trial, LENGTH);
        taken[trial.way]++;
    }
}

static void the_faster_one(void **unused)
{
    uct_eesp_ways_t ways = {.count = 0};

    (void)unused;
    go(&ways, 2, 8 * LOOK, 2 * SHORT, SHORT, NEVER);
    go(&ways, 2, 10 * SELDOM, 2 * SHORT, SHORT, NEVER);
    assert_int_equal(taken[UCT_EESP_WAY_DIRECT], 10);
    go(&ways, 2, 10 * SELDOM, SHORT, 2 * SHORT, NEVER); /* moved */
    go(&ways, 2, 10 * SELDOM, SHORT, 2 * SHORT, NEVER);
    assert_int_equal(taken[UCT_EESP_WAY_STEPS], 10);
    assert_int_equal(taken[UCT_EESP_WAY_BESIDE], 0);
}

/* Each of the three is found; of the others both are looked at, a slow one less. */
static void of_three(void **unused)
{
    static const uint64_t ticks[WAYS] = {SHORT, SHORT + SHORT / 5, 2 * SHORT};
    uct_eesp_ways_t ways = {.count = 0};
    unsigned best;

    (void)unused;
    for (best = 0; best < WAYS; best++) {
        uint64_t direct = ticks[(WAYS - best) % WAYS];
        uint64_t steps  = ticks[(WAYS + 1 - best) % WAYS];
        uint64_t beside = ticks[(WAYS + 2 - best) % WAYS];

        go(&ways, WAYS, 100 * SELDOM, direct, steps, beside);
        go(&ways, WAYS, 16 * SELDOM, direct, steps, beside);
        assert_int_equal(taken[best], 16 * SELDOM - 40);
        assert_int_equal(taken[(best + 1) % WAYS], 32);
        assert_int_equal(taken[(best + 2) % WAYS], 8);
    }
}

/* Help that gains less than an eighth is not taken, but looked at more often. */
static void little_help(void **unused)
{
    uct_eesp_ways_t ways = {.count = 0};

    (void)unused;
    go(&ways, 2, 8 * LOOK, SHORT, SHORT - SHORT / 20, NEVER);
    go(&ways, 2, 10 * LOOK, SHORT, SHORT - SHORT / 20, NEVER);
    assert_int_equal(taken[UCT_EESP_WAY_STEPS], 10);
    go(&ways, 2, 20 * LOOK, SHORT, SHORT - SHORT / 4, NEVER);
    go(&ways, 2, 10 * LOOK, SHORT, SHORT - SHORT / 4, NEVER);
    assert_in_range(taken[UCT_EESP_WAY_STEPS], 9 * LOOK, 10 * LOOK - 1);
}

/* Sealing in steps costs the peer nothing. */
static void little_help_of_steps(void **unused)
{
    uct_eesp_ways_t ways = {.count = 0};

    (void)unused;
    go(&ways, WAYS, 8 * LOOK, SHORT, SHORT - SHORT / 20, NEVER);
    go(&ways, WAYS, 10 * LOOK, SHORT, SHORT - SHORT / 20, NEVER);
    assert_in_range(taken[UCT_EESP_WAY_STEPS], 9 * LOOK, 10 * LOOK - 1);
    go(&ways, WAYS, 20 * LOOK, SHORT, SHORT - SHORT / 64, NEVER);
    go(&ways, WAYS, 10 * LOOK, SHORT, SHORT - SHORT / 64, NEVER);
    assert_in_range(taken[UCT_EESP_WAY_DIRECT], 9 * LOOK, 10 * LOOK - 1);
}

/* The first time of each way was taken by something else. */
static void interrupted(void **unused)
{
    uct_eesp_ways_t ways = {.cost = {1000 * SHORT, 1000 * SHORT}};

    (void)unused;
    go(&ways, 2, 2 * SELDOM, SHORT, SHORT / 2, NEVER);
    go(&ways, 2, 10 * SELDOM, SHORT, SHORT / 2, NEVER);
    assert_int_equal(taken[UCT_EESP_WAY_DIRECT], 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_faster_one),
        cmocka_unit_test(of_three),
        cmocka_unit_test(little_help),
        cmocka_unit_test(little_help_of_steps),
        cmocka_unit_test(interrupted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
