#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# spank.sh: the SPANK plugin under a real Slurm. Jobs of two users run sealed
# with nothing set but UCX_TLS=eesp; neither opens the other's packets; nothing
# is left of a job, however it ends; what is wrong with the plugin's set-up stops
# the job in one line, and never sends in clear.
#
# Needs root and two ordinary users: nobody and daemon.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/munged.sh
. "$tests_dir/lib/munged.sh"
# shellcheck source=tests/lib/slurm.sh
. "$tests_dir/lib/slurm.sh"

export PYTHONDONTWRITEBYTECODE=1
program=$top_builddir/tests/mpi/stage_check
refresh=$top_builddir/spank/eesp-slurm-refresh
plugin=$(built spank_eesp.so spank)
need "SPANK plugin" slurmctld slurmd srun sbatch munged tcpdump jq python3 ip \
    "$plugin" "$refresh" "$program" "$MPI_CHECK" "$EESP_PLUGIN" "$EESP_BIN"
if [ "$(id -u)" -ne 0 ]; then
    skip "SPANK plugin" "needs root"
    finish
fi
if ! slurm_alone "$0" "$@"; then
    skip "SPANK plugin" "needs network namespaces"
    finish
fi
# slurmd asks but once whether a plugin has an epilog.
set_up() {
    store=$slurm_dir/store
    line="required $plugin keyring=$cluster directory=$store"
    plugstack "$line"
}
cluster=$work/cluster.jwks
if ! start_slurm set_up; then
    not_ok "slurmctld and slurmd start" \
        "$(tail -n 3 "$work"/slurm* "$slurm_dir"/*.log 2>/dev/null)"
    finish
fi
ok "slurmctld, slurmd and munged"

