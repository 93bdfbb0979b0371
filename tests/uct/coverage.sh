#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# coverage.sh: lines of src/lib and ucx_plugin that the tests run, in a build
# tree with --enable-coverage. What a process does that ends by abort() or a
# signal is not counted, and so some of the refusals seem untested.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

goal=85 # per cent, of each
source_dir=$(cd "$tests_dir/.." && pwd)
logs=$top_builddir/coverage
keyring=$work/keyring.jwks

# quietly NAME COMMAND...: a failure is said, and does not end the counting.
quietly() {
    local name=$1 start=$SECONDS
    shift
    "$@" >"$logs/$name.log" 2>&1 </dev/null
    local status=$?
    if [ $status -ne 0 ] && [ $status -ne 77 ]; then
        note "$name: exit status $status, see $logs/$name.log"
    fi
    note "$name: $((SECONDS - start)) s"
}

short_mpi() {
    local lower
    for lower in tcp posix; do
        run_mpi 2 UCX_TLS=eesp UCX_EESP_LOWER=$lower \
            UCX_EESP_KEYRING="$keyring" -- "$MPI_CHECK" \
            p2p unexpected flood allreduce rma || return
    done
}

# table DIR: a line a file, and the total of them.
table() {
    gcovr --csv --root "$source_dir" --filter "$source_dir/$1/" "$top_builddir" \
        2>"$logs/gcovr.log" |
        awk -F, -v dir="$1" '
            NR == 1 { next }
            $2 > 0 {
                printf "%-32s %5d of %5d lines  %5.1f %%\n", $1, $3, $2,
                    100 * $3 / $2
                all += $2; run += $3
            }
            END {
                printf "%-32s %5d of %5d lines  %5.1f %%\n", "total of " dir,
                    run, all, (all > 0) ? 100 * run / all : 0
            }'
}

need "coverage" gcovr "$EESP_BIN" "$EESP_PLUGIN"
if [ -z "$(find "$top_builddir/src/lib" -name '*.gcno' -print -quit)" ]; then
    skip "coverage" "this build tree was not configured with --enable-coverage"
    finish
fi

mkdir -p "$logs"
find "$top_builddir" -name '*.gcda' -delete
export top_builddir EESP_BIN srcdir="$source_dir"
quietly unit make -C "$top_builddir" -j"$(nproc)" check
for script in "$tests_dir"/cmd/*.sh; do
    quietly "command-$(basename "$script" .sh)" "$script"
done
quietly programs "$tests_dir/uct/programs.sh"
quietly vfs "$tests_dir/uct/vfs.sh"
if [ -e "$MPI_CHECK" ] && make_keyring "$keyring"; then
    quietly mpi short_mpi
fi

: >"$out" # of the job, which has nothing to say here
: >"$err"
for dir in src/lib ucx_plugin; do
    table $dir | tee "$work/table"
    percent=$(awk '/^total/ { print $(NF - 1) }' "$work/table")
    awk -v is="$percent" -v goal=$goal 'BEGIN { exit !(is >= goal) }'
    report $? "$dir: $percent % of its lines were run, goal $goal %"
    echo
done
finish
