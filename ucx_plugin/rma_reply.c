/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rma_reply: what targets answer. Replies come in the order of requests, so
 * each one also says that all before it are done. None is believed but from the
 * process that the request went to.
 */
#include "offload.h"

#include <ucs/datastruct/mpool.inl>

#include "bytes.h"

static void uct_eesp_rma_complete(ucs_queue_head_t *done)
{
    uct_completion_t *comp;
    uct_eesp_rma_op_t *op;
    ucs_status_t status;

    while (!ucs_queue_is_empty(done)) {
        op     = ucs_queue_pull_elem_non_empty(done, uct_eesp_rma_op_t, queue);
        comp   = op->comp;
        status = op->status;
        if (ucs_unlikely(op->get != NULL)) {
            uct_eesp_offload_release(op);
        }
        ucs_mpool_put_inline(op);
        if (comp != NULL) {
            uct_invoke_completion(comp, status);
        }
    }
}

static void uct_eesp_rma_acked(uct_eesp_rma_ep_t *rma, uint64_t number)
{
    if (number <= rma->acked) {
        return;
    }
    rma->acked   = number;
    rma->awaited = ucs_max(rma->awaited, number);
    if (number == rma->number) {
        ucs_list_del(&rma->busy);
    }
}

/* A refusal that no completion has told of is a flush's to tell. */
static ucs_status_t uct_eesp_rma_take_refused(uct_eesp_rma_ep_t *rma)
{
    ucs_status_t status = rma->refused;

    rma->refused = UCS_OK;
    if (status != UCS_OK) {
        uct_eesp_rma_iface(rma)->rma->refused = UCS_OK;
    }
    return status;
}

/* Data of gets up to `number` that still comes is nobody's. */
static void uct_eesp_rma_abandon(uct_eesp_rma_ep_t *rma, uint64_t number)
{
    rma->abandoned = ucs_max(rma->abandoned, number);
    rma->announce  = 1;
}

/*
 * All requests up to `number` are done. Those that should have brought data by
 * now, but for `answered`, end with an error. Completions may do anything, so
 * they come last.
 */
void uct_eesp_rma_settle(uct_eesp_rma_ep_t *rma, uint64_t number,
                         const uct_eesp_rma_op_t *answered)
{
    ucs_queue_head_t done;
    uct_eesp_rma_op_t *op;

    ucs_queue_head_init(&done);
    while (!ucs_queue_is_empty(&rma->ops)) {
        op = ucs_queue_head_elem_non_empty(&rma->ops, uct_eesp_rma_op_t, queue);
        if (op->number > number) {
            break;
        }
        ucs_queue_pull_non_empty(&rma->ops);
        if (op->type == UCT_EESP_RMA_OP_FLUSH) {
            if (op->status == UCS_OK) {
                op->status = uct_eesp_rma_take_refused(rma);
            }
        } else if ((op->type != UCT_EESP_RMA_OP_DONE) && (op != answered) &&
                   (op->status == UCS_OK)) {
            op->status = UCS_ERR_IO_ERROR;
            uct_eesp_rma_abandon(rma, op->number);
        }
        ucs_queue_push(&done, &op->queue);
    }
    uct_eesp_rma_acked(rma, number);
    uct_eesp_rma_complete(&done);
}

uct_eesp_rma_op_t *uct_eesp_rma_op_find(uct_eesp_rma_ep_t *rma, uint64_t number,
                                        uct_eesp_rma_op_type_t type)
{
    uct_eesp_rma_op_t *op;

    ucs_queue_for_each(op, &rma->ops, queue) {
        if ((op->number == number) && (op->type == type)) {
            return op;
        }
        if (op->number > number) {
            break;
        }
    }
    return NULL;
}

static void uct_eesp_rma_value(uct_eesp_rma_ep_t *rma, uint64_t number,
                               const uct_eesp_rma_message_t *message)
{
    uct_eesp_rma_op_t *op = uct_eesp_rma_op_find(rma, number,
                                                 UCT_EESP_RMA_OP_VALUE);
    uint64_t value;

    if ((op != NULL) && (message->length == UCT_EESP_RMA_HEAD + 8)) {
        value = load64(message->data + UCT_EESP_RMA_HEAD);
        if (op->length == 8) {
            *(uint64_t*)op->result = value;
        } else {
            *(uint32_t*)op->result = (uint32_t)value;
        }
        uct_eesp_rma_settle(rma, number, op);
    }
}

static void uct_eesp_rma_piece(uct_eesp_rma_ep_t *rma, uint64_t number,
                               const uct_eesp_rma_message_t *message)
{
    uct_eesp_rma_op_t *op = uct_eesp_rma_op_find(rma, number,
                                                 UCT_EESP_RMA_OP_PIECE);
    const uint8_t *data   = message->data + UCT_EESP_RMA_HEAD;
    size_t length         = message->length - UCT_EESP_RMA_HEAD;

    if (op == NULL) {
        op = uct_eesp_rma_op_find(rma, number, UCT_EESP_RMA_OP_BUFFER);
    }
    if ((op == NULL) || (op->length != length)) {
        return;
    }
    if (op->type == UCT_EESP_RMA_OP_PIECE) {
        op->unpack_cb(op->result, data, length);
    } else {
        memcpy(op->result, data, length);
    }
    uct_eesp_rma_settle(rma, number, op);
}

