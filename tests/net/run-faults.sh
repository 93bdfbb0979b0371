#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# run-faults.sh [plain]: what the plugin does with bad keyrings, a damaged wire,
# strangers on its ports and a UCX it was not built for. Every refusal must end
# the job with a non-zero status in time, say why, and send nothing in clear.
# `plain` runs the same faults against UCX's own tcp, which must fall for them:
# it tests the tests.
#
# Needs root: tcpdump on lo, and a keyring of another user. Traffic stays on
# loopback.
#
# A network namespace of its own keeps other programs' traffic out of the
# captures, where it would be lost packets, and ours away from other programs.
if [ -z "${EESP_TEST_NETNS:-}" ] &&
    unshare -n ip link set lo up 2>/dev/null; then
    export EESP_TEST_NETNS=1
    # shellcheck disable=SC2016  # expands in the new namespace
    exec unshare -n sh -c 'ip link set lo up && exec "$@"' sh "$0" "$@"
fi

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

# What the plugin says, as extended regular expressions.
says_no_keyring='UCX_EESP_KEYRING'
says_missing='make one with: eesp keygen'
says_unreadable='Permission denied; mend it with: chown'
says_readable_by_others='mend it with: chmod'
says_empty='empty file'
says_truncated='not a keyring'
says_not_json='not a keyring'
says_unknown_member='unknown policy member.*bind_destinaton'
says_short_key='16 bytes short of the 32'
says_foreign='authentication'
says_damaged='authentication'
says_cut='authentication|shorter than its header'
says_missing_before='messages before it are missing'
says_policy='policy: rank [01] sends under SPI'
says_segments='segments: .*UCX_EESP_SEG_SIZE'
says_twin='two processes say that they are rank 0'
says_replay='dropped as replay 1,'
says_version='1\.99.*1\.13|1\.13.*1\.99'

limit=10 # seconds a refused job may take
mode=${1:-eesp}
RUN_TIMEOUT=${FAULT_TIMEOUT:-30}

wirefault=${WIREFAULT_SO:-$(built wirefault.so tests/net)}
version_stub=${VERSION_STUB_SO:-$(built ucp_version_stub.so tests/net)}
garbage=$tests_dir/net/garbage.py
on_rank=$tests_dir/lib/on-rank.sh

marker=$(printf 'CLEARTEXT-MARKER-%07d%08d' "$$" "$((RANDOM * 1000 + RANDOM))")
keyrings=$work/keyrings
good=$keyrings/good.jwks
capture=$work/lo.pcap
fault_report=$work/fault
tls=(UCX_TLS=eesp UCX_EESP_LOWER=tcp)
keyed=("${tls[@]}" UCX_EESP_KEYRING="$good")
status=0
took=0

capture_start() {
    tcpdump -i lo -w "$capture" -B 32768 -s 0 -Z root tcp 2>"$work/tcpdump" &
    tcpdump_pid=$!
    background=("$tcpdump_pid")
    for _ in {1..50}; do
        grep -qs 'listening on' "$work/tcpdump" && return
        sleep 0.1
    done
    note "tcpdump does not start: $(tail -n 1 "$work/tcpdump")"
}

# The kernel hands packets over in blocks, at the latest after a second; tcpdump
# does not fetch the rest when it ends.
capture_stop() {
    sleep 1.3
    kill -INT "$tcpdump_pid"
    wait "$tcpdump_pid"
    background=()
}

# job VAR=VALUE... -- PROGRAM ARG...: two ranks under a capture; leaves $status
# and $took.
job() {
    local start
    capture_start
    start=$SECONDS
    run_mpi 2 MPI_CHECK_MARKER="$marker" "$@"
    status=$?
    took=$((SECONDS - start))
    capture_stop
}

# said PATTERN: UCX logs to standard output, MPI to standard error. UCX's own
# line about a variable that no transport asked for names it too, and is no
# answer.
said() {
    cat "$out" "$err" | grep -v 'unused env variable' | grep -qE -- "$1"
}

in_clear() {
    grep -qaF -- "$marker" "$capture"
}

