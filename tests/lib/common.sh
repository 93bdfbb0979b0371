# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What the shell tests share. A test script sources this file, calls `report`
# once per case, and ends with `finish`:
#
#     . "$(dirname "$0")/../lib/common.sh"
#     run_mpi 2 UCX_TLS=eesp UCX_EESP_LOWER=tcp -- "$MPI_CHECK" p2p
#     report $? "p2p over tcp"
#     finish
#
# From the environment, all optional:
#   top_builddir    build tree (default: the source tree)
#   EESP_PLUGIN     libuct_eesp.so.0
#   EESP_BIN        the eesp command
#   MPI_CHECK       the mpi_check program
#   RUN_TIMEOUT     seconds one MPI job may take (default 60)

set -u
export LC_ALL=C

# Settings of the caller's shell must not leak into the jobs.
while read -r variable; do
    unset "$variable"
done < <(compgen -e | grep '^UCX_')
unset variable

tests_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
top_builddir=$(cd "${top_builddir:-$tests_dir/..}" && pwd)

# first_file FILE...: the first that exists, or the first name for the error
# message.
first_file() {
    local f
    for f in "$@"; do
        if [ -e "$f" ]; then
            printf '%s\n' "$f"
            return
        fi
    done
    printf '%s\n' "$1"
}

# built NAME DIR: a program or shared object of the build tree; libtool leaves
# the real file in .libs.
built() {
    first_file "$top_builddir/$2/.libs/$1" "$top_builddir/$2/$1"
}

EESP_PLUGIN=${EESP_PLUGIN:-$(built libuct_eesp.so.0 ucx_plugin)}
EESP_BIN=${EESP_BIN:-$top_builddir/src/cmd/eesp}
MPI_CHECK=${MPI_CHECK:-$top_builddir/tests/mpi/mpi_check}
RUN_TIMEOUT=${RUN_TIMEOUT:-60}

# A sanitizer that the plugin was built with must be loaded before everything
# else.
sanitizer=$(ldd "$EESP_PLUGIN" 2>/dev/null | awk '/libasan/ { print $3 }')
plugin_preload=${sanitizer:+$sanitizer:}$EESP_PLUGIN

# reported FILE...: a sanitizer has something to say, whatever the exit status.
reported() {
    [ -n "$sanitizer" ] &&
        grep -qaE 'runtime error:|ERROR: (Address|Leak)Sanitizer' "$@"
}

passed=0
failed=0
skipped=0
background=()

work=$(mktemp -d "${TMPDIR:-/tmp}/eesp-test.XXXXXX") || exit 1
out=$work/out # standard output of the last MPI job
err=$work/err # its standard error

