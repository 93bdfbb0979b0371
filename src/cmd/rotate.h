/* SPDX-License-Identifier: BSD-3-Clause */
/* rotate: what the parts of `eesp rotate' share. */
#ifndef ROTATE_H
#define ROTATE_H

#include <jansson.h>
#include <stdbool.h>

#include "cmd.h"

struct rotation {
    const char *path;
    const char *level, *kid; /* of the ring; NULL: the epoch is raised */
    const char *policy;      /* whose epoch, NULL: of all */
    uint64_t    expires;     /* of the staged key, 0: never */
    bool        waits;
    uint64_t    seconds;     /* at most */
    const char *pages;       /* directory, NULL: where they usually are */
    json_t     *document;
    json_t     *key[EESP_STATES]; /* of the ring, borrowed */
};

/* rotate_steps.c */
struct rotation_step {
    const char *name;
    bool        of_ring; /* else of policies */
    /* Changes the document: 0, or -1 after a complaint. */
    int       (*take)(struct rotation *r);
};

/* NULL: there is no such step. */
const struct rotation_step *rotation_step(const char *name);
/* Sorts the keys of the ring by state: 0, or -1 after a complaint. */
int rotation_find(struct rotation *r);
/* Whether the epoch of that policy is raised. */
bool rotation_raises(const struct rotation *r,
                     const struct eesp_policy_info *info);

/*
 * readers.c: waits until every process here that uses keyring, the file as it
 * is, is ready for step: it has taken the file, and what the step takes away is
 * used no more. 0, or -1 after a complaint. Says so if there is no process.
 */
int readers_wait(const struct rotation *r, const struct rotation_step *step,
                 const struct eesp_keyring *keyring);

#endif
