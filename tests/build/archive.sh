#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# archive.sh: the committed tree builds and passes its units outside of git,
# as it would from an archive, in the source directory and with no option.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

source_dir=$(cd "$(dirname "$0")/../.." && pwd)
if ! git -C "$source_dir" rev-parse HEAD >/dev/null 2>&1; then
    skip "build outside of git" "this is no git checkout"
    finish
fi

# Where no parent directory is a checkout either.
mkdir "$work/tree"
git -C "$source_dir" archive HEAD | tar -x -C "$work/tree"
report $? "git archive"
cd "$work/tree" || exit 1
for step in "autoreconf -fi" "./configure" "make -j$(nproc)"; do
    $step >"$out" 2>"$err"
    status=$?
    report $status "$step"
    [ $status -eq 0 ] || finish
    [ "$step" != ./configure ] || grep -A 20 '^ucx-eesp ' "$out" | sed 's/^/# /'
done
make -j"$(nproc)" check >"$out" 2>"$err"
report $? "make check"
finish
