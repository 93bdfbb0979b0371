# SPDX-License-Identifier: BSD-3-Clause

# EESP_COVERAGE: COVERAGE_CFLAGS and COVERAGE_LDFLAGS, for make coverage. Before
# EESP_HARDENING, which looks whether there is optimisation.
AC_DEFUN([EESP_COVERAGE], [
    AC_ARG_ENABLE([coverage], [AS_HELP_STRING([--enable-coverage],
        [count the lines that tests run (make coverage); no optimisation])],
        [], [enable_coverage=no])
    AS_IF([test "x$enable_coverage" = xyes], [
        CFLAGS="$CFLAGS -O0"
        COVERAGE_CFLAGS="--coverage -fprofile-abs-path -fprofile-update=atomic"
        COVERAGE_LDFLAGS=--coverage
        AC_MSG_CHECKING([whether --coverage links])
        eesp_saved_CFLAGS=$CFLAGS
        CFLAGS="$CFLAGS $COVERAGE_CFLAGS"
        AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])], [
            AC_MSG_RESULT([no])
            AC_MSG_ERROR([--enable-coverage: $CC cannot link with it])
        ])
        CFLAGS=$eesp_saved_CFLAGS
    ])
    AC_SUBST([COVERAGE_CFLAGS])
    AC_SUBST([COVERAGE_LDFLAGS])
    AM_CONDITIONAL([COVERAGE], [test "x$enable_coverage" = xyes])
])