static void uct_eesp_rma_refused(uct_eesp_rma_ep_t *rma, uint64_t number,
                                 const uct_eesp_rma_message_t *message)
{
    uct_eesp_rma_t *of = uct_eesp_rma_iface(rma)->rma;
    ucs_status_t status = -(ucs_status_t)load32(message->data + 4);
    uint64_t reported   = 0;
    uct_eesp_rma_op_t *op;
    uint64_t first;

    if ((message->length != UCT_EESP_RMA_HEAD + 8) || (status >= UCS_OK) ||
        (status <= UCS_ERR_LAST)) {
        return;
    }

    first = load64(message->data + UCT_EESP_RMA_HEAD);
    ucs_queue_for_each(op, &rma->ops, queue) {
        if ((op->type != UCT_EESP_RMA_OP_FLUSH) && (op->number >= first) &&
            (op->number <= number)) {
            op->status = status;
            ++reported;
        }
    }
    if (reported < number - first + 1) {
        rma->refused = of->refused = status;
    }
    if (of->told++ < UCT_EESP_RMA_TELL) {
        ucs_error("eesp: rma: rank %u refused requests %lu to %lu: %s",
                  message->opened->source_rank, first, number,
                  ucs_status_string(status));
    }
    uct_eesp_rma_settle(rma, number, NULL);
}

/* The endpoint of a token, if that process is its peer. */
static uct_eesp_rma_ep_t *uct_eesp_rma_ep_find(uct_eesp_iface_t *iface,
                                               uint32_t token,
                                               uint64_t incarnation)
{
    khiter_t iter = kh_get(uct_eesp_rma_ep, &iface->rma->eps, token);
    uct_eesp_rma_ep_t *rma;

    if (iter == kh_end(&iface->rma->eps)) {
        return NULL; /* it was destroyed meanwhile */
    }
    rma = kh_value(&iface->rma->eps, iter);
    return rma->ep->channels[0].destination.incarnation == incarnation ? rma :
                                                                         NULL;
}

/* Gets are answered in their order, and what is answered is out of the queue. */
static uct_eesp_rma_op_t *uct_eesp_rma_next_get(uct_eesp_rma_ep_t *rma,
                                                uint64_t number)
{
    uct_eesp_rma_op_t *op;

    if (number < rma->abandoned) {
        return NULL;
    }
    ucs_queue_for_each(op, &rma->ops, queue) {
        if ((op->number > number) && (op->type == UCT_EESP_RMA_OP_BUFFER)) {
            return op;
        }
    }
    return NULL;
}

static uct_eesp_rma_op_t *
uct_eesp_rma_stream_op(uct_eesp_iface_t *iface,
                       const uct_eesp_rma_cursor_t *cursor,
                       uct_eesp_rma_ep_t **rma_p)
{
    *rma_p = uct_eesp_rma_ep_find(iface, cursor->token, cursor->incarnation);
    if (*rma_p == NULL) {
        return NULL;
    }
    return cursor->next ?
           uct_eesp_rma_next_get(*rma_p, cursor->number) :
           uct_eesp_rma_op_find(*rma_p, cursor->number, UCT_EESP_RMA_OP_BUFFER);
}

static void uct_eesp_rma_stream(uct_eesp_iface_t *iface, uint32_t token,
                                uint64_t number,
                                const uct_eesp_rma_message_t *message)
{
    uct_eesp_rma_cursor_t cursor = {.type        = UCT_EESP_RMA_STREAM,
                                    .token       = token,
                                    .number      = number,
                                    .incarnation = message->opened->incarnation};
    uct_eesp_rma_ep_t *rma;
    uct_eesp_rma_op_t *op;

    op = uct_eesp_rma_stream_op(iface, &cursor, &rma);
    if ((op != NULL) && ucs_unlikely(op->get != NULL)) {
        uct_eesp_offload_sealed(op);
    }
    if (message->length == UCT_EESP_RMA_HEAD + 8) {
        cursor.offset = load64(message->data + UCT_EESP_RMA_HEAD);
        uct_eesp_rma_cursor_set(iface, message->opened, &cursor);
    }
}

