#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# programs.sh: programs that use UCX without a launcher, with eesp as the only
# transport: UCP's whole API between two processes, client and server of which
# one is killed, UCT at its limits, and a system that gives no more.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

ucp_hello=$top_builddir/tests/uct/ucp_hello
ucp_server=$top_builddir/tests/uct/ucp_server
uct_check=$top_builddir/tests/uct/uct_check
keyring=$work/keyring.jwks
common=() # settings of all programs
limit=10 # seconds until the death of one side is noticed by the other

if [ -n "$sanitizer" ]; then
    export EESP_TEST_SANITIZED=1
fi
# A crash that a test wants must not leave a core file.
ulimit -c 0

# setting LOWER VAR=VALUE...: `settings` for `env`. UCX's own crash handler
# would wait for a debugger on a terminal.
setting() {
    settings=(LD_PRELOAD="$plugin_preload" UCX_TLS=eesp UCX_NET_DEVICES=lo
        UCX_EESP_KEYRING="$keyring" UCX_EESP_LOWER="$1" UCX_HANDLE_ERRORS=none
        ${common[@]+"${common[@]}"} "${@:2}")
}

# run LOWER VAR=VALUE... -- PROGRAM ARG...: leaves its output in $out.
run() {
    local own=()
    while [ "$1" != -- ]; do
        own+=("$1")
        shift
    done
    shift
    setting "${own[@]}"
    : >"$err"
    timeout -k 5 "$RUN_TIMEOUT" env "${settings[@]}" "$@" >"$out" 2>&1 \
        </dev/null
}

# well NAME STATUS: and nothing was said of an error.
well() {
    if [ "$2" -ne 0 ]; then
        not_ok "$1" "exit status $2"
    elif ! grep -q ': ok$' "$out"; then
        not_ok "$1" "did not say that all is well"
    elif grep -qE 'UCX +(ERROR|FATAL)|eesp:' "$out" || reported "$out"; then
        not_ok "$1" "errors were logged"
    else
        ok "$1"
    fi
}

# group LOWER GROUP [VAR=VALUE...]: of uct_check; some groups provoke errors on
# purpose.
group() {
    local name="uct_check $2 over $1${3:+, ${*:3}}" why
    run "$1" "${@:3}" -- "$uct_check" "$2"
    status=$?
    why=$(sed -n 's/^skipped: //p' "$out")
    if [ "$status" -ne 0 ]; then
        not_ok "$name" "exit status $status"
    elif reported "$out"; then
        not_ok "$name" "a sanitizer has reported"
    elif [ -n "$why" ]; then
        skip "$name" "$why"
    else
        ok "$name"
    fi
}

hello_cases() {
    local lower mode part
    for lower in tcp posix sysv posix,tcp; do
        for mode in "" --wakeup; do
            for part in tag truncated flood stream am rma amo; do
                # shellcheck disable=SC2086
                run "$lower" -- "$ucp_hello" $mode $part
                well "ucp_hello${mode:+ $mode} $part over $lower" $?
            done
        done
    done
    for mode in 512 8k 1m; do
        run tcp UCX_EESP_SEG_SIZE=$mode -- "$ucp_hello"
        well "ucp_hello with segments of $mode" $?
    done
    run tcp UCX_EESP_POLICY=pairs UCX_EESP_KEY_CACHE=1 -- "$ucp_hello"
    well "ucp_hello with one key in the cache" $?
}

uct_cases() {
    local lower part
    for lower in tcp posix sysv; do
        for part in processes short bcopy zcopy limits ids headroom alignment \
            kept flush pending purge event event_send several loop endpoints \
            address; do
            group $lower $part UCX_EESP_RMA=n
        done
    done
}

# Memory access by eesp, and what it must leave as it is.
rma_cases() {
    local lower part
    for lower in tcp posix sysv; do
        for part in put get gets rma_many rma_order rma_both rma_pairs \
            rma_event atomics refused invalidated cancelled killed processes \
            short flush pending purge event \
            event_send several; do
            group $lower $part UCX_EESP_RMA=y
        done
    done
    group posix put UCX_EESP_RMA=y UCX_EESP_SEG_SIZE=512
    group posix get UCX_EESP_RMA=y UCX_EESP_SEG_SIZE=8k
    group tcp put UCX_EESP_RMA=y UCX_EESP_BACKEND=openssl
}

