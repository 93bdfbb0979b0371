/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * underway: what has been sealed and not been opened yet, by the keys it is
 * under. A packet adds its sender's incarnation to a sum where it is sealed and
 * takes it off one where it is opened, modulo 2^64. Incarnations are random: so
 * over all lanes of a group the sums make 0 when every sender's packets have
 * all been opened, and otherwise only by a chance of 2^-64.
 *
 * One sum for each combination of the two lowest bits of generations and epoch,
 * which tell neighbours apart: packets name no others. A generation that a ring
 * gets anew begins at 0, whatever was lost under the one four before it.
 */
#ifndef EESP_UNDERWAY_H
#define EESP_UNDERWAY_H

#include "lane.h"

_Static_assert(EESP_LEVELS == 4 && EESP_UNDERWAY == 1 << 10, "slots");

static inline uint64_t *eesp_underway_slot(struct eesp_lane *lane,
                                           const struct eesp_header *header)
{
    const uint8_t *g = header->generations;

    return &lane->underway->sum[(g[0] & 3u) | (g[1] & 3u) << 2 |
                                (g[2] & 3u) << 4 | (g[3] & 3u) << 6 |
                                (header->epoch & 3u) << 8];
}

static inline void eesp_underway_sealed(struct eesp_lane *lane,
                                        const struct eesp_header *header)
{
    *eesp_underway_slot(lane, header) += header->incarnation;
}

static inline void eesp_underway_opened(struct eesp_lane *lane,
                                        const struct eesp_header *header)
{
    *eesp_underway_slot(lane, header) -= header->incarnation;
}

#endif
