/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seen: which of very many things came twice. They are told apart by a hash of
 * 64 bits. One pass keeps the hashes of one part of all values, sorts them and
 * looks at neighbours; the same things must come again in every pass. What is
 * alike in 64 bits is compared in 64 others in a pass of its own. The memory
 * is shared with children.
 */
#ifndef SEEN_H
#define SEEN_H

#include <stddef.h>
#include <stdint.h>

struct seen;

/* Room for expected things in at most so many bytes. */
struct seen *seen_create(uint64_t expected, size_t bytes);
unsigned seen_passes(const struct seen *seen);
size_t seen_bytes(const struct seen *seen);

/* pass: 0 .. passes - 1, or passes to look at the suspects again. */
void seen_start(struct seen *seen, unsigned pass);
/* From any thread or child. data: a multiple of 8 bytes. */
void seen_note(struct seen *seen, const void *data, size_t length);
/* After all of the pass: returns how many are suspect, or came twice indeed. */
size_t seen_finish(struct seen *seen, unsigned pass);

/* All that were noted in the last pass. */
uint64_t seen_total(const struct seen *seen);

#endif
