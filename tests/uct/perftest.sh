#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# perftest.sh: every UCP test of ucx_perftest with eesp as the only transport.
# Its figures are not looked at: each must end well, show its result line, and
# the transport must have nothing to complain about.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

keyring=$work/keyring.jwks
server_out=$work/server
plan=$work/plan
# Below what the kernel hands out by itself; one that is taken is passed over.
port=$((10000 + $$ % 15000))

ulimit -c 0

settings() {
    printf '%s\n' LD_PRELOAD="$plugin_preload" \
        UCX_TLS=eesp UCX_EESP_LOWER="$1" UCX_NET_DEVICES=lo \
        UCX_EESP_KEYRING="$keyring" UCX_HANDLE_ERRORS=none
}

# listens PORT: in /proc, because a connection would be taken for the client.
listens() {
    local hex i
    printf -v hex '%04X' "$1"
    for ((i = 0; i < 100; i++)); do
        grep -qE "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:0000 0A" \
            /proc/net/tcp /proc/net/tcp6 2>/dev/null && return 0
        kill -0 "$2" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}

# serve OPTION...: leaves $server and $port, or fails.
serve() {
    local tries
    for ((tries = 0; tries < 20; tries++)); do
        port=$((port + 1))
        timeout -k 5 "$RUN_TIMEOUT" env "${env[@]}" ucx_perftest -p $port \
            "$@" >"$server_out" 2>&1 </dev/null &
        server=$!
        background=("$server")
        listens $port $server && return 0
        wait "$server"
        grep -q 'Address already in use' "$server_out" || return 1
    done
    return 1
}

# perf NAME LOWER OPTION...: server and client.
perf() {
    local name=$1 env server status
    mapfile -t env < <(settings "$2")
    shift 2
    if ! serve "$@"; then
        not_ok "$name" "no server: $(tail -n 3 "$server_out")"
        return
    fi
    timeout -k 5 "$RUN_TIMEOUT" env "${env[@]}" ucx_perftest 127.0.0.1 \
        -p $port "$@" -f >"$out" 2>"$err" </dev/null
    status=$?
    wait "$server"
    server=$?
    background=()
    if [ "$status" -ne 0 ] || [ "$server" -ne 0 ]; then
        not_ok "$name" "exit status $status, of the server $server"
    elif cat "$out" "$err" "$server_out" | grep -qE 'UCX +(ERROR|FATAL)|eesp:'
    then
        not_ok "$name" "$(grep -hE 'UCX +(ERROR|FATAL)|eesp:' "$out" "$err" \
            "$server_out" | head -n 3)"
    elif ! grep -qE '^ *[1-9][0-9]* ' "$out"; then
        not_ok "$name" "no result line"
    else
        ok "$name"
    fi
}

need "perftest" ucx_perftest "$EESP_PLUGIN" "$EESP_BIN"
if ! make_keyring "$keyring"; then
    not_ok "keyring"
    finish
fi

# Test and sizes.
cat >"$plan" <<'END'
tag_lat      8 65536 1048576
tag_bw       8 65536 1048576
tag_sync_lat 8 65536
tag_sync_bw  8 65536
ucp_am_lat   8 65536 1048576
ucp_am_bw    8 65536 1048576
stream_lat   8 65536 1048576
stream_bw    8 65536 1048576
ucp_put_lat  8 65536 1048576
ucp_put_bw   8 65536 1048576
ucp_get      8 65536 1048576
ucp_add      4 8
ucp_fadd     4 8
ucp_swap     4 8
ucp_cswap    4 8
END

for lower in tcp posix; do
    while read -r test sizes; do
        for size in $sizes; do
            count=1000
            [ "$size" -le 8192 ] || count=200
            [ "$size" -le 65536 ] || count=20
            perf "$test of $size over $lower" $lower -t "$test" -s "$size" \
                -n $count -w 20
        done
    done <"$plan"
    # Asleep instead of polling; error handling; parts;
    # unexpected messages; wild cards; several outstanding.
    for test in tag_lat tag_bw ucp_am_lat stream_lat; do
        perf "$test asleep over $lower" $lower -t $test -s 1000 -n 500 -w 20 \
            -E sleep
    done
    # UCX's shared memory tells of no peer's failure.
    [ $lower = posix ] ||
        perf "tag_lat with error handling over $lower" $lower -t tag_lat \
            -s 8 -n 1000 -w 20 -e
    perf "tag_bw of parts over $lower" $lower -t tag_bw -D iov,iov \
        -s 100,3000,70000 -n 300 -w 20
    perf "ucp_am_lat with a header over $lower" $lower -t ucp_am_lat -H 100 \
        -s 2000 -n 500 -w 20
    perf "tag_lat, unexpected, over $lower" $lower -t tag_lat -U -s 5000 \
        -n 500 -w 20
    perf "tag_bw, any tag, over $lower" $lower -t tag_bw -C -s 5000 -n 500 \
        -w 20
    perf "stream_bw, data where it lies, over $lower" $lower -t stream_bw \
        -r recv_data -s 3000 -n 500 -w 20
    perf "ucp_put_bw, 64 outstanding, over $lower" $lower -t ucp_put_bw -O 64 \
        -s 4096 -n 500 -w 20
    perf "ucp_get, 64 outstanding, over $lower" $lower -t ucp_get -O 64 \
        -s 4096 -n 500 -w 20
    perf "tag_bw, two threads, over $lower" $lower -t tag_bw -T 2 -M multi \
        -s 1000 -n 500 -w 20
done

# UCT's own tests, without UCP.
for layout in short shortiov bcopy zcopy; do
    perf "UCT am_lat by $layout over tcp" tcp -x eesp -d lo -t am_lat \
        -D $layout -s 64 -n 1000 -w 20
    perf "UCT am_bw by $layout over posix" posix -x eesp -d memory -t am_bw \
        -D $layout -s 1000 -n 2000 -w 20
done
finish
