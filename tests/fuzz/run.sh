#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# run.sh [TARGET...]: feeds each parser with whatever libFuzzer thinks of, under
# ASAN and UBSAN, for EESP_FUZZ_SECONDS seconds a target (60; 10 where CI=true),
# two at a time. An input that breaks a rule is kept in
# $top_builddir/fuzz-findings. To see it again:
#
#     EESP_FUZZ_INPUT=FILE tests/fuzz/run.sh TARGET
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

here=$(cd "$(dirname "$0")" && pwd)
source_dir=$(cd "$here/../.." && pwd)
findings=$top_builddir/fuzz-findings
targets=(header open keyring psp tss hex pcap command)
[ $# -eq 0 ] || targets=("$@")

seconds=60
if [ "${CI:-}" = true ]; then
    seconds=10
fi
seconds=${EESP_FUZZ_SECONDS:-$seconds}
if [ "$seconds" -lt 60 ]; then
    echo "### SHORT RUN: $seconds s for each target, not 60 (EESP_FUZZ_SECONDS)"
fi

need "fuzzing" clang python3 "$top_builddir/eesp_config.h" "$EESP_BIN"
printf '#include <stddef.h>\nint LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)\n{ return p && n ? 0 : 0; }\n' >"$work/probe.c"
if ! clang -fsanitize=fuzzer,address,undefined "$work/probe.c" -o "$work/probe" 2>"$err"; then
    skip "fuzzing" "this clang has no libFuzzer: apt-get install clang libclang-rt-dev"
    finish
fi

# variable NAME: as configure set it.
variable() {
    sed -n "s/^$1 = //p" "$top_builddir/Makefile" | head -n 1
}

common=(-g -O1 -std=gnu11 -D_GNU_SOURCE -DHAVE_CONFIG_H -Wall -Wextra
    -fno-sanitize-recover=undefined -I"$top_builddir" -I"$source_dir/src/lib"
    -I"$source_dir/src/source" -I"$source_dir/src/cmd" -I"$here"
    -DEESP_OPENMPI_DIR='"/none"')
read -ra libraries < <(echo "$(variable CRYPTO_LIBS) $(variable JANSSON_LIBS)" \
    "$(variable IPSEC_MB_LIBS) $(variable PCAP_LIBS)")
read -ra pcap_flags < <(variable PCAP_CFLAGS)

compile() {
    clang "${common[@]}" ${pcap_flags[@]+"${pcap_flags[@]}"} \
        -fsanitize=fuzzer-no-link,address,undefined -c "$1" -o "$2"
}

mkdir -p "$work/lib" "$work/source" "$work/job" "$work/cmd" "$findings"
jobs=()
for file in "$source_dir"/src/{lib,source,job,cmd}/*.c; do
    [ "$(basename "$file")" != main.c ] || continue # is in fuzz_command
    kind=$(basename "$(dirname "$file")")
    compile "$file" "$work/$kind/$(basename "$file" .c).o" 2>>"$work/build" &
    jobs+=($!)
    [ ${#jobs[@]} -lt 2 ] || { wait "${jobs[0]}" || touch "$work/broken"; jobs=("${jobs[@]:1}"); }
done
for job in "${jobs[@]}"; do
    wait "$job" || touch "$work/broken"
done
if [ -e "$work/broken" ]; then
    cp "$work/build" "$err"
    not_ok "the sources build with clang"
    finish
fi

# build_target NAME: hex and pcap are one source.
build_target() {
    local source=$1 define=() objects=("$work"/lib/*.o)
    case $1 in
    hex) source=decode ;;
    pcap) source=decode define=(-DFUZZ_PCAP) ;;
    esac
    case $source in
    decode | command) objects+=("$work"/{source,job,cmd}/*.o) ;;
    esac
    clang "${common[@]}" ${define[@]+"${define[@]}"} \
        -fsanitize=fuzzer,address,undefined "$here/fuzz_$source.c" \
        "${objects[@]}" "${libraries[@]}" -o "$work/fuzz-$1"
}

# Keyrings are test keys of the tree; a keyring file must be private.
install -m 600 "$here/ring.jwks" "$work/keygen.jwks"
python3 "$tests_dir/cmd/seal.py" reduce "$tests_dir/vectors/eesp/keyring.json" \
    "$work/vectors.jwks" || exit 99
chmod 600 "$work/vectors.jwks"

# fuzz NAME: what it prints is in $work/NAME.log.
fuzz() {
    local ring=$work/vectors.jwks arguments=(-timeout=10) alone=()
    case $1 in
    pcap | command) ring=$work/keygen.jwks ;;
    esac
    # Else `eesp verify` watches, and tries to open, what other tests send.
    if [ "$1" = command ] && unshare --net true 2>/dev/null; then
        alone=(unshare --net)
    fi
    mkdir -p "$work/grown-$1" "$work/folder-$1"
    if [ -n "${EESP_FUZZ_INPUT:-}" ]; then
        arguments+=("$EESP_FUZZ_INPUT")
    else
        arguments+=(-max_total_time="$seconds" -max_len=24000 -close_fd_mask=3
            -rss_limit_mb=2048 -print_final_stats=1
            -artifact_prefix="$findings/$1-" "$work/grown-$1"
            "$here/corpus/$1")
    fi
    EESP_FUZZ_RING=$ring EESP_FUZZ_FOLDER=$work/folder-$1 \
        UBSAN_OPTIONS=print_stacktrace=1 TMPDIR=$work \
        timeout -k 5 $((seconds + 60)) \
        ${alone[@]+"${alone[@]}"} "$work/fuzz-$1" "${arguments[@]}" \
        >"$work/$1.log" 2>&1 </dev/null
}

# judge NAME STATUS: a target that ran nothing has tested nothing.
judge() {
    local runs
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$1.log")
    if [ "$2" -eq 0 ] && { [ "${runs:-0}" -gt 0 ] || [ -n "${EESP_FUZZ_INPUT:-}" ]; }; then
        ok "$1: ${runs:-1} inputs in $seconds s"
        return
    fi
    tail -n 40 "$work/$1.log" >"$err"
    not_ok "$1" "exit status $2; the input is in $findings"
}

for ((i = 0; i < ${#targets[@]}; i += 2)); do
    pair=("${targets[@]:i:2}")
    running=()
    for name in "${pair[@]}"; do
        if build_target "$name" >"$work/$name.log" 2>&1; then
            fuzz "$name" &
        else
            (exit 98) &
        fi
        running+=($!)
    done
    for k in "${!pair[@]}"; do
        wait "${running[k]}"
        judge "${pair[k]}" $?
    done
done
finish