# A capture that lost packets, or has none, cannot show that nothing was in
# clear. The filter sees each packet on lo twice.
captured() {
    local saved seen dropped
    saved=$(sed -n 's/ packets captured$//p' "$work/tcpdump")
    seen=$(sed -n 's/ packets received by filter$//p' "$work/tcpdump")
    dropped=$(sed -n 's/ packets dropped by kernel$//p' "$work/tcpdump")
    # What others send over lo while tcpdump ends is seen but not saved: a tenth
    # at most, against all of a job when it is lost.
    [ "${saved:-0}" -gt 0 ] && [ "${dropped:-1}" -eq 0 ] &&
        [ "$((20 * saved))" -ge "$((9 * ${seen:-0}))" ]
}

# sealed NAME
sealed() {
    if ! captured; then
        not_ok "$1: nothing in clear" "incomplete capture: $(<"$work/tcpdump")"
    elif in_clear; then
        not_ok "$1: nothing in clear" "the marker is in the capture"
    else
        ok "$1: nothing in clear"
    fi
}

# refused NAME PATTERN VAR=VALUE... -- PROGRAM ARG...
refused() {
    local name=$1 pattern=$2
    shift 2
    job "$@"
    if [ "$status" -eq 0 ]; then
        not_ok "$name" "exit status 0"
    elif [ "$status" -eq 124 ] || [ "$took" -gt "$limit" ]; then
        not_ok "$name" "took $took s, more than $limit"
    elif ! said "$pattern"; then
        not_ok "$name" "exit status $status, but did not say /$pattern/"
    else
        ok "$name"
    fi
    sealed "$name"
}

# accepted NAME VAR=VALUE... -- PROGRAM ARG...
accepted() {
    local name=$1
    shift
    job "$@"
    if [ "$status" -ne 0 ]; then
        not_ok "$name" "exit status $status"
    elif ! said '^mpi_check: all .* ok '; then
        not_ok "$name" "mpi_check did not say that all is well"
    else
        ok "$name"
    fi
}

# edit OLD NEW PYTHON: a copy of a keyring with its object `k` changed; mode
# 0600.
edit() {
    (umask 077 && /usr/bin/python3 - "$1" "$2" "$3" <<'PY'
import json, sys
old, new, change = sys.argv[1:]
with open(old) as f:
    k = json.load(f)
exec(change)
with open(new, "w") as f:
    json.dump(k, f)
PY
    )
}

# bad_keyring NAME PATTERN FILE
bad_keyring() {
    refused "$1" "$2" "${tls[@]}" UCX_EESP_KEYRING="$3" -- "$MPI_CHECK" marker
    if said "${3##*/}"; then
        ok "$1: the message names the file"
    else
        not_ok "$1: the message names the file"
    fi
}

