#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# sources.sh: jobs whose keyring comes from a descriptor, a credential's
# directory, the links of a Secret volume, a key of the kernel, a credential of
# MUNGE or a program, each replaced while the job exchanges checked data; and
# replaced by garbage. Behind munge: stands a granted keyring.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/munged.sh
. "$tests_dir/lib/munged.sh"

program=$top_builddir/tests/mpi/stage_check
ring=$work/keyring.jwks
np=2
RUN_TIMEOUT=400
need "keyrings from their sources" mpirun "$program" "$EESP_PLUGIN" "$EESP_BIN"

# job SOURCE [COMMAND...]: starts one, returns when it exchanges.
job() {
    local rank there
    rm -rf "$work/ranks"
    mkdir "$work/ranks"
    run_mpi "$np" UCX_TLS=eesp UCX_EESP_LOWER=tcp UCX_LOG_LEVEL=info \
        UCX_EESP_KEYRING="$1" UCX_EESP_RELOAD_INTERVAL=10ms -- "${@:2}" \
        "$program" flood 300 "$work/ranks" &
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

# Ways to put the text of a file where a source is read.
put_file() { cat "$1" >"$ring.open"; } # the same file: a descriptor stays on it
put_credential() {
    cp "$1" "$work/credentials/new" && chmod 0400 "$work/credentials/new" &&
        mv "$work/credentials/new" "$work/credentials/ring"
}
put_volume() { # as kubelet does it: a new directory, and one link swapped
    version=$((${version:-0} + 1))
    mkdir "$work/volume/$version" &&
        cp "$1" "$work/volume/$version/ring" &&
        chmod 0400 "$work/volume/$version/ring" &&
        ln -s "$version" "$work/volume/..new" &&
        mv -T "$work/volume/..new" "$work/volume/..data"
}
put_munge() {
    local carried=$1
    if "$EESP_BIN" grant --keyring "$1" --policy ranks --force \
        --out "$work/granted" 2>/dev/null; then
        carried=$work/granted
    fi
    munge --socket "$EESP_MUNGE_SOCKET" --restrict-uid "$(id -u)" \
        --cipher aes256 --input "$carried" --output "$work/credential.new" &&
        mv "$work/credential.new" "$work/credential"
}
put_printed() { cp "$1" "$work/printed.new" && mv "$work/printed.new" "$work/printed"; }
put_key() { keyctl padd user "$key" @u <"$1" >/dev/null; }

# said COUNT PATTERN: waits until the ranks have said it so often.
said() {
    for _ in {1..900}; do # exec: rests up to a minute
        [ "$(cat "$out" "$err" | grep -c "$2")" -lt "$1" ] || return 0
        sleep 0.1
    done
    note "$(cat "$out" "$err" | grep -c "$2") times instead of $1: $2"
    return 1
}

# run NAME PUT SOURCE [COMMAND...]: a job, three rotations and garbage.
run() {
    local name=$1 put=$2 source=$3 move count=0 status
    "$EESP_BIN" keygen --levels domain,job --force --out "$ring" \
        >"$work/keygen" 2>&1 && "$put" "$ring" || {
        not_ok "$name" "no keyring"
        return
    }
    if ! job "$source" "${@:4}"; then
        not_ok "$name" "the job did not start"
        wait "$running"
        return
    fi
    for move in stage promote retire; do
        count=$((count + np))
        "$EESP_BIN" rotate --keyring "$ring" --level domain "$move" \
            >"$work/rotate" 2>&1 && "$put" "$ring" &&
            said "$count" 'was replaced: new keys are in use'
        report $? "$name: each rank sees it: $move" "$(<"$work/rotate")"
    done
    echo garbage >"$work/garbage"
    "$put" "$work/garbage"
    said "$np" 'not used, the last good keys stay: .* not a keyring'
    report $? "$name: garbage is not used"
    : >"$work/ranks/stop"
    wait "$running"
    status=$?
    [ "$status" -eq 0 ] && grep -q '^stage_check: flood ok' "$out"
    report $? "$name: nothing is lost" "exit status $status"
    # [host:process:thread]: 0 would be the program's own.
    ! cat "$out" "$err" | grep 'was replaced' | grep -qv ':a\]'
    report $? "$name: it is read in UCX's thread alone"
}

# mpirun closes what a rank would inherit: each opens it on its own.
: >"$ring.open"
chmod 0600 "$ring.open"
# shellcheck disable=SC2016 # for the rank's shell
run "fd:9" put_file fd:9 sh -c 'file=$1 && shift && exec 9<"$file" && exec "$@"' \
    sh "$ring.open"

mkdir "$work/credentials"
export CREDENTIALS_DIRECTORY=$work/credentials
run "credential:ring" put_credential credential:ring
unset CREDENTIALS_DIRECTORY

mkdir "$work/volume"
ln -s ..data/ring "$work/volume/ring"
run "Secret volume" put_volume "$work/volume/ring"

# @u: each rank may be in a session of its own.
key=eesp-test-$$
trap 'keyctl purge user "$key" >/dev/null 2>&1; remove_munged; cleanup' EXIT
echo none >"$work/none"
if ! command -v keyctl >/dev/null; then
    skip "keyring:" "no keyctl: apt-get install keyutils"
elif ! { put_key "$work/none" && keyctl request user "$key"; } >/dev/null 2>&1; then
    skip "keyring:" "this machine has no kernel keyring for the user"
else
    run "keyring:" put_key "keyring:$key"
fi

if ! start_munged; then
    skip "munge:" "no munged: apt-get install munge"
else
    run "munge:" put_munge "munge:$work/credential"
fi
run "exec:" put_printed "exec:/bin/cat $work/printed"
finish
