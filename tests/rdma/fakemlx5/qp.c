/* SPDX-License-Identifier: BSD-3-Clause */
/* qp: work requests of UMR, checked as libmlx5 checks them. */
#include "fakemlx5.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))

/* Bytes of a work request that libmlx5 counts against max_inline_data. */
enum { ENTRY = 16, ENTRIES_OF = 64, CRYPTO_BSF = 64, INLINE_HEADER = 4 };

static struct fake_qp qps[FAKE_QPS];

static struct fake_qp *of_dv(struct mlx5dv_qp_ex *dv)
{
    return (struct fake_qp *)((char *)dv - offsetof(struct fake_qp, dv));
}

/* NULL: the slot for the next; else of a QP that is ours, or NULL. */
static struct fake_qp *of_qp(const struct ibv_qp *qp)
{
    int i;

    for (i = 0; i < FAKE_QPS; i++)
        if (qps[i].qp == qp)
            return &qps[i];
    return NULL;
}

static void fail(struct fake_qp *f, int error)
{
    if (f->error == 0)
        f->error = error;
}

static void finalize(struct fake_qp *f)
{
    struct fake_mkey *made = &f->made;
    size_t entries, size;

    if (++f->setters != f->promised || f->error != 0)
        return;
    if (f->has_crypto || f->mkey->crypto.dek != NULL) {
        const struct mlx5dv_crypto_attr *c =
            f->has_crypto ? &made->crypto : &f->mkey->crypto;

        if (fake_card.single_block &&
            made->length > fake_unit(c->data_unit_size))
            fail(f, EINVAL);
    }
    entries = (made->sges * ENTRY + ENTRIES_OF - 1) / ENTRIES_OF * ENTRIES_OF;
    size    = entries + (f->has_crypto ? CRYPTO_BSF : 0);
    if (size > f->max_inline + INLINE_HEADER)
        fail(f, ENOMEM);
    if (made->length > UINT32_MAX)
        fail(f, EINVAL);
    if (made->length > FAKE_SHADOW)
        fail(f, ENOMEM); /* the emulator's own limit */
}

static void mkey_configure(struct mlx5dv_qp_ex *dv, struct mlx5dv_mkey *mkey,
                           uint8_t setters, struct mlx5dv_mkey_conf_attr *attr)
{
    struct fake_qp *f    = of_dv(dv);
    struct ibv_qp_ex *qp = ibv_qp_to_qp_ex(f->qp);

    if (!(qp->wr_flags & IBV_SEND_INLINE) || attr->comp_mask ||
        (attr->conf_flags &
         ~(uint32_t)MLX5DV_MKEY_CONF_FLAG_RESET_SIG_ATTR)) {
        fail(f, EOPNOTSUPP);
        return;
    }
    f->mkey     = (struct fake_mkey *)mkey;
    f->wr_id    = qp->wr_id;
    f->flags    = qp->wr_flags;
    f->promised = setters;
    f->setters  = 0;
    f->has_access = f->has_layout = f->has_crypto = 0;
    f->made     = *f->mkey;
    f->posts++;
}

static void set_access(struct mlx5dv_qp_ex *dv, uint32_t access)
{
    struct fake_qp *f = of_dv(dv);

    if (f->mkey == NULL || f->has_access ||
        (access & ~(uint32_t)(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
                              IBV_ACCESS_REMOTE_READ |
                              IBV_ACCESS_REMOTE_ATOMIC))) {
        fail(f, EINVAL);
        return;
    }
    f->has_access  = 1;
    f->made.access = access;
    finalize(f);
}

static void set_layout_list(struct mlx5dv_qp_ex *dv, uint16_t count,
                            const struct ibv_sge *sge)
{
    struct fake_qp *f = of_dv(dv);
    unsigned i;

    if (f->mkey == NULL || f->has_layout) {
        fail(f, EINVAL);
        return;
    }
    if (count > f->mkey->max_entries || count > FAKE_SGES ||
        count > (f->max_inline + INLINE_HEADER) / ENTRY) {
        fail(f, ENOMEM);
        return;
    }
    f->has_layout  = 1;
    f->made.sges   = count;
    f->made.length = 0;
    for (i = 0; i < count; i++) {
        f->made.sge[i] = sge[i];
        f->made.length += sge[i].length;
    }
    finalize(f);
}

static void set_crypto(struct mlx5dv_qp_ex *dv,
                       const struct mlx5dv_crypto_attr *attr)
{
    struct fake_qp *f = of_dv(dv);

    if (f->mkey == NULL || !f->mkey->has_crypto || f->has_crypto ||
        attr->comp_mask ||
        attr->crypto_standard != MLX5DV_CRYPTO_STANDARD_AES_XTS ||
        (unsigned)attr->signature_crypto_order >
            MLX5DV_SIGNATURE_CRYPTO_ORDER_SIGNATURE_BEFORE_CRYPTO_ON_TX ||
        fake_unit(attr->data_unit_size) == 0 || attr->dek == NULL) {
        fail(f, EINVAL);
        return;
    }
    f->has_crypto  = 1;
    f->made.crypto = *attr;
    finalize(f);
}

static void not_here(struct mlx5dv_qp_ex *dv, uint32_t repeat, uint16_t count,
                     const struct mlx5dv_mr_interleaved *data)
{
    (void)repeat;
    (void)count;
    (void)data;
    fail(of_dv(dv), EOPNOTSUPP);
}

/* ---- ibv_wr_* of the real QP, replaced ----------------------------------- */

