/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mlx5: AES-XTS by the card, in memory that it reads and writes. Confidential
 * on the wire, with direct placement; no integrity and no replay defence.
 *
 * A key in the card is a DEK (data encryption key); an indirect mkey with that
 * DEK stands for a piece of memory, plain in memory and encrypted on the wire
 * whichever way the data goes. It is configured by a work request (UMR).
 *
 * Only plaintext DEKs are used: wrapped ones need a credential that the site
 * provisions in each card, and a key of every process wrapped by it. A card
 * that takes no others is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends.h"
#include "data_units.h"
#include "dek_pool.h"
#include "mlx5dv_calls.h"
#include "secret.h"

#define XTS_ENGINES                                                            \
    (MLX5DV_CRYPTO_ENGINES_CAP_AES_XTS_SINGLE_BLOCK |                          \
     MLX5DV_CRYPTO_ENGINES_CAP_AES_XTS_MULTI_BLOCK)

enum {
    SLOTS      = 64,  /* DEKs, if the card has twice as many */
    INLINE     = 512, /* bytes that a UMR needs, with room */
    SETTERS    = 3,   /* access, layout, crypto */
    XTS_BLOCK  = 16
};

/* Lives on a page that a forked child sees as zeros. */
struct owner {
    int alive;
};

struct vcc_dev {
    const struct mlx5dv_calls *call;
    struct ibv_pd             *pd;
    struct owner              *owner;
    uint64_t                   max_length;
    int                        closed;
    struct dek_pool            pool;
};

/* What holders have; the key itself is the pool's. */
struct vcc_key {
    struct vcc_dev *dev;
    struct dek_key *key;
    unsigned        attached;
};

struct mlx5_mem {
    struct vcc_mem      mem; /* first */
    struct ibv_qp      *qp;
    struct mlx5dv_mkey *mkey;
    unsigned            direction;
    int                 count, failed;
    struct ibv_sge      sge[VCC_SGE_MAX];
};

static int refuse(struct vcc_caps *caps, const char *reason)
{
    snprintf(caps->why, sizeof(caps->why), "mlx5: %s", reason);
    return -EOPNOTSUPP;
}

static int mlx5_probe(struct ibv_context *ctx, struct vcc_caps *caps)
{
    struct mlx5dv_context attr = {
        .comp_mask = MLX5DV_CONTEXT_MASK_CRYPTO_OFFLOAD};
    const struct mlx5dv_crypto_caps *c = &attr.crypto_caps;
    const struct mlx5dv_calls *call;

    memset(caps, 0, sizeof(*caps));
    if (ctx == NULL)
        return refuse(caps, "no RDMA device");
    call = mlx5dv_calls(caps->why, sizeof(caps->why));
    if (call == NULL)
        return -EOPNOTSUPP;
    if (!call->is_supported(ctx->device))
        return refuse(caps, "not a device of libmlx5: ibv_devinfo");
    /* The mask comes back without what the library does not know. */
    if (call->query_device(ctx, &attr) != 0 ||
        !(attr.comp_mask & MLX5DV_CONTEXT_MASK_CRYPTO_OFFLOAD) ||
        !(c->flags & MLX5DV_CRYPTO_CAPS_CRYPTO))
        return refuse(caps, "the card has no crypto offload, or its firmware "
                            "has it off: mlxconfig query");
    if (c->failed_selftests != 0)
        return refuse(caps, "the card's crypto self-tests failed: see its "
                            "log, mlxfwreset or replace it");
    if (!(c->crypto_engines & XTS_ENGINES))
        return refuse(caps, "the card has no AES-XTS engine");
    if (c->wrapped_import_method &
        MLX5DV_CRYPTO_WRAPPED_IMPORT_METHOD_CAP_AES_XTS)
        return refuse(caps, "the card takes wrapped keys only: mlxconfig "
                            "-d DEVICE s with plaintext import, or backend "
                            "soft");
    caps->props      = vcc_mlx5.props;
    caps->algs       = VCC_AES_256_XTS;
    caps->max_keys   = c->log_max_num_deks >= 31 ? 1u << 31
                                                 : 1u << c->log_max_num_deks;
    caps->unit       = DATA_UNIT;
    caps->len_align  = XTS_BLOCK;
    caps->max_length = DATA_UNIT;
    if (c->crypto_engines & MLX5DV_CRYPTO_ENGINES_CAP_AES_XTS_MULTI_BLOCK)
        caps->max_length = UINT32_MAX / DATA_UNIT * DATA_UNIT;
    return 0;
}

/* ---- DEKs ---------------------------------------------------------------- */

