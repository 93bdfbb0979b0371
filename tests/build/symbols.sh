#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# What the built objects call and show: libeesp prints nothing, asks for no
# weak randomness, environment or socket, and exports its public names only;
# the plugin exports nothing and asks UCX for nothing it does not have.
set -u

: "${top_builddir:=.}"
objects=$top_builddir/src/lib/.libs/libeesp_internal.a
library=$top_builddir/src/lib/.libs/libeesp.so
verbs=$top_builddir/verbs_shim/.libs/libeesp_verbs.so
plugin=$top_builddir/ucx_plugin/.libs/libuct_eesp.so.0
failed=0

# refuse WHAT NAMES: fails the test if NAMES are any.
refuse() {
    [ -z "$2" ] || { echo "FAIL: $1: $2"; failed=1; }
}

# Names only, without versions.
undefined() { nm -u "$@" | sed -n 's/^ *[Uvw] \([^@]*\).*/\1/p' | sort -u; }
exported() { nm -D --defined-only "$1" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u; }

command -v nm >/dev/null && command -v readelf >/dev/null ||
    { echo "nm and readelf are needed: apt-get install binutils"; exit 99; }
[ -f "$objects" ] && [ -f "$library" ] ||
    { echo "not built: $objects, $library; run make"; exit 99; }

calls=$(undefined "$objects")
[ -n "$calls" ] || { echo "FAIL: $objects calls nothing?"; failed=1; }
# snprintf and vsnprintf write to memory and are welcome.
refuse "libeesp prints" "$(echo "$calls" | grep -E \
    '^(__)?(v?f?printf|v?dprintf|v?asprintf|v?sprintf|f?puts|f?putc|putchar|perror|psignal|fwrite|v?(warn|err)x?|v?syslog)(_chk|_unlocked)?$')"
refuse "libeesp uses weak randomness" "$(echo "$calls" | grep -E \
    '^(s?random|random_r|s?rand|rand_r|[demjln]rand48(_r)?|srand48)$')"
refuse "libeesp reads the environment" "$(echo "$calls" | grep -E \
    '^(secure_)?getenv$|^environ$')"
refuse "libeesp opens sockets" "$(echo "$calls" | grep -E \
    '^(socket|socketpair|connect|bind)$')"
# These fetch their algorithm anew for every operation.
refuse "libeesp uses unfetched algorithms" "$(echo "$calls" | grep -E \
    '^EVP_(aes|chacha20|sha[0-9])')"
refuse "libeesp exports" "$(exported "$library" | grep -v '^eesp_')"

refuse "libeesp_verbs exports" "$(exported "$verbs" | grep -v '^vcc_')"
refuse "libeesp_verbs prints" "$(undefined -D "$verbs" | grep -E \
    '^(v?f?printf|v?dprintf|f?puts|perror|fwrite)(_chk)?$')"
# Found at run time, so that it starts where there is none.
refuse "libeesp_verbs needs" "$(readelf -d "$verbs" | grep NEEDED | grep mlx5)"

if [ ! -f "$plugin" ]; then
    [ $failed = 0 ] || exit 1
    echo "SKIP: libeesp is well; the UCX plugin is NOT BUILT and not checked:"
    echo "configure says why in its summary"
    exit 77
fi

refuse "the plugin exports" "$(exported "$plugin")"
refuse "the plugin's SONAME is not libuct_eesp.so.0" \
    "$(readelf -d "$plugin" | sed -n 's/.*(SONAME).*\[\(.*\)\].*/\1/p' |
       grep -vx 'libuct_eesp\.so\.0')"
dynamic=$(readelf -d "$plugin")
case $dynamic in *NODELETE*) ;; *) refuse "the plugin lacks" NODELETE ;; esac

wanted=$(undefined -D "$plugin" | grep -E '^(uct|ucs|ucp|ucm)_')
[ -n "$wanted" ] || echo "note: the plugin calls nothing of UCX"
ucx=$(ldd "$plugin" | sed -n 's/.*libuc[stpm]\.so[^ ]* => \([^ ]*\) .*/\1/p')
[ -n "$ucx" ] || { echo "FAIL: the plugin links no UCX library"; failed=1; }
have=$(for lib in $ucx; do exported "$lib"; done | sort -u)
for name in $wanted; do
    case "
$have
" in *"
$name
"*) ;; *) refuse "UCX does not have" "$name" ;; esac
done

[ $failed = 0 ] && echo "symbols of libeesp and the plugin are as they should be"
exit $failed
