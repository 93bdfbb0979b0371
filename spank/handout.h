/* SPDX-License-Identifier: BSD-3-Clause */
/* handout: what a job's environment says, and what it is given. */
#ifndef EESP_SPANK_HANDOUT_H
#define EESP_SPANK_HANDOUT_H

#include <slurm/spank.h>

#include "settings.h"

enum handout {
    HANDOUT_NONE,    /* the job runs without us */
    HANDOUT_KEYS,
    HANDOUT_REFUSED, /* it would send in clear; wrong says what */
};

enum handout handout_wanted(spank_t spank, const struct settings *settings,
                            char *wrong, size_t size);

/*
 * Sets what Open MPI and UCX need, and path as the keyring; all if the job was
 * refused, whatever it says itself, so that it cannot send in clear even if
 * Slurm starts it. 0 or -1.
 */
int handout_set(spank_t spank, const char *path, int refused);

#endif
