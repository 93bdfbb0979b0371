#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# eesp decode --pcap: captures that capture.py makes.
#
# shellcheck source=tests/cmd/expect.bash
. "$(dirname "$0")/expect.bash"

ring=$work/ring.jwks
capture=$work/capture.pcap
make_keyring "$ring" || exit 99

if "$EESP_BIN" decode --keyring "$ring" --pcap /dev/null 2>&1 | grep -q 'not built with libpcap'; then
    skip "captures" "not built with libpcap"
    finish
fi

# make_scene SCENE [LINK]
make_scene() {
    if ! python3 "$here/capture.py" "$1" "$ring" "$capture" "${2:-ether}" >"$work/unsorted"; then
        note "capture.py failed"
        exit 99
    fi
    sort "$work/unsorted" >"$work/expected"
}

decode() {
    "$EESP_BIN" decode --keyring "$ring" --pcap "$capture" "$@" >"$out" 2>"$err"
}

# All that was sealed came out.
payloads_match() {
    sed -n 's/^payload: //p' "$out" | sort | diff - "$work/expected" >>"$err"
}

# scene SCENE LINK STATUS NAME [PATTERN...]: exit status, payloads, and what
# must be printed.
scene() {
    local name=$4 status pattern
    make_scene "$1" "$2"
    decode
    status=$?
    if [ "$status" -ne "$3" ]; then
        not_ok "$name" "exit status $status, not $3"
        return
    fi
    if ! payloads_match; then
        not_ok "$name" "payloads differ"
        return
    fi
    for pattern in "${@:5}"; do
        if ! grep -qE -- "$pattern" "$out" "$err"; then
            not_ok "$name" "nothing matches '$pattern'"
            return
        fi
    done
    ok "$name"
}

for link in ether vlan null loop raw sll sll2; do
    scene plain "$link" 0 "link type $link" '^6 packets, 6 opened, 0 failed$' '^0 not EESP, 2 connection set-up frames, 1 UCX streams, 0 other streams$'
done
scene six raw 0 "IPv6 with an extension header" '^2 packets, 2 opened' 'frame 6, \[fd00::1\]:40001 > \[fd00::2\]:50001'
scene udp_pairs ether 0 "UDP, policy without ranks" '^3 packets, 3 opened' 'policy +pairs'
scene hard ether 0 "segments cut, shuffled and sent again" ' 46 opened, 0 failed' '2 UCX streams, 1 other streams'
scene simultaneous ether 0 "accepting side seen first" '^2 packets'
scene gap ether 0 "gap across and inside frames" '^gap of 120 bytes: ' '^gap of 250 bytes: ' '^2 gaps of 370 bytes'
scene snap ether 0 "snapshot length too short" '^gap of [0-9]+ bytes: '
scene middle ether 0 "capture begins inside a frame" '^3 packets, 3 opened'
scene clear ether 1 "data that is not sealed" '^not EESP: frame 8, .* UCX message id 9, 12 bytes: 696e2074686520636c656172$' '^not EESP: .* UCX put, 30 bytes' '^2 not EESP'
scene unknown_spi ether 1 "SPI that is not in the keyring" '^not EESP: .* bytes: 80[0-9a-f]{30}'
scene damaged ether 1 "damaged packet" '^error: authentication' '^4 packets, 3 opened, 1 failed'
scene no_frame ether 1 "no frame after the magic number" '^not EESP: .*no frame of UCX'
scene other ether 1 "connections of others" '^0 packets' '2 other streams' 'no EESP packet'

scene over_roce ether 0 "rc and ud over RoCEv2" '^6 packets, 6 opened, 0 failed$' '^0 not EESP, 8 connection set-up frames, 2 UCX streams'
scene roce_clear ether 1 "RoCEv2: data that is not sealed" '^2 packets, 2 opened' '^7 not EESP' 'UCX message id 9, 12 bytes: 696e' 'RDMA WRITE, 7 bytes' 'RDMA READ, 4 bytes' 'atomic operation, 28 bytes' 'UCX message id 5, 8 bytes' 'UCX put, 3 bytes' 'datagram, 4 bytes'
scene roce_gap ether 0 "RoCEv2: packets that are missing" '^2 packets, 2 opened' '1 packets of RC are missing'

make_scene plain unknown
decode
[ $? -eq 1 ] && grep -q 'link type 147 is not supported' "$err"
report $? "unsupported link type is named"

make_scene plain
head -c -7 "$capture" >"$work/cut" && mv "$work/cut" "$capture"
decode
[ $? -eq 1 ] && grep -q '5 opened, 1 failed' "$err" && grep -q '^error: truncated' "$out"
report $? "file that was cut off"

make_scene damaged
decode --limit 1
[ $? -eq 1 ] && [ "$(grep -c '^packet ' "$out")" -eq 1 ] && grep -q '^4 packets' "$err"
report $? "--limit shows less but checks all"

decode --quiet
[ $? -eq 1 ] && [ ! -s "$out" ] && grep -q '^4 packets' "$err"
report $? "--quiet prints the summary only"

decode --json
python3 - "$out" <<'EOF'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
packets = [x for x in lines if x["type"] == "packet"]
assert len(packets) == 4 and lines[-1]["type"] == "summary"
assert [x["opened"] for x in packets].count(True) == 3
first = packets[0]
assert first["policy"] == "ranks" and first["am_id"] == 3
assert first["header"]["source_rank"] == 0 and first["destination_rank"] == 65537
assert first["destination_incarnation"] == "8182838485868788"
assert {k["level"] for k in first["keys"]} == {"domain", "job"}
assert all(k["generation"] == 1 for k in first["keys"])
assert lines[-1]["failed"] == 1 and lines[-1]["setup_frames"] == 2
EOF
report $? "--json"

make_scene plain
"$EESP_BIN" decode --keyring "$ring" --pcap - <"$capture" >"$out" 2>"$err" && payloads_match
report $? "capture on standard input"
# shellcheck disable=SC2002 # a pipe is what is tested
cat "$capture" | "$EESP_BIN" decode --keyring "$ring" --pcap - >"$out" 2>"$err" && payloads_match
report $? "capture from a pipe"

decode
grep '^  am id  *3$' "$out" >/dev/null
report $? "am id is shown"

printf 'no capture' >"$capture"
decode
[ $? -eq 1 ] && grep -q 'is not a capture file' "$err"
report $? "other files are refused"

finish
