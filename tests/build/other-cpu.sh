#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# other-cpu.sh: the known answers on CPUs that this machine is not, by qemu's
# user emulation: without AVX-512 and VAES, without AVX2, without AES
# instructions. Each uses the best that is left, and never anything wrong.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

qemu=qemu-$(uname -m)
case $(uname -m) in
x86_64) ;;
*)
    skip "other CPUs" "the list is for x86-64, this is $(uname -m)"
    finish
    ;;
esac
need "other CPUs" "$qemu" "$EESP_BIN"

ipsecmb=no
"$EESP_BIN" selftest | grep -q '^ipsec-mb-sse .*available' && ipsecmb=yes

# cpu MODEL NAME USED: USED is the backend that must be chosen.
cpu() {
    local used=$3
    [ $ipsecmb = yes ] || used=openssl
    # libtool's wrapper is a script; the program itself is in .libs.
    LD_LIBRARY_PATH=$top_builddir/src/lib/.libs \
        timeout 60 "$qemu" -cpu "$1" \
        "$(built eesp src/cmd)" selftest >"$out" 2>"$err"
    report $? "$2: known answers"
    grep -q "^$used .* pass .*used" "$out"
    report $? "$2: $used is used"
    ! grep -q FAIL "$out"
    report $? "$2: nothing fails"
}

cpu max,-avx512f,-vaes,-vpclmulqdq "no AVX-512, no VAES" ipsec-mb-avx2
cpu Nehalem,+aes,+pclmulqdq "no AVX" ipsec-mb-sse
cpu Nehalem,-aes,-pclmulqdq "no AES instructions" openssl
finish
