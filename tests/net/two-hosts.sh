#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# two-hosts.sh: a job on two hosts, see tests/lib/hosts.sh. What crosses is
# captured on the wire between them: the marker is in a plain job's capture and
# not in a sealed one's, which the keyring opens.
#
# Needs root. Nothing outside the namespaces is touched, and they end with the
# script.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/hosts.sh
. "$tests_dir/lib/hosts.sh"

need "two hosts" mpirun tcpdump nsenter unshare ip \
    "$MPI_CHECK" "$EESP_PLUGIN" "$EESP_BIN"
if [ "$(id -u)" -ne 0 ]; then
    skip "two hosts" "needs root"
    finish
fi

marker=CLEARTEXT-MARKER-EESP-0123456789 # mpi_check's own: not in the job's
                                        # environment, which mpirun sends clear
# Bytes that one rank sends to the next in the group `marker`, all of them to
# the other host: copies times rounds times 32.
volume=$(((1 * 1000 + 100 * 300 + 8000 * 4) * 32))
keyring=$work/keyring.jwks
np=4

# job VAR=VALUE... -- PROGRAM ARG...: ranks 0 and 2 on host 0, 1 and 3 on the
# other; leaves $status and $crossed.
job() {
    local before
    before=$(carried)
    RUN_UNDER=(nsenter -t "${hosts[0]}" -n -i -u -m)
    RUN_OPTIONS=(--mca plm_rsh_agent "$work/agent" --hostfile "$work/hosts"
        --mca oob_tcp_if_include "$wire" --map-by node)
    run_mpi "$np" UCX_LOG_LEVEL=info UCX_NET_DEVICES=all "$@"
    status=$?
    crossed=$(($(carried) - before))
}

# well NAME
well() {
    if [ "$status" -ne 0 ]; then
        not_ok "$1" "exit status $status"
    elif ! grep -q '^mpi_check: all .* ok ' "$out"; then
        not_ok "$1" "mpi_check did not say that all is well"
    else
        ok "$1"
    fi
}

# carried_enough NAME: each rank's marker messages go to the other host.
carried_enough() {
    if [ "$crossed" -ge $((np * volume)) ]; then
        ok "$1: $crossed bytes crossed, of $((np * volume)) sent"
    else
        not_ok "$1: the data crossed" "$crossed of $((np * volume)) bytes"
    fi
}

in_clear() {
    grep -qaF -- "$marker" "$capture"
}

plain_job() {
    capture_start
    job UCX_TLS=tcp,posix,self -- "$MPI_CHECK" marker
    capture_stop
    well "plain job on two hosts"
    carried_enough "plain"
    captured_all && in_clear
    report $? "plain: the marker is on the wire" "$(<"$work/tcpdump")"
}

sealed_job() {
    local used
    capture_start
    job "${sealed[@]}" -- "$MPI_CHECK" marker allreduce rma
    capture_stop
    well "sealed job on two hosts"
    carried_enough "sealed"
    # Neighbours on a host take shared memory, the others the wire.
    used=$(lanes)
    grep -qx "eesp/$wire" <<<"$used" && grep -qx "eesp/memory" <<<"$used" &&
        ! grep -qv '^eesp/' <<<"$used"
    report $? "sealed: lanes are ${used//$'\n'/ }"
    captured_all
    report $? "sealed: the capture is whole" "$(<"$work/tcpdump")"
    ! in_clear
    report $? "sealed: the marker is not on the wire"
    "$EESP_BIN" decode --quiet --keyring "$keyring" --pcap "$capture" \
        >"$work/summary" 2>&1
    report $? "sealed: the keyring opens every packet" "$(<"$work/summary")"
    note "$(<"$work/summary")"
    grep -q '^0 not EESP' "$work/summary"
    report $? "sealed: UCX sent nothing that is not sealed" \
        "$(<"$work/summary")"
}

if ! start_host 0 || ! start_host 1; then
    skip "two hosts" "no namespaces here: $(cat "$work"/host.* | tail -n 1)"
    finish
fi
if ! connect_hosts; then
    not_ok "the hosts are connected"
    finish
fi
write_agent
if ! make_keyring "$keyring"; then
    not_ok "keyring"
    finish
fi
sealed=(UCX_TLS=eesp UCX_EESP_LOWER=auto UCX_EESP_KEYRING="$keyring")

plain_job
sealed_job
job "${sealed[@]}" -- "$MPI_CHECK"
well "sealed: every group of mpi_check"
job UCX_TLS=eesp UCX_EESP_LOWER=posix UCX_EESP_KEYRING="$keyring" -- \
    "$MPI_CHECK" marker
[ "$status" -ne 0 ] && [ "$status" -ne 124 ]
report $? "over posix alone the hosts do not reach each other" \
    "exit status $status"
finish