cleanup() {
    local pid
    for pid in ${background[@]+"${background[@]}"}; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

note() {
    printf '%s\n' "$*" | sed 's/^/# /'
}

ok() {
    passed=$((passed + 1))
    printf 'ok - %s\n' "$1"
}

# not_ok NAME [REASON]: with the end of what the last job printed, as comments.
not_ok() {
    failed=$((failed + 1))
    printf 'not ok - %s\n' "$1"
    if [ -n "${2:-}" ]; then
        note "$2"
    fi
    if [ -s "$out" ]; then
        tail -n 5 "$out" | sed 's/^/# out: /'
    fi
    if [ -s "$err" ]; then
        tail -n 15 "$err" | sed 's/^/# err: /'
    fi
}

skip() {
    skipped=$((skipped + 1))
    printf 'ok - %s # skip %s\n' "$1" "$2"
}

# report STATUS NAME [REASON]
report() {
    if [ "$1" -eq 0 ]; then
        ok "$2"
    else
        not_ok "$2" "${3:-exit status $1}"
    fi
}

# Closing line, and the script's exit status: 77 tells automake that nothing
# could be tested.
finish() {
    local line="$passed passed, $failed failed"
    if [ "$skipped" -gt 0 ]; then
        line="$line, $skipped skipped"
    fi
    printf '%s\n' "$line"
    if [ "$failed" -gt 0 ]; then
        exit 1
    fi
    if [ "$passed" -eq 0 ]; then
        exit 77
    fi
    exit 0
}

# need NAME FILE...: skips the whole script when something to test with is
# missing.
need() {
    local f
    for f in "${@:2}"; do
        if [ ! -e "$f" ] && ! command -v "$f" >/dev/null; then
            skip "$1" "no $f"
            finish
        fi
    done
}

# make_keyring FILE
make_keyring() {
    "$EESP_BIN" keygen --levels domain,job --out "$1" >"$work/keygen" 2>&1 || {
        note "$EESP_BIN keygen failed: $(tail -n 1 "$work/keygen")"
        return 1
    }
}

# Debian switches Open MPI's UCX components off in its system file; these switch
# them on, and leave no other way for data.
mpirun_options=(
    --allow-run-as-root --oversubscribe
    --mca pml ucx --mca osc ucx --mca btl self
    --mca opal_common_ucx_tls any --mca opal_common_ucx_devices any
    --mca op '^avx'
    --mca orte_abort_timeout 5
)

# run_mpi NP VAR=VALUE... -- PROGRAM ARG...: runs a job, leaves its output in
# $out and $err, returns its exit status. Shared objects in RUN_PRELOAD
# (separated by colons) are loaded into the ranks; where UCX_TLS names eesp, the
# plugin too. RUN_USER, if set, is who runs the job. Further options of mpirun
# are in RUN_OPTIONS; RUN_UNDER is a command that mpirun is started with. What a
# sanitizer reports is a failure of its own; not leaks, of which Open MPI has
# some.
RUN_OPTIONS=()
RUN_UNDER=()
run_mpi() {
    local np=$1 preload=${RUN_PRELOAD:-} as=()
    local env=(-x "UCX_NET_DEVICES=${RUN_NET_DEVICES:-lo}")
    shift
    while [ "$1" != -- ]; do
        env+=(-x "$1")
        case $1 in
        UCX_TLS=*eesp*) preload=$plugin_preload${preload:+:$preload} ;;
        esac
        shift
    done
    shift
    if [ -n "$preload" ]; then
        env+=(-x "LD_PRELOAD=$preload")
    fi
    if [ -n "$sanitizer" ]; then
        env+=(-x ASAN_OPTIONS=detect_leaks=0)
    fi
    # A rank that spins starves the one it waits for when there are more ranks
    # than cores.
    if [ -z "${OMPI_MCA_mpi_yield_when_idle:-}" ] && [ "$np" -gt "$(nproc)" ]; then
        env+=(--mca mpi_yield_when_idle 1)
    fi
    if [ -n "${RUN_USER:-}" ]; then
        as=(runuser -u "$RUN_USER" --)
    fi
    timeout -k 5 "$RUN_TIMEOUT" ${as[@]+"${as[@]}"} \
        ${RUN_UNDER[@]+"${RUN_UNDER[@]}"} mpirun "${mpirun_options[@]}" \
        ${RUN_OPTIONS[@]+"${RUN_OPTIONS[@]}"} -np "$np" "${env[@]}" "$@" \
        >"$out" 2>"$err" </dev/null
    local status=$?
    if reported "$out" "$err"; then
        not_ok "no report of a sanitizer"
    fi
    return $status
}

# lanes: the lanes UCX chose in the last job (UCX_LOG_LEVEL=info), one
# `transport/device` a line. UCX 1.13 prints `ep_cfg[0]: tag(self/memory0
# tcp/lo) rma_am(tcp/lo)` for each endpoint configuration.
lanes() {
    cat "$out" "$err" | sed -n 's/.*ep_cfg\[[0-9]*\]: //p' |
        grep -o '([^)]*)' | tr -d '()' | tr ' ' '\n' | grep . | sort -u
}
