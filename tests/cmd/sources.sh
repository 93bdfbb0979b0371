#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Where a keyring can come from: descriptors, systemd's credentials, keys of
# the kernel, credentials of MUNGE, programs.
#
# shellcheck source=tests/cmd/expect.bash
. "$(dirname "$0")/expect.bash"
# shellcheck source=tests/lib/munged.sh
. "$tests_dir/lib/munged.sh"

ring=$work/ring.jwks
make_keyring "$ring" || exit 99
chmod 0600 "$ring"
head -c 3000 /dev/urandom >"$work/garbage"

eesp show fd:9 9<"$ring"
expect 0 "fd:" '^Keyring fd:9$' '^domain '
# Two readers of one descriptor: each reads from the beginning.
{ eesp show fd:9 && eesp show fd:9; } 9<"$ring"
expect 0 "a descriptor serves a second time" '^domain '
# shellcheck disable=SC2094 # it is unlinked while it is open, on purpose
cp "$ring" "$work/unlinked"
chmod 0644 "$work/unlinked"
exec 8<"$work/unlinked"
eesp show fd:8
expect 1 "a file that others may read" '^eesp: fd:8: mode 0644'
rm "$work/unlinked"
eesp show fd:8
expect 0 "without a name nobody else reaches it" '^domain '
exec 8<&-
eesp show fd:8
expect 1 "a descriptor that is not open" '^eesp: fd:8: Bad file descriptor'
cat "$ring" | eesp show fd:0
expect 1 "a pipe can be read once only" '^eesp: fd:0: not a file or memfd'
for name in fd: fd:x fd:-1 fd:+1 'fd: 1' fd:99999999999999999999; do
    eesp show "$name"
    expect 1 "'$name' is refused" 'not the number of a descriptor'
done

mkdir "$work/credentials"
cp "$ring" "$work/credentials/ring"
chmod 0400 "$work/credentials/ring"
CREDENTIALS_DIRECTORY=$work/credentials eesp show credential:ring
expect 0 "credential:" '^Keyring credential:ring$' '^domain '
CREDENTIALS_DIRECTORY=$work/credentials eesp show credential:none
expect 1 "no such credential" 'none: No such file'
for name in ../credentials/ring .. ''; do
    CREDENTIALS_DIRECTORY=$work/credentials eesp show "credential:$name"
    expect 1 "'credential:$name' is refused" "not a credential's name"
done
(unset CREDENTIALS_DIRECTORY; eesp show credential:ring)
expect 1 "no directory of credentials" 'CREDENTIALS_DIRECTORY is not set'

# As LoadCredentialEncrypted= does it; the key is this test's own, not a TPM's.
if ! command -v systemd-creds >/dev/null; then
    skip "systemd-creds" "no systemd-creds: apt-get install systemd"
else
    export SYSTEMD_CREDENTIAL_SECRET=$work/host.secret
    mkdir "$work/opened"
    (umask 077 && systemd-creds encrypt --with-key=host --name=sealed \
        "$ring" "$work/sealed.cred" &&
        ! grep -q '"keys"' "$work/sealed.cred" &&
        systemd-creds decrypt --name=sealed "$work/sealed.cred" \
            "$work/opened/sealed") >"$work/creds" 2>&1
    report $? "systemd-creds seals and opens a keyring" "$(<"$work/creds")"
    CREDENTIALS_DIRECTORY=$work/opened eesp show credential:sealed
    expect 0 "credential: that was sealed" '^Keyring credential:sealed$' \
        '^domain '
    CREDENTIALS_DIRECTORY=$work/opened systemd-creds cat sealed 2>/dev/null |
        cmp -s - "$ring"
    report $? "systemd-creds finds it under the same name"
fi

# A volume of Kubernetes: links that are swapped.
mkdir "$work/v1" && cp "$ring" "$work/v1/ring" && chmod 0400 "$work/v1/ring"
ln -s v1 "$work/..data" && ln -s ..data/ring "$work/mounted"
eesp show "$work/mounted"
expect 0 "links of a Secret volume are followed" '^domain '

# in_session COMMAND...: with a session keyring of its own.
if ! command -v keyctl >/dev/null; then
    skip "keyring:" "no keyctl: apt-get install keyutils"
elif ! keyctl session - true >/dev/null 2>&1; then
    skip "keyring:" "this machine lets nobody make kernel keyrings"
