/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rma_peer: who asks, and our endpoint to answer over. UCT's callbacks name no
 * sender, but the packet does: a requesting interface is known by its
 * incarnation, and has said where replies to it go before it asks for anything.
 * Over lowers that connect endpoint to endpoint, replies go over our endpoint of
 * the pair that the request came on: its peer has told by which Session ID it
 * sends.
 */
#include "offload.h"

#include <ucs/debug/memtrack_int.h>

#include "bytes.h"

static uint64_t uct_eesp_rma_peer_index(const uct_eesp_iface_t *iface,
                                        const struct eesp_opened *opened)
{
    return iface->p2p ? uct_eesp_rma_sender(opened->incarnation,
                                            opened->session_id) :
                        opened->incarnation;
}

static uct_eesp_rma_peer_t *
uct_eesp_rma_peer_find(uct_eesp_iface_t *iface,
                       const struct eesp_opened *opened)
{
    khiter_t iter = kh_get(uct_eesp_rma_peer, &iface->rma->peers,
                           uct_eesp_rma_peer_index(iface, opened));
    uct_eesp_rma_peer_t *peer;

    if (iter == kh_end(&iface->rma->peers)) {
        return NULL;
    }
    peer = kh_value(&iface->rma->peers, iter);
    return (peer->incarnation == opened->incarnation) &&
           (!iface->p2p || (peer->session == opened->session_id)) ? peer : NULL;
}

/* Lets go of the endpoint, which is destroyed if it is ours. */
static void uct_eesp_rma_peer_close(uct_eesp_rma_peer_t *peer)
{
    uct_eesp_ep_t *ep = peer->ep;

    if (ep == NULL) {
        return;
    }
    uct_eesp_rma_withdraw(peer);
    uct_eesp_rma_unannounce(peer);
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
    uct_eesp_offload_peer_leave(peer);
    ucs_free(peer);
}

static void uct_eesp_rma_peer_remove(uct_eesp_rma_peer_t *peer)
{
    khash_t(uct_eesp_rma_peer) *peers = &peer->iface->rma->peers;

    if (peer->visits) {
        ucs_list_del(&peer->visit);
    }
    kh_del(uct_eesp_rma_peer, peers,
           kh_get(uct_eesp_rma_peer, peers, peer->index));
    uct_eesp_rma_peer_free(peer);
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

/* An endpoint of the program's to that interface will do, as long as it lives; or
 * the one that is connected to the requester's. */
static int uct_eesp_rma_peer_borrow(uct_eesp_rma_peer_t *peer)
{
    uct_eesp_ep_t *ep;

    ucs_list_for_each(ep, &peer->iface->eps, list) {
        if (ep->has_peer && !ep->failed && (ep->serves == NULL) &&
            (ep->channels[0].destination.incarnation == peer->incarnation) &&
            (!peer->iface->p2p || (ep->peer_session == peer->session))) {
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
    if (peer->iface->p2p) {
        return UCS_ERR_NOT_CONNECTED;
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
    uct_eesp_rma_peer_remove(peer);
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

    if (peer == NULL) {
        return;
    }
    peer->ep   = NULL;
    ep->serves = NULL;
    if (peer->iface->p2p) {
        uct_eesp_rma_peer_remove(peer); /* no other one leads there */
    } else if (!ucs_queue_is_empty(&peer->jobs)) {
        uct_eesp_rma_peer_later(peer);
    } /* else with the next answer: most often both are about to end */
}

/*
 * Lowers that see no end of a connection are asked, each time that the peers
 * have become twice as many, and those to which there is no endpoint get one:
 * what dead ones leave behind stays that small.
 */
static void uct_eesp_rma_sweep(uct_eesp_iface_t *iface)
{
    uct_eesp_rma_t *of = iface->rma;
    uct_eesp_rma_peer_t *peer;

    if (kh_size(&of->peers) < of->sweep_at) {
        return;
    }
    kh_foreach_value(&of->peers, peer, {
        if (peer->ep == NULL) {
            uct_eesp_rma_peer_later(peer);
        } else if (!peer->failed && (iface->lower_attr.cap.flags &
                                     UCT_IFACE_FLAG_EP_CHECK)) {
            (void)uct_ep_check(peer->ep->lower, 0, NULL);
        }
    });
    of->sweep_at = ucs_max(UCT_EESP_RMA_SWEEP, 2 * kh_size(&of->peers));
}

static uct_eesp_rma_peer_t *
uct_eesp_rma_peer_create(uct_eesp_iface_t *iface,
                         const struct eesp_opened *opened)
{
    uint64_t index            = uct_eesp_rma_peer_index(iface, opened);
    uct_eesp_rma_peer_t *peer = ucs_calloc(1, sizeof(*peer), "eesp rma peer");
    khiter_t iter;
    int ret;

    if (peer == NULL) {
        return NULL;
    }
    iter = kh_put(uct_eesp_rma_peer, &iface->rma->peers, index, &ret);
    if (ret <= 0) { /* no memory, or another one has it */
        ucs_free(peer);
        return NULL;
    }
    kh_value(&iface->rma->peers, iter) = peer;
    peer->iface                        = iface;
    peer->index                        = index;
    peer->incarnation                  = opened->incarnation;
    peer->session                      = opened->session_id;
    ucs_queue_head_init(&peer->jobs);
    return peer;
}

/* The requester at the other end of an endpoint of ours. */
static uct_eesp_rma_peer_t *
uct_eesp_rma_peer_pair(uct_eesp_iface_t *iface,
                       const struct eesp_opened *opened)
{
    uct_eesp_rma_peer_t *peer = uct_eesp_rma_peer_create(iface, opened);

    if ((peer != NULL) && !uct_eesp_rma_peer_borrow(peer)) {
        uct_eesp_rma_peer_remove(peer);
        return NULL;
    }
    return peer;
}

uct_eesp_rma_peer_t *uct_eesp_rma_peer(uct_eesp_iface_t *iface,
                                       const struct eesp_opened *opened)
{
    uct_eesp_rma_peer_t *peer = uct_eesp_rma_peer_find(iface, opened);

    if (ucs_unlikely(peer == NULL) && iface->p2p) {
        peer = uct_eesp_rma_peer_pair(iface, opened);
    }
    if ((peer == NULL) && (iface->rma->told++ < UCT_EESP_RMA_TELL)) {
        ucs_error("eesp: rma: request of rank %u that gave no address to "
                  "answer to, or one that is refused", opened->source_rank);
    }
    return peer;
}

void uct_eesp_rma_hello(uct_eesp_iface_t *iface,
                        const uct_eesp_rma_message_t *message)
{
    size_t iface_length       = load16(message->data + 4);
    size_t device_length      = load16(message->data + 6);
    uct_eesp_rma_peer_t *peer = uct_eesp_rma_peer_find(iface, message->opened);
    uint64_t iface_addr[ucs_static_array_size(peer->iface_addr)];
    uint64_t dev_addr[ucs_static_array_size(peer->dev_addr)];

    if (iface->p2p || (iface_length < UCT_EESP_ADDRESS_LEN) ||
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
        peer = uct_eesp_rma_peer_create(iface, message->opened);
        if (peer == NULL) {
            return;
        }
    }
    memcpy(peer->iface_addr, iface_addr, iface_length);
    memcpy(peer->dev_addr, dev_addr, device_length);
    peer->failed = 0; /* its connection broke, and it comes again */
    uct_eesp_rma_peer_later(peer);
}
