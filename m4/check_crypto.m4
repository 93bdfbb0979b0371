# SPDX-License-Identifier: BSD-3-Clause

# EESP_CHECK_CRYPTO: CRYPTO_CFLAGS, CRYPTO_LIBS. Required.
AC_DEFUN([EESP_CHECK_CRYPTO], [
    PKG_CHECK_MODULES([CRYPTO], [libcrypto >= 3.0], [], [
        AC_MSG_ERROR([OpenSSL libcrypto 3.0 or later is needed:
apt-get install libssl-dev])])
])
