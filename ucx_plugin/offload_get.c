/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * offload_get: the requester. Its memory is attached under its own key before
 * the target is asked, so only the card waits for the card, and not for long:
 * both waits here are for what has been done but for a few microseconds.
 */
#include "offload.h"

#include <ucs/datastruct/mpool.inl>
#include <ucs/debug/memtrack_int.h>
#include <ucs/time/time.h>
#include <uct/base/uct_iov.inl>

#include "bytes.h"

#define UCT_EESP_OFFLOAD_WAIT 0.1 /* seconds, until the card is given up */
#define UCT_EESP_OFFLOAD_GETS 16  /* at the card; further ones are sealed */

/* ---- Links -------------------------------------------------------------- */

static uct_eesp_mover_t *uct_eesp_offload_of(const uct_eesp_rma_ep_t *rma)
{
    return uct_eesp_rma_iface(rma)->offload;
}

static ucs_status_t uct_eesp_offload_post_offer(uct_eesp_rma_ep_t *rma)
{
    uint8_t message[UCT_EESP_RMA_HEAD + UCT_EESP_OFFER_LEN] = {0};
    struct iovec part = {message, sizeof(message)};

    store32(message, rma->token);
    uct_eesp_offload_link_pack(rma->link, message + UCT_EESP_RMA_HEAD);
    return uct_eesp_ep_post(rma->ep, UCT_EESP_RMA_OFFER, EESP_AM_LOWER, &part,
                            1);
}

void uct_eesp_offload_offer(uct_eesp_rma_ep_t *rma)
{
    uct_eesp_mover_t *of = uct_eesp_offload_of(rma);
    uint32_t rank        = rma->ep->channels[0].destination.rank;

    /* Not to ourselves: a key is for one direction. */
    if ((of == NULL) || (rma->link != NULL) ||
        (rma->ep->channels[0].destination.incarnation ==
         of->whose.incarnation)) {
        return;
    }
    ucs_recursive_spin_lock(&of->card->lock);
    rma->link = uct_eesp_offload_link_create(of, rank);
    if ((rma->link != NULL) && !rma->ep->peer_offload) {
        uct_eesp_offload_link_fail(rma->link, "it offers no card (its "
                                   "UCX_EESP_OFFLOAD, or its device)");
    } else if ((rma->link != NULL) &&
               uct_eesp_offload_link_open(rma->link, IBV_ACCESS_REMOTE_WRITE) &&
               (uct_eesp_offload_post_offer(rma) != UCS_OK)) {
        uct_eesp_offload_link_destroy(rma->link);
        rma->link = NULL; /* with the next get */
    }
    ucs_recursive_spin_unlock(&of->card->lock);
}

void uct_eesp_offload_accepted(uct_eesp_rma_ep_t *rma,
                               const uct_eesp_rma_message_t *message)
{
    uct_eesp_offload_link_t *link = rma->link;

    if ((link == NULL) || link->up || link->failed) {
        return;
    }
    ucs_recursive_spin_lock(&link->of->card->lock);
    if ((load32(message->data + 4) != 0) ||
        (message->length != UCT_EESP_RMA_HEAD + UCT_EESP_OFFER_LEN)) {
        uct_eesp_offload_link_fail(link, "it has no QP for us: see its log");
    } else {
        (void)uct_eesp_offload_link_connect(link, message->data +
                                            UCT_EESP_RMA_HEAD);
    }
    ucs_recursive_spin_unlock(&link->of->card->lock);
}

void uct_eesp_offload_leave(uct_eesp_rma_ep_t *rma)
{
    if (rma->link != NULL) {
        uct_eesp_offload_link_destroy(rma->link);
        rma->link = NULL;
    }
}

/* ---- Gets --------------------------------------------------------------- */

/* Until *counter is at value; 0: the link has failed, at the latest now. */
static int uct_eesp_offload_await(uct_eesp_offload_link_t *link,
                                  const uint64_t *counter, uint64_t value)
{
    ucs_time_t end = ucs_get_time() +
                     ucs_time_from_sec(UCT_EESP_OFFLOAD_WAIT);

    for (;;) {
        uct_eesp_offload_link_poll(link);
        if (link->failed || (*counter >= value)) {
            return !link->failed;
        }
        if (ucs_get_time() > end) {
            uct_eesp_offload_link_fail(link, vcc_strerror(-EIO));
            return 0;
        }
    }
}

