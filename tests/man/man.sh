#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# man.sh: the manual pages are well formed and say what is so. Their examples
# run; every option, variable, message and value that the code knows is there,
# and none that it does not know.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

export PYTHONDONTWRITEBYTECODE=1
source=$(cd "$tests_dir/.." && pwd)
man=$source/man
pages=(eesp.1 libeesp_verbs.3 eesp-keyring.5 eesp.7 uct_eesp.7)
need "manual pages" mandoc man python3 jq "$EESP_BIN"

pages+=(eesp-slurm.7)
refresh=$top_builddir/spank/eesp-slurm-refresh

# same NAME WANT GOT: two files hold the same lines, in whatever order.
same() {
    sort -u "$2" >"$work/want.sorted"
    sort -u "$3" >"$work/got.sorted"
    : >"$err"
    diff "$work/want.sorted" "$work/got.sorted" >"$out" &&
        [ -s "$work/want.sorted" ]
    report $? "$1" "< is in the program only, > in the page only"
}

# ---- Form --------------------------------------------------------------------

for page in "${pages[@]}"; do
    : >"$err"
    mandoc -Tlint -Wwarning "$man/$page" >"$out" 2>"$err" && [ ! -s "$out" ]
    report $? "$page: mandoc -Tlint"
    MANWIDTH=80 man --warnings -l "$man/$page" >"$work/$page.txt" 2>"$err" &&
        [ ! -s "$err" ] && [ "$(wc -l <"$work/$page.txt")" -gt 50 ]
    report $? "$page: man -l"
    for other in $(sed -n 's/^\.Xr \([^ ]*\) \([0-9]\).*/\1.\2/p' \
        "$man/$page" | grep eesp | sort -u); do
        [ -e "$man/$other" ]
        report $? "$page: refers to $other"
    done
done

make -C "$top_builddir" install-man DESTDIR="$work/root" mandir=/man \
    >"$out" 2>"$err"
for page in "${pages[@]}"; do
    if [ "$page" = uct_eesp.7 ] && [ ! -e "$EESP_PLUGIN" ]; then
        skip "$page: installed" "no plugin"
    elif [ "$page" = eesp-slurm.7 ] && [ ! -e "$refresh" ]; then
        skip "$page: installed" "no SPANK plugin"
    else
        cmp -s "$man/$page" "$work/root/man/man${page##*.}/$page"
        report $? "$page: installed"
    fi
done

# ---- Examples ----------------------------------------------------------------

