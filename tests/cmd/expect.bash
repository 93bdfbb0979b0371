# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What the tests of the eesp command share.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

export PYTHONDONTWRITEBYTECODE=1
# shellcheck disable=SC2034 # used by those who source this
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
need "eesp" "$EESP_BIN" python3

# expect STATUS NAME PATTERN...: the exit status of the last command, and what
# must be printed.
expect() {
    local got=$? status=$1 name=$2 pattern
    shift 2
    if [ "$got" -ne "$status" ]; then
        not_ok "$name" "exit status $got, not $status"
        return
    fi
    for pattern in "$@"; do
        if ! grep -qE -- "$pattern" "$out" "$err"; then
            not_ok "$name" "nothing matches '$pattern'"
            return
        fi
    done
    ok "$name"
}

eesp() {
    "$EESP_BIN" "$@" >"$out" 2>"$err"
}

# check FILE EXPRESSION: Python, with the keyring as r.
check() {
    python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); sys.exit(not eval("(" + sys.argv[2] + ")"))' "$@" 2>>"$err"
}
