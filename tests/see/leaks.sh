#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# leaks.sh: what a leak opens. Jobs are recorded while every level is rotated
# under them; then root keys are published, each in turn and together, and eesp
# decode shows which of the recorded packets open: those, and only those, all of
# whose root keys are known. The table is printed; eesp-keyring(5) says the same.
#
if [ -z "${EESP_ALONE:-}" ] && unshare -n true 2>/dev/null; then
    EESP_ALONE=yes exec unshare -n bash -c \
        'ip link set lo up && exec "$0" "$@"' "$0" "$@"
fi
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

program=$top_builddir/tests/mpi/steady_check
pages=$work/pages
records=$work/records
np=2
RUN_TIMEOUT=170
need "leaks" mpirun jq /usr/bin/python3 tcpdump "$program" "$EESP_PLUGIN" \
    "$EESP_BIN"
if [ -z "${EESP_ALONE:-}" ]; then
    skip "leaks" "needs root and network namespaces"
    finish
fi
if "$EESP_BIN" decode --pcap /dev/null 2>&1 | grep -q 'not built with libpcap'; then
    skip "leaks" "not built with libpcap"
    finish
fi
mkdir "$records"

# soon COMMAND...: within half a minute.
soon() {
    local _
    for _ in {1..300}; do
        "$@" && return 0
        sleep 0.1
    done
    return 1
}

listens() {
    grep -q 'listening on' "$work/tcpdump"
}

there() {
    [ -s "$work/ranks/0" ] && [ -s "$work/ranks/1" ]
}

# sealed N: every rank has sealed so many packets more than at the last call.
sealed() {
    local now
    now=$("$EESP_BIN" stat --dir "$pages" --json |
        jq '[.[].lowers[0].sealed] | min // 0')
    [ "$now" -ge $((seen + $1)) ] && seen=$now
}

# record NAME KEYRING POLICY LEVEL...: a job while those are rotated.
record() {
    local name=$1 ring=$2 level dumping
    seen=0
    rm -rf "$work/ranks"
    mkdir "$work/ranks"
    printf '\0' >"$work/ranks/stop"
    tcpdump -i lo -s 0 -B 65536 -U -w "$records/$name.pcap" tcp \
        2>"$work/tcpdump" &
    dumping=$!
    background=("$dumping")
    soon listens || not_ok "$name: tcpdump" "$(<"$work/tcpdump")"
    run_mpi "$np" UCX_TLS=eesp UCX_EESP_LOWER=tcp UCX_EESP_KEYRING="$ring" \
        UCX_EESP_POLICY="$3" UCX_EESP_RELOAD_INTERVAL=10ms \
        UCX_EESP_STAT_DIR="$pages" -- "$program" "$work/ranks" 5000 &
    running=$!
    background+=("$running")
    soon there && soon sealed 50 || not_ok "$name: the job starts"
    for level in "${@:4}"; do
        # Both generations stay in the keyring, for whoever is to judge.
        "$EESP_BIN" rotate --keyring "$ring" --level "$level" --wait=30 \
            --stat-dir "$pages" stage promote 2>"$work/rotate" ||
            not_ok "$name: rotate $level" "$(<"$work/rotate")"
        soon sealed 50
    done
    printf 1 | dd of="$work/ranks/stop" conv=notrunc status=none
    wait "$running"
    report $? "$name: the job ends well"
    sleep 0.5 # what the kernel still has for tcpdump
    kill -INT "$dumping"
    wait "$dumping"
    background=()
    grep -q '^0 packets dropped by kernel' "$work/tcpdump"
    report $? "$name: all of it is recorded" "$(<"$work/tcpdump")"
    cp -p "$ring" "$records/$name.jwks"
}

# One site; each job has keys of its own for job and task.
"$EESP_BIN" keygen --levels domain,tenant,job,task --kid domain=site \
    --kid tenant=tenant-a --kid job=job-a --kid task=task-a \
    --out "$work/site.jwks" >"$work/keygen" 2>&1 || not_ok "keygen"
jq '.eesp_policies += [(.eesp_policies[] | select(.name == "pairs") |
        .spi = 65550 | .name = "domain-only" | .levels = {domain: "site"})]' \
    "$work/site.jwks" >"$work/a.jwks"
"$EESP_BIN" keygen --levels job,task --kid job=job-b --kid task=task-b \
    --out "$work/b-keys.jwks" >"$work/keygen" 2>&1
jq --slurpfile b "$work/b-keys.jwks" '
    .keys = [.keys[] | select(.eesp_level == ("domain", "tenant"))] + $b[0].keys
    | .eesp_policies[].levels |= (if has("job") then
        .job = "job-b" | .task = "task-b" else . end)' "$work/a.jwks" \
    >"$work/b.jwks"
cp "$work/a.jwks" "$work/open.jwks"
chmod 600 "$work"/*.jwks

record job-a "$work/a.jwks" ranks domain tenant job task
record job-b "$work/b.jwks" ranks
record domain-only "$work/open.jwks" domain-only domain

/usr/bin/python3 "$tests_dir/see/leaks.py" "$EESP_BIN" "$records" \
    >"$work/table" 2>&1
status=$?
note "$(<"$work/table")"
[ $status -eq 0 ] && ! grep -q '^wrong' "$work/table"
report $? "what opens is what was published, and nothing else"
# Every state of the rotation was recorded: 5 of job-a, 1 and 2 of the others.
grep -q '^8 generations of 3 jobs' "$work/table"
report $? "traffic of every generation was recorded"
finish
