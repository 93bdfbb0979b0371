# SPDX-License-Identifier: BSD-3-Clause

# EESP_CHECK_IPSEC_MB: IPSEC_MB_LIBS and HAVE_IPSEC_MB. The library has no
# pkg-config file.
AC_DEFUN([EESP_CHECK_IPSEC_MB], [
    EESP_OPTIONAL([ipsec-mb], [ipsec_mb], [AES-GCM by Intel ipsec-mb],
        [libipsec-mb-dev], [
        AC_CHECK_HEADER([intel-ipsec-mb.h], [
            AC_CHECK_LIB([IPSec_MB], [alloc_mb_mgr], [eesp_found=yes])])
    ])
    AS_IF([test $eesp_have_ipsec_mb = yes], [
        IPSEC_MB_LIBS=-lIPSec_MB
        AC_DEFINE([HAVE_IPSEC_MB], [1], [Intel ipsec-mb is there])
    ])
    AC_SUBST([IPSEC_MB_LIBS])
])