static int uct_eesp_offload_attach(uct_eesp_offload_link_t *link,
                                   const uct_iov_t *iov, size_t length,
                                   uct_eesp_offload_get_t *get)
{
    const struct uct_eesp_card *card = link->of->card;
    struct ibv_sge sge               = {.addr   = (uintptr_t)iov->buffer,
                                        .length = (uint32_t)length};
    uct_eesp_offload_key_t *key      = uct_eesp_offload_own_key(link->of);
    int ret;

    get->link    = link;
    get->key     = key;
    get->mem     = NULL;
    get->written = 0;
    get->mr      = ibv_reg_mr(card->pd, iov->buffer, length,
                              IBV_ACCESS_LOCAL_WRITE);
    if ((key == NULL) || (get->mr == NULL)) {
        uct_eesp_offload_link_fail(link, key == NULL ?
                                   "no key for the card under this keyring" :
                                   "memory cannot be registered (ulimit -l)");
        return 0;
    }
    sge.lkey = get->mr->lkey;
    ret      = card->backend->attach(key->card, link->qp, &sge, 1, 0,
                                     VCC_RX | VCC_REMOTE, &get->mem);
    if (ret != 0) {
        uct_eesp_offload_link_fail(link, vcc_strerror(ret));
        return 0;
    }
    return uct_eesp_offload_await(link, &link->configured, ++link->attached);
}

/* What is attached, to the target. */
static void uct_eesp_offload_grant(const uct_eesp_offload_get_t *get,
                                   uint8_t *out)
{
    const struct eesp_offload_receiver *whose = &get->key->whose;

    store32(out, get->mem->rkey);
    store16(out + 4, 0);
    store16(out + 6, whose->epoch);
    memcpy(out + 8, whose->generations, EESP_LEVELS);
    store64(out + 12, whose->number);
    store64(out + 20, get->mem->unit0);
}

static ucs_status_t uct_eesp_offload_fetch(uct_eesp_rma_ep_t *rma,
                                           const uct_iov_t *iov,
                                           uint64_t remote_addr,
                                           uct_rkey_t rkey,
                                           uct_completion_t *comp)
{
    uint8_t message[UCT_EESP_FETCH_LEN];
    struct iovec part = {message, sizeof(message)};
    size_t length     = uct_iov_get_length(iov);
    uct_eesp_offload_get_t *get;
    uct_eesp_rma_op_t *op;
    ucs_status_t status;

    get = ucs_malloc(sizeof(*get), "eesp offload get");
    if (get == NULL) {
        return UCS_ERR_NO_MEMORY;
    }
    op = uct_eesp_rma_op_get(rma, UCT_EESP_RMA_OP_BUFFER, comp);
    if (op == NULL) {
        ucs_free(get);
        return UCS_ERR_NO_MEMORY;
    }
    op->result = iov->buffer;
    op->length = length;
    op->get    = get;
    if (!uct_eesp_offload_attach(rma->link, iov,
                                 ucs_align_down_pow2(length, UCT_EESP_XTS_BLOCK),
                                 get)) {
        status = UCS_ERR_UNSUPPORTED;
        goto err;
    }

    uct_eesp_rma_request(rma, rkey, remote_addr, message);
    store64(message + UCT_EESP_RMA_REQUEST, length);
    uct_eesp_offload_grant(get, message + UCT_EESP_RMA_REQUEST + 8);
    status = uct_eesp_ep_post(rma->ep, UCT_EESP_RMA_FETCH, EESP_AM_LOWER, &part,
                              1);
    if (status != UCS_OK) {
        goto err;
    }
    ++rma->link->gets;
    uct_eesp_rma_posted(rma, 1);
    op->number = rma->number;
    ucs_queue_push(&rma->ops, &op->queue);
    return UCS_INPROGRESS;

err:
    uct_eesp_offload_detach(rma->link, get->mem, get->mr);
    ucs_free(get);
    ucs_mpool_put_inline(op);
    return status;
}

