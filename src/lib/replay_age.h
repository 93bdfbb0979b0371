/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replay_age: what a receiver opens, from one change of keys or epoch to the
 * next. Each such age has a number; entries of the replay table carry that of
 * their last packet. Generations and epochs only go forward (keyring_follows),
 * so once an age has nothing in common with the present one, neither has any
 * before it, and its packets cannot open again. Numbers come again: the dead may
 * be taken for living, and stay a while longer, but not the living for dead.
 */
#ifndef EESP_REPLAY_AGE_H
#define EESP_REPLAY_AGE_H

#include "keyring.h"

#define EESP_AGES 16     /* numbers, 4 bits of an entry */
#define EESP_AGES_LIVE 8 /* at a time: then the last one is widened */

struct eesp_age {
    uint64_t epoch_low, epoch_high; /* of 64 bits: they do not wrap */
    uint32_t low[EESP_LEVELS], high[EESP_LEVELS]; /* generations */
};

struct eesp_ages {
    struct eesp_age age[EESP_AGES];
    unsigned oldest, count; /* live ones: oldest .. oldest + count - 1 */
    uint16_t epoch;
    uint64_t epochs;        /* epoch, counted on beyond 16 bits */
};

/* Number of the present age. */
static inline unsigned eesp_ages_now(const struct eesp_ages *ages)
{
    return (ages->oldest + ages->count - 1) % EESP_AGES;
}

static inline int eesp_ages_is_live(const struct eesp_ages *ages,
                                    unsigned number)
{
    return (number - ages->oldest) % EESP_AGES < ages->count;
}

/* The present becomes that of policy. How many ages have ended by that. */
unsigned eesp_ages_next(struct eesp_ages *ages,
                        const struct eesp_policy *policy);

#endif
