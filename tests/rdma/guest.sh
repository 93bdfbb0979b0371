# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What a guest does before its command: vm.sh sources it there.
#
#   guest_alone           RDMA device rxe0 on a veth pair, 10.9.0.1
#   guest_of_pair NUMBER  rxe0 on the link to the other guest, 10.9.0.NUMBER
#
# The device's MTU is 4096: 4200 leaves room for the headers of RoCEv2.

# UCX before 1.18 reads the address family of a received datagram from a field
# that only mlx5 sets, and drops IPv4's: one of these two settings is needed on
# every other NIC. GID 1 is RoCEv2 over IPv4.
export UCX_IB_GID_INDEX=1 UCX_UD_VERBS_ETH_DGID_CHECK=n
ulimit -l unlimited
ulimit -c 0

guest_device() {
    ip addr add "$1" dev "$2" && ip link set "$2" mtu 4200 up &&
        rdma link add rxe0 type rxe netdev "$2" || return
    # The GID of the address comes a moment later.
    for _ in {1..50}; do
        grep -qs 'ffff:0a09' /sys/class/infiniband/rxe0/ports/1/gids/1 && return
        sleep 0.1
    done
    echo "guest: rxe0 has no GID of $1" >&2
    return 1
}

guest_alone() {
    ip link set lo up && ip link add v0 type veth peer name v1 &&
        ip link set v1 mtu 4200 up && guest_device 10.9.0.1/24 v0
}

guest_of_pair() {
    hostname "rdmavm-$1" && ip link set lo up &&
        guest_device "10.9.0.$1/24" eth0 || return
    for _ in {1..300}; do
        echo >"/dev/udp/10.9.0.$((3 - $1))/9" # makes the kernel ask for it
        ip neigh show to "10.9.0.$((3 - $1))" | grep -q lladdr && return
        sleep 0.2
    done
    echo "guest: the other guest does not answer" >&2
    return 1
}
