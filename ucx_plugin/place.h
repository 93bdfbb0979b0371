/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * place: where a long packet for a segment in shared memory is sealed. The lines
 * of the segment are in the cache of the core that opened its last packet. Where
 * the two cores share a cache, sealing straight into the segment is fastest: the
 * lines come while AES works. Where they do not, AES waits for each line, and it
 * is faster to seal beside, into memory of our own, and to copy: memcpy() moves
 * whole lines, which need not be fetched. Nobody tells where the peer runs, and
 * it moves; so both are timed, to each peer, and the faster one is taken, but
 * for every 32nd packet, which looks how the other one does now.
 */
#ifndef EESP_PLACE_H
#define EESP_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include <ucs/arch/cpu.h>
#include <ucs/sys/math.h>

typedef enum {
    UCT_EESP_PLACE_SEGMENT,
    UCT_EESP_PLACE_BESIDE,
    UCT_EESP_PLACE_LAST
} uct_eesp_place_way_t;

#define UCT_EESP_PLACE_LOOK   32 /* packets */
#define UCT_EESP_PLACE_WEIGHT 8  /* of what was before, to a new one */

typedef struct uct_eesp_place {
    uint64_t cost[UCT_EESP_PLACE_LAST]; /* ticks of 256 bytes, 0: not known */
    unsigned count;                     /* packets */
} uct_eesp_place_t;

static UCS_F_ALWAYS_INLINE uct_eesp_place_way_t
uct_eesp_place_choose(uct_eesp_place_t *place)
{
    int way = place->cost[UCT_EESP_PLACE_BESIDE] <
              place->cost[UCT_EESP_PLACE_SEGMENT];

    return (uct_eesp_place_way_t)(way ^ (++place->count % UCT_EESP_PLACE_LOOK ==
                                         0));
}

/* It took so many ticks. One that was interrupted counts for twice the usual. */
static UCS_F_ALWAYS_INLINE void
uct_eesp_place_took(uct_eesp_place_t *place, uct_eesp_place_way_t way,
                    uint64_t ticks, size_t length)
{
    uint64_t cost  = (ticks << 8) / length + 1;
    uint64_t *mean = &place->cost[way];

    if (*mean == 0) {
        *mean = cost;
    } else {
        *mean += (int64_t)(ucs_min(cost, 2 * *mean) - *mean) /
                 UCT_EESP_PLACE_WEIGHT;
    }
}

#endif
