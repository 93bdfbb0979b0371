/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rma_job: replies, in the order of their requests. While the lower has no room
 * they wait in the peer's own queue, of which the lower holds one request. A get
 * looks its region up again for each packet: it may be gone since.
 */
#include "offload.h"

#include <ucs/datastruct/mpool.inl>

#include "bytes.h"

ucs_status_t uct_eesp_rma_job_post(uct_eesp_rma_peer_t *peer,
                                   const uct_eesp_rma_job_t *job, uint8_t type,
                                   const uint64_t *value, const void *data,
                                   size_t length)
{
    uint8_t message[UCT_EESP_RMA_HEAD + 8];
    struct iovec parts[2] = {{message, UCT_EESP_RMA_HEAD},
                             {(void*)data, length}};

    store32(message, job->token);
    store32(message + 4, (uint32_t)-job->status);
    store64(message + 8, job->number);
    if (value != NULL) {
        store64(message + UCT_EESP_RMA_HEAD, *value);
        parts[0].iov_len += 8;
    }
    return uct_eesp_ep_post(peer->ep, type, EESP_AM_LOWER, parts,
                            length > 0 ? 2 : 1);
}

/*
 * How much the next data packet holds: as much as fits. Over shared memory, where
 * one core seals while another opens, all in equal parts; but a get that is alone
 * begins and ends with short ones: nothing else hides the time of the first and
 * of the last.
 */
static size_t uct_eesp_rma_job_chunk(const uct_eesp_rma_peer_t *peer,
                                     const uct_eesp_rma_job_t *job)
{
    size_t most  = ucs_min(job->length, uct_eesp_rma_chunk(peer->iface));
    size_t chunk = most;

    if ((peer->iface->beside == NULL) || (job->length <= UCT_EESP_RMA_OVERLAP)) {
        return most;
    }
    if (peer->jobs.ptail != &job->queue.next) { /* others wait */
        chunk = ucs_div_round_up(job->length,
                                 ucs_div_round_up(job->length, most));
        return ucs_min(most, ucs_align_up(chunk, 64));
    }
    chunk = ucs_min(chunk, UCT_EESP_RMA_OVERLAP + job->offset);
    chunk = ucs_min(chunk, ucs_max(UCT_EESP_RMA_OVERLAP, job->length / 2));
    return job->length - chunk < UCT_EESP_RMA_OVERLAP / 2 ?
           most : ucs_align_down(chunk, 64);
}

/*
 * One data packet. A message says where it goes, unless the requester knows: it
 * goes behind the last one of this get, or is the first of the next get on the
 * same endpoint of the requester.
 */
static ucs_status_t uct_eesp_rma_job_stream(uct_eesp_rma_peer_t *peer,
                                            uct_eesp_rma_job_t *job)
{
    uct_eesp_channel_t *channel = &peer->ep->channels[0];
    size_t length               = uct_eesp_rma_job_chunk(peer, job);
    ucs_status_t status;

    if ((channel->announced != peer) ||
        (channel->announced_token != job->token) || job->announce) {
        status = uct_eesp_rma_job_post(peer, job, UCT_EESP_RMA_STREAM,
                                       &job->offset, NULL, 0);
        if (status != UCS_OK) {
            return status;
        }
        channel->announced       = peer;
        channel->announced_token = job->token;
        job->announce            = 0;
    }

    status = uct_eesp_rma_send_packet(peer->ep, (void*)job->access.address,
                                      length);
    if (status == UCS_OK) {
        job->access.address += length;
        job->offset         += length;
        job->length         -= length;
    }
    return status;
}

void uct_eesp_rma_unannounce(uct_eesp_rma_peer_t *peer)
{
    if ((peer->ep != NULL) && (peer->ep->channels[0].announced == peer)) {
        peer->ep->channels[0].announced = NULL;
    }
}

/* UCS_INPROGRESS: there is more of it; UCS_ERR_BUSY: the card writes it. */
static ucs_status_t uct_eesp_rma_job_get(uct_eesp_rma_peer_t *peer,
                                         uct_eesp_rma_job_t *job)
{
    uct_eesp_md_t *md = uct_eesp_iface_md(peer->iface);
    uct_eesp_region_t *region;
    ucs_status_t status;

    if (ucs_unlikely(job->fetch != NULL)) {
        status = uct_eesp_offload_serve(peer, job);
        if (status != UCS_ERR_UNSUPPORTED) {
            return status;
        }
    }
    status = uct_eesp_region_get(md, &job->access, job->length,
                                 UCT_MD_MEM_ACCESS_REMOTE_GET, &region);
    if (status != UCS_OK) {
        ucs_debug("eesp: rma: get %lu refused: %s", job->number,
                  ucs_status_string(status));
        job->type   = UCT_EESP_RMA_REFUSED;
        job->first  = job->number;
        job->status = status;
        uct_eesp_rma_unannounce(peer); /* it may be in the middle */
        return UCS_INPROGRESS;
    }

    if (job->piece) {
        status = uct_eesp_rma_job_post(peer, job, UCT_EESP_RMA_DATA, NULL,
                                       (void*)job->access.address, job->length);
    } else {
        status = uct_eesp_rma_job_stream(peer, job);
        if ((status == UCS_OK) && (job->length > 0)) {
            status = UCS_INPROGRESS;
        }
    }
    uct_eesp_region_put(md, region);
    return status;
}

