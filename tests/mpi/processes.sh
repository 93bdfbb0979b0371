#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# processes.sh [plain]: jobs that start jobs, jobs that meet, ranks with several
# threads, ranks that fork. `plain` runs the same over UCX's own transports: it
# tests the tests.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

mode=${1:-eesp}
program=${PROCESS_CHECK:-$top_builddir/tests/mpi/process_check}
lowers=(tcp posix)
RUN_TIMEOUT=120
keyring=$work/keyring.jwks

# settings LOWER: sets `env` for a job over that transport.
settings() {
    if [ "$mode" = plain ]; then
        env=(UCX_TLS="$1,self")
    else
        env=(UCX_TLS=eesp UCX_EESP_LOWER="$1" UCX_EESP_KEYRING="$keyring")
    fi
}

# judge NAME STATUS MODE
judge() {
    if [ "$2" -eq 124 ] || [ "$2" -eq 137 ]; then
        not_ok "$1" "no end after $RUN_TIMEOUT s"
    elif [ "$2" -ne 0 ]; then
        not_ok "$1" "exit status $2"
    elif ! grep -q "^process_check: $3 ok ([0-9]* checks)\$" "$out"; then
        not_ok "$1" "process_check did not say that all is well"
    else
        ok "$1"
    fi
    # The lines of all ranks of all jobs.
    local used
    used=$(lanes)
    if [ "$mode" = eesp ] && { [ -z "$used" ] || grep -qv '^eesp/' <<<"$used"; }
    then
        not_ok "$1: lanes" "not eesp alone: ${used//$'\n'/ }"
    fi
}

# job NAME NP LOWER MODE
job() {
    settings "$3"
    run_mpi "$2" UCX_LOG_LEVEL=info "${env[@]}" -- "$program" "$4"
    judge "$1" $? "$4"
}

# Two mpiruns know nothing of each other but what ompi-server tells them.
meet() {
    local server=$work/ompi-server port=$work/port accepting status
    rm -f "$server" "$port"
    ompi-server --no-daemonize --report-uri "$server" >"$work/server" 2>&1 &
    background+=("$!")
    for _ in {1..100}; do
        [ -s "$server" ] && break
        sleep 0.1
    done
    settings "$1"
    RUN_OPTIONS=(--ompi-server "file:$server")
    out=$work/accept.out err=$work/accept.err
    run_mpi 2 UCX_LOG_LEVEL=info "${env[@]}" -- "$program" accept "$port" &
    accepting=$!
    background+=("$accepting")
    out=$work/connect.out err=$work/connect.err
    run_mpi 2 UCX_LOG_LEVEL=info "${env[@]}" -- "$program" connect "$port"
    judge "two jobs meet over $1: who connects" $? connect
    wait "$accepting"
    status=$?
    out=$work/accept.out err=$work/accept.err
    judge "two jobs meet over $1: who accepts" "$status" accept
    out=$work/out err=$work/err
    RUN_OPTIONS=()
}

need "processes" mpirun "$program"
case $mode in
plain) ;;
eesp)
    need "processes over eesp" "$EESP_PLUGIN" "$EESP_BIN"
    if ! make_keyring "$keyring"; then
        not_ok "keyring"
        finish
    fi
    ;;
*)
    echo "usage: $0 [plain]" >&2
    exit 2
    ;;
esac

# More threads and processes than cores, whatever run_mpi thinks: those that
# spin must give way.
export OMPI_MCA_mpi_yield_when_idle=1
for lower in "${lowers[@]}"; do
    job "MPI_Comm_spawn over $lower" 2 "$lower" spawn
    job "4 threads in each of 2 ranks over $lower" 2 "$lower" threads
    job "4 threads in each of 3 ranks over $lower" 3 "$lower" threads
    job "fork under load over $lower" 2 "$lower" fork
done
# Over shared memory alone Open MPI gives a stranger no address at all.
if command -v ompi-server >/dev/null; then
    meet tcp
    if [ "$mode" = eesp ]; then
        meet auto
    fi
else
    skip "two jobs meet" "no ompi-server"
fi
finish
