#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# eesp decode of hexadecimal packets: vectors of an independent program.
#
# shellcheck source=tests/cmd/expect.bash
. "$(dirname "$0")/expect.bash"

vectors=$tests_dir/vectors/eesp
need "vectors" "$vectors/keyring.json"
ring=$work/ring.jwks
bound=(--rank 65545 --dst-incarnation d1d2d3d4d5d6d7d8)

python3 "$here/seal.py" vectors "$vectors/native_profile_sl1_more.json" "$vectors/keyring.json" >"$out"
report $? "seal.py agrees with the vectors"

# A keyring with the policies this version supports, and their packets.
python3 "$here/seal.py" reduce "$vectors/keyring.json" "$ring" || exit 99
python3 "$here/seal.py" hex "$vectors/native_profile_sl1_more.json" "$ring" >"$work/all" || exit 99
count=$(grep -vc '^#' "$work/all")

# packet NAME: one packet of the vectors.
packet() {
    grep -A 1 "^# $1\$" "$work/all" | tail -n 1
}

# decode ARG...: of standard input.
decode() {
    "$EESP_BIN" decode --keyring "$ring" "$@" >"$out" 2>"$err"
}

decode "${bound[@]}" <"$work/all"
expect 0 "all vectors open" "^$count packets, $count opened, 0 failed\$"

sed -n 's/^payload: //p' "$out" >"$work/payloads"
python3 - "$vectors/native_profile_sl1_more.json" "$work/all" <<'EOF' | diff - "$work/payloads" >"$err"
import json, sys
vectors = {v["name"]: v for v in json.load(open(sys.argv[1]))["vectors"]}
for line in open(sys.argv[2]):
    if line.startswith("# "):
        print(vectors[line[2:].strip()]["payload"])
EOF
report $? "payloads are those of the vectors"

decode "${bound[@]}" < <(packet compact_destination_bound)
expect 0 "compact packet" '^  policy +compact_destination_bound, SPI 0x00020002$' \
    '^  form +compact, combination id 7$' '^  epoch +7$' '^  sequence +1$' \
    '^  source +rank 5, incarnation a1a2a3a4a5a6a7a8$' '^  destination +rank 65545$' \
    '^  bound to +incarnation d1d2d3d4d5d6d7d8$' \
    '^  key +domain +domain-v, generation 300, current$' \
    '^  key +job +job-v, generation 2, current$' '^payload: 000102'

decode "${bound[@]}" < <(packet previous_domain)
expect 0 "previous generation, in full" 'domain-v, generation 299, previous'
decode "${bound[@]}" < <(packet tenant_generation_wraps_256)
expect 0 "generation beyond 255" 'tenant-v, generation 256, next'
decode < <(packet selectors_source_destination)
expect 0 "ids need no option" 'source +id 025695e8287e3011' 'destination +id 220a574ccf06a1a7'
decode < <(packet next_job)
expect 0 "full packet names its rank" 'destination +rank 65545'

good=$(packet compact_destination_bound)
# flip POSITION: the packet with one bit of a hexadecimal digit changed.
flip() {
    printf '%s%x%s\n' "${good:0:$1}" $((0x${good:$1:1} ^ 1)) "${good:$1+1}"
}
decode "${bound[@]}" < <(flip 100)
expect 1 "flipped bit in the payload" '^error: authentication' ' 0 opened, 1 failed'
! grep -q '^payload' "$out"
report $? "no payload of a forged packet"
decode "${bound[@]}" < <(flip 70)
expect 1 "flipped bit in the sequence number" '^error: authentication'
decode "${bound[@]}" <<<"8014000000777777${good:16}"
expect 1 "SPI without a policy" '^error: SPI' 'policy +none'
decode --rank 65546 --dst-incarnation d1d2d3d4d5d6d7d8 <<<"$good"
expect 1 "wrong rank" '^error: destination'
decode --rank 9 --dst-incarnation d1d2d3d4d5d6d7d8 <<<"$good"
expect 1 "wrong upper half of the rank" '^error: authentication'
decode --rank 65545 --dst-incarnation 1 <<<"$good"
expect 1 "wrong incarnation" '^error: authentication'
decode <<<"$good"
expect 1 "unknown receiver: a hint" '^error: authentication' '^hint: .*--dst-incarnation'
decode --id 1 < <(packet selectors_source_destination)
expect 1 "wrong id" '^error: destination'
decode "${bound[@]}" <<<"${good:0:60}"
expect 1 "truncated in the header" '^error: length'
decode "${bound[@]}" <<<"${good:0:200}"
expect 1 "truncated in the payload" '^error: authentication'
decode <<<"80"
expect 1 "one byte" '^error: length'

# The other direction shows the receiver's rank and incarnation; its packet
# itself may be beyond opening.
reverse=8014000000020002e11207200007000500010009d1d2d3d4d5d6d7d80000000000000009$(printf '0%.0s' {1..80})
decode <<<"$good
$reverse"
expect 1 "receiver learned from the other direction" '1 opened, 1 failed' 'bound to +incarnation d1d2d3d4d5d6d7d8' '^  destination +rank 65545'

{
    echo '  # a comment, then garbage'
    echo
    echo "   $good   # trailing comment"
    echo "${good}0"
    echo "zz"
    printf '80\0\n'
    echo "${good:0:10} ${good:10}"
    printf '%s\r\n' "$good"
    printf '%s' "$good"
} >"$work/mixed"
decode "${bound[@]}" <"$work/mixed"
expect 1 "bad lines are named, good ones open" '^7 packets, 4 opened, 3 failed$' \
    '^packet 2: line 4$' '^error: odd number' "^error: 'z' is not a hexadecimal digit" \
    '^error: byte 0x00 is not'

head -c 5000000 /dev/zero | tr '\0' 8 | decode "${bound[@]}"
expect 1 "endless line" 'line 1$' '^error: longer than 2097152 bytes'
head -c 300000 /dev/urandom | decode --quiet
expect 1 "random bytes" ' 0 opened'
decode </dev/null
expect 1 "no packet at all is a failure" 'no EESP packet'
decode "${bound[@]}" --limit 2 <"$work/all" && [ "$(grep -c '^payload' "$out")" -eq 2 ]
report $? "--limit"

decode "${bound[@]}" --json <"$work/mixed"
python3 - "$out" <<'EOF'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert [x["type"] for x in lines] == (
    ["packet"] + ["bad input"] * 3 + ["packet"] * 3 + ["summary"])
assert all(x["opened"] and x["payload"].startswith("0001") for x in lines
           if x["type"] == "packet")
assert lines[-1]["packets"] == 7 and lines[-1]["failed"] == 3
EOF
report $? "--json"

"$EESP_BIN" decode --keyring "$work/none.jwks" </dev/null >"$out" 2>"$err"
expect 1 "missing keyring" 'eesp: .*none.jwks.*keygen'
UCX_EESP_KEYRING=$ring "$EESP_BIN" decode "${bound[@]}" <"$work/all" >"$out" 2>"$err"
expect 0 "keyring from the variable" "$count opened"
decode --pcap "$work/none.pcap"
expect 1 "missing capture" 'none.pcap'
for wrong in "--rank x" "--rank 4294967296" "--rank -1" "--dst-incarnation 12345678123456781" "--id 0x" "--limit" "--unknown" "extra"; do
    # shellcheck disable=SC2086 # options and values
    decode $wrong </dev/null
    expect 2 "usage: $wrong" '^eesp: '
done

decode --help
expect 0 "--help" 'Examples:'

finish