else
    export EESP_BIN
    # shellcheck disable=SC2016 # for the inner shell
    keyctl session - sh -c 'keyctl padd user eesp-test @s <"$1" >/dev/null &&
        "$EESP_BIN" show keyring:eesp-test' sh "$ring" >"$out" 2>"$err"
    status=$?
    [ "$status" -eq 0 ] && grep -q '^domain ' "$out"
    report $? "keyring:"
    keyctl session - "$EESP_BIN" show keyring:eesp-test >"$out" 2>"$err"
    [ $? -eq 1 ] && grep -q 'keyring:eesp-test: .*keyctl padd' "$err"
    report $? "no such key"
    # shellcheck disable=SC2016
    keyctl session - sh -c 'key=$(keyctl padd user eesp-test @s <"$1") &&
        keyctl setperm "$key" 0x3f010002 &&
        "$EESP_BIN" show keyring:eesp-test' sh "$ring" >"$out" 2>"$err"
    [ $? -eq 1 ] && grep -q 'keyring:eesp-test: others may read it' "$err"
    report $? "a key that others may read"
    # shellcheck disable=SC2016
    keyctl session - sh -c 'head -c 3000 "$1" | keyctl padd user eesp-test @s &&
        "$EESP_BIN" show keyring:eesp-test' sh "$work/garbage" >"$out" 2>"$err"
    [ $? -eq 1 ] && grep -q 'keyring:eesp-test: ' "$err"
    report $? "a key that holds something else"
fi

# ---- MUNGE -------------------------------------------------------------------

# credential ARG...: of the keyring, in a file that everybody may read.
credential() {
    munge --socket "$EESP_MUNGE_SOCKET" --input "$ring" \
        --output "$work/credential" "$@" 2>"$err" && chmod 0644 "$work/credential"
}

eesp show "munge:$work/none"
expect 1 "munge: no such credential" 'none: No such file'
if ! start_munged; then
    skip "munge:" "no munged: apt-get install munge"
else
    me=$(id -u)
    credential --restrict-uid "$me" --cipher aes256
    eesp show "munge:$work/credential"
    expect 0 "munge:" '^Keyring munge:' '^domain '
    eesp show "munge:$work/credential"
    expect 0 "munge: a second rank decodes it, too" '^domain '
    EESP_MUNGE_CREDENTIAL=$(<"$work/credential") eesp show munge:
    expect 0 "munge: in the environment" '^Keyring munge:$' '^domain '
    eesp show munge:
    expect 1 "munge: nothing is there" 'EESP_MUNGE_CREDENTIAL must hold'
    credential --cipher aes256
    eesp show "munge:$work/credential"
    expect 1 "munge: for every user" 'every user may decode it.*--restrict-uid'
    credential --restrict-uid "$me" --cipher none
    eesp show "munge:$work/credential"
    expect 1 "munge: in clear" 'payload is not encrypted'
    credential --restrict-uid "$((me + 1))" --cipher aes256
    eesp show "munge:$work/credential"
    expect 1 "munge: another user's" 'Unauthorized credential.*--restrict-uid'
    credential --restrict-uid "$me" --cipher aes256 --ttl 1
    sleep 2.1
    eesp show "munge:$work/credential"
    expect 1 "munge: its time is over" 'Expired credential'
    credential --restrict-uid "$me" --cipher aes256
    sed y/abcdef/bcdefa/ "$work/credential" >"$work/changed"
    eesp show "munge:$work/changed"
    expect 1 "munge: changed" 'munged: .*credential'
    eesp show "munge:$work/garbage"
    expect 1 "munge: no credential" 'munged: .*credential'
    munge -S "$EESP_MUNGE_SOCKET" --restrict-uid "$me" -s none >"$work/other"
    eesp show "munge:$work/other"
    expect 1 "munge: carries something else" 'not a keyring'
    if [ "$me" -eq 0 ]; then
        mkdir -m 0755 "$munge_dir/shown"
        credential --restrict-uid nobody --cipher aes256
        cp "$work/credential" "$munge_dir/shown/root"
        munge -S "$EESP_MUNGE_SOCKET" -u nobody -U nobody -i "$ring" \
            >"$munge_dir/shown/own"
        munge -S "$EESP_MUNGE_SOCKET" -u nobody -U munge -i "$ring" \
            >"$munge_dir/shown/stranger"
        # The build tree may be closed to others.
        libtool_eesp=$(built eesp src/cmd)
        cp "$libtool_eesp" "$munge_dir/shown/eesp"
        cp -L "$top_builddir/src/lib/.libs/libeesp.so".? "$munge_dir/shown/"
        chmod -R a+rX "$munge_dir/shown"
        as_nobody() {
            runuser -u nobody -- env LD_LIBRARY_PATH="$munge_dir/shown" \
                EESP_MUNGE_SOCKET="$EESP_MUNGE_SOCKET" \
                "$munge_dir/shown/eesp" show "munge:$munge_dir/shown/$1" \
                >"$out" 2>"$err"
        }
        as_nobody root
        expect 0 "munge: from root for a user" '^domain '
        as_nobody own
        expect 0 "munge: from the user himself" '^domain '
        as_nobody stranger
        expect 1 "munge: from another user" 'neither root nor this user made it'
    fi
    credential --restrict-uid "$me" --cipher aes256
    stop_munged
    eesp show "munge:$work/credential"
    expect 1 "munge: munged is down" 'munged: Socket communication error'
