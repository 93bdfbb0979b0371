#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# one-guest.sh: what rdma.sh runs inside a guest: jobs over the RDMA device, with
# eesp as the only transport and rc or ud below it, also with UCX_EESP_RMA.
# RDMA_LONG=1 is all of mpi_check, with 2 and 4 ranks over each, and all that
# uct_check has for memory access.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

program=$top_builddir/tests/mpi/stage_check
uct_check=$top_builddir/tests/uct/uct_check
keyring=$work/keyring.jwks
RUN_TIMEOUT=${RDMA_LONG:+600}
RUN_TIMEOUT=${RUN_TIMEOUT:-100}
RUN_NET_DEVICES=all

# over LOWER: settings of a job; `rma` is that of UCX_EESP_RMA.
rma=n
over() {
    env=(UCX_TLS=eesp UCX_EESP_LOWER="$1" UCX_EESP_KEYRING="$keyring"
        UCX_IB_GID_INDEX=1 UCX_UD_VERBS_ETH_DGID_CHECK=n UCX_EESP_RMA="$rma")
    settings=$1
    [ $rma = n ] || settings+=" with RMA"
}

# check LOWER NP GROUP...
check() {
    local name env settings status
    over "$1"
    name="mpi_check over $settings, $2 ranks: ${*:3}"
    run_mpi "$2" UCX_LOG_LEVEL=info "${env[@]}" -- "$MPI_CHECK" "${@:3}"
    status=$?
    if [ $status -ne 0 ]; then
        not_ok "$name" "exit status $status"
    elif ! grep -q '^mpi_check: all .* ok ([0-9]* checks)$' "$out"; then
        not_ok "$name" "mpi_check did not say that all is well"
    elif [ "$(lanes)" != "eesp/$device" ]; then
        not_ok "$name" "lanes are $(lanes | tr '\n' ' '), not eesp/$device"
    elif [ $rma = y ] && ! grep -qh "ep_cfg.* rma(eesp/$device)" "$out" "$err"; then
        not_ok "$name" "no lane for memory access"
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
    local name env settings server status
    over "$1"
    name="ucx_perftest $2 of $3 over $settings"
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

# group LOWER GROUP...: of uct_check, whose limits for a peer that is dead are
# shortened. rxe takes a retry count of 7 for no limit.
group() {
    local part env settings status
    over "$1"
    env+=(LD_PRELOAD="$EESP_PLUGIN" UCX_HANDLE_ERRORS=none UCX_UD_TIMEOUT=10s
        UCX_RC_TIMEOUT=0.2s UCX_RC_RETRY_COUNT=3)
    for part in "${@:2}"; do
        env "${env[@]}" "$uct_check" "$part" >"$out" 2>"$err"
        status=$?
        [ $status -eq 0 ] && grep -q '^uct_check: ok' "$out" &&
            { [ "$part" = rma_event ] || ! grep -q '^skipped' "$out"; }
        report $? "uct_check $part over $settings" "exit status $status"
    done
}

# async LOWER: handlers run in UCX's thread while the program sends. All that was
# sealed was opened, once: no number came twice and none was left out.
async() {
    local name="messages in UCX's own thread over $1" env settings status
    over "$1"
    env+=(LD_PRELOAD="$EESP_PLUGIN" UCX_EESP_AUDIT="$work/audit"
        UCX_UD_ASYNC_TIMER_TICK=1ms UCX_HANDLE_ERRORS=none)
    rm -f "$work/audit"
    timeout -k 5 "$RUN_TIMEOUT" env "${env[@]}" "$uct_check" async >"$out" 2>"$err"
    status=$?
    if [ $status -ne 0 ]; then
        not_ok "$name" "exit status $status"
    elif [ "$(grep -cE 'event=end .* sealed=10000 .* opened=10000 .* dropped=0$' \
        "$work/audit")" -ne 2 ]; then
        not_ok "$name" "$(grep -o 'sealed=.*' "$work/audit")"
    else
        ok "$name"
    fi
}

# killed LOWER: mpirun tells of the death, no rank hangs on the device.
killed() {
    local name="a rank is killed over $1" env settings job start status
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

# gone LOWER TEST: nothing but the device can tell the client that its server
# died. The limits of RC and UD, minutes by default, are shortened. Once told,
# ucx_perftest itself may go on and count sends that fail: it is ended.
gone() {
    local name env settings server client start
    over "$1"
    name="a server of $2 is killed over $settings"
    env+=(LD_PRELOAD="$EESP_PLUGIN" UCX_UD_TIMEOUT=10s UCX_RC_TIMEOUT=0.2s
        UCX_RC_RETRY_COUNT=3 UCX_KEEPALIVE_INTERVAL=2s)
    env "${env[@]}" ucx_perftest -e -t "$2" -s 3000 -n 100000000 \
        >"$work/server" 2>&1 &
    server=$!
    listens $server
    env "${env[@]}" ucx_perftest 127.0.0.1 -e -t "$2" -s 3000 \
        -n 100000000 >"$out" 2>"$err" &
    client=$!
    # Not while they connect: a figure is there.
    appears $client '^(\[thread 0\])? *[1-9][0-9]* '
    kill -KILL $server && wait $server 2>/dev/null
    start=$SECONDS
    if ! appears $client 'error handler called'; then
        not_ok "$name" "no word of it after $((SECONDS - start)) s"
    else
        ok "$name: told after $((SECONDS - start)) s"
    fi
    kill -KILL $client 2>/dev/null
    wait $client 2>/dev/null
}

# appears PID PATTERN: in what it prints, in a minute or until it ends.
appears() {
    for _ in {1..600}; do
        ! grep -qE "$2" "$out" "$err" || return 0
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
    done
    grep -qE "$2" "$out" "$err"
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
        rma=y
        check $lower 2
        check $lower 4 rma
        for test in ucp_put_lat ucp_put_bw ucp_get ucp_add ucp_fadd tag_bw; do
            perf $lower $test 8 100
            case $test in
            ucp_*add) continue ;;
            esac
            perf $lower $test 65536 20
            perf $lower $test 1048576 5
        done
        group $lower put get rma_many rma_order rma_both rma_pairs rma_event \
            atomics refused invalidated cancelled killed
        gone $lower ucp_get
        rma=n
    else
        check $lower 2 rma
        rma=y
        check $lower 2 rma
        perf $lower ucp_put_lat 8 50
        perf $lower ucp_get 65536 10
        group $lower put rma_pairs refused killed
        rma=n
        check $lower 2 allreduce
        check $lower 4 bcast
        perf $lower tag_lat 8 50
        perf $lower tag_bw 65536 10
        perf $lower ucp_am_bw 3000 20
    fi
    [ $lower != ud_verbs ] || async $lower
    killed $lower
    [ -z "${RDMA_LONG:-}" ] || gone $lower tag_bw
done
[ -n "${RDMA_LONG:-}" ] ||
    echo "### SHORT RUN: RDMA_LONG=1 runs all of mpi_check and more of ucx_perftest"
finish
