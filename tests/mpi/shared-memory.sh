#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# shared-memory.sh: over posix, no plaintext lies in memory that another
# process maps. Everything a job shares is searched for a text it sends, again
# and again while it runs. A plain job shows that the search finds it.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

scanner=$(cd "$(dirname "$0")" && pwd)/shared_scan.py
marker=$(printf 'SHARED-MEMORY-%08d%010d' "$$" "$((RANDOM * 30000 + RANDOM))")
need "shared memory" mpirun "$MPI_CHECK" "$EESP_PLUGIN" "$EESP_BIN" \
    /usr/bin/python3
if [ "$(id -u)" != 0 ]; then
    skip "shared memory" "only root may read another process's memory"
    finish
fi
# A copy under a name of its own: other tests may run the program too.
program=$work/shared_memory_check
cp "$MPI_CHECK" "$program"

# scanned VAR=VALUE...: scans and found, of a job that sends the marker.
scanned() {
    local pid
    /usr/bin/python3 "$scanner" "$marker" "$program" >"$work/scan" 2>&1 &
    pid=$!
    background+=("$pid")
    run_mpi 2 MPI_CHECK_MARKER="$marker" "$@" -- "$program" marker marker \
        marker marker marker marker
    report $? "the job ends well ($1)"
    wait "$pid"
    note "$(cat "$work/scan")"
    read -r scans _ _ _ _ found _ <"$work/scan"
}

scanned UCX_TLS=posix,self
[ "${scans:-0}" -ge 10 ] && [ "${found:-0}" -gt 0 ]
report $? "plain: the text is found in shared memory"

make_keyring "$work/keyring.jwks" || not_ok "keyring"
scanned UCX_TLS=eesp UCX_EESP_LOWER=posix \
    UCX_EESP_KEYRING="$work/keyring.jwks"
[ "${scans:-0}" -ge 10 ]
report $? "sealed: shared memory was searched"
[ "${found:-1}" -eq 0 ]
report $? "sealed: the text is never in shared memory"
finish
