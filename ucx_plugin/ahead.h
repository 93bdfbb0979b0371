/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ahead: around the opening of a packet out of shared memory. Its lines are in
 * the cache of the core that sealed it. The ICV, which is needed first, is asked
 * for; a long packet is opened by one of two ways (ways.h): as it lies, or step by
 * step, with the next step's lines asked for.
 */
#ifndef EESP_AHEAD_H
#define EESP_AHEAD_H

#include "lines.h"
#include "plugin.h"
#include "wire.h"

static UCS_F_ALWAYS_INLINE uct_eesp_trial_t
uct_eesp_ahead_begin(uct_eesp_iface_t *iface, const void *packet, size_t length)
{
    uct_eesp_trial_t trial = {UCT_EESP_WAY_DIRECT, 0, 0};

    if (iface->beside == NULL) {
        return trial;
    }
    if (length >= UCT_EESP_WAYS_MIN) {
        trial = uct_eesp_ways_begin(&iface->opening, UCT_EESP_WAYS_OPENING);
        eesp_lane_stepwise(iface->lane, trial.way == UCT_EESP_WAY_STEPS);
        __builtin_prefetch(UCS_PTR_BYTE_OFFSET(packet, length - EESP_ICV_LEN));
        __builtin_prefetch(UCS_PTR_BYTE_OFFSET(packet, length - 1));
        return trial;
    }
    eesp_lines_read(packet, length);
    return trial;
}

static UCS_F_ALWAYS_INLINE void
uct_eesp_ahead_end(uct_eesp_iface_t *iface, size_t length,
                   const uct_eesp_trial_t *trial)
{
    if ((iface->beside != NULL) && (length >= UCT_EESP_WAYS_MIN)) {
        eesp_lane_stepwise(iface->lane, 0);
        uct_eesp_ways_end(&iface->opening, trial, length);
    }
}

#endif