# Keys are rotated while the worker's lock is held.
rotated_cases() {
    local lower
    export EESP_BIN
    mkdir "$work/pages"
    for lower in tcp posix sysv; do
        cp -p "$keyring" "$work/rotated"
        group $lower rotated UCX_EESP_KEYRING="$work/rotated" \
            UCX_EESP_STAT_DIR="$work/pages" UCX_EESP_RELOAD_INTERVAL=10ms
    done
}

# refused NAME PATTERN VAR=VALUE...: the program ends, and is told why.
refused() {
    local name=$1 pattern=$2
    shift 2
    run tcp "$@" -- "$ucp_hello" tag
    status=$?
    if [ $status -ne 1 ]; then
        not_ok "$name is refused" "exit status $status"
    elif ! grep -v 'unused env' "$out" | grep -qE "eesp: .*($pattern)"; then
        not_ok "$name is refused" "but did not say /$pattern/"
    else
        ok "$name is refused"
    fi
}

# A keyring of policies that UCX cannot send under, or not unless it is told.
unfit_cases() {
    local ring=$work/unfit.jwks
    jq '.eesp_policies |= [(.[] | select(.name == "pairs")) |
        (.spi += 10 | .name = "flows" | .selectors += ["flow"]),
        (.spi += 11 | .name = "pool" | .partitioned = true |
            .phase_shift = 19),
        (.spi += 12 | .name = "clear" | .aead = "aes-256-gmac" |
            .confidentiality = false)]' "$keyring" >"$ring"
    chmod 600 "$ring"
    refused "a policy with the selector flow" 'selectors that UCX cannot' \
        UCX_EESP_KEYRING="$ring" UCX_EESP_POLICY=flows
    refused "a partitioned policy" 'partitioned' \
        UCX_EESP_KEYRING="$ring" UCX_EESP_POLICY=pool
    refused "a keyring without a policy that fits and encrypts" \
        'no policy of .* fits' UCX_EESP_KEYRING="$ring"
    run tcp UCX_EESP_KEYRING="$ring" UCX_EESP_POLICY=clear -- "$ucp_hello" tag
    well "ucp_hello under a policy that only authenticates, when named" $?
}

# Settings that cannot be; what launchers say of ranks.
settings_cases() {
    local launcher
    refused "a policy that is not there" 'has no policy' \
        UCX_EESP_POLICY=nosuch
    refused "policy ranks without a rank" 'UCX_EESP_RANK' UCX_EESP_POLICY=ranks
    refused "a rank that is no number" 'UCX_EESP_RANK' UCX_EESP_RANK=first
    refused "a rank below 0" 'UCX_EESP_RANK' UCX_EESP_RANK=-1
    refused "a rank of 33 bits" 'UCX_EESP_RANK' UCX_EESP_RANK=4294967296
    refused "an unknown backend" 'nosuch' UCX_EESP_BACKEND=nosuch
    refused "an unknown lower transport" 'UCX_EESP_LOWER' \
        UCX_EESP_LOWER=nosuch
    refused "a segment of 100 bytes" 'UCX_EESP_SEG_SIZE' UCX_EESP_SEG_SIZE=100
    refused "a segment of 2 MiB" 'UCX_EESP_SEG_SIZE' UCX_EESP_SEG_SIZE=2m
    refused "one rank for two processes" 'two processes say' \
        UCX_EESP_POLICY=ranks UCX_EESP_RANK=3
    for launcher in PMIX_RANK OMPI_COMM_WORLD_RANK SLURM_PROCID PMI_RANK; do
        refused "$launcher that is no number" "$launcher" $launcher=one
        refused "$launcher, the same for two processes" 'two processes say' \
            $launcher=1
    done
}

# ---- Client and server ---------------------------------------------------

# appears SECONDS FILE PATTERN
appears() {
    local i
    for ((i = 0; i < $1 * 20; i++)); do
        grep -qE "$3" "$2" && return 0
        sleep 0.05
    done
    return 1
}