/* The card's limits come as what its firmware calls them. */
static int key_error(int error)
{
    switch (error) {
    case ENOMEM: /* limit */
    case EAGAIN: /* no resources */
    case ENOSPC:
        return -ENOSPC;
    case EINVAL:
    case EOPNOTSUPP:
        return -EKEYREJECTED;
    }
    return -EIO;
}

/* libmlx5 builds the firmware's command on its stack, and leaves it there. */
static __attribute__((noinline)) void wipe_stack_below(void)
{
    uint8_t below[16384];

    explicit_bzero(below, sizeof(below));
}

static int create_dek(void *card, const uint8_t key[DEK_KEY_LEN], void **dek_p)
{
    struct vcc_dev *dev = card;
    struct mlx5dv_dek_init_attr attr = {
        .key_size    = MLX5DV_CRYPTO_KEY_SIZE_256,
        .key_purpose = MLX5DV_CRYPTO_KEY_PURPOSE_AES_XTS,
        .pd          = dev->pd,
        /* With no login: a plaintext key. */
        .comp_mask   = MLX5DV_DEK_INIT_ATTR_CRYPTO_LOGIN,
    };
    int error;

    _Static_assert(sizeof(attr.key) >= DEK_KEY_LEN, "key1, key2");
    memcpy(attr.key, key, DEK_KEY_LEN);
    errno  = 0;
    *dek_p = dev->call->dek_create(dev->pd->context, &attr);
    error  = errno;
    wipe_stack_below();
    explicit_bzero(&attr, sizeof(attr));
    return *dek_p != NULL ? 0 : key_error(error);
}

static int query_dek(void *card, void *dek)
{
    struct vcc_dev *dev = card;
    struct mlx5dv_dek_attr attr = {.state = MLX5DV_DEK_STATE_ERROR};

    return dev->call->dek_query(dek, &attr) == 0 &&
                   attr.state == MLX5DV_DEK_STATE_READY
               ? 0
               : -EKEYREJECTED;
}

static int destroy_dek(void *card, void *dek)
{
    struct vcc_dev *dev = card;

    return -dev->call->dek_destroy(dek);
}

static const struct dek_ops dek_ops = {
    .create  = create_dek,
    .query   = query_dek,
    .destroy = destroy_dek,
};

/* ---- Devices and keys ---------------------------------------------------- */

static int mlx5_open(struct ibv_pd *pd, struct vcc_dev **dev_p)
{
    struct vcc_caps caps;
    struct vcc_dev *dev;
    int ret;

    *dev_p = NULL;
    if (pd == NULL)
        return -EINVAL;
    ret = mlx5_probe(pd->context, &caps);
    if (ret != 0)
        return ret;
    dev = calloc(1, sizeof(*dev));
    if (dev == NULL)
        return -ENOMEM;
    dev->owner = eesp_wipeonfork_alloc(sizeof(*dev->owner));
    if (dev->owner == NULL) {
        free(dev);
        return -ENOMEM;
    }
    dev->owner->alive = 1;
    dev->call         = mlx5dv_calls(caps.why, sizeof(caps.why));
    dev->pd           = pd;
    dev->max_length   = caps.max_length;
    /* Half of them at most: there are other processes. */
    dek_pool_init(&dev->pool, &dek_ops, dev,
                  caps.max_keys > 2 * SLOTS ? SLOTS
                  : caps.max_keys > 1       ? caps.max_keys / 2
                                            : 1);
    *dev_p = dev;
    return 0;
}

static void dev_release(struct vcc_dev *dev)
{
    if (!dev->closed || dev->pool.keys > 0)
        return;
    eesp_secret_free(dev->owner, sizeof(*dev->owner));
    free(dev);
}

static void mlx5_close(struct vcc_dev *dev)
{
    dev->closed = 1;
    dev_release(dev);
}

static int mlx5_create_qp(struct vcc_dev *dev, struct ibv_qp_init_attr_ex *attr,
                          struct ibv_qp **qp_p)
{
    struct mlx5dv_qp_init_attr dv = {
        .comp_mask      = MLX5DV_QP_INIT_ATTR_MASK_SEND_OPS_FLAGS,
        .send_ops_flags = MLX5DV_QP_EX_WITH_MKEY_CONFIGURE,
    };

    if (!dev->owner->alive)
        return -EOWNERDEAD;
    attr->comp_mask |= IBV_QP_INIT_ATTR_SEND_OPS_FLAGS | IBV_QP_INIT_ATTR_PD;
    attr->pd = dev->pd;
    if (attr->cap.max_inline_data < INLINE)
        attr->cap.max_inline_data = INLINE;
    errno = EIO;
    *qp_p = dev->call->create_qp(dev->pd->context, attr, &dv);
    return *qp_p != NULL ? 0 : -errno;
}