capture=$work/wire.pcap
ports=24000-24999 # below those that the kernel gives to others
make_keyring "$cluster"
# What the users run; the build tree may be closed to them.
mkdir -m 0755 "$slurm_dir/bin"
cp -L "$EESP_PLUGIN" "$MPI_CHECK" "$program" "$slurm_dir/bin"
chmod 0755 "$slurm_dir"/bin/*
mkdir -m 1777 "$slurm_dir/seen"
# A task: what it was given goes to a file that its user alone can read.
cat >"$slurm_dir/bin/task" <<'SCRIPT'
#!/bin/sh
umask 077
seen=$1
shift
cat "$UCX_EESP_KEYRING" >"$seen.$SLURM_PROCID" || exit
exec env LD_PRELOAD="$(dirname "$0")/libuct_eesp.so.0" "$@"
SCRIPT
chmod 0755 "$slurm_dir/bin/task"

# as USER COMMAND...: with nothing set but what a job sets; more by RUN_ENV.
RUN_ENV=()
as() {
    local user=$1
    shift
    (cd / && exec timeout -k 5 120 runuser -u "$user" -- env -i PATH="$PATH" \
        SLURM_CONF="$SLURM_CONF" UCX_NET_DEVICES=lo UCX_EESP_LOWER=tcp \
        UCX_TCP_PORT_RANGE="$ports" UCX_LOG_LEVEL=info \
        OMPI_MCA_mpi_yield_when_idle=1 ${RUN_ENV[@]+"${RUN_ENV[@]}"} "$@")
}
# srun_job USER NAME PROGRAM...: two ranks; what they were given is in
# seen/NAME.RANK.
srun_job() {
    local user=$1 name=$2
    shift 2
    # -u: or what a rank says would wait in its buffer.
    as "$user" srun -u --mpi=pmix -n 2 "$slurm_dir/bin/task" \
        "$slurm_dir/seen/$name" "$@" >"$out" 2>"$err" </dev/null
}
left() { find "$store" -mindepth 1 2>/dev/null; }
# gone: slurmstepd ends a little after srun does.
gone() {
    for _ in {1..200}; do
        [ -n "$(left)" ] || return 0
        sleep 0.1
    done
    return 1
}
nothing_left() {
    gone
    report $? "$1: no key is left" "$(left)"
}
# idle: the node has no job.
idle() {
    for _ in {1..300}; do
        [ -n "$(squeue -h 2>/dev/null)" ] || return 0
        sleep 0.1
    done
    return 1
}
capture_start() {
    tcpdump -i lo -w "$capture" -B 65536 -s 0 -Z root "tcp portrange $ports" \
        2>"$work/tcpdump" &
    tcpdump_pid=$!
    background+=("$tcpdump_pid")
    for _ in {1..50}; do
        grep -qs 'listening on' "$work/tcpdump" && return
        sleep 0.1
    done
}
capture_stop() {
    sleep 1.3 # the kernel hands packets over in blocks
    kill -INT "$tcpdump_pid"
    wait "$tcpdump_pid"
}
# packets: how many with data were captured.
packets() { tcpdump -r "$capture" 'tcp[tcpflags] & tcp-push != 0' 2>/dev/null | wc -l; }
marker=CLEARTEXT-MARKER-EESP-0123456789 # mpi_check's

# ---- sbatch and srun --------------------------------------------------------------

cat >"$slurm_dir/bin/job" <<SCRIPT
#!/bin/sh
srun --mpi=pmix -n 2 $slurm_dir/bin/task $slurm_dir/seen/batch \
    $slurm_dir/bin/mpi_check p2p allreduce marker
SCRIPT
chmod 0755 "$slurm_dir/bin/job"
capture_start
RUN_ENV=(UCX_TLS=eesp)
as nobody sbatch --wait -n 2 -o "$slurm_dir/seen/output" "$slurm_dir/bin/job" \
    >"$out" 2>"$err"
status=$?
cp "$slurm_dir/seen/output" "$out"
capture_stop
[ "$status" -eq 0 ] && grep -q '^mpi_check: all .* ok ' "$out"
report $? "sbatch: a checked job" "exit status $status"
used=$(lanes)
[ -n "$used" ] && ! grep -qv '^eesp/' <<<"$used"
report $? "sbatch: its lanes are eesp's alone: ${used//$'\n'/ }"
granted=$slurm_dir/seen/batch.0
cmp -s "$granted" "$slurm_dir/seen/batch.1" &&
    jq -e '[.keys[].eesp_level] | unique == ["master"]' "$granted" >"$work/jq"
report $? "sbatch: its ranks have one keyring, of derived keys"
for root in $(jq -r '.keys[].k' "$cluster"); do
    grep -qF -- "$root" "$granted" && break
done
! grep -qF -- "$root" "$granted"
report $? "sbatch: no root is in it"
chmod 0600 "$granted"
decode() {
    "$EESP_BIN" decode --quiet --keyring "$1" --pcap "$capture" \
        >"$work/summary" 2>&1
}
cp "$granted" "$work/granted"
decode "$work/granted" && grep -q '^0 not EESP' "$work/summary"
report $? "sbatch: it opens every packet" "$(<"$work/summary")"
note "$(<"$work/summary")"
! grep -qaF -- "$marker" "$capture"
report $? "sbatch: the marker is not on the wire"
nothing_left "sbatch"

# ---- Another user's job --------------------------------------------------------

srun_job daemon other "$slurm_dir/bin/mpi_check" p2p
status=$?
[ "$status" -eq 0 ] && grep -q '^mpi_check: all p2p ok' "$out"
report $? "srun: another user's job" "exit status $status"
cp "$slurm_dir/seen/other.0" "$work/other"
! decode "$work/other" && grep -qE '[1-9][0-9]* packets, 0 opened' "$work/summary"
report $? "its keyring opens none of the first job's packets" \
    "$(<"$work/summary")"
! decode "$cluster"
report $? "nor does the cluster's own: the job's key is another"
srun_job nobody again "$slurm_dir/bin/mpi_check" p2p
cp "$slurm_dir/seen/again.0" "$work/again"
! decode "$work/again"
report $? "nor does a later job's of the same user"

# started NAME: waits for both ranks of a job in the background.
started() {
    for _ in {1..300}; do
        [ -s "$work/stage/0" ] && [ -s "$work/stage/1" ] && return
        kill -0 "$job" 2>/dev/null || return
        sleep 0.1
    done
    return 1
}
# flood USER: a job that goes on until it is stopped.
flood() {
    rm -rf "$work/stage" "$slurm_dir/stage"
    mkdir -m 1777 "$slurm_dir/stage"
    ln -s "$slurm_dir/stage" "$work/stage"
    srun_job "$1" flood "$slurm_dir/bin/stage_check" flood 120 "$slurm_dir/stage" &
    job=$!
    background=("$job")
    started
}
flood nobody
report $? "a job that goes on"
ring=$(find "$store" -name keyring.jwks)
[ "$(stat -c '%a %U' "$ring")" = "400 nobody" ] &&
    [ "$(stat -c '%a %U' "$(dirname "$ring")")" = "711 root" ]
report $? "its keyring is its user's, in a directory of root's" "$ring"
runuser -u nobody -- cat "$ring" >/dev/null 2>"$err" &&
    ! runuser -u daemon -- cat "$ring" >/dev/null 2>>"$err"
report $? "another user cannot read it"
(umask 077 && jq -rj '.keys[0].k' "$ring" >"$work/secret")
python3 "$tests_dir/lib/secret_scan.py" "$work/secret" "$slurm_dir" /dev/shm /run \
    >"$work/found"
report $? "its key is nowhere to be seen" "$(<"$work/found")"
: >"$slurm_dir/stage/stop"
wait "$job"
status=$?
[ "$status" -eq 0 ] && grep -q '^stage_check: flood ok' "$out"
report $? "it ends well" "exit status $status"
nothing_left "a job that ended"

# ---- Rotation -------------------------------------------------------------------

# said COUNT PATTERN: waits until the ranks have said it so often.
said() {
    for _ in {1..200}; do
        [ "$(cat "$out" "$err" | grep -c "$2")" -lt "$1" ] || return 0
        sleep 0.1
    done
    return 1
}
flood nobody
count=0
for level in job domain; do
    for move in stage promote retire; do
        count=$((count + 2))
        "$EESP_BIN" rotate --keyring "$cluster" --level "$level" "$move" \
            >"$work/rotate" 2>&1 &&
            "$refresh" "keyring=$cluster" "directory=$store" \
                >"$work/refresh" 2>&1 &&
            grep -q '^1 steps, 1 with new keys, 0 failed' "$work/refresh" &&
            said "$count" 'was replaced: new keys are in use'
        report $? "rotation: each rank has new keys: $level $move" \
            "$(cat "$work/rotate" "$work/refresh")"
    done
done
"$refresh" "keyring=$cluster" "directory=$store" >"$work/refresh" 2>&1
grep -q '^1 steps, 0 with new keys, 0 failed' "$work/refresh"
report $? "rotation: what has not changed stays" "$(<"$work/refresh")"
[ "$(left | grep -c 'keyring')" -eq 1 ]
report $? "rotation: no old keyring stays" "$(left)"
: >"$slurm_dir/stage/stop"
wait "$job"
status=$?
[ "$status" -eq 0 ] && grep -q '^stage_check: flood ok' "$out"
report $? "rotation: nothing is lost" "exit status $status"
"$refresh" "keyring=$work/none" "directory=$store" >"$work/refresh" 2>&1
nothing_left "a job with rotations"

# ---- Ends that nobody asked for ------------------------------------------------

flood nobody
report $? "a job to be cancelled"
scancel --user nobody
wait "$job"
[ $? -ne 0 ]
report $? "it is cancelled"
nothing_left "a job that was cancelled"
idle
flood nobody
report $? "a job whose slurmstepd is killed"
end_steps
# What was its child is nobody's now.
for rank in "$work"/stage/[01]; do
    kill -KILL "$(<"$rank")"
done
scancel --user nobody
wait "$job"
nothing_left "a job whose slurmstepd was killed"
idle

# ---- What the site says ---------------------------------------------------------

plugstack "$line tls=require"
RUN_ENV=()
srun_job nobody required "$slurm_dir/bin/mpi_check" p2p
status=$?
used=$(lanes)
[ "$status" -eq 0 ] && grep -q '^mpi_check: all p2p ok' "$out" &&
    [ -n "$used" ] && ! grep -qv '^eesp/' <<<"$used"
report $? "tls=require: sealed with nothing set" "exit status $status: $used"
# refused NAME PATTERN: a plain program, that must not have run.
refused() {
    srun_job nobody refused sh -c 'echo it ran'
    status=$?
    [ "$status" -ne 0 ] && ! grep -q 'it ran' "$out" && grep -qE "$2" "$err"
    report $? "$1" "exit status $status"
}
RUN_ENV=(UCX_TLS=tcp)
refused "tls=require: another transport" "eesp: .*UCX_TLS is 'tcp'.*unset it"
RUN_ENV=(OMPI_MCA_pml=ob1)
refused "tls=require: Open MPI without UCX" "eesp: .*OMPI_MCA_pml is 'ob1'"
plugstack "$line tls=default"
RUN_ENV=()
srun_job nobody default "$slurm_dir/bin/mpi_check" p2p
status=$?
[ "$status" -eq 0 ] && ! lanes | grep -qv '^eesp/'
report $? "tls=default: sealed with nothing set" "exit status $status"
plugstack "$line"
as nobody srun -n 1 sh -c 'echo "ring=$UCX_EESP_KEYRING pml=$OMPI_MCA_pml"' \
    >"$out" 2>"$err"
grep -qx 'ring= pml=' "$out"
report $? "tls=user: a job that asks for nothing gets nothing"
RUN_ENV=(UCX_TLS=eesp)
cat >"$slurm_dir/bin/job" <<SCRIPT
#!/bin/sh
for step in 0 1; do
    srun -n 1 $slurm_dir/bin/task $slurm_dir/seen/\$1\$step true
done
SCRIPT
steps() {
    as nobody sbatch --wait -o "$slurm_dir/seen/output" "$slurm_dir/bin/job" "$1" \
        >"$out" 2>"$err"
}
steps apart
! cmp -s "$slurm_dir/seen/apart0.0" "$slurm_dir/seen/apart1.0" &&
    [ -s "$slurm_dir/seen/apart0.0" ] && [ -s "$slurm_dir/seen/apart1.0" ]
report $? "scope=step: each step has its own key"
plugstack "$line scope=job"
steps together
[ "$(jq .keys[0].k "$slurm_dir/seen/together0.0")" = \
    "$(jq .keys[0].k "$slurm_dir/seen/together1.0")" ]
report $? "scope=job: the steps of a job share one"

# ---- What is wrong --------------------------------------------------------------

capture_start
plugstack "required $plugin keyring=$work/none directory=$store"
refused "no keyring" "eesp: .*$work/none: No such file"
chmod 0644 "$cluster"
plugstack "$line"
refused "a keyring that others may read" "eesp: .*mode 0644.*chmod 0600"
chmod 0600 "$cluster"
plugstack "$line policy=none"
refused "no such policy" "eesp: .*no policy none"
plugstack "$line policy=pairs tsl=require"
refused "a word that is not known" "eesp: plugstack.conf: 'tsl=require'|eesp: .*'tsl=require' is none of"
"$EESP_BIN" keygen --levels domain --out "$work/domain.jwks" 2>/dev/null
plugstack "required $plugin keyring=$work/domain.jwks directory=$store policy=pairs"
refused "no job level" "eesp: .*has no job level"
mkdir -m 0777 "$slurm_dir/open"
plugstack "required $plugin keyring=$cluster directory=$slurm_dir/open"
refused "a directory that others may write to" "eesp: .*must be root's alone"
plugstack "optional $plugin keyring=$work/none directory=$store"
srun_job nobody optional "$slurm_dir/bin/mpi_check" p2p
[ $? -ne 0 ] && ! grep -q 'p2p ok' "$out"
report $? "optional, and no keyring: UCX refuses"
stop_munged
plugstack "$line"
srun_job nobody down "$slurm_dir/bin/mpi_check" p2p
status=$?
[ "$status" -ne 0 ] && grep -qi 'munge' "$err" && ! grep -q 'p2p ok' "$out"
report $? "munged is down: no job, and a line that says why" "exit status $status"
capture_stop
[ "$(packets)" -eq 0 ]
report $? "none of these sent anything" "$(packets) packets"
start_munged
srun_job nobody up "$slurm_dir/bin/mpi_check" p2p
status=$?
[ "$status" -eq 0 ] && grep -q '^mpi_check: all p2p ok' "$out"
report $? "munged is up again: a job runs" "exit status $status"
nothing_left "all of it"
finish
