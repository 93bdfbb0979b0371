#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# coverage.sh: lines and branches of src/lib and ucx_plugin that the tests run,
# in a build tree with --enable-coverage. What a process does that ends by
# abort() or a signal is not counted, and so some of the refusals seem untested.
#
# In a network namespace of its own: jobs of other tests may run meanwhile.
if [ -z "${EESP_ALONE:-}" ] && unshare -n true 2>/dev/null; then
    EESP_ALONE=yes exec unshare -n bash -c \
        'ip link set lo up && exec "$0" "$@"' "$0" "$@"
fi
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

# Per cent: of lines and branches.
declare -A lines=([src/lib]=95 [ucx_plugin]=85)
declare -A branches=([src/lib]=90 [ucx_plugin]=0)
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
        run_mpi 2 UCX_TLS=eesp UCX_EESP_LOWER=$lower UCX_EESP_RMA=n \
            UCX_EESP_KEYRING="$keyring" -- "$MPI_CHECK" p2p rma || return
    done
}

# Works with a card only, emulated in the guest: tests/rdma/conf-guest.sh.
echo "### offload*.c: runs in the guest of tests/rdma, not counted here"
exclude=(--exclude '.*/ucx_plugin/offload.*\.c')
# What is for AVX-512 only does not run on other CPUs, and is not counted there.
if ! "$EESP_BIN" selftest | grep -q '^bursts .* available'; then
    echo "### no AVX-512 on this CPU: what seals and opens bursts is not counted"
    exclude+=(--exclude '.*/(lanes.*|lane_lanes|seal_burst|open_burst)\.[ch]')
fi

# table DIR: a line a file, and the total of them.
table() {
    gcovr --csv --root "$source_dir" --filter "$source_dir/$1/" \
        "${exclude[@]}" "$top_builddir" \
        2>"$logs/gcovr.log" |
        awk -F, -v dir="$1" '
            function percent(part, of) {
                return of > 0 ? 100 * part / of : 100
            }
            function row(name, run, all, taken, ways) {
                printf "%-26s %5d of %5d lines %5.1f %%", name, run, all,
                    percent(run, all)
                printf " %5d of %5d branches %5.1f %%\n", taken, ways,
                    percent(taken, ways)
            }
            NR > 1 && $2 > 0 {
                row($1, $3, $2, $6, $5)
                r += $3; a += $2; t += $6; w += $5
            }
            END { row("total of " dir, r, a, t, w) }'
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
quietly audit "$tests_dir/see/audit.sh"
quietly keylog "$tests_dir/see/keylog.sh"
if [ -e "$MPI_CHECK" ] && make_keyring "$keyring"; then
    quietly mpi short_mpi
fi

: >"$out" # of the job, which has nothing to say here
: >"$err"
for dir in src/lib ucx_plugin; do
    table $dir | tee "$work/table"
    read -r of_lines of_branches < <(
        awk '/^total/ { print $(NF - 7), $(NF - 1) }' "$work/table")
    awk -v l="$of_lines" -v b="$of_branches" -v lines="${lines[$dir]}" \
        -v branches="${branches[$dir]}" \
        'BEGIN { exit !(l >= lines && b >= branches) }'
    report $? "$dir: $of_lines % of its lines, goal ${lines[$dir]} %;\
 $of_branches % of its branches, goal ${branches[$dir]} %"
    echo
done
finish
