#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bench.sh: the quick form of `make bench` runs, makes every file, and its
# figures are such as can be; a job that fails is named; an OSU suite is used
# where there is one. How fast anything is, is not looked at.
#
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

bench=$tests_dir/../bench
compare=$top_builddir/bench/mpi_compare
results=$work/results
export top_builddir
need "bench" mpirun python3 "$compare" "$top_builddir/bench/ucp_pair" \
    "$EESP_PLUGIN" "$EESP_BIN"

timeout -k 5 600 "$bench/run-all" --quick "$results" >"$out" 2>"$err" </dev/null
report $? "everything runs"
sed -n 's/^.*not installed.*$/### bench: &/p' "$results/left-out.txt"

for file in machine.txt samples.csv table.txt table.csv goals.txt goals.csv \
    {seal,kdf,bursts,tag,ring,scale,sessions,ucp-cost,segments}.{txt,csv}; do
    [ -s "$results/$file" ]
    report $? "$file was made"
done

"$tests_dir/bench/plausible.py" "$results" >"$out" 2>"$err"
status=$?
cat "$out"
passed=$((passed + $(grep -c '^ok' "$out")))
failed=$((failed + $(grep -c '^not ok' "$out")))
[ $status = 0 ] || report $status "figures can be read"

if command -v gnuplot >/dev/null; then
    for plot in {bw,latency,collectives}-{posix,tcp} of-bound \
        scale-{time,memory,setup}; do
        python3 -c 'import sys, xml.etree.ElementTree as e
paths = [x for x in e.parse(sys.argv[1]).iter() if x.tag.endswith("path")]
sys.exit(len(paths) < 10)' "$results/$plot.svg" 2>"$err"
        report $? "$plot.svg has curves"
    done
else
    skip "plots" "no gnuplot"
fi

# A test that is not there.
BENCH_LEVELS=mpi BENCH_LOWERS=posix BENCH_RANKS=2 \
    BENCH_TESTS='nosuch latency' BENCH_QUICK=1 \
    "$bench/suite" "$(mkdir "$work/fails" && echo "$work/fails")" \
    >"$out" 2>"$err"
status=$?
[ $status = 1 ] && grep -q 'mpi nosuch posix 2 eesp' "$work/fails/failures.txt"
report $? "a job that fails is named, and the run fails"
grep -q ',mpi,latency,posix,2,eesp,8,' "$work/fails/samples.csv"
report $? "the others are measured nevertheless"

# In the place of an OSU suite, one that answers in its form.
mkdir -p "$work/omb/mpi/pt2pt" "$work/osu"
cat >"$work/omb/mpi/pt2pt/osu_latency" <<END
#!/bin/bash
echo "\$*" >"$work/osu/arguments"
exec "$compare" latency --seconds 0.002 8 16 8192
END
chmod +x "$work/omb/mpi/pt2pt/osu_latency"
OMB_DIR=$work/omb BENCH_LEVELS=mpi BENCH_LOWERS=posix BENCH_RANKS=2 \
    BENCH_TESTS=latency BENCH_QUICK=1 "$bench/suite" "$work/osu" \
    >"$out" 2>"$err"
report $? "an OSU suite is used"
grep -q -- '-m 8:' "$work/osu/arguments"
report $? "it is told the sizes"
[ "$(grep -c ',mpi,latency,posix,2,eesp,' "$work/osu/samples.csv")" = 2 ]
report $? "its figures are taken, of the sizes that are wanted"

# Each is named after the process that made it.
left=0
while read -r name _; do
    case $name in
    eesp-bench-*) [ -e "/proc/${name##*-}" ] || left=$((left + 1)) ;;
    esac
done < <(ip netns list 2>/dev/null)
[ $left = 0 ]
report $? "no namespace is left behind" "$left are"
finish