static int mlx5_key_create(struct vcc_dev *dev, enum vcc_algorithm alg,
                           const uint8_t *bytes, size_t length,
                           struct vcc_key **key_p)
{
    struct vcc_key *key;
    int ret;

    *key_p = NULL;
    if (alg != VCC_AES_256_XTS)
        return -EOPNOTSUPP;
    if (length != DEK_KEY_LEN)
        return -EINVAL;
    if (!dev->owner->alive)
        return -EOWNERDEAD;
    key = calloc(1, sizeof(*key));
    if (key == NULL)
        return -ENOMEM;
    key->dev = dev;
    ret = dek_pool_hold(&dev->pool, bytes, &key->key);
    if (ret != 0) {
        free(key);
        return ret;
    }
    *key_p = key;
    return 0;
}

static int mlx5_key_destroy(struct vcc_key *key)
{
    struct vcc_dev *dev = key->dev;
    int ret;

    if (key->attached > 0)
        return -EBUSY;
    ret = dek_pool_release(&dev->pool, key->key);
    if (ret != 0)
        return ret;
    free(key);
    dev_release(dev);
    return 0;
}

static int mlx5_key_check(struct vcc_key *key)
{
    if (!key->dev->owner->alive)
        return -EOWNERDEAD;
    return dek_pool_check(&key->dev->pool, key->key);
}

/* ---- Memory -------------------------------------------------------------- */

static unsigned access_flags(unsigned direction)
{
    switch (direction) {
    case VCC_RX:
        return IBV_ACCESS_LOCAL_WRITE;
    case VCC_RX | VCC_REMOTE:
        return IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE;
    case VCC_TX | VCC_REMOTE:
        return IBV_ACCESS_REMOTE_READ;
    }
    return 0;
}

/* Posts the UMR: memory, key and data units of m. */
static int configure(struct mlx5_mem *m, struct mlx5dv_dek *dek)
{
    const struct mlx5dv_calls *call = m->mem.key->dev->call;
    struct ibv_qp_ex *qp            = call->qp_to_ex(m->qp);
    struct mlx5dv_qp_ex *dv = qp != NULL ? call->qp_ex_from(qp) : NULL;
    struct mlx5dv_mkey_conf_attr conf = {0};
    struct mlx5dv_crypto_attr crypto = {
        .crypto_standard        = MLX5DV_CRYPTO_STANDARD_AES_XTS,
        .encrypt_on_tx          = true,
        .signature_crypto_order =
            MLX5DV_SIGNATURE_CRYPTO_ORDER_SIGNATURE_BEFORE_CRYPTO_ON_TX,
        .data_unit_size         = MLX5DV_BLOCK_SIZE_4096,
        .dek                    = dek,
    };

    if (dv == NULL || dv->wr_mkey_configure == NULL ||
        dv->wr_set_mkey_crypto == NULL)
        return -EINVAL; /* a QP that create_qp did not make */
    data_unit_tweak(m->mem.unit0, (uint8_t *)crypto.initial_tweak);
    ibv_wr_start(qp);
    qp->wr_id    = (uintptr_t)&m->mem;
    qp->wr_flags = IBV_SEND_SIGNALED | IBV_SEND_INLINE;
    mlx5dv_wr_mkey_configure(dv, m->mkey, SETTERS, &conf);
    mlx5dv_wr_set_mkey_access_flags(dv, access_flags(m->direction));
    mlx5dv_wr_set_mkey_layout_list(dv, (uint16_t)m->count, m->sge);
    mlx5dv_wr_set_mkey_crypto(dv, &crypto);
    return -ibv_wr_complete(qp);
}

/* Numbers first: what fails later has spent them, and gives none back. */
static int take_units(struct dek_key *key, struct vcc_mem *mem,
                      unsigned direction, uint64_t unit0)
{
    uint64_t count = data_units(mem->length);

    if (key->direction != 0 && key->direction != (direction & ~VCC_REMOTE))
        return -EINVAL;
    key->direction = direction & ~VCC_REMOTE;
    if (key->direction == VCC_RX)
        return unit0 != 0 ? -EINVAL
                          : data_units_take(&key->unit, count, &mem->unit0);
    mem->unit0 = unit0;
    return data_units_use(&key->unit, count, unit0);
}

