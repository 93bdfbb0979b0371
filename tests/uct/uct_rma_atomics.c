/* SPDX-License-Identifier: BSD-3-Clause */
/* uct_rma_atomics: on words that the program works on, too. */
#include <pthread.h>
#include <string.h>

#include "uct_rma_side.h"

static uint64_t expected(unsigned op, uint64_t old, uint64_t value)
{
    switch (op) {
    case UCT_ATOMIC_OP_ADD:
        return old + value;
    case UCT_ATOMIC_OP_AND:
        return old & value;
    case UCT_ATOMIC_OP_OR:
        return old | value;
    case UCT_ATOMIC_OP_XOR:
        return old ^ value;
    default:
        return value;
    }
}

static void atomic_64(unsigned op, uint64_t value)
{
    uint64_t *word = (uint64_t *)window(), old = *word, result = 0;
    uct_completion_t comp;

    check_ok(FINISH(comp, uct_ep_atomic64_fetch(ep, op, value, &result,
                                                remote(0), rkey.rkey, &comp)));
    check(result == old, "fetched %lx, not %lx", result, old);
    check(*word == expected(op, old, value), "op %u: %lx", op, *word);
    if (op == UCT_ATOMIC_OP_SWAP)
        return;
    old = *word;
    check_ok(FINISH(comp, uct_ep_atomic64_post(ep, op, value, remote(0),
                                               rkey.rkey)));
    check_ok(flush());
    check(*word == expected(op, old, value), "posted op %u: %lx", op, *word);
}

static void atomic_32(unsigned op, uint32_t value)
{
    uint32_t *word = (uint32_t *)window(), old = *word, other = word[1];
    uint32_t result = 0;
    uct_completion_t comp;

    check_ok(FINISH(comp, uct_ep_atomic32_fetch(ep, op, value, &result,
                                                remote(0), rkey.rkey, &comp)));
    check(result == old, "fetched %x, not %x", result, old);
    check(*word == (uint32_t)expected(op, old, value), "op %u: %x", op, *word);
    if (op == UCT_ATOMIC_OP_SWAP)
        return;
    old = *word;
    check_ok(FINISH(comp, uct_ep_atomic32_post(ep, op, value, remote(0),
                                               rkey.rkey)));
    check_ok(iface_flush());
    check(*word == (uint32_t)expected(op, old, value), "posted %u: %x", op,
          *word);
    check(word[1] == other, "the word beside it has changed");
}

static void compare_and_swap(void)
{
    uint64_t *word = (uint64_t *)window(), result;
    uint32_t *half = (uint32_t *)window(), result32;
    uct_completion_t comp;

    *word = 17;
    check_ok(FINISH(comp, uct_ep_atomic_cswap64(ep, 18, 5, remote(0),
                                                rkey.rkey, &result, &comp)));
    check(result == 17 && *word == 17, "%lu %lu", result, *word);
    check_ok(FINISH(comp, uct_ep_atomic_cswap64(ep, 17, 1ul << 40, remote(0),
                                                rkey.rkey, &result, &comp)));
    check(result == 17 && *word == 1ul << 40, "%lu %lu", result, *word);
    *half = 17;
    check_ok(FINISH(comp, uct_ep_atomic_cswap32(ep, 18, 5, remote(0),
                                                rkey.rkey, &result32, &comp)));
    check(result32 == 17 && *half == 17, "%u %u", result32, *half);
    check_ok(FINISH(comp, uct_ep_atomic_cswap32(ep, 17, 5, remote(0),
                                                rkey.rkey, &result32, &comp)));
    check(result32 == 17 && *half == 5, "%u %u", result32, *half);
}

enum { ADDS = 3000 };

/* As UCP's emulation and the target's program add: by the CPU. */
static void *add_locally(void *word)
{
    for (unsigned i = 0; i < 100 * ADDS; i++)
        __atomic_fetch_add((uint64_t *)word, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

void group_atomics(void)
{
    uint64_t *word;
    pthread_t thread;
    uct_completion_t comp;

    if (!rma_open(UCT_MD_MEM_ACCESS_ALL))
        return;
    memset(window(), 0x3c, 16);
    for (unsigned op = UCT_ATOMIC_OP_ADD; op <= UCT_ATOMIC_OP_SWAP; op++) {
        if (op == UCT_ATOMIC_OP_CSWAP)
            continue;
        stage("atomic %u", op);
        atomic_64(op, 0x0123456789abcdef);
        atomic_32(op, 0x89abcdef);
    }
    stage("compare and swap");
    compare_and_swap();

    stage("beside the CPU's own");
    word  = (uint64_t *)window();
    *word = 0;
    check(pthread_create(&thread, NULL, add_locally, word) == 0, "thread");
    for (unsigned i = 0; i < ADDS; i++)
        check_ok(FINISH(comp, uct_ep_atomic64_post(ep, UCT_ATOMIC_OP_ADD, 1,
                                                   remote(0), rkey.rkey)));
    check_ok(flush());
    pthread_join(thread, NULL);
    check(*word == 101 * ADDS, "%lu, not %u", *word, 101 * ADDS);
    rma_close();
}
