#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# eesp grant: what is in the new keyring, and what is not.
#
# shellcheck source=tests/cmd/expect.bash
. "$(dirname "$0")/expect.bash"

ring=$work/ring.jwks
eesp keygen --levels domain,job --out "$ring"
eesp rotate --keyring "$ring" --level domain stage
eesp grant --keyring "$ring" --policy ranks --out "$work/ranks"
expect 0 "grant"
[ "$(stat -c %a "$work/ranks")" = 600 ]
report $? "mode 0600"
check "$work/ranks" 'sorted((k["eesp_generations"]["domain"], k["eesp_state"]) for k in r["keys"]) == [(1, "current"), (2, "next")] and
    {k["eesp_level"] for k in r["keys"]} == {"master"} and [p["name"] for p in r["eesp_policies"]] == ["ranks"]'
report $? "one key a tuple, one policy"
python3 - "$ring" "$work/ranks" <<'PY'
import base64, json, sys
raw = open(sys.argv[2]).read()
roots = [k["k"] for k in json.load(open(sys.argv[1]))["keys"]]
sys.exit(any(k in raw for k in roots) or len(roots) != 3)
PY
report $? "no root key"
eesp show "$work/ranks"
expect 0 "show"
eesp grant --keyring "$ring" --policy ranks --out "$work/ranks"
expect 1 "no overwriting" 'exists, and keys'
eesp grant --keyring "$ring" --policy 9 --out "$work/x"
expect 1 "no such policy" 'no policy 9; see: eesp show'
eesp grant --keyring "$ring" --policy pairs --client 7 --out "$work/x"
expect 1 "client without a client mode" 'has no "client"'
eesp grant --keyring "$ring" --policy pairs --client -7 --out "$work/x"
expect 2 "bad client" "is not a number"
eesp grant --keyring "$ring"
expect 2 "no policy named" 'needs --policy and --out'
[ ! -e "$work/x" ]
report $? "nothing left behind"
eesp keygen --levels domain --out "$work/domain"
eesp grant --keyring "$work/domain" --policy pairs --out "$work/pairs"
expect 0 "domain alone" 'warning: policy pairs has the domain level alone'
python3 - "$ring" "$work/client" <<'PY'
import json, os, sys
r = json.load(open(sys.argv[1]))
r["eesp_policies"][1]["client"] = "source"
json.dump(r, open(sys.argv[2], "w"))
os.chmod(sys.argv[2], 0o600)
PY
eesp grant --keyring "$work/client" --policy pairs --client 7 --out "$work/seven"
expect 0 "client"
eesp grant --keyring "$work/client" --policy pairs --client 8 --out "$work/eight"
expect 0 "another client"
check "$work/seven" "r['keys'][0]['eesp_client'] == 7 and r['keys'][0]['k'] != json.load(open('$work/eight'))['keys'][0]['k']"
report $? "each has its own key"
eesp grant --keyring "$work/seven" --policy pairs --client 8 --out "$work/x"
expect 1 "a client grants nothing" 'no grant'

finish
