# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What the scripts of bench/ share: everything of tests/lib/common.sh, and
#
#   quick       1 if BENCH_QUICK=1: few and short rounds, figures of no worth
#   spread_awk  awk functions for medians and quartiles
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tests/lib/common.sh"

# shellcheck disable=SC2034
quick=${BENCH_QUICK:-0}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# program NAME: where the build put it.
program() {
    local file=$top_builddir/bench/$1
    [ -x "$file" ] || die "$file is not built: make bench-programs"
    printf '%s\n' "$file"
}

# need_plugin: plugin and keyring of its own in $keyring.
need_plugin() {
    keyring=$work/keyring.jwks
    [ -e "$EESP_PLUGIN" ] || die "$EESP_PLUGIN is not built: make"
    [ -x "$EESP_BIN" ] || die "$EESP_BIN is not built: make"
    make_keyring "$keyring" || die "no keyring"
}

# say TEXT: progress, on standard error.
say() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# take(group, value) adds a value to a group; quartile(group, 1..3) gives the
# 25, 50 or 75 % one as bench/bench.c does, spread(group, digits) the text
# "median [25 % 75 %]".
# shellcheck disable=SC2034
spread_awk='
function take(group, value) { values[group, ++count[group]] = value + 0 }
function quartile(group, q,    n, i, j, v, sorted) {
    n = count[group]
    if (n == 0)
        return 0
    for (i = 1; i <= n; i++) {
        v = values[group, i]
        for (j = i - 1; j >= 1 && sorted[j] > v; j--)
            sorted[j + 1] = sorted[j]
        sorted[j + 1] = v
    }
    i = int(n / 4)
    return sorted[q == 1 ? i + 1 : q == 2 ? int(n / 2) + 1 : n - i]
}
function spread(group, digits,    f) {
    f = "%." digits "f"
    return sprintf(f " [" f " " f "]", quartile(group, 2),
                   quartile(group, 1), quartile(group, 3))
}
'
