/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * offload_serve: the target, whose card writes what a FETCH asks for. It waits
 * at the head of its peer's replies for as long, so that they keep their order.
 */
#include "offload.h"

#include <ucs/debug/memtrack_int.h>

#include "bytes.h"

#define UCT_EESP_OFFLOAD_LOOK 1024 /* rounds before the device is asked */

/* ---- Links -------------------------------------------------------------- */

void uct_eesp_offload_offered(uct_eesp_rma_peer_t *peer,
                              const uct_eesp_rma_message_t *message)
{
    uct_eesp_mover_t *of = peer->iface->offload;
    uct_eesp_rma_job_t job = {.type   = UCT_EESP_RMA_ACCEPT,
                              .token  = load32(message->data),
                              .status = UCS_ERR_UNSUPPORTED};
    const uint8_t *offer   = message->data + UCT_EESP_RMA_HEAD;
    uct_eesp_offload_link_t *link;

    /* One endpoint of the peer's at a time; that which asked last. */
    if ((of != NULL) &&
        (offer[11] == (of->card->mac != 0)) &&
        ((peer->link == NULL) || (peer->link->fetch == NULL))) {
        ucs_recursive_spin_lock(&of->card->lock);
        uct_eesp_offload_peer_leave(peer);
        link = uct_eesp_offload_link_create(of, message->opened->source_rank);
        if ((link != NULL) && uct_eesp_offload_link_open(link, 0) &&
            uct_eesp_offload_link_connect(link, offer)) {
            link->peer      = peer;
            link->token     = job.token;
            link->peer_id   = load64(offer + 28);
            link->peer_rank = load32(offer + 36);
            peer->link      = link;
            job.status      = UCS_OK;
        } else if (link != NULL) {
            uct_eesp_offload_link_destroy(link);
        }
        ucs_recursive_spin_unlock(&of->card->lock);
    }
    uct_eesp_rma_job_add(peer, &job);
}

ucs_status_t uct_eesp_offload_send_accept(uct_eesp_rma_peer_t *peer,
                                          const uct_eesp_rma_job_t *job)
{
    uct_eesp_rma_job_t accept = *job;
    uint8_t offer[UCT_EESP_OFFER_LEN];

    if ((peer->link == NULL) || (peer->link->token != job->token)) {
        accept.status = UCS_ERR_UNSUPPORTED; /* another one came since */
    }
    if (accept.status != UCS_OK) {
        return uct_eesp_rma_job_post(peer, &accept, accept.type, NULL, NULL, 0);
    }
    uct_eesp_offload_link_pack(peer->link, offer);
    return uct_eesp_rma_job_post(peer, &accept, accept.type, NULL, offer,
                                 sizeof(offer));
}

void uct_eesp_offload_peer_leave(uct_eesp_rma_peer_t *peer)
{
    uct_eesp_offload_link_t *link = peer->link;

    if (link == NULL) {
        return;
    }
    if (link->writing) {
        ucs_list_del(&link->list);
    }
    uct_eesp_offload_link_destroy(link);
    peer->link = NULL;
}

/* ---- Fetches ------------------------------------------------------------ */

struct uct_eesp_fetch *
uct_eesp_offload_asked(uct_eesp_rma_peer_t *peer,
                       const uct_eesp_rma_message_t *message)
{
    uct_eesp_offload_link_t *link = peer->link;
    const uint8_t *in             = message->data + UCT_EESP_RMA_REQUEST + 8;
    uct_eesp_fetch_t *fetch;

    if ((link == NULL) || link->failed ||
        (link->token != load32(message->data))) {
        return NULL;
    }
    fetch = ucs_calloc(1, sizeof(*fetch), "eesp fetch");
    if (fetch == NULL) {
        return NULL;
    }
    fetch->token             = link->token;
    fetch->rkey              = load32(in);
    fetch->unit0             = load64(in + 20);
    fetch->whose.incarnation = peer->incarnation;
    fetch->whose.id          = link->peer_id;
    fetch->whose.rank        = link->peer_rank;
    fetch->whose.epoch       = load16(in + 6);
    fetch->whose.number      = load64(in + 12);
    memcpy(fetch->whose.generations, in + 8, EESP_LEVELS);
    return fetch;
}

/* The link's key, or in its place the one that the peer has taken since. */
static int uct_eesp_fetch_key(uct_eesp_offload_link_t *link,
                              const uct_eesp_fetch_t *fetch)
{
    uct_eesp_mover_t *of = link->of;

    if ((link->key != NULL) && (memcmp(&link->key->whose, &fetch->whose,
                                       sizeof(fetch->whose)) == 0)) {
        return 1;
    }
    if (link->key != NULL) {
        (void)uct_eesp_offload_key_destroy(of, link->key);
    }
    link->key = uct_eesp_offload_key_create(of, &fetch->whose);
    if (link->key == NULL) {
        uct_eesp_offload_link_fail(link, "no key of its for the card under "
                                   "this keyring");
    }
    return link->key != NULL;
}

