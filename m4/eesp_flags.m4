# SPDX-License-Identifier: BSD-3-Clause

# EESP_APPEND_CFLAG(VARIABLE, FLAG): appends FLAG if the compiler takes it.
# -Werror makes clang, too, refuse what it would merely ignore.
AC_DEFUN([EESP_APPEND_CFLAG], [
    AS_VAR_PUSHDEF([cache], [eesp_cv_cflag_$2])
    AC_CACHE_CHECK([whether $CC takes $2], [cache], [
        eesp_saved_CFLAGS=$CFLAGS
        CFLAGS="$CFLAGS -Werror $2"
        AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
            [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
        CFLAGS=$eesp_saved_CFLAGS
    ])
    AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
    AS_VAR_POPDEF([cache])
])

# EESP_APPEND_LDFLAG(VARIABLE, FLAG): the same with a link.
AC_DEFUN([EESP_APPEND_LDFLAG], [
    AS_VAR_PUSHDEF([cache], [eesp_cv_ldflag_$2])
    AC_CACHE_CHECK([whether the linker takes $2], [cache], [
        eesp_saved_LDFLAGS=$LDFLAGS
        LDFLAGS="$LDFLAGS $2"
        AC_LINK_IFELSE([AC_LANG_PROGRAM()],
            [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
        LDFLAGS=$eesp_saved_LDFLAGS
    ])
    AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
    AS_VAR_POPDEF([cache])
])
