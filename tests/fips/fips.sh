#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# fips.sh: in FIPS mode everything comes from OpenSSL's FIPS provider, or the
# transport is absent and says why. Where there is no provider, as on Debian
# 12, the refusal is real, and what comes after it runs with a stand-in.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

ring=$work/keyring.jwks
standin=$(built standin.so tests/fips)
need "fips" jq "$EESP_BIN" "$standin"
make_keyring "$ring" || exit 99

# says STATUS NAME PATTERN...: of the last command, that left its status in $?.
says() {
    local got=$? want=$1 name=$2 pattern
    shift 2
    for pattern in "$@"; do
        if ! cat "$out" "$err" | grep -qE -- "$pattern"; then
            not_ok "$name" "nothing matches: $pattern"
            return
        fi
    done
    [ "$got" -eq 0 ] && [ "$want" = 0 ] || { [ "$got" -ne 0 ] && [ "$want" != 0 ]; }
    report $? "$name" "exit status $got"
}

selftest() {
    "$EESP_BIN" selftest --fips "$@" >"$out" 2>"$err"
}

# job VAR=VALUE...: in FIPS mode.
job() {
    run_mpi 2 UCX_TLS=eesp UCX_EESP_LOWER=tcp UCX_EESP_KEYRING="$ring" \
        UCX_EESP_FIPS=y "$@" -- "$MPI_CHECK" p2p bcast
}

can_run_jobs() {
    command -v mpirun >/dev/null && [ -e "$MPI_CHECK" ] && [ -e "$EESP_PLUGIN" ]
}

# ---- Without a provider ---------------------------------------------------------

unset OPENSSL_CONF
settings=()
if selftest; then
    echo "### FIPS: with this machine's own provider: $(<"$err")"
else
    echo "### FIPS: no provider on this machine: its refusal was tested, the rest with a stand-in that is NOT one"
    selftest
    says 1 "selftest without a provider" \
        "^eesp: OpenSSL's FIPS provider is not there \(.*openssl fipsinstall" \
        'openssl list -providers'
    [ ! -s "$out" ]
    report $? "selftest without a provider: tests nothing instead"
    if can_run_jobs; then
        job
        says 1 "a job without a provider: no transport, and why" \
            "eesp: UCX_EESP_FIPS: OpenSSL's FIPS provider is not there"
    fi
    cat >"$work/openssl.cnf" <<EOC
openssl_conf = init
[init]
providers = providers
[providers]
fips = standin
[standin]
module = $standin
activate = 1
EOC
    export OPENSSL_CONF=$work/openssl.cnf
    settings=(OPENSSL_CONF="$OPENSSL_CONF")
    STANDIN_FAILS=1 selftest
    says 1 "a provider whose self-test fails" 'provider is not there'
fi

# ---- With one -------------------------------------------------------------------

selftest --json
says 0 "selftest" '^FIPS mode: '
jq -e '.passed and all(.backends[] | select(.name != "openssl");
        (.available | not)) and
    ([.backends[] | select(.used)] | length == 1 and .[0].name == "openssl" and
        .[0].known_answers == "pass") and
    all(.kdfs[]; .known_answers == "pass") and (.bursts.available | not)' \
    "$out" >/dev/null
report $? "only OpenSSL is left, and all KDFs give known answers"
jq -e '.backends[] | select(.algorithm == "chacha20-poly1305" and
    .name == "openssl") | .available | not' "$out" >/dev/null
report $? "ChaCha20-Poly1305 is not there"
if jq -e '.backends[] | select(.missing | test("built without"))' "$out" \
    >/dev/null; then
    skip "ipsec-mb is turned off" "built without it"
else
    jq -e 'all(.backends[] | select(.name != "openssl");
        .missing | test("^FIPS mode"))' "$out" >/dev/null
    report $? "ipsec-mb is turned off, and it says so"
fi

if ! can_run_jobs; then
    skip "jobs in FIPS mode" "no Open MPI, no plugin, or its tests not built"
    finish
fi

job "${settings[@]}" UCX_EESP_AUDIT="$work/audit" UCX_LOG_LEVEL=info
says 0 "a job" 'eesp: FIPS mode: all algorithms are those of .*ipsec-mb and AES code of our own are not used'
[ "$(grep -c 'event=end .*backend=openssl .*fips="' "$work/audit")" -ge 2 ]
report $? "its record says so" "$(<"$work/audit")"

# Other code derives the same keys and packets: half of a job in FIPS mode.
run_mpi 1 UCX_TLS=eesp UCX_EESP_LOWER=tcp UCX_EESP_KEYRING="$ring" \
    UCX_EESP_FIPS=y "${settings[@]}" UCX_EESP_AUDIT=stderr -- "$MPI_CHECK" p2p bcast : \
    -np 1 -x UCX_NET_DEVICES=lo -x UCX_TLS=eesp -x UCX_EESP_LOWER=tcp \
    -x UCX_EESP_KEYRING="$ring" -x UCX_EESP_AUDIT=stderr \
    -x LD_PRELOAD="$plugin_preload" "$MPI_CHECK" p2p bcast
says 0 "a job of which one rank is in FIPS mode" 'rank=0 .*fips="' 'rank=1 .*fips=no'

for kdf in hkdf-sha256 hkdf-sha384 hkdf-sha512 hmac-sha256; do
    jq --arg kdf $kdf '.eesp_policies[].kdf = $kdf' "$ring" >"$work/kdf.jwks"
    chmod 600 "$work/kdf.jwks"
    run_mpi 2 UCX_TLS=eesp UCX_EESP_LOWER=tcp UCX_EESP_FIPS=y "${settings[@]}" \
        UCX_EESP_KEYRING="$work/kdf.jwks" -- "$MPI_CHECK" bcast
    report $? "a job under $kdf"
done

job "${settings[@]}" UCX_EESP_BACKEND=ipsec-mb
says 1 "a backend that is not the provider's: no transport, and why" \
    'backend "ipsec-mb" is not usable here'
jq '.eesp_policies[].aead = "chacha20-poly1305"' "$ring" >"$work/chacha.jwks"
chmod 600 "$work/chacha.jwks"
job "${settings[@]}" UCX_EESP_KEYRING="$work/chacha.jwks"
says 1 "a cipher that it does not offer: no transport, and why" \
    'not usable here for chacha20-poly1305'
finish
