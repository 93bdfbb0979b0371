# SPDX-License-Identifier: BSD-3-Clause

# EESP_CHECK_IBVERBS: IBVERBS_CFLAGS, IBVERBS_LIBS, HAVE_IBVERBS, and HAVE_MLX5DV
# and MLX5DV where the header knows AES-XTS keys. libmlx5 itself is not linked.
# Without them libeesp_verbs has its soft backend only.
AC_DEFUN([EESP_CHECK_IBVERBS], [
    eesp_have_mlx5dv=no
    EESP_OPTIONAL([ibverbs], [ibverbs], [RDMA devices in libeesp_verbs],
        [libibverbs-dev], [
        PKG_CHECK_MODULES([IBVERBS], [libibverbs],
            [eesp_found=yes
             eesp_detail=`$PKG_CONFIG --modversion libibverbs`], [:])
        AS_IF([test $eesp_found = yes], [
            AC_CHECK_MEMBER([struct mlx5dv_dek_init_attr.crypto_login],
                [eesp_have_mlx5dv=yes
                 AS_VAR_APPEND([eesp_detail], [", AES-XTS by mlx5"])],
                [AS_VAR_APPEND([eesp_detail],
                               [", no AES-XTS: older than 42"])],
                [[#include <infiniband/mlx5dv.h>]])
        ])
    ])
    AS_IF([test $eesp_have_ibverbs = yes],
          [AC_DEFINE([HAVE_IBVERBS], [1], [libibverbs is there])])
    AS_IF([test $eesp_have_mlx5dv = yes],
          [AC_DEFINE([HAVE_MLX5DV], [1], [mlx5dv.h knows AES-XTS keys])])
    AM_CONDITIONAL([MLX5DV], [test $eesp_have_mlx5dv = yes])
])
