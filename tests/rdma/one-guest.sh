#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# one-guest.sh: what rdma.sh runs inside a guest: jobs over the RDMA device, with
# eesp as the only transport and rc or ud below it. RDMA_LONG=1 is all of
# mpi_check, with 2 and 4 ranks over each.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

program=$top_builddir/tests/mpi/stage_check
keyring=$work/keyring.jwks
RUN_TIMEOUT=100
RUN_NET_DEVICES=all

# over LOWER: settings of a job.
over() {
    env=(UCX_TLS=eesp UCX_EESP_LOWER="$1" UCX_EESP_KEYRING="$keyring"
        UCX_IB_GID_INDEX=1 UCX_UD_VERBS_ETH_DGID_CHECK=n)
}

# check LOWER NP GROUP...
check() {
    local name="mpi_check over $1, $2 ranks: ${*:3}" env status
    over "$1"
    run_mpi "$2" UCX_LOG_LEVEL=info "${env[@]}" -- "$MPI_CHECK" "${@:3}"
    status=$?
    if [ $status -ne 0 ]; then
        not_ok "$name" "exit status $status"
    elif ! grep -q '^mpi_check: all .* ok ([0-9]* checks)$' "$out"; then
        not_ok "$name" "mpi_check did not say that all is well"
    elif [ "$(lanes)" != "eesp/$device" ]; then
        not_ok "$name" "lanes are $(lanes | tr '\n' ' '), not eesp/$device"
    else
        ok "$name"
    fi
}

# listens PID: ucx_perftest at its port, 13337.
listens() {
    for _ in {1..300}; do
        ! grep -q ':3419 [0-9A-F:]* 0A ' /proc/net/tcp /proc/net/tcp6 || return
        kill -0 "$1" 2>/dev/null || return
        sleep 0.1
    done
}

# perf LOWER TEST SIZE COUNT
perf() {
    local name="ucx_perftest $2 of $3 over $1" env server status
    over "$1"
    env+=(LD_PRELOAD="$EESP_PLUGIN")
    timeout -k 5 50 env "${env[@]}" ucx_perftest -t "$2" -s "$3" -n "$4" -w 5 \
        >"$work/server" 2>&1 &
    server=$!
    listens $server
    timeout -k 5 50 env "${env[@]}" ucx_perftest 127.0.0.1 -t "$2" -s "$3" \
        -n "$4" -w 5 -f >"$out" 2>"$err"
    status=$?
    wait $server || status=$?
    if [ $status -ne 0 ]; then
        not_ok "$name" "exit status $status: $(grep -hE 'Fatal|ERROR|eesp:' \
            "$out" "$err" "$work/server" | head -n 3)"
    elif grep -qE 'UCX +(ERROR|FATAL)|eesp:' "$out" "$err" "$work/server"; then
        not_ok "$name" "$(grep -hE 'UCX +(ERROR|FATAL)|eesp:' "$out" "$err" \
            "$work/server" | head -n 3)"
    elif ! grep -qE '^ *[1-9][0-9]* ' "$out"; then
        not_ok "$name" "no result line"
    else
        ok "$name"
    fi
}

# killed LOWER: mpirun tells of the death, no rank hangs on the device.
killed() {
    local name="a rank is killed over $1" env job start status
    rm -rf "$work/ranks"
    mkdir "$work/ranks"
    over "$1"
    run_mpi 2 "${env[@]}" -- "$program" flood 60 "$work/ranks" &
    job=$!
    for _ in {1..600}; do
        [ ! -s "$work/ranks/0" ] || [ ! -s "$work/ranks/1" ] || break
        kill -0 $job 2>/dev/null || break
        sleep 0.1
    done
    if ! kill -KILL "$(cat "$work/ranks/1")"; then
        not_ok "$name" "the job did not get there"
        kill $job
        return
    fi
    start=$SECONDS
    wait $job
    status=$?
    if [ $status -eq 0 ] || [ $status -eq 124 ]; then
        not_ok "$name" "exit status $status"
    elif [ $((SECONDS - start)) -gt 30 ]; then
        not_ok "$name" "took $((SECONDS - start)) s"
    else
        ok "$name"
    fi
}

# gone LOWER: nothing but the device can tell the client that its server died.
# The limits of RC and UD, minutes by default, are shortened.
gone() {
    local name="a server is killed over $1" env server client start status
    over "$1"
    env+=(LD_PRELOAD="$EESP_PLUGIN" UCX_UD_TIMEOUT=10s UCX_RC_TIMEOUT=0.2s)
    env "${env[@]}" ucx_perftest -e -t tag_bw -s 3000 -n 100000000 \
        >"$work/server" 2>&1 &
    server=$!
    listens $server
    timeout -k 5 90 env "${env[@]}" ucx_perftest 127.0.0.1 -e -t tag_bw -s 3000 \
        -n 100000000 -f >"$out" 2>"$err" &
    client=$!
    sleep 8
    kill -KILL $server && wait $server 2>/dev/null
    start=$SECONDS
    wait $client
    status=$?
    if [ $status -eq 0 ] || [ $status -ge 124 ]; then
        not_ok "$name" "exit status $status after $((SECONDS - start)) s"
    elif ! grep -qiE 'timed? ?out|unreachable|reset|error' "$out" "$err"; then
        not_ok "$name" "no word of the error"
    else
        ok "$name: exit status $status after $((SECONDS - start)) s"
    fi
}

device=rxe0:1
if ! make_keyring "$keyring"; then
    not_ok "keyring"
    finish
fi
for lower in rc_verbs ud_verbs; do
    if [ -n "${RDMA_LONG:-}" ]; then
        check $lower 2
        check $lower 4
        for test in tag_lat tag_bw ucp_am_lat ucp_am_bw ucp_put_lat ucp_get; do
            perf $lower $test 8 100
            perf $lower $test 65536 20
            perf $lower $test 1048576 5
        done
    else
        # rma over ud stands still now and then where the host is busy.
        [ $lower = ud_verbs ] || check $lower 2 rma
        check $lower 2 allreduce
        check $lower 4 bcast
        perf $lower tag_lat 8 50
        perf $lower tag_bw 65536 10
        perf $lower ucp_am_bw 3000 20
    fi
    killed $lower
    [ -z "${RDMA_LONG:-}" ] || gone $lower
done
[ -n "${RDMA_LONG:-}" ] ||
    echo "### SHORT RUN: RDMA_LONG=1 runs all of mpi_check and more of ucx_perftest"
finish
