/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run: keys for one command, in a directory of shared memory that only its user
 * can enter and that is gone when the command is.
 */
#ifndef EESP_RUN_H
#define EESP_RUN_H

#include <stdbool.h>
#include <sys/types.h>

#include "cmd.h"

/* ---- run_directory -------------------------------------------------------- */

#define RUN_DIRECTORY "/dev/shm/eesp-run-"
#define RUN_RING      "keyring.jwks"
#define RUN_AGENT     "agent"

struct run_directory {
    char   path[sizeof(RUN_DIRECTORY) + 32];
    char   ring[sizeof(RUN_DIRECTORY) + 32 + 16]; /* the keyring in it */
    size_t length;   /* of the keyring */
    pid_t  guardian; /* wipes it when guard is closed, however that comes */
    int    guard;
};

/*
 * Before there are keys, so that its guardian has none in its memory: 0, or -1
 * after a complaint and with nothing left.
 */
int run_directory_make(struct run_directory *directory);

/* What goes into it: 0, or -1 after a complaint. */
int run_directory_keyring(struct run_directory *directory, const char *text);
int run_directory_agent(const struct run_directory *directory,
                        const char *text);

/* Wiped and gone when it returns. */
void run_directory_drop(struct run_directory *directory);

/* ---- run_openmpi ---------------------------------------------------------- */

/*
 * What Open MPI needs to use UCX alone and the keyring: in the environment and,
 * if the command is its mpirun, as further arguments. Returns the command to
 * run, or NULL after a complaint: something that was set before would send in
 * clear. For the process that becomes the command: nothing is freed.
 */
char **run_openmpi(char **command, const struct run_directory *directory);

/* ---- run_hosts ------------------------------------------------------------ */

/*
 * Puts a script into the directory that stands for agent (ssh or the like) and
 * takes the keyring along; returns what starts it, or NULL after a complaint.
 */
char *run_hosts_agent(const struct run_directory *directory,
                      const char *agent);

#endif
