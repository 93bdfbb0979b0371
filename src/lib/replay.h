/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replay: the replay table (wire-format section 10). One entry of 16 bytes for
 * each source, incarnation and Session ID, with the highest sequence number
 * opened. Strict: a packet must be above it. Window: or at most so many numbers
 * below it, and not opened before; a ring of bits tells (the way of RFC 6479).
 * Fixed size; entries are made only after a packet has been opened, so forgers
 * cannot fill it. When the table is full, new sources are refused: a live entry
 * is never evicted, it would let old packets in. An entry is dead once nothing that
 * it has seen could open again, because its epochs have left the window or a
 * generation its ring (replay_age); when the table is full, the dead give way.
 *
 *     entry = eesp_replay_find(table, &source);
 *     ret = eesp_replay_check(table, entry, sequence);
 *     ... open the packet ...
 *     eesp_replay_commit(table, entry, &source, sequence);
 *
 * A source is known by 60 bits of a seeded hash. Two that share them, one pair
 * in 2^60, share an entry: the lower numbers are refused, none opens twice.
 */
#ifndef EESP_REPLAY_H
#define EESP_REPLAY_H

#include "replay_age.h"

struct eesp_replay_source {
    uint64_t incarnation;
    uint64_t source; /* id or rank: a policy has one of both */
    uint16_t session_id;
};

struct eesp_replay_entry {
    uint64_t id;      /* hash of the source, its last 4 bits the age */
    uint64_t highest; /* 0: free entry; sequence numbers start at 1 */
};

struct eesp_replay_table;

/* window: in numbers, a multiple of 64; 0: strict. */
struct eesp_replay_table *eesp_replay_create(unsigned sources, unsigned window);
void eesp_replay_destroy(struct eesp_replay_table *table);

/*
 * From now on packets open under policy, which follows the one before. At the
 * start and when keys or epoch change.
 */
void eesp_replay_age(struct eesp_replay_table *table,
                     const struct eesp_policy *policy);

/*
 * Of a full table: clears the dead away, at most once between two changes of
 * keys or epoch; takes a time that grows with the table. Whether there is room.
 * Entries may have moved.
 */
int eesp_replay_make_room(struct eesp_replay_table *table);

/* Where the source is or would go, valid until the next commit. */
struct eesp_replay_entry *
eesp_replay_find(const struct eesp_replay_table *table,
                 const struct eesp_replay_source *source);

/* EESP_OK, EESP_DROP_REPLAY or EESP_DROP_REPLAY_FULL; changes nothing. */
int eesp_replay_check(const struct eesp_replay_table *table,
                      const struct eesp_replay_entry *entry,
                      uint64_t sequence);

/* After a successful open. 1 if the source is new, else 0. */
int eesp_replay_commit(struct eesp_replay_table *table,
                       struct eesp_replay_entry *entry,
                       const struct eesp_replay_source *source,
                       uint64_t sequence);

#endif
