/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rma_send: requests. A short or bcopy put takes part in the next flush; what
 * has a completion is answered without being asked.
 */
#include "offload.h"

#include <ucs/datastruct/mpool.inl>
#include <uct/base/uct_iov.inl>

#include "bytes.h"

/* ---- Requests ------------------------------------------------------------ */

static void uct_eesp_rma_head(const uct_eesp_rma_ep_t *rma, uint64_t number,
                              uint8_t *out)
{
    store32(out, rma->token);
    store32(out + 4, 0);
    store64(out + 8, number);
}

static ucs_status_t uct_eesp_rma_introduce(uct_eesp_rma_ep_t *rma)
{
    uct_eesp_iface_t *iface = uct_eesp_rma_iface(rma);
    size_t device_length    = iface->lower_attr.device_addr_len;
    size_t iface_length     = UCT_EESP_ADDRESS_LEN +
                              iface->lower_attr.iface_addr_len;
    uint8_t message[UCT_EESP_RMA_HEAD + UCT_EESP_ADDRESS_MAX + UINT8_MAX];
    uint8_t *p              = message + UCT_EESP_RMA_HEAD;
    struct iovec part       = {message, UCT_EESP_RMA_HEAD + iface_length +
                                        device_length};
    ucs_status_t status;

    if (part.iov_len > sizeof(message)) {
        return UCS_ERR_UNSUPPORTED;
    }
    uct_eesp_rma_head(rma, 0, message);
    store16(message + 4, iface_length);
    store16(message + 6, device_length);
    status = uct_iface_get_address(&iface->super.super, (uct_iface_addr_t*)p);
    if (status == UCS_OK) {
        status = uct_iface_get_device_address(&iface->super.super,
                                              (uct_device_addr_t*)
                                              (p + iface_length));
    }
    if (status == UCS_OK) {
        status = uct_eesp_ep_post(rma->ep, UCT_EESP_RMA_HELLO, EESP_AM_LOWER,
                                  &part, 1);
    }
    rma->introduced = status == UCS_OK;
    if (rma->introduced) {
        uct_eesp_offload_offer(rma);
    }
    return status;
}

ucs_status_t uct_eesp_rma_begin(uct_ep_h tl_ep, uct_eesp_rma_ep_t **rma_p)
{
    uct_eesp_ep_t *ep       = ucs_derived_of(tl_ep, uct_eesp_ep_t);
    uct_eesp_iface_t *iface = ucs_derived_of(tl_ep->iface, uct_eesp_iface_t);
    ucs_status_t status     = UCS_OK;

    uct_eesp_enter(iface);
    if (uct_eesp_channel_blocked(&ep->channels[0])) {
        status = UCS_ERR_NO_RESOURCE;
    } else if (ucs_unlikely(!ep->peer_rma)) {
        status = UCS_ERR_UNSUPPORTED; /* its UCX_EESP_RMA is off */
    } else if (ucs_unlikely((ep->rma == NULL) &&
                            (uct_eesp_rma_ep_create(ep) == NULL))) {
        status = UCS_ERR_NO_MEMORY;
    } else if (ucs_unlikely(!ep->rma->introduced)) {
        status = uct_eesp_rma_introduce(ep->rma);
    }
    if (ucs_unlikely(status != UCS_OK)) {
        uct_eesp_leave(iface);
    }
    *rma_p = ep->rma;
    return status;
}

void uct_eesp_rma_request(const uct_eesp_rma_ep_t *rma, uct_rkey_t rkey,
                          uint64_t address, uint8_t *out)
{
    uct_eesp_rma_head(rma, rma->number + 1, out);
    memcpy(out + UCT_EESP_RMA_HEAD, (void*)rkey, UCT_EESP_RMA_KEY);
    store64(out + UCT_EESP_RMA_HEAD + UCT_EESP_RMA_KEY, address);
}

void uct_eesp_rma_posted(uct_eesp_rma_ep_t *rma, int awaited)
{
    if (rma->number++ == rma->acked) {
        ucs_list_add_tail(&uct_eesp_rma_iface(rma)->rma->busy, &rma->busy);
    }
    if (awaited) {
        rma->awaited = rma->number;
    }
}

