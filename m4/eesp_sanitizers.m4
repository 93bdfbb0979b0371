# SPDX-License-Identifier: BSD-3-Clause

# EESP_SANITIZER(NAME, TEXT, FLAGS): --enable-NAME, accepted only if a program
# built with FLAGS links.
AC_DEFUN([EESP_SANITIZER], [
    AC_ARG_ENABLE([$1], [AS_HELP_STRING([--enable-$1], [build with $2])],
        [], [enable_$1=no])
    eesp_$1_state=$enable_$1
    AS_IF([test "x$enable_$1" = xyes], [
        AC_MSG_CHECKING([whether $3 links])
        eesp_saved_CFLAGS=$CFLAGS
        CFLAGS="$CFLAGS $3"
        AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])], [
            AC_MSG_RESULT([no])
            AC_MSG_ERROR([--enable-$1: $CC cannot link $2])
        ])
        CFLAGS=$eesp_saved_CFLAGS
        AS_VAR_APPEND([SANITIZE_CFLAGS], [" $3 -fno-omit-frame-pointer"])
        AS_VAR_APPEND([SANITIZE_LDFLAGS], [" $3"])
        AS_VAR_APPEND([EESP_DISTCHECK_FLAGS], [" --enable-$1"])
    ])
])

AC_DEFUN([EESP_SANITIZERS], [
    EESP_SANITIZER([asan], [AddressSanitizer], [-fsanitize=address])
    EESP_SANITIZER([ubsan], [UndefinedBehaviorSanitizer],
        [-fsanitize=undefined -fno-sanitize-recover=all])
    AC_SUBST([SANITIZE_CFLAGS])
    AC_SUBST([SANITIZE_LDFLAGS])
])
