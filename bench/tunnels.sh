# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# shellcheck disable=SC2154 # $work, $results, $tcp: of who sources this
#
# What else would secure a TCP connection, for bench/suite: stunnel, ssh and
# userspace WireGuard, each as it is installed, AES-256-GCM where it can be
# chosen. open_tunnels starts those that are there and fills $tunnels, the rest
# is told to left_out; tunnel_command NAME fills $tunnel with the tcp_pair that
# goes through it. On loopback, WireGuard between two namespaces of its own.

tunnels=()
tunnel=()
tunnel_port=$((26000 + $$ % 2000 * 3)) # below what the kernel hands out
wg_names=("eesp-bench-a-$$" "eesp-bench-b-$$")

# start COMMAND...: in the background until the end of the script.
start() {
    "$@" >>"$work/tunnels.log" 2>&1 </dev/null &
    background+=("$!")
}

# listens PORT [PID]: in /proc, because a connection would be taken for a user.
listens() {
    local hex i
    printf -v hex '%04X' "$1"
    for ((i = 0; i < 100; i++)); do
        grep -qE "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:0000 0A" \
            /proc/net/tcp /proc/net/tcp6 2>/dev/null && return 0
        [ -z "${2:-}" ] || kill -0 "$2" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}

# have NAME PROGRAM PACKAGE
have() {
    command -v "$2" >/dev/null && return 0
    left_out "$1: not installed (apt-get install $3)"
    return 1
}

# Client at $1, server at $1 + 1, tcp_pair at $1 + 2.
open_stunnel() {
    local dir=$work/stunnel
    have stunnel stunnel stunnel4 && have stunnel openssl openssl || return
    mkdir "$dir"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -subj /CN=bench -days 2 -keyout "$dir/key" -out "$dir/cert" \
        >"$work/tunnels.log" 2>&1
    cat >"$dir/server.conf" <<END
foreground = yes
pid =
sslVersion = TLSv1.3
ciphersuites = TLS_AES_256_GCM_SHA384
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[server]
accept = 127.0.0.1:$(($1 + 1))
connect = 127.0.0.1:$(($1 + 2))
cert = $dir/cert
key = $dir/key
END
    cat >"$dir/client.conf" <<END
foreground = yes
pid =
sslVersion = TLSv1.3
ciphersuites = TLS_AES_256_GCM_SHA384
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[client]
client = yes
accept = 127.0.0.1:$1
connect = 127.0.0.1:$(($1 + 1))
verifyPeer = yes
CAfile = $dir/cert
END
    start stunnel "$dir/server.conf"
    start stunnel "$dir/client.conf"
    listens "$1" && listens $(($1 + 1)) && tunnels+=(stunnel)
}

# A server of our own, with keys of its own, for this user alone.
open_ssh() {
    local dir=$work/ssh sshd
    sshd=$(PATH=$PATH:/usr/sbin command -v sshd)
    have ssh ssh openssh-client || return
    [ -n "$sshd" ] || have ssh sshd openssh-server || return
    mkdir -m 700 "$dir"
    ssh-keygen -q -t ed25519 -N '' -f "$dir/host"
    ssh-keygen -q -t ed25519 -N '' -f "$dir/user"
    cp "$dir/user.pub" "$dir/authorized"
    [ "$(id -u)" != 0 ] || mkdir -p /run/sshd
    start "$sshd" -D -e -f /dev/null -p $(($1 + 1)) -h "$dir/host" \
        -o ListenAddress=127.0.0.1 -o AuthorizedKeysFile="$dir/authorized" \
        -o StrictModes=no -o PidFile=none -o UsePAM=no \
        -o PermitRootLogin=prohibit-password \
        -o Ciphers=aes256-gcm@openssh.com
    listens $(($1 + 1)) || return
    start ssh -N -F /dev/null -p $(($1 + 1)) -i "$dir/user" \
        -o IdentitiesOnly=yes -o StrictHostKeyChecking=no \
        -o UserKnownHostsFile=/dev/null -o BatchMode=yes \
        -o Ciphers=aes256-gcm@openssh.com \
        -L "127.0.0.1:$1:127.0.0.1:$(($1 + 2))" 127.0.0.1
    listens "$1" && tunnels+=(ssh)
}

close_wireguard() {
    local name
    for name in "${wg_names[@]}"; do
        ip netns del "$name" 2>/dev/null
    done
}

# Two namespaces, a veth between them, wireguard-go in each.
open_wireguard() {
    local dir=$work/wireguard i other
    have wireguard wireguard-go wireguard-go && have wireguard wg \
        wireguard-tools && have wireguard ip iproute2 || return
    if [ "$(id -u)" != 0 ] || [ ! -e /dev/net/tun ]; then
        left_out "wireguard: needs root and /dev/net/tun"
        return
    fi
    mkdir -m 700 "$dir"
    trap 'close_wireguard; cleanup' EXIT
    for i in 0 1; do
        wg genkey >"$dir/key$i"
        wg pubkey <"$dir/key$i" >"$dir/public$i"
        ip netns add "${wg_names[i]}" || return
        ip -n "${wg_names[i]}" link set lo up
    done
    ip link add name eb0 netns "${wg_names[0]}" type veth peer name eb1 \
        netns "${wg_names[1]}" || return
    for i in 0 1; do
        ip -n "${wg_names[i]}" addr add 192.0.2.$((i + 1))/30 dev eb$i
        ip -n "${wg_names[i]}" link set eb$i up
        start ip netns exec "${wg_names[i]}" env WG_PROCESS_FOREGROUND=1 \
            wireguard-go -f "ebwg$i-$$"
    done
    for i in 0 1; do
        other=$((1 - i))
        for _ in {1..100}; do
            ip -n "${wg_names[i]}" link show "ebwg$i-$$" >/dev/null 2>&1 &&
                [ -S "/var/run/wireguard/ebwg$i-$$.sock" ] && break
            sleep 0.05
        done
        ip netns exec "${wg_names[i]}" wg set "ebwg$i-$$" \
            private-key "$dir/key$i" listen-port 51820 \
            peer "$(cat "$dir/public$other")" \
            endpoint "192.0.2.$((other + 1)):51820" \
            allowed-ips 198.51.100.$((other + 1))/32 || return
        ip -n "${wg_names[i]}" addr add 198.51.100.$((i + 1))/30 \
            dev "ebwg$i-$$"
        ip -n "${wg_names[i]}" link set "ebwg$i-$$" mtu 1420 up
    done
    tunnels+=(wireguard)
}

open_tunnels() {
    local name
    for name in stunnel ssh wireguard; do
        "open_$name" $tunnel_port
        [[ " ${tunnels[*]} " == *" $name "* ]] ||
            grep -q "^$name:" "$results/left-out.txt" ||
            left_out "$name: did not start: $(tail -n 1 "$work/tunnels.log")"
        tunnel_port=$((tunnel_port + 3))
    done
}

# Ports are those that open_tunnels gave to each.
tunnel_command() {
    local base=$((tunnel_port - 9))
    case $1 in
    ssh) base=$((base + 3)) ;;
    wireguard)
        tunnel=("$BASH" "$(dirname "${BASH_SOURCE[0]}")/through-namespaces"
            "${wg_names[0]}" "${wg_names[1]}" 198.51.100.2:7000 "$tcp")
        return
        ;;
    esac
    # shellcheck disable=SC2034
    tunnel=("$tcp" --listen "127.0.0.1:$((base + 2))"
        --connect "127.0.0.1:$base")
}
