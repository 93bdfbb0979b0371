/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay_age.h"

#include <string.h>

/* Generations that the rings of policy hold, and its window of epochs. */
static struct eesp_age present(struct eesp_ages *ages,
                               const struct eesp_policy *policy)
{
    const struct eesp_policy_info *info = &policy->info;
    struct eesp_age age = {.epoch_low = 0};
    int level, state;

    if (ages->count == 0)
        ages->epochs = 0x10000 + (uint64_t)info->epoch; /* room below */
    else
        ages->epochs += (uint16_t)(info->epoch - ages->epoch);
    ages->epoch    = info->epoch;
    age.epoch_low  = ages->epochs - info->epoch_window;
    age.epoch_high = ages->epochs + info->epoch_window;
    for (level = 0; level < EESP_LEVELS; level++) {
        int found = 0;

        for (state = 0; state < EESP_STATES; state++) {
            int key = policy->ring[level][state];
            uint32_t generation;

            if (key < 0)
                continue;
            generation = policy->keyring->keys[key].info.generation;
            if (!found || generation < age.low[level])
                age.low[level] = generation;
            if (!found || generation > age.high[level])
                age.high[level] = generation;
            found = 1;
        }
    }
    return age;
}

/* Whether no packet of age opens in now, which came after it. */
static int is_over(const struct eesp_age *age, const struct eesp_age *now)
{
    int level;

    for (level = 0; level < EESP_LEVELS; level++)
        if (age->high[level] < now->low[level])
            return 1;
    return age->epoch_high < now->epoch_low;
}

/* What opened before in the same age still counts as seen in it. */
static void widen(struct eesp_age *age, const struct eesp_age *now)
{
    int level;

    for (level = 0; level < EESP_LEVELS; level++)
        if (now->high[level] > age->high[level])
            age->high[level] = now->high[level];
    if (now->epoch_high > age->epoch_high)
        age->epoch_high = now->epoch_high;
}

unsigned eesp_ages_next(struct eesp_ages *ages,
                        const struct eesp_policy *policy)
{
    struct eesp_age now = present(ages, policy);
    unsigned ended      = 0;

    if (ages->count > 0 &&
        memcmp(&ages->age[eesp_ages_now(ages)], &now, sizeof(now)) == 0)
        return 0;
    while (ages->count > 0 && is_over(&ages->age[ages->oldest], &now)) {
        ages->oldest = (ages->oldest + 1) % EESP_AGES;
        ages->count--;
        ended++;
    }
    if (ages->count == EESP_AGES_LIVE) {
        widen(&ages->age[eesp_ages_now(ages)], &now);
    } else {
        ages->count++;
        ages->age[eesp_ages_now(ages)] = now;
    }
    return ended;
}
