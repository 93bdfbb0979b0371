#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# rdma.sh: on an RDMA device. This machine need not have one: guests of vm.sh
# do, and run this build.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

vm=$tests_dir/rdma/vm.sh

# The test bed itself, without our transport.
bed() {
    local status
    "$vm" run -o "$work/bed" -t 40 "
        ibdev=/sys/class/infiniband/rxe0/ports/1
        grep ACTIVE \$ibdev/state && ucx_info -d | grep 'Device: rxe0:1'
        : >'$work/of-guest'; : >'$tests_dir/of-guest'; exit 7" >"$out" 2>"$err"
    status=$?
    if [ $status -eq 125 ]; then
        not_ok "a guest boots" "see vm.sh"
        finish
    fi
    [ $status -eq 7 ] && [ "$(grep -c 'Device: rxe0:1' "$out")" -eq 2 ]
    report $? "a guest boots, has rxe0, and gives back output and exit status"
    [ ! -e "$work/of-guest" ] && [ ! -e "$tests_dir/of-guest" ]
    report $? "what a guest writes stays there"

    "$vm" run -t 1 'sleep 60' >"$out" 2>"$err"
    [ $? -eq 124 ]
    report $? "a command without end is ended"
}

why=$("$vm" why)
if [ -n "$why" ]; then
    skip "RDMA in a guest" "$why"
    finish
fi
bed
finish
