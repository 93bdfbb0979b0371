#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# segments.sh: every segment size of the shared-memory lowers carries every kind
# of message, and what UCP makes of the usual one; a process that would send more than a peer takes is refused, by
# whichever of the two comes first.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

on_rank=$tests_dir/lib/on-rank.sh
keyring=$work/keyring.jwks
export OMPI_MCA_mpi_yield_when_idle=1
RUN_TIMEOUT=30

need segments "$EESP_PLUGIN" "$EESP_BIN" "$MPI_CHECK" mpirun
make_keyring "$keyring" || exit 1
over=(UCX_TLS=eesp UCX_EESP_KEYRING="$keyring")

# refused NAME VAR=VALUE... -- PROGRAM ARG...
refused() {
    local name=$1 status
    shift
    run_mpi 2 "${over[@]}" "$@"
    status=$?
    if [ "$status" -eq 0 ] || [ "$status" -eq 124 ]; then
        not_ok "$name" "exit status $status"
    elif ! cat "$out" "$err" | grep -v 'unused env variable' |
        grep -q 'eesp: segments: rank .*UCX_EESP_SEG_SIZE'; then
        not_ok "$name" "exit status $status, but it did not say why"
    else
        ok "$name"
    fi
}

for lower in posix sysv; do
    for size in 512 4321 16k 33024 1m; do
        run_mpi 2 "${over[@]}" UCX_EESP_LOWER=$lower UCX_EESP_SEG_SIZE=$size \
            -- "$MPI_CHECK" p2p types
        report $? "$lower in segments of $size"
    done
    refused "$lower: longer segments on rank 1" UCX_EESP_LOWER=$lower -- \
        "$on_rank" 1 UCX_EESP_SEG_SIZE=8k \
        "$on_rank" 0 UCX_EESP_SEG_SIZE=16k "$MPI_CHECK" p2p
    refused "$lower: shorter segments on rank 1" UCX_EESP_LOWER=$lower -- \
        "$on_rank" 1 UCX_EESP_SEG_SIZE=8k "$MPI_CHECK" p2p
done

# The lower's own variable, where ours is not set. The FIFO has 16 bits for a
# length: a longer one would come out as another.
for size in 16k 65600 128k; do
    run_mpi 2 "${over[@]}" UCX_EESP_LOWER=posix UCX_POSIX_SEG_SIZE=$size -- \
        "$MPI_CHECK" p2p types
    report $? "UCX_POSIX_SEG_SIZE=$size"
done
# am_zcopy VAR=VALUE...: the longest active message that UCP is offered.
am_zcopy() {
    env LD_PRELOAD="$plugin_preload" "${over[@]}" "$@" ucx_info -d -t eesp \
        2>/dev/null | sed -n 's/^# *am_zcopy: <= \([0-9]*\).*/\1/p' | head -n 1
}

# is WHAT FOUND EXPECTED
is() {
    if [ "$2" = "$3" ]; then
        ok "$1: $2"
    else
        not_ok "$1" "$2, not $3"
    fi
}

is "UCP's messages over posix" "$(am_zcopy UCX_EESP_LOWER=posix)" 33024
is "UCP's messages in segments of 32 KiB" "$(
    am_zcopy UCX_EESP_LOWER=posix UCX_EESP_SEG_SIZE=32k)" 32677
is "UCP's messages with UCX_POSIX_SEG_SIZE=60000" "$(
    am_zcopy UCX_EESP_LOWER=posix UCX_POSIX_SEG_SIZE=60000)" 59909
is "over tcp a message of 64 KiB and 256 bytes of headers is one packet" "$(
    am_zcopy UCX_EESP_LOWER=tcp |
        awk '{ print ($1 >= 65536 + 256 && $1 < 66560) ? "yes" : $1 }')" yes
# Two shared-memory lowers: rendezvous begins no earlier than by one.
env LD_PRELOAD="$plugin_preload" "${over[@]}" UCX_TLS=eesp,self ucx_info -e -u t \
    -D shm >"$out" 2>"$err"
is "lanes for memory access" "$(grep -c 'rma_bw#' "$out")" 1
is "rendezvous begins above 64 KiB, up to 128" "$(
    sed -n 's/^# *tag_send: .*zcopy>\.\.\([0-9]*\)\.\.<rndv>.*/\1/p' "$out" |
        awk '{ print ($1 > 65536 && $1 <= 131072) ? "yes" : $1 }')" yes
refused "UCX_POSIX_SEG_SIZE=16k on rank 1" UCX_EESP_LOWER=posix -- \
    "$on_rank" 1 UCX_POSIX_SEG_SIZE=16k "$MPI_CHECK" p2p
finish
