# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154 # work: see common.sh
#
# A Slurm of the tests' own on this machine: slurmctld, slurmd and munged, all in
# a directory of their own, in namespaces (network, name, mounts) of the script's
# own: it is started in them anew. To be sourced after common.sh and munged.sh, as
# root.
#
#     start_slurm [COMMAND...] || ...
#                           COMMAND is run before slurmd reads what is configured
#                           in $slurm_dir; then SLURM_CONF names it
#     plugstack LINE...     what it loads from now on
#     stop_slurm

slurm_dir=
slurm_node=eesp-node
slurm_address=10.98.0.1 # on lo: where 127.0.0.1 is all, Slurm listens nowhere

# slurm_alone SCRIPT ARG...: the script again, in namespaces of its own.
slurm_alone() {
    [ -z "${EESP_SLURM_ALONE:-}" ] || return 0
    unshare -n -u -m true 2>/dev/null || return 1
    # shellcheck disable=SC2016 # for the inner shell
    EESP_SLURM_ALONE=yes exec unshare -n -u -m sh -c '
        hostname "$1" && ip link set lo up &&
            ip addr add "$2/32" dev lo && hosts=$(mktemp) &&
            printf "127.0.0.1 localhost\n%s %s\n" "$2" "$1" >"$hosts" &&
            chmod 0644 "$hosts" && mount --bind "$hosts" /etc/hosts &&
            rm "$hosts" && shift 2 && exec "$@"' sh "$slurm_node" \
        "$slurm_address" "$@"
}

slurm_configure() {
    mkdir -m 0700 "$slurm_dir/state" "$slurm_dir/spool"
    mkdir -m 1777 "$slurm_dir/tmp"
    : >"$slurm_dir/plugstack.conf"
    cat >"$slurm_dir/slurm.conf" <<CONF
ClusterName=eesp-test
SlurmctldHost=$slurm_node($slurm_address)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$EESP_MUNGE_SOCKET
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
TmpFS=$slurm_dir/tmp
ReturnToService=2
KillWait=2
StateSaveLocation=$slurm_dir/state
SlurmdSpoolDir=$slurm_dir/spool
SlurmctldPidFile=$slurm_dir/slurmctld.pid
SlurmdPidFile=$slurm_dir/slurmd.pid
SlurmctldLogFile=$slurm_dir/slurmctld.log
SlurmdLogFile=$slurm_dir/slurmd.log
PlugStackConfig=$slurm_dir/plugstack.conf
SlurmdParameters=config_overrides
NodeName=$slurm_node NodeAddr=$slurm_address CPUs=8 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=10 State=UP
CONF
    chmod 0644 "$slurm_dir"/*.conf
}

# Outside of $work: users must reach it.
start_slurm() {
    local state
    slurm_dir=$(mktemp -d /tmp/eesp-slurm.XXXXXX) || return
    chmod 0711 "$slurm_dir"
    start_munged || return
    slurm_configure
    "${@:-true}" || return
    export SLURM_CONF=$slurm_dir/slurm.conf
    slurmctld -c >"$work/slurmctld" 2>&1 && slurmd -c >"$work/slurmd" 2>&1 ||
        return
    for _ in {1..300}; do
        state=$(timeout 10 sinfo -h -o %T 2>/dev/null)
        [ "$state" != idle ] || return 0
        [ -e "/proc/$(cat "$slurm_dir/slurmctld.pid")" ] || return
        sleep 0.1
    done
    return 1
}

plugstack() {
    printf '%s\n' "$@" >"$slurm_dir/plugstack.new"
    chmod 0644 "$slurm_dir/plugstack.new"
    mv "$slurm_dir/plugstack.new" "$slurm_dir/plugstack.conf"
}

stop_slurm() {
    local daemon pid
    [ -n "$slurm_dir" ] || return 0
    for daemon in slurmd slurmctld; do
        pid=$(cat "$slurm_dir/$daemon.pid" 2>/dev/null) || continue
        kill "$pid"
        for _ in {1..100}; do
            [ -e "/proc/$pid" ] || break
            sleep 0.1
        done
        [ ! -e "/proc/$pid" ] || kill -KILL "$pid"
    done
    end_steps
    rm -rf "$slurm_dir"
}

# A step that a test has left: it is in our network, and nobody else is.
end_steps() {
    local process net
    net=$(readlink /proc/self/ns/net)
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/ns/net" 2>/dev/null)" != "$net" ] ||
            case $(cat "$process/comm" 2>/dev/null) in
            slurmstepd) kill -KILL "${process#/proc/}" ;;
            esac
    done
}
trap 'stop_slurm 2>/dev/null; remove_munged; cleanup' EXIT
