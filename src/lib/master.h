/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * master: root keys -> master key -> derivation key (KDK) of a policy, one for
 * each tuple of generations that its rings hold (wire-format section 3).
 *
 * A tuple's index is its mixed-radix number over the used levels, lowest level
 * first, with the state of the level's key as digit.
 */
#ifndef EESP_MASTER_H
#define EESP_MASTER_H

#include "keyring.h"

/* Derives every tuple of every policy. Load time: allocates. */
int eesp_masters_derive(struct eesp_keyring *keyring, const char *name,
                        char why[EESP_WHY_LEN]);

/*
 * Index of the tuple that generations name, each modulo mask + 1 (mask 255 or
 * 3); EESP_DROP_GENERATION if a ring lacks one or an unused level is not 0.
 * Constant time in the size of the rings: at most 12 comparisons.
 */
int eesp_master_find(const struct eesp_policy *policy,
                     const struct eesp_suite *suite,
                     const uint8_t generations[EESP_LEVELS], unsigned mask);

/* State of a level's key in tuple number *index, which loses that digit. */
unsigned eesp_master_state(unsigned *index);

/* Whether a key of tuple index is a previous one. */
int eesp_master_is_old(const struct eesp_policy *policy, unsigned index);

/* Full generations of a tuple, unused levels 0; whether it has all keys. */
int eesp_master_tuple(const struct eesp_policy *policy, unsigned index,
                      uint32_t generations[EESP_LEVELS]);

/* Generations of a tuple, modulo 256; unused levels 0. */
void eesp_master_generations(const struct eesp_policy *policy, unsigned index,
                             uint8_t generations[EESP_LEVELS]);

#endif
