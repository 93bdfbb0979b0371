#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# published.sh: known answers published by others, through every backend.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

program=$top_builddir/tests/published/published
need "published answers" python3 "$program"
export PYTHONDONTWRITEBYTECODE=1
python=
for candidate in /usr/bin/python3 python3; do # Debian's has Debian's packages
    if "$candidate" -c 'import cryptography_vectors' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    skip "published answers" "no Debian package python3-cryptography-vectors"
    finish
fi
if ! "$python" "$tests_dir/published/answers.py" >"$work/lines" \
    2>"$work/sets"; then
    not_ok "published answers are read" "$(cat "$work/sets")"
    finish
fi
while read -r line; do
    note "$line answers"
done <"$work/sets"
"$program" <"$work/lines" >"$work/told"
report $? "every answer is right" "$(grep '^not ok' "$work/told" | head)"
while read -r line; do
    case $line in
    "ok - "*) ok "${line#ok - }" ;;
    "not ok - "*" right, "*) not_ok "${line#not ok - }" ;;
    esac
done <"$work/told"
# A wrong answer is told: the last byte of the first ICV.
sed '/^aead.* valid$/ { s/0 valid$/1 valid/; t; s/[1-9a-f] valid$/0 valid/ }' \
    "$work/lines" | "$program" >"$out" 2>&1
[ $? -eq 1 ] && grep -q '^not ok' "$out"
report $? "changed answers are told"
[ -n "${WYCHEPROOF_DIR:-}" ] ||
    skip "Wycheproof" "WYCHEPROOF_DIR does not name a folder of its vectors"
finish