void uct_eesp_rma_handle_reply(uct_eesp_iface_t *iface,
                               const uct_eesp_rma_message_t *message)
{
    uint32_t token  = load32(message->data);
    uint64_t number = load64(message->data + 8);
    uct_eesp_rma_ep_t *rma;

    if (message->type == UCT_EESP_RMA_STREAM) {
        /* Also for one that is gone: its data has to go somewhere. */
        uct_eesp_rma_stream(iface, token, number, message);
        return;
    }

    rma = uct_eesp_rma_ep_find(iface, token, message->opened->incarnation);
    if ((rma != NULL) && ucs_unlikely(message->type == UCT_EESP_RMA_ACCEPT)) {
        uct_eesp_offload_accepted(rma, message);
        return;
    }
    if ((rma == NULL) || (number > rma->number) || (number <= rma->acked)) {
        ucs_debug("eesp: rma: reply of rank %u to request %lu that nobody "
                  "waits for", message->opened->source_rank, number);
        return;
    }
    switch (message->type) {
    case UCT_EESP_RMA_ACK:
        uct_eesp_rma_settle(rma, number, NULL);
        break;
    case UCT_EESP_RMA_VALUE:
        uct_eesp_rma_value(rma, number, message);
        break;
    case UCT_EESP_RMA_DATA:
        uct_eesp_rma_piece(rma, number, message);
        break;
    case UCT_EESP_RMA_WRITTEN:
        uct_eesp_offload_written(rma, number, message);
        break;
    default:
        uct_eesp_rma_refused(rma, number, message);
        break;
    }
}

/* ---- Data packets of a get ----------------------------------------------- */

void *uct_eesp_rma_stream_place(uct_eesp_iface_t *iface,
                                const uct_eesp_rma_cursor_t *cursor,
                                size_t length)
{
    uct_eesp_rma_ep_t *rma;
    uct_eesp_rma_op_t *op = uct_eesp_rma_stream_op(iface, cursor, &rma);

    return ((op == NULL) || (cursor->offset != op->received) ||
            (length > op->length - op->received)) ?
           NULL : UCS_PTR_BYTE_OFFSET(op->result, op->received);
}

void uct_eesp_rma_stream_advance(uct_eesp_iface_t *iface,
                                 uct_eesp_rma_cursor_t *cursor,
                                 size_t length)
{
    uct_eesp_rma_ep_t *rma;
    uct_eesp_rma_op_t *op = uct_eesp_rma_stream_op(iface, cursor, &rma);

    if (op != NULL) {
        op->received  += length;
        cursor->number = op->number;
        cursor->next   = op->received == op->length;
        cursor->offset = cursor->next ? 0 : op->received;
        if (cursor->next) { /* what completions do may move the cursor */
            uct_eesp_rma_settle(rma, op->number, op);
        }
    }
}

/* ---- Flush ---------------------------------------------------------------- */

void uct_eesp_rma_cancel(uct_eesp_rma_ep_t *rma, ucs_status_t status)
{
    uct_eesp_rma_op_t *op;

    ucs_queue_for_each(op, &rma->ops, queue) {
        op->status = status;
    }
    (void)uct_eesp_rma_take_refused(rma);
    uct_eesp_rma_abandon(rma, rma->number);
    uct_eesp_rma_settle(rma, rma->number, NULL);
}

ucs_status_t uct_eesp_rma_flush(uct_eesp_ep_t *ep, unsigned flags,
                                uct_completion_t *comp)
{
    uct_eesp_rma_ep_t *rma = ep->rma;
    uct_eesp_rma_op_t *op;
    ucs_status_t status;

    if (flags & UCT_FLUSH_FLAG_CANCEL) {
        uct_eesp_rma_cancel(rma, UCS_ERR_CANCELED);
        return UCS_OK;
    }
    if (rma->acked == rma->number) {
        return uct_eesp_rma_take_refused(rma);
    }
    status = uct_eesp_rma_ask(rma);
    if (status != UCS_OK) {
        return status;
    }
    if (comp != NULL) {
        op = ucs_mpool_get_inline(&uct_eesp_rma_iface(rma)->rma->ops);
        if (op == NULL) {
            return UCS_ERR_NO_MEMORY;
        }
        op->type   = UCT_EESP_RMA_OP_FLUSH;
        op->number = rma->number;
        op->comp   = comp;
        op->status = UCS_OK;
        op->get    = NULL;
        ucs_queue_push(&rma->ops, &op->queue);
    }
    return UCS_INPROGRESS;
}

/* Of all endpoints: it is called until it says so. */
ucs_status_t uct_eesp_rma_iface_flush(uct_eesp_iface_t *iface)
{
    uct_eesp_rma_t *of = iface->rma;
    uct_eesp_rma_ep_t *rma;
    ucs_status_t status;

    ucs_list_for_each(rma, &of->busy, busy) {
        if (!uct_eesp_channel_blocked(&rma->ep->channels[0])) {
            (void)uct_eesp_rma_ask(rma);
        }
    }
    if (!ucs_list_is_empty(&of->busy)) {
        return UCS_INPROGRESS;
    }
    status = of->refused;
    if (status != UCS_OK) {
        kh_foreach_value(&of->eps, rma, (void)uct_eesp_rma_take_refused(rma));
        of->refused = UCS_OK;
    }
    return status;
}
