#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# verify.sh: eesp verify calls a sealed job sealed, and nothing else: plain UCX,
# Open MPI without UCX, another keyring, a policy that was not expected or does
# not encrypt, connections that nobody is seen with, and no right to look. In a
# network namespace of its own, where nobody else's connections are.
#
# shellcheck disable=SC2317 # functions that are called by name
if [ -z "${EESP_ALONE:-}" ] && unshare -n true 2>/dev/null; then
    EESP_ALONE=yes exec unshare -n bash -c \
        'ip link set lo up && exec "$0" "$@"' "$0" "$@"
fi
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

need "verify" mpirun python3 setpriv "$MPI_CHECK" "$EESP_PLUGIN" "$EESP_BIN"
if [ -z "${EESP_ALONE:-}" ]; then
    skip "verify" "needs root and network namespaces"
    finish
fi
if "$EESP_BIN" verify --keyring /dev/null true 2>&1 | grep -q 'without libpcap'; then
    skip "verify" "no libpcap"
    finish
fi

ring=$work/keyring.jwks
make_keyring "$ring" || not_ok "keyring"

# verify OPTION... -- VAR=VALUE... -- MPIRUN-OPTION... PROGRAM...
verify() {
    local options=() env=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    while [ "$1" != -- ]; do
        env+=(-x "$1")
        case $1 in
        UCX_TLS=*eesp*) env+=(-x LD_PRELOAD="$EESP_PLUGIN") ;;
        esac
        shift
    done
    shift
    timeout -k 5 60 "$EESP_BIN" verify "${options[@]}" -- \
        mpirun "${mpirun_options[@]}" --mca mpi_yield_when_idle 1 -np 2 \
        -x UCX_NET_DEVICES=lo -x UCX_EESP_KEYRING="$ring" "${env[@]}" \
        "$@" >"$out" 2>"$err" </dev/null
}

# shown STATUS NAME PATTERN...: of the last run.
shown() {
    local got=$1 want=$2 name=$3 pattern
    shift 3
    if [ "$got" -ne "$want" ]; then
        not_ok "$name" "exit status $got, not $want"
        return
    fi
    for pattern in "$@"; do
        if ! cat "$out" "$err" | grep -qE -- "$pattern"; then
            not_ok "$name" "nothing matches: $pattern"
            return
        fi
    done
    ok "$name"
}

verify --keyring "$ring" -- UCX_TLS=eesp UCX_EESP_LOWER=tcp -- \
    "$MPI_CHECK" p2p bcast
shown $? 0 "a sealed job over tcp" \
    '^sealed +rank [01] - rank [01] +tcp +[0-9]+ +[0-9]+ +0x00010001 +aes-256-gcm +[a-z]' \
    'generations on the wire: domain 1, job 1' \
    'generations at the end, as the processes say: domain 1, job 1' \
    '^offload: none' \
    "launchers' own connections, not the job's data: [1-9]" \
    '- mpirun\[[0-9]+\], [0-9]+ bytes' '^verified: ' \
    'on the network: [1-9][0-9]+ packets on [1-9]'
verify --keyring "$ring" --policy ranks -- UCX_TLS=eesp -- "$MPI_CHECK" bcast
shown $? 0 "a sealed job over shared memory: its own count, and it says so" \
    '^counted +rank 0 +(posix|sysv)/memory +[1-9].* 0x00010001 .*the process says so' \
    '^verified: ' 'through shared memory: [1-9][0-9]* bytes, by their senders'
verify --keyring "$ring" -- UCX_TLS=tcp,self -- "$MPI_CHECK" bcast
shown $? 1 "plain UCX over tcp is named" '^IN CLEAR +mpi_check' \
    '^in clear: frame [0-9]+, 127.*UCX message id [0-9]+, [0-9]+ bytes' \
    '^NOT ENCRYPTED: [1-9]'
verify --keyring "$ring" -- UCX_TLS=posix,self -- "$MPI_CHECK" bcast
shown $? 1 "plain UCX over shared memory" \
    '^NOT ENCRYPTED: no process of the job sent anything sealed'
ucx_options=("${mpirun_options[@]}")
mpirun_options=(--allow-run-as-root --oversubscribe --mca pml ob1 --mca osc "^ucx"
    --mca btl "tcp,self" --mca btl_tcp_if_include lo)
verify --keyring "$ring" -- UCX_TLS=eesp -- "$MPI_CHECK" bcast
shown $? 1 "Open MPI's own tcp, past UCX" "not UCX's framing" '^NOT ENCRYPTED'
mpirun_options=("${ucx_options[@]}")
verify --keyring "$ring" -- UCX_TLS=eesp,tcp UCX_EESP_LOWER=tcp -- \
    "$MPI_CHECK" p2p
