#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# run-mpi.sh [plain]: mpi_check with 2 and 4 ranks over each lower transport,
# and a look at the lanes UCX chose. `plain` runs the same over UCX's own
# transports, without plugin or keyring: it tests the tests.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

mode=${1:-eesp}
lowers=(tcp posix)

# only LANES ALLOWED NEEDED: every lane's transport is in ALLOWED (an ERE), and
# NEEDED is among them.
only() {
    ! grep -qvE "^($2)/" <<<"$1" && grep -qE "^($3)/" <<<"$1"
}

# check NAME NP TRANSPORT VAR=VALUE... -- GROUP...
check() {
    local name=$1 np=$2 transport=$3 env=() used status
    shift 3
    while [ "$1" != -- ]; do
        env+=("$1")
        shift
    done
    shift
    run_mpi "$np" UCX_LOG_LEVEL=info "${env[@]}" -- "$MPI_CHECK" "$@"
    status=$?
    if [ "$status" -eq 124 ]; then
        not_ok "$name" "no end after $RUN_TIMEOUT s"
    elif [ "$status" -ne 0 ]; then
        not_ok "$name" "exit status $status"
    elif ! grep -q '^mpi_check: all .* ok ([0-9]* checks)$' "$out"; then
        not_ok "$name" "mpi_check did not say that all is well"
    else
        ok "$name"
    fi

    used=$(lanes)
    if only "$used" "$transport|self" "$transport"; then
        ok "$name: lanes are ${used//$'\n'/ }"
    else
        not_ok "$name: lanes" "not $transport and self alone: ${used//$'\n'/ }"
    fi
}

plain() {
    local np
    for np in 2 4; do
        check "plain tcp, $np ranks" "$np" tcp UCX_TLS=tcp,self --
        # Without rma_user, which plain UCX 1.13.1 fails over shared memory: see
        # rma.c.
        check "plain posix, $np ranks" "$np" posix UCX_TLS=posix,self -- \
            p2p types unexpected reordered wildcard flood allreduce alltoall \
            bcast reduce_scatter icoll rma
    done
    # The lane check must be able to fail.
    run_mpi 2 UCX_LOG_LEVEL=info UCX_TLS=tcp,posix,self -- "$MPI_CHECK" bcast
    ! only "$(lanes)" "tcp|self" tcp
    report $? "a second transport is noticed"
}

sealed() {
    local np lower backend keyring=$work/keyring.jwks
    if ! make_keyring "$keyring"; then
        not_ok "keyring"
        return
    fi
    for np in 2 4; do
        for lower in "${lowers[@]}"; do
            check "eesp over $lower, $np ranks" "$np" eesp \
                UCX_TLS=eesp UCX_EESP_LOWER="$lower" \
                UCX_EESP_KEYRING="$keyring" --
            check "eesp,self over $lower, $np ranks" "$np" eesp \
                UCX_TLS=eesp,self UCX_EESP_LOWER="$lower" \
                UCX_EESP_KEYRING="$keyring" -- \
                p2p wildcard allreduce alltoall rma rma_user
            check "eesp over $lower, $np ranks, UCP's RMA" "$np" eesp \
                UCX_TLS=eesp UCX_EESP_LOWER="$lower" UCX_EESP_RMA=n \
                UCX_EESP_KEYRING="$keyring" -- \
                p2p types unexpected reordered flood alltoall icoll rma rma_user
        done
    done
    # Every AES-GCM that this CPU can run, not only the one it would choose.
    for backend in $("$EESP_BIN" selftest | awk '$3 == "available" &&
        $2 == "aes-256-gcm" { print $1 }'); do
        check "eesp by $backend" 2 eesp UCX_TLS=eesp UCX_EESP_LOWER=tcp \
            UCX_EESP_BACKEND="$backend" UCX_EESP_KEYRING="$keyring" -- \
            p2p allreduce
    done
}

need "mpi_check" mpirun "$MPI_CHECK"
case $mode in
plain)
    plain
    ;;
eesp)
    need "mpi_check over eesp" "$EESP_PLUGIN" "$EESP_BIN"
    sealed
    ;;
*)
    echo "usage: $0 [plain]" >&2
    exit 2
    ;;
esac
finish
