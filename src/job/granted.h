/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * granted: a keyring with the derivation keys of one policy, without roots, for
 * who starts a job.
 *
 * jansson's memory holds keys meanwhile: set an allocator that wipes before the
 * document is read.
 */
#ifndef EESP_JOB_GRANTED_H
#define EESP_JOB_GRANTED_H

#include <jansson.h>

#include "eesp.h"

/*
 * The keyring for policy, whose own keyring document is what was read from
 * name; NULL: why says what is wrong. client: the key of this one only, or
 * NULL. The caller drops it and what is printed of it.
 */
json_t *job_granted(const struct eesp_policy *policy, const json_t *document,
                    const uint64_t *client, const char *name,
                    char why[EESP_WHY_LEN]);

#endif
