/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command: a keyring that a program prints. No shell: the words are separated
 * by blanks, the first is the program's whole path, and nothing in them means
 * anything else.
 */
#ifndef EESP_COMMAND_H
#define EESP_COMMAND_H

#include "source.h"

#define EESP_COMMAND_SECONDS 10  /* it must be done by then */
#define EESP_COMMAND_REST    100 /* times what it took lie between two runs, */
#define EESP_COMMAND_REST_MAX 60 /* seconds at most */

/* *seen gets what eesp_command_look() would see. */
int eesp_command_load(const char *command, const char *name,
                      struct eesp_source_seen *seen,
                      struct eesp_keyring **keyring_p, char why[EESP_WHY_LEN]);

/*
 * Runs it, unless it rests: *seen then stays. What fails or prints too much is
 * seen as empty.
 */
void eesp_command_look(const char *command, struct eesp_source_seen *seen);

#endif
