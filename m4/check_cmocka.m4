# SPDX-License-Identifier: BSD-3-Clause

# EESP_CHECK_CMOCKA: CMOCKA_CFLAGS, CMOCKA_LIBS and the conditional CMOCKA.
AC_DEFUN([EESP_CHECK_CMOCKA], [
    EESP_OPTIONAL([cmocka], [cmocka], [unit tests], [libcmocka-dev], [
        PKG_CHECK_MODULES([CMOCKA], [cmocka],
            [eesp_found=yes
             eesp_detail="cmocka `$PKG_CONFIG --modversion cmocka`"],
            [AC_MSG_WARN([cmocka not found: make check runs no unit test])])
    ])
    AM_CONDITIONAL([CMOCKA], [test $eesp_have_cmocka = yes])
])
