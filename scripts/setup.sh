# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What ./quickstart and ./runtests share: packages, build, messages. To be
# sourced with the source tree as working directory.

set -u
export LC_ALL=C

# shellcheck disable=SC2034 # used by those who source this
packages_build="build-essential autoconf automake libtool pkg-config dpkg-dev
    ca-certificates libucx-dev libssl-dev libjansson-dev libpcap-dev
    libopenmpi-dev openmpi-bin openssh-client"
# shellcheck disable=SC2034
packages_run="tcpdump ucx-utils iproute2 util-linux"
# shellcheck disable=SC2034
packages_test="libcmocka-dev python3 python3-cryptography
    python3-cryptography-vectors jq procps keyutils munge systemd shellcheck
    faketime python3-prometheus-client strace
    mandoc man-db tshark libasan8 libubsan1 qemu-user gcovr clang libclang-rt-dev valgrind"
# For Slurm's plugin; without them it is not built or not tested.
# shellcheck disable=SC2034
packages_slurm="libslurm-dev slurmctld slurmd slurm-client munge jq python3"
# For guests with an RDMA device; without them those tests are skipped.
# shellcheck disable=SC2034
packages_rdma="qemu-system-x86 ibverbs-providers python3 iproute2"
# For plots, and for what `make bench` compares with; each may be missing. Not
# openssh-server, which would open a port: it is used where it is installed.
# shellcheck disable=SC2034
packages_bench="gnuplot-nox stunnel4 openssl wireguard-go wireguard-tools"
# intel-ipsec-mb exists for x86-64 only; OpenSSL serves elsewhere.
if [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ]; then
    packages_build="$packages_build libipsec-mb-dev"
fi

say() {
    printf '\n==> %s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# as_root COMMAND...: root is needed for packages and for captures only.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "need root for: $* (become root, or install sudo)"
    fi
}

# install_packages NAME...: those that are missing; says nothing if none is.
install_packages() {
    local missing=() name log
    command -v apt-get >/dev/null ||
        die "no apt-get here: install by hand what README lists"
    for name in "$@"; do
        dpkg-query -W -f '${Status}\n' "$name" 2>/dev/null |
            grep -q '^install ok installed$' || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "Installing ${missing[*]}"
    log=$(mktemp)
    if ! { as_root apt-get update && as_root env \
        DEBIAN_FRONTEND=noninteractive apt-get install -y \
        --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get failed (see above)"
    fi
    rm -f "$log"
}

# quietly LOG COMMAND...: shows the end of LOG only if COMMAND fails.
quietly() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 && return 0
    tail -n 30 "$log" >&2
    die "failed: $* (all of it is in $log)"
}

# build DIR CONFIGURE-ARGUMENT...: out of tree, so that several can stand side
# by side. Does again only what changed; packages that came or went since are a
# change, too: configure leaves out what it does not find.
build() {
    local dir=$1 args
    shift
    # shellcheck disable=SC2086
    args="$* $(dpkg-query -W $packages_build $packages_run $packages_test \
        $packages_slurm 2>/dev/null)"
    mkdir -p "$dir" || die "cannot make $dir"
    if [ ! -e configure ] || [ -n "$(find configure.ac Makefile.am m4 \
        -name '*.[a-z]*' -newer configure -print -quit)" ]; then
        quietly "$dir/autoreconf.log" autoreconf -fi
    fi
    if [ ! -e "$dir/Makefile" ] ||
        [ "$(cat "$dir/configured" 2>/dev/null)" != "$args" ] ||
        [ configure -nt "$dir/Makefile" ]; then
        (cd "$dir" && quietly configure.log ../../configure "$@") || exit 1
        printf '%s' "$args" >"$dir/configured"
    fi
    quietly "$dir/make.log" make -C "$dir" -j"$(nproc)"
}
