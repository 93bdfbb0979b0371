#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# run-hosts.sh: eesp run on two hosts (tests/lib/hosts.sh). The keyring gets to
# the other one through the agent that starts the daemon there, what crosses is
# sealed with it, and nothing is left on either.
#
# Needs root.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/hosts.sh
. "$tests_dir/lib/hosts.sh"

export PYTHONDONTWRITEBYTECODE=1
program=$top_builddir/tests/mpi/stage_check
need "eesp run on two hosts" mpirun tcpdump nsenter unshare ip jq python3 \
    "$program" "$EESP_PLUGIN" "$EESP_BIN"
if [ "$(id -u)" -ne 0 ]; then
    skip "eesp run on two hosts" "needs root"
    finish
fi
if ! start_host 0 || ! start_host 1; then
    skip "eesp run on two hosts" \
        "no namespaces here: $(cat "$work"/host.* | tail -n 1)"
    finish
fi
if ! connect_hosts; then
    not_ok "the hosts are connected"
    finish
fi
write_agent
np=4

# Host 1 lets root of host 0 in, by a key of this test.
start_sshd() {
    mkdir -m 0700 "$work/ssh"
    ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/host" &&
        ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/user" || return
    cat >"$work/ssh/sshd_config" <<CONF
ListenAddress 10.99.0.2
HostKey $work/ssh/host
AuthorizedKeysFile $work/ssh/user.pub
PidFile $work/ssh/sshd.pid
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
CONF
    on 1 sh -c 'mount -t tmpfs none /run && mkdir -m 0755 /run/sshd &&
        exec /usr/sbin/sshd -f "$1"' sh "$work/ssh/sshd_config" \
        2>"$work/ssh/log" || return
    ssh="ssh -q -i $work/ssh/user -o BatchMode=yes -o ConnectTimeout=10"
    ssh="$ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    for _ in {1..50}; do
        # shellcheck disable=SC2086
        on 0 $ssh 10.99.0.2 true 2>>"$work/ssh/log" && return
        sleep 0.1
    done
    return 1
}

# start AGENT: the job, on host 0 and by the agent on the other.
start() {
    rm -rf "$work/ranks"
    mkdir "$work/ranks"
    nsenter -t "${hosts[0]}" -n -i -u -m "$EESP_BIN" run -- mpirun --allow-run-as-root --oversubscribe \
        --mca mpi_yield_when_idle 1 --mca orte_abort_timeout 5 \
        --mca plm_rsh_agent "$1" --hostfile "$work/hosts" \
        --mca oob_tcp_if_include "$wire" --map-by node -np "$np" \
        -x LD_PRELOAD="$plugin_preload" -x UCX_LOG_LEVEL=info \
        "$program" flood 60 "$work/ranks" >"$out" 2>"$err" </dev/null &
    job=$!
    background=("$job")
    for _ in {1..300}; do
        [ "$(find "$work/ranks" -name '[0-9]' | wc -l)" -lt "$np" ] || return 0
        kill -0 "$job" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}
left() { on "$1" ls /dev/shm | grep '^eesp-run-'; }
# gone: both hosts have nothing left; daemons need a moment.
gone() {
    for _ in {1..100}; do
        [ -n "$(left 0)$(left 1)" ] || return 0
        sleep 0.1
    done
    return 1
}

capture_start
start "$work/agent"
report $? "a job on two hosts"
ring=/dev/shm/$(left 0)/keyring.jwks
on 1 stat -c '%a %U' "$ring" "$(dirname "$ring")" >"$work/mode" 2>&1
printf '600 root\n700 root\n' | cmp -s - "$work/mode"
report $? "the other host has the keyring, and nobody else there" \
    "$(<"$work/mode")"
(umask 077 && on 0 cat "$ring" >"$work/granted" &&
    jq -rj '.keys[0].k' "$work/granted" >"$work/secret")
