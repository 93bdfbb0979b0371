#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# conf-guest.sh: what rdma.sh runs inside a guest: UCX_EESP_OFFLOAD=conf and
# conf+mac of the transport, by emulated cards (fakemlx5/beside.c), and what
# becomes of jobs whose cards cannot, fail, or belong to peers of another mind.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

keyring=$work/keyring.jwks
audit=$work/audit
RUN_TIMEOUT=100
RUN_NET_DEVICES=all
beside=$(built beside.so tests/rdma/fakemlx5)
lower=${LOWER:-ud_verbs}

# settings OFFLOAD: of a rank.
settings() {
    env=(UCX_TLS=eesp UCX_EESP_LOWER="$lower" UCX_EESP_KEYRING="$keyring"
        UCX_EESP_RMA=y UCX_EESP_OFFLOAD="$1" UCX_EESP_AUDIT="$audit"
        UCX_IB_GID_INDEX=1 UCX_UD_VERBS_ETH_DGID_CHECK=n)
}

# moved: bytes that cards brought, by the audit.
moved() {
    sed -n 's/.* event=end .* offload_bytes=\([0-9]*\).*/\1/p' "$audit" |
        awk '{ sum += $1 } END { print sum + 0 }'
}

# job OFFLOAD GROUP [VAR=VALUE]...: with two ranks. The group marker has eight
# long messages, which UCP shall send by gets.
job() {
    local group=$2 env
    settings "$1"
    [ "$group" != marker ] || env+=(UCX_RNDV_THRESH=32k)
    rm -f "$audit"
    RUN_PRELOAD=$beside run_mpi 2 "${env[@]}" "${@:3}" -- "$MPI_CHECK" "$group"
}

# said PATTERN: in a line of the job's.
said() {
    cat "$out" "$err" | grep -qE -- "$1"
}

# well NAME STATUS: whether the job was.
well() {
    if [ "$2" -ne 0 ]; then
        not_ok "$1" "exit status $2"
    elif ! grep -q '^mpi_check: all .* ok ([0-9]* checks)$' "$out"; then
        not_ok "$1" "mpi_check did not say that all is well"
    else
        ok "$1"
    fi
}

# by_card OFFLOAD GROUP IN-AUDIT IN-LOG
by_card() {
    local name="$1: $2 by the card"
    job "$1" "$2"
    well "$name" $?
    [ "$(moved)" -gt 1000000 ] && grep -q " offload=$3 " "$audit"
    report $? "$name: the audit says so" "moved $(moved)"
    said "eesp: UCX_EESP_OFFLOAD=${1/+/.}: data of large gets .*$4"
    report $? "$name: the log says what that is"
    ! said 'eesp: offload:'
    report $? "$name: no card gave up"
}

# sealed NAME PATTERN OFFLOAD [VAR=VALUE]...: the job goes on, says why, and of
# eight long messages not more than two by cards.
sealed() {
    local name=$1
    job "$3" marker "${@:4}"
    well "$name" $?
    said "$2"
    report $? "$name: a line says so"
    [ "$(moved)" -lt 600000 ]
    report $? "$name: the CPU seals" "moved $(moved)"
}

# mixed NAME PATTERN OFFLOAD OFFLOAD: ranks 0 and 1.
mixed() {
    local name=$1 env other=() setting
    settings "$3"
    env+=(UCX_RNDV_THRESH=32k)
    for setting in "${env[@]}" UCX_NET_DEVICES=all "UCX_EESP_OFFLOAD=$4" \
        "LD_PRELOAD=$plugin_preload:$beside"; do
        other+=(-x "$setting")
    done
    rm -f "$audit"
    RUN_PRELOAD=$beside run_mpi 1 "${env[@]}" -- "$MPI_CHECK" marker : \
        -np 1 "${other[@]}" "$MPI_CHECK" marker
    well "$name" $?
    said "$2"
    report $? "$name: a line says so"
    [ "$(moved)" -eq 0 ]
    report $? "$name: the CPU seals" "moved $(moved)"
}