uct_eesp_rma_op_t *uct_eesp_rma_op_get(uct_eesp_rma_ep_t *rma,
                                       uct_eesp_rma_op_type_t type,
                                       uct_completion_t *comp)
{
    uct_eesp_rma_op_t *op =
            ucs_mpool_get_inline(&uct_eesp_rma_iface(rma)->rma->ops);

    if (op != NULL) {
        op->type     = type;
        op->comp     = comp;
        op->status   = UCS_OK;
        op->received = 0;
        op->get      = NULL;
    }
    return op;
}

ucs_status_t uct_eesp_rma_post_op(uct_eesp_rma_ep_t *rma, uint8_t id,
                                  const struct iovec *parts,
                                  unsigned count, uct_eesp_rma_op_t *op)
{
    ucs_status_t status = uct_eesp_ep_post(rma->ep, id, EESP_AM_LOWER, parts,
                                           count);

    if (status != UCS_OK) {
        ucs_mpool_put_inline(op);
        return status;
    }
    uct_eesp_rma_posted(rma, 1);
    op->number = rma->number;
    ucs_queue_push(&rma->ops, &op->queue);
    return UCS_INPROGRESS;
}

ucs_status_t uct_eesp_rma_ask(uct_eesp_rma_ep_t *rma)
{
    uint8_t message[UCT_EESP_RMA_HEAD];
    struct iovec part = {message, sizeof(message)};
    ucs_status_t status;

    if (rma->awaited == rma->number) {
        return UCS_OK;
    }
    uct_eesp_rma_head(rma, rma->number, message);
    status = uct_eesp_ep_post(rma->ep, UCT_EESP_RMA_ASK, EESP_AM_LOWER, &part,
                              1);
    if (status == UCS_OK) {
        rma->awaited = rma->number;
    }
    return status;
}

/* ---- Put ------------------------------------------------------------------ */

ucs_status_t uct_eesp_ep_put_short(uct_ep_h tl_ep, const void *buffer,
                                   unsigned length, uint64_t remote_addr,
                                   uct_rkey_t rkey)
{
    uint8_t message[UCT_EESP_RMA_PUT_LEN];
    struct iovec parts[2] = {{message, sizeof(message)},
                             {(void*)buffer, length}};
    uct_eesp_rma_ep_t *rma;
    ucs_status_t status;

    UCT_CHECK_LENGTH(length, 0,
                     uct_eesp_rma_max_copy(ucs_derived_of(tl_ep->iface,
                                                          uct_eesp_iface_t)),
                     "put_short");
    status = uct_eesp_rma_begin(tl_ep, &rma);
    if (status != UCS_OK) {
        return status;
    }

    uct_eesp_rma_request(rma, rkey, remote_addr, message);
    store64(message + UCT_EESP_RMA_REQUEST, 0);
    status = uct_eesp_ep_post(rma->ep, UCT_EESP_RMA_PUT, EESP_AM_LOWER, parts,
                              2);
    if (status == UCS_OK) {
        uct_eesp_rma_posted(rma, 0);
    }
    uct_eesp_rma_end(rma);
    return status;
}

ssize_t uct_eesp_ep_put_bcopy(uct_ep_h tl_ep, uct_pack_callback_t pack_cb,
                              void *arg, uint64_t remote_addr, uct_rkey_t rkey)
{
    uint8_t message[UCT_EESP_RMA_PUT_LEN];
    uct_eesp_rma_ep_t *rma;
    ucs_status_t status;
    ssize_t packed;

    status = uct_eesp_rma_begin(tl_ep, &rma);
    if (status != UCS_OK) {
        return status;
    }

    uct_eesp_rma_request(rma, rkey, remote_addr, message);
    store64(message + UCT_EESP_RMA_REQUEST, 0);
    packed = uct_eesp_ep_post_packed(rma->ep, UCT_EESP_RMA_PUT, message,
                                     sizeof(message), pack_cb, arg);
    if (packed >= 0) {
        uct_eesp_rma_posted(rma, 0);
    }
    uct_eesp_rma_end(rma);
    return packed;
}

