/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rma_serve: requests of peers. UCT's callbacks name no sender, but the packet
 * does: a requesting interface is known by its incarnation, and has said where
 * replies to it go before it asks for anything.
 */
#include "rma.h"

#include <ucs/debug/memtrack_int.h>

#include "bytes.h"

#define UCT_EESP_RMA_TELL 8

/* ---- Peers ---------------------------------------------------------------- */

static uct_eesp_rma_peer_t *uct_eesp_rma_peer_find(uct_eesp_iface_t *iface,
                                                   uint64_t incarnation)
{
    khiter_t iter = kh_get(uct_eesp_rma_peer, &iface->rma->peers, incarnation);

    return iter == kh_end(&iface->rma->peers) ?
           NULL : kh_value(&iface->rma->peers, iter);
}

uct_eesp_rma_peer_t *uct_eesp_rma_peer(uct_eesp_iface_t *iface,
                                       const struct eesp_opened *opened)
{
    uct_eesp_rma_peer_t *peer = uct_eesp_rma_peer_find(iface,
                                                       opened->incarnation);

    if ((peer == NULL) && (iface->rma->told++ < UCT_EESP_RMA_TELL)) {
        ucs_error("eesp: rma: request of rank %u that gave no address to "
                  "answer to, or one that is refused", opened->source_rank);
    }
    return peer;
}

/* Lets go of the endpoint, which is destroyed if it is ours. */
static void uct_eesp_rma_peer_close(uct_eesp_rma_peer_t *peer)
{
    uct_eesp_ep_t *ep = peer->ep;

    if (ep == NULL) {
        return;
    }
    uct_eesp_rma_withdraw(peer);
    peer->ep   = NULL;
    ep->serves = NULL;
    if (ep->hidden) {
        uct_ep_destroy(&ep->super.super);
    }
}

static void uct_eesp_rma_peer_free(uct_eesp_rma_peer_t *peer)
{
    uct_eesp_rma_jobs_clear(peer);
    uct_eesp_rma_peer_close(peer);
    ucs_free(peer);
}

void uct_eesp_rma_peers_destroy(uct_eesp_iface_t *iface)
{
    uct_eesp_rma_peer_t *peer;

    kh_foreach_value(&iface->rma->peers, peer, uct_eesp_rma_peer_free(peer));
    kh_destroy_inplace(uct_eesp_rma_peer, &iface->rma->peers);
}

/* The address must be of the process that has sealed the message. */
static int uct_eesp_rma_is_own_address(uct_eesp_iface_t *iface,
                                       const void *address,
                                       const struct eesp_opened *opened)
{
    uct_eesp_address_t it;

    return uct_eesp_address_unpack(address, &it) &&
           (it.incarnation == opened->incarnation) &&
           (!(uct_eesp_iface_md(iface)->info.selectors & EESP_SELECT_RANKS) ||
            (it.rank == opened->source_rank));
}

/* An endpoint of the program's to that interface will do, as long as it lives. */
static int uct_eesp_rma_peer_borrow(uct_eesp_rma_peer_t *peer)
{
    uct_eesp_ep_t *ep;

    ucs_list_for_each(ep, &peer->iface->eps, list) {
        if (ep->has_peer && !ep->failed && (ep->serves == NULL) &&
            (ep->channels[0].destination.incarnation == peer->incarnation)) {
            peer->ep   = ep;
            ep->serves = peer;
            return 1;
        }
    }
    return 0;
}

/* Its process is not counted: no endpoint of the program's leads there, and
 * one that takes its place must not be taken for its twin. */