shown $? 1 "a transport beside eesp that is plain" '^IN CLEAR' '^NOT ENCRYPTED'
verify --keyring "$ring" -- UCX_TLS=eesp,posix -- "$MPI_CHECK" bcast
shown $? 2 "shared memory beside eesp that is plain" \
    '^NOT VERIFIED: mpi_check.* UCX_TLS=eesp,posix,.*in clear over posix'

verify --keyring "$ring" -- UCX_TLS=eesp,dc UCX_EESP_LOWER=tcp -- \
    "$MPI_CHECK" bcast
shown $? 2 "a transport beside eesp that nobody can see" \
    '^NOT VERIFIED: mpi_check.* UCX_TLS=eesp,dc,.*in clear over dc'

make_keyring "$work/other.jwks"
verify --keyring "$work/other.jwks" -- UCX_TLS=eesp UCX_EESP_LOWER=tcp -- \
    "$MPI_CHECK" bcast
shown $? 1 "with another keyring nothing opens" \
    '^in clear: .*(not in the ring|authentication failed)' '^NOT ENCRYPTED'
verify --keyring "$ring" --policy pairs -- UCX_TLS=eesp UCX_EESP_LOWER=tcp -- \
    "$MPI_CHECK" bcast
shown $? 1 "sealed under another policy than expected" \
    'opens, but under another policy'
jq '(.eesp_policies[] | select(.name == "ranks")) |=
    (.aead = "aes-256-gmac" | .confidentiality = false)' "$ring" \
    >"$work/gmac.jwks"
chmod 600 "$work/gmac.jwks"
verify --keyring "$work/gmac.jwks" -- UCX_TLS=eesp UCX_EESP_LOWER=tcp \
    UCX_EESP_KEYRING="$work/gmac.jwks" UCX_EESP_POLICY=ranks -- \
    "$MPI_CHECK" bcast
shown $? 1 "a policy that encrypts nothing" 'readable: its policy does not'
verify --keyring "$ring" -- UCX_TLS=eesp UCX_EESP_LOWER=tcp -- false
shown $? 1 "a command that fails" 'NOT ENCRYPTED: no process|command failed'

# Segments of a connection that no socket has: nobody can be asked.
cat >"$work/stray.py" <<'EOF'
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
def segment(flags, sequence, data):
    head = struct.pack("!HHIIBBHHH", 40001, 40002, sequence, 0, 0x50, flags,
                       512, 0, 0)
    s.sendto(head + data, ("127.0.0.1", 0))
segment(2, 1, b"")
for i in range(20):
    segment(0x18, 2 + 5 * i, b"hello")
EOF
cat >"$work/beside" <<EOF
#!/bin/sh
python3 $work/stray.py
exec "\$@"
EOF
chmod +x "$work/beside"
verify --keyring "$ring" -- UCX_TLS=eesp UCX_EESP_LOWER=tcp -- \
    "$work/beside" "$MPI_CHECK" bcast
shown $? 1 "a connection that nobody is seen with" \
    '^unknown: a connection 4000[12] - 4000[12]' '1 unknown'

# Others' traffic goes on: a job's end is the end.
cat >"$work/others.py" <<'EOF'
import socket, threading, time
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
peer = server.accept()[0]
threading.Thread(target=lambda: [None for _ in iter(
    lambda: peer.recv(65536), b"")], daemon=True).start()
end = time.monotonic() + 30
while time.monotonic() < end:
    client.sendall(bytes(8192))
    time.sleep(0.005)
EOF
python3 "$work/others.py" &
others=$!
sleep 1
timeout 10 "$EESP_BIN" verify --keyring "$ring" -- true >"$out" 2>"$err"
shown $? 1 "beside others' traffic it ends with the job" 'no process of the job'
kill $others 2>/dev/null
wait $others 2>/dev/null

setpriv --bounding-set=-net_raw --inh-caps=-net_raw "$EESP_BIN" verify \
    --keyring "$ring" -- touch "$work/ran" >"$out" 2>"$err"
shown $? 2 "without the right to capture: not verified" 'CAP_NET_RAW'
[ ! -e "$work/ran" ]
report $? "without the right to capture: the command is not run"
"$EESP_BIN" verify --keyring "$ring" -- unshare -n sleep 0.3 >"$out" 2>"$err"
shown $? 1 "a command that sends nothing" 'NOT ENCRYPTED: no process'
if id nobody >/dev/null 2>&1; then
    "$EESP_BIN" verify --keyring "$ring" --user nobody -- id -un \
        >"$out" 2>"$err"
    grep -qx nobody "$out"
    report $? "--user: the command runs as that user"
fi
[ -z "$(find /tmp -maxdepth 1 -name 'eesp-verify.*' -newer "$ring")" ]
report $? "its directory of pages is gone"
finish