/* The card's access to our memory ends. */
static void uct_eesp_fetch_detach(uct_eesp_fetch_t *fetch)
{
    uct_eesp_offload_link_t *link = fetch->link;

    if (link == NULL) {
        return;
    }
    if (fetch->state == UCT_EESP_FETCH_WRITING) {
        fetch->state = UCT_EESP_FETCH_FAILED;
        uct_eesp_offload_link_fail(link, "a get ended while the card worked on "
                                   "it");
    }
    uct_eesp_offload_detach(link, fetch->mem, fetch->mr);
    fetch->link = NULL;
    link->fetch = NULL; /* progress finds it so */
    ucs_list_del(&fetch->list);
}

static int uct_eesp_fetch_write(uct_eesp_offload_link_t *link,
                                uct_eesp_fetch_t *fetch, void *address,
                                size_t length)
{
    const struct uct_eesp_card *card = link->of->card;
    struct ibv_sge sge               = {.addr   = (uintptr_t)address,
                                        .length = (uint32_t)length};
    struct ibv_send_wr *bad, wr      = {
        .wr_id      = UCT_EESP_WR_WRITE,
        .sg_list    = &sge,
        .num_sge    = 1,
        .opcode     = IBV_WR_RDMA_WRITE_WITH_IMM,
        .send_flags = IBV_SEND_SIGNALED,
        .wr.rdma    = {.rkey = fetch->rkey}
    };
    int ret;

    fetch->mr = ibv_reg_mr(card->pd, address, length, 0);
    if (fetch->mr == NULL) {
        uct_eesp_offload_link_fail(link, "memory cannot be registered "
                                   "(ulimit -l)");
        return 0;
    }
    sge.lkey = fetch->mr->lkey;
    ret      = card->backend->attach(link->key->card, link->qp, &sge, 1,
                                     fetch->unit0, VCC_TX, &fetch->mem);
    if (ret == 0) {
        sge.addr = 0;
        sge.lkey = fetch->mem->lkey;
        ret      = -ibv_post_send(link->qp, &wr, &bad);
    }
    if (ret != 0) {
        uct_eesp_offload_link_fail(link, vcc_strerror(ret));
    } else if ((link->key->tag != NULL) &&
               !uct_eesp_tag_make(link->key->tag, fetch->unit0, address, length,
                                  fetch->tag)) {
        uct_eesp_offload_link_fail(link, "no tag can be made");
    } else {
        return 1;
    }
    uct_eesp_offload_detach(link, fetch->mem, fetch->mr);
    return 0;
}

static unsigned uct_eesp_offload_progress(void *arg);

static int uct_eesp_fetch_start(uct_eesp_rma_peer_t *peer,
                                uct_eesp_rma_job_t *job)
{
    uct_eesp_md_t *md             = uct_eesp_iface_md(peer->iface);
    uct_eesp_fetch_t *fetch       = job->fetch;
    uct_eesp_offload_link_t *link = peer->link;
    uct_eesp_region_t *region;
    uct_eesp_mover_t *of;
    int started;

    if ((link == NULL) || (link->token != fetch->token) || link->failed ||
        (uct_eesp_region_get(md, &job->access, job->length,
                             UCT_MD_MEM_ACCESS_REMOTE_GET, &region) != UCS_OK)) {
        return 0;
    }
    started = uct_eesp_fetch_key(link, fetch) &&
              uct_eesp_fetch_write(link, fetch, (void*)job->access.address,
                                   ucs_align_down_pow2(job->length,
                                                       UCT_EESP_XTS_BLOCK));
    if (started) {
        of           = link->of;
        fetch->state = UCT_EESP_FETCH_WRITING;
        fetch->link  = link;
        link->fetch  = fetch;
        ucs_list_add_tail(&region->fetches, &fetch->list);
        if (!link->writing) {
            link->writing = 1;
            ucs_list_add_tail(&of->writing, &link->list);
        }
        uct_worker_progress_register_safe(&of->iface->super.worker->super,
                                          uct_eesp_offload_progress, of, 0,
                                          &of->progress_id);
    }
    uct_eesp_region_put(md, region);
    return started;
}

/* The bytes behind the last block, and the tag, sealed. */
static ucs_status_t uct_eesp_fetch_tell(uct_eesp_rma_peer_t *peer,
                                        const uct_eesp_rma_job_t *job)
{
    uct_eesp_md_t *md = uct_eesp_iface_md(peer->iface);
    size_t tail       = job->length % UCT_EESP_XTS_BLOCK;
    uint8_t data[UCT_EESP_XTS_BLOCK + EESP_ICV_LEN];
    uct_eesp_region_t *region;
    ucs_status_t status;

    status = uct_eesp_region_get(md, &job->access, job->length,
                                 UCT_MD_MEM_ACCESS_REMOTE_GET, &region);
    if (status != UCS_OK) {
        return UCS_ERR_UNSUPPORTED; /* as a GET it will be refused */
    }
    memcpy(data, (void*)(job->access.address + job->length - tail), tail);
    memcpy(data + tail, job->fetch->tag, EESP_ICV_LEN);
    status = uct_eesp_rma_job_post(peer, job, UCT_EESP_RMA_WRITTEN, NULL, data,
                                   tail + (uct_eesp_iface_md(peer->iface)
                                                   ->card->mac ? EESP_ICV_LEN :
                                                                 0));
    uct_eesp_region_put(md, region);
    return status;
}

