#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# run.sh: eesp run gives a job keys that nobody else sees, in no environment, no
# argument and no file that others may read, and leaves nothing behind, however
# it ends.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

export PYTHONDONTWRITEBYTECODE=1
program=$top_builddir/tests/mpi/stage_check
need "eesp run" mpirun python3 jq "$program" "$MPI_CHECK" "$EESP_PLUGIN" \
    "$EESP_BIN"

left() { ls -d /dev/shm/eesp-run-* 2>/dev/null; }
before=$(left)
# nothing_left: of this script's runs; others' are not looked at.
nothing_left() { [ "$(left)" = "$before" ]; }
sealed=(--allow-run-as-root --oversubscribe --mca mpi_yield_when_idle 1
    --mca orte_abort_timeout 5 -x LD_PRELOAD="$plugin_preload"
    -x UCX_NET_DEVICES=lo -x UCX_LOG_LEVEL=info)

# run ARG...: of eesp run
run() {
    timeout -k 5 60 "$EESP_BIN" run "$@" >"$out" 2>"$err" </dev/null
}
# expect STATUS NAME [PATTERN]
expect() {
    local got=$?
    if [ "$got" -ne "$1" ]; then
        not_ok "$2" "exit status $got, not $1"
    elif [ -n "${3:-}" ] && ! cat "$out" "$err" | grep -qE -- "$3"; then
        not_ok "$2" "nothing matches: $3"
    else
        ok "$2"
    fi
    nothing_left
    report $? "$2: nothing is left" "$(left)"
}
# there FILE: waits until it is there and not empty.
there() {
    for _ in {1..300}; do
        [ ! -s "$1" ] || return 0
        sleep 0.1
    done
    return 1
}

# ---- What the command gets, and what it returns ---------------------------------

# shellcheck disable=SC2016 # for the command's shell
run -- sh -c 'stat -c "%a %F" "$UCX_EESP_KEYRING" "$(dirname "$UCX_EESP_KEYRING")"
    stat -f -c %T "$UCX_EESP_KEYRING"; echo "$UCX_TLS"; exit 7'
expect 7 "the command's exit status" '^tmpfs$'
grep -qx '600 regular file' "$out" && grep -qx '700 directory' "$out" &&
    grep -qx eesp "$out"
report $? "a private file in a private directory"
# shellcheck disable=SC2016
run -- sh -c 'cat "$UCX_EESP_KEYRING"'
expect 0 "a keyring"
jq -e '(.keys | length == 1) and .keys[0].eesp_level == "master" and
    (.keys[0] | has("eesp_generations"))' "$out" >"$work/jq"
report $? "that holds derived keys and no root"
cp "$out" "$work/first"
# shellcheck disable=SC2016
run -- sh -c 'cat "$UCX_EESP_KEYRING"'
! cmp -s "$out" "$work/first"
report $? "another one for each run"
run -- /none/such
expect 127 "no such command" 'cannot run /none/such'
run -- /etc/passwd
expect 126 "one that cannot be run"
run -- sh -c 'kill -SEGV $$'
expect 139 "ended by a signal"
run
expect 2 "no command" 'no COMMAND'
ring=$work/keyring.jwks
make_keyring "$ring"
# shellcheck disable=SC2016
run --keyring "$ring" -- sh -c 'cat "$UCX_EESP_KEYRING"'
expect 0 "granted from a keyring" '"domain":1'
for root in $(jq -r '.keys[].k' "$ring"); do
    grep -qF -- "$root" "$out" && break
done
! grep -qF -- "$root" "$out"
report $? "none of its roots is there"
run --keyring "$ring" --policy none -- true
expect 126 "no such policy" 'no policy none'
run --keyring "$work/none" -- true
expect 126 "no such keyring" 'none: No such file'

# ---- What would send in clear ----------------------------------------------------

UCX_TLS=tcp run -- true
expect 126 "UCX_TLS" "UCX_TLS is 'tcp'"
UCX_TLS=eesp,tcp run -- true
expect 126 "UCX_TLS with another beside" "UCX_TLS is 'eesp,tcp'"
UCX_TLS=eesp,self run -- true
expect 0 "UCX_TLS=eesp,self"
OMPI_MCA_pml=ob1 run -- true
expect 126 "a variable of Open MPI" "parameter pml is 'ob1'"
run -- mpirun --mca osc rdma true
expect 126 "an argument of mpirun" "parameter osc is 'rdma'"
run -- mpirun -x UCX_TLS=tcp true
expect 126 "a variable for the ranks" "-x UCX_TLS=tcp"
OMPI_MCA_plm_rsh_agent='ssh;true' run -- mpirun true
expect 126 "an agent that is more than words" "plm_rsh_agent is"

