# SPDX-License-Identifier: BSD-3-Clause

# EESP_LTO: LTO_CFLAGS for what becomes the shared objects, LTO_LDFLAGS for their
# links, NO_LTO_LDFLAGS for all others, that need not be fast and would take long.
# A short packet passes a dozen files of libeesp; inlined, it takes a tenth less.
# Not with sanitizers or coverage, whose reports name functions. Needs
# EESP_SANITIZERS, EESP_COVERAGE before it.
AC_DEFUN([EESP_LTO], [
    AC_ARG_ENABLE([lto],
        [AS_HELP_STRING([--disable-lto],
            [no link-time optimisation: a short packet takes a tenth longer])],
        [], [enable_lto=yes])

    AS_IF([test "x$SANITIZE_CFLAGS$COVERAGE_CFLAGS" != x], [enable_lto=no])
    eesp_lto_state=no
    AS_IF([test "x$enable_lto" = xyes], [
        EESP_APPEND_LDFLAG([LTO_LDFLAGS], [-flto=auto])
        AS_IF([test -n "$LTO_LDFLAGS"],
            [EESP_APPEND_CFLAG([LTO_CFLAGS], [-flto=auto -ffat-lto-objects])])
        AS_IF([test -n "$LTO_CFLAGS"],
            [NO_LTO_LDFLAGS=" -fno-lto"
             eesp_lto_state=yes],
            [LTO_LDFLAGS=
             eesp_lto_state="no ($CC has none with fat objects)"])
    ])

    AC_SUBST([LTO_CFLAGS])
    AC_SUBST([LTO_LDFLAGS])
    AC_SUBST([NO_LTO_LDFLAGS])
])
