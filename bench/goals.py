# SPDX-License-Identifier: BSD-3-Clause
"""goals: the goals of the project, each computed from a run's own figures:
good, hard (better still) or missed. A row whose plain figures differ by more
than 20 % does not count."""
import csv
import os

LARGE = (65536, 1048576, 4194304)


class Row:
    """value: what was reached, {round: value}; at most or at least good."""

    def __init__(self, name, value, good, hard, least=True, spread=0, unit=''):
        self.name, self.value, self.good, self.hard = name, value, good, hard
        self.least, self.spread, self.unit = least, spread, unit

    def reaches(self, value, goal):
        return value >= goal if self.least else value <= goal

    def verdict(self, report):
        if not self.value:
            return 'not measured'
        if self.spread > report.NOISY:
            return f'does not count: plain spread {self.spread * 100:.0f} %'
        value = report.median(self.value)
        if self.reaches(value, self.hard):
            return 'hard'
        return 'good' if self.reaches(value, self.good) else 'missed'


def bandwidths(run, report):
    for lower, sizes, good, hard in (('posix', (8192,), .65, .80),
                                     ('posix', LARGE, .75, .90),
                                     ('tcp', LARGE, .85, .95)):
        for size in sizes:
            key = 'mpi', 'bw', lower, 2
            limit = report.bound(run, *key, size)
            yield Row(f'{lower}, {size} B: bandwidth / bound',
                      report.per_round(lambda e, b: e / b,
                                       run.get(*key, 'eesp', size), limit),
                      good, hard, spread=run.spread(*key, 'plain', size))


def added_latency(run, report):
    for lower, good, hard in (('posix', .25, .15), ('tcp', .5, .3)):
        key = 'mpi', 'latency', lower, 2
        yield Row(f'{lower}, 8 B: added one-way latency',
                  report.per_round(lambda e, p: e - p,
                                   run.get(*key, 'eesp', 8),
                                   run.get(*key, 'plain', 8)),
                  good, hard, False, run.spread(*key, 'plain', 8), 'us')


def cpu_time(run, report):
    size = 1048576
    key = 'ucx', 'cpu', 'tcp', 1
    yield Row('tcp, 1 MiB: CPU time / (plain, same segments + 2 F)',
              report.per_round(lambda e, p, f: e / (p + 2 * f),
                               run.get(*key, 'eesp', size),
                               run.get(*key, 'plain65k', size),
                               run.seal_ns(size)),
              1.2, 1.1, False, run.spread(*key, 'plain65k', size))


def collectives(run, report):
    size = 65536
    for test in ('allreduce', 'alltoall'):
        for lower in ('posix', 'tcp'):
            for ranks in (2, 4):
                if ranks == 2 and run.cores < 2:
                    continue
                key = 'mpi', test, lower, ranks
                yield Row(f'{test}, {lower}, {ranks} ranks, 64 KiB: time / '
                          'bound',
                          report.per_round(lambda e, b: e / b,
                                           run.get(*key, 'eesp', size),
                                           report.bound(run, *key, size)),
                          1.3, 1.15, False, run.spread(*key, 'plain', size))


def against_tls(run, report):
    for size in LARGE:
        ceiling = report.median(report.per_round(
            lambda p, t: p / t, run.get('mpi', 'bw', 'tcp', 2, 'plain', size),
            run.get('stream', 'bw', 'lo', 2, 'tls', size)))
        plain = f' (plain UCX: {ceiling:.2f})' if ceiling else ''
        yield Row(f'tcp, {size} B: bandwidth / TLS 1.3{plain}',
                  report.per_round(lambda e, t: e / t,
                                   run.get('mpi', 'bw', 'tcp', 2, 'eesp',
                                           size),
                                   run.get('stream', 'bw', 'lo', 2, 'tls',
                                           size)),
                  1.7, 2.5, spread=run.spread('stream', 'bw', 'lo', 2, 'tls',
                                              size))


def scale(directory):
    """From bench/scale, which measures all numbers of ranks in turns."""
    path = os.path.join(directory, 'scale.csv')
    if not os.path.exists(path):
        return
    with open(path, newline='') as f:
        rows = list(csv.DictReader(f))
    for mode in ('derived', 'looked-up'):
        of_mode = [r for r in rows if r['mode'] == mode]
        least, most = of_mode[0], of_mode[-1]
        yield Row(f'{most["ranks"]} ranks / {least["ranks"]}, {mode}: ns per '
                  'packet', {1: float(most['ratio'])}, 1.2, 1.05, False)
        yield Row(f'{most["ranks"]} ranks, {mode}: key state of a rank',
                  {1: (float(most['key_bytes']) - float(least['key_bytes'])) /
                   float(most['ranks'])}, 0, 0, False, unit='B')


def write(run, directory, report):
    rows = [*bandwidths(run, report), *added_latency(run, report),
            *cpu_time(run, report), *collectives(run, report),
            *against_tls(run, report), *scale(directory)]
    with open(os.path.join(directory, 'goals.txt'), 'w') as f, \
            open(os.path.join(directory, 'goals.csv'), 'w', newline='') as c:
        out = csv.writer(c, lineterminator='\n')
        out.writerow(['goal', 'median', 'good', 'hard', 'plain_spread',
                      'verdict'])
        print('Goals, from the figures of this run; ratios are those of each '
              'round: median [25 % 75 %].\nF: one seal or open by the AEAD '
              'alone; bounds as in table.txt. Rounds in which plain differs by '
              'more than 20 %\nbefore and after sealed are left out; where most '
              'do, or the rounds of what was measured once, a row\ndoes not '
              'count.\n\n'
              f'{"":<56} {"reached":<22} {"good":>6} {"hard":>6}', file=f)
        for row in rows:
            verdict = row.verdict(report)
            unit = f' {row.unit}' if row.unit else ''
            print(f'{row.name:<56} '
                  f'{report.text(row.value, 3) + unit:<24} '
                  f'{row.good:>4} {row.hard:>6}  {verdict}', file=f)
            out.writerow([row.name, f'{report.median(row.value):.4f}'
                          if row.value else '', row.good, row.hard,
                          f'{row.spread:.4f}', verdict])