static struct fake_qp *ours(const struct ibv_qp_ex *qp)
{
    struct fake_qp *f = of_qp(&qp->qp_base);

    if (f == NULL)
        abort();
    return f;
}

static void wr_start(struct ibv_qp_ex *qp)
{
    struct fake_qp *f = ours(qp);

    f->error = f->posts = 0;
    f->mkey  = NULL;
}

static void wr_abort(struct ibv_qp_ex *qp)
{
    ours(qp)->mkey = NULL;
}

/* Data goes through ibv_post_send() here. */
static void wr_send(struct ibv_qp_ex *qp)
{
    fail(ours(qp), EOPNOTSUPP);
}

static void wr_rdma(struct ibv_qp_ex *qp, uint32_t rkey, uint64_t address)
{
    (void)rkey;
    (void)address;
    fail(ours(qp), EOPNOTSUPP);
}

/* The DEK as the card finds it when the request is carried out. */
static int usable(const struct mlx5dv_crypto_attr *c)
{
    return c->dek == NULL ||
           (!fake_card.dek_error &&
            (!c->dek->has_keytag ||
             memcmp(c->dek->keytag, c->keytag, FAKE_TAG) == 0));
}

static enum ibv_wc_status carry_out(struct fake_qp *f)
{
    struct fake_mkey *m = f->mkey;

    if (f->qp->state == IBV_QPS_ERR)
        return IBV_WC_WR_FLUSH_ERR;
    if (!usable(&f->made.crypto))
        return IBV_WC_MW_BIND_ERR;
    if (m->configured && m->crypto.dek != NULL)
        m->crypto.dek->mkeys--;
    *m            = f->made;
    m->configured = 1;
    m->broken     = 0;
    if (m->crypto.dek != NULL)
        m->crypto.dek->mkeys++;
    fake_card.umrs++;
    /* Whatever lies there is of the last attachment. */
    memset(m->shadow, 0, m->length);
    memset(m->seen, 0, m->length);
    if (m->access & IBV_ACCESS_REMOTE_READ)
        return fake_encrypt(m, 0, m->length);
    return IBV_WC_SUCCESS;
}

static int wr_complete(struct ibv_qp_ex *qp)
{
    struct fake_qp *f = ours(qp);
    struct ibv_wc wc  = {0};

    if (fake_card.removed)
        return EIO;
    if (f->error != 0)
        return f->error;
    /* One at a time, with all its setters; on a QP that can send. */
    if (f->posts != 1 || f->setters != f->promised ||
        (f->qp->state != IBV_QPS_RTS && f->qp->state != IBV_QPS_ERR))
        return EINVAL;
    wc.wr_id  = f->wr_id;
    wc.opcode = (enum ibv_wc_opcode)MLX5DV_WC_UMR;
    wc.qp_num = f->qp->qp_num;
    wc.status = carry_out(f);
    if (f->flags & IBV_SEND_SIGNALED || wc.status != IBV_WC_SUCCESS)
        fake_complete(f->qp->send_cq, &wc);
    return 0;
}

API struct ibv_qp *mlx5dv_create_qp(struct ibv_context *ctx,
                                    struct ibv_qp_init_attr_ex *attr,
                                    struct mlx5dv_qp_init_attr *dv)
{
    struct fake_qp *f = of_qp(NULL), *closed;
    struct ibv_qp_ex *qp;
    struct ibv_qp *made;
    uint32_t max_inline;

    errno = fake_card.removed ? EIO : f == NULL ? ENOMEM : 0;
    if (errno != 0)
        return NULL;
    if (dv != NULL &&
        ((dv->comp_mask & ~(uint64_t)MLX5DV_QP_INIT_ATTR_MASK_SEND_OPS_FLAGS) ||
         (dv->send_ops_flags & ~(uint64_t)MLX5DV_QP_EX_WITH_MKEY_CONFIGURE) ||
         !(attr->comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS))) {
        errno = EOPNOTSUPP;
        return NULL;
    }
    max_inline = attr->cap.max_inline_data;
    /* The real device has no use for it, and less of it. */
    attr->cap.max_inline_data = 0;
    made = ibv_create_qp_ex(ctx, attr);
    attr->cap.max_inline_data = max_inline;
    if (made == NULL)
        return NULL;
    closed = of_qp(made); /* whose address it has */
    if (closed != NULL)
        f = closed;
    memset(f, 0, sizeof(*f));
    f->max_inline = max_inline;
    f->qp         = made;
    qp = ibv_qp_to_qp_ex(f->qp);
    qp->wr_start    = wr_start;
    qp->wr_complete = wr_complete;
    qp->wr_abort    = wr_abort;
    qp->wr_send     = wr_send;
    qp->wr_rdma_read = qp->wr_rdma_write = wr_rdma;
    if (dv != NULL && dv->send_ops_flags & MLX5DV_QP_EX_WITH_MKEY_CONFIGURE) {
        f->dv.wr_mkey_configure             = mkey_configure;
        f->dv.wr_set_mkey_access_flags      = set_access;
        f->dv.wr_set_mkey_layout_list       = set_layout_list;
        f->dv.wr_set_mkey_layout_interleaved = not_here;
        f->dv.wr_set_mkey_crypto            = set_crypto;
    }
    fake_wrap(ctx);
    return f->qp;
}

API struct mlx5dv_qp_ex *mlx5dv_qp_ex_from_ibv_qp_ex(struct ibv_qp_ex *qp)
{
    struct fake_qp *f = of_qp(&qp->qp_base);

    return f != NULL ? &f->dv : NULL;
}
