# SPDX-License-Identifier: BSD-3-Clause

# EESP_OPTIONAL(NAME, SHELL-NAME, TEXT, PACKAGE, CHECK)
# --with-NAME, on by itself where the library is found. CHECK sets
# eesp_found=yes and may set eesp_detail. Sets eesp_<SHELL-NAME>_state and
# eesp_have_<SHELL-NAME>; asked for and missing is an error.
AC_DEFUN([EESP_OPTIONAL], [
    AC_ARG_WITH([$1], [AS_HELP_STRING([--with-$1], [$3 (default: if found)])],
        [], [with_$2=auto])
    eesp_have_$2=no
    eesp_found=no
    eesp_detail=
    AS_IF([test "x$with_$2" = xno], [
        eesp_$2_state="no (turned off)"
        AS_VAR_APPEND([EESP_DISTCHECK_FLAGS], [" --without-$1"])
    ], [
        $5
        AS_IF([test $eesp_found = yes], [
            eesp_have_$2=yes
            eesp_$2_state="yes${eesp_detail:+ ($eesp_detail)}"
        ], [test "x$with_$2" != xauto], [
            AC_MSG_ERROR([--with-$1: not found; apt-get install $4])
        ], [eesp_$2_state="no (not found: apt-get install $4)"])
    ])
])
