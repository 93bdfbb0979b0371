/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * store: where the keyrings of a node's job steps lie, DIRECTORY/JOB.STEP/
 * keyring.jwks. The directories are root's, so that nobody can put something
 * else in their place; the file is the job's user's, mode 0400.
 */
#ifndef EESP_SPANK_STORE_H
#define EESP_SPANK_STORE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Path of a step's keyring. */
void store_path(const char *directory, uint32_t job, uint32_t step,
                char path[PATH_MAX]);

enum store_how { STORE_NEW, STORE_REPLACE };

/*
 * Puts text there, or replaces it whole if the step still has its keyring. 1:
 * done; 0: the step has ended; -1: why says what is wrong.
 */
int store_put(const char *directory, uint32_t job, uint32_t step, uid_t user,
              const char *text, enum store_how how, char *why, size_t size);

/* Wipes and removes a step's, or with step NULL all of the job's. */
void store_drop(const char *directory, uint32_t job, const uint32_t *step);

#endif
