/* SPDX-License-Identifier: BSD-3-Clause */
/* ep: endpoints: order, and their life. What they send: send.c. */
#include "rma.h"

#include "bytes.h"

/* ---- Order ------------------------------------------------------------- */

ucs_status_t uct_eesp_ep_flush(uct_ep_h tl_ep, unsigned flags,
                               uct_completion_t *comp)
{
    uct_eesp_ep_t *ep       = ucs_derived_of(tl_ep, uct_eesp_ep_t);
    uct_eesp_iface_t *iface = uct_eesp_ep_iface(ep);
    ucs_status_t status;

    /* As with the lower alone, it does not wait for wire-up messages that wait:
     * they have a channel of their own, and the caller's turn in the queue,
     * where it may try again, is one of the first channel's. */
    if (uct_eesp_channel_blocked(&ep->channels[0]) &&
        !(flags & UCT_FLUSH_FLAG_CANCEL)) {
        return UCS_ERR_NO_RESOURCE;
    }
    if (ep->rma != NULL) {
        uct_eesp_enter(iface);
        status = uct_eesp_rma_flush(ep, flags, comp);
        uct_eesp_leave(iface);
        if (status != UCS_OK) {
            return status;
        }
    }
    return uct_ep_flush(ep->lower, flags, comp);
}

ucs_status_t uct_eesp_ep_fence(uct_ep_h tl_ep, unsigned flags)
{
    return uct_ep_fence(ucs_derived_of(tl_ep, uct_eesp_ep_t)->lower, flags);
}

ucs_status_t uct_eesp_ep_check(uct_ep_h tl_ep, unsigned flags,
                               uct_completion_t *comp)
{
    return uct_ep_check(ucs_derived_of(tl_ep, uct_eesp_ep_t)->lower, flags,
                        comp);
}

ucs_status_t uct_eesp_ep_query(uct_ep_h tl_ep, uct_ep_attr_t *attr)
{
    return uct_ep_query(ucs_derived_of(tl_ep, uct_eesp_ep_t)->lower, attr);
}

/* ---- Life -------------------------------------------------------------- */

/*
 * Session ID: its own key and its own order at the receiver. Numbers come
 * from the interface's counter, so even one that comes again goes on upwards.
 */
static ucs_status_t uct_eesp_ep_take_session(uct_eesp_iface_t *iface,
                                             uint16_t *session_p)
{
    unsigned tries;
    uint16_t id;

    for (tries = 0; tries < 65536; ++tries) {
        id = iface->next_session++;
        if (!(iface->sessions[id / 64] & UCS_BIT(id % 64))) {
            iface->sessions[id / 64] |= UCS_BIT(id % 64);
            *session_p                = id;
            return UCS_OK;
        }
    }
    ucs_error("eesp: 65536 endpoints are in use on %s: no further one",
              iface->lower_dev->name);
    return UCS_ERR_EXCEEDS_LIMIT;
}

static void uct_eesp_ep_give_session(uct_eesp_iface_t *iface, uint16_t id)
{
    iface->sessions[id / 64] &= ~UCS_BIT(id % 64);
}

static ucs_status_t uct_eesp_ep_enlist(uct_eesp_iface_t *iface,
                                       uct_eesp_ep_t *ep)
{
    khiter_t iter;
    int ret;

    ucs_recursive_spin_lock(&iface->lock);
    iter = kh_put(uct_eesp_ep, &iface->by_lower, (uintptr_t)ep->lower, &ret);
    if (ret >= 0) {
        kh_value(&iface->by_lower, iter) = &ep->super.super;
        ucs_list_add_tail(&iface->eps, &ep->list);
    }
    ucs_recursive_spin_unlock(&iface->lock);
    return ret < 0 ? UCS_ERR_NO_MEMORY : UCS_OK;
}

static void uct_eesp_ep_delist(uct_eesp_iface_t *iface, uct_eesp_ep_t *ep)
{
    khiter_t iter;

    ucs_recursive_spin_lock(&iface->lock);
    iter = kh_get(uct_eesp_ep, &iface->by_lower, (uintptr_t)ep->lower);
    if (iter != kh_end(&iface->by_lower)) {
        kh_del(uct_eesp_ep, &iface->by_lower, iter);
    }
    ucs_list_del(&ep->list);
    ucs_recursive_spin_unlock(&iface->lock);
}

/* What a receiver binds to is in what it published: nothing without it. */
static ucs_status_t uct_eesp_ep_meet(uct_eesp_ep_t *ep, const void *prefix)
{
    uct_eesp_iface_t *iface = uct_eesp_ep_iface(ep);
    struct eesp_destination *destination;
    uct_eesp_address_t address;
    ucs_status_t status;
    unsigned i;

    if (!uct_eesp_address_unpack(prefix, &address) ||
        !uct_eesp_address_accept(iface, &address)) {
        return UCS_ERR_UNREACHABLE;
    }

    status = uct_eesp_iface_know(iface, address.incarnation);
    if (status != UCS_OK) {
        return status;
    }
    status = uct_eesp_address_enter(uct_eesp_iface_md(iface), &address,
                                    &ep->identity);
    if (status != UCS_OK) {
        return status;
    }
    ep->has_peer     = 1;
    ep->peer_rma     = address.rma && (iface->rma != NULL);
    ep->peer_offload = address.offload && (iface->offload != NULL);

    for (i = 0; i < ep->num_channels; ++i) {
        destination              = &ep->channels[i].destination;
        destination->incarnation = address.incarnation;
        destination->id          = address.process;
        destination->rank        = address.rank;
    }
    return UCS_OK;
}

