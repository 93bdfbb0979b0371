# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154 # work: see common.sh
#
# Two hosts on one machine, for tests that run as root. A host is a set of
# namespaces (network, IPC, mounts, name) with a /dev/shm of its own; a veth pair
# joins the two, mpirun starts its daemon on the other one by nsenter instead of
# ssh, and what crosses can be captured. To be sourced after common.sh.

wire=fabric0 # the veth's name on both hosts
capture=$work/wire.pcap
hosts=() # a process in each

# on HOST COMMAND...
on() {
    local host=$1
    shift
    nsenter -t "${hosts[host]}" -n -i -u -m "$@"
}

start_host() {
    # shellcheck disable=SC2016  # expands on the host
    unshare -n -i -u -m sh -c '
        mount -t sysfs none /sys && mount -t tmpfs none /dev/shm && hostname "$1" && ip link set lo up &&
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
