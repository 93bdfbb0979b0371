#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# eesp decode of PSP and TSS packets: vectors of independent programs, with
# keyrings and without. Random ones, also in EESP: tests/oracle.
#
# shellcheck source=tests/cmd/expect.bash
. "$(dirname "$0")/expect.bash"

# ---- Headers

psp=$tests_dir/vectors/psp/psp_vectors.json
python3 -c 'import json, sys; d = json.load(open(sys.argv[1]))
for v in d["packets_reference"] + d["packets_computed"]: print(v["psp"])' "$psp" >"$work/psp"
"$EESP_BIN" decode --psp <"$work/psp" >"$out" 2>"$err"
expect 0 "--psp: headers of all vectors" '^29 PSP packets, 0 malformed$' 'SPI +0x12345678, master key 0' \
    'SPI +0x9a345678, master key 1' 'cookie +0000000000000000' 'version +1, AES-GCM-256'
head -c 60 "$work/psp" | "$EESP_BIN" decode --psp >"$out" 2>"$err"
expect 1 "--psp: truncated" '^error: length' '1 malformed'
python3 - "$work/psp" "$work/psp.pcap" <<'EOF'
import struct, sys
with open(sys.argv[2], "wb") as out:
    out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 101))
    for line in open(sys.argv[1]):
        for port in 1000, 1001:
            p = bytes.fromhex(line)
            p = struct.pack(">HHHH", 5, port, 8 + len(p), 0) + p
            p = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(p), 1, 0, 64, 17, 0, 1, 2) + p
            out.write(struct.pack("<IIII", 1, 0, len(p), len(p)) + p)
EOF
if "$EESP_BIN" decode --psp --pcap "$work/psp.pcap" 2>&1 | grep -q 'not built with libpcap'; then
    skip "--psp: capture" "not built with libpcap"
else
    "$EESP_BIN" decode --psp --pcap "$work/psp.pcap" >"$out" 2>"$err"
    expect 0 "--psp: capture, UDP to port 1000 only" '^29 PSP packets, 0 malformed$' '0.0.0.2:1000$'
fi
# Debian 12's Wireshark has no dissector of its own for PSP; newer ones may.
if ! command -v tshark >/dev/null; then
    skip "tshark decodes PSP" "no tshark"
elif ! tshark -G protocols 2>/dev/null | cut -f3 | grep -qx psp; then
    skip "tshark decodes PSP" "$(tshark -v 2>/dev/null | sed -n 's/^TShark (Wireshark) \([0-9.]*\).*/tshark \1/p;q') has no dissector psp"
else
    tshark -r "$work/psp.pcap" -d udp.port==1000,psp -Y 'psp && !_ws.malformed' -T fields -e udp.dstport \
        >"$out" 2>"$err"
    expect 0 "tshark decodes PSP" "^1000\$"
    [ "$(grep -c 1000 "$out")" -eq 29 ]
    report $? "tshark decodes every packet"
fi
"$EESP_BIN" decode --psp --json </dev/null >"$out" 2>"$err"
expect 2 "--psp takes no --json" 'goes with --keyring and --pcap only'
tss=$tests_dir/vectors/tss/tss_vectors.json
python3 -c 'import json, sys
for v in json.load(open(sys.argv[1]))["packets_computed"]: print(v["tss_header"] + v["ciphertext_and_icv"])' "$tss" >"$work/tss"
"$EESP_BIN" decode --tss <"$work/tss" >"$out" 2>"$err"
expect 0 "--tss: headers of all vectors" '^5 TSS packets, 0 malformed$' 'SDI +0x000001' 'SSI +0x00000007' 'SSI +none' \
    'counter +4660' 'epoch +3' 'payload +64 bytes'
head -c 50 "$work/tss" | "$EESP_BIN" decode --tss >"$out" 2>"$err"
expect 1 "--tss: truncated" '^error: length' '1 malformed'
"$EESP_BIN" decode --tss --pcap x </dev/null >"$out" 2>"$err"
expect 2 "--tss takes no capture" 'goes with --keyring and --aad only'

# ---- Opened

# keyring KIND [MODE]: that of the vectors.
keyring() {
    python3 - "$psp" "$tss" "$@" <<'EOF' >"$work/ring.jwks"
import base64, json, sys
def key(level, bit, number, text):
    k = base64.urlsafe_b64encode(bytes.fromhex(text)).decode().rstrip("=")
    return {"kty": "oct", "kid": "v", "k": k, "eesp_level": level, bit: number}
psp, tss = (json.load(open(path)) for path in sys.argv[1:3])
if sys.argv[3] == "psp":
    keys = [key("psp", "eesp_master", i, k) for i, k in enumerate(psp["master_keys"])]
    policy = {"name": "nic", "profile": "psp", "master": "v"}
else:
    keys = [key("tss", "eesp_an", 0, tss["packets_computed"][0]["sdk_db_key"])]
    policy = {"name": "sd", "profile": "tss", "key": "v", "sdi": 1,
              "mode": sys.argv[4], "epoch": 3, "epoch_age": 16}
    if sys.argv[4] == "cluster":
        policy.update(rekey_mask=0xff00, rekey_shift=8)
json.dump({"eesp_version": 1, "keys": keys, "eesp_policies": [policy]}, sys.stdout)
EOF
    chmod 600 "$work/ring.jwks"
}

