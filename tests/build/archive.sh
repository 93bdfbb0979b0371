#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# archive.sh: the committed tree builds outside of git, in the source directory
# and with no option; the archive that it makes of itself builds elsewhere,
# passes its units, installs and leaves nothing behind (make distcheck).
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
make -j"$(nproc)" distcheck >"$out" 2>"$err"
report $? "make distcheck"
finish
