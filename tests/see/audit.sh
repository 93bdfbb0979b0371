#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# audit.sh: UCX_EESP_AUDIT writes one line at the start, at each rotation, for
# a keyring that is not taken, and at the end, to a file, standard error or
# syslog; what it names is so, no key is in it, and who asks for it gets it or
# no transport.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

program=$top_builddir/tests/mpi/stage_check
ring=$work/keyring.jwks
audit=$work/audit.log
need "audit" mpirun jq python3 "$program" "$MPI_CHECK" "$EESP_PLUGIN" \
    "$EESP_BIN"
RUN_TIMEOUT=100
make_keyring "$ring" || exit 99

# Lines as JSON, if each is name=value from the first to the last word.
cat >"$work/parse.py" <<'EOP'
import json, re, sys
WORD = re.compile(r' ([a-zA-Z0-9._-]+)=("(?:[^"\\]|\\.)*"|[A-Za-z0-9_.:,/@+%-]+)')
for line in sys.stdin:
    if "eesp-audit" not in line:
        continue
    line = line[line.index("eesp-audit"):].rstrip("\n")
    at, fields = len("eesp-audit"), {}
    while at < len(line):
        word = WORD.match(line, at)
        assert word, line[at:]
        assert word[1] not in fields, word[1]
        fields[word[1]] = word[2].strip('"')
        at = word.end()
    print(json.dumps(fields))
EOP

parse() {
    python3 "$work/parse.py" >"$work/json" 2>>"$err"
}

# holds FILTER NAME: of all lines as one array.
holds() {
    jq -s -e "$1" "$work/json" >/dev/null
    report $? "$2" "$(head -c 3000 "$work/json")"
}

# soon COUNT EVENT: so many of these lines are there within half a minute.
soon() {
    for _ in {1..150}; do
        [ "$(grep -s "event=$2 " "$audit" | wc -l)" -lt "$1" ] || return 0
        sleep 0.2
    done
    note "no $1 lines of $2: $(<"$audit")"
    return 1
}

# ---- A job that is rotated ------------------------------------------------------

mkdir "$work/ranks"
run_mpi 2 UCX_TLS=eesp UCX_EESP_LOWER=tcp UCX_EESP_KEYRING="$ring" \
    UCX_EESP_RELOAD_INTERVAL=10ms UCX_EESP_AUDIT="$audit" \
    UCX_EESP_STAT_DIR="$work/pages" -- "$program" flood 90 "$work/ranks" &
running=$!
background=("$running")
soon 2 start
report $? "a line for each rank at the start"
! grep -q event=end "$audit"
report $? "no line of an end yet"
cp -p "$ring" "$work/older"
for step in stage promote; do
    serial=$((${serial:-1} + 1))
    "$EESP_BIN" rotate --keyring "$ring" --level job $step 2>"$work/rotate"
    soon $((2 * (serial - 1))) rotation
    report $? "$step: a line for each rank"
done
cp -p "$ring" "$work/good"
cp -p "$work/older" "$ring.new" && mv "$ring.new" "$ring"
soon 2 refused
report $? "an older keyring: a line for each rank"
mv "$work/good" "$ring"
soon 6 rotation # the good one is taken again
touch "$work/ranks/stop"
wait "$running"
report $? "the job ends well"
background=()

parse <"$audit"
report $? "every line is name=value"
holds 'all(.[]; .context == "0" and .policy == "ranks" and .spi == "0x00010001"
    and .cipher == "aes-256-gcm" and .kdf == "cmac-aes256" and .encrypts == "yes"
    and .backend != "" and .offload == "none" and .fips == "no"
    and .transports == "eesp" and .namespace != "" and .command == "stage_check"
    and (.time | test("^20[0-9-]+T[0-9:]+Z$")) and .host != "")
    and ([.[] | select(.event == "start") | .rank] | sort) == ["0", "1"]' \
    "who, under what, with what"
holds '[.[] | select(.event == "start")] | all(.[]; .serial == "1" and
    ."job.sends" == "1" and ."domain.sends" == "1" and .domain != "" and
    .job != "" and (has("job.opens") or has("job.staged") | not) and
    (."job.until" | test("^20|never")))' "generations and lifetimes at the start"
holds '[.[] | select(.event == "rotation" and .serial == "2")] | length == 2 and
    all(.[]; ."job.sends" == "1" and ."job.staged" == "2")' "what stage did"
holds '[.[] | select(.event == "rotation" and .serial == "3")] | length == 2 and
    all(.[]; ."job.sends" == "2" and ."job.opens" == "1")' "what promote did"
holds '[.[] | select(.event == "refused")] | all(.[]; .why | test("goes back"))' \
    "why a keyring was not taken"
holds '[.[] | select(.event == "end")] | length == 2 and all(.[];
    (.sealed | tonumber) > 100 and (.opened | tonumber) > 100 and
    (.sealed_bytes | tonumber) > 1000 and (.derived | tonumber) > 0 and
    (.peers | tonumber) >= 1 and .dropped == "0" and
    (.seconds | tonumber) < 100)' "counters at the end"

keys=$(jq -r '.keys[].k' "$ring")
[ -n "$keys" ] && ! grep -qF "$keys" "$audit"
report $? "no key is in it"
[ "$(stat -c %a "$audit")" = 640 ]
report $? "the file is not open to all" "$(ls -l "$audit")"

# ---- Other places, other values -------------------------------------------------

