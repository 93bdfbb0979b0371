#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# eesp encode: what it seals, eesp decode opens; what does not fit is refused.
#
# shellcheck source=tests/cmd/expect.bash
. "$(dirname "$0")/expect.bash"

ring=$work/ring.jwks
packets=$work/packets

# Policies of every form. The keys are for tests only.
python3 "$here/forms.py" "$ring" || exit 99

# seal POLICY ARG...: of standard input into $packets.
seal() {
    local policy=$1
    shift
    "$EESP_BIN" encode --keyring "$ring" --policy "$policy" "$@" >"$packets" 2>"$err"
}

# Payloads of every length around a block, an empty one first.
python3 -c 'for n in range(70): print(bytes(i * 7 & 255 for i in range(n)).hex())' >"$work/payloads"

# trip NAME POLICY DECODE-ARGS PATTERN ARG...: 70 payloads there and back.
trip() {
    local name=$1 policy=$2 receiver=$3 pattern=$4
    shift 4
    : >"$out"
    if ! seal "$policy" "$@" <"$work/payloads" || [ -s "$err" ]; then
        not_ok "$name" "encode failed"
        return
    fi
    # shellcheck disable=SC2086 # options and values
    "$EESP_BIN" decode --keyring "$ring" $receiver <"$packets" >"$out" 2>"$err"
    if ! grep -q '^70 packets, 70 opened, 0 failed$' "$err" || ! grep -qE -- "$pattern" "$out"; then
        not_ok "$name" "decode failed, or nothing matches '$pattern'"
        return
    fi
    sed -n 's/^payload: *//p' "$out" | cmp -s - "$work/payloads"
    report $? "$name" "other payloads came back"
}

ranks=(--rank 5 --dst-rank 65545)
trip "compact" compact "--rank 65545" '^  form +compact, combination id 9$' "${ranks[@]}"
trip "full" full "" '^  form +full, profile 0, cmac-aes256, aes-256-gcm, selectors ranks' "${ranks[@]}"
trip "session" full "" '^  session id +513$' "${ranks[@]}" --session 513
trip "bound to the receiver" bound "--rank 65545 --dst-incarnation d1d2" '^  bound to +incarnation 000000000000d1d2$' \
    "${ranks[@]}" --dst-incarnation d1d2
trip "policy by SPI" 0x20002 "" 'policy +full' "${ranks[@]}"
trip "source and destination" pairs "" '^  destination +id fedcba9876543210$' \
    --source 0123456789abcdef --destination fedcba9876543210
trip "seven ids" ids "--dst-incarnation 1" 'hkdf-sha384, chacha20-poly1305, selectors source,flow,device,vm,task,job,tenant' \
    --source 1 --flow 2 --device 3 --vm 000102030405060708090a0b0c0d0e0f --task 4 --job 5 --tenant 6 --dst-incarnation 1
trip "ipv4" ipv4 "" 'selectors ipv4' --ipv4 192.0.2.1,192.0.2.2
trip "ipv6" ipv6 "" 'selectors ipv6' --ipv6 2001:db8::1,2001:db8::2
trip "tuple4" tuple4 "" 'selectors tuple4' --tuple4 192.0.2.1,192.0.2.2,4660,53,17
grep -q 'c0000201c00002021234003511000000' "$packets"
report $? "tuple4: bytes of the option"
trip "tuple6" tuple6 "" 'selectors tuple6' --tuple6 2001:db8::1,2001:db8::2,4660,53,6
grep -q '20010db8000000000000000000000001''20010db8000000000000000000000002''1234003506000000' "$packets"
report $? "tuple6: bytes of the option"
trip "gmac" gmac "" 'aes-256-gmac' "${ranks[@]}"
trip "commitment" commit "" 'flags 0x2' "${ranks[@]}"
trip "client mode" client "" 'policy +client' --source 7 --destination 8
trip "crypt offset" readable "" 'policy +readable' "${ranks[@]}" --crypt-offset 3
grep -q '00070e151c232a31' "$packets" && ! grep -q '00070e151c232a31383f464d' "$packets"
report $? "crypt offset: 8 bytes of the payload are readable, no more"
trip "partition" pool "" '^  session id +3$' "${ranks[@]}" --session 3

# Two starts must not share a nonce.
incarnations=$(for _ in 1 2 3; do echo aa | "$EESP_BIN" encode --keyring "$ring" --policy full "${ranks[@]}" 2>/dev/null | cut -c 49-64; done)
[ "$(sort -u <<<"$incarnations" | wc -l)" -eq 3 ] && ! grep -qv '^[0-9a-f]\{16\}$' <<<"$incarnations"
report $? "each start has an incarnation of its own" "$incarnations"
seal full "${ranks[@]}" < <(printf 'aa\nbb\naa\n')
[ "$(cut -c 89-104 "$packets" | tr '\n' ' ')" = "0000000000000001 0000000000000002 0000000000000003 " ]
report $? "the counter starts at 1"
incarnations=$(for _ in 1 2; do echo aa | "$EESP_BIN" encode --keyring "$ring" --policy pool "${ranks[@]}" 2>/dev/null | cut -c 49-64; done)
[ "$(sort -u <<<"$incarnations" | wc -l)" -eq 2 ]
report $? "so has each start under a policy with partitions"
printf '  aa bb # text\n# only a comment\ncc' >"$work/mixed"
seal full "${ranks[@]}" <"$work/mixed"
[ "$(wc -l <"$packets")" -eq 2 ]
report $? "comments, blanks, no newline at the end"
seal full "${ranks[@]}" </dev/null && [ ! -s "$packets" ]
report $? "no payload, no packet"

