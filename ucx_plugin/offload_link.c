/* SPDX-License-Identifier: BSD-3-Clause */
/* offload_link: QPs to peers, and their completions. */
#include "offload.h"

#include <sys/random.h>

#include <ucs/debug/memtrack_int.h>

#include "bytes.h"

#define UCT_EESP_OFFLOAD_TELL     8
#define UCT_EESP_OFFLOAD_RECEIVES 32 /* a target writes one at a time */
#define UCT_EESP_OFFLOAD_SENDS    4  /* UMR and write */

/* ---- QPs ---------------------------------------------------------------- */

static int uct_eesp_offload_receive(uct_eesp_offload_link_t *link)
{
    struct ibv_recv_wr *bad, wr = {.wr_id = UCT_EESP_WR_RECEIVE};

    return ibv_post_recv(link->qp, &wr, &bad);
}

static int uct_eesp_offload_link_make(uct_eesp_offload_link_t *link,
                                      unsigned access)
{
    uct_eesp_mover_t *of           = link->of;
    struct ibv_qp_attr to_init     = {
        .qp_state        = IBV_QPS_INIT,
        .port_num        = of->card->port,
        .qp_access_flags = access
    };
    struct ibv_qp_init_attr_ex attr = {
        .qp_type        = IBV_QPT_RC,
        .cap            = {.max_send_wr  = UCT_EESP_OFFLOAD_SENDS,
                           .max_recv_wr  = UCT_EESP_OFFLOAD_RECEIVES,
                           .max_send_sge = 1,
                           .max_recv_sge = 1},
        .comp_mask      = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
        .pd             = of->card->pd,
        .send_ops_flags = IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM,
    };
    int i, ret;

    link->cq = ibv_create_cq(of->card->ctx, UCT_EESP_OFFLOAD_SENDS +
                             UCT_EESP_OFFLOAD_RECEIVES, NULL, NULL, 0);
    if (link->cq == NULL) {
        return -errno;
    }
    attr.send_cq = attr.recv_cq = link->cq;
    ret = of->card->backend->create_qp(of->dev, &attr, &link->qp);
    if (ret != 0) {
        link->qp = NULL;
        return ret;
    }
    ret = ibv_modify_qp(link->qp, &to_init,
                        IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
                        IBV_QP_ACCESS_FLAGS);
    for (i = 0; (i < UCT_EESP_OFFLOAD_RECEIVES) && (ret == 0); ++i) {
        ret = uct_eesp_offload_receive(link);
    }
    return -ret;
}

uct_eesp_offload_link_t *uct_eesp_offload_link_create(uct_eesp_mover_t *of,
                                                      uint32_t rank)
{
    uct_eesp_offload_link_t *link = ucs_calloc(1, sizeof(*link),
                                               "eesp offload link");

    if (link != NULL) {
        link->of   = of;
        link->rank = rank;
    }
    return link;
}

int uct_eesp_offload_link_open(uct_eesp_offload_link_t *link, unsigned access)
{
    int ret;

    if (getrandom(&link->psn, sizeof(link->psn), 0) != sizeof(link->psn)) {
        uct_eesp_offload_link_fail(link, "the kernel gives no random numbers");
        return 0;
    }
    link->psn &= 0xffffff;
    ret        = uct_eesp_offload_link_make(link, access);
    if (ret != 0) {
        uct_eesp_offload_link_fail(link, vcc_strerror(ret));
    }
    return ret == 0;
}

/* Whatever it still has to do is not done. */
static void uct_eesp_offload_link_stop(uct_eesp_offload_link_t *link)
{
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

    if (link->qp != NULL) {
        (void)ibv_modify_qp(link->qp, &attr, IBV_QP_STATE);
    }
}

void uct_eesp_offload_link_fail(uct_eesp_offload_link_t *link, const char *why)
{
    if (link->failed) {
        return;
    }
    link->failed = 1;
    link->up     = 0;
    uct_eesp_offload_link_stop(link);
    if (link->of->told++ < UCT_EESP_OFFLOAD_TELL) {
        ucs_warn("eesp: offload: rank %u: %s: sealed by the CPU from here on%s",
                 link->rank, why, link->of->told == UCT_EESP_OFFLOAD_TELL ?
                 "; further ones are not told" : "");
    }
}

void uct_eesp_offload_link_destroy(uct_eesp_offload_link_t *link)
{
    if (link->qp != NULL) {
        (void)ibv_destroy_qp(link->qp);
    }
    if (link->cq != NULL) {
        (void)ibv_destroy_cq(link->cq);
    }
    if (link->key != NULL) {
        (void)uct_eesp_offload_key_destroy(link->of, link->key);
    }
    ucs_free(link);
}