# ---- A job -----------------------------------------------------------------------

run -- mpirun "${sealed[@]}" -np 2 "$MPI_CHECK" p2p allreduce
expect 0 "a job" '^mpi_check: all p2p allreduce ok'
! lanes | grep -qv '^eesp/' && [ -n "$(lanes)" ]
report $? "its lanes are eesp's alone: $(lanes | tr '\n' ' ')"
run -- mpirun "${sealed[@]}" -np 2 sh -c 'exit 3'
expect 3 "a job that fails"

mkdir "$work/ranks"
"$EESP_BIN" run -- mpirun "${sealed[@]}" -np 2 "$program" flood 60 "$work/ranks" \
    >"$out" 2>"$err" </dev/null &
job=$!
background=("$job")
there "$work/ranks/0" && there "$work/ranks/1"
report $? "a job that goes on"
rank=$(<"$work/ranks/0")
used=$(tr '\0' '\n' <"/proc/$rank/environ" | sed -n 's/^UCX_EESP_KEYRING=//p')
(umask 077 && jq -rj '.keys[0].k' "$used" >"$work/secret")
exec 9<"$used"
python3 "$tests_dir/lib/secret_scan.py" "$work/secret" /dev/shm /tmp /run \
    >"$work/found"
report $? "its key is nowhere to be seen" "$(<"$work/found")"
# The scan must be able to fail.
env SHOWN="$(<"$work/secret")" sleep 60 &
control=$!
background+=("$control")
for _ in {1..50}; do
    grep -qs SHOWN= "/proc/$control/environ" && break
    sleep 0.1
done
mkdir -m 0755 "/dev/shm/eesp-test-$$"
cp "$work/secret" "/dev/shm/eesp-test-$$/shown"
chmod 0644 "/dev/shm/eesp-test-$$/shown"
python3 "$tests_dir/lib/secret_scan.py" "$work/secret" /dev/shm >"$work/found"
[ $? -eq 1 ] && grep -qx "/proc/$control/environ" "$work/found" &&
    grep -qx "/dev/shm/eesp-test-$$/shown" "$work/found"
report $? "where it can be seen, the scan sees it" "$(<"$work/found")"
rm -r "/dev/shm/eesp-test-$$"
kill "$control"
: >"$work/ranks/stop"
wait "$job"
expect 0 "a job that goes on" '^stage_check: flood ok'
[ -n "$used" ] && [ ! -e "$used" ] &&
    [ "$(tr -d '\0' </dev/fd/9 | wc -c)" -eq 0 ]
report $? "its keyring was wiped, not only unlinked"
exec 9<&-

# ---- Ends that nobody asked for ----------------------------------------------------

# ended SIGNAL STATUS: eesp run is hit while its command runs.
ended() {
    local status command
    rm -f "$work/pid"
    # shellcheck disable=SC2016
    "$EESP_BIN" run -- sh -c 'echo $$ >"$1.new" && mv "$1.new" "$1"; exec sleep 300' \
        sh "$work/pid" >"$out" 2>"$err" &
    job=$!
    background=("$job")
    there "$work/pid"
    command=$(<"$work/pid")
    kill "-$1" "$job"
    wait "$job" 2>/dev/null
    status=$?
    for _ in {1..100}; do
        kill -0 "$command" 2>/dev/null || break
        sleep 0.1
    done
    [ "$status" -eq "$2" ] && ! kill -0 "$command" 2>/dev/null
    report $? "SIG$1 ends the command, too" "exit status $status"
    for _ in {1..100}; do
        nothing_left && break
        sleep 0.1
    done
    nothing_left
    report $? "SIG$1: nothing is left" "$(left)"
}
ended TERM 143
ended HUP 129
ended KILL 137

rm -rf "$work/ranks"
mkdir "$work/ranks"
"$EESP_BIN" run -- mpirun "${sealed[@]}" -np 2 "$program" flood 60 "$work/ranks" \
    >"$out" 2>"$err" </dev/null &
job=$!
background=("$job")
there "$work/ranks/0" && there "$work/ranks/1"
report $? "a job to be ended"
ranks=$(cat "$work/ranks"/?)
kill -INT "$job"
wait "$job"
status=$?
[ "$status" -ne 0 ] && nothing_left
report $? "SIGINT ends a job and leaves nothing" "exit status $status: $(left)"
for _ in {1..100}; do # mpirun kills them, and does not wait
    alive=
    for rank in $ranks; do
        [ ! -e "/proc/$rank" ] || alive="$alive $rank"
    done
    [ -n "$alive" ] || break
    sleep 0.1
done
[ -z "$alive" ]
report $? "nor a rank" "$alive"
finish
