# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154 # work: see common.sh
#
# A munged of the tests' own, with its own key, socket and files: the system's
# is neither needed nor touched. To be sourced after common.sh.
#
#     start_munged || ...    then EESP_MUNGE_SOCKET names its socket
#     stop_munged

munge_dir=

# Its directory lies outside of $work: other users must reach the socket.
start_munged() {
    command -v munged >/dev/null && command -v munge >/dev/null || return
    if [ -z "$munge_dir" ]; then
        munge_dir=$(mktemp -d /tmp/eesp-munge.XXXXXX) || return
        chmod 0711 "$munge_dir"
        mkdir -m 0700 "$munge_dir/own"
        head -c 128 /dev/urandom >"$munge_dir/own/key"
        chmod 0400 "$munge_dir/own/key"
    fi
    munged --socket="$munge_dir/socket" --key-file="$munge_dir/own/key" \
        --log-file="$munge_dir/own/log" --pid-file="$munge_dir/own/pid" \
        --seed-file="$munge_dir/own/seed" 2>"$work/munged" || return
    export EESP_MUNGE_SOCKET=$munge_dir/socket
    for _ in {1..100}; do
        munge -S "$EESP_MUNGE_SOCKET" -n >/dev/null 2>&1 && return
        sleep 0.1
    done
    return 1
}

stop_munged() {
    local pid
    pid=$(cat "$munge_dir/own/pid" 2>/dev/null) || return 0
    kill "$pid"
    for _ in {1..100}; do
        [ -e "/proc/$pid" ] || return 0
        sleep 0.1
    done
    kill -KILL "$pid"
}

remove_munged() {
    [ -n "$munge_dir" ] || return 0
    stop_munged 2>/dev/null
    rm -rf "$munge_dir"
}
trap 'remove_munged; cleanup' EXIT
