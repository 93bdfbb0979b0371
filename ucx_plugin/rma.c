/* SPDX-License-Identifier: BSD-3-Clause */
/* rma: what interface and endpoint keep of rma.h, and who gets its messages. */
#include "offload.h"

#include <ucs/debug/memtrack_int.h>

#include "bytes.h"

#define UCT_EESP_RMA_ATOMICS \
    (UCS_BIT(UCT_ATOMIC_OP_ADD) | UCS_BIT(UCT_ATOMIC_OP_AND) | \
     UCS_BIT(UCT_ATOMIC_OP_OR) | UCS_BIT(UCT_ATOMIC_OP_XOR))
#define UCT_EESP_RMA_FETCHES \
    (UCT_EESP_RMA_ATOMICS | UCS_BIT(UCT_ATOMIC_OP_SWAP) | \
     UCS_BIT(UCT_ATOMIC_OP_CSWAP))

static ucs_mpool_ops_t uct_eesp_rma_mpool_ops = {
    .chunk_alloc   = ucs_mpool_chunk_malloc,
    .chunk_release = ucs_mpool_chunk_free,
};

size_t uct_eesp_rma_max_bcopy(const uct_eesp_iface_t *iface)
{
    return iface->max_data - UCT_EESP_RMA_PUT_LEN;
}

void uct_eesp_rma_query(const uct_eesp_iface_t *iface, uct_iface_attr_t *attr)
{
    size_t chunk = uct_eesp_rma_chunk(iface);
    size_t get   = (iface->offload != NULL) ? UCT_EESP_OFFLOAD_MAX :
                                              SIZE_MAX; /* the target cuts it */

    /* No GET_SHORT: it returns with the data, and cannot wait for a reply. */
    attr->cap.flags |= UCT_IFACE_FLAG_PUT_SHORT | UCT_IFACE_FLAG_PUT_BCOPY |
                       UCT_IFACE_FLAG_PUT_ZCOPY | UCT_IFACE_FLAG_GET_BCOPY |
                       UCT_IFACE_FLAG_GET_ZCOPY | UCT_IFACE_FLAG_ATOMIC_CPU;

    attr->cap.put.max_short       = uct_eesp_rma_max_copy(iface);
    attr->cap.put.max_bcopy       = uct_eesp_rma_max_bcopy(iface);
    attr->cap.put.min_zcopy       = 0;
    attr->cap.put.max_zcopy       = chunk;
    attr->cap.put.opt_zcopy_align = 1;
    attr->cap.put.align_mtu       = 1;
    attr->cap.put.max_iov         = 1;

    attr->cap.get.max_bcopy       = uct_eesp_rma_max_bcopy(iface);
    attr->cap.get.min_zcopy       = 0;
    attr->cap.get.max_zcopy       = get;
    attr->cap.get.opt_zcopy_align = 1;
    attr->cap.get.align_mtu       = 1;
    attr->cap.get.max_iov         = 1;

    attr->cap.atomic32.op_flags  = UCT_EESP_RMA_ATOMICS;
    attr->cap.atomic64.op_flags  = UCT_EESP_RMA_ATOMICS;
    attr->cap.atomic32.fop_flags = UCT_EESP_RMA_FETCHES;
    attr->cap.atomic64.fop_flags = UCT_EESP_RMA_FETCHES;
}

void uct_eesp_rma_message(uct_eesp_iface_t *iface, uint8_t type,
                          const uint8_t *data, size_t length,
                          const struct eesp_opened *opened)
{
    const uct_eesp_rma_message_t message = {.type   = type,
                                            .data   = data,
                                            .length = length,
                                            .opened = opened};

    if (length < UCT_EESP_RMA_HEAD) {
        return;
    }
    if (type < UCT_EESP_RMA_ACK) {
        uct_eesp_rma_handle_request(iface, &message);
    } else {
        uct_eesp_rma_handle_reply(iface, &message);
    }
}

/* The lower has lost the endpoint to a requester: there is nobody to tell. */
void uct_eesp_rma_peer_failed(uct_eesp_ep_t *ep)
{
    uct_eesp_iface_t *iface = uct_eesp_ep_iface(ep);

    uct_eesp_enter(iface);
    if (ep->serves != NULL) {
        uct_eesp_rma_peer_fail(ep->serves);
    }
    uct_eesp_leave(iface);
}

int uct_eesp_rma_owes(const uct_eesp_iface_t *iface)
{
    return !ucs_list_is_empty(&iface->rma->visits) ||
           !ucs_list_is_empty(&iface->rma->owing) ||
           uct_eesp_offload_works(iface);
}

