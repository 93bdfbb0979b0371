/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pending: an endpoint's queue of sends that wait for the lower. UCX's own
 * shared-memory transports lose such requests at a flush (they report it done
 * while requests wait); so they wait here, are counted, and the lower only
 * holds one request of ours, which stands for the whole queue.
 */
#include "rma.h"

/* Sends of one endpoint before others get their turn. */
#define UCT_EESP_DISPATCH_MAX 16

static ucs_queue_elem_t *uct_eesp_pending_elem(uct_pending_req_t *req)
{
    return (ucs_queue_elem_t*)&req->priv;
}

static uct_pending_req_t *uct_eesp_pending_pull(uct_eesp_channel_t *channel)
{
    return ucs_container_of(ucs_queue_pull_non_empty(&channel->pending),
                            uct_pending_req_t, priv);
}

/*
 * The lower has room. UCS_OK takes our request off its queue. An async lower
 * calls with its lock held, and in its thread only for the async channel.
 */
static ucs_status_t uct_eesp_pending_dispatch(uct_pending_req_t *lower_req)
{
    uct_eesp_channel_t *channel = ucs_container_of(lower_req,
                                                   uct_eesp_channel_t,
                                                   lower_req);
    ucs_status_t status         = UCS_OK;
    uct_pending_req_t *req;
    unsigned count;

    ++channel->ep->dispatching;
    for (count = 0; !ucs_queue_is_empty(&channel->pending); ++count) {
        if (count == UCT_EESP_DISPATCH_MAX) {
            status = UCS_INPROGRESS;
            break;
        }
        req    = uct_eesp_pending_pull(channel);
        status = req->func(req);
        if (status != UCS_OK) {
            ucs_queue_push_head(&channel->pending, uct_eesp_pending_elem(req));
            break;
        }
        --uct_eesp_ep_iface(channel->ep)->num_pending;
    }
    --channel->ep->dispatching;

    if (ucs_queue_is_empty(&channel->pending)) {
        channel->lower_req_added = 0;
        return UCS_OK;
    }
    return status;
}

ucs_status_t uct_eesp_ep_pending_add(uct_ep_h tl_ep, uct_pending_req_t *req,
                                     unsigned flags)
{
    uct_eesp_ep_t *ep           = ucs_derived_of(tl_ep, uct_eesp_ep_t);
    uct_eesp_iface_t *iface     = uct_eesp_ep_iface(ep);
    uct_eesp_channel_t *channel = &ep->channels[iface->async &&
                                                (flags & UCT_CB_FLAG_ASYNC)];
    ucs_status_t status         = UCS_OK;

    UCS_STATIC_ASSERT(sizeof(ucs_queue_elem_t) <= UCT_PENDING_REQ_PRIV_LEN);
    uct_eesp_enter(iface);
    if (!channel->lower_req_added) {
        channel->lower_req.func = uct_eesp_pending_dispatch;
        status = uct_ep_pending_add(ep->lower, &channel->lower_req, flags);
        if (status != UCS_OK) {
            goto out; /* UCS_ERR_BUSY: there is room, send now */
        }
        channel->lower_req_added = 1;
    }

    ucs_queue_push(&channel->pending, uct_eesp_pending_elem(req));
    ++iface->num_pending;
out:
    uct_eesp_leave(iface);
    return status;
}

/* Purging takes all of our requests off the lower, also those of a channel
 * that goes on. */
static void uct_eesp_pending_forget(uct_pending_req_t *lower_req, void *arg)
{
    ucs_container_of(lower_req, uct_eesp_channel_t,
                     lower_req)->lower_req_added = 0;
}

void uct_eesp_ep_pending_purge(uct_ep_h tl_ep, uct_pending_purge_callback_t cb,
                               void *arg)
{
    uct_eesp_ep_t *ep       = ucs_derived_of(tl_ep, uct_eesp_ep_t);
    uct_eesp_iface_t *iface = uct_eesp_ep_iface(ep);
    uct_eesp_channel_t *channel;
    uct_pending_req_t *req;
    int added = 0;

    uct_eesp_enter(iface);
    for (channel = ep->channels; channel < &ep->channels[ep->num_channels];
         ++channel) {
        added |= channel->lower_req_added;
    }
    /* While it dispatches, the lower has our request in its hands and takes
     * it off itself when it finds the queue empty. */
    if (added && !ep->dispatching) {
        uct_ep_pending_purge(ep->lower, uct_eesp_pending_forget, NULL);
    }
    for (channel = ep->channels; channel < &ep->channels[ep->num_channels];
         ++channel) {
        while (!ucs_queue_is_empty(&channel->pending)) {
            --iface->num_pending;
            req = uct_eesp_pending_pull(channel);
            if (!uct_eesp_rma_forget(req)) {
                cb(req, arg);
            }
        }
    }
    uct_eesp_leave(iface);
}

void uct_eesp_channel_init(uct_eesp_channel_t *channel, uct_eesp_ep_t *ep)
{
    memset(&channel->destination, 0, sizeof(channel->destination));
    ucs_queue_head_init(&channel->pending);
    channel->ep              = ep;
    channel->last            = 0;
    channel->sealing         = (uct_eesp_ways_t){.count = 0};
    channel->lower_req_added = 0;
    channel->announced       = NULL;
    channel->announced_token = 0;
}

static void uct_eesp_pending_lost(uct_pending_req_t *req, void *arg)
{
    ucs_warn("eesp: endpoint %p destroyed with pending request %p", arg, req);
}

void uct_eesp_ep_pending_cleanup(uct_eesp_ep_t *ep)
{
    uct_eesp_ep_pending_purge(&ep->super.super, uct_eesp_pending_lost, ep);
}
