#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# eesp keygen: files, modes and mistakes.
#
# shellcheck source=tests/cmd/expect.bash
. "$(dirname "$0")/expect.bash"

ring=$work/ring.jwks

# one_file FILE: no temporary file is left beside it.
one_file() {
    set -- "$1" "$1"*
    [ "$#" -eq 2 ] && [ "$1" = "$2" ]
}

(umask 0; eesp keygen --levels domain,job --out "$ring")
expect 0 "keygen" "export UCX_EESP_KEYRING=$ring\$" 'policy +ranks' 'policy +pairs'
[ "$(stat -c %a "$ring")" = 600 ]
report $? "mode 0600 whatever the umask"
one_file "$ring"
report $? "no temporary file is left"
check "$ring" '[k["eesp_level"] for k in r["keys"]] == ["domain", "job"] and
    all(len(k["k"]) == 43 and k["eesp_generation"] == 1 and k["eesp_state"] == "current" and "exp" not in k for k in r["keys"]) and
    [p["name"] for p in r["eesp_policies"]] == ["ranks", "pairs"] and
    [p["spi"] for p in r["eesp_policies"]] == [65537, 65538] and
    all(p["bind_destination"] is True and p["replay"] == "strict" and p["phase_shift"] == 23 and p["max_payload"] == 66560 for p in r["eesp_policies"])'
report $? "keyring is as its format says"

cp "$ring" "$work/before"
eesp keygen --levels job --out "$ring"
expect 1 "an existing file stays" 'exists' '--force'
cmp -s "$ring" "$work/before" && one_file "$ring"
report $? "and is not touched"
ln -s "$work/nowhere" "$work/link"
eesp keygen --levels job --out "$work/link"
expect 1 "a dangling link is an existing file"
eesp keygen --levels job --out "$ring" --force
expect 0 "--force replaces"
! cmp -s "$ring" "$work/before" && [ "$(stat -c %a "$ring")" = 600 ]
report $? "with mode 0600"

(umask 0777; eesp keygen --levels job --out "$work/umask.jwks")
expect 0 "umask 0777"
[ "$(stat -c %a "$work/umask.jwks")" = 600 ]
report $? "still gives mode 0600"

eesp keygen --levels domain,tenant --out "$work/no-job.jwks"
expect 0 "no job or task level: note" 'no policy "ranks"'
check "$work/no-job.jwks" '[p["name"] for p in r["eesp_policies"]] == ["pairs"]'
report $? "and only the policy pairs"
eesp keygen --levels domain,tenant,job,task --out "$work/all.jwks" --kid domain=cluster-a --kid task=t:1._- --lifetime 12h
expect 0 "four levels" 'domain +cluster-a'
check "$work/all.jwks" '{k["eesp_level"]: k["kid"] for k in r["keys"]}["task"] == "t:1._-" and
    all(abs(k["exp"] - __import__("time").time() - 12 * 3600) < 60 for k in r["keys"]) and
    len({k["k"] for k in r["keys"]}) == 4 and len({k["kid"] for k in r["keys"]}) == 4'
report $? "ids and lifetime"
for level in domain tenant job task; do
    eesp keygen --levels $level --out "$work/$level.jwks" && eesp show "$work/$level.jwks"
    expect 0 "level $level alone loads" "^$level "
done

(umask 022; "$EESP_BIN" keygen --levels job --out - >"$work/stdout.jwks" 2>"$err")
expect 0 "--out - warns of a file others may read" 'warning: others may read'
check "$work/stdout.jwks" 'len(r["keys"]) == 1'
report $? "and writes the keyring"
"$EESP_BIN" keygen --levels job --out - 2>"$err" | cat >"$out"
! grep -q warning "$err" && check "$out" 'len(r["keys"]) == 1'
report $? "--out - into a pipe does not"
if [ -w /dev/full ]; then
    "$EESP_BIN" keygen --levels job --out - >/dev/full 2>"$err"
    expect 1 "full device" 'cannot write'
    "$EESP_BIN" --help >/dev/full 2>"$err"
    expect 1 "full device under --help" 'cannot write'
fi
eesp keygen --levels job --out "$work/none/ring.jwks"
expect 1 "missing directory" 'mkdir'
eesp keygen --levels job --out "$work"
expect 1 "directory in place of a file"

usage() {
    eesp keygen "${@:3}"
    expect 2 "usage: $1" "$2"
    [ ! -e "$work/usage.jwks" ] || not_ok "$1 made a file"
}
to=(--out "$work/usage.jwks")
usage "unknown level" "unknown level 'rank'" --levels domain,rank "${to[@]}"
usage "level twice" "'job' is given twice" --levels job,domain,job "${to[@]}"
usage "no level" "unknown level ''" --levels "" "${to[@]}"
usage "empty level" "unknown level ''" --levels job, "${to[@]}"
usage "no --levels" "needs --levels" "${to[@]}"
usage "no --out" "needs --levels and --out" --levels job
usage "kid of another level" "not in --levels" --levels job --kid domain=a "${to[@]}"
usage "kid without level" "not LEVEL=ID" --levels job --kid a "${to[@]}"
usage "kid of no level" "unknown level" --levels job --kid a=b "${to[@]}"
usage "kid twice" "given twice" --levels job --kid job=a --kid job=b "${to[@]}"
usage "kid with a quote" "is not an id" --levels job --kid 'job=a"b' "${to[@]}"
usage "empty kid" "is not an id" --levels job --kid job= "${to[@]}"
usage "kid too long" "is not an id" --levels job --kid job=123456789012345678901234567890123 "${to[@]}"
for lifetime in 0 -1 1w 1dd d '' ' 1' 36501 99999999999999999999; do
    usage "lifetime '$lifetime'" "is not a time" --levels job --lifetime "$lifetime" "${to[@]}"
done
usage "extra argument" "unexpected argument" --levels job "${to[@]}" extra
usage "unknown option" "unrecognized" --levels job "${to[@]}" --bits 128
eesp keygen --levels job --kid job=12345678901234567890123456789012 --out "$work/long.jwks"
expect 0 "kid of 32 characters"

finish
