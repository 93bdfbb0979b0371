/* SPDX-License-Identifier: BSD-3-Clause */
/* verbs: posting and polling of a context, with mkeys and UMRs in between. */
#include "fakemlx5.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXTS = 64, COMPLETIONS = 256 };

static struct wrapped {
    struct ibv_context    *ctx;
    struct ibv_context_ops ops; /* the real ones */
} wrapped[CONTEXTS];

/* Completions of our own making, in the order in which they came. */
static struct own {
    struct ibv_cq *cq;
    struct ibv_wc  wc;
} owns[COMPLETIONS];
static unsigned own_count;

static const struct ibv_context_ops *real(const struct ibv_context *ctx)
{
    int i;

    for (i = 0; wrapped[i].ctx != ctx; i++)
        continue;
    return &wrapped[i].ops;
}

void fake_complete(struct ibv_cq *cq, const struct ibv_wc *wc)
{
    if (own_count < COMPLETIONS)
        owns[own_count++] = (struct own){cq, *wc};
}

/* As the card does: the completion, and the QP takes no more. */
static void fail_request(struct ibv_qp *qp, const struct ibv_send_wr *wr,
                         enum ibv_wc_status status)
{
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
    struct ibv_wc wc = {.wr_id = wr->wr_id, .status = status,
                        .qp_num = qp->qp_num};

    fake_complete(qp->send_cq, &wc);
    (void)ibv_modify_qp(qp, &attr, IBV_QP_STATE);
}

static enum ibv_wc_status prepare(const struct ibv_send_wr *wr)
{
    enum ibv_wc_status status = IBV_WC_SUCCESS;
    int i;

    for (i = 0; i < wr->num_sge && status == IBV_WC_SUCCESS; i++) {
        const struct ibv_sge *sge = &wr->sg_list[i];
        struct fake_mkey *m       = fake_mkey_of(sge->lkey);

        if (m == NULL)
            continue;
        if (wr->opcode != IBV_WR_RDMA_READ)
            status = fake_encrypt(m, sge->addr, sge->length);
        else if (!m->configured || m->broken || m->crypto.dek == NULL ||
                 !(m->access & IBV_ACCESS_LOCAL_WRITE) ||
                 sge->addr + sge->length > m->length)
            status = IBV_WC_LOC_PROT_ERR;
    }
    return status;
}

/* As somebody on the way could. */
static void damage(const struct ibv_send_wr *wr)
{
    struct fake_mkey *m = wr->num_sge > 0 ? fake_mkey_of(wr->sg_list[0].lkey)
                                          : NULL;

    if (m != NULL)
        m->shadow[m->length / 2] ^= 1;
}

static int post_send(struct ibv_qp *qp, struct ibv_send_wr *wr,
                     struct ibv_send_wr **bad)
{
    for (; wr != NULL; wr = wr->next) {
        struct ibv_send_wr one = *wr, *ignored;
        enum ibv_wc_status status;
        int error;

        if (fake_card.remove_after > 0 && --fake_card.remove_after == 0)
            fake_removed(qp->context);
        *bad = wr;
        if (fake_card.removed)
            return EIO;
        status = qp->state == IBV_QPS_RTS ? prepare(wr) : IBV_WC_SUCCESS;
        if (fake_card.fail_after > 0 && --fake_card.fail_after == 0)
            status = IBV_WC_RETRY_EXC_ERR;
        if (fake_card.damage_after > 0 && --fake_card.damage_after == 0)
            damage(wr);
        if (status != IBV_WC_SUCCESS) {
            fail_request(qp, wr, status);
            continue;
        }
        one.next = NULL;
        error    = real(qp->context)->post_send(qp, &one, &ignored);
        if (error != 0)
            return error;
    }
    return 0;
}

static int poll_cq(struct ibv_cq *cq, int count, struct ibv_wc *wc)
{
    unsigned i = 0;
    int own = 0, more;

    if (fake_card.removed)
        return 0; /* completions end */
    while (i < own_count && own < count) {
        if (owns[i].cq != cq) {
            i++;
            continue;
        }
        wc[own++] = owns[i].wc;
        memmove(&owns[i], &owns[i + 1], (--own_count - i) * sizeof(owns[0]));
    }
    more = own < count ? real(cq->context)->poll_cq(cq, count - own, wc + own)
                       : 0;
    if (own + more > 0)
        fake_decrypt_all();
    return more < 0 ? more : own + more;
}

void fake_wrap(struct ibv_context *ctx)
{
    int i;

    if (ctx->ops.post_send == post_send)
        return;
    /* A closed one's place, if this has its address. */
    for (i = 0; i < CONTEXTS && wrapped[i].ctx != NULL; i++)
        if (wrapped[i].ctx == ctx)
            break;
    if (i == CONTEXTS)
        abort();
    wrapped[i].ctx = ctx;
    wrapped[i].ops = ctx->ops;
    ctx->ops.post_send = post_send;
    ctx->ops.poll_cq   = poll_cq;
}

/* In front of libibverbs' own: mkeys over that memory are of no use now. */
__attribute__((visibility("default"))) int ibv_dereg_mr(struct ibv_mr *mr)
{
    int (*next)(struct ibv_mr *) = (int (*)(struct ibv_mr *))dlvsym(
        RTLD_NEXT, "ibv_dereg_mr", "IBVERBS_1.1");

    fake_region_gone(mr->lkey);
    return next != NULL ? next(mr) : ENOSYS;
}
