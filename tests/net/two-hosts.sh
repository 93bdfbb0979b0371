#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# two-hosts.sh: a job on two hosts. A host is a set of namespaces (network, IPC,
# mounts, name) of this machine; a veth pair joins the two, and
# mpirun starts its daemon on the other one by nsenter instead of ssh. What
# crosses is captured on the wire between them: the marker is in a plain job's
# capture and not in a sealed one's, which the keyring opens.
#
# Needs root. Nothing outside the namespaces is touched, and they end with the
# script.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

need "two hosts" mpirun tcpdump nsenter unshare ip \
    "$MPI_CHECK" "$EESP_PLUGIN" "$EESP_BIN"
if [ "$(id -u)" -ne 0 ]; then
    skip "two hosts" "needs root"
    finish
fi

wire=fabric0 # the veth's name on both hosts
marker=CLEARTEXT-MARKER-EESP-0123456789 # mpi_check's own: not in the job's
                                        # environment, which mpirun sends clear
# Bytes that one rank sends to the next in the group `marker`, all of them to
# the other host: copies times rounds times 32.
volume=$(((1 * 1000 + 100 * 300 + 8000 * 4) * 32))
keyring=$work/keyring.jwks
capture=$work/wire.pcap
hosts=() # a process in each
np=4

# on HOST COMMAND...
on() {
    local host=$1
    shift
    nsenter -t "${hosts[host]}" -n -i -u -m "$@"
}

start_host() {
    # shellcheck disable=SC2016  # expands on the host
    unshare -n -i -u -m sh -c '
        mount -t sysfs none /sys && hostname "$1" && ip link set lo up &&
            touch "$2" && exec sleep 900' \
        sh "eesp-test-$1" "$work/up.$1" >"$work/host.$1" 2>&1 &
    hosts[$1]=$!
    background+=("$!")
    for _ in {1..50}; do
        [ -e "$work/up.$1" ] && return
        kill -0 "${hosts[$1]}" 2>/dev/null || return
        sleep 0.1
    done
    return 1
}

# All that runs on them: a job that was cut short leaves daemons and ranks.
end_hosts() {
    local host net process
    for host in "${!hosts[@]}"; do
        net=$(readlink "/proc/${hosts[host]}/ns/net") || continue
        [ "$net" != "$(readlink /proc/self/ns/net)" ] || continue
        for process in /proc/[0-9]*; do
            [ "$(readlink "$process/ns/net")" != "$net" ] ||
                kill -KILL "${process#/proc/}"
        done
    done 2>/dev/null
}
trap 'end_hosts; cleanup' EXIT

connect_hosts() {
    local host
    on 0 ip link add "$wire" type veth peer name "$wire" \
        netns "${hosts[1]}" || return
    for host in 0 1; do
        on "$host" ip addr add "10.99.0.$((host + 1))/24" dev "$wire" &&
            on "$host" ip link set "$wire" up || return
    done
    # Until then UCX does not see the device.
    for _ in {1..50}; do
        [ "$(on 0 cat "/sys/class/net/$wire/operstate")" = up ] &&
            [ "$(on 1 cat "/sys/class/net/$wire/operstate")" = up ] && return
        sleep 0.1
    done
    return 1
}

# What mpirun takes for ssh: HOST COMMAND.
write_agent() {
    cat >"$work/agent" <<SCRIPT
#!/bin/sh
[ "\$1" = 10.99.0.2 ] || exit 1
shift
exec nsenter -t ${hosts[1]} -n -i -u -m sh -c "\$*"
SCRIPT
    chmod +x "$work/agent"
    printf '10.99.0.1 slots=2\n10.99.0.2 slots=2\n' >"$work/hosts"
}

capture_start() {
    nsenter -t "${hosts[0]}" -n tcpdump -i "$wire" -w "$capture" -B 65536 -s 0 \
        -Z root tcp 2>"$work/tcpdump" &
    tcpdump_pid=$!
    background+=("$tcpdump_pid")
    for _ in {1..50}; do
        grep -qs 'listening on' "$work/tcpdump" && return
        sleep 0.1
    done
    note "tcpdump does not start: $(tail -n 1 "$work/tcpdump")"
}

# The kernel hands packets over in blocks, at the latest after a second.
capture_stop() {
    sleep 1.3
    kill -INT "$tcpdump_pid"
    wait "$tcpdump_pid"
}

captured_all() {
    grep -q '^0 packets dropped by kernel' "$work/tcpdump"
}

# Bytes that the wire has carried, both ways.
carried() {
    local rx tx statistics=/sys/class/net/$wire/statistics
    rx=$(on 0 cat "$statistics/rx_bytes")
    tx=$(on 0 cat "$statistics/tx_bytes")
    echo $((rx + tx))
}

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