keyring_cases() {
    local keyring
    # The directories are passable, so that only the file's own mode decides.
    chmod 711 "$work" "$keyrings"
    accepted "good keyring" "${keyed[@]}" -- "$MPI_CHECK" marker
    sealed "good keyring"

    if [ -e /etc/eesp/keyring.jwks ]; then
        skip "no keyring" "/etc/eesp/keyring.jwks exists"
    else
        refused "no keyring" "$says_no_keyring" "${tls[@]}" -- \
            "$MPI_CHECK" marker
    fi
    bad_keyring "missing keyring" "$says_missing" "$keyrings/missing.jwks"

    RUN_USER=nobody bad_keyring "keyring of root, job of nobody" \
        "$says_unreadable" "$good"
    install -o nobody -m 600 "$good" "$keyrings/nobody.jwks"
    RUN_USER=nobody accepted "keyring and job of nobody" "${tls[@]}" \
        UCX_EESP_KEYRING="$keyrings/nobody.jwks" -- "$MPI_CHECK" marker

    install -m 644 "$good" "$keyrings/readable.jwks"
    bad_keyring "keyring readable by others" "$says_readable_by_others" \
        "$keyrings/readable.jwks"

    install -m 600 /dev/null "$keyrings/empty.jwks"
    bad_keyring "empty keyring" "$says_empty" "$keyrings/empty.jwks"

    install -m 600 "$good" "$keyrings/truncated.jwks"
    truncate -s $(($(stat -c %s "$good") / 2)) "$keyrings/truncated.jwks"
    bad_keyring "truncated keyring" "$says_truncated" "$keyrings/truncated.jwks"

    install -m 600 "$tests_dir/net/run-faults.sh" "$keyrings/script.jwks"
    bad_keyring "keyring that is not JSON" "$says_not_json" \
        "$keyrings/script.jwks"

    edit "$good" "$keyrings/misspelt.jwks" \
        'k["eesp_policies"][0]["bind_destinaton"] = True'
    bad_keyring "unknown policy member" "$says_unknown_member" \
        "$keyrings/misspelt.jwks"

    edit "$good" "$keyrings/short.jwks" \
        'k["keys"][0]["k"] = "AAECAwQFBgcICQoLDA0ODw"'
    bad_keyring "key of 16 bytes" "$says_short_key" "$keyrings/short.jwks"

    # Another site's keyring, and one that differs in the bytes of one key only.
    make_keyring "$keyrings/foreign.jwks"
    edit "$good" "$keyrings/altered.jwks" 'k["keys"][0]["k"] = "A" * 43'
    for keyring in foreign altered; do
        refused "$keyring keyring on rank 1" "$says_foreign" "${keyed[@]}" -- \
            "$on_rank" 1 UCX_EESP_KEYRING="$keyrings/$keyring.jwks" \
            "$MPI_CHECK" marker
    done
    refused "other policy on rank 1" "$says_policy" "${keyed[@]}" -- \
        "$on_rank" 1 UCX_EESP_POLICY=pairs "$MPI_CHECK" marker
    refused "longer segments on rank 1" "$says_segments" "${keyed[@]}" -- \
        "$on_rank" 1 UCX_EESP_SEG_SIZE=128k "$MPI_CHECK" marker
    accepted "shorter segments on rank 1" "${keyed[@]}" -- \
        "$on_rank" 1 UCX_EESP_SEG_SIZE=8k "$MPI_CHECK" marker
    accepted "shorter segments of tcp on rank 1" "${keyed[@]}" -- \
        "$on_rank" 1 UCX_TCP_TX_SEG_SIZE=16k "$MPI_CHECK" marker
    refused "rank 0 twice" "$says_twin" "${keyed[@]}" -- \
        "$on_rank" 1 UCX_EESP_RANK=0 "$MPI_CHECK" marker
}

# happened NAME: the shim reported its fault, so the case tested something.
happened() {
    if grep -sqE '^wirefault: (flipped|truncated|duplicated|deleted)' \
        "$fault_report"; then
        ok "$1: the fault happened"
    else
        not_ok "$1: the fault happened" "the shim reported nothing"
    fi
}

# damaged NAME PATTERN FAULT SETTING=VALUE...: settings of the shim, without
# their WIREFAULT_; what runs is in ${group}.
damaged() {
    local name=$1 pattern=$2 fault=$3
    shift 3
    rm -f "$fault_report"
    RUN_PRELOAD=$wirefault refused "$name" "$pattern" "${keyed[@]}" \
        WIREFAULT_REPORT="$fault_report" \
        WIREFAULT="$fault" WIREFAULT_RANK=1 "${@/#/WIREFAULT_}" -- \
        "$MPI_CHECK" "$group"
    happened "$name"
}

