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
    lib/pkgconfig/libeesp.pc; do
    [ -e "$root/$file" ]
    report $? "installed: $file"
done
plugin=$root/lib/ucx/libuct_eesp.so.0
hook=$root/lib/eesp/openmpi/mca_hook_eesp.so
for file in "$plugin" "$hook"; do
    if [ -e "$file" ]; then
        ok "installed: ${file#"$root/"}"
    else
        skip "installed: ${file#"$root/"}" "it was not built"
    fi
done

cat >"$work/version.c" <<'END'
#include <eesp.h>
#include <stdio.h>
int main(void)
{
    unsigned i;
    for (i = 0; i < eesp_backends(); i++)
        if (eesp_backend_selftest(i) == EESP_ERR_CRYPTO)
            return 1;
    puts(eesp_strerror(EESP_OK));
    return 0;
}
END
# The .pc file names the configured prefix; this install is a moved one.
flags=$(PKG_CONFIG_PATH=$root/lib/pkgconfig pkg-config \
    --define-variable=prefix="$root" --define-variable=libdir="$root/lib" \
    --define-variable=includedir="$root/include" --cflags --libs libeesp)
# shellcheck disable=SC2086
cc -Wall -Werror -o "$work/version" "$work/version.c" $flags >"$out" 2>"$err"
report $? "a program builds with the header and pkg-config file"
LD_LIBRARY_PATH=$root/lib "$work/version" >"$out" 2>"$err" &&
    grep -q success "$out"
report $? "and runs"

export LD_LIBRARY_PATH=$root/lib
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
