#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# offload-guest.sh: what rdma.sh runs inside a guest: libeesp_verbs on the
# emulated card (fakemlx5/README.md), and examples/verbs_mover between two
# processes, with cards that cannot, peers that have none, and other policies.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

card=$(built libmlx5.so.1 tests/rdma/fakemlx5)
check=$(built offload_check tests/rdma)
mover=$(built verbs_mover tests/rdma)
keyring=$work/keyring.jwks
port=7100
ulimit -l unlimited
LD_LIBRARY_PATH=$top_builddir/src/lib/.libs:$top_builddir/verbs_shim/.libs
export LD_LIBRARY_PATH

# ---- The library, every fault of a card ---------------------------------------

LD_PRELOAD=$card timeout -k 5 100 "$check" 1 >"$work/check" 2>"$err"
status=$?
while read -r line; do
    case $line in
    "ok - "*) ok "card: ${line#ok - }" ;;
    "not ok - "*) not_ok "card: ${line#not ok - }" ;;
    esac
done <"$work/check"
[ $status -eq 0 ] && grep -q '^[1-9][0-9]* passed, 0 failed' "$work/check"
report $? "card: all was tried" "exit status $status"

(LD_PRELOAD=$card timeout -k 5 60 "$check" 1 twice) >"$out" 2>"$err"
[ $? -eq 134 ] && grep -q 'a tweak was used twice under a key' "$err"
report $? "card: data units numbered anew under an old key are noticed"

# ---- The example, two processes ------------------------------------------------

# move NAME WANT SERVER CLIENT WHAT...: a server and, one after the other, a
# client for each WHAT; WANT is the last client's exit status. SERVER and CLIENT
# are the policy, then VAR=VALUE of the emulated card, or "none" for no card.
move() {
    local name=$1 want=$2 pid status=0 what server_env client_env got
    port=$((port + 1))
    settings "$3" server_env
    settings "$4" client_env
    env "${server_env[@]}" timeout -k 5 60 "$mover" -p "${3%% *}" -g 1 \
        -n $(($# - 4)) -o "$work/saved" "$keyring" serve $port 2 \
        >"$err" 2>&1 &
    pid=$!
    for _ in {1..200}; do
        grep -q ":$(printf %04X $port) [0-9A-F:]* 0A " /proc/net/tcp && break
        kill -0 $pid 2>/dev/null || break
        sleep 0.1
    done
    : >"$out"
    for what in "${@:5}"; do
        env "${client_env[@]}" timeout -k 5 60 "$mover" -p "${4%% *}" -g 1 \
            "$keyring" "$what" 127.0.0.1:$port 1 2 "$work/$what" \
            >>"$out" 2>&1
        status=$?
        [ $status -eq 0 ] || break
    done
    [ $status -eq 0 ] || kill $pid 2>/dev/null
    wait $pid
    got=$?
    if [ $status -ne "$want" ]; then
        not_ok "$name" "exit status $status, not $want; server's $got"
        return 1
    elif [ "$want" -eq 0 ] && [ $got -ne 0 ]; then
        not_ok "$name" "the server's exit status is $got"
        return 1
    fi
}

# settings TEXT ARRAY: environment of a mover.
settings() {
    local -n array=$2
    local words
    read -r -a words <<<"$1"
    array=("LD_PRELOAD=$card")
    [ "${words[1]:-}" != none ] || array=(LD_PRELOAD=)
    [ "${words[1]:-none}" = none ] || array+=("${words[@]:1}")
}

# says NAME FILE PATTERN COUNT
says() {
    local count
    count=$(grep -cE -- "$3" "$2")
    [ "$count" -eq "$4" ] && return
    not_ok "$1" "$count lines, not $4, say '$3' at the $([ "$2" = "$out" ] && echo client || echo server)"
    return 1
}

# transfer NAME SERVER CLIENT SERVER-SAYS CLIENT-SAYS: put and get, compared;
# each of the two connections has one such line.
transfer() {
    cp "$work/source" "$work/put"
    rm -f "$work/get" "$work/saved"
    move "$1" 0 "$2" "$3" put get || return
    if ! cmp -s "$work/source" "$work/saved" ||
        ! cmp -s "$work/source" "$work/get"; then
        not_ok "$1" "what was put or got differs"
        return
    fi
    says "$1" "$err" "$4" 2 && says "$1" "$out" "$5" 2 && ok "$1"
}

# refused NAME SERVER CLIENT WANT CLIENT-SAYS
refused() {
    cp "$work/source" "$work/put"
    rm -f "$work/saved"
    move "$1" "$4" "$2" "$3" put || return
    if [ -e "$work/saved" ]; then
        not_ok "$1" "something was put"
        return
    fi
    says "$1" "$out" "$5" 1 && ok "$1"
}

if ! "$EESP_BIN" keygen --levels domain --out "$keyring" >"$out" 2>"$err"; then
    not_ok "keyring"
    finish
fi
head -c 300001 /dev/urandom >"$work/source"
by_card='by the card .mlx5.: CONFIDENTIALITY ONLY'
by_cpu='sealed by the CPU'
# What the library's test above has tried, too, is left to the long form.
in_long() {
    [ -z "${RDMA_LONG:-}" ] || "$@"
}

transfer "mover: by the card, where both want it" conf conf "$by_card" \
    "$by_card"
in_long transfer "mover: by the CPU, where nobody asks for the card" aead aead \
    "$by_cpu\$" "$by_cpu\$"
in_long transfer "mover: a card of single blocks that holds one key" \
    "conf FAKEMLX5_LOG_MAX_NUM_DEKS=0 FAKEMLX5_SINGLE_BLOCK=1" \
    "conf FAKEMLX5_LOG_MAX_NUM_DEKS=0" "$by_card" "$by_card"
transfer "mover: the peer has no offload: stronger" "conf none" conf \
    'this side: mlx5: not a device of libmlx5' "$by_cpu, not by the card"
in_long transfer "mover: the peer's card takes wrapped keys only: stronger" \
    "conf FAKEMLX5_WRAPPED_ONLY=1" conf 'wrapped keys only' \
    "$by_cpu, not by the card"
transfer "mover: the peer's policy is stricter: the stricter" aead conf \
    "$by_cpu\$" "$by_cpu, not by the card"
transfer "mover: limit of keys reached in mid-run: stronger" \
    "conf FAKEMLX5_DEKS_TAKEN=16" conf 'from here on: no room' \
    'from here on: no room'
in_long transfer "mover: the client's limit of keys, too" conf \
    "conf FAKEMLX5_DEKS_TAKEN=16" 'from here on: no room' \
    'from here on: no room'
in_long transfer "mover: keys in error: stronger" conf \
    "conf FAKEMLX5_DEK_ERROR=1" 'from here on: the card does not take' \
    'from here on: the card does not take'
refused "mover: policies without a common backend" aead card 3 \
    'refused: no backend of both sides has .*: set the same policy'
in_long refused "mover: nothing but the card, and the peer has none" \
    "card none" card 3 'refused: no backend'
refused "mover: nothing but the card, and it has no room" card \
    "card FAKEMLX5_DEKS_TAKEN=16" 3 'refused: no room .* nothing but the card'
refused "mover: the device is removed" conf "conf FAKEMLX5_REMOVE_AFTER=2" 1 \
    'the device does not answer'
[ -n "${RDMA_LONG:-}" ] ||
    echo "### SHORT RUN: RDMA_LONG=1 runs verbs_mover on cards of every kind"
finish