/* Takes the key into use for m and configures; m has memory and mkey. */
static int engage(struct mlx5_mem *m, struct vcc_key *key, uint64_t unit0)
{
    void *dek;
    int ret = dek_pool_use(&key->dev->pool, key->key, &dek);

    if (ret != 0)
        return ret;
    m->mem.key = key;
    ret = take_units(key->key, &m->mem, m->direction, unit0);
    if (ret == 0)
        ret = configure(m, dek);
    if (ret == 0)
        key->attached++;
    else
        dek_pool_unuse(key->key);
    return ret;
}

static void disengage(struct vcc_key *key)
{
    key->attached--;
    dek_pool_unuse(key->key);
}

static int memory_of(struct vcc_dev *dev, struct mlx5_mem *m,
                     const struct ibv_sge *sge, int count)
{
    int i;

    if (sge == NULL || count < 1 || count > VCC_SGE_MAX)
        return -EINVAL;
    for (i = 0; i < count; i++) {
        m->sge[i] = sge[i];
        m->mem.length += sge[i].length;
    }
    m->count = count;
    return m->mem.length == 0 || m->mem.length > dev->max_length ||
                   m->mem.length % XTS_BLOCK != 0
               ? -EMSGSIZE
               : 0;
}

static int mlx5_attach(struct vcc_key *key, struct ibv_qp *qp,
                       const struct ibv_sge *sge, int count, uint64_t unit0,
                       unsigned direction, struct vcc_mem **mem_p)
{
    struct vcc_dev *dev = key->dev;
    struct mlx5dv_mkey_init_attr attr = {
        .pd           = dev->pd,
        .create_flags = MLX5DV_MKEY_INIT_ATTR_FLAGS_INDIRECT |
                        MLX5DV_MKEY_INIT_ATTR_FLAGS_CRYPTO,
        .max_entries  = (uint16_t)count,
    };
    struct mlx5_mem *m;
    int ret;

    *mem_p = NULL;
    if (!dev->owner->alive)
        return -EOWNERDEAD;
    if (qp == NULL || ((direction & ~VCC_REMOTE) != VCC_TX &&
                       (direction & ~VCC_REMOTE) != VCC_RX))
        return -EINVAL;
    m = calloc(1, sizeof(*m));
    if (m == NULL)
        return -ENOMEM;
    m->qp        = qp;
    m->direction = direction;
    ret = memory_of(dev, m, sge, count);
    if (ret == 0) {
        errno   = EIO;
        m->mkey = dev->call->create_mkey(&attr);
        ret     = m->mkey != NULL ? 0 : -errno;
    }
    if (ret == 0)
        ret = engage(m, key, unit0);
    if (ret != 0) {
        if (m->mkey != NULL)
            dev->call->destroy_mkey(m->mkey);
        free(m);
        return ret;
    }
    m->mem.lkey = m->mkey->lkey;
    m->mem.rkey = m->mkey->rkey;
    *mem_p = &m->mem;
    return 0;
}

static int mlx5_renew(struct vcc_mem *mem, struct vcc_key *key, uint64_t unit0)
{
    struct mlx5_mem *m = (struct mlx5_mem *)mem;
    struct vcc_key *old = mem->key;
    int ret;

    if (!old->dev->owner->alive)
        return -EOWNERDEAD;
    if (m->failed || key->dev != old->dev)
        return -EINVAL;
    ret = engage(m, key, unit0);
    if (ret != 0) {
        mem->key  = old;
        m->failed = 1;
        return ret;
    }
    disengage(old);
    return 0;
}

static int mlx5_detach(struct vcc_mem *mem)
{
    struct mlx5_mem *m  = (struct mlx5_mem *)mem;
    struct vcc_dev *dev = mem->key->dev;
    int error;

    if (!dev->owner->alive)
        return -EOWNERDEAD;
    /* The memory stays reachable by rkey for as long as the mkey lives. */
    error = dev->call->destroy_mkey(m->mkey);
    if (error != 0 && error != EIO && error != ENODEV)
        return -EBUSY;
    disengage(mem->key);
    free(m);
    return error == 0 ? 0 : -EIO;
}

const struct vcc_backend vcc_mlx5 = {
    .name        = "mlx5",
    .id          = VCC_ID_MLX5,
    .props       = VCC_CONF | VCC_RX_DIRECT,
    .probe       = mlx5_probe,
    .open        = mlx5_open,
    .close       = mlx5_close,
    .create_qp   = mlx5_create_qp,
    .key_create  = mlx5_key_create,
    .key_destroy = mlx5_key_destroy,
    .key_check   = mlx5_key_check,
    .attach      = mlx5_attach,
    .renew       = mlx5_renew,
    .detach      = mlx5_detach,
};
