#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# nic.sh: eesp stat --nic, which tells what cards and kernel encrypt below us. On
# a stand-in for ip(8) that says what it says of cards which offload, and, in a
# network namespace, on the kernel's own MACsec and IPsec where it has them
# (tests/rdma runs this in a guest, whose kernel has).
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

# tells NAME PATTERN...: each is a line of the output.
tells() {
    local name=$1 pattern
    shift
    for pattern in "$@" 'Nothing of this counts as protection of a job\.$'; do
        if ! grep -qE -- "$pattern" "$out"; then
            not_ok "$name" "no line '$pattern'"
            return
        fi
    done
    ok "$name"
}

# ---- Cards that offload: what iproute2 prints of them ---------------------------

mkdir "$work/bin"
stand_in() {
    printf '#!/bin/bash\ncase $* in\n"-d -j link show") %s ;;\n%s\nesac\n' \
        "$1" "\"xfrm state list nokeys\") $2 ;;" >"$work/bin/ip"
    chmod +x "$work/bin/ip"
    PATH=$work/bin:$PATH "$EESP_BIN" stat --nic >"$out" 2>"$err"
}

stand_in "echo '[{\"ifname\":\"lo\"}]'" true
report $? "nothing is configured: exit status"
tells "nothing is configured" '^none that the kernel knows of'
states='cat <<END
src 192.0.2.1 dst 192.0.2.2
	proto esp spi 0xc88b7652 reqid 1 mode tunnel
	crypto offload parameters: dev eth2 dir out mode packet
src 192.0.2.2 dst 192.0.2.1
	proto esp spi 0xc88b7653 reqid 1 mode tunnel
	crypto offload parameters: dev eth2 dir in mode packet
src 192.0.2.3 dst 192.0.2.1
	proto esp spi 0xc88b7654 reqid 1 mode tunnel
	crypto offload parameters: dev eth3 dir in
src 192.0.2.4 dst 192.0.2.1
	proto esp spi 0xc88b7655 reqid 1 mode transport
END
'
links='[{"ifname":"m0","link":"eth1","linkinfo":{"info_kind":"macsec",
"info_data":{"cipher_suite":"GCM-AES-256","encrypt":true,"offload":"mac"}}},
{"ifname":"m1","link":"eth4","linkinfo":{"info_kind":"macsec",
"info_data":{"cipher_suite":"GCM-AES-128","encrypt":"off","offload":"off"}}}]'
stand_in "echo '$links'" "$states"
tells "cards that offload" \
    '^IPsec: eth2 encrypts whole packets \(1 states out, 1 in\)' \
    '^IPsec: eth3 helps the kernel \(0 states out, 1 in\).*nothing of RDMA' \
    '^IPsec: 1 states in the kernel' \
    '^MACsec: m0 over eth1 encrypts, GCM-AES-256, offload mac: frames sent through m0 only$' \
    '^MACsec: m1 over eth4 DOES NOT ENCRYPT, .*nothing of RDMA$'
stand_in "exit 1" "exit 2"
tells "what ip(8) does not tell" '^MACsec: cannot be told' \
    '^IPsec: cannot be told'
! grep -q '^none' "$out"
report $? "is not told as nothing"
stand_in "echo 'no JSON'" "echo ''"
tells "what is no answer" '^MACsec: cannot be told'

# ---- The kernel's own ------------------------------------------------------------

# shellcheck disable=SC2016
in_namespace='
    ip link set lo up
    ip link add d0 type dummy && ip link set d0 up &&
        ip link add link d0 macsec0 type macsec encrypt on && echo MACSEC
    ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 \
        mode transport aead "rfc4106(gcm(aes))" \
        0x000102030405060708090a0b0c0d0e0f10111213 128 && echo XFRM
    '
unshare -n true 2>/dev/null && command -v ip >/dev/null
have=$?
if [ $have -eq 0 ]; then
    unshare -n bash -c "$in_namespace"' "$0" stat --nic' "$EESP_BIN" \
        >"$out" 2>"$err"
    cat "$out" >"$work/real"
fi
if [ $have -eq 0 ] && grep -q ^MACSEC "$work/real"; then
    tells "MACsec of this kernel" \
        '^MACsec: macsec0 over d0 encrypts, GCM-AES-128, .*nothing of RDMA$'
else
    skip "MACsec of this kernel" "it has none, or no network namespaces"
fi
if [ $have -eq 0 ] && grep -q ^XFRM "$work/real"; then
    tells "IPsec of this kernel" '^IPsec: 1 states in the kernel'
    ! grep -qiE '0001020304|0c0d0e0f' "$out" "$err"
    report $? "its keys are not shown"
else
    skip "IPsec of this kernel" "it has none, or no network namespaces"
fi
finish
