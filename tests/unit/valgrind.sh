#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# valgrind.sh: the unit programs under memcheck: no invalid access, nothing used
# that was never written, no leak. Four are left out: valgrind has an allocator
# of its own, and its memory, where two of them look for keys, holds the guest's
# registers; the fourth looks for keys below its own stack. ASAN runs all of
# them.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

left_out=" test_failures test_keyring_memory test_lane_memory test_mlx5 "
export srcdir=${srcdir:-$tests_dir/..}

# one PROGRAM: a line of its result.
one() {
    local name log
    name=$(basename "$1")
    log=$work/$name.log
    if timeout 300 valgrind -q --error-exitcode=99 --leak-check=full \
        --errors-for-leak-kinds=definite "$1" >"$log" 2>&1; then
        echo "ok $name"
    else
        echo "failed $name"
    fi
}
export -f one
export work

need "valgrind" valgrind "$top_builddir/tests/unit/test_lane"
for program in "$top_builddir"/tests/unit/test_*; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    [[ $left_out == *" $(basename "$program") "* ]] || echo "$program"
done >"$work/programs"
# The longest first.
{ grep -E '/test_(aead|psp)$' "$work/programs"
    grep -vE '/test_(aead|psp)$' "$work/programs"; } |
    xargs -P "$(nproc)" -I '{}' bash -c 'one "$1"' one '{}' >"$out"
while read -r result name; do
    [ "$result" = ok ]
    report $? "$name under valgrind" "$(tail -n 30 "$work/$name.log")"
done <"$out"
[ "$(wc -l <"$out")" -eq "$(wc -l <"$work/programs")" ]
report $? "all programs ran"
finish
