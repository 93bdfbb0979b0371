#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""plausible.py DIR: whether the figures of a run of bench/run-all are complete
and such as can be, on however busy a machine."""
import csv
import os
import sys

PAIRS = {'latency', 'bw', 'bibw', 'mbw_mr', 'put', 'get'}
COLLECTIVES = {'allreduce', 'alltoall', 'bcast', 'allgather', 'reduce_scatter'}
failed = 0


def report(good, name, why=''):
    global failed
    failed += not good
    print(('ok' if good else 'not ok'), '-', name)
    if not good and why:
        print('#', why)


def read(name):
    with open(os.path.join(sys.argv[1], name), newline='') as f:
        return list(csv.DictReader(f))


def check_table():
    rows = read('table.csv')
    for lower in ('posix', 'tcp'):
        missing = [t for t in sorted(PAIRS | COLLECTIVES)
                   if not any(r['test'] == t and r['lower'] == lower and
                              r['ranks'] == '2' for r in rows)]
        report(not missing, f'every MPI test over {lower}', missing)
        missing = [t for t in ('allreduce', 'alltoall')
                   if not any(r['test'] == t and r['lower'] == lower and
                              r['ranks'] == '4' for r in rows)]
        report(not missing, f'four ranks over {lower}', missing)
        report({'tag_lat', 'tag_bw'} <= {r['test'] for r in rows
                                         if r['lower'] == lower},
               f'ucx_perftest over {lower}')
    wrong = [r for r in rows
             if not float(r['plain']) > 0 or not float(r['eesp']) > 0 or
             not 1e-4 < float(r['ratio']) < 1e4]
    report(not wrong, 'plain, sealed and ratio can be', wrong[:3])
    wrong = [r for r in rows if r['test'] in COLLECTIVES | {'bw', 'latency'}
             and not 1e-4 < float(r['of_bound'] or 0) < 1e4]
    report(not wrong, 'what has a bound has a part of it', wrong[:3])


def check_samples():
    rows = read('samples.csv')
    for config in ('tcp', 'tls'):
        sizes = {r['bytes'] for r in rows
                 if r['level'] == 'stream' and r['config'] == config}
        report(len(sizes) >= 4, f'{config} beside it', sizes)
    configs = {r['config'] for r in rows if r['level'] == 'stream'}
    with open(os.path.join(sys.argv[1], 'left-out.txt')) as f:
        said = f.read()
    missing = [c for c in ('stunnel', 'ssh', 'wireguard')
               if c not in configs and c + ':' not in said]
    report(not missing, 'tunnels: measured, or said to be missing', missing)


def check_goals():
    rows = read('goals.csv')
    report(len(rows) >= 20, 'every goal has its rows', len(rows))
    # The quick form ends at 1 MiB.
    wrong = [r for r in rows if r['verdict'] == 'not measured' and
             '4194304' not in r['goal']]
    report(not wrong, 'every goal is measured', wrong[:3])
    # A disturbed round's rows say that they do not count.
    wrong = [r for r in rows if r['median'] and
             (r['verdict'] not in ('hard', 'good', 'missed')
              if float(r['plain_spread']) <= .20 else
              not r['verdict'].startswith('does not count: plain spread'))]
    report(not wrong, 'every goal has a verdict', wrong[:3])
    wrong = [r for r in rows if r['goal'].endswith('key state of a rank') and
             float(r['median']) != 0]
    report(not wrong, 'no key state of a rank', wrong)


def check_scale():
    rows = read('scale.csv')
    modes = {r['mode'] for r in rows}
    report(modes == {'derived', 'looked-up', 'cached', 'replay', 'sessions'},
           'every way to simulate ranks', modes)
    keys = {r['key_bytes'] for r in rows if r['mode'] == 'derived'}
    report(len(keys) == 1, 'keys that are kept do not depend on the ranks',
           keys)
    sessions = [float(r['key_bytes']) / float(r['ranks']) for r in rows
                if r['mode'] == 'sessions']
    report(min(sessions) == max(sessions) > 64, 'sessions have keys each',
           sessions)


check_table()
check_samples()
check_goals()
check_scale()
sys.exit(failed > 0)