run_mpi 2 UCX_TLS=eesp UCX_EESP_KEYRING="$ring" UCX_EESP_AUDIT=stderr -- \
    "$MPI_CHECK" bcast
report $? "stderr: the job runs"
parse <"$err" && [ "$(grep -c '"event": "end"' "$work/json")" -ge 2 ]
report $? "stderr"
run_mpi 2 UCX_TLS=eesp UCX_EESP_KEYRING="$ring" -- "$MPI_CHECK" bcast &&
    ! grep -q eesp-audit "$out" "$err"
report $? "by default there is none"

# What a user may name things can make no line of its own.
cp "$ring" "$work/a name"$'\n'"eesp-audit event=\"forged"
chmod 600 "$work"/a*name*
run_mpi 2 UCX_TLS=eesp UCX_EESP_AUDIT=stderr \
    UCX_EESP_KEYRING="$work/a name"$'\n'"eesp-audit event=\"forged" -- \
    "$MPI_CHECK" bcast
parse <"$err"
report $? "strange names are quoted"
holds 'length >= 4 and all(.[]; .event == "start" or .event == "end") and
    all(.[]; .keyring | test("a name\\\\x0aeesp-audit event="))' \
    "and make no line of their own"

# refused WHERE PATTERN NAME
refused() {
    run_mpi 2 UCX_TLS=eesp UCX_EESP_KEYRING="$ring" UCX_EESP_AUDIT="$1" -- \
        "$MPI_CHECK" bcast
    [ $? -ne 0 ] && cat "$out" "$err" | grep -q "$2"
    report $? "$3"
}

refused "$work/none/audit" 'who asks for an audit must get it' \
    "a place that cannot be written: no transport"
[ ! -w /dev/full ] || refused /dev/full 'No space left' \
    "a full disk at the start: no transport"
refused nowhere "UCX_EESP_AUDIT is 'nowhere'" "a place that is none"

# A disk that is full later: said once, and the job goes on.
if mkdir "$work/mount" && mount -t tmpfs -o size=64k tmpfs "$work/mount" \
    2>/dev/null; then
    rm -f "$work/ranks"/*
    run_mpi 2 UCX_TLS=eesp UCX_EESP_KEYRING="$ring" UCX_EESP_LOWER=tcp \
        UCX_EESP_AUDIT="$work/mount/audit" UCX_EESP_RELOAD_INTERVAL=10ms -- \
        "$program" flood 90 "$work/ranks" &
    running=$!
    background=("$running")
    audit=$work/mount/audit
    soon 2 start
    truncate -s 4090 "$audit" # a page holds no further line
    head -c 1000000 /dev/zero >"$work/mount/filler" 2>/dev/null
    "$EESP_BIN" rotate --keyring "$ring" --level job retire 2>"$work/rotate"
    for _ in {1..100}; do
        [ "$(grep -c 'lines of the audit are lost' "$out")" -lt 2 ] || break
        sleep 0.2
    done
    touch "$work/ranks/stop"
    wait "$running"
    report $? "a disk that is full: the job goes on"
    background=()
    [ "$(grep -c 'lines of the audit are lost' "$out")" -eq 2 ]
    report $? "a disk that is full: said once by each rank"
    umount -l "$work/mount"
else
    skip "a disk that is full" "tmpfs cannot be mounted"
fi

# ---- syslog ---------------------------------------------------------------------

cat >"$work/listen.py" <<'EOP'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
while True:
    print(s.recv(65536).decode("ascii"), flush=True)
EOP

# A /dev of our own, where we are the daemon.
with_syslog() {
    local node
    mkdir "$work/dev" && mount -t tmpfs tmpfs "$work/dev" || return 1
    for node in null zero full random urandom; do
        touch "$work/dev/$node" && mount --bind "/dev/$node" "$work/dev/$node"
    done
    for node in shm pts; do
        mkdir "$work/dev/$node" && mount --rbind "/dev/$node" "$work/dev/$node"
    done
    ln -s /proc/self/fd "$work/dev/fd"
    ln -s pts/ptmx "$work/dev/ptmx"
    python3 "$work/listen.py" "$work/dev/log" >"$work/syslog" 2>&1 &
    listener=$!
    for _ in {1..100}; do
        [ ! -S "$work/dev/log" ] || break
        sleep 0.1
    done
    mount --rbind "$work/dev" /dev
    run_mpi 2 UCX_TLS=eesp UCX_EESP_KEYRING="$ring" UCX_EESP_AUDIT=syslog -- \
        "$MPI_CHECK" bcast
    status=$?
    kill "$listener"
    return $status
}

if unshare -m true 2>/dev/null; then
    export -f with_syslog run_mpi reported note
    unshare -m --propagation private bash -c "
        $(declare -p work ring MPI_CHECK EESP_PLUGIN plugin_preload sanitizer \
            RUN_TIMEOUT RUN_OPTIONS RUN_UNDER mpirun_options out err)
        with_syslog"
    report $? "syslog: the job runs"
    # <85>: authpriv.notice, RFC 5424 table 1 and 2.
    [ "$(grep -c '^<85>[A-Z].* eesp\[[0-9]*\]: eesp-audit .*event=end' "$work/syslog")" -ge 2 ]
    report $? "syslog: as authpriv.notice" "$(<"$work/syslog")"
    [ -e /dev/log ] || refused syslog '/dev/log: No such file' \
        "syslog that is not there: no transport"
else
    skip "syslog" "needs root and mount namespaces"
fi
finish