static ucs_status_t uct_eesp_rma_job_send(uct_eesp_rma_peer_t *peer,
                                          uct_eesp_rma_job_t *job)
{
    switch (job->type) {
    case UCT_EESP_RMA_GET:
        return uct_eesp_rma_job_get(peer, job);
    case UCT_EESP_RMA_VALUE:
        return uct_eesp_rma_job_post(peer, job, job->type, &job->value, NULL,
                                     0);
    case UCT_EESP_RMA_REFUSED:
        return uct_eesp_rma_job_post(peer, job, job->type, &job->first, NULL,
                                     0);
    case UCT_EESP_RMA_ACCEPT:
        return uct_eesp_offload_send_accept(peer, job);
    default:
        return uct_eesp_rma_job_post(peer, job, job->type, NULL, NULL, 0);
    }
}

static void uct_eesp_rma_job_pull(uct_eesp_rma_peer_t *peer)
{
    uct_eesp_rma_job_t *job =
            ucs_queue_pull_elem_non_empty(&peer->jobs, uct_eesp_rma_job_t,
                                          queue);

    if (ucs_unlikely(job->fetch != NULL)) {
        uct_eesp_offload_drop(peer, job);
    }
    ucs_mpool_put_inline(job);
}

/* UCS_OK: all are sent, or wait for the card. */
static ucs_status_t uct_eesp_rma_jobs_run(uct_eesp_rma_peer_t *peer)
{
    ucs_status_t status;

    while (!ucs_queue_is_empty(&peer->jobs)) {
        if (uct_eesp_channel_blocked(&peer->ep->channels[0])) {
            return UCS_ERR_NO_RESOURCE;
        }
        status = uct_eesp_rma_job_send(
                peer, ucs_queue_head_elem_non_empty(&peer->jobs,
                                                    uct_eesp_rma_job_t, queue));
        if (status == UCS_OK) {
            uct_eesp_rma_job_pull(peer);
        } else if (status == UCS_ERR_NO_RESOURCE) {
            return status;
        } else if (ucs_unlikely(status == UCS_ERR_BUSY)) {
            return UCS_OK;
        } else if (status != UCS_INPROGRESS) {
            /* It is gone: what its process would be told, nobody hears. */
            ucs_debug("eesp: rma: a requester is gone: %s",
                      ucs_status_string(status));
            uct_eesp_rma_peer_fail(peer);
        }
    }
    return UCS_OK;
}

static ucs_status_t uct_eesp_rma_jobs_pending(uct_pending_req_t *req)
{
    uct_eesp_rma_peer_t *peer = ucs_container_of(req, uct_eesp_rma_peer_t, req);
    ucs_status_t status;

    peer->waiting = 0; /* the lower has the request in its hands */
    status        = uct_eesp_rma_jobs_run(peer);
    peer->waiting = status != UCS_OK;
    return status;
}

void uct_eesp_rma_jobs_start(uct_eesp_rma_peer_t *peer)
{
    ucs_status_t status;

    if (peer->ep == NULL) {
        uct_eesp_rma_peer_later(peer);
        return;
    }
    while (!peer->waiting && (uct_eesp_rma_jobs_run(peer) != UCS_OK)) {
        peer->req.func = uct_eesp_rma_jobs_pending;
        status         = uct_eesp_ep_pending_add(&peer->ep->super.super,
                                                 &peer->req, 0);
        if (status == UCS_OK) {
            peer->waiting = 1;
        } else if (status != UCS_ERR_BUSY) { /* there is room now */
            uct_eesp_rma_peer_fail(peer);
        }
    }
}

/* Whether the one before can say it, too. */
static int uct_eesp_rma_job_merge(uct_eesp_rma_peer_t *peer,
                                  const uct_eesp_rma_job_t *job)
{
    uct_eesp_rma_job_t *last;

    if (ucs_queue_is_empty(&peer->jobs)) {
        return 0;
    }
    last = ucs_queue_tail_elem_non_empty(&peer->jobs, uct_eesp_rma_job_t,
                                         queue);
    if ((last->type != job->type) || (last->token != job->token)) {
        return 0;
    }
    if ((job->type == UCT_EESP_RMA_ACK) ||
        ((job->type == UCT_EESP_RMA_REFUSED) && (last->status == job->status) &&
         (last->number + 1 == job->first))) {
        last->number = job->number;
        return 1;
    }
    return 0;
}

