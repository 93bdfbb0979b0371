/* SPDX-License-Identifier: BSD-3-Clause */
/* The groups of uct_check. */
#ifndef TESTS_UCT_UCT_CHECK_H
#define TESTS_UCT_UCT_CHECK_H

#include "uct_side.h"

/* uct_check.c: a second process of this program, in the same group. */
void pair_of_check(struct pair *pair);
/* uct_am.c */
void group_short(void);
void group_bcopy(void);
void group_zcopy(void);
void group_limits(void);
void group_ids(void);
void group_headroom(void);
void group_alignment(void);
void group_kept(void);
/* uct_async.c */
void group_async(void);
/* uct_order.c */
void group_flush(void);
void group_pending(void);
void group_purge(void);
void group_event(void);
void group_event_send(void);
/* uct_life.c */
void group_several(void);
void group_loop(void);
void group_endpoints(void);
void group_sessions(void);
void group_table(void);
void group_address(void);
/* uct_limits.c */
void group_memory(void);
void group_files(void);
void group_starved(void);
/* uct_rotated.c */
void group_rotated(void);
/* uct_rma.c */
void group_put(void);
void group_get(void);
void group_rma_many(void);
void group_rma_order(void);
void group_rma_both(void);
void group_rma_pairs(void);
void group_rma_event(void);
void group_atomics(void);
void group_refused(void);
void group_invalidated(void);
void group_cancelled(void);
void group_gets(void);
void group_killed(void);

#endif
