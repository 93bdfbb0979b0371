#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# wireshark.sh: the dissector of wireshark/eesp.lua shows every packet that
# eesp decode finds, with the same fields: of a job, of eesp encode, and of
# captures that are hard to read; and what is not sealed as that.
#
if [ -z "${EESP_ALONE:-}" ] && unshare -n true 2>/dev/null; then
    EESP_ALONE=yes exec unshare -n bash -c \
        'ip link set lo up && exec "$0" "$@"' "$0" "$@"
fi
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

export PYTHONDONTWRITEBYTECODE=1
script=$(cd "$tests_dir/.." && pwd)/wireshark/eesp.lua
need "wireshark" tshark python3 "$EESP_BIN"
if "$EESP_BIN" decode --pcap /dev/null 2>&1 | grep -q 'not built with libpcap'; then
    skip "wireshark" "no libpcap"
    finish
fi
export HOME=$work # nobody's settings

capture=$work/capture.pcap
ring=$work/keyring.jwks
make_keyring "$ring" || exit 99

order=TRUE # wait for segments that are late
# dissect ARG...: of $capture; complaints about the script are failures.
dissect() {
    tshark -X "lua_script:$script" -o "tcp.reassemble_out_of_order:$order" \
        -r "$capture" "$@" 2>"$err"
    ! grep -qi lua "$err"
}

# count FILTER: packets of $capture that pass it.
count() {
    dissect -Y "$1" | wc -l
}

# agree NAME ARG...: with eesp decode; leaves the number of packets in $agreed.
agree() {
    local name=$1
    shift
    dissect -T pdml -J eesp >"$work/pdml" &&
        { "$EESP_BIN" decode --keyring "$ring" --pcap "$capture" --json \
            >"$work/json" 2>>"$err" "$@" || :; } &&
        agreed=$(python3 "$tests_dir/see/wireshark.py" compare "$work/json" \
            "$work/pdml" 2>>"$err") && [ "$agreed" -gt 0 ]
    report $? "$name"
}

# ---- Captures that are made up ------------------------------------------------

# scene SCENE [LINK]
scene() {
    (cd "$tests_dir/cmd" &&
        python3 capture.py "$1" "$ring" "$capture" "${2:-ether}") >/dev/null
}

for name in plain simultaneous damaged clear over_roce roce_clear; do
    scene "$name"
    agree "$name"
done
scene six raw
agree "IPv6"

# Segments shuffled and sent again, of which Wireshark's TCP loses some.
scene hard
[ "$(count eesp)" -ge 5 ] && [ "$(count eesp.malformed)" -eq 0 ]
report $? "segments cut, shuffled and sent again"
scene clear
[ "$(count ucx_tcp.clear)" -eq 2 ] && [ "$(count 'ucx_tcp.id == 33')" -eq 1 ]
report $? "what is not sealed is told"
scene gap
order=FALSE
[ "$(count ucx_tcp.lost)" -gt 0 ] && [ "$(count eesp)" -ge 2 ] &&
    [ "$(count eesp.malformed)" -eq 0 ]
report $? "a gap"
order=TRUE
scene other
[ "$(count 'eesp || ucx_tcp')" -eq 0 ]
report $? "connections of others are left alone"

# ---- Packets of eesp encode ---------------------------------------------------

ring=$work/forms.jwks
python3 "$tests_dir/cmd/forms.py" "$ring" || exit 99

# encode POLICY ARG...: three packets.
encode() {
    local policy=$1
    shift
    printf '\n00\n000102030405060708090a0b0c0d0e0f1011\n' |
        "$EESP_BIN" encode --keyring "$ring" --policy "$policy" "$@"
}

