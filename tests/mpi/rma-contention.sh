#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# rma-contention.sh: one-sided messages over shared memory, on memory that the
# program allocated, with four ranks and a busy loop on one core, 100 times: the
# data is right every time. Plain UCX 1.13 completes a fence there while requests
# still wait for room; how often it does is shown, and no test result, since it
# is a race.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

lowers=(posix sysv)
times=100
rounds=4 # of one job
plain_jobs=6
keyring=$work/keyring.jwks

need "one-sided messages under contention" \
    mpirun taskset "$MPI_CHECK" "$EESP_PLUGIN" "$EESP_BIN"
if ! make_keyring "$keyring"; then
    not_ok "keyring"
    finish
fi

# The last core that this process may use.
core=$(taskset -pc $$ | sed 's/.*[ ,-]//')
taskset -c "$core" sh -c 'while :; do :; done' &
background+=("$!")
RUN_UNDER=(taskset -c "$core")
RUN_OPTIONS=(--bind-to none)
export OMPI_MCA_mpi_yield_when_idle=1

# one VAR=VALUE... -- GROUP ROUNDS: whether a job's data was right.
one() {
    local settings=()
    while [ "$1" != -- ]; do
        settings+=("$1")
        shift
    done
    run_mpi 4 "${settings[@]}" -- "$MPI_CHECK" -r "$3" "$2" &&
        grep -q '^mpi_check: all .* ok ' "$out"
}

# wrong: the job ended because of its data, not of the machine.
wrong() {
    grep -q '^mpi_check: .*: expected .*, got ' "$err"
}

for lower in "${lowers[@]}"; do
    sealed=(UCX_TLS=eesp UCX_EESP_LOWER="$lower" UCX_EESP_KEYRING="$keyring")
    good=0
    while [ "$good" -lt "$times" ] &&
        one "${sealed[@]}" -- rma_fence "$rounds"; do
        good=$((good + rounds))
    done
    [ "$good" -eq "$times" ]
    report $? "Put and Get over $lower are right $good of $times times"
    one "${sealed[@]}" -- rma_user 1
    report $? "all of RMA over $lower is right under contention"
done

for lower in "${lowers[@]}"; do
    bad=0
    other=0
    for ((job = 0; job < plain_jobs; job++)); do
        if ! one UCX_TLS="$lower,self" -- rma_fence "$rounds"; then
            if wrong; then
                bad=$((bad + 1))
            else
                other=$((other + 1))
            fi
        fi
    done
    note "plain UCX over $lower: wrong data in $bad of $plain_jobs jobs" \
        "($rounds times each), $other ended otherwise"
done
finish
