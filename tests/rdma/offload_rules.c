/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * offload_check: the rules of libmlx5 that fakemlx5 enforces, seen by breaking
 * each. The same calls, on a card, tell where the emulator is wrong.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "offload_check.h"

#define FIND(_name, _version)                                                  \
    __typeof__(&_name) _name##_p = (__typeof__(&_name))dlvsym(                 \
        library, #_name, _version)

static struct mlx5dv_qp_ex *dv;
static struct ibv_qp_ex *qpx;

/* A UMR of three setters, which step() may spoil. */
enum spoil { NOTHING, NO_INLINE, TWICE_ACCESS, BAD_ACCESS, TWICE_LAYOUT,
             MANY_PIECES, CRYPTO_MASK, BAD_UNIT, NO_CRYPTO, CONF_FLAGS };

static int umr(struct mlx5dv_mkey *mkey, struct ibv_sge *sge,
               struct mlx5dv_dek *dek, enum spoil spoil)
{
    struct ibv_sge many[8] = {*sge, *sge, *sge, *sge, *sge, *sge, *sge, *sge};
    struct mlx5dv_mkey_conf_attr conf = {
        .conf_flags = spoil == CONF_FLAGS ? 1u << 30 : 0};
    struct mlx5dv_crypto_attr crypto = {
        .crypto_standard = MLX5DV_CRYPTO_STANDARD_AES_XTS,
        .encrypt_on_tx = true,
        .data_unit_size = spoil == BAD_UNIT ? (enum mlx5dv_block_size)9
                                            : MLX5DV_BLOCK_SIZE_512,
        .dek = dek, .comp_mask = spoil == CRYPTO_MASK};

    ibv_wr_start(qpx);
    qpx->wr_id    = 1;
    qpx->wr_flags = spoil == NO_INLINE ? IBV_SEND_SIGNALED
                                       : IBV_SEND_SIGNALED | IBV_SEND_INLINE;
    mlx5dv_wr_mkey_configure(dv, mkey, 3, &conf);
    mlx5dv_wr_set_mkey_access_flags(
        dv, spoil == BAD_ACCESS ? 1u << 20 : IBV_ACCESS_LOCAL_WRITE);
    if (spoil == TWICE_ACCESS)
        mlx5dv_wr_set_mkey_access_flags(dv, 0);
    mlx5dv_wr_set_mkey_layout_list(dv, spoil == MANY_PIECES ? 8 : 1, many);
    if (spoil == TWICE_LAYOUT)
        mlx5dv_wr_set_mkey_layout_list(dv, 1, many);
    if (spoil != NO_CRYPTO)
        mlx5dv_wr_set_mkey_crypto(dv, &crypto);
    return ibv_wr_complete(qpx);
}

