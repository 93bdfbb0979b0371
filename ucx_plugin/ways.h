/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ways: of the ways to move a long packet through shared memory, the one that is
 * fastest here and now. Its lines are in the cache of the other core, and which
 * way is best depends on whether the two cores share a cache. Nobody tells where
 * the peer runs, and it moves; so all ways are timed, at every 16th packet, as to
 * read the clock takes its time, too. The fastest way is taken, but for every 64th
 * packet, which looks how another one does now, each in turn; a quarter as often
 * where that has been much slower. What is timed is over when the last store has
 * left the core: where a line is far, they wait in it. A way other than the plain
 * one must gain an eighth, since it also costs the peer, who is not timed; sealing
 * in steps, which does not, a 32nd. Of sealing there is one record for each peer,
 * of opening one for all.
 *
 * The sender seals straight into the segment: where the cores share a cache, the
 * lines come while AES works. Where they do not, AES waits for each line. Then it
 * is faster to seal step by step, the lines of the next step asked for; or to seal
 * beside, into memory of our own, and to copy: memcpy() moves whole lines, which
 * need not be fetched.
 *
 * The receiver opens the packet as it lies: where the cores share a cache, the
 * CPU sees itself which lines come next. Where they do not, it is faster to open
 * step by step, too.
 */
#ifndef EESP_WAYS_H
#define EESP_WAYS_H

#include <stddef.h>
#include <stdint.h>

#include <ucs/arch/cpu.h>
#include <ucs/sys/math.h>

typedef enum {
    UCT_EESP_WAY_DIRECT, /* into the segment, as it lies */
    UCT_EESP_WAY_STEPS,
    UCT_EESP_WAY_BESIDE, /* of sealing only */
    UCT_EESP_WAY_LAST
} uct_eesp_way_t;

#define UCT_EESP_WAYS_SEALING UCT_EESP_WAY_LAST
#define UCT_EESP_WAYS_OPENING UCT_EESP_WAY_BESIDE

#define UCT_EESP_WAYS_MIN    2048 /* bytes; shorter ones have one way only */
#define UCT_EESP_WAYS_TIMED  16   /* packets; the next one is a multiple of it */
#define UCT_EESP_WAYS_LOOK   64
#define UCT_EESP_WAYS_SELDOM 4    /* looks, of which one is at a slow way */
#define UCT_EESP_WAYS_WEIGHT 4    /* of what was before, to a new one */

typedef struct uct_eesp_ways {
    uint64_t cost[UCT_EESP_WAY_LAST]; /* ticks of 64 KiB, 0: not known */
    unsigned count;                   /* packets */
} uct_eesp_ways_t;

/* The way of one packet. */
typedef struct uct_eesp_trial {
    uct_eesp_way_t way;
    int            timed;
    uint64_t       start;
} uct_eesp_trial_t;

/* What a way must gain, as a power of 1/2. */
static UCS_F_ALWAYS_INLINE unsigned uct_eesp_ways_gain(unsigned number,
                                                       unsigned way)
{
    return (number == UCT_EESP_WAYS_SEALING) && (way == UCT_EESP_WAY_STEPS) ?
           5 : 3;
}

static UCS_F_ALWAYS_INLINE unsigned
uct_eesp_ways_best(const uct_eesp_ways_t *ways, unsigned number)
{
    uint64_t least = ways->cost[UCT_EESP_WAY_DIRECT];
    unsigned best  = UCT_EESP_WAY_DIRECT, way;
    uint64_t cost;

    for (way = UCT_EESP_WAY_DIRECT + 1; way < number; ++way) {
        cost = ways->cost[way] + (ways->cost[way] >>
                                  uct_eesp_ways_gain(number, way));
        if (cost < least) {
            least = cost;
            best  = way;
        }
    }
    return best;
}

/* Looks at the others in turn. */
static UCS_F_ALWAYS_INLINE unsigned
uct_eesp_ways_look(const uct_eesp_ways_t *ways, unsigned number, unsigned best)
{
    unsigned look  = ways->count / UCT_EESP_WAYS_LOOK;
    unsigned other = (best + 1 + look % (number - 1)) % number;
    int slow       = ways->cost[other] > ways->cost[best] + ways->cost[best] / 4;

    return slow && (look / (number - 1) % UCT_EESP_WAYS_SELDOM != 0) ? best :
                                                                       other;
}

/* number: of ways there are. */
static UCS_F_ALWAYS_INLINE uct_eesp_trial_t
uct_eesp_ways_begin(uct_eesp_ways_t *ways, unsigned number)
{
    unsigned n   = ++ways->count;
    unsigned way = uct_eesp_ways_best(ways, number);
    int timed    = n % UCT_EESP_WAYS_TIMED == 0;

    if (n % UCT_EESP_WAYS_LOOK == 0) {
        way = uct_eesp_ways_look(ways, number, way);
    }
    return (uct_eesp_trial_t){
        .way   = (uct_eesp_way_t)way,
        .timed = timed,
        .start = timed ? ucs_arch_read_hres_clock() : 0};
}

/* The clock is read when all stores are done: RDTSC waits for LFENCE only. */
static UCS_F_ALWAYS_INLINE void uct_eesp_ways_drain(void)
{
#ifdef __x86_64__
    __asm__ volatile("mfence\n\tlfence" ::: "memory");
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/*
 * One that was interrupted counts for twice the usual; if it was the first, the
 * next one that was not stands for it.
 */
static UCS_F_ALWAYS_INLINE void
uct_eesp_ways_end(uct_eesp_ways_t *ways, const uct_eesp_trial_t *trial,
                  size_t length)
{
    uint64_t *mean = &ways->cost[trial->way];
    uint64_t cost;

    if (!trial->timed) {
        return;
    }
    uct_eesp_ways_drain();
    cost = ((ucs_arch_read_hres_clock() - trial->start) << 16) / length + 1;
    if ((*mean == 0) || (cost < *mean / 4)) {
        *mean = cost;
    } else {
        *mean += (int64_t)(ucs_min(cost, 2 * *mean) - *mean) /
                 UCT_EESP_WAYS_WEIGHT;
    }
}

#endif
