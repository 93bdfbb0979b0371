/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ways: of two ways whose times are given, the faster one is taken, the other one
 * is looked at now and then, and a change is noticed.
 */
#include "config.h"

#include "unit.h"
#include "ways.h"

/* Ticks: so many that what the test itself takes does not matter. */
#define SHORT ((uint64_t)1 << 36)
enum { LENGTH = 8192, TAKEN = UCT_EESP_WAY_LAST };

/* So many packets, each way taking its time; how often each was taken. */
static void go(uct_eesp_ways_t *ways, unsigned packets, uint64_t direct,
               uint64_t helped, unsigned taken[TAKEN])
{
    const uint64_t ticks[] = {direct, helped};

    memset(taken, 0, TAKEN * sizeof(*taken));
    while (packets-- > 0) {
        uct_eesp_trial_t trial = uct_eesp_ways_begin(ways);

        trial.start = ucs_arch_read_hres_clock() - ticks[trial.way];
        uct_eesp_ways_end(ways, &trial, LENGTH);
        taken[trial.way]++;
    }
}

static void the_faster_one(void **unused)
{
    uct_eesp_ways_t ways = {.count = 0};
    unsigned taken[TAKEN];

    (void)unused;
    go(&ways, 1024, 2 * SHORT, SHORT, taken);
    go(&ways, 10 * UCT_EESP_WAYS_SELDOM, 2 * SHORT, SHORT, taken);
    assert_int_equal(taken[UCT_EESP_WAY_DIRECT], 10);
    go(&ways, 10 * UCT_EESP_WAYS_SELDOM, SHORT, 2 * SHORT, taken); /* moved */
    go(&ways, 10 * UCT_EESP_WAYS_SELDOM, SHORT, 2 * SHORT, taken);
    assert_int_equal(taken[UCT_EESP_WAY_HELPED], 10);
}

/* Help that gains less than an eighth is not taken, but looked at more often. */
static void little_help(void **unused)
{
    uct_eesp_ways_t ways = {.count = 0};
    unsigned taken[TAKEN];

    (void)unused;
    go(&ways, 1024, SHORT, SHORT - SHORT / 20, taken);
    go(&ways, 10 * UCT_EESP_WAYS_LOOK, SHORT, SHORT - SHORT / 20, taken);
    assert_int_equal(taken[UCT_EESP_WAY_HELPED], 10);
    go(&ways, 20 * UCT_EESP_WAYS_LOOK, SHORT, SHORT - SHORT / 4, taken);
    go(&ways, 10 * UCT_EESP_WAYS_LOOK, SHORT, SHORT - SHORT / 4, taken);
    assert_in_range(taken[UCT_EESP_WAY_HELPED], 9 * UCT_EESP_WAYS_LOOK,
                    10 * UCT_EESP_WAYS_LOOK - 1);
}

/* The first time of each way was taken by something else. */
static void interrupted(void **unused)
{
    uct_eesp_ways_t ways = {.cost = {1000 * SHORT, 1000 * SHORT}};
    unsigned taken[TAKEN];

    (void)unused;
    go(&ways, 2 * UCT_EESP_WAYS_SELDOM, SHORT, SHORT / 2, taken);
    go(&ways, 10 * UCT_EESP_WAYS_SELDOM, SHORT, SHORT / 2, taken);
    assert_int_equal(taken[UCT_EESP_WAY_DIRECT], 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_faster_one),
        cmocka_unit_test(little_help),
        cmocka_unit_test(interrupted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