# start FILE VAR=VALUE... -- PROGRAM ARG...: in the background; leaves $started.
start() {
    local file=$1
    shift
    local own=()
    while [ "$1" != -- ]; do
        own+=("$1")
        shift
    done
    shift
    setting "${own[@]}"
    : >"$file"
    env "${settings[@]}" "$@" >"$file" 2>&1 </dev/null &
    started=$!
    background+=("$started")
}

# killed PID: and forgotten. What it leaves in /dev/shm, as with plain UCX, goes
# too, unless another process has it mapped.
killed() {
    local segments segment
    mapfile -t segments < <(grep -o '/dev/shm/ucx_shm_posix_[0-9a-f]*' \
        "/proc/$1/maps" | sort -u)
    kill -KILL "$1"
    wait "$1" 2>/dev/null
    for segment in ${segments[@]+"${segments[@]}"}; do
        grep -qsF "$segment" /proc/[0-9]*/maps || rm -f "$segment"
    done
}

# gone N: the server has said N times that a client is gone.
gone() {
    local i
    for ((i = 0; i < limit * 20; i++)); do
        [ "$(grep -c ' gone: ' "$work/server")" -ge "$1" ] && return 0
        sleep 0.05
    done
    return 1
}

# server_start CLIENTS LOWER VAR=VALUE... -- [--wakeup]: leaves $server, $port.
server_start() {
    local clients=$1
    shift
    start "$work/server" "${@%--wakeup}" "$ucp_server" \
        ${mode:+"$mode"} serve "$clients"
    server=$started
    appears 10 "$work/server" '^listening ' ||
        note "no server: $(<"$work/server")"
    port=$(sed -n 's/^listening //p' "$work/server")
}

# client_server LOWER MODE VAR...: VAR for the client only.
client_server() {
    local lower=$1 mode=$2 kind name client served=0
    name="over $lower${mode:+, $mode}${common:+, ${common[*]}}"
    shift 2
    server_start 7 "$lower" UCX_EESP_POLICY=ranks UCX_EESP_RANK=0 --

    for kind in tag am stream; do
        run "$lower" UCX_EESP_POLICY=ranks UCX_EESP_RANK=1 -- \
            "$ucp_server" ${mode:+"$mode"} $kind "$port"
        report $? "client $kind $name"
        served=$((served + 1))
        gone $served
        report $? "server notices the end of client $kind $name" \
            "$(<"$work/server")"
    done

    # The client is killed; one with the same rank comes again.
    for kind in wait flood; do
        start "$work/client" "$lower" UCX_EESP_POLICY=ranks UCX_EESP_RANK=1 \
            -- "$ucp_server" ${mode:+"$mode"} $kind "$port"
        client=$started
        appears 10 "$work/server" "^client ${kind:0:1}$"
        report $? "client $kind is served $name" "$(<"$work/client")"
        killed "$client"
        served=$((served + 1))
        gone $served
        report $? "server notices the death of client $kind $name" \
            "$(<"$work/server")"
        run "$lower" UCX_EESP_POLICY=ranks UCX_EESP_RANK=1 -- \
            "$ucp_server" ${mode:+"$mode"} tag "$port"
        report $? "the client after it, of the same rank, is served $name"
        served=$((served + 1))
        gone $served || note "$(<"$work/server")"
    done
    wait "$server"
    report $? "server ends well $name" "$(<"$work/server")"
    ! reported "$work/server"
    report $? "server has no sanitizer's report $name" "$(<"$work/server")"

    # The server is killed, while the client waits or sends.
    for kind in wait flood; do
        server_start 1 "$lower" --
        start "$work/client" "$lower" -- "$ucp_server" ${mode:+"$mode"} \
            $kind "$port"
        client=$started
        appears 10 "$work/server" "^client ${kind:0:1}$" ||
            note "$(<"$work/client")"
        killed "$server"
        appears $limit "$work/client" '^server gone: '
        report $? "client $kind notices the death of the server $name" \
            "$(<"$work/client")"
        wait "$client"
        report $? "client $kind ends well $name" "$(<"$work/client")"
    done
    background=()
}

# ---- No more ------------------------------------------------------------

# UCX's tcp closes its listening socket when accept() finds no descriptor left.
# The side that could not take the connection waits for it, and plain UCX with as
# many files left does the same: 3 of 40 runs of `UCX_TLS=tcp ucp_hello tag`.
ucx_takes_no_more() {
    grep -q 'accept() failed .*maximal number of files' "$out"
}

