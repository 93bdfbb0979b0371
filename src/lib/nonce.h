/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nonce: who sends, and which number comes next.
 *
 * One nonce authority is one sending incarnation (64 random bits) and one
 * counter, which starts at 1, is shared by every destination, Session ID,
 * generation and epoch, and is never set back. The data key depends on the
 * incarnation, so a number may come again under another incarnation only.
 *
 *     restart        a new process draws a new incarnation
 *     fork           the page below reads as zeros in the child, so its first
 *                    use draws new incarnations; parent and child share no key
 *     threads        one authority belongs to one lane, one lane to a thread
 *     failed send    the number is taken where the packet is sealed, and is
 *                    never given back
 *     end            2^64 - 1 is the last; then EESP_ERR_LIMIT for ever
 *     pool           flag P: incarnation and partition come with a lease, which
 *                    is taken once; 2^48 - 1 is the last. A fork, and whatever
 *                    calls for a new incarnation, ends the lease.
 *     restored VM    nobody can notice: eesp_lane_reincarnate()
 *
 * Two authorities collide with probability n^2 / 2^65 for n restarts of one
 * rank in one epoch and generation.
 */
#ifndef EESP_NONCE_H
#define EESP_NONCE_H

#include "eesp.h"

struct eesp_nonce {
    uint64_t drawn;     /* 0: nothing below holds, draw first */
    uint64_t sending;   /* incarnation of packets sealed here */
    uint64_t receiving; /* incarnation that peers bind to */
    uint64_t next;      /* sequence number, 0: used up */
    uint16_t leased;    /* sending and partition come from a lease */
    uint16_t partition;
};

#define EESP_PARTITION_LAST (((uint64_t)1 << 48) - 1) /* number */

/* In a page that the child of a fork finds empty. */
struct eesp_nonce *eesp_nonce_create(void);
void eesp_nonce_destroy(struct eesp_nonce *nonce);

/* Draws incarnations if there are none: at the start and after a fork. */
int eesp_nonce_ensure(struct eesp_nonce *nonce);

/* Draws a new sending incarnation; the receiving one stays. */
int eesp_nonce_redraw(struct eesp_nonce *nonce);

/* Takes over a lease that nobody has used here before, else EESP_ERR_LEASE. */
int eesp_nonce_lease(struct eesp_nonce *nonce, const struct eesp_lease *lease);

/* eesp_nonce_take() under flag P: within the partition of the lease. */
static inline int eesp_nonce_take_leased(struct eesp_nonce *nonce,
                                         uint64_t *incarnation,
                                         uint16_t *partition,
                                         uint64_t *sequence)
{
    if (!nonce->leased) /* also in the child of a fork: all is zero there */
        return EESP_ERR_LEASE;
    if (nonce->next > EESP_PARTITION_LAST)
        return EESP_ERR_LIMIT;
    *incarnation = nonce->sending;
    *partition   = nonce->partition;
    *sequence    = nonce->next++;
    return EESP_OK;
}

/* Takes the next number for good. */
static inline int eesp_nonce_take(struct eesp_nonce *nonce,
                                  uint64_t *incarnation, uint64_t *sequence)
{
    if (__builtin_expect(!nonce->drawn, 0)) {
        int ret = eesp_nonce_ensure(nonce);

        if (ret != EESP_OK)
            return ret;
    }
    if (nonce->next == 0)
        return EESP_ERR_LIMIT;
    *incarnation = nonce->sending;
    *sequence    = nonce->next++;
    return EESP_OK;
}

#endif