# step ARGUMENT...: of a rotation, once both ranks are ready for it.
step() {
    "$EESP_BIN" rotate --keyring "$keyring" --wait=60 --stat-dir "$work/pages" \
        "$@" >>"$work/rotate" 2>&1
}

# Gets go on by the cards while the keys under which they are made change.
rotated() {
    local name="$1: keys and epoch change while cards read" env running level
    mkdir -p "$work/pages" "$work/ranks"
    rm -f "$audit" "$work"/ranks/*
    settings "$1"
    RUN_PRELOAD=$beside run_mpi 2 "${env[@]}" UCX_EESP_RELOAD_INTERVAL=50ms \
        UCX_EESP_STAT_DIR="$work/pages" UCX_LOG_LEVEL=info -- \
        "$top_builddir/tests/mpi/stage_check" rma 80 "$work/ranks" &
    running=$!
    while [ ! -s "$work/ranks/1" ] && kill -0 $running 2>/dev/null; do
        sleep 0.2
    done
    : >"$work/rotate"
    for level in domain job; do
        step --level $level stage promote retire
        report $? "$name: $level" "$(<"$work/rotate")"
        sleep 1
    done
    step epoch
    report $? "$name: epoch" "$(<"$work/rotate")"
    sleep 1
    touch "$work/ranks/stop"
    wait $running
    report $? "$name: the job ends well"
    ! said 'UCX  ERROR|eesp: offload:'
    report $? "$name: no card gave up" "$(grep -hE 'ERROR|offload:' "$out" "$err")"
    [ "$(moved)" -gt 2000000 ]
    report $? "$name: the audit says so" "moved $(moved)"
}

if ! make_keyring "$keyring"; then
    not_ok "keyring"
    finish
fi

by_card conf p2p '"confidentiality only"' 'CONFIDENTIALITY ONLY'
by_card conf+mac marker conf+mac 'AES-256-GMAC'
by_card conf rma '"confidentiality only"' 'CONFIDENTIALITY ONLY'
rotated conf
rotated conf+mac

here='all is sealed by the CPU$'
on='sealed by the CPU from here on$'
sealed "a card without crypto" "has no crypto offload.*$here" conf \
    FAKEMLX5_NO_CRYPTO=1
sealed "a card that takes wrapped keys only" "wrapped keys only.*$here" conf \
    FAKEMLX5_WRAPPED_ONLY=1
sealed "a device that is no card" "not a device of libmlx5.*$here" conf \
    FAKEMLX5_ABSENT=1
sealed "limit of keys" "no room for one more key.*$on" conf \
    FAKEMLX5_DEKS_TAKEN=16
sealed "keys in error" "the card does not take the key.*$on" conf \
    FAKEMLX5_DEK_ERROR=1
sealed "the device is removed" "the device does not answer.*$on" conf \
    FAKEMLX5_REMOVE_AFTER=2
sealed "the QP fails" "transport retry counter exceeded.*$on" conf \
    FAKEMLX5_FAIL_AFTER=2
mixed "the peer does without" "it offers no card.*$on" conf aead
mixed "the peer wants tags" "it has no QP for us.*$on" conf conf+mac

# Memory is deregistered while the card reads it, and used for something else.
rm -f "$audit"
settings conf
env "${env[@]}" UCX_NET_DEVICES=all LD_PRELOAD="$plugin_preload:$beside" \
    timeout 100 "$top_builddir/tests/rdma/conf_revoke" >"$out" 2>"$err"
report $? "deregistered in flight: $(grep conf_revoke: "$out")"
said 'a get ended while the card worked on it'
report $? "deregistered in flight: a line says so"

! job conf+mac marker FAKEMLX5_DAMAGE_AFTER=2 && said 'offload: authentication: .* is damaged or forged'
report $? "conf+mac: what was damaged on the way is refused"
! job conf marker FAKEMLX5_DAMAGE_AFTER=2 && ! said 'offload: authentication'
report $? "conf: nobody but the program notices"
finish