static void uct_eesp_ep_give_sessions(uct_eesp_ep_t *ep)
{
    while (ep->num_channels > 0) {
        uct_eesp_ep_give_session(uct_eesp_ep_iface(ep),
                                 ep->channels[--ep->num_channels]
                                         .destination.session_id);
    }
}

/* Session IDs, of which num_channels are taken, and the peer. */
static ucs_status_t uct_eesp_ep_prepare(uct_eesp_ep_t *ep,
                                        const uct_ep_params_t *params)
{
    uct_eesp_iface_t *iface = uct_eesp_ep_iface(ep);
    uct_eesp_channel_t *channel;
    ucs_status_t status;

    while (ep->num_channels < (iface->async ? 2u : 1u)) {
        channel = &ep->channels[ep->num_channels];
        uct_eesp_channel_init(channel, ep);
        status  = uct_eesp_ep_take_session(iface,
                                           &channel->destination.session_id);
        if (status != UCS_OK) {
            return status;
        }
        ++ep->num_channels;
    }
    /* The others name their peer in ep_connect_to_ep(). */
    return iface->p2p ? UCS_OK : uct_eesp_ep_meet(ep, params->iface_addr);
}

static UCS_CLASS_INIT_FUNC(uct_eesp_ep_t, const uct_ep_params_t *params)
{
    uct_eesp_iface_t *iface   = ucs_derived_of(params->iface,
                                               uct_eesp_iface_t);
    uct_ep_params_t lower_par = *params;
    ucs_status_t status;

    if (!iface->p2p) {
        UCT_EP_PARAMS_CHECK_DEV_IFACE_ADDRS(params);
        lower_par.iface_addr = UCS_PTR_BYTE_OFFSET(params->iface_addr,
                                                   UCT_EESP_ADDRESS_LEN);
    }
    lower_par.iface = iface->lower;
    UCS_CLASS_CALL_SUPER_INIT(uct_base_ep_t, &iface->super);

    self->failed       = 0;
    self->dispatching  = 0;
    self->has_peer     = 0;
    self->peer_rma     = 0;
    self->peer_session = 0;
    self->peer_offload = 0;
    self->rma          = NULL;
    self->serves       = NULL;
    self->hidden       = 0;
    self->num_channels = 0;
    uct_eesp_enter(iface);
    status = uct_eesp_ep_prepare(self, params);
    if (status != UCS_OK) {
        goto err;
    }
    status = uct_ep_create(&lower_par, &self->lower);
    if (status != UCS_OK) {
        goto err;
    }
    status = uct_eesp_ep_enlist(iface, self);
    if (status != UCS_OK) {
        uct_ep_destroy(self->lower);
        goto err;
    }
    uct_eesp_leave(iface);
    return UCS_OK;

err:
    uct_eesp_ep_give_sessions(self);
    if (self->has_peer) {
        uct_eesp_address_leave(uct_eesp_iface_md(iface), self->identity);
    }
    uct_eesp_leave(iface);
    return status;
}

static UCS_CLASS_CLEANUP_FUNC(uct_eesp_ep_t)
{
    uct_eesp_iface_t *iface = uct_eesp_ep_iface(self);

    uct_eesp_enter(iface);
    uct_eesp_ep_pending_cleanup(self);
    uct_eesp_rma_ep_destroy(self);
    uct_eesp_rma_peer_leave(self);
    uct_eesp_ep_delist(iface, self);
    uct_ep_destroy(self->lower);
    uct_eesp_ep_give_sessions(self);
    if (self->has_peer) {
        uct_eesp_address_leave(uct_eesp_iface_md(iface), self->identity);
    }
    uct_eesp_leave(iface);
}

/* Endpoint to endpoint: the peer's identity travels with the lower's address,
 * since UCP hands over nothing else; and by which Session ID this one sends. */
ucs_status_t uct_eesp_ep_get_address(uct_ep_h tl_ep, uct_ep_addr_t *addr)
{
    uct_eesp_ep_t *ep = ucs_derived_of(tl_ep, uct_eesp_ep_t);
    ucs_status_t status;

    status = uct_eesp_address_pack(uct_eesp_ep_iface(ep), addr);
    if (status != UCS_OK) {
        return status;
    }
    store16(UCS_PTR_BYTE_OFFSET(addr, UCT_EESP_ADDRESS_LEN),
            ep->channels[0].destination.session_id);
    return uct_ep_get_address(ep->lower,
                              UCS_PTR_BYTE_OFFSET(addr,
                                                  UCT_EESP_EP_ADDRESS_LEN));
}

ucs_status_t uct_eesp_ep_connect_to_ep(uct_ep_h tl_ep,
                                       const uct_device_addr_t *dev_addr,
                                       const uct_ep_addr_t *ep_addr)
{
    uct_eesp_ep_t *ep = ucs_derived_of(tl_ep, uct_eesp_ep_t);
    ucs_status_t status;

    if (ep->has_peer) {
        return UCS_ERR_ALREADY_EXISTS;
    }
    status = uct_eesp_ep_meet(ep, ep_addr);
    if (status != UCS_OK) {
        return status;
    }
    ep->peer_session = load16(UCS_PTR_BYTE_OFFSET(ep_addr,
                                                  UCT_EESP_ADDRESS_LEN));
    return uct_ep_connect_to_ep(ep->lower, dev_addr,
                                UCS_PTR_BYTE_OFFSET(ep_addr,
                                                    UCT_EESP_EP_ADDRESS_LEN));
}

UCS_CLASS_DEFINE(uct_eesp_ep_t, uct_base_ep_t);
UCS_CLASS_DEFINE_NEW_FUNC(uct_eesp_ep_t, uct_ep_t, const uct_ep_params_t*);
UCS_CLASS_DEFINE_DELETE_FUNC(uct_eesp_ep_t, uct_ep_t);
