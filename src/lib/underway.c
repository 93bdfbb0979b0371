/* SPDX-License-Identifier: BSD-3-Clause */
#include "underway.h"

/* The two bits of a level in a slot's number; those of the epoch come last. */
static unsigned part(unsigned slot, unsigned level)
{
    return slot >> (2 * level) & 3;
}

static void clear(struct eesp_underway *underway, unsigned level,
                  unsigned value)
{
    unsigned slot;

    for (slot = 0; slot < EESP_UNDERWAY; slot++)
        if (part(slot, level) == (value & 3))
            underway->sum[slot] = 0;
}

static int holds(const struct eesp_policy *policy, unsigned level,
                 uint32_t generation)
{
    unsigned state;

    for (state = 0; state < EESP_STATES; state++) {
        int key = policy->ring[level][state];

        if (key >= 0 &&
            policy->keyring->keys[key].info.generation == generation)
            return 1;
    }
    return 0;
}

void eesp_underway_follow(struct eesp_underway *underway,
                          const struct eesp_policy *old,
                          const struct eesp_policy *next)
{
    uint16_t steps = (uint16_t)(next->info.epoch - old->info.epoch), i;
    unsigned level, state;

    for (level = 0; level < EESP_LEVELS; level++)
        for (state = 0; state < EESP_STATES; state++) {
            int key = next->ring[level][state];
            uint32_t generation;

            if (key < 0)
                continue;
            generation = next->keyring->keys[key].info.generation;
            if (!holds(old, level, generation))
                clear(underway, level, generation);
        }
    /* Peers may be an epoch ahead: theirs is counted before it is ours. */
    for (i = 0; i < steps && i < 4; i++)
        clear(underway, EESP_LEVELS, next->info.epoch + 1u - i);
}

void eesp_underway_fold(const struct eesp_underway *underway,
                        struct eesp_underway_sums *sums)
{
    unsigned slot, level;

    *sums = (struct eesp_underway_sums){.epoch = {0}};
    for (slot = 0; slot < EESP_UNDERWAY; slot++) {
        for (level = 0; level < EESP_LEVELS; level++)
            sums->level[level][part(slot, level)] += underway->sum[slot];
        sums->epoch[part(slot, EESP_LEVELS)] += underway->sum[slot];
    }
}

void eesp_lane_underway(const struct eesp_lane *lane,
                        struct eesp_underway *underway)
{
    unsigned slot;

    for (slot = 0; slot < EESP_UNDERWAY; slot++)
        underway->sum[slot] += __atomic_load_n(&lane->underway->sum[slot],
                                               __ATOMIC_RELAXED);
}

void eesp_lane_unsent(struct eesp_lane *lane)
{
    *eesp_underway_slot(lane, &lane->sending) -= lane->nonce->sending;
}
