#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# rdma.sh: on an RDMA device. This machine need not have one: guests of vm.sh
# do, and run this build.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

vm=$tests_dir/rdma/vm.sh

# The test bed itself, without our transport.
bed() {
    local status
    "$vm" run -o "$work/bed" -t 40 "
        ibdev=/sys/class/infiniband/rxe0/ports/1
        grep ACTIVE \$ibdev/state && ucx_info -d | grep 'Device: rxe0:1'
        : >'$work/of-guest'; : >'$tests_dir/of-guest'; exit 7" >"$out" 2>"$err"
    status=$?
    if [ $status -eq 125 ]; then
        not_ok "a guest boots" "see vm.sh"
        finish
    fi
    [ $status -eq 7 ] && [ "$(grep -c 'Device: rxe0:1' "$out")" -eq 2 ]
    report $? "a guest boots, has rxe0, and gives back output and exit status"
    [ ! -e "$work/of-guest" ] && [ ! -e "$tests_dir/of-guest" ]
    report $? "what a guest writes stays there"

    "$vm" run -t 1 'sleep 60' >"$out" 2>"$err"
    [ $? -eq 124 ]
    report $? "a command without end is ended"
}

# count_of GUEST-OUTPUT: its results become this script's.
count_of() {
    local line
    grep -E '^(ok|not ok) - |^# |^###' "$1"
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$1" | tr -d a-z,)
    # shellcheck disable=SC2086
    set -- ${line:-0 1} 0
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
}

one_guest() {
    local limit=600
    [ -z "${RDMA_LONG:-}" ] || limit=3600
    "$vm" run -o "$work/one" -t $limit "RDMA_LONG=${RDMA_LONG:-} \
        top_builddir=$top_builddir $tests_dir/rdma/one-guest.sh" >"$out" 2>"$err"
    [ $? -ne 124 ] || not_ok "jobs in one guest" "no end"
    count_of "$out"
}

# What the emulated card encrypts with, against NIST's answers: needs no guest.
answers() {
    local program=$top_builddir/tests/rdma/fakemlx5/xts_answers set file
    set=/usr/lib/python3/dist-packages/cryptography_vectors/ciphers/AES/XTS
    if [ ! -e "$program" ]; then
        skip "AES-XTS, known answers" "built without libibverbs 42"
        return
    elif [ ! -d "$set" ]; then
        skip "AES-XTS, known answers" \
            "no Debian package python3-cryptography-vectors"
        return
    fi
    for file in "$set"/*/*.rsp; do
        "$program" <"$file" >"$out" 2>"$err"
        report $? "AES-XTS, NIST's ${file#"$set"/}: $(cat "$out")"
    done
    # A wrong answer is told.
    sed 's/^CT = ./CT = x/' "$file" | "$program" >"$out" 2>&1
    [ $? -eq 1 ]
    report $? "changed answers are told"
}

# libeesp_verbs, on an emulated card.
offload() {
    if [ ! -e "$top_builddir/tests/rdma/offload_check" ]; then
        skip "crypto offload" "built without libibverbs 42"
        return
    fi
    "$vm" run -o "$work/offload" -t 300 "export top_builddir=$top_builddir \
            RDMA_LONG=${RDMA_LONG:-}
        $tests_dir/rdma/offload-guest.sh >/run/vm/told
        $tests_dir/see/nic.sh >/run/vm/told.nic" >"$out" 2>"$err"
    [ $? -ne 124 ] || not_ok "crypto offload in a guest" "no end"
    count_of "$work/offload/told"
    "$vm" run -o "$work/conf" -t 500 "top_builddir=$top_builddir \
        $tests_dir/rdma/conf-guest.sh" >"$out" 2>"$err"
    [ $? -ne 124 ] || not_ok "offload of the transport in a guest" "no end"
    count_of "$out"
    count_of "$work/offload/told.nic"
}

# capture NAME FILTER: of what crossed.
capture() {
    tcpdump -r "$work/pair/wire.pcap" -w "$work/$1.pcap" "$2" 2>"$err"
}

two_guests() {
    local marker=CLEARTEXT-MARKER-EESP-0123456789 host
    mkdir -p "$work"/pair/{1,2}
    make_keyring "$work/keyring.jwks" || return
    for host in 1 2; do
        cp "$work/keyring.jwks" "$work/pair/$host"
    done
    "$vm" pair -o "$work/pair" -t 300 \
        "top_builddir=$top_builddir $tests_dir/rdma/two-guests.sh" \
        "$tests_dir/rdma/remote.py serve" >"$out" 2>"$err"
    report $? "two guests, jobs on both"
    count_of "$work/pair/1/output"

    # two-guests.sh gives the plain job IPv6 addresses.
    capture plain 'ip6 and udp port 4791'
    grep -qaF "$marker" "$work/plain.pcap"
    report $? "plain: the marker is in the RoCEv2 frames"
    ! "$EESP_BIN" decode --quiet --keyring "$work/keyring.jwks" \
        --pcap "$work/plain.pcap" >"$out" 2>&1 &&
        grep -q '^[1-9][0-9]* not EESP' "$out"
    report $? "plain: eesp decode tells of data that is not sealed"

    # RC's opcodes of RDMA WRITE, 6 to 11: what cards write.
    local write='udp[8] >= 6 and udp[8] <= 11'
    if [ -e "$work/pair/1/audit" ]; then
        capture written "net 10.9.0.0/24 and udp port 4791 and $write"
        [ "$(stat -c %s "$work/written.pcap")" -gt 400000 ] &&
            ! grep -qaF "$marker" "$work/written.pcap"
        report $? "transport by the cards: ciphertext on the wire, $(stat -c %s \
            "$work/written.pcap") bytes"
    fi

    capture sealed "net 10.9.0.0/24 and udp port 4791 and not ($write)"
    ! grep -qaF "$marker" "$work/sealed.pcap"
    report $? "sealed: the marker is not in the RoCEv2 frames"
    "$EESP_BIN" decode --quiet --keyring "$work/keyring.jwks" \
        --pcap "$work/sealed.pcap" >"$out" 2>&1 &&
        grep -qE '^[1-9][0-9]{2,} packets, [0-9]+ opened, 0 failed' "$out" &&
        grep -q '^0 not EESP' "$out"
    report $? "sealed: eesp decode opens every SEND: $(head -n 1 "$out")"

    if [ -e "$work/pair/2/moved" ]; then
        capture moved 'net 10.9.1.0/24 and udp port 4791'
        cmp "$work/pair/1/moved" "$work/pair/2/moved"
        report $? "by the cards: plaintext in the other guest's memory"
        [ "$(stat -c %s "$work/moved.pcap")" -gt 600000 ] &&
            ! grep -qaF MOVED-IN-CLEAR "$work/moved.pcap"
        report $? "by the cards: ciphertext on the wire, $(stat -c %s \
            "$work/moved.pcap") bytes"
    fi
}

answers
why=$("$vm" why)
if [ -n "$why" ]; then
    skip "RDMA in a guest" "$why"
    finish
fi
need "RDMA in a guest" mpirun ucx_perftest tcpdump "$MPI_CHECK" \
    "$EESP_PLUGIN" "$EESP_BIN"
bed
offload
one_guest
two_guests
finish