ucs_status_t uct_eesp_offload_serve(uct_eesp_rma_peer_t *peer,
                                    uct_eesp_rma_job_t *job)
{
    struct uct_eesp_card *card = uct_eesp_iface_md(peer->iface)->card;
    ucs_status_t status        = UCS_ERR_UNSUPPORTED;

    ucs_recursive_spin_lock(&card->lock);
    if ((job->fetch->state == UCT_EESP_FETCH_WRITING) ||
        ((job->fetch->state == UCT_EESP_FETCH_ASKED) &&
         uct_eesp_fetch_start(peer, job))) {
        status = UCS_ERR_BUSY;
    } else if (job->fetch->state == UCT_EESP_FETCH_WRITTEN) {
        status = uct_eesp_fetch_tell(peer, job);
    }
    if (status == UCS_ERR_UNSUPPORTED) {
        uct_eesp_offload_drop(peer, job);
    }
    ucs_recursive_spin_unlock(&card->lock);
    return status;
}

void uct_eesp_offload_drop(uct_eesp_rma_peer_t *peer, uct_eesp_rma_job_t *job)
{
    struct uct_eesp_card *card = uct_eesp_iface_md(peer->iface)->card;

    ucs_recursive_spin_lock(&card->lock);
    uct_eesp_fetch_detach(job->fetch);
    ucs_recursive_spin_unlock(&card->lock);
    ucs_free(job->fetch);
    job->fetch = NULL;
}

void uct_eesp_offload_revoke(uct_eesp_md_t *md, uct_eesp_region_t *region)
{
    if (md->card == NULL) {
        return;
    }
    ucs_recursive_spin_lock(&md->card->lock);
    while (!ucs_list_is_empty(&region->fetches)) {
        uct_eesp_fetch_detach(ucs_list_head(&region->fetches, uct_eesp_fetch_t,
                                            list));
    }
    ucs_recursive_spin_unlock(&md->card->lock);
}

/* ---- Progress, while the card works ------------------------------------- */

/* Whether its fetch has come to an end. */
static int uct_eesp_offload_look(uct_eesp_offload_link_t *link, int ended)
{
    uct_eesp_fetch_t *fetch = link->fetch;

    if (fetch == NULL) {
        return 1; /* revoked */
    }
    uct_eesp_offload_link_poll(link);
    if (ended) {
        uct_eesp_offload_link_fail(link, vcc_strerror(-EIO));
    }
    if (link->failed && (fetch->state == UCT_EESP_FETCH_WRITING)) {
        fetch->state = UCT_EESP_FETCH_FAILED;
    }
    if (fetch->state == UCT_EESP_FETCH_WRITING) {
        return 0;
    }
    uct_eesp_fetch_detach(fetch);
    return 1;
}

static unsigned uct_eesp_offload_progress(void *arg)
{
    uct_eesp_mover_t *of = arg;
    unsigned count       = 0;
    int ended            = (++of->rounds % UCT_EESP_OFFLOAD_LOOK == 0) &&
                           uct_eesp_card_ended(of->card);
    uct_eesp_offload_link_t *link, *next;
    ucs_list_link_t done;

    ucs_list_head_init(&done);
    uct_eesp_enter(of->iface);
    ucs_recursive_spin_lock(&of->card->lock);
    ucs_list_for_each_safe(link, next, &of->writing, list) {
        if (uct_eesp_offload_look(link, ended)) {
            ucs_list_del(&link->list);
            ucs_list_add_tail(&done, &link->list);
        }
    }
    ucs_recursive_spin_unlock(&of->card->lock);
    while (!ucs_list_is_empty(&done)) {
        link = ucs_list_extract_head(&done, uct_eesp_offload_link_t, list);
        link->writing = 0;
        uct_eesp_rma_jobs_start(link->peer); /* may start another one */
        ++count;
    }
    if (ucs_list_is_empty(&of->writing)) {
        uct_worker_progress_unregister_safe(&of->iface->super.worker->super,
                                            &of->progress_id);
    }
    uct_eesp_leave(of->iface);
    return count;
}

void uct_eesp_offload_serve_cleanup(uct_eesp_mover_t *of)
{
    uct_worker_progress_unregister_safe(&of->iface->super.worker->super,
                                        &of->progress_id);
}
