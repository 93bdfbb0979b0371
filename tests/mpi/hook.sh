#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# hook.sh: an unmodified MPI program is sealed with UCX_TLS=eesp and the lines
# that make install prints in a user's mca-params.conf, and nothing else: no
# LD_PRELOAD, no --mca.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

hook=$(built mca_hook_eesp.so ucx_plugin)
need "Open MPI hook" mpirun "$MPI_CHECK" "$EESP_PLUGIN" "$EESP_BIN" "$hook"

prefix=$work/prefix
make -C "$top_builddir" install DESTDIR="$work/root" prefix="$prefix" \
    libdir="$prefix/lib" >"$out" 2>"$err"
report $? "make install"
mkdir -p "$work/home/.openmpi"
conf=$work/home/.openmpi/mca-params.conf
sed -n 's/^    \([a-z_]* = .*\)/\1/p' "$out" |
    sed "s|$prefix|$work/root$prefix|" >"$conf"
[ "$(wc -l <"$conf")" -eq 6 ]
report $? "make install prints six lines for Open MPI" "$(cat "$conf")"

make_keyring "$work/keyring.jwks" || not_ok "keyring"
# The component was linked for its final place; this install is a moved one.
LD_LIBRARY_PATH=$work/root$prefix/lib/ucx HOME=$work/home UCX_TLS=eesp \
    UCX_LOG_LEVEL=info UCX_EESP_KEYRING=$work/keyring.jwks \
    timeout "$RUN_TIMEOUT" mpirun --allow-run-as-root --oversubscribe -np 2 \
    "$MPI_CHECK" p2p allreduce >"$out" 2>"$err" </dev/null
report $? "a sealed job"
grep -q '^mpi_check: all .* ok' "$out"
report $? "its data is right"
used=$(lanes)
[ -n "$used" ] && ! grep -qv '^eesp/' <<<"$used"
report $? "its lanes are eesp alone" "$used"

HOME=$work/home UCX_TLS=eesp UCX_EESP_KEYRING=$work/none \
    LD_LIBRARY_PATH=$work/root$prefix/lib/ucx \
    timeout "$RUN_TIMEOUT" mpirun --allow-run-as-root --oversubscribe -np 2 \
    "$MPI_CHECK" bcast >"$out" 2>"$err" </dev/null
[ $? -ne 0 ] && cat "$out" "$err" | grep -q UCX_EESP_KEYRING
report $? "without a keyring it does not start"

# Installed for all users, it must not disturb jobs that do not ask for it.
HOME=$work/home UCX_TLS=tcp,self LD_LIBRARY_PATH=$work/root$prefix/lib/ucx \
    timeout "$RUN_TIMEOUT" mpirun --allow-run-as-root --oversubscribe -np 2 \
    "$MPI_CHECK" bcast >"$out" 2>"$err" </dev/null
report $? "a job over plain tcp runs"
! cat "$out" "$err" | grep -q eesp:
report $? "and hears nothing of eesp"
finish