/* Where the packet that follows goes, unless the target is there already. */
static ucs_status_t uct_eesp_rma_move(uct_eesp_rma_ep_t *rma, uct_rkey_t rkey,
                                      uint64_t address)
{
    uint8_t message[UCT_EESP_RMA_REQUEST];
    struct iovec part = {message, sizeof(message)};
    ucs_status_t status;

    if ((rma->ep->channels[0].announced == rma) &&
        (rma->cursor_number == rma->number + 1) &&
        (rma->cursor.address == address) &&
        (memcmp(rma->cursor.key, (void*)rkey, UCT_EESP_RMA_KEY) == 0)) {
        return UCS_OK;
    }

    uct_eesp_rma_request(rma, rkey, address, message);
    status = uct_eesp_ep_post(rma->ep, UCT_EESP_RMA_CURSOR, EESP_AM_LOWER,
                              &part, 1);
    if (status == UCS_OK) {
        rma->ep->channels[0].announced = rma;
        rma->cursor_number             = rma->number + 1;
        rma->cursor.address            = address;
        memcpy(rma->cursor.key, (void*)rkey, UCT_EESP_RMA_KEY);
    }
    return status;
}

/* Short ones in one message, which is copied; long ones as a data packet. */
static ucs_status_t uct_eesp_rma_put_zcopy(uct_eesp_rma_ep_t *rma,
                                           const struct iovec *data,
                                           uint64_t remote_addr,
                                           uct_rkey_t rkey,
                                           uct_completion_t *comp)
{
    uint8_t message[UCT_EESP_RMA_PUT_LEN];
    struct iovec parts[2] = {{message, sizeof(message)}, *data};
    uct_eesp_rma_op_t *op;
    ucs_status_t status;

    op = uct_eesp_rma_op_get(rma, UCT_EESP_RMA_OP_DONE, comp);
    if (op == NULL) {
        return UCS_ERR_NO_MEMORY;
    }

    if (data->iov_len <= uct_eesp_rma_max_copy(uct_eesp_rma_iface(rma))) {
        uct_eesp_rma_request(rma, rkey, remote_addr, message);
        store64(message + UCT_EESP_RMA_REQUEST, UCT_EESP_RMA_FLAG_ACK);
        return uct_eesp_rma_post_op(rma, UCT_EESP_RMA_PUT, parts, 2, op);
    }

    status = uct_eesp_rma_move(rma, rkey, remote_addr);
    if (status == UCS_OK) {
        status = uct_eesp_rma_send_packet(rma->ep, data->iov_base,
                                          data->iov_len);
    }
    if (status != UCS_OK) {
        ucs_mpool_put_inline(op);
        return status;
    }
    uct_eesp_rma_posted(rma, 1);
    rma->cursor_number   = rma->number + 1;
    rma->cursor.address += data->iov_len;
    op->number           = rma->number;
    ucs_queue_push(&rma->ops, &op->queue);
    return UCS_INPROGRESS;
}

ucs_status_t uct_eesp_ep_put_zcopy(uct_ep_h tl_ep, const uct_iov_t *iov,
                                   size_t iovcnt, uint64_t remote_addr,
                                   uct_rkey_t rkey, uct_completion_t *comp)
{
    struct iovec data = {NULL, uct_iov_total_length(iov, iovcnt)};
    uct_eesp_rma_ep_t *rma;
    ucs_status_t status;

    UCT_CHECK_IOV_SIZE(iovcnt, 1ul, "put_zcopy");
    UCT_CHECK_LENGTH(data.iov_len, 0,
                     uct_eesp_rma_chunk(ucs_derived_of(tl_ep->iface,
                                                       uct_eesp_iface_t)),
                     "put_zcopy");
    if (data.iov_len == 0) {
        return UCS_OK;
    }
    data.iov_base = iov->buffer;
    status        = uct_eesp_rma_begin(tl_ep, &rma);
    if (status == UCS_OK) {
        status = uct_eesp_rma_put_zcopy(rma, &data, remote_addr, rkey, comp);
        uct_eesp_rma_end(rma);
    }
    return status;
}