ucs_status_t uct_eesp_offload_get(uct_ep_h tl_ep, const uct_iov_t *iov,
                                  uint64_t remote_addr, uct_rkey_t rkey,
                                  uct_completion_t *comp)
{
    ucs_status_t status;
    uct_eesp_rma_ep_t *rma;
    uct_eesp_mover_t *of;

    status = uct_eesp_rma_begin(tl_ep, &rma);
    if (status != UCS_OK) {
        return status;
    }
    status = UCS_ERR_UNSUPPORTED;
    uct_eesp_offload_offer(rma);
    if ((rma->link != NULL) && rma->link->up &&
        (rma->link->gets < UCT_EESP_OFFLOAD_GETS)) {
        of = rma->link->of;
        ucs_recursive_spin_lock(&of->card->lock);
        status = uct_eesp_offload_fetch(rma, iov, remote_addr, rkey, comp);
        ucs_recursive_spin_unlock(&of->card->lock);
    }
    uct_eesp_rma_end(rma);
    return status;
}

void uct_eesp_offload_release(uct_eesp_rma_op_t *op)
{
    uct_eesp_offload_link_t *link = op->get->link;

    ucs_recursive_spin_lock(&link->of->card->lock);
    if (!op->get->written) { /* it may be, and would be counted for another */
        uct_eesp_offload_link_fail(link, "a get ended without its data");
    }
    uct_eesp_offload_detach(link, op->get->mem, op->get->mr);
    ucs_recursive_spin_unlock(&link->of->card->lock);
    --link->gets;
    ucs_free(op->get);
    op->get = NULL;
}

void uct_eesp_offload_sealed(uct_eesp_rma_op_t *op)
{
    uct_eesp_offload_link_t *link = op->get->link;

    uct_eesp_offload_link_fail(link, "it answers sealed: see its log");
    uct_eesp_offload_release(op);
}

/* Whether all has arrived, and is what the target's tag says. */
static const char *uct_eesp_offload_wrong(uct_eesp_rma_op_t *op,
                                          const uint8_t *tag)
{
    uct_eesp_offload_link_t *link = op->get->link;
    uct_eesp_offload_key_t *key   = op->get->key;
    uint64_t unit0                = op->get->mem->unit0;
    int arrived;

    op->get->written = 1;
    ucs_recursive_spin_lock(&link->of->card->lock);
    arrived = uct_eesp_offload_await(link, &link->arrived, ++link->written);
    ucs_recursive_spin_unlock(&link->of->card->lock);
    uct_eesp_offload_release(op);
    if (!arrived) {
        return "did not arrive";
    }
    return ((key->tag == NULL) ||
            uct_eesp_tag_fits(key->tag, unit0, op->result,
                              ucs_align_down_pow2(op->length,
                                                  UCT_EESP_XTS_BLOCK), tag)) ?
           NULL : "is damaged or forged";
}

void uct_eesp_offload_written(uct_eesp_rma_ep_t *rma, uint64_t number,
                              const uct_eesp_rma_message_t *message)
{
    uct_eesp_rma_op_t *op = uct_eesp_rma_op_find(rma, number,
                                                 UCT_EESP_RMA_OP_BUFFER);
    uct_eesp_md_t *md     = uct_eesp_iface_md(uct_eesp_rma_iface(rma));
    const uint8_t *data   = message->data + UCT_EESP_RMA_HEAD;
    size_t tail           = (op != NULL) ? op->length % UCT_EESP_XTS_BLOCK : 0;
    const char *wrong;

    if ((op == NULL) || (op->get == NULL) ||
        (message->length != UCT_EESP_RMA_HEAD + tail +
                            (op->get->key->tag != NULL ? EESP_ICV_LEN : 0))) {
        return;
    }
    wrong = uct_eesp_offload_wrong(op, data + tail);
    if (wrong == NULL) {
        memcpy(UCS_PTR_BYTE_OFFSET(op->result, op->length - tail), data, tail);
        op->received = op->length;
        __atomic_fetch_add(&md->card_bytes, op->length - tail,
                           __ATOMIC_RELAXED);
    } else {
        ucs_error("eesp: offload: authentication: what rank %u's card wrote %s:"
                  " the get fails", message->opened->source_rank, wrong);
        explicit_bzero(op->result, op->length);
        op->status = UCS_ERR_IO_ERROR;
    }
    uct_eesp_rma_settle(rma, number, op);
}