mkdir "$work/bin"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$EESP_BIN" >"$work/bin/eesp"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$refresh" >"$work/bin/eesp-slurm-refresh"
chmod +x "$work/bin"/*

# UCX's measurement has one port: in a network namespace of its own where that
# can be had, so as not to meet somebody else's.
alone=(bash -c)
if unshare -n ip link set lo up 2>/dev/null; then
    # shellcheck disable=SC2016
    alone=(unshare -n bash -c 'ip link set lo up; exec bash -c "$@"' alone)
fi

# What stands for the program, the settings and the capture that the pages
# speak of.
prepare() {
    local page=$1 dir=$2
    case $page in
    eesp-keyring.5)
        python3 "$tests_dir/man/pages.py" keyring "$man/$page" \
            >"$dir/keyring.jwks"
        ;;
    uct_eesp.7)
        printf '#!/bin/sh\nLD_PRELOAD="%s" exec "%s" allreduce\n' \
            "$EESP_PLUGIN" "$MPI_CHECK" >"$dir/program"
        chmod +x "$dir/program"
        mkdir -p "$dir/.openmpi"
        python3 "$tests_dir/man/pages.py" ompi "$man/$page" |
            grep -v component_path >"$dir/.openmpi/mca-params.conf"
        ;;
    eesp.7)
        # A recording under the keys that leak.
        if [ -e "$dir/keyring.jwks" ] && [ ! -e "$dir/leaked.jwks" ]; then
            (cd "$tests_dir/cmd" && python3 capture.py plain \
                "$dir/keyring.jwks" "$dir/job.pcap" >/dev/null)
        fi
        ;;
    eesp.1)
        # The keyring is made by the first example.
        if [ -e "$dir/keyring.jwks" ] && [ ! -e "$dir/job.pcap" ]; then
            (cd "$tests_dir/cmd" &&
                python3 capture.py plain "$dir/keyring.jwks" "$dir/job.pcap" \
                    >"$work/payloads" &&
                python3 -c '
import sys
from seal import Ring
print(Ring(sys.argv[1]).seal("ranks", source_rank=0, destination_rank=1,
      incarnation=1, bound_to=0xd1d2d3d4d5d6d7d8, sequence=1,
      payload=b"hello").hex())' "$dir/keyring.jwks" >"$dir/packets.hex")
        fi
        ;;
    esac
}

# missing FILE: what this machine lacks to run that example.
missing() {
    if grep -q -e --pcap "$1" && "$EESP_BIN" decode --pcap /dev/null 2>&1 |
        grep -q 'not built with libpcap'; then
        echo "no libpcap"
    elif grep -q tshark "$1" && ! command -v tshark >/dev/null; then
        echo "no tshark"
    elif grep -q mpirun "$1" && { ! command -v mpirun >/dev/null ||
        [ ! -e "$MPI_CHECK" ] || [ ! -e "$EESP_PLUGIN" ]; }; then
        echo "no Open MPI or no plugin"
    elif grep -q ucx_ "$1" && { ! command -v ucx_perftest >/dev/null ||
        [ ! -e "$EESP_PLUGIN" ]; }; then
        echo "no ucx-utils or no plugin"
    elif grep -q eesp-slurm "$1" && [ ! -e "$refresh" ]; then
        echo "no SPANK plugin"
    fi
}

# run_example FILE STATUS PATTERN DIR
run_example() {
    local got
    # shellcheck disable=SC2016
    mkdir -p "$4/pages" # nobody else's processes are looked at
    (cd "$4" && HOME=$4 UCX_EESP_STAT_DIR=$4/pages PATH=$work/bin:$PATH OMPI_ALLOW_RUN_AS_ROOT=1 \
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
        OMPI_MCA_rmaps_base_oversubscribe=1 \
        timeout -k 5 "$RUN_TIMEOUT" "${alone[@]}" '
            trap "kill \$(jobs -p) 2>/dev/null || :" EXIT
            set -e -o pipefail
            . "$0"' "$1") >"$out" 2>"$err" </dev/null
    got=$?
    [ "$got" -eq "$2" ] || return 1
    cat "$out" "$err" | grep -qE -- "$3"
}

for page in "${pages[@]}"; do
    dir=$work/examples/$page
    mkdir -p "$dir" "$work/blocks/$page"
    # Writes N.sh for each marked block and "N STATUS PATTERN" to list.
    python3 "$tests_dir/man/pages.py" examples "$man/$page" \
        "$work/blocks/$page" >"$work/blocks/$page/list" 2>"$err"
    report $? "$page: every example says whether it is run"
    while read -r number status pattern <&3; do
        block=$work/blocks/$page/$number.sh
        sed -i "s|/usr/local/lib/ucx/libuct_eesp.so.0|$EESP_PLUGIN|
            s|/usr/local/share/eesp/wireshark|$source/wireshark|" "$block"
        name="$page: $(head -n 1 "$block" | tr -d '\\')"
        lacks=$(missing "$block")
        if [ -n "$lacks" ]; then
            skip "$name" "$lacks"
            continue
        fi
        prepare "$page" "$dir"
        run_example "$block" "$status" "$pattern" "$dir"
        report $? "$name" "exit status must be $status, and match: $pattern"
    done 3<"$work/blocks/$page/list"
done

# ---- Command line ------------------------------------------------------------

"$EESP_BIN" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p' \
    >"$work/subcommands"
sed -n '/^\.Sh DESCRIPTION/,/^\.Sh ENVIRONMENT/s/^\.Ss //p' "$man/eesp.1" \
    >"$work/sections"
same "eesp.1: subcommands" "$work/subcommands" "$work/sections"
while read -r sub; do
    "$EESP_BIN" "$sub" --help |
        sed -n 's/^  \(-[a-z], \)\{0,1\}\(--[a-z0-9-]*\).*/\2/p' >"$work/options"
    sed -n "/^\.Ss $sub\$/,/^\.S[sh] /s/^\.It Fl -\([a-z0-9-]*\).*/--\1/p" \
        "$man/eesp.1" >"$work/described"
    same "eesp.1: options of $sub" "$work/options" "$work/described"
    # --help stands in a line of its own.
    sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$man/eesp.1" |
        sed -n "/^\.Cm $sub\$/,/^\.Nm/p" | grep -o 'Fl -[a-z0-9-]*' |
        sed 's/Fl -/--/; $a--help' >"$work/described"
    same "eesp.1: synopsis of $sub" "$work/options" "$work/described"
done <"$work/subcommands"

# ---- Variables and settings --------------------------------------------------

if [ -e "$EESP_PLUGIN" ] && command -v ucx_info >/dev/null; then
    LD_PRELOAD=$EESP_PLUGIN ucx_info -cf 2>"$err" | awk -v dir="$work" '
        /^# inherits:/ { inherited = 1 }
        /^UCX_EESP_/   { print > (dir "/" (inherited ? "generic" : "own")) }
        /^UCX_/        { inherited = 0 }'
    sed -n 's/^\.It Ev \(UCX_EESP_[A-Z_]*\) Ns = Ns Li \(.*\)/\1=\2/p' \
        "$man/uct_eesp.7" >"$work/described"
    same "uct_eesp.7: variables and defaults" "$work/own" "$work/described"
    sed 's/=.*//' "$work/own" "$work/generic" >"$work/all"
    grep -oh 'UCX_EESP_[A-Z_]*' "$man/uct_eesp.7" >"$work/described"
    same "uct_eesp.7: names of all variables" "$work/all" "$work/described"
else
    skip "uct_eesp.7: variables" "no ucx_info or no plugin"
fi

make -s -C "$top_builddir" install-data-hook DESTDIR="$work/root" \
    prefix=/usr/local libdir=/usr/local/lib 2>"$err" |
    sed -n 's/^    \([a-z_]* = .*\)/\1/p' >"$work/printed"
if [ -s "$work/printed" ]; then
    python3 "$tests_dir/man/pages.py" ompi "$man/uct_eesp.7" \
        >"$work/described"
    same "uct_eesp.7: lines for Open MPI" "$work/printed" "$work/described"
else
    skip "uct_eesp.7: lines for Open MPI" "the hook was not built"
fi

# ---- Messages and values, from the source ------------------------------------

python3 "$tests_dir/man/pages.py" messages "$man/uct_eesp.7" "$source" \
    >"$out" 2>"$err"
report $? "uct_eesp.7: messages"
for what in policies keys values; do
    python3 "$tests_dir/man/pages.py" "$what" "$man/eesp-keyring.5" \
        "$source" "$work/want" "$work/got" >"$out" 2>"$err"
    same "eesp-keyring.5: $what" "$work/want" "$work/got"
done

finish
