#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# install.sh: make install puts exactly the promised files in place, a program
# builds from the installed header and pkg-config file alone, the installed
# plugin carries a sealed job, and make uninstall leaves nothing.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

prefix=$work/prefix
make -C "$top_builddir" install DESTDIR="$work/root" prefix="$prefix" \
    libdir="$prefix/lib" >"$out" 2>"$err"
report $? "make install"
root=$work/root$prefix

for file in bin/eesp lib/libeesp.so lib/libeesp.so.0 include/eesp.h \
    lib/pkgconfig/libeesp.pc lib/libeesp_verbs.so lib/libeesp_verbs.so.0 \
    include/eesp_verbs.h lib/pkgconfig/libeesp_verbs.pc \
    share/bash-completion/completions/eesp; do
    [ -e "$root/$file" ]
    report $? "installed: $file"
done
plugin=$root/lib/ucx/libuct_eesp.so.0
hook=$root/lib/eesp/openmpi/mca_hook_eesp.so
for file in "$plugin" "$hook" "$root/lib/eesp/slurm/spank_eesp.so" \
    "$root/sbin/eesp-slurm-refresh"; do
    if [ -e "$file" ]; then
        ok "installed: ${file#"$root/"}"
    else
        skip "installed: ${file#"$root/"}" "it was not built"
    fi
done

# The .pc file names the configured prefix; this install is a moved one.
export PKG_CONFIG_PATH=$root/lib/pkgconfig
cp -r "$tests_dir/../examples" "$work/examples"
make -C "$work/examples" CFLAGS="-Wall -Wextra -Werror" \
    CPPFLAGS="$(pkg-config --define-variable=includedir="$root/include" \
        --cflags libeesp)" LDFLAGS="-L$root/lib" >"$out" 2>"$err"
report $? "the example builds with the header and pkg-config file"
if pkg-config --exists libibverbs; then
    [ -x "$work/examples/verbs_mover" ]
    report $? "and the one for RDMA"
else
    skip "the example for RDMA builds" "no libibverbs-dev"
fi
[ ! -e "$work/examples/eesp.h" ] && ! grep -q "$tests_dir" "$out"
report $? "and with nothing of the sources"

export LD_LIBRARY_PATH=$root/lib
"$root/bin/eesp" keygen --levels domain --out "$work/domain.jwks" >"$out" \
    2>"$err"
example=$work/examples/sealed_udp
port=$((20000 + RANDOM % 20000))
timeout 20 "$example" "$work/domain.jwks" receive $port 2 >"$work/received" \
    2>"$work/dropped" &
background=($!)
for _ in {1..50}; do
    printf 'one\ntwo\n' | timeout 20 "$example" "$work/domain.jwks" send $port \
        1 2 >"$out" 2>"$err" && break
    sleep 0.1
done
wait "${background[0]}"
report $? "the example's receiver ends well" "$(cat "$work/dropped")"
[ "$(cat "$work/received")" = "$(printf '1: one\n1: two')" ]
report $? "and has opened what was sealed" "$(cat "$work/received")"
background=()

EESP_BIN=$root/bin/eesp
if [ -e "$plugin" ] && [ -e "$MPI_CHECK" ] && make_keyring "$work/kr.jwks"; then
    EESP_PLUGIN=$plugin
    run_mpi 2 UCX_TLS=eesp UCX_EESP_KEYRING="$work/kr.jwks" -- \
        "$MPI_CHECK" allreduce
    report $? "a sealed job with the installed plugin"
else
    skip "a sealed job with the installed plugin" "plugin or Open MPI missing"
fi

make -C "$top_builddir" uninstall DESTDIR="$work/root" prefix="$prefix" \
    libdir="$prefix/lib" >"$out" 2>"$err"
report $? "make uninstall"
left=$(find "$work/root" -type f -o -type l)
[ -z "$left" ]
report $? "make uninstall leaves nothing" "$left"
finish
