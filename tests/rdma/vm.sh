#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# vm.sh: guests with an RDMA device, rxe0 (RoCEv2 in software), for a machine
# that has none. Their root is this machine's own, read-only: so its UCX, its
# Open MPI and this build tree run there. They see no network but each other.
#
#   vm.sh build                       fetch Debian's kernel, make what boots
#   vm.sh run [OPTION]... COMMAND     in one guest
#   vm.sh pair [OPTION]... A B        A and B in two guests with a link between
#   vm.sh why                         nothing if guests can run here, or why not
#
#   -t SECONDS  that COMMAND may take (default 120)
#   -m MIB      memory of a guest (2048; of a pair 1280)
#   -c CPUS     of a guest (2; of a pair 1)
#   -o DIR      for its files (default: one that is removed). The guest has it as
#               /run/vm: what else it writes is lost with it. For a pair they
#               are DIR/1 and DIR/2, and DIR/wire.pcap is all that crossed.
#
# COMMAND is a line for bash. Its output is printed (that of a pair stays in
# DIR/1/output and DIR/2/output) and its exit status returned; of a pair, the
# first that is not 0. 124: no end in time. 125: the guest itself failed,
# twice. Boot and end take about 10 seconds on a quiet machine.
#
#   tests/rdma/vm.sh run ibv_devinfo
#
# /tmp and /run are the guest's own, but for this source tree if it is there.
# RDMA_VM_DIR is where kernel and initramfs are kept (default build/rdma-vm).

set -u
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
vm=${RDMA_VM_DIR:-$tree/build/rdma-vm}
boot_limit=100 # seconds for boot and end, on a busy machine

fail() {
    printf 'vm.sh: %s\n' "$*" >&2
    exit 125
}

why_not() {
    local tool
    [ "$(uname -m)" = x86_64 ] || { echo "guests are for x86-64"; return; }
    for tool in qemu-system-x86_64 gcc python3 dpkg apt-get rdma; do
        command -v $tool >/dev/null || { echo "no $tool"; return; }
    done
    # Files that only root may read are part of the root it gets.
    [ "$(id -u)" = 0 ] || echo "needs root"
}

# The -cloud kernels have neither rdma_rxe nor 9p.
kernel_package() {
    apt-cache depends linux-image-amd64 |
        sed -n 's/^ *Depends: *\(linux-image-[0-9].*-amd64\)$/\1/p' | head -n 1
}