uct_eesp_rma_ep_t *uct_eesp_rma_ep_create(uct_eesp_ep_t *ep)
{
    uct_eesp_iface_t *iface = uct_eesp_ep_iface(ep);
    uct_eesp_rma_ep_t *rma  = ucs_calloc(1, sizeof(*rma), "eesp rma ep");
    khiter_t iter;
    int ret;

    if (rma == NULL) {
        return NULL;
    }
    rma->ep         = ep;
    rma->introduced = iface->p2p; /* its target has one at the other end */
    ucs_queue_head_init(&rma->ops);
    ucs_list_head_init(&rma->busy);
    do {
        rma->token = iface->rma->next_token++;
        iter       = kh_put(uct_eesp_rma_ep, &iface->rma->eps, rma->token,
                            &ret);
    } while (ret == 0);
    if (ret < 0) {
        ucs_free(rma);
        return NULL;
    }
    kh_value(&iface->rma->eps, iter) = rma;
    ep->rma                          = rma;
    return rma;
}

void uct_eesp_rma_ep_destroy(uct_eesp_ep_t *ep)
{
    uct_eesp_rma_ep_t *rma = ep->rma;
    uct_eesp_rma_t *of;
    khiter_t iter;

    if (rma == NULL) {
        return;
    }

    of = uct_eesp_rma_iface(rma)->rma;
    uct_eesp_rma_cancel(rma, UCS_ERR_CANCELED);
    uct_eesp_offload_leave(rma);
    iter = kh_get(uct_eesp_rma_ep, &of->eps, rma->token);
    kh_del(uct_eesp_rma_ep, &of->eps, iter);
    ep->rma = NULL;
    ucs_free(rma);
}

static ucs_status_t uct_eesp_rma_pools(uct_eesp_rma_t *rma)
{
    ucs_status_t status;

    status = ucs_mpool_init(&rma->ops, 0, sizeof(uct_eesp_rma_op_t), 0,
                            UCS_SYS_CACHE_LINE_SIZE, 128, UINT_MAX,
                            &uct_eesp_rma_mpool_ops, "eesp_rma_ops");
    if (status != UCS_OK) {
        return status;
    }
    status = ucs_mpool_init(&rma->jobs, 0, sizeof(uct_eesp_rma_job_t), 0,
                            UCS_SYS_CACHE_LINE_SIZE, 128, UINT_MAX,
                            &uct_eesp_rma_mpool_ops, "eesp_rma_jobs");
    if (status != UCS_OK) {
        ucs_mpool_cleanup(&rma->ops, 1);
    }
    return status;
}

ucs_status_t uct_eesp_rma_init(uct_eesp_iface_t *iface)
{
    uct_eesp_rma_t *rma;
    ucs_status_t status;

    rma = ucs_calloc(1, sizeof(*rma), "eesp rma");
    if (rma == NULL) {
        return UCS_ERR_NO_MEMORY;
    }
    status = uct_eesp_rma_pools(rma);
    if (status != UCS_OK) {
        ucs_free(rma);
        return status;
    }
    kh_init_inplace(uct_eesp_rma_ep, &rma->eps);
    kh_init_inplace(uct_eesp_rma_peer, &rma->peers);
    kh_init_inplace(uct_eesp_rma_cursor, &rma->cursors);
    ucs_list_head_init(&rma->busy);
    ucs_list_head_init(&rma->visits);
    ucs_list_head_init(&rma->owing);
    rma->sweep_at = UCT_EESP_RMA_SWEEP;
    rma->later_id = UCS_CALLBACKQ_ID_NULL;
    iface->rma    = rma;
    uct_eesp_offload_init(iface);
    return uct_eesp_rma_data_init(iface);
}

/* While the lower is still open: endpoints to requesters are closed. */
void uct_eesp_rma_cleanup(uct_eesp_iface_t *iface)
{
    uct_eesp_rma_t *rma = iface->rma;

    if (rma == NULL) {
        return;
    }
    uct_worker_progress_unregister_safe(&iface->super.worker->super,
                                        &rma->later_id);
    uct_eesp_rma_peers_destroy(iface);
    uct_eesp_offload_cleanup(iface);
    kh_destroy_inplace(uct_eesp_rma_ep, &rma->eps);
    kh_destroy_inplace(uct_eesp_rma_cursor, &rma->cursors);
    ucs_mpool_cleanup(&rma->ops, 1);
    ucs_mpool_cleanup(&rma->jobs, 1);
    iface->rma = NULL;
    ucs_free(rma);
}