static void umr_rules(struct mlx5dv_mkey *mkey, struct ibv_sge *sge,
                      struct mlx5dv_dek *dek)
{
    static const struct {
        enum spoil spoil;
        int error;
        const char *name;
    } cases[] = {
        {NO_INLINE, EOPNOTSUPP, "a UMR must be inline"},
        {CONF_FLAGS, EOPNOTSUPP, "unknown flags of mkey_configure"},
        {TWICE_ACCESS, EINVAL, "access flags are set once"},
        {BAD_ACCESS, EINVAL, "unknown access flags"},
        {TWICE_LAYOUT, EINVAL, "the layout is set once"},
        {MANY_PIECES, ENOMEM, "no more pieces than max_entries"},
        {CRYPTO_MASK, EINVAL, "comp_mask of the crypto attributes is 0"},
        {BAD_UNIT, EINVAL, "unknown data unit size"},
        {NO_CRYPTO, EINVAL, "as many setters as were promised"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is(umr(mkey, sge, dek, cases[i].spoil) == cases[i].error,
           cases[i].name);
}

void rules(const struct vcc_backend *b)
{
    void *library = dlopen("libmlx5.so.1", RTLD_NOW);
    FIND(mlx5dv_qp_ex_from_ibv_qp_ex, "MLX5_1.10");
    FIND(mlx5dv_create_mkey, "MLX5_1.10");
    FIND(mlx5dv_destroy_mkey, "MLX5_1.10");
    FIND(mlx5dv_dek_create, "MLX5_1.21");
    FIND(mlx5dv_dek_query, "MLX5_1.21");
    FIND(mlx5dv_dek_destroy, "MLX5_1.21");
    struct end a = {0}, z = {0};
    struct mlx5dv_dek_attr query = {.comp_mask = 1};
    struct mlx5dv_dek *dek, *deks[64];
    struct mlx5dv_mkey *mkey;
    struct ibv_sge sge;
    struct vcc_mem raw = {0};
    int n = 0;

    (void)b;
    open_ends(&a, &z);
    struct mlx5dv_dek_init_attr init = {
        .key_size = MLX5DV_CRYPTO_KEY_SIZE_256, .pd = a.pd,
        .key = {1}, .comp_mask = MLX5DV_DEK_INIT_ATTR_CRYPTO_LOGIN};
    struct mlx5dv_mkey_init_attr attr = {
        .pd = a.pd, .max_entries = 1,
        .create_flags = MLX5DV_MKEY_INIT_ATTR_FLAGS_INDIRECT |
                        MLX5DV_MKEY_INIT_ATTR_FLAGS_CRYPTO};
    qpx = ibv_qp_to_qp_ex(a.qp);
    dv  = mlx5dv_qp_ex_from_ibv_qp_ex_p(qpx);
    sge = (struct ibv_sge){(uintptr_t)a.memory, 4096, a.mr->lkey};

    init.comp_mask = 0;
    is(mlx5dv_dek_create_p(a.ctx, &init) == NULL && errno == EINVAL,
       "a wrapped key without a login is refused");
    init.comp_mask = MLX5DV_DEK_INIT_ATTR_CRYPTO_LOGIN;
    control("wrapped_only", 1);
    is(mlx5dv_dek_create_p(a.ctx, &init) == NULL && errno == EINVAL,
       "a card for wrapped keys takes no plaintext key");
    control("wrapped_only", 0);
    init.key_size = (enum mlx5dv_crypto_key_size)7;
    is(mlx5dv_dek_create_p(a.ctx, &init) == NULL && errno == EINVAL,
       "unknown key size");
    init.key_size = MLX5DV_CRYPTO_KEY_SIZE_256;
    while (n < 64 && (deks[n] = mlx5dv_dek_create_p(a.ctx, &init)) != NULL)
        n++;
    is(n == 1 << control("log_max_num_deks", -1) && errno == ENOMEM,
       "2^log_max_num_deks keys, then ENOMEM");
    while (n > 1)
        mlx5dv_dek_destroy_p(deks[--n]);
    dek = deks[0];
    is(mlx5dv_dek_query_p(dek, &query) == EINVAL,
       "comp_mask of a query is 0");

    attr.create_flags = 0;
    is(mlx5dv_create_mkey_p(&attr) == NULL && errno == EOPNOTSUPP,
       "an mkey without flags is refused");
    attr.create_flags = MLX5DV_MKEY_INIT_ATTR_FLAGS_INDIRECT;
    mkey = mlx5dv_create_mkey_p(&attr);
    is(umr(mkey, &sge, dek, NOTHING) == EINVAL,
       "an mkey made without CRYPTO gets no key");
    mlx5dv_destroy_mkey_p(mkey);
    attr.create_flags |= MLX5DV_MKEY_INIT_ATTR_FLAGS_CRYPTO;
    mkey = mlx5dv_create_mkey_p(&attr);
    umr_rules(mkey, &sge, dek);
    is(umr(mkey, &sge, dek, NOTHING) == 0 &&
           completed(&a, 1) == IBV_WC_SUCCESS,
       "a UMR without fault completes");
    is(mlx5dv_dek_destroy_p(dek) == EBUSY,
       "a DEK that an mkey uses is not destroyed");
    mlx5dv_destroy_mkey_p(mkey);
    is(mlx5dv_dek_destroy_p(dek) == 0, "nor is it kept without one");
    mkey     = mlx5dv_create_mkey_p(&attr);
    raw.lkey = mkey->lkey;
    is(post(&a, IBV_WR_RDMA_WRITE, &raw, 64, 1) == 0 &&
           completed(&a, 7) == IBV_WC_LOC_PROT_ERR,
       "an mkey is of no use before its UMR");
    mlx5dv_destroy_mkey_p(mkey);
    close_end(&a);
    close_end(&z);
}
