#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# vfs.sh: counters and policy of each interface are in UCX's virtual file
# system.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

vfs=$top_builddir/tests/uct/vfs
need "VFS" "$vfs" "$EESP_PLUGIN" "$EESP_BIN"
make_keyring "$work/keyring.jwks" || not_ok "keyring"
LD_PRELOAD=$EESP_PLUGIN UCX_TLS=eesp UCX_EESP_KEYRING=$work/keyring.jwks \
    timeout 20 "$vfs" >"$out" 2>"$err"
report $? "the files are there"
for line in 'policy: pairs SPI 65538 over tcp/lo by' 'sealed: 0' \
    '^0 authentication failed'; do
    grep -q "$line" "$out"
    report $? "they say: $line"
done
finish
