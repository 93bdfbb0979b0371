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
RUN_TIMEOUT=60
np=3

# job STAGE SECONDS LOWER [COMMAND...]: starts one, returns when it exchanges.
job() {
    local rank there
    rm -rf "$work/ranks"
    mkdir "$work/ranks"
    run_mpi "$np" UCX_TLS=eesp UCX_EESP_LOWER="$3" UCX_LOG_LEVEL=info \
        UCX_EESP_KEYRING="$ring" UCX_EESP_RELOAD_INTERVAL=10ms -- "${@:4}" \
        "$program" "$1" "$2" "$work/ranks" &
    running=$!
    background=("$running")
    for _ in {1..300}; do
        there=0
        for ((rank = 0; rank < np; rank++)); do
            [ ! -s "$work/ranks/$rank" ] || there=$((there + 1))
        done
        [ "$there" -lt "$np" ] || return 0
        kill -0 "$running" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

# step LEVEL STEP, and time for every rank to see it.
step() {
    "$EESP_BIN" rotate --keyring "$ring" --level "$1" "$2" \
        >"$work/rotate" 2>&1 || {
        note "$(<"$work/rotate")"
        return 1
    }
    sleep 0.12
}

raise_epoch() {
    jq '.eesp_policies[].epoch += 1' "$ring" >"$ring.new" &&
        chmod 600 "$ring.new" && mv "$ring.new" "$ring" && sleep 0.12
}

replaced() {
    cat "$out" "$err" | grep -c 'was replaced: new keys are in use'
}

# well NAME ROTATIONS: the job's end, and that so many replacements were seen.
well() {
    local status
    wait "$running"
    status=$?
    if [ $status -ne 0 ]; then
        not_ok "$1" "exit status $status"
    elif grep -q 'UCX  ERROR' "$out" "$err"; then
        not_ok "$1" "an error was logged"
    elif [ "$(replaced)" -lt "$2" ]; then
        not_ok "$1" "only $(replaced) replacements were seen, not $2"
    else
        ok "$1: $(replaced) replacements seen by $np ranks"
    fi
}

# All levels in turn until the job ends.
under_load() {
    local name="$1 over $2 while every key and the epoch change" level move n=0
    "$EESP_BIN" keygen --levels domain,job --force --out "$ring" \
        >"$work/keygen" 2>&1
    if ! job "$1" 8 "$2"; then
        not_ok "$name" "the job did not start"
        wait "$running"
        return
    fi
    while kill -0 "$running" 2>/dev/null; do
        for level in domain job; do
            for move in stage promote retire; do
                step "$level" "$move" || break 3
                n=$((n + 1))
            done
        done
        raise_epoch
    done
    # The ranks take a while to end: the last steps fall behind them.
    well "$name" $((n * np / 2))
}

# Each rank reads a copy of its own; the last one gets it late.
late() {
    local name="one rank is always late by a step over $1" rank move status
    "$EESP_BIN" keygen --levels domain,job --force --out "$ring" \
        >"$work/keygen" 2>&1
    for ((rank = 0; rank < np; rank++)); do
        cp -p "$ring" "$ring.$rank"
    done
    # shellcheck disable=SC2016
    if ! job flood 6 "$1" sh -c \
        'UCX_EESP_KEYRING=$UCX_EESP_KEYRING.$OMPI_COMM_WORLD_RANK exec "$@"' \
        sh; then
        not_ok "$name" "the job did not start"
        wait "$running"
        return
    fi
    while kill -0 "$running" 2>/dev/null; do
        for move in stage promote retire; do
            step domain $move || break 2
            for ((rank = 0; rank < np; rank++)); do
                [ $rank -lt $((np - 1)) ] || [ -n "${missed:-}" ] || sleep 0.1
                if [ $rank -lt $((np - 1)) ] || [ -z "${missed:-}" ]; then
                    cp -p "$ring" "$ring.part" &&
                        mv "$ring.part" "$ring.$rank"
                fi
            done
            sleep 0.12
        done
    done
    if [ -z "${missed:-}" ]; then
        well "$name" 30
        return
    fi
    wait "$running"
    status=$?
    [ $status -ne 0 ] && [ $status -ne 124 ] &&
        grep -q 'eesp: authentication: ' "$err"
    report $? "a rank that misses two rotations over $1: authentication" \
        "exit status $status"
}

# One rank holds what was granted, no root; made anew after each step.
granted() {
    local name="one rank has granted keys only over $1" move
    "$EESP_BIN" keygen --levels domain,job --force --out "$ring" \
        >"$work/keygen" 2>&1
    grant || return
    if ! job flood 4 "$1" "$tests_dir/lib/on-rank.sh" 1 \
        UCX_EESP_KEYRING="$ring.granted"; then
        not_ok "$name" "the job did not start"
        wait "$running"
        return
    fi
    while kill -0 "$running" 2>/dev/null; do
        for move in stage promote retire; do
            if ! step domain $move || ! grant; then
                break 2
            fi
            sleep 0.12
        done
    done
    well "$name" 9
}

# The grace of a previous key ends while the job runs: the keyring is read anew
# without it, though nobody touched the file.
grace() {
    local name="a previous key is dropped when its time has come"
    "$EESP_BIN" keygen --levels domain,job --force --out "$ring" \
        >"$work/keygen" 2>&1
    "$EESP_BIN" rotate --keyring "$ring" --level domain stage \
        >"$work/rotate" 2>&1
    "$EESP_BIN" rotate --keyring "$ring" --level domain promote \
        >"$work/rotate" 2>&1
    jq '(.keys[] | select(.eesp_state == "previous")).exp = (now | floor) + 3' \
        "$ring" >"$ring.new" && chmod 600 "$ring.new" && mv "$ring.new" "$ring"
    if job flood 5 tcp; then
        well "$name" "$np"
    else
        not_ok "$name" "the job did not start"
        wait "$running"
    fi
}

grant() {
    "$EESP_BIN" grant --keyring "$ring" --policy ranks --force \
        --out "$ring.granted" >"$work/grant" 2>&1 && return
    not_ok "eesp grant" "$(<"$work/grant")"
    return 1
}

# Refused: what the job says, and that it ends well. MAKE writes the file.
refused() {
    local name="$1 is not used, the job goes on" pattern=$2 make=$3 status
    "$EESP_BIN" keygen --levels domain,job --force --out "$ring" \
        >"$work/keygen" 2>&1
    "$EESP_BIN" rotate --keyring "$ring" --level domain stage \
        >"$work/rotate" 2>&1
    cp -p "$ring" "$work/before"
    "$EESP_BIN" rotate --keyring "$ring" --level domain promote \
        >"$work/rotate" 2>&1
    if ! job flood 2 tcp; then
        not_ok "$name" "the job did not start"
        wait "$running"
        return
    fi
    "$make"
    wait "$running"
    status=$?
    [ $status -eq 0 ] &&
        grep -qE "last good keys stay: .*($pattern)" "$out" "$err"
    report $? "$name" "exit status $status, wanted: $pattern"
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

need "rotation" mpirun jq "$program" "$EESP_PLUGIN" "$EESP_BIN"
for lower in tcp posix; do
    under_load flood "$lower"
    under_load large "$lower"
    late "$lower"
done
missed=1
late tcp
granted tcp
grace

refused "an older keyring" 'generation' older
refused "half a keyring" "$ring" damaged
refused "a keyring that is not there" "$ring" gone
refused "a keyring that lies open" 'chmod 0600' open_to_all
refused "another cipher" 'kdf, aead or receive' another_cipher

# Wire-up comes two rotations after the addresses were made.
"$EESP_BIN" keygen --levels domain,job --force --out "$ring" \
        >"$work/keygen" 2>&1
if job idle 3 tcp; then
    for _ in 1 2 3; do
        for move in stage promote retire; do
            step job $move
        done
    done
    well "first messages three rotations after the start" 20
else
    not_ok "first messages three rotations after the start" "no start"
    wait "$running"
fi
finish
