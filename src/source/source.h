/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * source: where a keyring comes from, by the name that UCX_EESP_KEYRING and
 * --keyring take:
 *
 *     FILE               a file that is private to its owner
 *     fd:N               a file or memfd that the launcher left open
 *     credential:NAME    a credential of systemd, in $CREDENTIALS_DIRECTORY
 *     keyring:NAME       a key of type "user" in the kernel's keyrings
 */
#ifndef EESP_SOURCE_H
#define EESP_SOURCE_H

#include <stdint.h>
#include <time.h>

#include "../lib/eesp.h"

/* As eesp_keyring_load(); why begins with the source's name. */
int eesp_source_load(const char *name, struct eesp_keyring **keyring_p,
                     char why[EESP_WHY_LEN]);

/* What tells one content from another: compare whole, by memcmp(). */
struct eesp_source_seen {
    uint64_t        device, inode, size;
    struct timespec modified, changed;
    int64_t         serial;      /* of a kernel key */
    uint8_t         digest[32];  /* of its bytes: they change in place */
};

/* All zero if there is nothing. */
void eesp_source_look(const char *name, struct eesp_source_seen *seen);

#endif
