/* SPDX-License-Identifier: BSD-3-Clause */
/* rma_amo: the requester's side of atomics. */
#include "rma.h"

#include "bytes.h"

static ucs_status_t uct_eesp_rma_atomic_send(uct_eesp_rma_ep_t *rma,
                                             const struct iovec *part,
                                             void *result, uint8_t size,
                                             uct_completion_t *comp)
{
    uct_eesp_rma_op_t *op;
    ucs_status_t status;

    if (result == NULL) {
        status = uct_eesp_ep_post(rma->ep, UCT_EESP_RMA_ATOMIC, EESP_AM_LOWER,
                                  part, 1);
        if (status == UCS_OK) {
            uct_eesp_rma_posted(rma, 0);
        }
        return status;
    }

    op = uct_eesp_rma_op_get(rma, UCT_EESP_RMA_OP_VALUE, comp);
    if (op == NULL) {
        return UCS_ERR_NO_MEMORY;
    }
    op->result = result;
    op->length = size;
    return uct_eesp_rma_post_op(rma, UCT_EESP_RMA_ATOMIC, part, 1, op);
}

/* comp NULL and result NULL: post. Values of 32 bits travel as 64. */
static ucs_status_t uct_eesp_rma_atomic(uct_ep_h tl_ep, unsigned opcode,
                                        uint8_t size, uint64_t value,
                                        uint64_t compare, void *result,
                                        uint64_t remote_addr, uct_rkey_t rkey,
                                        uct_completion_t *comp)
{
    uint8_t message[UCT_EESP_RMA_ATOMIC_LEN];
    uint8_t *p        = message + UCT_EESP_RMA_REQUEST;
    struct iovec part = {message, sizeof(message)};
    uct_eesp_rma_ep_t *rma;
    ucs_status_t status;

    status = uct_eesp_rma_begin(tl_ep, &rma);
    if (status != UCS_OK) {
        return status;
    }

    uct_eesp_rma_request(rma, rkey, remote_addr, message);
    memset(p, 0, 8);
    p[0] = (uint8_t)opcode;
    p[1] = size;
    p[2] = result != NULL;
    store64(p + 8, value);
    store64(p + 16, compare);
    status = uct_eesp_rma_atomic_send(rma, &part, result, size, comp);
    uct_eesp_rma_end(rma);
    return status;
}

ucs_status_t uct_eesp_ep_atomic_cswap64(uct_ep_h ep, uint64_t compare,
                                        uint64_t swap, uint64_t remote_addr,
                                        uct_rkey_t rkey, uint64_t *result,
                                        uct_completion_t *comp)
{
    return uct_eesp_rma_atomic(ep, UCT_EESP_RMA_CSWAP, 8, swap, compare, result,
                               remote_addr, rkey, comp);
}

ucs_status_t uct_eesp_ep_atomic_cswap32(uct_ep_h ep, uint32_t compare,
                                        uint32_t swap, uint64_t remote_addr,
                                        uct_rkey_t rkey, uint32_t *result,
                                        uct_completion_t *comp)
{
    return uct_eesp_rma_atomic(ep, UCT_EESP_RMA_CSWAP, 4, swap, compare, result,
                               remote_addr, rkey, comp);
}

ucs_status_t uct_eesp_ep_atomic64_post(uct_ep_h ep, unsigned opcode,
                                       uint64_t value, uint64_t remote_addr,
                                       uct_rkey_t rkey)
{
    return uct_eesp_rma_atomic(ep, opcode, 8, value, 0, NULL, remote_addr, rkey,
                               NULL);
}

ucs_status_t uct_eesp_ep_atomic32_post(uct_ep_h ep, unsigned opcode,
                                       uint32_t value, uint64_t remote_addr,
                                       uct_rkey_t rkey)
{
    return uct_eesp_rma_atomic(ep, opcode, 4, value, 0, NULL, remote_addr, rkey,
                               NULL);
}

ucs_status_t uct_eesp_ep_atomic64_fetch(uct_ep_h ep, unsigned opcode,
                                        uint64_t value, uint64_t *result,
                                        uint64_t remote_addr, uct_rkey_t rkey,
                                        uct_completion_t *comp)
{
    return uct_eesp_rma_atomic(ep, opcode, 8, value, 0, result, remote_addr,
                               rkey, comp);
}

ucs_status_t uct_eesp_ep_atomic32_fetch(uct_ep_h ep, unsigned opcode,
                                        uint32_t value, uint32_t *result,
                                        uint64_t remote_addr, uct_rkey_t rkey,
                                        uct_completion_t *comp)
{
    return uct_eesp_rma_atomic(ep, opcode, 4, value, 0, result, remote_addr,
                               rkey, comp);
}
