#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# sanitized-mpi.sh: a short MPI job in a build tree with --enable-asan
# --enable-ubsan. Not for leaks, of which Open MPI has its own.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

keyring=$work/keyring.jwks
need "sanitized MPI job" mpirun "$MPI_CHECK" "$EESP_PLUGIN" "$EESP_BIN"
sanitizer=$(ldd "$EESP_PLUGIN" | awk '/libasan/ { print $3 }')
if [ -z "$sanitizer" ]; then
    skip "sanitized MPI job" "this build tree has no AddressSanitizer"
    finish
fi
if ! make_keyring "$keyring"; then
    not_ok "keyring"
    finish
fi

# A sanitizer must be loaded before everything else.
EESP_PLUGIN=$sanitizer:$EESP_PLUGIN
export ASAN_OPTIONS=detect_leaks=0
for lower in tcp posix; do
    run_mpi 2 UCX_TLS=eesp UCX_EESP_LOWER=$lower \
        UCX_EESP_KEYRING="$keyring" ASAN_OPTIONS=detect_leaks=0 -- \
        "$MPI_CHECK" p2p types unexpected flood allreduce rma
    status=$?
    if [ $status -ne 0 ]; then
        not_ok "sanitized MPI job over $lower" "exit status $status"
    elif cat "$out" "$err" |
        grep -qaE 'runtime error:|ERROR: (Address|Leak)Sanitizer'; then
        not_ok "sanitized MPI job over $lower" "a sanitizer has reported"
    else
        ok "sanitized MPI job over $lower"
    fi
done
finish
