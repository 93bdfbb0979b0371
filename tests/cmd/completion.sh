#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What bash proposes for eesp(1): every subcommand, every option of each, and
# what options take.
# shellcheck source=tests/cmd/expect.bash
. "$(dirname "$0")/expect.bash"

# shellcheck source=src/cmd/completion/eesp
. "$here/../../src/cmd/completion/eesp"

# proposals WORD...: for the last one.
proposals() {
    COMP_WORDS=("$EESP_BIN" "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _eesp
    printf '%s\n' "${COMPREPLY[@]}" | sort >"$out"
}

# proposed NAME PROPOSAL...: exactly these.
proposed() {
    local name=$1
    shift
    printf '%s\n' "$@" | sort | cmp -s - "$out"
    report $? "$name" "$(tr '\n' ' ' <"$out")"
}

subcommands=$("$EESP_BIN" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p')
proposals ''
# shellcheck disable=SC2086
proposed "subcommands" $subcommands help --help --version
[ "$(wc -w <<<"$subcommands")" -ge 7 ]
report $? "there are as many as eesp --help names"
proposals ke
proposed "the rest of a word" keygen
proposals help s
proposed "help of a subcommand" selftest show stat
for sub in $subcommands; do
    proposals "$sub" --
    missing=$("$EESP_BIN" "$sub" --help | grep -oE '^ +(-., )?--[a-z0-9-]+' |
        grep -oE -e '--[a-z0-9-]+' | sort -u | comm -23 - "$out")
    [ -z "$missing" ] && grep -qx -e --help "$out"
    report $? "options of $sub" "not proposed: $missing"
done
proposals rotate --level ''
proposed "levels" domain tenant job task
proposals rotate ''
proposed "steps" stage promote retire epoch
ring=$work/ring.jwks
eesp keygen --levels domain,job --out "$ring"
proposals grant --keyring "$ring" --policy ''
proposed "policies of the keyring named before" pairs ranks
proposals grant --keyring "$work/none" --policy ''
proposed "no keyring, no policies" ''
proposals show "$work/ri"
proposed "files" "$ring"

finish