fi

# ---- Programs ----------------------------------------------------------------

eesp show "exec:/bin/cat $ring"
expect 0 "exec:" '^Keyring exec:/bin/cat ' '^domain '
eesp show "exec:  /bin/cat   $ring "
expect 0 "exec: blanks only separate" '^domain '
# shellcheck disable=SC2016 # nothing expands it
for command in "cat $ring" "./cat $ring" '' ' '; do
    eesp show "exec:$command"
    expect 1 "exec: '$command' has no whole path" 'whole path of a program'
done
: >"$work/touched"
# shellcheck disable=SC2016
eesp show "exec:/bin/echo \$(rm $work/touched) ;rm $work/touched|\`rm $work/touched\`"
expect 1 "exec: no shell looks at it" 'not a keyring'
[ -e "$work/touched" ]
report $? "exec: nothing in it was run"
eesp show exec:/bin/none
expect 1 "exec: no such program" 'exec:/bin/none: No such file'
eesp show exec:/etc/passwd
expect 1 "exec: not a program" 'not a program'
eesp show exec:/bin/false
expect 1 "exec: one that fails" 'exec:/bin/false: failed'
eesp show exec:/bin/true
expect 1 "exec: one that prints nothing" 'printed nothing'
eesp show "exec:/bin/cat /dev/zero"
expect 1 "exec: one that prints without end" 'printed more than 1 MiB'

# program NAME TEXT
program() {
    printf '#!/bin/sh\n%s\n' "$2" >"$work/$1"
    chmod 0755 "$work/$1"
}
program slow "sleep 300 & echo \$! >$work/pid; wait"
start=$SECONDS
eesp show "exec:$work/slow"
expect 1 "exec: one that takes too long" 'took longer than 10 s'
for _ in {1..50}; do
    kill -0 "$(<"$work/pid")" 2>/dev/null || break
    sleep 0.1
done
[ $((SECONDS - start)) -lt 60 ] && ! kill -0 "$(<"$work/pid")" 2>/dev/null
report $? "exec: it was ended, and what it had started" \
    "$((SECONDS - start)) s, process $(<"$work/pid")"
# shellcheck disable=SC2016
program nosy "cat $ring; { env; ls /proc/self/fd; } >$work/given"
LD_PRELOAD='' UCX_TLS=eesp eesp show "exec:$work/nosy" 9<"$ring"
expect 0 "exec: with the environment" '^domain '
grep -q '^UCX_TLS=eesp' "$work/given" && ! grep -q '^LD_PRELOAD' "$work/given" &&
    ! grep -qx 9 "$work/given"
report $? "exec: but for LD_PRELOAD, and no descriptor" "$(<"$work/given")"
program shared "cat $ring"
chmod 0775 "$work/shared"
eesp show "exec:$work/shared"
expect 1 "exec: a program that others may change" 'chmod go-w'
if [ "$(id -u)" -eq 0 ]; then
    chmod 0755 "$work/shared"
    chown nobody "$work/shared"
    eesp show "exec:$work/shared"
    expect 1 "exec: another user's program" 'neither you nor root'
fi

eesp rotate --keyring fd:9 --level domain stage 9<"$ring"
expect 1 "only files are rotated" 'fd:9'
[ ! -e fd:9 ]
report $? "no file of that name is made"
finish
