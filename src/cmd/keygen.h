/* SPDX-License-Identifier: BSD-3-Clause */
/* keygen: a new ring as text, and a new private file. */
#ifndef EESP_KEYGEN_H
#define EESP_KEYGEN_H

#include <stdbool.h>

#include "cmd.h"

/* What the ring to be made shall hold. */
struct keygen_plan {
    struct {
        bool used;
        char id[EESP_KEY_ID_MAX + 1];
    } level[EESP_LEVELS];
    uint64_t expires; /* seconds since 1970, 0: never */
};

#define KEYGEN_TEXT_MAX 8192 /* four keys and two policies take 2500 */
#define KEYGEN_SPI_RANKS 65537
#define KEYGEN_SPI_PAIRS 65538
/* A message of 64 KiB and what a transport puts before it. */
#define KEYGEN_MAX_PAYLOAD 66560

/* Ranks repeat from job to job, so their contexts need a level per job. */
bool keygen_has_ranks(const struct keygen_plan *plan);

/*
 * Draws the keys and writes the ring as JSON into text. It is secret: the
 * caller wipes text whatever the result. 0, or -1 after a complaint.
 */
int keygen_text(const struct keygen_plan *plan, char text[KEYGEN_TEXT_MAX],
                size_t *length_p);

/*
 * When a lifetime ("30", "30d", "12h") that starts now ends, in seconds since
 * 1970. 0, or -1 after a complaint.
 */
int keygen_lifetime(const char *text, uint64_t *expires);

/* size random bytes from the kernel: 0, or -1 after a complaint. */
int keygen_random(void *buffer, size_t size);

/*
 * Makes path, mode 0600, with the whole text or not at all. An existing file
 * stays unless replace is set. 0, or -1 after a complaint.
 */
int newfile_write(const char *path, const char *text, size_t length,
                  bool replace);

/* Replaces path with the whole text or not at all; mode and owner as like. */
struct stat;
int newfile_replace(const char *path, const char *text, size_t length,
                    const struct stat *like);

/* Writes all to a descriptor: 0, or -1 with errno set. */
int newfile_write_all(int fd, const char *text, size_t length);

#endif
