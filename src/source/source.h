/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * source: where a keyring comes from, by the name that UCX_EESP_KEYRING and
 * --keyring take:
 *
 *     FILE               a file that is private to its owner
 *     fd:N               a file or memfd that the launcher left open
 *     credential:NAME    a credential of systemd, in $CREDENTIALS_DIRECTORY
 *     keyring:NAME       a key of type "user" in the kernel's keyrings
 *     munge:[FILE]       a credential of MUNGE, here or in a variable
 *     exec:COMMAND       what a program prints
 */
#ifndef EESP_SOURCE_H
#define EESP_SOURCE_H

#include <stdint.h>
#include <time.h>

#include "../lib/eesp.h"

/* What tells one content from another. */
struct eesp_source_seen {
    uint64_t        device, inode, size;
    struct timespec modified, changed;
    int64_t         serial;      /* of a kernel key */
    uint8_t         digest[32];  /* of the bytes, where nothing else tells */
    int64_t         rests_until; /* CLOCK_MONOTONIC ns: before, exec: is not
                                    run again */
};

/*
 * As eesp_keyring_load(); why begins with the source's name. *seen gets what
 * was there just before, so that what changes meanwhile is seen as a change;
 * NULL: nobody asks.
 */
int eesp_source_load(const char *name, struct eesp_source_seen *seen,
                     struct eesp_keyring **keyring_p, char why[EESP_WHY_LEN]);

/* Whether there is something else now; *seen gets what there is. */
int eesp_source_changed(const char *name, struct eesp_source_seen *seen);

#endif
