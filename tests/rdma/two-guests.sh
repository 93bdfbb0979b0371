#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# two-guests.sh: what rdma.sh runs in the first of two guests: jobs of one rank in
# each, whose frames rdma.sh looks at. The plain job has IPv6 addresses (GID 0),
# the sealed ones IPv4: so their frames can be told apart.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

remote=$tests_dir/rdma/remote.py
RUN_TIMEOUT=80
RUN_NET_DEVICES=all
RUN_OPTIONS=(--mca plm_rsh_agent "$remote run" --host "10.9.0.1:1,10.9.0.2:1"
    --mca oob_tcp_if_include eth0)

# job NAME GROUP... -- VAR=VALUE...
job() {
    local name=$1 groups=() status
    shift
    while [ "$1" != -- ]; do
        groups+=("$1")
        shift
    done
    shift
    run_mpi 2 "$@" -- "$MPI_CHECK" "${groups[@]}"
    status=$?
    if [ $status -ne 0 ]; then
        not_ok "$name" "exit status $status"
    elif ! grep -q '^mpi_check: all .* ok ([0-9]* checks)$' "$out"; then
        not_ok "$name" "mpi_check did not say that all is well"
    else
        ok "$name"
    fi
}

job "plain over rc between guests" marker -- UCX_TLS=rc_v UCX_IB_GID_INDEX=0
for lower in rc_verbs ud_verbs; do
    job "sealed over $lower between guests" marker allreduce rma -- \
        UCX_TLS=eesp UCX_EESP_LOWER=$lower UCX_IB_GID_INDEX=1 \
        UCX_UD_VERBS_ETH_DGID_CHECK=n UCX_EESP_KEYRING=/run/vm/keyring.jwks
done
"$remote" end 10.9.0.2
finish
