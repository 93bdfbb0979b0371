#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# constant-time.sh: no branch and no address of src/lib depends on a secret, as
# two compilers make it at three levels of optimization, nor does the time to
# refuse a packet. Outside: AVX-512, which valgrind does not have (timing
# covers it), and the text of the keyring file, which its owner decodes once.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

here=$tests_dir/constant-time
source_dir=$(cd "$tests_dir/.." && pwd)
timing=$top_builddir/tests/constant-time/timing

# variable NAME: of the Makefile that configure wrote
variable() {
    sed -n "s/^$1 = //p" "$top_builddir/Makefile"
}

# compile COMPILER LEVEL OUT
compile() {
    # shellcheck disable=SC2046 # lists of words
    "$1" "$2" -gdwarf-4 -std=gnu11 -D_GNU_SOURCE -I"$top_builddir" \
        -I"$source_dir/src/lib" -I"$here" -include "$here/secrets.h" \
        $(variable CRYPTO_CFLAGS) $(variable JANSSON_CFLAGS) \
        "$source_dir"/src/lib/*.c "$here"/{main,algorithms,lanes,psp_tss}.c \
        -o "$3" $(variable CRYPTO_LIBS) $(variable JANSSON_LIBS) \
        $(variable IPSEC_MB_LIBS) -lpthread
}

# check COMPILER LEVEL
check() {
    local program=$work/secrets$1$2 line
    if ! compile "$1" "$2" "$program" >"$program.cc" 2>&1; then
        not_ok "$1 $2: builds" "$(grep -m 5 error "$program.cc")"
        return
    fi
    valgrind -q --num-callers=20 --suppressions="$here/libcrypto.supp" \
        "$program" >"$program.out" 2>"$program.err"
    while read -r line; do
        case $line in
        "ok - "*) ok "$1 $2: ${line#ok - }" ;;
        "not ok - "*)
            line=${line#not ok - }
            not_ok "$1 $2: $line" "$(grep -F -A 12 "case: ${line%% #*}" \
                "$program.err")"
            ;;
        esac
    done <"$program.out"
    [ "$(tail -n 1 "$program.out")" = "done" ]
    report $? "$1 $2: all cases ran" "$(tail -n 20 "$program.err")"
}

need "constant time" valgrind gcc "$timing"
for level in -O0 -O2 -O3; do
    for compiler in gcc clang; do
        if command -v "$compiler" >/dev/null; then
            check "$compiler" "$level"
        else
            skip "$compiler $level" "no $compiler"
        fi
    done
done
outside=$("$EESP_BIN" selftest | grep -o 'ipsec-mb-avx512' | sort -u)
[ -z "$outside" ] || echo "### valgrind has no AVX-512: timing test only"

"$timing" >"$out" 2>"$err"
[ $? -le 1 ]
report $? "timing ran" "$(cat "$err")"
while read -r line; do
    case $line in
    "ok - "*) ok "timing: ${line#ok - }" ;;
    "not ok - "*) not_ok "timing: ${line#not ok - }" ;;
    esac
done <"$out"
finish
