#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# stat.sh: eesp stat shows what running processes seal, open, refuse and hold;
# bad keyrings that come in the place of the one in use are not taken, said
# once, counted and shown, and the job goes on with the last good keys.
#
# Functions that spoil a keyring are called by name.
# shellcheck disable=SC2317
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

program=$top_builddir/tests/mpi/stage_check
place=$work/mount
ring=$place/keyring.jwks
pages=$work/pages
need "stat" mpirun jq python3 "$program" "$EESP_PLUGIN" "$EESP_BIN"
RUN_TIMEOUT=170
mkdir "$place"

# job VAR=VALUE...: starts one, returns when it exchanges.
job() {
    rm -rf "$work/ranks"
    mkdir "$work/ranks"
    run_mpi 2 UCX_TLS=eesp UCX_EESP_LOWER=tcp UCX_EESP_KEYRING="$ring" \
        UCX_EESP_RELOAD_INTERVAL=10ms UCX_EESP_STAT_DIR="$pages" "$@" -- \
        "$program" flood 150 "$work/ranks" &
    running=$!
    background=("$running")
    for _ in {1..300}; do
        [ ! -s "$work/ranks/0" ] || [ ! -s "$work/ranks/1" ] || break
        sleep 0.1
    done
}

json() {
    "$EESP_BIN" stat --dir "$pages" --json >"$work/json"
}

# soon COMMAND...: within a quarter of a minute.
soon() {
    local _
    for _ in {1..50}; do
        "$@" && return 0
        sleep 0.3
    done
    return 1
}

shows() {
    json
    jq -e "$1" "$work/json" >/dev/null
}

# is FILTER NAME: the filter of jq soon holds for the processes shown.
is() {
    soon shows "$1"
    report $? "$2" "$(head -c 1500 "$work/json")"
}

# ended NAME: the job has, after it was told to.
ended() {
    touch "$work/ranks/stop"
    wait "$running"
    report $? "$1"
}

# ---- What a sound job shows ---------------------------------------------------

make_keyring "$ring" || not_ok "keyring"
"$EESP_BIN" stat --dir "$pages" >"$out" 2>"$err"
[ $? -eq 1 ] && grep -q 'no process' "$err"
report $? "without a job: exit status 1, and said"
"$EESP_BIN" stat --dir "$pages" --json | jq -e '. == []' >/dev/null
report $? "without a job: an empty list"
job
is 'length == 2 and ([.[].rank] == [0, 1]) and all(.alive and .peers >= 1
    and .policy == "ranks" and .aead == "aes-256-gcm" and .confidentiality
    and .keyring_serial == 1 and .keyring_refused == 0)' \
    "two ranks, their policy and their cipher"
is 'all(.[].lowers[0]; .lower == "tcp/lo" and .sealed > 100 and .opened > 100 and
    .sealed_bytes > 1000 and .derived >= 1 and .cached > 0 and .backend != ""
    and .dropped == {})' "they count packets, bytes and keys"
sealed=$(jq '[.[].lowers[0].sealed] | max' "$work/json")
is "all(.[].lowers[0]; .sealed > $sealed)" "counters grow"
"$EESP_BIN" stat --dir "$pages" >"$work/table"
grep -Eq '^[0-9]+ +0 +stage_check +[1-9] +ranks +0x00010001 +aes-256-gcm +tcp/lo .* none +[^ ]+ +domain 1, job 1' \
    "$work/table"
report $? "the table" "$(cat "$work/table")"
"$EESP_BIN" stat --dir "$pages" --prometheus >"$work/prometheus"
/usr/bin/python3 - "$work/prometheus" >"$work/parsed" 2>&1 <<'EOF'
import sys
from prometheus_client.parser import text_string_to_metric_families
found = {s.name: s for f in text_string_to_metric_families(open(sys.argv[1]).read())
         for s in f.samples}
