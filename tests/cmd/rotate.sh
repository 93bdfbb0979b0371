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

# Several steps, and nobody to wait for.
mkdir "$work/pages"
rotate stage promote
expect 2 "two steps without --wait" "more than one step needs --wait"
eesp keygen --levels domain,job --kid domain=a --out "$ring" --force
rotate --wait --stat-dir "$work/pages" stage promote retire
expect 0 "three steps" "no process here is known to use it: retire waits for nobody"
states "[(2, 'current')]"
rotate --wait=0 --stat-dir "$work/pages" retire
expect 1 "a step that cannot be, whoever waits" "no previous key"

eesp rotate --keyring "$ring" epoch
expect 0 "epoch" "epoch raised"
eesp rotate --keyring "$ring" --policy ranks epoch
expect 0 "epoch of one policy"
check "$ring" '[(p["name"], p["epoch"]) for p in r["eesp_policies"]] == [("ranks", 3), ("pairs", 2)]'
report $? "only epochs are raised"
python3 - "$ring" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
r["eesp_policies"][0]["epoch"] = 65535
del r["eesp_policies"][1]["epoch"]
json.dump(r, open(sys.argv[1], "w"))
PY
eesp rotate --keyring "$ring" epoch
expect 0 "epoch behind the last one"
check "$ring" '[p["epoch"] for p in r["eesp_policies"]] == [0, 1]'
report $? "epochs are serial numbers, and 0 where none is said"
eesp rotate --keyring "$ring" --policy none epoch
expect 1 "epoch of no policy" "no policy none"
eesp rotate --keyring "$ring" --level job epoch
expect 2 "epoch of a level" "leave out --level"
eesp rotate --keyring "$ring" stage
expect 2 "stage of no level" "stage needs --level"
rotate --policy ranks stage
expect 2 "policy of a ring" "belongs to epoch"
rotate --stat-dir "$work/pages" stage
expect 2 "pages for nothing" "belongs to --wait"

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
