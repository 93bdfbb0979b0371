#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# pitfalls.sh [NUMBER...]: what a transport that stands on another one gets wrong
# easily, as numbered when the first prototype met it: a case for each. Other
# suites test most of it at length; these are the short cases that fail if one
# of them comes back.
#
# Root is needed for captures; they are made in a network namespace of their
# own, with a second device.
if [ -z "${EESP_TEST_NETNS:-}" ] &&
    unshare -n -m mount -t sysfs sysfs /sys 2>/dev/null; then
    export EESP_TEST_NETNS=1
    # shellcheck disable=SC2016  # expands in the new namespace
    exec unshare -n -m sh -c 'mount -t sysfs sysfs /sys &&
        ip link set lo up && exec "$@"' sh "$0" "$@"
fi

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

ucp_check=${UCP_CHECK:-$top_builddir/tests/mpi/ucp_check}
wirefault=${WIREFAULT_SO:-$(built wirefault.so tests/net)}
on_rank=$tests_dir/lib/on-rank.sh
keyring=$work/keyring.jwks
capture=$work/wire.pcap
export OMPI_MCA_mpi_yield_when_idle=1
# A crash that a case finds must not leave a core file.
ulimit -c 0

over_tcp=(UCX_TLS=eesp UCX_EESP_LOWER=tcp UCX_EESP_KEYRING="$keyring")
over_posix=(UCX_TLS=eesp UCX_EESP_LOWER=posix UCX_EESP_KEYRING="$keyring")

# well NP VAR=VALUE... -- GROUP...: the job ends well.
well() {
    local np=$1 settings=()
    shift
    while [ "$1" != -- ]; do
        settings+=("$1")
        shift
    done
    shift
    run_mpi "$np" "${settings[@]}" -- "$MPI_CHECK" "$@" &&
        grep -q '^mpi_check: all .* ok ' "$out"
}

# alone VAR=VALUE... -- MODE...: ucp_check, without a launcher.
alone() {
    local settings=()
    while [ "$1" != -- ]; do
        settings+=("$1")
        shift
    done
    shift
    timeout -k 5 "$RUN_TIMEOUT" env LD_PRELOAD="$EESP_PLUGIN" \
        UCX_NET_DEVICES=lo UCX_HANDLE_ERRORS=none "${settings[@]}" \
        "$ucp_check" "$@" >"$out" 2>"$err" </dev/null &&
        grep -q "^ucp_check: $1 ok\$" "$out"
}

said() {
    cat "$out" "$err" | grep -qE -- "$1"
}

# refused VAR=VALUE... -- PROGRAM ARG...: ends by itself, in time, with a
# non-zero status.
refused() {
    local status
    RUN_TIMEOUT=20 run_mpi 2 "$@"
    status=$?
    [ "$status" -ne 0 ] && [ "$status" -ne 124 ] && [ "$status" -ne 137 ]
}

# captured DEVICE NP VAR=VALUE... -- GROUP...: a job under a capture; its
# packets, one JSON object a line, go to $work/packets.
captured() {
    local device=$1 pid status
    shift
    tcpdump -i "$device" -w "$capture" -B 65536 -s 0 -Z root tcp \
        2>"$work/tcpdump" &
    pid=$!
    background=("$pid")
    for _ in {1..50}; do
        grep -qs 'listening on' "$work/tcpdump" && break
        sleep 0.1
    done
    well "$@"
    status=$?
    sleep 1.3 # the kernel hands packets over in blocks
    kill -INT "$pid"
    wait "$pid"
    background=()
    [ "$status" -eq 0 ] || return "$status"
    "$EESP_BIN" decode --keyring "$keyring" --pcap "$capture" --json \
        >"$work/packets" 2>"$work/summary" &&
        grep -q '^0 packets dropped by kernel' "$work/tcpdump"
}