# Byte 30 is in the sequence number of a packet with the compact option.
wire_cases() {
    local group=marker
    damaged "flipped bit in the ciphertext" "$says_damaged" flip NTH=200
    damaged "flipped bit in the ICV" "$says_damaged" flip NTH=200 OFFSET=-1
    damaged "flipped bit in the sequence number" "$says_damaged" \
        flip NTH=200 OFFSET=30
    local byte
    # One of each field of the header: marker, Opt Len, Session ID, SPI, option
    # type and length, combination, generations, epoch, ranks, incarnation.
    for byte in 0 1 3 7 8 9 10 11 13 15 19 20 27; do
        damaged "flipped bit in header byte $byte" "$says_damaged" \
            flip NTH=200 OFFSET=$byte
    done
    damaged "deleted packet" "$says_missing_before" delete NTH=200
    damaged "flipped bit in the first packet" "$says_damaged" flip NTH=1
    damaged "flipped bit in a large message" "$says_damaged" \
        flip NTH=5 MIN_LEN=3000
    damaged "packet short of 4 bytes" "$says_damaged" truncate NTH=200
    damaged "packet cut to its header" "$says_cut" truncate NTH=200 CUT=50

    # Replays are counted without a word; the count is shown at debug level.
    rm -f "$fault_report"
    RUN_PRELOAD=$wirefault accepted "duplicated packet" "${keyed[@]}" \
        WIREFAULT_REPORT="$fault_report" \
        WIREFAULT=duplicate WIREFAULT_RANK=1 WIREFAULT_NTH=200 \
        UCX_LOG_LEVEL=debug -- "$MPI_CHECK" marker
    happened "duplicated packet"
    said "$says_replay"
    report $? "duplicated packet: counted as a replay" "no /$says_replay/"
    sealed "duplicated packet"
}

# Packets that are opened where their data goes, and those that say where.
rma_wire_cases() {
    local keyed=("${keyed[@]}" UCX_EESP_RMA=y) group=rma byte
    for byte in 30 60 30000 -1; do
        damaged "RMA: flipped bit in a data packet, byte $byte" \
            "$says_damaged" flip NTH=3 MIN_LEN=40000 OFFSET=$byte
    done
    damaged "RMA: data packet short of 4 bytes" "$says_damaged" \
        truncate NTH=3 MIN_LEN=40000
    damaged "RMA: deleted data packet" "$says_missing_before" \
        delete NTH=3 MIN_LEN=40000
    damaged "RMA: flipped bit in a request or reply" "$says_damaged" \
        flip NTH=60
    rm -f "$fault_report"
    RUN_PRELOAD=$wirefault accepted "RMA: duplicated data packet" \
        "${keyed[@]}" WIREFAULT_REPORT="$fault_report" \
        WIREFAULT=duplicate WIREFAULT_RANK=1 WIREFAULT_NTH=3 \
        WIREFAULT_MIN_LEN=40000 UCX_LOG_LEVEL=debug -- "$MPI_CHECK" rma
    happened "RMA: duplicated data packet"
    said "$says_replay"
    report $? "RMA: duplicated data packet: counted as a replay"
}

# pids_of SETTING: the processes that were started with it in their environment.
pids_of() {
    grep -lzsxF -- "$1" /proc/[0-9]*/environ | cut -d/ -f3
}

# visited KINDS VAR=VALUE... -- PROGRAM ARG...: a job whose ports strangers
# visit from its first moment; leaves $status.
visited() {
    local kinds=$1 token=FAULT_JOB=$$.$RANDOM pids=() running
    shift
    run_mpi 2 "$token" "$@" &
    running=$!
    for _ in {1..100}; do
        mapfile -t pids < <(pids_of "$token")
        [ "${#pids[@]}" -ge 2 ] && break
        sleep 0.05
    done
    "$garbage" --seconds 3 --seed "$RANDOM" --kinds "$kinds" "${pids[@]}" \
        >"$work/garbage" 2>&1
    garbage_status=$?
    wait "$running"
    status=$?
    sed 's/^/# /' "$work/garbage"
}

# visited_well NAME KINDS VAR=VALUE... --: the job must end well, and the
# strangers must have been there.
visited_well() {
    local name=$1
    shift
    visited "$@" "$MPI_CHECK" -r 8 p2p flood rma
    report "$garbage_status" "$name: every kind was sent"
    if [ "$status" -eq 0 ] && said '^mpi_check: all .* ok '; then
        ok "$name"
    else
        not_ok "$name" "exit status $status"
    fi
}

