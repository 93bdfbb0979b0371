#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# rotation.sh: root keys are rotated, and epochs raised, under running jobs that
# exchange checked data without a pause. Nothing is lost, whoever is late by one
# step; who misses two gets an authentication error; a keyring that is damaged,
# or goes back, is not used, and the job goes on with the last good keys.
#
# Functions that make a file are called by name.
# shellcheck disable=SC2317
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

program=$top_builddir/tests/mpi/stage_check
ring=$work/keyring.jwks
pages=$work/pages
RUN_TIMEOUT=170
np=3

# job STAGE LOWER [COMMAND...]: starts one, returns when it exchanges. It goes on
# until it is told to stop.
job() {
    rm -rf "$work/ranks"
    mkdir "$work/ranks"
    run_mpi "$np" UCX_TLS=eesp UCX_EESP_LOWER="$2" UCX_LOG_LEVEL=info \
        UCX_EESP_KEYRING="$ring" UCX_EESP_RELOAD_INTERVAL=10ms \
        UCX_EESP_STAT_DIR="$pages" -- "${@:3}" \
        "$program" "$1" 160 "$work/ranks" &
    running=$!
    background=("$running")
    soon all_there && return 0
    wait "$running"
    return 1
}

# soon COMMAND...: within half a minute, or as long as the job runs.
soon() {
    local _
    for _ in {1..300}; do
        "$@" && return 0
        kill -0 "$running" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

all_there() {
    local rank
    for ((rank = 0; rank < np; rank++)); do
        [ -s "$work/ranks/$rank" ] || return 1
    done
}

ring_new() {
    "$EESP_BIN" keygen --levels domain,job --force --out "$ring" \
        >"$work/keygen" 2>&1
}

# step ARGUMENT...: once every rank is ready for it.
step() {
    "$EESP_BIN" rotate --keyring "$ring" --wait=30 --stat-dir "$pages" "$@" \
        >"$work/rotate" 2>&1 || {
        note "$(<"$work/rotate")"
        return 1
    }
    n=$((n + 1))
}

# blindly LEVEL STEP RANKS: without waiting; then until so many ranks hold it.
blindly() {
    "$EESP_BIN" rotate --keyring "$ring" --level "$1" "$2" \
        >"$work/rotate" 2>&1
    n=$((n + 1))
    copies
    soon hold $((n + 1)) "$3"
}

# hold SERIAL RANKS
hold() {
    [ "$("$EESP_BIN" stat --dir "$pages" --json |
        jq "map(select(.keyring_serial >= $1)) | length")" -ge "$2" ]
}

copies() {
    :
}

replaced() {
    cat "$out" "$err" | grep -c 'was replaced: new keys are in use'
}

have_replaced() {
    [ "$(replaced)" -ge "$1" ]
}

# well NAME REPLACED: those were seen; the job ends well when it is told to.
well() {
    local status
    soon have_replaced "$2"
    touch "$work/ranks/stop"
    wait "$running"
    status=$?
    if [ $status -ne 0 ]; then
        not_ok "$1" "exit status $status"
    elif grep -q 'UCX  ERROR' "$out" "$err"; then
        not_ok "$1" "an error was logged"
    elif [ "$(replaced)" -lt "$2" ]; then
        not_ok "$1" "only $(replaced) replacements were seen, not $2"
    else
        ok "$1: $n steps, $(replaced) times taken by $np ranks"
    fi
}

# All levels in turn, and the epoch.
under_load() {
    local name="$1 over $2 while every key and the epoch change" level _
    n=0
    ring_new
    if ! job "$1" "$2"; then
        not_ok "$name" "the job did not start"
        return
    fi
    for _ in {1..10}; do
        for level in domain job; do
            step --level "$level" stage promote retire || break 2
        done
        step epoch || break
    done
    [ "$n" -eq 30 ] || not_ok "$name: every step" "$n of 30 calls"
    well "$name" $((70 * np))
}

# Each rank reads a copy of its own; the last one gets it late.
own_copies() {
    local rank
    ring_new
    for ((rank = 0; rank < np; rank++)); do
        cp -p "$ring" "$ring.$rank"
    done
    # shellcheck disable=SC2016
    job flood "$1" sh -c \
        'UCX_EESP_KEYRING=$UCX_EESP_KEYRING.$OMPI_COMM_WORLD_RANK exec "$@"' sh
}

# copy RANK...
copy() {
    local rank
    for rank in "$@"; do
        cp -p "$ring" "$ring.part" && mv "$ring.part" "$ring.$rank"
    done
}

late() {
    local name="one rank is always late by a step over $1" move _
    n=0
    if ! own_copies "$1"; then
        not_ok "$name" "the job did not start"
        return
    fi
    for _ in {1..5}; do
        for move in stage promote retire; do
            step --level domain $move || break 2
            copy 0 1
            sleep 0.1
            copy 2
        done
    done
    well "$name" $((15 * np))
}

missed() {
    local name="a rank that misses two rotations: authentication" move status _
    n=0
    if ! own_copies tcp; then
        not_ok "$name" "the job did not start"
        return
    fi
    copies() {
        copy 0 1
    }
    for _ in 1 2; do
        for move in stage promote retire; do
            blindly domain $move 2 || break 2
        done
    done
    copies() {
        :
    }
    wait "$running"
    status=$?
    [ $status -ne 0 ] && [ $status -ne 124 ] &&
        grep -q 'eesp: authentication: ' "$err"
    report $? "$name" "exit status $status"
}

# One rank holds what was granted, no root; made anew after each step.
granted() {
    local name="one rank has granted keys only over $1" move _
    n=0
    ring_new
    grant || return
    if ! job flood "$1" "$tests_dir/lib/on-rank.sh" 1 \
        UCX_EESP_KEYRING="$ring.granted"; then
        not_ok "$name" "the job did not start"
        return
    fi
    for _ in {1..5}; do
        for move in stage promote retire; do
            if ! step --level domain $move || ! grant; then
                break 2
            fi
        done
    done
    well "$name" $((15 * np))
}

# The grace of a previous key ends while the job runs: the keyring is read anew
# without it, though nobody touched the file.
grace() {
    local name="a previous key is dropped when its time has come"
    n=0
    ring_new
    "$EESP_BIN" rotate --keyring "$ring" --level domain stage \
        >"$work/rotate" 2>&1
    "$EESP_BIN" rotate --keyring "$ring" --level domain promote \
        >"$work/rotate" 2>&1
    jq '(.keys[] | select(.eesp_state == "previous")).exp = (now | floor) + 4' \
        "$ring" >"$ring.new" && chmod 600 "$ring.new" && mv "$ring.new" "$ring"
    if job flood tcp; then
        well "$name" "$np"
    else
        not_ok "$name" "the job did not start"
    fi
}

grant() {
    "$EESP_BIN" grant --keyring "$ring" --policy ranks --force \
        --out "$ring.granted" >"$work/grant" 2>&1 && return
    not_ok "eesp grant" "$(<"$work/grant")"
    return 1
}

# Refused: what every rank says, and that the job ends well. MAKE writes the file.
refused() {
    local name="$1 is not used, the job goes on" pattern=$2 make=$3 status
    ring_new
    "$EESP_BIN" rotate --keyring "$ring" --level domain stage \
        >"$work/rotate" 2>&1
    cp -p "$ring" "$work/before"
    "$EESP_BIN" rotate --keyring "$ring" --level domain promote \
        >"$work/rotate" 2>&1
    if ! job flood tcp; then
        not_ok "$name" "the job did not start"
        return
    fi
    "$make"
    soon is_said "$pattern"
    touch "$work/ranks/stop"
    wait "$running"
    status=$?
    [ $status -eq 0 ] && is_said "$pattern"
    report $? "$name" "exit status $status, wanted: $pattern"
}

is_said() {
    [ "$(cat "$out" "$err" | grep -cE "last good keys stay: .*($1)")" -eq "$np" ]
}

older() {
    cp -p "$work/before" "$ring.part" && mv "$ring.part" "$ring"
}
damaged() {
    head -c 300 "$ring" >"$ring.part" && chmod 600 "$ring.part" &&
        mv "$ring.part" "$ring"
}
gone() {
    rm "$ring"
}
open_to_all() {
    chmod 644 "$ring"
}
another_cipher() {
    jq '.eesp_policies[].aead = "aes-128-gcm"' "$ring" >"$ring.part" &&
        chmod 600 "$ring.part" && mv "$ring.part" "$ring"
}

# The last rank sleeps: it takes keyrings, but has not left the keys before.
asleep() {
    local name="a key that a rank may still use" _ move status
    n=0
    ring_new
    if ! job idle tcp; then
        not_ok "$name" "the job did not start"
        return
    fi
    step --level job stage promote
    ! "$EESP_BIN" rotate --keyring "$ring" --level job --wait=1 \
        --stat-dir "$pages" retire >"$work/rotate" 2>&1 &&
        grep -q 'rank 2, has not sent, received or waited' "$work/rotate" &&
        [ "$(jq '.keys | length' "$ring")" -eq 3 ]
    report $? "$name is not retired: said, and the file stays" \
        "$(<"$work/rotate")"
    # Wire-up comes three rotations after the addresses were made.
    n=2
    blindly job retire $np
    for _ in 1 2; do
        for move in stage promote retire; do
            blindly job $move $np
        done
    done
    well "first messages three rotations after the start" $((9 * np))
}

nobody() {
    rm -rf "$pages"
    "$EESP_BIN" rotate --keyring "$ring" --level job --wait --stat-dir \
        "$pages" stage >"$work/rotate" 2>&1 &&
        grep -q 'no process here is known to use it' "$work/rotate"
    report $? "without a process to wait for: said, and done" \
        "$(<"$work/rotate")"
}

need "rotation" mpirun jq "$program" "$EESP_PLUGIN" "$EESP_BIN"
for lower in tcp posix; do
    under_load flood "$lower"
    under_load large "$lower"
    late "$lower"
done
missed
granted tcp
grace

refused "an older keyring" 'generation' older
refused "half a keyring" "$ring" damaged
refused "a keyring that is not there" "$ring" gone
refused "a keyring that lies open" 'chmod 0600' open_to_all
refused "another cipher" 'kdf, aead or receive' another_cipher
asleep
nobody
finish
