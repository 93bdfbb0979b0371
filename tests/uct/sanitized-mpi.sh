#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# sanitized-mpi.sh: a short MPI job in a build tree with --enable-asan
# --enable-ubsan.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

keyring=$work/keyring.jwks
need "sanitized MPI job" mpirun "$MPI_CHECK" "$EESP_PLUGIN" "$EESP_BIN"
if [ -z "$sanitizer" ]; then
    skip "sanitized MPI job" "this build tree has no AddressSanitizer"
    finish
fi
if ! make_keyring "$keyring"; then
    not_ok "keyring"
    finish
fi

for lower in tcp posix; do
    run_mpi 2 UCX_TLS=eesp UCX_EESP_LOWER=$lower \
        UCX_EESP_KEYRING="$keyring" -- \
        "$MPI_CHECK" p2p types unexpected flood allreduce rma
    report $? "sanitized MPI job over $lower"
done
finish