eesp_cases() {
    local offload
    mkdir -m 700 "$keyrings"
    if ! make_keyring "$good"; then
        not_ok "keyring"
        return
    fi
    keyring_cases
    wire_cases
    rma_wire_cases
    RUN_TIMEOUT=60 visited_well "garbage on the ports" random,frames,eesp \
        "${keyed[@]}" --
    RUN_PRELOAD=$version_stub refused "UCX of another minor version" \
        "$says_version" "${keyed[@]}" -- "$MPI_CHECK" marker
    for offload in conf conf+mac; do
        accepted "no card to offload to: $offload" "${keyed[@]}" \
            UCX_EESP_OFFLOAD=$offload UCX_EESP_RMA=y -- "$MPI_CHECK" marker
        said "OFFLOAD=${offload/+/.}: no lower .*: all is sealed by the CPU"
        report $? "no card to offload to: $offload is told of"
        sealed "no card to offload to: $offload"
    done
    accepted "offload off" "${keyed[@]}" UCX_EESP_OFFLOAD=off -- \
        "$MPI_CHECK" marker
    sealed "offload off"
}

# fell_for NAME FAULT NTH RANK: plain UCX delivers what the wire made of the
# data, and mpi_check notices.
fell_for() {
    rm -f "$fault_report"
    RUN_PRELOAD=$wirefault run_mpi 2 "${plain[@]}" WIREFAULT="$2" \
        WIREFAULT_REPORT="$fault_report" WIREFAULT_NTH="$3" WIREFAULT_RANK="$4" WIREFAULT_MIN_LEN=900 -- \
        "$MPI_CHECK" p2p
    status=$?
    happened "$1"
    if [ "$status" -ne 0 ] && said '^mpi_check: .*: expected .*, got '; then
        ok "$1: mpi_check notices"
    else
        not_ok "$1: mpi_check notices" "exit status $status"
    fi
}

plain_cases() {
    local rank plain=("UCX_TLS=tcp,self")
    accepted "plain tcp" "${plain[@]}" -- "$MPI_CHECK" marker
    captured && in_clear
    report $? "plain tcp: the marker is in the capture" "$(<"$work/tcpdump")"
    accepted "plain posix" UCX_TLS=posix,self -- "$MPI_CHECK" marker
    sealed "plain posix"
    RUN_USER=nobody accepted "job of nobody" "${plain[@]}" -- \
        "$MPI_CHECK" marker
    refused "no such transport" "No components were able to be opened" \
        UCX_TLS=nosuch -- "$MPI_CHECK" marker

    # shellcheck disable=SC2016  # expands in the ranks
    run_mpi 2 "${plain[@]}" -- "$on_rank" 1 MARK=here \
        sh -c 'echo "rank $OMPI_COMM_WORLD_RANK ${MARK:-nothing}"'
    said '^rank 0 nothing$' && said '^rank 1 here$'
    report $? "a setting reaches one rank only"

    RUN_PRELOAD=$wirefault accepted "shim without a fault" "${plain[@]}" \
        WIREFAULT=none WIREFAULT_RANK=1 -- "$MPI_CHECK"
    for rank in 0 1; do
        fell_for "flipped bit, rank $rank" flip 20 $rank
        fell_for "truncated frame, rank $rank" truncate 20 $rank
        fell_for "duplicated frame, rank $rank" duplicate 4 $rank
    done

    # Of the kinds of garbage only `random` is one that UCX 1.13.1 itself
    # survives.
    RUN_TIMEOUT=60 visited_well "garbage on the ports" random "${plain[@]}" --
    RUN_PRELOAD=$version_stub run_mpi 2 "${plain[@]}" UCX_LOG_LEVEL=info -- \
        "$MPI_CHECK" bcast
    said 'UCX  INFO  Version 1\.99\.0'
    report $? "UCX says it is 1.99"
}

need "run-faults" mpirun tcpdump "$MPI_CHECK" "$wirefault" "$version_stub"
if [ "$(id -u)" -ne 0 ]; then
    skip "run-faults" "needs root"
    finish
fi
case $mode in
plain)
    plain_cases
    ;;
eesp)
    need "run-faults over eesp" "$EESP_PLUGIN" "$EESP_BIN"
    eesp_cases
    ;;
*)
    echo "usage: $0 [plain]" >&2
    exit 2
    ;;
esac
finish
