# SPDX-License-Identifier: BSD-3-Clause

# EESP_CHECK_JANSSON: JANSSON_CFLAGS, JANSSON_LIBS. Required.
AC_DEFUN([EESP_CHECK_JANSSON], [
    PKG_CHECK_MODULES([JANSSON], [jansson], [], [
        AC_MSG_ERROR([jansson is needed: apt-get install libjansson-dev])])
])
