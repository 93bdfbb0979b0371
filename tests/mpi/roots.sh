#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# roots.sh: a job that was granted its keys holds no root key, anywhere in the
# memory of its processes, while keys are rotated under it; the granted keys are
# found there, so the search finds what there is. A job with the root keys holds
# them: in memory that is kept out of dumps and off the swap, and nowhere else.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

program=$top_builddir/tests/mpi/steady_check
scanner=$tests_dir/mpi/root_scan.py
ring=$work/keyring.jwks
granted=$work/granted.jwks
pages=$work/pages
np=2
RUN_TIMEOUT=170
need "roots" mpirun jq /usr/bin/python3 "$program" "$EESP_PLUGIN" "$EESP_BIN"
if [ "$(id -u)" != 0 ]; then
    skip "roots" "only root may read another process's memory"
    finish
fi

# job KEYRING LOWER: starts one, returns when it exchanges; pids has its ranks
# and their launcher.
job() {
    local _
    rm -rf "$work/ranks"
    mkdir "$work/ranks"
    printf '\0' >"$work/ranks/stop"
    run_mpi "$np" UCX_TLS=eesp UCX_EESP_LOWER="$2" UCX_EESP_KEYRING="$1" \
        UCX_EESP_RELOAD_INTERVAL=10ms UCX_EESP_STAT_DIR="$pages" -- \
        "$program" "$work/ranks" &
    running=$!
    background=("$running")
    for _ in {1..300}; do
        if [ -s "$work/ranks/0" ] && [ -s "$work/ranks/1" ]; then
            pids=("$(<"$work/ranks/0")" "$(<"$work/ranks/1")")
            pids+=("$(ps -o ppid= -p "${pids[0]}" | tr -d ' ')")
            return 0
        fi
        kill -0 "$running" 2>/dev/null || break
        sleep 0.1
    done
    wait "$running"
    return 1
}

ended() {
    printf 1 | dd of="$work/ranks/stop" conv=notrunc status=none
    wait "$running"
    report $? "$1"
}

# look KEYRING...: what there is of their keys, in $work/found.
look() {
    /usr/bin/python3 "$scanner" 1 - "$@" -- "${pids[@]}" >"$work/found" \
        2>"$work/scan"
    report $? "the memory of ${#pids[@]} processes is read" "$(<"$work/scan")"
    note "$(tail -n 1 "$work/found")"
}

# found PATTERN: in how many processes.
found() {
    grep -E "$1" "$work/found" | awk '{ print $5 }' | sort -u | wc -l
}

grant() {
    "$EESP_BIN" grant --keyring "$ring" --policy ranks --force --out \
        "$granted" >"$work/grant" 2>&1 || not_ok "grant" "$(<"$work/grant")"
}

step() {
    "$EESP_BIN" rotate --keyring "$ring" --level "$1" --wait=30 --stat-dir \
        "$pages" "$2" >"$work/rotate" 2>&1 ||
        not_ok "rotate $*" "$(<"$work/rotate")"
}

# with_grants LOWER
with_grants() {
    local level move
    "$EESP_BIN" keygen --levels domain,tenant,job,task --force --out "$ring" \
        >"$work/keygen" 2>&1
    grant
    if ! job "$granted" "$1"; then
        not_ok "granted over $1: the job starts"
        return
    fi
    # All the roots there have been: also those that are retired.
    cp -p "$ring" "$work/first.jwks"
    for level in domain job; do
        for move in stage promote; do
            step $level $move
            grant
        done
    done
    cp -p "$ring" "$work/second.jwks"
    for level in domain job; do
        step $level retire
        grant
    done
    step task stage
    grant
    # Ready for the next one: so they have taken this one.
    step task promote
    look "$work/first.jwks" "$work/second.jwks" "$ring" "$granted"
    [ "$(found '^granted.jwks master .* bytes')" -eq "$np" ]
    report $? "granted over $1: the granted keys are found in every rank" \
        "$(<"$work/found")"
    [ "$(found '(domain|tenant|job|task) [0-9]+ (bytes|text)')" -eq 0 ]
    report $? "granted over $1: no root key is, of any generation" \
        "$(<"$work/found")"
    [ "$(found '^- - ')" -eq 0 ] && [ "$(found ' [^ ]*sh,[^ ]* [0-9]+$')" -eq 0 ]
    report $? "granted over $1: no key is in memory that others may map" \
        "$(<"$work/found")"
    ended "granted over $1: the job ends well"
}

# What holds for a keyring with root keys, as the manual says it.
with_roots() {
    "$EESP_BIN" keygen --levels domain,tenant,job,task --force --out "$ring" \
        >"$work/keygen" 2>&1
    if ! job "$ring" tcp; then
        not_ok "roots: the job starts"
        return
    fi
    look "$ring"
    [ "$(found '^keyring.jwks (domain|tenant|job|task) 1 bytes')" -eq "$np" ]
    report $? "roots: every rank holds them" "$(<"$work/found")"
    [ "$(found ' text ')" -eq 0 ] && [ "$(found " ${pids[np]} ")" -eq 0 ]
    report $? "roots: not as the file's text, not in the launcher" \
        "$(<"$work/found")"
    # Flags come in the kernel's order: lo before dd.
    ! grep -v '^scanned' "$work/found" |
        grep -vE ' [^ ]*lo,[^ ]*dd[^ ]* [0-9]+$' >"$work/loose"
    report $? "roots: only in locked memory that is not dumped" \
        "$(<"$work/loose")"
    ended "roots: the job ends well"
}

with_grants tcp
with_grants posix
with_roots
finish
