#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# eesp show and selftest, and the command itself.
#
# shellcheck source=tests/cmd/expect.bash
. "$(dirname "$0")/expect.bash"

ring=$work/ring.jwks
make_keyring "$ring" || exit 99
"$EESP_BIN" keygen --levels domain,tenant,job,task --kid domain=cluster-a --lifetime 12h --out "$work/all.jwks" 2>"$err" || exit 99

python3 -c 'import json, sys
for k in json.load(open(sys.argv[1]))["keys"]: print(k["k"])' "$work/all.jwks" >"$work/secrets"
eesp show "$work/all.jwks"
expect 0 "show" '^domain +cluster-a +current +1 +256 +- +20.* 11h 59m$|^domain +cluster-a .* 12h 0m$' \
    '^ranks +0x00010001 +cmac-aes256 +aes-256-gcm +ranks +compact 1 +1 \+-1 +2\^23 +strict +yes +domain:cluster-a tenant:' \
    '^pairs +0x00010002 .* source,destination +full '
cp "$out" "$work/shown"
eesp show --json "$work/all.jwks"
expect 0 "show --json"
check "$out" 'len(r["keys"]) == 4 and r["policies"][0]["levels"]["domain"] == "cluster-a"'
report $? "is JSON"
[ "$(wc -l <"$work/secrets")" -eq 4 ] && ! cat "$out" "$work/shown" | grep -qFf "$work/secrets"
report $? "no key bytes are shown"
python3 - "$work/all.jwks" "$out" "$work/shown" <<'EOF'
import base64, json, sys
text = "".join(open(f).read() for f in sys.argv[2:]).lower()
for k in json.load(open(sys.argv[1]))["keys"]:
    raw = base64.urlsafe_b64decode(k["k"] + "=")
    assert raw.hex() not in text and raw.hex()[:16] not in text
EOF
report $? "nor in hexadecimal"
python3 - "$work/all.jwks" "$work/old.jwks" <<'EOF'
import json, os, sys
r = json.load(open(sys.argv[1]))
r["keys"][0]["exp"] = 1700000000
r["keys"][1]["nbf"] = 4000000000
r["keys"][1].pop("exp")
with open(os.open(sys.argv[2], os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
    json.dump(r, f)
EOF
eesp show "$work/old.jwks"
expect 0 "expired and future keys" '2023-11-14T22:13:20Z +EXPIRED$' '2096-10-02T07:06:40Z +- +not yet valid$'
UCX_EESP_KEYRING=$ring eesp show
expect 0 "show of the variable's keyring" "^Keyring $ring\$"
eesp show --keyring "$ring"
expect 0 "show --keyring" "^Keyring $ring\$"
chmod 644 "$ring"
eesp show "$ring"
expect 1 "keyring that others may read" "^eesp: $ring: .*chmod 0600"
eesp show "$work/none.jwks"
expect 1 "no keyring" '^eesp: .*none.jwks'
eesp show "$ring" "$ring"
expect 2 "two files" 'unexpected argument'

# ---- selftest and the rest

eesp selftest
expect 0 "selftest" 'openssl +aes-256-gcm +available +pass' '^kdf +cmac-aes256 +available +pass' ' used$'
[ "$(grep -v '^bursts' "$out" | grep -c ' used$')" -eq 2 ]
report $? "one backend is used, and the KDF"
kernel=$(grep -qw avx512vl /proc/cpuinfo && grep -qw vaes /proc/cpuinfo &&
    grep -qw vpclmulqdq /proc/cpuinfo && echo 'pass +used' || echo ' - .*AVX-512')
grep -qE "^bursts .*$kernel" "$out"
report $? "bursts are sealed side by side where the CPU can"
eesp selftest --json
expect 0 "selftest --json"
check "$out" 'r["passed"] and [b["used"] for b in r["backends"]].count(True) == 1 and r["kdf"]["known_answers"] == "pass"'
report $? "is JSON"

eesp
expect 2 "no subcommand" '^Usage: eesp'
eesp nonsense
expect 2 "unknown subcommand" "unknown subcommand 'nonsense'"
eesp help nonsense
expect 2 "help on an unknown subcommand" "unknown subcommand"
eesp --version
expect 0 "--version" '^eesp [0-9]+\.[0-9]+'
eesp --help
expect 0 "--help" '^  keygen ' '^  decode ' '^  show ' '^  selftest '
for sub in keygen rotate grant show decode selftest; do
    eesp help $sub && cp "$out" "$work/help" && eesp $sub --help && cmp -s "$out" "$work/help"
    expect 0 "help $sub" '^Examples:' '^Usage: eesp '
    [ "$(wc -L <"$out")" -le 80 ] || not_ok "help $sub is wider than 80 columns"
done
eesp show --unknown
expect 2 "unknown option" '^eesp: unrecognized option' "eesp show --help"

finish