static ucs_status_t uct_eesp_rma_peer_connect(uct_eesp_rma_peer_t *peer)
{
    uct_ep_params_t params = {
        .field_mask = UCT_EP_PARAM_FIELD_IFACE | UCT_EP_PARAM_FIELD_DEV_ADDR |
                      UCT_EP_PARAM_FIELD_IFACE_ADDR,
        .iface      = &peer->iface->super.super,
        .dev_addr   = (uct_device_addr_t*)peer->dev_addr,
        .iface_addr = (uct_iface_addr_t*)peer->iface_addr,
    };
    ucs_status_t status;
    uct_ep_h ep;

    if (uct_eesp_rma_peer_borrow(peer)) {
        return UCS_OK;
    }
    status = uct_ep_create(&params, &ep);
    if (status == UCS_OK) {
        peer->ep           = ucs_derived_of(ep, uct_eesp_ep_t);
        peer->ep->serves   = peer;
        peer->ep->hidden   = 1;
        peer->ep->has_peer = 0;
        uct_eesp_address_leave(uct_eesp_iface_md(peer->iface),
                               peer->ep->identity);
    }
    return status;
}

void uct_eesp_rma_peer_visit(uct_eesp_rma_peer_t *peer)
{
    ucs_status_t status;
    khiter_t iter;

    peer->visits = 0;
    ucs_list_del(&peer->visit);
    uct_eesp_rma_peer_close(peer);
    if (!peer->failed) {
        status = uct_eesp_rma_peer_connect(peer);
        if (status == UCS_OK) {
            uct_eesp_rma_jobs_start(peer);
            return;
        }
        ucs_error("eesp: rma: cannot answer a requester: %s",
                  ucs_status_string(status));
    }
    iter = kh_get(uct_eesp_rma_peer, &peer->iface->rma->peers,
                  peer->incarnation);
    kh_del(uct_eesp_rma_peer, &peer->iface->rma->peers, iter);
    uct_eesp_rma_peer_free(peer);
}

/* Not from inside the lower's callback: UCX's tcp would put a new endpoint in
 * the place of the one that it is just reading from. */
void uct_eesp_rma_peer_later(uct_eesp_rma_peer_t *peer)
{
    if (!peer->visits) {
        peer->visits = 1;
        ucs_list_add_tail(&peer->iface->rma->visits, &peer->visit);
        uct_eesp_rma_later(peer->iface);
    }
}

void uct_eesp_rma_peer_fail(uct_eesp_rma_peer_t *peer)
{
    peer->failed = 1;
    uct_eesp_rma_jobs_clear(peer);
    uct_eesp_rma_peer_later(peer);
}

void uct_eesp_rma_peer_leave(uct_eesp_ep_t *ep)
{
    uct_eesp_rma_peer_t *peer = ep->serves;

    if (peer != NULL) {
        peer->ep   = NULL;
        ep->serves = NULL;
        uct_eesp_rma_peer_later(peer);
    }
}

/*
 * Lowers that see no end of a connection are asked, each time that the peers
 * have become twice as many: what dead ones leave behind stays that small.
 */
static void uct_eesp_rma_sweep(uct_eesp_iface_t *iface)
{
    uct_eesp_rma_t *of = iface->rma;
    uct_eesp_rma_peer_t *peer;

    if (!(iface->lower_attr.cap.flags & UCT_IFACE_FLAG_EP_CHECK) ||
        (kh_size(&of->peers) < of->sweep_at)) {
        return;
    }
    kh_foreach_value(&of->peers, peer, {
        if ((peer->ep != NULL) && !peer->failed) {
            (void)uct_ep_check(peer->ep->lower, 0, NULL);
        }
    });
    of->sweep_at = ucs_max(UCT_EESP_RMA_SWEEP, 2 * kh_size(&of->peers));
}

static uct_eesp_rma_peer_t *uct_eesp_rma_peer_create(uct_eesp_iface_t *iface,
                                                     uint64_t incarnation)
{
    uct_eesp_rma_peer_t *peer = ucs_calloc(1, sizeof(*peer), "eesp rma peer");
    khiter_t iter;
    int ret;

    if (peer == NULL) {
        return NULL;
    }
    iter = kh_put(uct_eesp_rma_peer, &iface->rma->peers, incarnation, &ret);
    if (ret < 0) {
        ucs_free(peer);
        return NULL;
    }
    kh_value(&iface->rma->peers, iter) = peer;
    peer->iface                        = iface;
    peer->incarnation                  = incarnation;
    ucs_queue_head_init(&peer->jobs);
    return peer;
}