{
    ranks=(--rank 5 --dst-rank 65545)
    encode compact "${ranks[@]}"
    encode full "${ranks[@]}" --session 513
    encode bound "${ranks[@]}" --dst-incarnation d1d2
    encode pairs --source 0123456789abcdef --destination fedcba9876543210
    encode ids --source 1 --flow 2 --device 3 --task 4 --job 5 --tenant 6 \
        --vm 000102030405060708090a0b0c0d0e0f --dst-incarnation 1
    encode ipv4 --ipv4 192.0.2.1,192.0.2.2
    encode ipv6 --ipv6 2001:db8::1,2001:db8::2
    encode tuple4 --tuple4 192.0.2.1,192.0.2.2,1234,4791,17
    encode tuple6 --tuple6 2001:db8::1,2001:db8::2,1234,4791,6
    encode gmac "${ranks[@]}"
    encode commit "${ranks[@]}"
    encode readable "${ranks[@]}" --crypt-offset 3
} >"$work/packets" 2>"$err"
python3 "$tests_dir/see/wireshark.py" pcap "$work/packets" "$capture"
agree "every form of eesp encode"
[ "${agreed:-0}" -eq 36 ]
report $? "all of them" "${agreed:-0} of 36"
for filter in 'eesp.flow == 2' 'eesp.device == 3' 'eesp.task == 4' \
    'eesp.job == 5' 'eesp.tenant == 6' \
    'eesp.vm == 00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f' \
    'eesp.combination_id == 9' 'eesp.aead == 3' 'eesp.commitment' \
    'eesp.crypt_offset'; do
    [ "$(count "$filter")" -eq 3 ]
    report $? "$filter"
done
for filter in 'eesp.destination_ipv4 == 192.0.2.2' 'eesp.clear' \
    'eesp.source_ipv6 == 2001:db8::1' 'eesp.destination_port == 4791'; do
    [ "$(count "$filter")" -eq 6 ]
    report $? "$filter"
done

# ---- A job --------------------------------------------------------------------

ring=$work/keyring.jwks
if [ -z "${EESP_ALONE:-}" ]; then
    skip "a job's capture" "needs root and network namespaces"
    finish
fi
for what in mpirun tcpdump "$MPI_CHECK" "$EESP_PLUGIN"; do
    if [ ! -e "$what" ] && ! command -v "$what" >/dev/null; then
        skip "a job's capture" "no $what"
        finish
    fi
done

# recorded NAME VAR=VALUE...: a job of two ranks over tcp, into $capture.
recorded() {
    local name=$1 tcpdump_pid
    shift
    tcpdump -i lo -w "$capture" -B 65536 -s 0 -U -Z root tcp 2>"$work/tcpdump" &
    tcpdump_pid=$!
    background=("$tcpdump_pid")
    for _ in {1..100}; do
        grep -qs 'listening on' "$work/tcpdump" && break
        sleep 0.1
    done
    run_mpi 2 UCX_EESP_KEYRING="$ring" "$@" -- "$MPI_CHECK" bcast allreduce
    report $? "$name"
    sleep 1.3 # the kernel hands packets over in blocks, once a second
    kill -INT "$tcpdump_pid"
    wait "$tcpdump_pid"
    background=()
    grep -q '^0 packets dropped by kernel' "$work/tcpdump"
    report $? "$name: recorded" "$(<"$work/tcpdump")"
}

recorded "a sealed job" UCX_TLS=eesp UCX_EESP_LOWER=tcp
agree "a sealed job: both show the same packets"
[ "${agreed:-0}" -gt 50 ]
report $? "a sealed job: more than 50 of them" "${agreed:-0}"
[ "$(count ucx_tcp.clear)" -eq 0 ]
report $? "a sealed job: nothing else of UCX's"
# UCX's types of messages are inside the seal. Outside all look the same, but for
# the data of gets and puts: 2 to 5, by its padding.
[ -z "$(dissect -Y eesp -T fields -e ucx_tcp.id | tr ',' '\n' | grep -v "^[02-5]$")" ]
report $? "a sealed job: the same ids for all messages" "$(dissect -Y eesp -T fields \
    -e ucx_tcp.id | sort | uniq -c)"
recorded "a job in clear" UCX_TLS=tcp,self
[ "$(count ucx_tcp.clear)" -gt 20 ] && [ "$(count eesp)" -eq 0 ]
report $? "a job in clear: it says so"

# ---- Installed ----------------------------------------------------------------

make -C "$top_builddir" install-dist_wiresharkDATA DESTDIR="$work/root" \
    >"$out" 2>"$err"
cmp -s "$script" "$(find "$work/root" -name eesp.lua)"
report $? "installed"
finish