assert found["eesp_sealed_bytes_total"].value > 1000
assert found["eesp_sealed_bytes_total"].labels["lower"] == "tcp/lo"
assert found["eesp_dropped_packets_total"].labels["reason"]
assert found["eesp_key_generation"].labels["state"] == "current"
assert found["eesp_up"].value == 1
EOF
report $? "Prometheus reads it" "$(cat "$work/parsed")"
"$EESP_BIN" stat --dir "$pages" --watch 1 >"$work/watched" &
watching=$!
background+=("$watching")
twice() {
    [ "$(grep -c '^PID' "$work/watched")" -ge 2 ]
}
soon twice
report $? "--watch shows it again"
kill "$watching"
wait "$watching" 2>/dev/null
for step in stage promote; do
    "$EESP_BIN" rotate --keyring "$ring" --level job $step 2>"$work/rotate"
    case $step in
    stage) want='[.state] | index("next")' generation=2 serial=2 ;;
    promote) want='[.state] | index("previous")' generation=1 serial=3 ;;
    esac
    is "all(.keyring_serial == $serial and .keyring_drained == $serial and
        any(.keys[] | select(.level == \"job\" and .generation == $generation);
            $want))" "$step: every rank holds generation $generation so"
done
ended "the job ends well"
is '. == []' "its pages are gone"

# ---- Bad input ----------------------------------------------------------------

garbage() {
    head -c 4096 /dev/urandom >"$ring.new"
}
older() {
    cp "$work/older" "$ring.new"
}
older_epoch() {
    jq '.eesp_policies[].epoch -= 1' "$work/good" >"$ring.new"
}
foreign() {
    make_keyring "$ring.other" && mv "$ring.other" "$ring.new"
}
empty() {
    : >"$ring.new"
}
readable() {
    cp "$work/good" "$ring.new" && chmod 644 "$ring.new"
}
removed() {
    rm "$ring"
}
unmounted() {
    umount -l "$place"
}

count=0

