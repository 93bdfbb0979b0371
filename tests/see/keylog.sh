#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# keylog.sh: UCX_EESP_KEYLOG writes the data keys of a job, loudly, to a file
# that nobody else can read; eesp decode --keylog opens a recording with it that
# no root key is there for, and nothing else. By default there is none.
#
if [ -z "${EESP_ALONE:-}" ] && unshare -n true 2>/dev/null; then
    EESP_ALONE=yes exec unshare -n bash -c \
        'ip link set lo up && exec "$0" "$@"' "$0" "$@"
fi
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

ring=$work/keyring.jwks
log=$work/keys.log
capture=$work/job.pcap
need "key log" mpirun jq tcpdump "$MPI_CHECK" "$EESP_PLUGIN" "$EESP_BIN"
if [ -z "${EESP_ALONE:-}" ]; then
    skip "key log" "needs root and network namespaces"
    finish
fi
if "$EESP_BIN" decode --pcap /dev/null 2>&1 | grep -q 'not built with libpcap'; then
    skip "key log" "no libpcap"
    finish
fi
make_keyring "$ring" || exit 99

# recorded VAR=VALUE...: a job over tcp, into $capture.
recorded() {
    local tcpdump_pid status
    rm -f "$capture"
    tcpdump -i lo -w "$capture" -B 65536 -s 0 -U -Z root tcp 2>"$work/tcpdump" &
    tcpdump_pid=$!
    background=("$tcpdump_pid")
    for _ in {1..100}; do
        grep -qs 'listening on' "$work/tcpdump" && break
        sleep 0.1
    done
    run_mpi 2 UCX_TLS=eesp UCX_EESP_LOWER=tcp UCX_EESP_KEYRING="$ring" "$@" -- \
        "$MPI_CHECK" bcast allreduce
    status=$?
    sleep 1.3 # the kernel hands packets over in blocks, once a second
    kill -INT "$tcpdump_pid"
    wait "$tcpdump_pid"
    background=()
    return $status
}

# packets FILE OPTION...: what decode says about each, without the keys' names.
packets() {
    local to=$1
    shift
    "$EESP_BIN" decode --pcap "$capture" --json "$@" 2>"$err" |
        sed -n '/"type":"packet"/{s/,"policy":"[^"]*"//
            s/,"keys":\[[^]]*\]//
            p}' >"$to"
}

# opens NAME: the key log opens what the keyring opens, to the same.
opens() {
    packets "$work/by-keyring" --keyring "$ring" &&
        packets "$work/by-keylog" --keylog "$log" &&
        [ "$(grep -c '"opened":true' "$work/by-keylog")" -gt 50 ] &&
        ! grep -q '"opened":false' "$work/by-keylog" &&
        cmp -s "$work/by-keyring" "$work/by-keylog"
    report $? "$1" "$(diff "$work/by-keyring" "$work/by-keylog" | head -c 600)"
}

umask 022
recorded UCX_EESP_KEYLOG="$log" UCX_EESP_AUDIT=stderr
report $? "the job runs"
[ "$(grep -c "THE KEYS of all.*WRITTEN TO $log" "$out")" -ge 2 ]
report $? "every process says so, by default"
grep -q ' keylog=yes ' "$err"
report $? "and its record does"
[ "$(stat -c %a "$log")" = 600 ] && grep -q '^EESP1_DATA_KEY 00010001 2 ' "$log"
report $? "the file is private" "$(ls -l "$log")"
opens "decode --keylog opens all of it, as with the keyring"
# Base64url of the keyring, as hexadecimal.
jq -r '.keys[].k' "$ring" | tr -- -_ +/ | while read -r k; do
    printf '%s==' "$k" | base64 -d 2>/dev/null | od -An -v -tx1 | tr -d ' \n'
    echo
done >"$work/roots"
[ "$(wc -l <"$work/roots")" -ge 2 ] && ! grep -qf "$work/roots" "$log"
report $? "no root key is in it"

# Another job's packets stay shut; a key log is of what was logged.
mv "$log" "$work/first.log"
recorded UCX_EESP_KEYLOG="$log"
packets "$work/other" --keylog "$work/first.log"
[ "$(grep -c '"opened":false' "$work/other")" -gt 50 ] &&
    ! grep -q '"opened":true' "$work/other"
report $? "another run stays shut"
recorded
[ "$(wc -l <"$out")" -gt 0 ] && ! grep -q KEYLOG "$out"
report $? "by default there is none"

# Every cipher and form that decode opens.
index=0
for change in '.aead = "aes-128-gcm"' '.aead = "chacha20-poly1305"' \
    '.kdf = "hkdf-sha512" | del(.compact_id)' \
    '.aead = "aes-256-gmac" | .confidentiality = false' \
    '.bind_destination = false | .replay = "off"'; do
    index=$((index + 1))
    jq "(.eesp_policies[] | select(.name == \"ranks\")) |= ($change)" "$ring" \
        >"$work/changed.jwks"
    chmod 600 "$work/changed.jwks"
    ring=$work/changed.jwks log=$work/log.$index
    if recorded UCX_EESP_KEYLOG="$log" UCX_EESP_POLICY=ranks; then
        opens "$change"
    else
        not_ok "$change" "the job fails"
    fi
    ring=$work/keyring.jwks
done
log=$work/pairs.log
recorded UCX_EESP_KEYLOG="$log" UCX_EESP_POLICY=pairs
opens "ids in place of ranks"

# refused FILE PATTERN NAME [VAR=VALUE...]
refused() {
    local file=$1 pattern=$2 name=$3
    shift 3
    run_mpi 2 UCX_TLS=eesp UCX_EESP_KEYRING="$ring" UCX_EESP_KEYLOG="$file" \
        "$@" -- "$MPI_CHECK" bcast
    [ $? -ne 0 ] && cat "$out" "$err" | grep -q "eesp: UCX_EESP_KEYLOG: .*$pattern"
    report $? "$name"
}

: >"$work/open.log"
refused "$work/open.log" 'lies open to others: chmod 0600' \
    "a file that others can read: no transport"
ln -s "$work/first.log" "$work/link.log"
refused "$work/link.log" 'symbolic link' "a link: no transport"
refused keys.log 'must be an absolute path' "a relative name: no transport"
refused "$work" 'directory' "a directory: no transport"
standin=$(built standin.so tests/fips)
if [ -e "$standin" ]; then
    printf '%s\n' 'openssl_conf = init' '[init]' 'providers = providers' \
        '[providers]' 'fips = standin' '[standin]' "module = $standin" \
        'activate = 1' >"$work/openssl.cnf"
    refused "$work/fips.log" 'not in FIPS mode' "FIPS mode: no key log" \
        UCX_EESP_FIPS=y OPENSSL_CONF="$work/openssl.cnf"
    [ ! -e "$work/fips.log" ]
    report $? "FIPS mode: no file"
else
    skip "FIPS mode" "no $standin"
fi

# expect STATUS PATTERN NAME ARG...: of eesp decode.
expect() {
    local status=$1 pattern=$2 name=$3
    shift 3
    "$EESP_BIN" decode "$@" >"$out" 2>"$err" </dev/null
    [ $? -eq "$status" ] && grep -q "$pattern" "$err"
    report $? "$name"
}

echo 'EESP1_DATA_KEY 00010001 2 01000100 00' >"$work/bad.log"
expect 1 'bad.log: line 1 is not one of a key log' "a damaged line" \
    --keylog "$work/bad.log"
expect 1 'cannot read .*none.log' "a missing file" --keylog "$work/none.log"
expect 2 'needs no --keyring' "a keyring beside" --keylog "$log" --keyring "$ring"
finish
