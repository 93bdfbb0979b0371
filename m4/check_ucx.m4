# SPDX-License-Identifier: BSD-3-Clause

# EESP_UCX_TREE_VERSION(VARIABLE, DIR): major.minor of the UCX tree in DIR, by
# the definitions at the head of its configure.ac (whose m4 word, written here,
# would be expanded).
AC_DEFUN([EESP_UCX_TREE_VERSION], [
    $1=`sed -n 's/^[[a-z]]*(.ucx_ver_m[[a-z]]*., *\([[0-9]]*\)).*/\1/p' \
        "$2/configure.ac" 2>/dev/null | tr '\n' . | sed 's/\.$//'`
])

# EESP_CHECK_UCX: UCX_LIBS, UCX_SRC (tree with UCX's internal headers),
# EESP_UCX_MAJOR, EESP_UCX_MINOR and the conditional PLUGIN.
#
# The plugin is built against structures in UCX's internal headers which change
# from one minor release to the next, so the tree must match the installed UCX.
AC_DEFUN([EESP_CHECK_UCX], [
    AC_ARG_WITH([ucx-src], [AS_HELP_STRING([--with-ucx-src=DIR],
        [UCX source tree of the installed version (default: headers from the
         distribution's source package; "no": do not build the plugin)])],
        [], [with_ucx_src=auto])

    eesp_plugin=no
    UCX_SRC=
    PKG_CHECK_MODULES([UCX], [ucx],
        [eesp_ucx_version=`$PKG_CONFIG --modversion ucx`],
        [eesp_ucx_version="no (not found: apt-get install libucx-dev)"])
    eesp_ucx_series=`AS_ECHO(["$eesp_ucx_version"]) | cut -d. -f1,2`

    AS_CASE([$eesp_ucx_version/$with_ucx_src],
    [*/no], [
        eesp_plugin_state="no (turned off)"
        AS_VAR_APPEND([EESP_DISTCHECK_FLAGS], [" --without-ucx-src"])
    ],
    [no*/auto], [eesp_plugin_state="no (UCX not found)"],
    [no*], [AC_MSG_ERROR([--with-ucx-src: libucx itself was not found;
apt-get install libucx-dev])],
    [*/auto], [
        AC_MSG_CHECKING([for UCX's internal headers, version $eesp_ucx_version])
        eesp_fetch="$ac_abs_confdir/ucx_plugin/fetch-ucx-headers"
        AS_IF([eesp_why=`$SHELL "$eesp_fetch" ucx-headers "$eesp_ucx_version" \
                2>&AS_MESSAGE_LOG_FD`],
            [UCX_SRC=`pwd`/ucx-headers
             AC_MSG_RESULT([$eesp_why])
             eesp_plugin_state="yes (headers: $eesp_why)"],
            [AC_MSG_RESULT([no])
             AC_MSG_WARN([the plugin will not be built: $eesp_why
Mend that, or give a UCX $eesp_ucx_version source tree: --with-ucx-src=DIR])
             eesp_plugin_state="no ($eesp_why)"])
    ], [
        AS_IF([UCX_SRC=`cd "$with_ucx_src" 2>/dev/null && pwd` &&
               test -f "$UCX_SRC/src/uct/base/uct_iface.h"], [],
            [AC_MSG_ERROR([--with-ucx-src=$with_ucx_src: not a UCX source tree (no src/uct/base/uct_iface.h)])])
        eesp_plugin_state="yes (headers: $UCX_SRC)"
    ])

    AS_IF([test -n "$UCX_SRC"], [
        EESP_UCX_TREE_VERSION([eesp_tree], [$UCX_SRC])
        AS_IF([test "x$eesp_tree" != "x$eesp_ucx_series"],
            [AC_MSG_ERROR([$UCX_SRC holds UCX ${eesp_tree:-(unknown)}, installed is $eesp_ucx_version: the minor versions must agree])])
        eesp_plugin=yes
        AC_DEFINE_UNQUOTED([EESP_UCX_MAJOR], [${eesp_ucx_series%.*}],
            [UCX release the plugin is built for])
        AC_DEFINE_UNQUOTED([EESP_UCX_MINOR], [${eesp_ucx_series#*.}],
            [UCX release the plugin is built for])
        AS_VAR_APPEND([EESP_DISTCHECK_FLAGS], [" --with-ucx-src=$UCX_SRC"])
    ])
    AC_SUBST([UCX_SRC])
    AM_CONDITIONAL([PLUGIN], [test $eesp_plugin = yes])
])