static void uct_eesp_rma_owes_no_more(uct_eesp_rma_peer_t *peer)
{
    if (peer->owes) {
        peer->owes = 0;
        ucs_list_del(&peer->owing);
    }
}

static void uct_eesp_rma_pay(uct_eesp_rma_peer_t *peer)
{
    uct_eesp_rma_job_t job = {.type   = UCT_EESP_RMA_ACK,
                              .token  = peer->owed_token,
                              .number = peer->owed_number};

    uct_eesp_rma_owes_no_more(peer);
    uct_eesp_rma_job_add(peer, &job);
}

void uct_eesp_rma_job_add(uct_eesp_rma_peer_t *peer,
                          const uct_eesp_rma_job_t *job)
{
    uct_eesp_rma_job_t *own;

    if (peer->owes && (peer->owed_token == job->token) &&
        (job->type != UCT_EESP_RMA_ACCEPT)) {
        uct_eesp_rma_owes_no_more(peer); /* this one says it, too */
    }
    if (!uct_eesp_rma_job_merge(peer, job)) {
        own = ucs_mpool_get_inline(&peer->iface->rma->jobs);
        if (own == NULL) {
            ucs_fatal("eesp: no memory to answer a request");
        }
        *own = *job;
        ucs_queue_push(&peer->jobs, &own->queue);
    }
    uct_eesp_rma_jobs_start(peer);
}

/* ---- What may wait for one round of progress ------------------------------ */

static unsigned uct_eesp_rma_later_progress(void *arg)
{
    uct_eesp_iface_t *iface = arg;
    unsigned count          = 0;

    uct_eesp_enter(iface);
    iface->rma->later_id = UCS_CALLBACKQ_ID_NULL;
    while (!ucs_list_is_empty(&iface->rma->visits)) {
        uct_eesp_rma_peer_visit(ucs_list_head(&iface->rma->visits,
                                              uct_eesp_rma_peer_t, visit));
        ++count;
    }
    while (!ucs_list_is_empty(&iface->rma->owing)) {
        uct_eesp_rma_pay(ucs_list_head(&iface->rma->owing, uct_eesp_rma_peer_t,
                                       owing));
        ++count;
    }
    uct_eesp_leave(iface);
    return count;
}

void uct_eesp_rma_later(uct_eesp_iface_t *iface)
{
    uct_worker_progress_register_safe(&iface->super.worker->super,
                                      uct_eesp_rma_later_progress, iface,
                                      UCS_CALLBACKQ_FLAG_ONESHOT,
                                      &iface->rma->later_id);
}

void uct_eesp_rma_owe(uct_eesp_rma_peer_t *peer, uint32_t token,
                      uint64_t number)
{
    uct_eesp_iface_t *iface = peer->iface;

    if (peer->owes && (peer->owed_token != token)) {
        uct_eesp_rma_pay(peer);
    }
    peer->owed_token  = token;
    peer->owed_number = number;
    if (!peer->owes) {
        peer->owes = 1;
        ucs_list_add_tail(&iface->rma->owing, &peer->owing);
        uct_eesp_rma_later(iface);
    }
}

int uct_eesp_rma_forget(uct_pending_req_t *req)
{
    uct_eesp_rma_peer_t *peer = ucs_container_of(req, uct_eesp_rma_peer_t, req);

    if (req->func != uct_eesp_rma_jobs_pending) {
        return 0;
    }
    peer->waiting = 0;
    uct_eesp_rma_peer_later(peer); /* its jobs need another one */
    return 1;
}

void uct_eesp_rma_withdraw(uct_eesp_rma_peer_t *peer)
{
    ucs_queue_head_t *pending = &peer->ep->channels[0].pending;
    ucs_queue_iter_t iter;
    ucs_queue_elem_t *elem;

    if (!peer->waiting) {
        return;
    }
    for (iter = ucs_queue_iter_begin(pending);
         !ucs_queue_iter_end(pending, iter); iter = ucs_queue_iter_next(iter)) {
        elem = *iter;
        if (elem == (ucs_queue_elem_t*)&peer->req.priv) {
            ucs_queue_del_iter(pending, iter);
            --peer->iface->num_pending;
            break;
        }
    }
    peer->waiting = 0;
}

/* One whose request still waits finds nothing to do. */
void uct_eesp_rma_jobs_clear(uct_eesp_rma_peer_t *peer)
{
    uct_eesp_rma_owes_no_more(peer);
    uct_eesp_rma_unannounce(peer);
    while (!ucs_queue_is_empty(&peer->jobs)) {
        uct_eesp_rma_job_pull(peer);
    }
}
