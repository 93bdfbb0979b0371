#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# eesp rotate: steps, refusals, and what stays as it was.
#
# shellcheck source=tests/cmd/expect.bash
. "$(dirname "$0")/expect.bash"

ring=$work/ring.jwks
rotate() {
    eesp rotate --keyring "$ring" --level domain "$@"
}
# refused NAME PATTERN ARGUMENT...: and the file stays.
refused() {
    cp -p "$ring" "$work/before"
    rotate "${@:3}"
    expect 1 "$1" "$2"
    cmp -s "$ring" "$work/before"
    report $? "$1: file untouched"
}
states() {
    check "$ring" "sorted((k['eesp_generation'], k['eesp_state']) for k in r['keys'] if k['eesp_level'] == 'domain') == $1"
    report $? "keys are $1"
}

eesp keygen --levels domain,job --kid domain=a --out "$ring"
python3 - "$ring" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
r["x-note"] = {"a": [1, 2.5, "ü"]}
r["keys"][0]["alg"] = "dir"
json.dump(r, open(sys.argv[1], "w"))
PY
refused "promote without a next key" 'no staged next key; run: eesp rotate .* stage$' promote
refused "retire without a previous key" 'no previous key; run: eesp rotate .* stage$' retire
rotate stage --lifetime 12h
expect 0 "stage" "domain key a: stage done"
states "[(1, 'current'), (2, 'next')]"
check "$ring" 'abs([k for k in r["keys"] if k["eesp_state"] == "next"][0]["exp"] - __import__("time").time() - 43200) < 60 and
    len({k["k"] for k in r["keys"]}) == 3'
report $? "a fresh key with its lifetime"
refused "stage twice" 'staged next key; run: eesp rotate .* promote$' stage
rotate promote
expect 0 "promote"
states "[(1, 'previous'), (2, 'current')]"
rotate stage
expect 0 "stage beside a previous key"
refused "promote beside a previous key" 'previous key; run: eesp rotate .* retire$' promote
rotate retire
expect 0 "retire"
states "[(2, 'current'), (3, 'next')]"
check "$ring" 'r["x-note"] == {"a": [1, 2.5, "\u00fc"]} and len([k for k in r["keys"] if k["eesp_level"] == "job"]) == 1'
report $? "members of others are kept"
set -- "$ring"*
[ "$#" -eq 1 ] && [ "$(stat -c %a "$ring")" = 600 ]
report $? "mode 0600, no temporary file left"
chmod 400 "$ring"
ln -s "$ring" "$work/link"
eesp rotate --keyring "$work/link" --level domain promote
expect 0 "through a link"
[ -L "$work/link" ] && [ "$(stat -c %a "$ring")" = 400 ]
report $? "which stays a link; the mode stays"

# One of each pair at once stages, the other finds it staged: nothing is lost.
eesp keygen --levels domain,job --out "$ring" --force
"$EESP_BIN" rotate --keyring "$ring" --level domain stage 2>/dev/null &
"$EESP_BIN" rotate --keyring "$ring" --level job stage 2>/dev/null
wait
check "$ring" 'len(r["keys"]) == 4'
report $? "two rotations at once"

refused "unknown id" "no current domain key b; see: eesp show" --kid b stage
chmod 644 "$ring"
refused "others may read" "chmod 0600" stage
rotate later
expect 2 "unknown step" "unknown step 'later'"
rotate
expect 2 "no step" "one of stage, promote, retire"
eesp rotate --keyring "$ring" --level rank stage
expect 2 "unknown level" "unknown level 'rank'"
rotate promote --lifetime 3
expect 2 "lifetime of no new key" "belongs to stage"

finish
