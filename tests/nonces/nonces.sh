#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# nonces.sh: no nonce comes twice under one key, among EESP_NONCES of them (20
# million); and faults that make one come twice are found.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

program=$top_builddir/tests/nonces/nonces
count=${EESP_NONCES:-20000000}
need "nonces" "$program"
if [ "$count" -lt 1000000000 ]; then
    echo "### SHORT RUN: $count nonces, not 1000000000 (EESP_NONCES)"
fi
"$program" --count "$count" --memory 900 >"$out" 2>"$err"
report $? "$(<"$out")"
for fault in counter lease fork incarnation; do
    "$program" --count 400000 --fault $fault >"$out" 2>"$err"
    [ $? -eq 1 ] && grep -q 's: [1-9][0-9]* came twice' "$out"
    report $? "fault in the $fault is found: $(sed 's/.*: //' "$out")"
done
finish
