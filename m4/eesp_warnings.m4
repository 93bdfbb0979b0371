# SPDX-License-Identifier: BSD-3-Clause

# EESP_WARNINGS: WARN_CFLAGS. Warnings are errors in a git checkout, where
# someone is there to mend them, and not in a release built by a newer compiler.
AC_DEFUN([EESP_WARNINGS], [
    m4_foreach_w([flag], [-Wall -Wextra -Wshadow -Wformat=2 -Wcast-align
            -Wnull-dereference -Wimplicit-fallthrough=5 -Wmissing-declarations
            -Wstrict-prototypes -Wpointer-arith -Wvla],
        [EESP_APPEND_CFLAG([WARN_CFLAGS], flag)])

    AC_ARG_ENABLE([werror],
        [AS_HELP_STRING([--enable-werror],
            [warnings are errors (default: only in a git checkout)])],
        [], [AS_IF([test -e "$srcdir/.git"],
                   [enable_werror=yes], [enable_werror=no])])
    AS_IF([test "x$enable_werror" = xyes],
          [AS_VAR_APPEND([WARN_CFLAGS], [" -Werror"])])
    eesp_werror_state=$enable_werror
    AC_SUBST([WARN_CFLAGS])
])
