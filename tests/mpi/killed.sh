#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# killed.sh: a rank dies or stands still for a while. When it dies, in whatever
# stage, the job ends with a non-zero status in time and leaves no process
# behind; when it only stood still, the job ends well and all data is right.
#
# Three ranks, over each lower transport. mpirun notices the death and ends the
# others: Open MPI asks UCX for no error handling of its own, so a rank that
# only waits for a message would wait on, over plain UCX too.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

program=${STAGE_CHECK:-$top_builddir/tests/mpi/stage_check}
lowers=(tcp posix sysv)
limit=10 # seconds a job may take to end
np=3
victim=$((np - 1))
keyring=$work/keyring.jwks
RUN_TIMEOUT=60

now() {
    date +%s%3N
}

# into STAGE SECONDS LOWER: starts a job and returns when all ranks are in the
# stage; leaves its $running and the ranks' process ids in $pids.
into() {
    local rank
    pids=()
    rm -rf "$work/ranks"
    mkdir "$work/ranks"
    run_mpi "$np" UCX_TLS=eesp UCX_EESP_LOWER="$3" \
        UCX_EESP_KEYRING="$keyring" -- "$program" "$1" "$2" "$work/ranks" &
    running=$!
    background=("$running")
    for _ in {1..300}; do
        pids=()
        for ((rank = 0; rank < np; rank++)); do
            [ ! -s "$work/ranks/$rank" ] || pids+=("$(<"$work/ranks/$rank")")
        done
        [ "${#pids[@]}" -lt "$np" ] || break
        kill -0 "$running" 2>/dev/null || break
        sleep 0.1
    done
    # Somewhere in it, not at its first message.
    sleep "0.$((RANDOM % 4))"
    [ "${#pids[@]}" -eq "$np" ]
}

left() {
    local pid
    for pid in "${pids[@]}"; do
        [ "$(readlink "/proc/$pid/exe")" != "$(readlink -f "$program")" ] ||
            printf '%s ' "$pid"
    done
}

# killed LOWER STAGE
killed() {
    local name="killed in $2 over $1" start took status
    if ! into "$2" 40 "$1"; then
        not_ok "$name" "the job did not get there"
        wait "$running"
        return
    fi
    kill -KILL "${pids[victim]}"
    start=$(now)
    wait "$running"
    status=$?
    took=$(($(now) - start))
    if [ "$status" -eq 0 ]; then
        not_ok "$name" "exit status 0"
    elif [ "$took" -gt $((limit * 1000)) ]; then
        not_ok "$name" "took $took ms, more than $limit s"
    elif grep -q '^stage_check: .*expected' "$err"; then
        not_ok "$name" "wrong data"
    elif [ -n "$(left)" ]; then
        not_ok "$name" "processes are left: $(left)"
    else
        ok "$name: the job ends after $took ms with status $status"
    fi
}

# killed_early LOWER MS: so long after Open MPI loads UCX into the rank: in UCX's
# opening, in MPI_Init, at the exchange of addresses, at the first connections.
# Not before: mpirun 4.1.4 hangs now and then when a rank dies while it connects
# to the PMIx server (`PMIX ERROR: UNREACHABLE`), which no line of ours sees.
killed_early() {
    local name="killed $2 ms after UCX is loaded over $1" start took status
    rm -rf "$work/ranks"
    mkdir "$work/ranks"
    run_mpi "$np" UCX_TLS=eesp UCX_EESP_LOWER="$1" \
        UCX_EESP_KEYRING="$keyring" -- "$program" flood 20 "$work/ranks" &
    running=$!
    background=("$running")
    for _ in {1..1000}; do
        mapfile -t pids < <(pgrep -f "^$program flood 20 $work/ranks\$")
        [ "${#pids[@]}" -lt "$np" ] ||
            ! grep -qs /mca_pml_ucx "/proc/${pids[victim]}/maps" || break
        sleep 0.005
    done
    sleep "$(printf '0.%03d' "$2")"
    kill -KILL "${pids[victim]}"
    start=$(now)
    wait "$running"
    status=$?
    took=$(($(now) - start))
    if [ "${#pids[@]}" -ne "$np" ]; then
        not_ok "$name" "${#pids[@]} ranks were found"
    elif [ "$status" -eq 0 ] || [ "$status" -eq 124 ]; then
        not_ok "$name" "exit status $status"
    elif [ "$took" -gt $((limit * 1000)) ]; then
        not_ok "$name" "took $took ms, more than $limit s"
    elif [ -n "$(left)" ]; then
        not_ok "$name" "processes are left: $(left)"
    else
        ok "$name: the job ends after $took ms with status $status"
    fi
}

# stopped LOWER STAGE SECONDS: the victim stands still for 3 of its SECONDS,
# which the stage outlives.
stopped() {
    local name="stopped for 3 s in $2 over $1" status state
    if ! into "$2" "$3" "$1"; then
        not_ok "$name" "the job did not get there"
        wait "$running"
        return
    fi
    kill -STOP "${pids[victim]}"
    sleep 3
    state=$(ps -o stat= -p "${pids[victim]}")
    kill -CONT "${pids[victim]}"
    wait "$running"
    status=$?
    if [[ $state != T* ]]; then
        not_ok "$name" "it was not stopped: $state"
    elif [ "$status" -ne 0 ]; then
        not_ok "$name" "exit status $status"
    elif ! grep -q "^stage_check: $2 ok ([1-9][0-9]* checks)\$" "$out"; then
        not_ok "$name" "stage_check did not say that all is well"
    else
        ok "$name"
    fi
}

need "killed" mpirun "$program" "$EESP_PLUGIN" "$EESP_BIN"
if ! make_keyring "$keyring"; then
    not_ok "keyring"
    finish
fi
for lower in "${lowers[@]}"; do
    for delay in 0 10 20 40 60 90 120 200; do
        killed_early "$lower" "$delay"
    done
    for stage in idle flood large rma finalize; do
        killed "$lower" "$stage"
    done
    for stage in flood large rma; do
        stopped "$lower" "$stage" 4
    done
done
finish