# It stops the program when a second connection was already announced, or is
# refused at the socket that was closed (tcp_ep.c:478, seen once, under ASan).
ucx_stops_itself() {
    { ucx_takes_no_more &&
        grep -q "tcp_iface.c.*Assertion .listen_fd == iface->listen_fd' failed" \
            "$out"; } ||
        { grep -q 'sock.c:.* connect(.* failed: Connection refused' "$out" &&
            grep -q 'tcp_ep.c:.* Assertion .*FLAG_CTX_TYPE_TX.* failed' "$out"; }
}

# What was open before this shell: they would be of the few. (255: bash's own)
close_inherited() {
    local file
    for file in "/proc/$BASHPID/fd"/*; do
        file=${file##*/}
        [ "$file" -le 2 ] || [ "$file" -eq 255 ] || eval "exec $file>&-"
    done
}

# Files: a program that does not get them ends with a message, in time. With
# fewer than 10 plain UCX aborts by itself.
few_files() {
    local lower n
    for lower in tcp posix; do
        for n in 10 12 24 64; do
            (close_inherited && ulimit -n "$n" && run "$lower" -- "$ucp_hello" tag)
            status=$?
            if [ $status -eq 0 ] || { [ $status -eq 1 ] && [ -s "$out" ]; }
            then
                ok "$n files over $lower: exit status $status"
            elif [ $status -eq 134 ] && ucx_stops_itself; then
                ok "$n files over $lower: UCX's tcp itself stops the program"
            elif [ $status -eq 124 ] && ucx_takes_no_more; then
                ok "$n files over $lower: UCX's tcp says that it takes no more"
            else
                not_ok "$n files over $lower" "exit status $status"
            fi
        done
    done
}

# Locked memory is not needed, only wished for.
no_locked_memory() {
    local as=()
    if [ "$(id -u)" -eq 0 ]; then
        as=(setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock)
    fi
    (ulimit -l 0 && run tcp -- ${as[@]+"${as[@]}"} "$ucp_hello" tag am)
    well "no locked memory" $?
}

no_memory() {
    local lower
    if [ -n "$sanitizer" ]; then
        skip "no memory" "a sanitizer needs all of it"
        return
    fi
    for lower in tcp posix self; do
        group $lower memory
    done
    group sysv memory
    # Over tcp: a process that ends so leaves its posix segments behind.
    { run tcp -- "$uct_check" starved; } 2>/dev/null
    status=$?
    if [ $status -ne 134 ]; then
        not_ok "no memory to receive" "exit status $status"
    elif ! grep -q 'eesp: no memory to receive' "$out"; then
        not_ok "no memory to receive" "it was not said"
    else
        ok "no memory to receive: it is said"
    fi
}

# One sending endpoint fits the table: a second client is refused, the process
# says why, and lives.
full_table() {
    local lower mode=
    for lower in tcp posix sysv; do
        group $lower table
    done
    server_start 2 tcp UCX_EESP_REPLAY_TABLE=1 --
    run tcp -- "$ucp_server" tag "$port"
    report $? "replay table of one: the first client is served"
    gone 1
    run tcp -- "$ucp_server" tag "$port"
    status=$?
    [ $status -eq 1 ]
    report $? "replay table of one: the second client is refused" \
        "exit status $status"
    gone 2
    grep -q 'replay table full' "$work/server"
    report $? "replay table of one: it is said" "$(<"$work/server")"
    wait "$server"
    report $? "replay table of one: the server ends well"
    background=()
}

need "programs" "$ucp_hello" "$ucp_server" "$uct_check" "$EESP_PLUGIN" \
    "$EESP_BIN" jq
if ! make_keyring "$keyring"; then
    not_ok "keyring"
    finish
fi
hello_cases
settings_cases
unfit_cases
uct_cases
rma_cases
rotated_cases
for lower in tcp posix,tcp auto; do
    client_server $lower ""
done
client_server tcp --wakeup
common=(UCX_EESP_RMA=y)
for lower in tcp posix,tcp; do
    client_server $lower ""
done
client_server tcp --wakeup
common=()
few_files
for lower in tcp posix self; do
    group $lower files
done
no_locked_memory
no_memory
full_table
group self sessions
finish