/* ---- Get ------------------------------------------------------------------ */

static ucs_status_t uct_eesp_rma_get(uct_ep_h tl_ep, uct_eesp_rma_op_type_t type,
                                     uct_unpack_callback_t unpack_cb,
                                     void *result, size_t length,
                                     uint64_t remote_addr, uct_rkey_t rkey,
                                     uct_completion_t *comp)
{
    uint8_t message[UCT_EESP_RMA_GET_LEN];
    struct iovec part = {message, sizeof(message)};
    uct_eesp_rma_ep_t *rma;
    uct_eesp_rma_op_t *op;
    ucs_status_t status;
    uint64_t flags;

    if (length == 0) {
        return UCS_OK;
    }
    status = uct_eesp_rma_begin(tl_ep, &rma);
    if (status != UCS_OK) {
        return status;
    }
    op = uct_eesp_rma_op_get(rma, type, comp);
    if (op == NULL) {
        uct_eesp_rma_end(rma);
        return UCS_ERR_NO_MEMORY;
    }

    op->unpack_cb = unpack_cb;
    op->result    = result;
    op->length    = length;
    uct_eesp_rma_request(rma, rkey, remote_addr, message);
    flags = (type == UCT_EESP_RMA_OP_PIECE) ||
            (length <= uct_eesp_rma_max_copy(uct_eesp_rma_iface(rma))) ?
            UCT_EESP_RMA_FLAG_PIECE :
            rma->announce ? UCT_EESP_RMA_FLAG_ANNOUNCE : 0;
    store64(message + UCT_EESP_RMA_REQUEST, flags);
    store64(message + UCT_EESP_RMA_REQUEST + 8, length);
    status = uct_eesp_rma_post_op(rma, UCT_EESP_RMA_GET, &part, 1, op);
    if ((status == UCS_INPROGRESS) && (flags & UCT_EESP_RMA_FLAG_ANNOUNCE)) {
        rma->announce = 0;
    }
    uct_eesp_rma_end(rma);
    return status;
}

ucs_status_t uct_eesp_ep_get_bcopy(uct_ep_h tl_ep,
                                   uct_unpack_callback_t unpack_cb, void *arg,
                                   size_t length, uint64_t remote_addr,
                                   uct_rkey_t rkey, uct_completion_t *comp)
{
    UCT_CHECK_LENGTH(length, 0,
                     uct_eesp_rma_max_bcopy(ucs_derived_of(tl_ep->iface,
                                                           uct_eesp_iface_t)),
                     "get_bcopy");
    return uct_eesp_rma_get(tl_ep, UCT_EESP_RMA_OP_PIECE, unpack_cb, arg,
                            length, remote_addr, rkey, comp);
}

ucs_status_t uct_eesp_ep_get_zcopy(uct_ep_h tl_ep, const uct_iov_t *iov,
                                   size_t iovcnt, uint64_t remote_addr,
                                   uct_rkey_t rkey, uct_completion_t *comp)
{
    size_t length = uct_iov_total_length(iov, iovcnt);
    ucs_status_t status;

    UCT_CHECK_IOV_SIZE(iovcnt, 1ul, "get_zcopy");
    if (ucs_unlikely(ucs_derived_of(tl_ep->iface, uct_eesp_iface_t)->offload !=
                     NULL) && (length >= UCT_EESP_OFFLOAD_MIN) &&
        (length <= UCT_EESP_OFFLOAD_MAX)) {
        status = uct_eesp_offload_get(tl_ep, iov, remote_addr, rkey, comp);
        if (status != UCS_ERR_UNSUPPORTED) {
            return status;
        }
    }
    return uct_eesp_rma_get(tl_ep, UCT_EESP_RMA_OP_BUFFER, NULL, iov->buffer,
                            length, remote_addr, rkey, comp);
}