# told: the payloads of the last run.
told() {
    sed -n 's/^payload: //p' "$out"
}

keyring psp
"$EESP_BIN" show "$work/ring.jwks" >"$out" 2>"$err"
expect 0 "show: a policy of PSP" '^nic +v +0 and 1$'
"$EESP_BIN" decode --psp --keyring "$work/ring.jwks" <"$work/psp" >"$out" 2>"$err"
expect 0 "--psp: all vectors open" '^29 PSP packets, 29 opened, 0 failed$' 'policy +nic'
python3 -c 'import json, sys; d = json.load(open(sys.argv[1]))
for v in d["packets_reference"] + d["packets_computed"]: print(v["inner"])' "$psp" >"$work/inner"
told | cmp -s - "$work/inner"
report $? "--psp: payloads are those of the vectors"
sed 's/0\(.\)$/1\1/; t; s/.\(.\)$/0\1/' "$work/psp" >"$work/changed"
"$EESP_BIN" decode --psp --keyring "$work/ring.jwks" <"$work/changed" >"$out" 2>"$err"
expect 1 "--psp: changed packets do not open" '^29 PSP packets, 0 opened, 29 failed$' '^error: authentication'
told | grep -q . && not_ok "--psp: payloads of changed packets"
if "$EESP_BIN" decode --psp --pcap "$work/psp.pcap" 2>&1 | grep -q 'not built with libpcap'; then
    skip "--psp: capture opened" "not built with libpcap"
else
    "$EESP_BIN" decode --psp --keyring "$work/ring.jwks" --pcap "$work/psp.pcap" >"$out" 2>"$err"
    expect 0 "--psp: capture opened" '^29 PSP packets, 29 opened, 0 failed$'
fi
"$EESP_BIN" decode --tss --keyring "$work/ring.jwks" <"$work/tss" >"$out" 2>"$err"
expect 1 "--tss: no policy for it" '^error: SPI' '0 opened, 5 failed'

front=c0a80101c0a80102abcd0000
for mode in direct cluster server; do
    keyring tss $mode
    "$EESP_BIN" show "$work/ring.jwks" >"$out" 2>"$err"
    expect 0 "show: a policy of TSS, $mode" "^sd +0x000001 +$mode +v +0 +3 +16 "
    python3 -c 'import json, sys
for v in json.load(open(sys.argv[1]))["packets_computed"]:
    if v["mode"] == sys.argv[2] and v["ssi"]: print(v["tss_header"] + v["ciphertext_and_icv"])' "$tss" "$mode" >"$work/$mode"
    count=$(wc -l <"$work/$mode")
    "$EESP_BIN" decode --tss --keyring "$work/ring.jwks" --aad $front <"$work/$mode" >"$out" 2>"$err"
    expect 0 "--tss: $mode opens" "^$count TSS packets, $count opened, 0 failed\$" '^payload: 000102030405060708'
    "$EESP_BIN" decode --tss --keyring "$work/ring.jwks" <"$work/$mode" >"$out" 2>"$err"
    expect 1 "--tss: $mode, without what stands in front" ', 0 opened,' '^error: authentication'
done
keyring tss cluster
"$EESP_BIN" decode --tss --keyring "$work/ring.jwks" --aad $front <"$work/tss" >"$out" 2>"$err"
expect 1 "--tss: without an SSI it is refused" '^error: policy'
for wrong in "--aad 0" "--aad xx" "--aad" "--aad 0x12" "--rank 5" "--limit 1" "--aad $(printf '%074d' 0)"; do
    # shellcheck disable=SC2086 # options and values
    "$EESP_BIN" decode --tss --keyring "$work/ring.jwks" $wrong </dev/null >"$out" 2>"$err"
    expect 2 "usage: --tss $wrong" '^eesp: '
done
"$EESP_BIN" decode --tss --aad 00 </dev/null >"$out" 2>"$err"
expect 2 "--aad needs a keyring" 'needs --keyring'
"$EESP_BIN" decode --aad 00 </dev/null >"$out" 2>"$err"
expect 2 "--aad goes with --tss" 'goes with --tss only'
"$EESP_BIN" encode --keyring "$work/ring.jwks" </dev/null >"$out" 2>"$err"
expect 1 "encode makes profile sl1 only" 'no policy of profile sl1'
finish