# bad NAME PATTERN: is not taken, and why is shown; then the good one again.
bad() {
    rm -f "$ring.new"
    "$1" || not_ok "$1: made"
    if [ -e "$ring.new" ]; then
        [ "$1" = readable ] || chmod 600 "$ring.new"
        mv "$ring.new" "$ring"
    fi
    count=$((count + 1))
    is "length == 2 and all(.keyring_refused == $count and .keyring_refusing
        and (.keyring_refused_why | test(\"$2\")) and
        ([.keys[] | select(.level == \"job\" and .state == \"current\")
          .generation] == [2]))" "$1: not taken, and the reason is shown"
    "$EESP_BIN" stat --dir "$pages" >"$work/table"
    [ "$(grep -cE "runs on with the last good keys; $count new keyring.*$2" \
        "$work/table")" -eq 2 ]
    report $? "$1: the table says so" "$(cat "$work/table")"
    cp -p "$work/good" "$ring.good" && mv "$ring.good" "$ring"
    is "all(.keyring_refused == $count and (.keyring_refusing | not))" \
        "$1: the good one is taken again"
}

spoil() {
    rm -f "$ring" # or it would be there again when the mount is gone
    if mount -t tmpfs -o size=256k tmpfs "$place" 2>/dev/null; then
        mounted=yes
    else
        mounted=
        skip "directory unmounted, disk full" "tmpfs cannot be mounted"
    fi
    make_keyring "$ring"
    "$EESP_BIN" rotate --keyring "$ring" --level job stage 2>"$work/rotate"
    cp -p "$ring" "$work/older"
    "$EESP_BIN" rotate --keyring "$ring" --level job promote 2>"$work/rotate"
    cp -p "$ring" "$work/good"
    job
    bad garbage "keyring.jwks"
    bad older "goes back"
    bad older_epoch "goes back from epoch"
    bad foreign "another levels|other bytes|goes back"
    bad empty "empty file"
    bad readable "chmod 0600"
    bad removed "No such file"
    if [ "$mounted" ]; then
        full
        bad unmounted "No such file"
    fi
    ended "the job runs through all of it"
    [ "$(grep -c 'last good keys stay' "$out")" -eq $((2 * count)) ]
    report $? "each is told once by each rank" \
        "$(grep -c 'last good keys stay' "$out") lines for $count"
}

# No room for the next step: rotate says so, and leaves what was there.
full() {
    cp "$ring" "$work/copy"
    head -c 1M /dev/zero >"$place/fill" 2>/dev/null
    ! "$EESP_BIN" rotate --keyring "$ring" --level job retire \
        >"$work/rotate" 2>&1 && grep -q 'No space left' "$work/rotate" &&
        cmp -s "$ring" "$work/copy" && [ "$(ls "$place" | wc -l)" -eq 2 ]
    report $? "disk full: rotate fails, and the keyring is as it was" \
        "$(cat "$work/rotate"; ls "$place")"
    rm "$place/fill"
    is "length == 2 and all(.keyring_refused == $count)" \
        "disk full: the ranks saw no bad keyring"
}

spoil
if mountpoint -q "$place"; then
    umount "$place"
fi

# ---- A clock that is one day off ---------------------------------------------------

again() {
    cp -p "$ring" "$ring.new" && mv "$ring.new" "$ring"
}

# clock_off DAYS NAME: what is in use stays, what is read then is not taken.
clock_off() {
    local name="clock one day $2"
    count=$((count + 1))
    echo "$1" >"$work/clock"
    sleep 0.5
    is "length == 2 and all(.keyring_refused == $((count - 1)))" \
        "$name: the keys in use stay in use"
    again
    is "all(.keyring_refused == $count and .keyring_refusing and
        (.keyring_refused_why | test(\"cannot send\")))" \
        "$name: a keyring read then is not of that time, is not taken"
    echo +0d >"$work/clock"
    again
    is "all(.keyring_refused == $count and (.keyring_refusing | not))" \
        "$name: it is taken when the clock is right again"
}

fake=$(first_file /usr/lib/*/faketime/libfaketimeMT.so.1)
if [ -e "$fake" ]; then
    "$EESP_BIN" keygen --levels domain,job --lifetime 12h --force \
        --out "$ring.part" >"$work/keygen" 2>&1
    jq '.keys[].nbf = (now | floor) - 3600' "$ring.part" >"$ring"
    chmod 600 "$ring"
    echo +0d >"$work/clock"
    RUN_PRELOAD=$fake job FAKETIME_TIMESTAMP_FILE="$work/clock" \
        FAKETIME_NO_CACHE=1 NO_FAKE_STAT=1 FAKETIME_DONT_FAKE_MONOTONIC=1
    count=0
    clock_off +1d ahead
    clock_off -1d behind
    ended "clock one day off: the job ends well"
    [ "$(grep -c 'last good keys stay' "$out")" -eq 4 ]
    report $? "clock one day off: told once each time by each rank"
else
    skip "clock one day off" "no libfaketime"
fi

# ---- Places ------------------------------------------------------------------

RUN_TIMEOUT=30
make_keyring "$work/plain.jwks"
with() {
    run_mpi 2 UCX_TLS=eesp UCX_EESP_LOWER=tcp \
        UCX_EESP_KEYRING="$work/plain.jwks" UCX_EESP_STAT_DIR="$1" -- \
        "$MPI_CHECK" bcast && cat "$out" "$err" >"$work/said"
}
with none && ! grep -q 'page for eesp stat' "$work/said"
report $? "none: no page, not a word"
mkdir -m 777 "$work/open"
with "$work/open" && grep -q 'no page for eesp stat in .*not permitted' "$work/said"
report $? "a directory where others could change it: said, and the job runs"
with "$work/missing/deeper" && grep -q 'no page for eesp stat in' "$work/said"
report $? "a directory that cannot be made: said, and the job runs"
ln -s "$work/plain.jwks" "$work/pages/1.0"
head -c 8192 /dev/urandom >"$work/pages/2.0"
"$EESP_BIN" stat --dir "$work/pages" --json --all | jq -e '. == []' >/dev/null
report $? "links and files of others' making are passed over"
finish
