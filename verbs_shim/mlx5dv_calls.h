/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mlx5dv_calls: libmlx5's functions, found when they are first needed: nothing
 * that links libeesp_verbs needs the library. Each by the version in which
 * rdma-core introduced it, so that an older library is told from a newer.
 */
#ifndef VERBS_SHIM_MLX5DV_CALLS_H
#define VERBS_SHIM_MLX5DV_CALLS_H

#include <infiniband/mlx5dv.h>
#include <infiniband/verbs.h>

struct mlx5dv_calls {
    bool (*is_supported)(struct ibv_device *);
    int (*query_device)(struct ibv_context *, struct mlx5dv_context *);
    struct ibv_qp *(*create_qp)(struct ibv_context *,
                                struct ibv_qp_init_attr_ex *,
                                struct mlx5dv_qp_init_attr *);
    struct mlx5dv_qp_ex *(*qp_ex_from)(struct ibv_qp_ex *);
    struct mlx5dv_mkey *(*create_mkey)(struct mlx5dv_mkey_init_attr *);
    int (*destroy_mkey)(struct mlx5dv_mkey *);
    struct mlx5dv_dek *(*dek_create)(struct ibv_context *,
                                     struct mlx5dv_dek_init_attr *);
    int (*dek_query)(struct mlx5dv_dek *, struct mlx5dv_dek_attr *);
    int (*dek_destroy)(struct mlx5dv_dek *);
    struct ibv_qp_ex *(*qp_to_ex)(struct ibv_qp *); /* libibverbs' own */
};

/* NULL if the library or one of the functions is missing: then why says so. */
const struct mlx5dv_calls *mlx5dv_calls(char *why, size_t size);

#endif