on 1 cmp -s "$ring" "$work/granted"
report $? "the same one"
for host in 0 1; do
    on "$host" python3 "$tests_dir/lib/secret_scan.py" "$work/secret" \
        /dev/shm /tmp /run >"$work/found"
    report $? "host $host: its key is nowhere to be seen" "$(<"$work/found")"
done
: >"$work/ranks/stop"
wait "$job"
status=$?
[ "$status" -eq 0 ] && grep -q '^stage_check: flood ok' "$out"
report $? "the job ends well" "exit status $status"
capture_stop
gone
report $? "nothing is left on either" "$(left 0) $(left 1)"
used=$(lanes)
grep -qx "eesp/$wire" <<<"$used" && ! grep -qv '^eesp/' <<<"$used"
report $? "lanes are ${used//$'\n'/ }"
captured_all
report $? "the capture is whole" "$(<"$work/tcpdump")"
"$EESP_BIN" decode --quiet --keyring "$work/granted" --pcap "$capture" \
    >"$work/summary" 2>&1 && grep -q '^0 not EESP' "$work/summary"
report $? "the job's keyring opens every packet" "$(<"$work/summary")"
note "$(<"$work/summary")"
! grep -qaF -- "$(<"$work/secret")" "$capture"
report $? "the key is not on the wire"
"$EESP_BIN" keygen --levels job --out "$work/other" 2>/dev/null
! "$EESP_BIN" decode --quiet --keyring "$work/other" --pcap "$capture" \
    >"$work/summary" 2>&1
report $? "another keyring opens none" "$(<"$work/summary")"

start "$work/agent"
report $? "a job to be ended"
kill -TERM "$job"
wait "$job"
status=$?
[ "$status" -ne 0 ] && gone
report $? "SIGTERM: nothing is left on either host" \
    "exit status $status: $(left 0) $(left 1)"
start "$work/agent"
report $? "a job that loses eesp run"
kill -KILL "$job"
wait "$job" 2>/dev/null
gone
report $? "SIGKILL: nothing is left on either host" "$(left 0) $(left 1)"

# The real one: what it asks of a login shell, and what it shows on the wire.
if [ ! -x /usr/sbin/sshd ]; then
    skip "ssh as the agent" "no sshd: apt-get install openssh-server"
elif ! start_sshd; then
    skip "ssh as the agent" "sshd lets nobody in: $(tail -n 1 "$work/ssh/log")"
else
    capture_start
    start "$ssh"
    report $? "ssh as the agent: a job"
    ring=/dev/shm/$(left 0)/keyring.jwks
    on 1 cmp -s "$ring" <(on 0 cat "$ring")
    report $? "ssh as the agent: the other host has the keyring"
    (umask 077 && on 0 cat "$ring" | jq -rj '.keys[0].k' >"$work/secret")
    : >"$work/ranks/stop"
    wait "$job"
    status=$?
    capture_stop
    [ "$status" -eq 0 ] && grep -q '^stage_check: flood ok' "$out" && gone
    report $? "ssh as the agent: ends well, and nothing is left" \
        "exit status $status: $(left 0) $(left 1)"
    captured_all && ! grep -qaF -- "$(<"$work/secret")" "$capture"
    report $? "ssh as the agent: the key is not on the wire" \
        "$(<"$work/tcpdump")"
fi

# A directory of somebody else's stands in the keyring's way.
cat >"$work/blocking" <<SCRIPT
#!/bin/sh
d=\$(printf %s "\$*" | grep -o '/dev/shm/eesp-run-[0-9a-f]*' | head -n 1)
nsenter -t ${hosts[1]} -m sh -c "mkdir -m 700 \$d && echo other >\$d/keyring.jwks"
exec "$work/agent" "\$@"
SCRIPT
chmod +x "$work/blocking"
! start "$work/blocking" && grep -q 'is there, with something else in it' "$err"
report $? "a directory of somebody else's stops the job"
wait "$job"
status=$?
[ "$status" -ne 0 ] && [ -z "$(left 0)" ]
report $? "and nothing is left here" "exit status $status: $(left 0)"
finish
