#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Where a keyring can come from: descriptors, systemd's credentials, keys of
# the kernel.
#
# shellcheck source=tests/cmd/expect.bash
. "$(dirname "$0")/expect.bash"

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

eesp rotate --keyring fd:9 --level domain stage 9<"$ring"
expect 1 "only files are rotated" 'fd:9'
[ ! -e fd:9 ]
report $? "no file of that name is made"
finish
