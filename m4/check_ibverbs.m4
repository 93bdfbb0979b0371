# SPDX-License-Identifier: BSD-3-Clause

# EESP_CHECK_IBVERBS: IBVERBS_CFLAGS, IBVERBS_LIBS and HAVE_IBVERBS. Without it
# verbs_shim has its soft backend only.
AC_DEFUN([EESP_CHECK_IBVERBS], [
    EESP_OPTIONAL([ibverbs], [ibverbs], [RDMA devices in verbs_shim],
        [libibverbs-dev], [
        PKG_CHECK_MODULES([IBVERBS], [libibverbs],
            [eesp_found=yes
             eesp_detail=`$PKG_CONFIG --modversion libibverbs`], [:])
    ])
    AS_IF([test $eesp_have_ibverbs = yes],
          [AC_DEFINE([HAVE_IBVERBS], [1], [libibverbs is there])])
])
