/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replay: the replay table (wire-format section 10). One entry for each source,
 * incarnation and Session ID, with the highest sequence number opened. Strict:
 * a packet must be above it. Window: or at most so many numbers below it, and
 * not opened before; a ring of bits tells (the way of RFC 6479). Fixed size; entries are made only after a packet has been opened, so
 * forgers cannot fill it. A live entry is never evicted: it would let old
 * packets in. When the table is full, new sources are refused.
 *
 *     entry = eesp_replay_find(table, &source);
 *     ret = eesp_replay_check(table, entry, sequence);
 *     ... open the packet ...
 *     eesp_replay_commit(table, entry, &source, sequence);
 */
#ifndef EESP_REPLAY_H
#define EESP_REPLAY_H

#include "eesp.h"

struct eesp_replay_source {
    uint64_t incarnation;
    uint64_t source; /* id or rank: a policy has one of both */
    uint16_t session_id;
};

struct eesp_replay_entry {
    uint64_t incarnation;
    uint64_t source;
    uint64_t highest; /* 0: free entry; sequence numbers start at 1 */
    uint16_t session_id;
};

struct eesp_replay_table;

/* window: in numbers, a multiple of 64; 0: strict. */
struct eesp_replay_table *eesp_replay_create(unsigned sources, unsigned window);
void eesp_replay_destroy(struct eesp_replay_table *table);

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
