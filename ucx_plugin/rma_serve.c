/* SPDX-License-Identifier: BSD-3-Clause */
/* rma_serve: requests of peers, each checked before it touches memory. */
#include "offload.h"

#include "bytes.h"

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
        job.type     = UCT_EESP_RMA_GET;
        job.piece    = (load64(p) & UCT_EESP_RMA_FLAG_PIECE) != 0;
        job.announce = (load64(p) & UCT_EESP_RMA_FLAG_ANNOUNCE) != 0;
        job.length   = load64(p + 8);
        if ((job.length == 0) ||
            (job.piece && (job.length > uct_eesp_rma_max_bcopy(iface)))) {
            status = UCS_ERR_REJECTED;
        } else {
            uct_eesp_rma_job_add(peer, &job);
        }
        break;
    case UCT_EESP_RMA_FETCH:
        job.type     = UCT_EESP_RMA_GET;
        job.announce = 1; /* that the card does not write it */
        job.length   = load64(p);
        if ((job.length < UCT_EESP_OFFLOAD_MIN) ||
            (job.length > UCT_EESP_OFFLOAD_MAX)) {
            status = UCS_ERR_REJECTED;
        } else {
            job.fetch = uct_eesp_offload_asked(peer, message);
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
    case UCT_EESP_RMA_OFFER:
        return UCT_EESP_RMA_HEAD + UCT_EESP_OFFER_LEN;
    case UCT_EESP_RMA_FETCH:
        return UCT_EESP_FETCH_LEN;
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
    } else if (ucs_unlikely(message->type == UCT_EESP_RMA_OFFER)) {
        uct_eesp_offload_offered(peer, message);
    } else {
        uct_eesp_rma_access(iface, peer, message);
    }
}