void uct_eesp_offload_link_pack(const uct_eesp_offload_link_t *link,
                                uint8_t *out)
{
    const struct uct_eesp_card *card = link->of->card;

    store32(out, link->qp->qp_num);
    store32(out + 4, link->psn);
    store16(out + 8, card->attr.lid);
    out[10] = (uint8_t)card->attr.active_mtu;
    out[11] = card->mac != 0;
    memcpy(out + 12, card->gid.raw, sizeof(card->gid.raw));
    store64(out + 28, link->of->whose.id);
    store32(out + 36, link->of->whose.rank);
}

int uct_eesp_offload_link_connect(uct_eesp_offload_link_t *link,
                                  const uint8_t *in)
{
    const struct uct_eesp_card *card = link->of->card;
    struct ibv_qp_attr attr          = {
        .qp_state           = IBV_QPS_RTR,
        .dest_qp_num        = load32(in),
        .rq_psn             = load32(in + 4) & 0xffffff,
        .path_mtu           = ucs_min((enum ibv_mtu)in[10],
                                      card->attr.active_mtu),
        .max_dest_rd_atomic = 1,
        .min_rnr_timer      = 12,
        .ah_attr            = {.dlid      = load16(in + 8),
                               .port_num  = card->port,
                               .is_global = 1,
                               .grh       = {.sgid_index = card->gid_index,
                                             .hop_limit  = 64}},
        .sq_psn             = link->psn,
        .timeout            = 14,
        .retry_cnt          = 7,
        .rnr_retry          = 7,
        .max_rd_atomic      = 1
    };
    int ret;

    memcpy(attr.ah_attr.grh.dgid.raw, in + 12, 16);
    ret = ibv_modify_qp(link->qp, &attr,
                        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
                        IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                        IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
    if (ret == 0) {
        attr.qp_state = IBV_QPS_RTS;
        ret = ibv_modify_qp(link->qp, &attr,
                            IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
                            IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
                            IBV_QP_MAX_QP_RD_ATOMIC);
    }
    if (ret != 0) {
        uct_eesp_offload_link_fail(link, "the QP cannot be connected "
                                   "(UCX_IB_GID_INDEX)");
        return 0;
    }
    link->up = 1;
    return 1;
}

/* ---- Completions -------------------------------------------------------- */

static void uct_eesp_offload_completed(uct_eesp_offload_link_t *link,
                                       const struct ibv_wc *wc)
{
    switch (wc->wr_id) {
    case UCT_EESP_WR_RECEIVE:
        ++link->arrived;
        if (uct_eesp_offload_receive(link) != 0) {
            uct_eesp_offload_link_fail(link, "the QP takes no more requests");
        }
        break;
    case UCT_EESP_WR_WRITE:
        if (link->fetch != NULL) {
            link->fetch->state = UCT_EESP_FETCH_WRITTEN;
        }
        break;
    default:
        ++link->configured; /* memory, by UMR */
        break;
    }
}

/* Why a request failed: the key, or what the completion says. */
static const char *uct_eesp_offload_cause(uct_eesp_offload_link_t *link,
                                          const struct ibv_wc *wc)
{
    const struct vcc_backend *backend = link->of->card->backend;
    uct_eesp_offload_key_t *key       = link->key;

    if ((key == NULL) && !ucs_list_is_empty(&link->of->keys)) {
        key = ucs_list_head(&link->of->keys, uct_eesp_offload_key_t, list);
    }
    return ((key != NULL) && (backend->key_check(key->card) != 0)) ?
           vcc_strerror(-EKEYREJECTED) : ibv_wc_status_str(wc->status);
}

void uct_eesp_offload_link_poll(uct_eesp_offload_link_t *link)
{
    struct ibv_wc wc;
    int count;

    while ((link->cq != NULL) &&
           ((count = ibv_poll_cq(link->cq, 1, &wc)) != 0)) {
        if (count < 0) {
            uct_eesp_offload_link_fail(link, vcc_strerror(-EIO));
            return;
        }
        if (wc.status == IBV_WC_SUCCESS) {
            uct_eesp_offload_completed(link, &wc);
        } else {
            uct_eesp_offload_link_fail(link, uct_eesp_offload_cause(link, &wc));
        }
    }
}

void uct_eesp_offload_detach(uct_eesp_offload_link_t *link,
                             struct vcc_mem *mem, struct ibv_mr *mr)
{
    const struct vcc_backend *backend = link->of->card->backend;
    int ret                           = 0;

    if (mem != NULL) {
        ret = backend->detach(mem);
    }
    if (ret == -EBUSY) { /* a work request of the QP is not at its end */
        uct_eesp_offload_link_fail(link, vcc_strerror(ret));
        ret = backend->detach(mem);
    }
    if (((ret != 0) && (ret != -EIO)) ||
        ((mr != NULL) && (ibv_dereg_mr(mr) != 0) && (ret == 0))) {
        ucs_fatal("eesp: offload: the card does not let go of memory: %s",
                  vcc_strerror(ret));
    }
}