static void uct_eesp_rma_hello(uct_eesp_iface_t *iface,
                               const uct_eesp_rma_message_t *message)
{
    size_t iface_length       = load16(message->data + 4);
    size_t device_length      = load16(message->data + 6);
    uint64_t incarnation      = message->opened->incarnation;
    uct_eesp_rma_peer_t *peer = uct_eesp_rma_peer_find(iface, incarnation);
    uint64_t iface_addr[ucs_static_array_size(peer->iface_addr)];
    uint64_t dev_addr[ucs_static_array_size(peer->dev_addr)];

    if ((iface_length < UCT_EESP_ADDRESS_LEN) ||
        (iface_length > sizeof(iface_addr)) ||
        (device_length > sizeof(dev_addr)) ||
        (message->length != UCT_EESP_RMA_HEAD + iface_length + device_length) ||
        ((peer != NULL) && !peer->failed)) {
        return; /* each endpoint of that interface says it */
    }
    memcpy(iface_addr, message->data + UCT_EESP_RMA_HEAD, iface_length);
    memcpy(dev_addr, message->data + UCT_EESP_RMA_HEAD + iface_length,
           device_length);
    if (!uct_eesp_rma_is_own_address(iface, iface_addr, message->opened) ||
        !uct_iface_is_reachable(&iface->super.super,
                                (uct_device_addr_t*)dev_addr,
                                (uct_iface_addr_t*)iface_addr)) {
        return; /* its requests will be told of */
    }

    if (peer == NULL) {
        uct_eesp_rma_sweep(iface);
        peer = uct_eesp_rma_peer_create(iface, incarnation);
        if (peer == NULL) {
            return;
        }
    }
    memcpy(peer->iface_addr, iface_addr, iface_length);
    memcpy(peer->dev_addr, dev_addr, device_length);
    peer->failed = 0; /* its connection broke, and it comes again */
    uct_eesp_rma_peer_later(peer);
}

/* ---- Requests -------------------------------------------------------------- */

void uct_eesp_rma_refuse(uct_eesp_rma_peer_t *peer, uint32_t token,
                         uint64_t number, ucs_status_t status,
                         const struct eesp_opened *opened)
{
    uct_eesp_rma_job_t job = {.type   = UCT_EESP_RMA_REFUSED,
                              .token  = token,
                              .number = number,
                              .first  = number,
                              .status = status};

    if (peer->iface->rma->told++ < UCT_EESP_RMA_TELL) {
        ucs_warn("eesp: rma: request %lu of rank %u refused: %s", number,
                 opened->source_rank,
                 (status == UCS_ERR_INVALID_ADDR) ? "no such key" :
                 (status == UCS_ERR_OUT_OF_RANGE) ? "outside of its region" :
                 "not allowed");
    }
    uct_eesp_rma_job_add(peer, &job);
}

static ucs_status_t uct_eesp_rma_put(uct_eesp_iface_t *iface,
                                     const uct_eesp_access_t *access,
                                     const void *data, size_t length)
{
    uct_eesp_md_t *md = uct_eesp_iface_md(iface);
    uct_eesp_region_t *region;
    ucs_status_t status;

    status = uct_eesp_region_get(md, access, length,
                                 UCT_MD_MEM_ACCESS_REMOTE_PUT, &region);
    if (status == UCS_OK) {
        memcpy((void*)access->address, data, length);
        uct_eesp_region_put(md, region);
    }
    return status;
}

/* p: behind key and address. */
static ucs_status_t uct_eesp_rma_atomic(uct_eesp_iface_t *iface,
                                        const uct_eesp_access_t *access,
                                        const uint8_t *p, uint64_t *before_p)
{
    uct_eesp_md_t *md = uct_eesp_iface_md(iface);
    uct_eesp_region_t *region;
    ucs_status_t status;

    if (((p[1] != 4) && (p[1] != 8)) || (access->address % p[1] != 0)) {
        return UCS_ERR_REJECTED;
    }
    status = uct_eesp_region_get(md, access, p[1],
                                 UCT_MD_MEM_ACCESS_REMOTE_ATOMIC, &region);
    if (status == UCS_OK) {
        if (!uct_eesp_rma_execute((void*)access->address, p[0], p[1],
                                  load64(p + 8), load64(p + 16), before_p)) {
            status = UCS_ERR_REJECTED;
        }
        uct_eesp_region_put(md, region);
    }
    return status;
}

