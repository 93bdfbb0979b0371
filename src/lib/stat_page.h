/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stat_page: what one UCP context of a process tells about itself, in a file
 * in memory that its user and root can read. No key is in it.
 *
 *     DIRECTORY/PID.NUMBER    mode 0600, flock()ed by the process while it
 *                             lives, removed when the context is closed, or
 *                             by the next process if this one was killed
 *
 * One writer at a time, any number of readers: sequence is odd while somebody
 * writes, and a reader copies until it saw the same even number before and
 * after (src/cmd/pages.c does). Numbers are in the host's byte order, texts end
 * with NUL, times are seconds since 1970 UTC, sizes are bytes.
 */
#ifndef EESP_STAT_PAGE_H
#define EESP_STAT_PAGE_H

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "eesp.h"

#define EESP_STAT_MAGIC   "EESPSTAT" /* without its NUL */
#define EESP_STAT_VERSION 3
#define EESP_STAT_LOWERS  8
#define EESP_STAT_REASONS 32 /* as struct eesp_counters has */
#define EESP_STAT_FILE    8192

/* The key ring of one level, as all lanes of the process can open it. */
struct eesp_stat_level {
    char     id[EESP_KEY_ID_MAX + 1]; /* "": the policy does not use it */
    uint8_t  held[EESP_STATES];       /* the ring has a key in that state */
    uint32_t generation[EESP_STATES]; /* of it */
    uint64_t expires[EESP_STATES];    /* 0: never */
};

/* Sums over all interfaces that lay on one lower device, closed ones too. */
struct eesp_stat_lower {
    char     name[64]; /* "tcp/lo", "": this slot is free */
    char     backend[32];
    uint64_t sealed, opened; /* packets */
    uint64_t sealed_bytes, opened_bytes; /* of payload */
    uint64_t derived, cached; /* data keys */
    uint64_t previous; /* packets opened with a previous key of some level */
    uint64_t dropped[EESP_STAT_REASONS]; /* by -(EESP_DROP_x) */
};

struct eesp_stat_page {
    char     magic[8];
    uint32_t version, size; /* of this structure */
    uint64_t sequence;

    /* ---- who */
    int32_t  pid; /* in the namespace of the process */
    uint32_t uid;
    uint64_t start;   /* field 22 of /proc/PID/stat: tells a PID used again */
    uint64_t started; /* when the context was opened */
    uint64_t updated; /* when the counters were last copied */
    uint32_t has_rank, rank;
    uint32_t peers;   /* processes that it has endpoints to */
    uint16_t fips;    /* OpenSSL's FIPS provider does it all */
    uint16_t keylog;  /* all data keys are written to a file */
    char     command[32];
    char     name_space[64]; /* of the launcher */

    /* ---- under what */
    uint32_t spi;
    uint32_t kdf, aead; /* enum eesp_kdf_id, enum eesp_aead_id */
    uint32_t confidentiality;
    uint32_t epoch;
    char     policy[EESP_POLICY_NAME_MAX + 1];
    char     offload[32]; /* "none", "confidentiality only", "conf+mac" */
    char     transports[128]; /* UCX_TLS: others beside may carry clear text */

    /*
     * ---- with which keys. serial counts the keyrings that were taken, the
     * first is 1. levels is what every lane opens under: a key that is there as
     * next is staged. Lanes that have not sent or received since may still
     * hold an older keyring, drained is the oldest one's serial: keys that only
     * keyrings before it had are out of the process's memory. underway is what
     * eesp_underway_fold() says of all lanes, taken when drained was: over all
     * processes that share keys it makes 0 for a generation (or epoch) that all
     * have left and of which nothing is on its way.
     */
    uint64_t serial, drained;
    uint64_t loaded;   /* when it was taken */
    uint64_t refused;  /* files that came in its place and were not taken */
    uint64_t refused_at;
    uint32_t refusing; /* the file that is there now was not taken */
    char     refused_why[EESP_WHY_LEN];
    char     keyring[256]; /* its source */
    struct eesp_stat_level levels[EESP_LEVELS];
    struct eesp_underway_sums underway;

    /* ---- what */
    struct eesp_stat_lower lowers[EESP_STAT_LOWERS];
};

_Static_assert(sizeof(struct eesp_stat_page) <= EESP_STAT_FILE, "page");
_Static_assert(-EESP_ERROR_MIN <= EESP_STAT_REASONS, "reasons");

/* Around the writer's stores. */
static inline void eesp_stat_begin(struct eesp_stat_page *page)
{
    __atomic_store_n(&page->sequence, page->sequence | 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void eesp_stat_end(struct eesp_stat_page *page)
{
    __atomic_store_n(&page->sequence, (page->sequence | 1) + 1,
                     __ATOMIC_RELEASE);
}

/*
 * Where a user's pages are if UCX_EESP_STAT_DIR names no place: number 0 or
 * 1, the first that can be had. 0 past the end.
 */
static inline int eesp_stat_directory(unsigned number, uid_t uid,
                                      char path[static PATH_MAX])
{
    switch (number) {
    case 0:
        snprintf(path, PATH_MAX, "/run/user/%u/eesp", (unsigned)uid);
        return 1;
    case 1:
        snprintf(path, PATH_MAX, "/dev/shm/eesp-%u", (unsigned)uid);
        return 1;
    default:
        return 0;
    }
}

/*
 * Whether a directory with that status, which uid found at such a place, is
 * what it says: nobody else can have made or changed what is in it.
 */
static inline int eesp_stat_is_private(const struct stat *st, uid_t uid)
{
    return S_ISDIR(st->st_mode) && st->st_uid == uid &&
           (st->st_mode & 077) == 0;
}

#endif