build() {
    local package tmp
    package=$(kernel_package)
    [ -n "$package" ] ||
        fail "apt knows no linux-image-amd64: apt-get update"
    mkdir -p "$vm" && tmp=$(mktemp -d "$vm/new.XXXXXX") || exit 125
    # shellcheck disable=SC2064
    trap "rm -rf '$tmp'" EXIT
    (cd "$tmp" && apt-get -q download "$package" && dpkg -x ./*.deb kernel) ||
        fail "cannot get package $package"
    gcc -O2 -Wall -Wextra -static -o "$tmp/init" "$here/init.c" &&
        python3 "$here/initramfs.py" "$tmp/kernel" "$tmp/init" "$tmp" ||
        fail "cannot make the initramfs"
    # The initramfs last: it says that all is there.
    mv "$tmp/vmlinux" "$tmp/initramfs" "$vm" || exit 125
    rm -rf "$tmp"
    trap - EXIT
}

# Made of the sources as they are, by one process at a time.
need_build() {
    mkdir -p "$vm" || exit 125
    exec 9>"$vm/lock" && flock 9
    if [ ! -e "$vm/initramfs" ] || [ "$here/init.c" -nt "$vm/initramfs" ] ||
        [ "$here/initramfs.py" -nt "$vm/initramfs" ]; then
        build >"$vm/build.log" 2>&1 ||
            { tail -n 5 "$vm/build.log" >&2; exit 125; }
    fi
    exec 9>&-
}

# boot DIR QEMU-ARGUMENT...: becomes the guest. no_timer_check, since the kernel's check of the
# timer fails on a busy host. Without KVM: it is rarely there, and TCG has AES.
boot() {
    local dir=$1
    shift
    rm -f "$dir/status" "$dir/output" "$dir/started"
    exec timeout -k 5 $((limit + boot_limit)) qemu-system-x86_64 \
        -M q35 -accel tcg,thread=multi -cpu max -smp "$cpus" -m "$memory" \
        -nodefaults -display none -no-reboot -serial "file:$dir/console" \
        -kernel "$vm/vmlinux" -initrd "$vm/initramfs" \
        -append "console=ttyS0 quiet panic=-1 nokaslr mitigations=off no_timer_check tsc=reliable" \
        -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
        -virtfs "local,path=$dir,mount_tag=vm,security_model=none" \
        -virtfs "local,path=$tree,mount_tag=tree,security_model=none,readonly=on,multidevs=remap" \
        "$@" >"$dir/qemu" 2>&1 </dev/null
}

# prepare DIR SET-UP COMMAND: what init runs there.
prepare() {
    mkdir -p "$1" || exit 125
    printf '%s' "$3" >"$1/command"
    cat >"$1/start" <<START
[ -e "$here/guest.sh" ] || { mkdir -p "$tree" && mount -t 9p \
    -o trans=virtio,version=9p2000.L,msize=512000,ro,cache=loose tree "$tree"; }
. "$here/guest.sh" && $2 || exit 125
touch /run/vm/started
cd "$PWD" || exit 125
timeout -k 5 $limit bash /run/vm/command
START
}

# of_command DIR: 125 unless the guest came as far as to end the command.
of_command() {
    local status=
    [ ! -e "$1/started" ] || read -r status <"$1/status"
    return "${status:-125}"
} 2>/dev/null

complain() {
    printf 'vm.sh: the guest failed%s\n' "$2" >&2
    tail -n 3 "$1/qemu" "$1/console" "$1/output" >&2 2>/dev/null
}

run() {
    local status
    prepare "$dir" guest_alone "$1"
    for attempt in ", once more" ""; do
        boot "$dir" -nic none &
        qemus=($!)
        wait "${qemus[0]}"
        of_command "$dir"
        status=$?
        [ $status -eq 125 ] || break
        complain "$dir" "$attempt"
    done
    cat "$dir/output" 2>/dev/null
    return $status
}

# net N: a NIC whose frames go to the other's socket, and to a file.
net() {
    printf '%s\n' -netdev \
        "dgram,id=link,local.type=unix,local.path=$dir/$1/link,remote.type=unix,remote.path=$dir/$((3 - $1))/link" \
        -device "virtio-net-pci,netdev=link,mac=52:54:00:09:00:0$1,host_mtu=4200,romfile=" \
        -object "filter-dump,id=dump,netdev=link,file=$dir/$1/wire.pcap"
}

pair() {
    local status nic host
    prepare "$dir/1" "guest_of_pair 1" "$1"
    prepare "$dir/2" "guest_of_pair 2" "$2"
    for attempt in ", once more" ""; do
        rm -f "$dir"/[12]/link
        for host in 1 2; do
            mapfile -t nic < <(net $host)
            boot "$dir/$host" "${nic[@]}" &
            qemus[host]=$!
        done
        wait "${qemus[@]}"
        for host in 1 2; do
            of_command "$dir/$host"
            status=$?
            [ $status -eq 0 ] || break
        done
        [ $status -eq 125 ] || break
        complain "$dir/$host" "$attempt"
    done
    ln -f "$dir/1/wire.pcap" "$dir/wire.pcap"
    return $status
}

end_qemus() {
    [ ${#qemus[@]} -eq 0 ] || kill "${qemus[@]}" 2>/dev/null
    [ -z "$drop" ] || rm -rf "$drop"
}

what=${1:-}
[ $# -eq 0 ] || shift
limit=120
memory=
cpus=
dir=
drop=
qemus=()
case $what in
run | pair)
    while getopts t:m:c:o: option; do
        case $option in
        t) limit=$OPTARG ;;
        m) memory=$OPTARG ;;
        c) cpus=$OPTARG ;;
        o) dir=$OPTARG ;;
        *) exit 2 ;;
        esac
    done
    shift $((OPTIND - 1))
    why=$(why_not)
    [ -z "$why" ] || fail "no guests here: $why"
    need_build
    trap end_qemus EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ -z "$dir" ]; then
        dir=$(mktemp -d "${TMPDIR:-/tmp}/rdma-vm.XXXXXX") || exit 125
        drop=$dir
    else
        mkdir -p "$dir" && dir=$(cd "$dir" && pwd) || exit 125
    fi
    ;;
esac
case $what,$# in
build,0) build ;;
why,0) why_not ;;
run,1)
    : "${memory:=2048}" "${cpus:=2}"
    run "$1"
    ;;
pair,2)
    : "${memory:=1280}" "${cpus:=1}"
    pair "$1" "$2"
    ;;
*)
    sed -n '4,29s/^# \{0,1\}//p' "$0"
    [ "$what" = --help ] || [ "$what" = -h ] || exit 2
    ;;
esac