/* Requests that name memory; message is as long as its type wants. */
static void uct_eesp_rma_access(uct_eesp_iface_t *iface,
                                uct_eesp_rma_peer_t *peer,
                                const uct_eesp_rma_message_t *message)
{
    const uint8_t *p       = message->data + UCT_EESP_RMA_REQUEST;
    ucs_status_t status    = UCS_OK;
    uct_eesp_rma_job_t job = {.token  = load32(message->data),
                              .number = load64(message->data + 8)};
    uct_eesp_rma_cursor_t cursor;

    memcpy(job.access.key, message->data + UCT_EESP_RMA_HEAD, UCT_EESP_RMA_KEY);
    job.access.address = load64(p - 8);

    switch (message->type) {
    case UCT_EESP_RMA_PUT:
        status = uct_eesp_rma_put(iface, &job.access, p + 8, message->length -
                                  UCT_EESP_RMA_PUT_LEN);
        if ((status == UCS_OK) && (load64(p) & UCT_EESP_RMA_FLAG_ACK)) {
            uct_eesp_rma_owe(peer, job.token, job.number);
        }
        break;
    case UCT_EESP_RMA_CURSOR:
        cursor = (uct_eesp_rma_cursor_t){.type   = UCT_EESP_RMA_CURSOR,
                                         .token  = job.token,
                                         .number = job.number,
                                         .access = job.access};
        uct_eesp_rma_cursor_set(iface, message->opened, &cursor);
        break;
    case UCT_EESP_RMA_GET:
        job.type   = UCT_EESP_RMA_GET;
        job.piece  = load64(p) & UCT_EESP_RMA_FLAG_PIECE;
        job.length = load64(p + 8);
        if ((job.length == 0) ||
            (job.piece && (job.length > uct_eesp_rma_max_bcopy(iface)))) {
            status = UCS_ERR_REJECTED;
        } else {
            uct_eesp_rma_job_add(peer, &job);
        }
        break;
    default:
        status = uct_eesp_rma_atomic(iface, &job.access, p, &job.value);
        if ((status == UCS_OK) && p[2]) {
            job.type = UCT_EESP_RMA_VALUE;
            uct_eesp_rma_job_add(peer, &job);
        }
        break;
    }
    if (status != UCS_OK) {
        uct_eesp_rma_refuse(peer, job.token, job.number, status,
                            message->opened);
    }
}

static size_t uct_eesp_rma_least(uint8_t type)
{
    switch (type) {
    case UCT_EESP_RMA_PUT:
        return UCT_EESP_RMA_PUT_LEN;
    case UCT_EESP_RMA_CURSOR:
        return UCT_EESP_RMA_REQUEST;
    case UCT_EESP_RMA_GET:
        return UCT_EESP_RMA_GET_LEN;
    case UCT_EESP_RMA_ATOMIC:
        return UCT_EESP_RMA_ATOMIC_LEN;
    default:
        return UCT_EESP_RMA_HEAD;
    }
}

void uct_eesp_rma_handle_request(uct_eesp_iface_t *iface,
                                 const uct_eesp_rma_message_t *message)
{
    uct_eesp_rma_peer_t *peer;
    uct_eesp_rma_job_t job;

    if (message->type == UCT_EESP_RMA_HELLO) {
        uct_eesp_rma_hello(iface, message);
        return;
    }

    peer = uct_eesp_rma_peer(iface, message->opened);
    if ((peer == NULL) || peer->failed ||
        (message->length < uct_eesp_rma_least(message->type))) {
        return;
    }
    if (message->type == UCT_EESP_RMA_ASK) {
        job = (uct_eesp_rma_job_t){.type   = UCT_EESP_RMA_ACK,
                                   .token  = load32(message->data),
                                   .number = load64(message->data + 8)};
        uct_eesp_rma_job_add(peer, &job);
    } else {
        uct_eesp_rma_access(iface, peer, message);
    }
}
