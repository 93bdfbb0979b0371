# SPDX-License-Identifier: BSD-3-Clause

# EESP_HARDENING: HARDEN_CPPFLAGS, HARDEN_CFLAGS, HARDEN_LDFLAGS for all,
# PIE_CFLAGS and PIE_LDFLAGS for programs, SHLIB_LDFLAGS for shared objects.
# Needs EESP_SANITIZERS before it.
AC_DEFUN([EESP_HARDENING], [
    AC_ARG_ENABLE([hardening],
        [AS_HELP_STRING([--disable-hardening],
            [leave out stack protector, FORTIFY, RELRO and PIE])],
        [], [enable_hardening=yes])

    # Not hardening alone: what is not in eesp.h must not be exported.
    EESP_APPEND_CFLAG([HARDEN_CFLAGS], [-fvisibility=hidden])
    AS_IF([test -z "$SANITIZE_CFLAGS"],
          [EESP_APPEND_LDFLAG([SHLIB_LDFLAGS], [-Wl,-z,defs])])

    eesp_hardening_state=no
    AS_IF([test "x$enable_hardening" = xyes], [
        EESP_APPEND_CFLAG([HARDEN_CFLAGS], [-fstack-protector-strong])
        EESP_APPEND_CFLAG([HARDEN_CFLAGS], [-fstack-clash-protection])
        EESP_APPEND_CFLAG([HARDEN_CFLAGS], [-fcf-protection])
        EESP_APPEND_LDFLAG([HARDEN_LDFLAGS], [-Wl,-z,relro])
        EESP_APPEND_LDFLAG([HARDEN_LDFLAGS], [-Wl,-z,now])
        EESP_APPEND_LDFLAG([HARDEN_LDFLAGS], [-Wl,-z,noexecstack])
        EESP_APPEND_CFLAG([PIE_CFLAGS], [-fPIE])
        EESP_APPEND_LDFLAG([PIE_LDFLAGS], [-pie])
        eesp_hardening_state="yes, without FORTIFY (needs -O)"

        # glibc warns about FORTIFY without optimisation, ASan replaces it.
        AC_COMPILE_IFELSE([AC_LANG_SOURCE([[
            #ifndef __OPTIMIZE__
            #error not optimising
            #endif
            ]])], [
            AS_IF([test "x$enable_asan" = xyes],
                [eesp_hardening_state="yes, without FORTIFY (asan)"],
                [HARDEN_CPPFLAGS="-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"
                 eesp_hardening_state=yes])
        ])
    ], [AS_VAR_APPEND([EESP_DISTCHECK_FLAGS], [" --disable-hardening"])])

    AC_SUBST([HARDEN_CPPFLAGS])
    AC_SUBST([HARDEN_CFLAGS])
    AC_SUBST([HARDEN_LDFLAGS])
    AC_SUBST([PIE_CFLAGS])
    AC_SUBST([PIE_LDFLAGS])
    AC_SUBST([SHLIB_LDFLAGS])
])
