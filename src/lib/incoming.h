/* SPDX-License-Identifier: BSD-3-Clause */
/* incoming: a received packet on its way through the checks of open.c. */
#ifndef EESP_INCOMING_H
#define EESP_INCOMING_H

#include "frame.h"
#include "lane.h"
#include "master.h"

enum { EESP_REST_MIN = EESP_INFO_LEN + EESP_ICV_LEN };
_Static_assert(EESP_EXPOSED_MAX >= EESP_REST_MIN,
               "room for either behind a header");

struct eesp_incoming {
    struct eesp_header          header;
    /* Private copy of the header, and of the readable bytes behind it. */
    uint8_t                     copy[EESP_HEADER_MAX + EESP_EXPOSED_MAX];
    struct eesp_replay_source   source;
    struct eesp_replay_entry   *entry; /* NULL: no replay check */
    unsigned                    suite; /* of the policy's */
    int                         master;
    size_t                      body;  /* bytes between header and ICV */
};

/* All checks that need no key; body is set only by EESP_OK. */
int eesp_open_admit(struct eesp_lane *lane, const void *packet, size_t length,
                    size_t size, struct eesp_incoming *in,
                    struct eesp_opened *opened);

/* Decryption of an admitted packet; none of it is in parts unless EESP_OK. */
int eesp_open_parts(struct eesp_lane *lane, struct eesp_incoming *in,
                    const uint8_t *packet, const struct iovec *parts,
                    unsigned count);

/* The same, in steps. count is 4 at most. */
int eesp_open_steps(const struct eesp_frame_key *key,
                    const struct eesp_incoming *in, const uint8_t *body,
                    const struct iovec *parts, unsigned count,
                    const uint8_t *icv);

/* It is authentic: its number cannot come again. */
static inline void eesp_open_commit(struct eesp_lane *lane,
                                    const struct eesp_incoming *in)
{
    if (in->entry != NULL)
        eesp_replay_commit(lane->replay, in->entry, &in->source,
                           in->header.sequence);
}

static inline void eesp_open_count_old(struct eesp_lane *lane,
                                       const struct eesp_incoming *in)
{
    if (in->master != lane->policy->send)
        lane->counters.previous += (unsigned)eesp_master_is_old(
            lane->policy, (unsigned)in->master);
}

/*
 * After decryption into plaintext, for a packet that others may have passed
 * since it was admitted: its number again, and its frame. Wiped if refused.
 */
int eesp_open_accept(struct eesp_lane *lane, struct eesp_incoming *in,
                     uint8_t *plaintext, struct eesp_opened *opened);

#endif
