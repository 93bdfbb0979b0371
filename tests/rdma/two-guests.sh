#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# two-guests.sh: what rdma.sh runs in the first of two guests: jobs of one rank in
# each, whose frames rdma.sh looks at. The plain job has IPv6 addresses (GID 0),
# the sealed ones IPv4: so their frames can be told apart.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

remote=$tests_dir/rdma/remote.py
RUN_TIMEOUT=80
RUN_NET_DEVICES=all
RUN_OPTIONS=(--mca plm_rsh_agent "$remote run" --host "10.9.0.1:1,10.9.0.2:1"
    --mca oob_tcp_if_include eth0)

# job NAME GROUP... -- VAR=VALUE...
job() {
    local name=$1 groups=() status
    shift
    while [ "$1" != -- ]; do
        groups+=("$1")
        shift
    done
    shift
    run_mpi 2 "$@" -- "$MPI_CHECK" "${groups[@]}"
    status=$?
    if [ $status -ne 0 ]; then
        not_ok "$name" "exit status $status"
    elif ! grep -q '^mpi_check: all .* ok ([0-9]* checks)$' "$out"; then
        not_ok "$name" "mpi_check did not say that all is well"
    else
        ok "$name"
    fi
}

job "plain over rc between guests" marker -- UCX_TLS=rc_v UCX_IB_GID_INDEX=0
for lower in rc_verbs ud_verbs; do
    job "sealed over $lower between guests" marker allreduce rma -- \
        UCX_TLS=eesp UCX_EESP_LOWER=$lower UCX_IB_GID_INDEX=1 \
        UCX_UD_VERBS_ETH_DGID_CHECK=n UCX_EESP_KEYRING=/run/vm/keyring.jwks
done

# By emulated cards: nothing else in this capture is an RDMA WRITE.
beside=$(built beside.so tests/rdma/fakemlx5)
if [ -e "$beside" ]; then
    RUN_PRELOAD=$beside job "marker by the cards between guests" marker -- \
        UCX_TLS=eesp UCX_EESP_LOWER=ud_verbs UCX_IB_GID_INDEX=1 \
        UCX_UD_VERBS_ETH_DGID_CHECK=n UCX_EESP_KEYRING=/run/vm/keyring.jwks \
        UCX_EESP_RMA=y UCX_EESP_OFFLOAD=conf UCX_RNDV_THRESH=32k \
        UCX_EESP_AUDIT=/run/vm/audit
else
    skip "marker by the cards between guests" "built without libibverbs 42"
fi

# The example, by emulated cards: on addresses of its own, by which its frames
# are told apart.
LD_LIBRARY_PATH=$top_builddir/src/lib/.libs:$top_builddir/verbs_shim/.libs
mover=$(built verbs_mover tests/rdma)
run_mover="env LD_LIBRARY_PATH=$LD_LIBRARY_PATH LD_PRELOAD=$(built libmlx5.so.1 \
    tests/rdma/fakemlx5) timeout 60 $mover -p card"

# gid HOST: lines for a shell that print the index of 10.9.1.HOST.
gid() {
    printf 'ip addr add 10.9.1.%s/24 dev eth0
        for i in $(seq 100); do
            found=$(grep -ls 0a09:010%s /sys/class/infiniband/rxe0/ports/1/gids/*)
            [ -z "$found" ] || break
            sleep 0.1
        done
        basename "$found"' "$1" "$1" | tr '\n' ';' | sed 's/do;/do/g'
}

moved() {
    local server here there
    here=$(bash -c "$(gid 1)")
    there=$("$remote" run 10.9.0.2 "$(gid 2)")
    yes MOVED-IN-CLEAR-0123456789 | head -c 300001 >/run/vm/moved
    "$remote" run 10.9.0.2 "$run_mover -g $there -n 2 -o /run/vm/moved \
        /run/vm/keyring.jwks serve 7200 2" >"$work/server" 2>&1 &
    server=$!
    for _ in {1..100}; do
        # shellcheck disable=SC2086
        $run_mover -g "$here" /run/vm/keyring.jwks put 10.9.1.2:7200 1 2 \
            /run/vm/moved >"$out" 2>&1 && break
        grep -q refused "$out" || break # it does not listen yet
        sleep 0.2
    done
    # shellcheck disable=SC2086
    $run_mover -g "$here" /run/vm/keyring.jwks get 10.9.1.2:7200 1 2 \
        /run/vm/got >>"$out" 2>&1 && wait $server
    report $? "put and get by the cards between guests"
    cat "$work/server"
    [ "$(grep -c 'CONFIDENTIALITY ONLY' "$out")" -eq 2 ] &&
        cmp /run/vm/moved /run/vm/got
    report $? "what was put is got"
}

if [ -e "$mover" ]; then
    moved
else
    skip "put and get by the cards between guests" "built without libibverbs 42"
fi
"$remote" end 10.9.0.2
finish
