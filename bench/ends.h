/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ends: two lanes, the one of rank 0 sealing for the one of rank 1, under the
 * policy that `eesp keygen` makes for MPI jobs. Every failure ends the program.
 */
#ifndef ENDS_H
#define ENDS_H

#include "eesp.h"

struct ends {
    struct eesp_keyring    *keyring;
    struct eesp_lane       *tx, *rx;
    struct eesp_destination to; /* rx */
};

/* key_cache: data keys that a lane keeps, 0: the default. */
void ends_open(struct ends *ends, const char *backend, unsigned key_cache);
void ends_close(struct ends *ends);

/* Longest payload in bytes. */
size_t ends_max_payload(const struct ends *ends);

/* 1 if both have dropped nothing and rx has opened what tx has sealed. */
int ends_agree(const struct ends *ends);

#endif
