/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rma_atomic: by the instructions that UCP's own emulation and the program use,
 * so that all of them may work on one word.
 */
#include "rma.h"

#define UCT_EESP_RMA_EXECUTE(_bits) \
    static int uct_eesp_rma_execute##_bits(uint##_bits##_t *word, \
                                           uint8_t opcode, \
                                           uint##_bits##_t value, \
                                           uint##_bits##_t compare, \
                                           uint64_t *before_p) \
    { \
        switch (opcode) { \
        case UCT_ATOMIC_OP_ADD: \
            *before_p = __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST); \
            return 1; \
        case UCT_ATOMIC_OP_AND: \
            *before_p = __atomic_fetch_and(word, value, __ATOMIC_SEQ_CST); \
            return 1; \
        case UCT_ATOMIC_OP_OR: \
            *before_p = __atomic_fetch_or(word, value, __ATOMIC_SEQ_CST); \
            return 1; \
        case UCT_ATOMIC_OP_XOR: \
            *before_p = __atomic_fetch_xor(word, value, __ATOMIC_SEQ_CST); \
            return 1; \
        case UCT_ATOMIC_OP_SWAP: \
            *before_p = __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST); \
            return 1; \
        case UCT_EESP_RMA_CSWAP: \
            __atomic_compare_exchange_n(word, &compare, value, 0, \
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
            *before_p = compare; \
            return 1; \
        default: \
            return 0; \
        } \
    }

UCT_EESP_RMA_EXECUTE(32)
UCT_EESP_RMA_EXECUTE(64)

int uct_eesp_rma_execute(void *word, uint8_t opcode, uint8_t size,
                         uint64_t value, uint64_t compare, uint64_t *before_p)
{
    return size == 8 ?
           uct_eesp_rma_execute64(word, opcode, value, compare, before_p) :
           uct_eesp_rma_execute32(word, opcode, (uint32_t)value,
                                  (uint32_t)compare, before_p);
}