# refused STATUS NAME PATTERN INPUT ARG...
refused() {
    local status=$1 name=$2 pattern=$3 input=$4
    shift 4
    printf '%b' "$input" | "$EESP_BIN" encode --keyring "$ring" "$@" >"$out" 2>"$err"
    expect "$status" "$name" "^eesp: $pattern"
}

full=(--policy full "${ranks[@]}")
refused 1 "not hexadecimal" "line 2: 'z' is not a hexadecimal digit\$" 'aa\nzz\nbb\n' "${full[@]}"
[ "$(wc -l <"$out")" -eq 1 ] && [ "$(wc -l <"$err")" -eq 1 ]
report $? "nothing is sealed after a bad line"
refused 1 "odd number of digits" 'line 1: odd number of hexadecimal digits$' 'aaa\n' "${full[@]}"
refused 1 "payload too long" 'line 1: 65 bytes, but policy small has max_payload 64$' "$(printf 'aa%.0s' {1..65})\n" \
    --policy small "${ranks[@]}"
head -c 5000000 /dev/zero | tr '\0' 8 | "$EESP_BIN" encode --keyring "$ring" "${full[@]}" >"$out" 2>"$err"
expect 1 "endless line" '^eesp: line 1: longer than 2097152 bytes$'
refused 1 "expired key" 'line 1: cannot seal under policy expired: .*lifetime' 'aa\n' --policy expired "${ranks[@]}"
refused 1 "many policies" '.*ring.jwks has 16 policies: choose one with --policy' 'aa\n' "${ranks[@]}"
refused 1 "unknown policy" ".*ring.jwks has no policy 'none'" 'aa\n' --policy none
"$EESP_BIN" encode --keyring "$work/none.jwks" </dev/null >"$out" 2>"$err"
expect 1 "missing keyring" '^eesp: .*none.jwks.*keygen'
refused 2 "no rank" 'policy full needs --rank$' 'aa\n' --policy full --dst-rank 1
refused 2 "no rank of the receiver" 'policy full needs --dst-rank$' 'aa\n' --policy full --rank 1
refused 2 "no flow" 'policy ids needs --flow$' 'aa\n' --policy ids --source 1 --dst-incarnation 1
refused 2 "no incarnation" 'policy bound binds to the receiver: give its --dst-incarnation$' 'aa\n' --policy bound "${ranks[@]}"
refused 2 "an incarnation for nothing" '--dst-incarnation: policy full does not bind to the receiver$' 'aa\n' \
    "${full[@]}" --dst-incarnation 1
refused 2 "an id for nothing" '--source: policy full does not select it$' 'aa\n' "${full[@]}" --source 1
refused 2 "a rank for nothing" '--rank: policy ipv4 does not select it$' 'aa\n' --policy ipv4 --ipv4 1.2.3.4,1.2.3.5 --rank 1
refused 2 "crypt offset above the policy's" '--crypt-offset: policy readable has crypt_offset_max 6$' 'aa\n' \
    --policy readable "${ranks[@]}" --crypt-offset 7
refused 2 "partition above the policy's" '--session: policy pool has the partitions 0 to 3$' 'aa\n' \
    --policy pool "${ranks[@]}" --session 4
refused 2 "rank" "--rank: 'x' is not a decimal number up to 4294967295\$" '' --rank x
refused 2 "session" "--session: '65536' is not a decimal number up to 65535\$" '' --session 65536
refused 2 "flow" "--flow: '0x' is not a hexadecimal number" '' --flow 0x
refused 2 "vm" "--vm: '00' is not 32 hexadecimal digits\$" '' --vm 00
refused 2 "ipv4: one address" "--ipv4: '1.2.3.4' is not SOURCE,DESTINATION\$" '' --ipv4 1.2.3.4
refused 2 "ipv4: three addresses" "--ipv4: '1.2.3.4,1.2.3.4,1.2.3.4' is not SOURCE,DESTINATION\$" '' --ipv4 1.2.3.4,1.2.3.4,1.2.3.4
refused 2 "ipv4: bad address" "--ipv4: '1.2.3.256' is not an IPv4 address\$" '' --ipv4 1.2.3.4,1.2.3.256
refused 2 "ipv6: bad address" "--ipv6: '1.2.3.4' is not an IPv6 address\$" '' --ipv6 1.2.3.4,::1
refused 2 "tuple4: no protocol" "--tuple4: '.*' is not SOURCE,DESTINATION,SOURCE-PORT,DESTINATION-PORT,PROTOCOL\$" '' \
    --tuple4 1.2.3.4,1.2.3.4,1,2
refused 2 "tuple4: port" "--tuple4: '65536' is not a decimal number up to 65535\$" '' --tuple4 1.2.3.4,1.2.3.4,1,65536,6
refused 2 "tuple6: protocol" "--tuple6: '256' is not a decimal number up to 255\$" '' --tuple6 ::1,::2,1,2,256
refused 2 "unexpected argument" "unexpected argument 'extra'; payloads come from standard input" '' extra
"$EESP_BIN" encode --help >"$out" 2>"$err"
expect 0 "--help" 'Examples:'
sed -n '/^Examples:/,$p' "$out" | tail -n +2 >"$work/example"
"$EESP_BIN" keygen --levels domain,job --out "$work/keyring.jwks" 2>/dev/null
mkdir "$work/bin" && ln -s "$EESP_BIN" "$work/bin/eesp"
(cd "$work" && PATH=$work/bin:$PATH bash -e ./example) >"$out" 2>"$err"
expect 0 "example of --help" '^payload: 68656c6c6f$'

finish
