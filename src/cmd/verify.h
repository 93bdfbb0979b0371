/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify: whether all that a job sends is sealed.
 *
 *     verify_capture   records the network while the job runs
 *     verify_owners    which process of the job has which connection
 *     verify_streams   what each connection carried, opened with the keyring
 *     verify_verdict   table, and the answer
 *     verify           the subcommand: starts and watches the job
 */
#ifndef VERIFY_H
#define VERIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "decode.h"
#include "pages.h"

/* ---- Capture -------------------------------------------------------------- */

struct capture;

/*
 * Begins to record TCP on a network interface. NULL after a complaint:
 * *permitted is false if it is the right to capture that is missing.
 */
struct capture *capture_start(const char *interface, bool *permitted);
/*
 * Ends it: a descriptor of what was recorded, or -1. *lost gets the packets
 * that came too fast.
 */
int capture_stop(struct capture *capture, uint64_t *lost);

/* ---- Owners --------------------------------------------------------------- */

struct process {
    pid_t pid;
    char  name[32];
    bool  launcher; /* of MPI or Slurm: its own traffic is not the job's */
    bool  elsewhere; /* in another network namespace */
};

enum owner_kind {
    OWNER_UNKNOWN, /* of this host, and nobody was seen with it */
    OWNER_REMOTE,  /* of another host */
    OWNER_JOB,
    OWNER_FOREIGN, /* a process outside of the job */
};

struct owner {
    enum owner_kind       kind;
    const struct process *process; /* of the job, else NULL */
};

struct owners;

struct owners *owners_new(void);
void owners_free(struct owners *owners);
/* Looks at all descendants of this process, and at what they have open. */
void owners_sample(struct owners *owners);
/* Whose end of a connection that is. Addresses as in struct tcp_segment. */
struct owner owners_find(const struct owners *owners, const uint8_t local[16],
                         uint16_t local_port, const uint8_t remote[16],
                         uint16_t remote_port);
/* A process that ran in another network namespace, NULL: none. */
const struct process *owners_elsewhere(const struct owners *owners);
/* Descendants at the last look. */
unsigned owners_alive(const struct owners *owners);

/* ---- Streams --------------------------------------------------------------- */

enum stream_kind {
    STREAM_SEALED,
    STREAM_SETUP,    /* of UCX: addresses, no message of the program */
    STREAM_CLEAR,    /* of the job, and not all of it is sealed and opens */
    STREAM_LAUNCHER,
    STREAM_UNKNOWN,  /* no one's that was seen */
    STREAM_FOREIGN,
};

struct stream {
    enum stream_kind     kind;
    struct owner         end[2];
    uint8_t              address[2][16];
    uint16_t             port[2];
    struct stream_tally  tally;
};

struct streams {
    struct stream *stream;
    size_t         count;
    /* Generations that were opened, of each level; first > last: none. */
    uint32_t       first[EESP_LEVELS], last[EESP_LEVELS];
};

struct expectation {
    const struct eesp_keyring *keyring;
    bool                       has_spi; /* else any policy that encrypts */
    uint32_t                   spi;
};

/* Opens what was recorded: 0, or -1 after a complaint. */
int streams_read(struct streams *streams, int fd,
                 const struct expectation *expected,
                 const struct owners *owners);
void streams_free(struct streams *streams);

/* ---- Verdict --------------------------------------------------------------- */

struct job {
    const struct streams *streams;
    const struct pages   *pages;
    const struct owners  *owners;
    uint64_t              lost;
    int                   status; /* of the command, as a shell has it */
};

enum { VERIFY_NOT = 2 }; /* exit code: it cannot be told */

/* Prints both: exit code. */
int verdict_print(const struct job *job);

#endif
