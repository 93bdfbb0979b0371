/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring_text: a keyring's bytes on their way from a source to the parser, in pages of
 * their own that stay out of core dumps.
 *
 *     struct eesp_text text = {0};
 *
 *     if (eesp_text_open(&text, EESP_TEXT_MAX) == 0)
 *         text.length = ... fill text.bytes ...;
 *     eesp_text_close(&text);
 */
#ifndef EESP_RING_TEXT_H
#define EESP_RING_TEXT_H

#include "source.h"

#define EESP_TEXT_MAX (1 << 20) /* bytes of a keyring, as in a file */

struct eesp_text {
    uint8_t *bytes;
    size_t   size, length;
};

/* 0, or -1 with errno set. */
int eesp_text_open(struct eesp_text *text, size_t size);

/* Wipes; one that was never opened is allowed. errno stays. */
void eesp_text_close(struct eesp_text *text);

/* What tells these bytes from others. */
void eesp_text_look(const struct eesp_text *text,
                    struct eesp_source_seen *seen);

#endif