# numbers: of each sender (rank and incarnation) in $work/packets, that no
# sequence number comes twice and none is left out; prints how many there are.
numbers() {
    /usr/bin/python3 - "$work/packets" <<'PY'
import collections, json, sys
seen = collections.defaultdict(list)
with open(sys.argv[1]) as f:
    for line in f:
        p = json.loads(line)
        if p["type"] == "packet" and p["opened"]:
            h = p["header"]
            seen[h["source_rank"], h["incarnation"]].append(
                int(h["sequence"], 16))
total = 0
for sender, numbers in seen.items():
    total += len(numbers)
    if len(set(numbers)) != len(numbers):
        sys.exit(f"{sender}: a sequence number came twice")
    if max(numbers) - min(numbers) + 1 != len(numbers):
        sys.exit(f"{sender}: {len(numbers)} packets numbered "
                 f"{min(numbers)} to {max(numbers)}")
print(f"{total} packets of {len(seen)} senders")
sys.exit(total < 1000)
PY
}

# wanted N: whether case N runs, after the checks of what it needs.
wanted() {
    [ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $1 "* ]]
}

can_capture() {
    [ -n "${EESP_TEST_NETNS:-}" ] && command -v tcpdump >/dev/null
}

only=("$@")
need "pitfalls" mpirun "$MPI_CHECK" "$EESP_PLUGIN" "$EESP_BIN" "$ucp_check" \
    "$wirefault" /usr/bin/python3
if ! make_keyring "$keyring"; then
    not_ok "keyring"
    finish
fi

if wanted 1; then
    RUN_OPTIONS=(--bind-to none)
    RUN_UNDER=(taskset -c "$(taskset -pc $$ | sed 's/.*[ ,-]//')")
    well 4 "${over_posix[@]}" -- -r 10 rma_fence
    report $? "pitfall 1: a fence waits for requests that wait for room"
    RUN_OPTIONS=()
    RUN_UNDER=()
fi

if wanted 2; then
    for fill in 85 170; do
        well 2 "${over_tcp[@]}" MALLOC_PERTURB_=$fill -- p2p rma &&
            well 2 "${over_posix[@]}" MALLOC_PERTURB_=$fill -- p2p rma
        report $? "pitfall 2: with malloc'ed memory full of $fill"
    done
fi

if wanted 3; then
    alone "${over_tcp[@]}" -- error
    report $? "pitfall 3: an error names the endpoint that the user knows"
fi

if wanted 4; then
    refused "${over_tcp[@]}" -- "$on_rank" 1 UCX_EESP_LOWER=posix \
        "$MPI_CHECK" bcast && said 'Destination is unreachable'
    report $? "pitfall 4: no address of tcp is given to shared memory"
    run_mpi 2 "${over_tcp[@]}" -- "$on_rank" 1 UCX_EESP_LOWER=posix,tcp \
        "$MPI_CHECK" bcast p2p
    report $? "pitfall 4: of two lowers the one that the peer has is taken"
fi

if wanted 5; then
    # What a Get has fetched is counted in what the target's bcopy returned.
    well 2 "${over_tcp[@]}" UCX_ZCOPY_THRESH=inf -- rma rma_user &&
        well 2 "${over_posix[@]}" UCX_ZCOPY_THRESH=inf -- rma rma_user
    report $? "pitfall 5: bcopy returns the length of the plaintext"
fi

if wanted 6; then
    if can_capture; then
        # Without rma: Open MPI's Get_accumulate is wrong over plain UCX too
        # when sockets hold so little.
        captured lo 2 "${over_tcp[@]}" UCX_TCP_SNDBUF=4k -- \
            flood unexpected alltoall && counted=$(numbers 2>>"$err")
        report $? "pitfall 6: no sequence number is lost to a busy lower" \
            "$(cat "$work/summary")"
        note "${counted:-}"
    else
        skip "pitfall 6" "captures need root and tcpdump"
    fi
fi

if wanted 7; then
    if can_capture; then
        captured lo 2 "${over_tcp[@]}" -- p2p rma
        report $? "pitfall 7: every message goes through the sealed id" \
            "$(cat "$work/summary")"
        grep -q '^0 not EESP' "$work/summary"
        report $? "pitfall 7: no other id is on the wire" \
            "$(cat "$work/summary")"
    else
        skip "pitfall 7" "captures need root and tcpdump"
    fi
fi

if wanted 8; then
    if [ "$(id -u)" -eq 0 ]; then
        "$tests_dir/mpi/shared-memory.sh" >"$out" 2>"$err" </dev/null
        report $? "pitfall 8: no plaintext lies in shared memory"
    else
        skip "pitfall 8" "only root may read another process's memory"
    fi
fi

if wanted 9; then
    alone "${over_tcp[@]}" -- align && alone "${over_posix[@]}" -- align
    report $? "pitfall 9: data lies as aligned as the user asked"
fi

if wanted 10; then
    for size in 512 4321 8k 64k auto 1m; do
        well 2 "${over_tcp[@]}" UCX_EESP_SEG_SIZE=$size -- p2p types rma
        report $? "pitfall 10: every length goes, in segments of $size"
    done
fi

if wanted 11; then
    if can_capture; then
        captured lo 2 "${over_tcp[@]}" -- marker &&
            longest=$(jq -r .length "$work/packets" | sort -n | tail -n 1) &&
            [ "$longest" -gt 60000 ]
        report $? "pitfall 11: packets of ${longest:-no} bytes, not of tcp's 8k"
    else
        skip "pitfall 11" "captures need root and tcpdump"
    fi
fi

if wanted 12; then
    well 2 "${over_tcp[@]}" UCX_ZCOPY_THRESH=1 UCX_RNDV_THRESH=inf -- p2p &&
        well 2 "${over_posix[@]}" UCX_ZCOPY_THRESH=1 UCX_RNDV_THRESH=inf -- p2p
    report $? "pitfall 12: zcopy is done when it returns"
fi

if wanted 13; then
    skip "pitfall 13" \
        "UCX's own test suite knows shared-memory endpoints by name; not a bug"
fi

if wanted 14; then
    well 4 "${over_tcp[@]}" -- -r 5 bcast
    report $? "pitfall 14: MPI_Finalize of 4 ranks over tcp ends well"
fi

if wanted 15; then
    # One is eesp's own.
    alone "${over_tcp[@]}" -- contexts 2 &&
        alone "${over_posix[@]}" -- contexts 2
    report $? "pitfall 15: of all memory domains it opens it keeps one"
fi

if wanted 16; then
    well 2 "${over_tcp[@]}" UCX_LOG_LEVEL=info -- p2p rma &&
        used=$(lanes) && [ -n "$used" ] && ! grep -qv '^eesp/' <<<"$used"
    report $? "pitfall 16: all lanes are eesp: ${used//$'\n'/ }"
fi

if wanted 17; then
    if can_capture && ip link add eesp0 type veth peer name eesp1 2>"$err" &&
        ip link set eesp1 up &&
        ip addr add 10.99.17.1/24 dev eesp0 && ip link set eesp0 up; then
        captured lo 2 "${over_tcp[@]}" UCX_NET_DEVICES=lo,eesp0 \
            UCX_MAX_EAGER_LANES=2 UCX_MAX_RNDV_LANES=2 \
            UCX_MULTI_LANE_MAX_RATIO=10000 UCX_LOG_LEVEL=info -- \
            p2p flood && used=$(lanes) && grep -q '^eesp/lo' <<<"$used" &&
            grep -q '^eesp/eesp0' <<<"$used" && counted=$(numbers 2>>"$err")
        report $? "pitfall 17: two devices have their own numbers" \
            "lanes: ${used//$'\n'/ }; $(cat "$work/summary")"
        note "${counted:-}"
    else
        skip "pitfall 17" "needs root, tcpdump and veth devices"
    fi
fi

if wanted 18; then
    for lower in tcp posix; do
        well 4 UCX_TLS=eesp UCX_EESP_LOWER=$lower \
            UCX_EESP_KEYRING="$keyring" UCX_LOG_LEVEL=debug -- \
            flood reordered unexpected &&
            said 'dropped as replay 0, as forged 0' &&
            ! said 'dropped as replay ([1-9]|0, as forged [1-9])'
        report $? "pitfall 18: no message over $lower is taken for a replay"
    done
fi

if wanted 19; then
    RUN_PRELOAD=$wirefault refused "${over_tcp[@]}" WIREFAULT=flip \
        WIREFAULT_RANK=1 WIREFAULT_NTH=200 -- "$MPI_CHECK" marker &&
        said '^wirefault: flipped' && said 'authentication'
    report $? "pitfall 19: a damaged message ends the job, not stalls it"
fi
finish
