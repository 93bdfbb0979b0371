#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""report.py DIR [CORES]: from the samples of bench/suite, in DIR, table.txt,
table.csv, goals.txt and the data of the plots. Ratios are those of each round;
a figure is the median over the rounds."""
import collections
import csv
import os
import sys

import goals

COLLECTIVES = ('allreduce', 'alltoall', 'bcast', 'allgather',
               'reduce_scatter')
LATENCY = {'latency', 'put', 'get', 'tag_lat', *COLLECTIVES}
NOISY = .20
# State of an IPsec SA for one direction, as Google's announcement of PSP gives
# it (2022).
IPSEC_SA = 256


def quartiles(values):
    """As bench.c has them."""
    v = sorted(values)
    n = len(v)
    return v[n // 4], v[n // 2], v[n - 1 - n // 4]


class Run:
    """The samples of one run: by what was measured, then by round. Where plain
    was measured before and after sealed ('plain', 'again'), its figure is the
    mean of the two, and rounds in which they differ by more than NOISY are left
    out, if not all do: something else changed the machine meanwhile."""

    def __init__(self, path, cores):
        self.cores = cores
        self.samples = collections.defaultdict(dict)
        with open(path, newline='') as f:
            for row in csv.DictReader(f):
                key = (row['level'], row['test'], row['lower'],
                       int(row['ranks']), row['config'], int(row['bytes']))
                self.samples[key][int(row['round'])] = float(row['figure'])
        self.drifts = {}
        for key in [k for k in self.samples if k[4] == 'again']:
            self.join(key[:4] + ('plain',) + key[5:], self.samples.pop(key))

    def join(self, key, again):
        plain = self.samples[key]
        drifts = {r: 2 * abs(p - again[r]) / (p + again[r])
                  for r, p in plain.items() if r in again}
        self.drifts[key] = drifts
        kept = [r for r, drift in drifts.items() if drift <= NOISY] or drifts
        self.samples[key] = {r: (plain[r] + again[r]) / 2 for r in kept}

    def get(self, *key):
        """{round: figure}"""
        return self.samples.get(key, {})

    def bound_ns(self, what, size):
        return self.get('bound', what, '-', 1, 'auto', size)

    def seal_ns(self, size):
        """F(size): one seal or open, of each round."""
        seal, opening = self.bound_ns('seal', size), self.bound_ns('open', size)
        return {r: (seal[r] + opening[r]) / 2 for r in seal if r in opening}

    def aead(self, size):
        """MB/s of one core."""
        return {r: size / ns * 1000 for r, ns in self.seal_ns(size).items()}

    def spread(self, *key):
        """How much plain differs: within a round, the median of all rounds,
        where it was measured before and after; else from round to round,
        (75 % - 25 %) / median."""
        if key in self.drifts:
            return quartiles(self.drifts[key].values())[1] \
                if self.drifts[key] else 1
        values = self.get(*key)
        if not values:
            return 0
        low, middle, high = quartiles(values.values())
        return (high - low) / middle if middle else 0


def per_round(function, *series):
    """{round: function of the figures of that round}"""
    rounds = set(series[0]).intersection(*series[1:]) if series else set()
    return {r: function(*(s[r] for s in series)) for r in sorted(rounds)}


def messages_per_core(test, ranks, cores):
    """In messages of the test's size that one core seals and opens, the least
    an algorithm can do."""
    cores = min(ranks, cores)
    total = {'allreduce': 2 * (ranks - 1), 'alltoall': ranks * (ranks - 1),
             'allgather': ranks * (ranks - 1), 'bcast': ranks - 1,
             'reduce_scatter': ranks - 1}
    return total[test] / cores


def bound(run, level, test, lower, ranks, size):
    """What the machine allows at best for sealed traffic, of each round; {}
    where no bound is known."""
    plain = run.get(level, test, lower, ranks, 'plain', size)
    seal = run.seal_ns(size)
    copy = run.bound_ns('copy', size)
    if test in ('bw', 'tag_bw'):
        aead = run.aead(size)
        if lower == 'posix':
            return per_round(min, plain, aead)
        return per_round(lambda p, a: 1 / (1 / p + 1 / a), plain, aead)
    saved = 2 if lower == 'posix' else 0 # copies in and out of the segments
    if test in ('latency', 'tag_lat'):
        n = 1
    elif test in COLLECTIVES:
        n = messages_per_core(test, ranks, run.cores)
    else:
        return {}
    return per_round(
        lambda p, f, c: max(p - n * saved * c / 1000, 0) + n * 2 * f / 1000,
        plain, seal, copy)


def text(values, digits=2):
    if not values:
        return '-'
    low, median, high = quartiles(values.values())
    return f'{median:.{digits}f} [{low:.{digits}f} {high:.{digits}f}]'


def median(values):
    return quartiles(values.values())[1] if values else None


def rows(run):
    """Everything that was measured plain and sealed."""
    order = {name: i for i, name in enumerate(
        'latency bw bibw mbw_mr allreduce alltoall bcast allgather '
        'reduce_scatter put get tag_lat tag_bw'.split())}
    keys = {(level, test, lower, ranks, size)
            for level, test, lower, ranks, config, size in run.samples
            if level in ('mpi', 'ucx') and config == 'eesp' and test in order}
    return sorted(keys, key=lambda k: (k[0], k[2], order[k[1]], k[3], k[4]))


def write_table(run, directory):
    with open(os.path.join(directory, 'table.txt'), 'w') as t, \
            open(os.path.join(directory, 'table.csv'), 'w', newline='') as c:
        out = csv.writer(c, lineterminator='\n')
        out.writerow('level,test,lower,ranks,bytes,plain,eesp,ratio,bound,'
                     'of_bound,plain_spread,rounds'.split(','))
        print('Plain and sealed by turns: median [25 % 75 %] of the rounds; us '
              'for latencies and collectives,\nMB/s for bandwidths. ratio: '
              'sealed / plain of each round. of bound: what is reached of the '
              "machine's\nlimit, of each round: 1.00 is the limit. spread: how "
              'much plain differs before and after sealed,\nmedian of the '
              'rounds; above 20 % (!) a row decides nothing. rounds: those in '
              'which it differed by\nno more; the others are left out.',
              file=t)
        last = None
        for level, test, lower, ranks, size in rows(run):
            if last != (level, test, lower, ranks):
                last = level, test, lower, ranks
                print(f'\n{level} {test}, {lower}, {ranks} ranks\n'
                      f'{"bytes":>8}  {"plain":<28} {"sealed":<28} '
                      f'{"ratio":<19} {"bound":>10} {"of bound":>9} '
                      f'{"spread":>7}  {"rounds":>6}', file=t)
            plain = run.get(level, test, lower, ranks, 'plain', size)
            sealed = run.get(level, test, lower, ranks, 'eesp', size)
            limit = bound(run, level, test, lower, ranks, size)
            ratio = per_round(lambda e, p: e / p, sealed, plain)
            reached = per_round(
                (lambda e, b: b / e) if test in LATENCY else
                (lambda e, b: e / b), sealed, limit)
            spread = run.spread(level, test, lower, ranks, 'plain', size)
            print(f'{size:>8}  {text(plain):<28} {text(sealed):<28} '
                  f'{text(ratio):<19} '
                  f'{format(median(limit), ".2f") if limit else "-":>10} '
                  f'{format(median(reached), ".2f") if reached else "-":>9} '
                  f'{spread * 100:6.0f}%{"!" if spread > NOISY else " "}'
                  f' {len(ratio):6}', file=t)
            out.writerow([level, test, lower, ranks, size] + [
                '' if not v else f'{median(v):.4f}'
                for v in (plain, sealed, ratio, limit, reached)] +
                [f'{spread:.4f}', len(ratio)])
        write_streams(run, t)


def write_streams(run, t):
    """TLS and tunnels beside eesp over tcp."""
    configs = [c for c in ('tcp', 'tls', 'stunnel', 'ssh', 'wireguard')
               if any(k[0] == 'stream' and k[4] == c for k in run.samples)]
    for test, title in (('latency', 'Latency, us'), ('bw', 'Bandwidth, MB/s')):
        print(f'\n{title}: eesp over tcp as MPI sees it, beside one TCP '
              f'connection\n{"bytes":>8}' +
              ''.join(f'  {name:<26}' for name in ['eesp'] + configs), file=t)
        sizes = sorted({k[5] for k in run.samples
                        if k[0] == 'stream' and k[1] == test})
        for size in sizes:
            series = [run.get('mpi', test, 'tcp', 2, 'eesp', size)] + [
                run.get('stream', test, 'lo', 2, c, size) for c in configs]
            print(f'{size:>8}' + ''.join(f'  {text(s):<26}' for s in series),
                  file=t)


def write_lines(directory, name, header, lines):
    """For the plots: '?' stands for what was not measured."""
    with open(os.path.join(directory, 'data', name), 'w') as f:
        print('# ' + header, file=f)
        for line in lines:
            print(*('?' if v is None else v for v in line), file=f)


def read_csv(directory, name):
    path = os.path.join(directory, name)
    if not os.path.exists(path):
        return []
    with open(path, newline='') as f:
        return list(csv.DictReader(f))


def write_scale(directory):
    """Simulated ranks, and what a session for each pair would take."""
    sessions = read_csv(directory, 'sessions.csv')
    end = float(sessions[0]['end_bytes']) if sessions else None
    handshake = float(sessions[0]['handshake_us']) / 2e6 if sessions else None
    modes = collections.defaultdict(list)
    for row in read_csv(directory, 'scale.csv'):
        ranks = int(row['ranks'])
        both = [float(row['seal_ns']) + float(row['open_ns']),
                float(row['seal_25']) + float(row['open_25']),
                float(row['seal_75']) + float(row['open_75'])]
        modes[row['mode']].append(
            [ranks, *both, float(row['key_bytes']), float(row['grown_bytes'])])
    for mode, lines in modes.items():
        write_lines(directory, f'scale-{mode}.dat',
                    'ranks ns 25 75 key_bytes grown_bytes', lines)
    if not modes:
        return
    # A key that is derived: what it adds to a packet whose key is at hand.
    derive = (modes['derived'][0][1] - modes['cached'][0][1]) / 2e9
    write_lines(directory, 'pairwise.dat', 'ranks TLS-bytes IPsec-bytes '
                'TLS-seconds derive-seconds of one rank',
                [[n, end and end * (n - 1), 2 * IPSEC_SA * (n - 1),
                  handshake and handshake * (n - 1), derive * (n - 1)]
                 for n, *_ in modes['derived']])


def write_data(run, directory):
    os.makedirs(os.path.join(directory, 'data'), exist_ok=True)
    write_scale(directory)
    sizes = sorted({k[5] for k in run.samples if k[0] == 'mpi'})
    for lower in ('posix', 'tcp'):
        for test in ('bw', 'latency'):
            lines = []
            for size in sizes:
                line = [size]
                for config in ('plain', 'eesp'):
                    values = run.get('mpi', test, lower, 2, config, size)
                    line += quartiles(values.values()) if values else \
                        [None] * 3
                line.append(median(bound(run, 'mpi', test, lower, 2, size)))
                line.append(median(run.aead(size)) if test == 'bw' else
                            median(run.seal_ns(size)) / 1000
                            if run.seal_ns(size) else None)
                line += [median(run.get('stream', test, 'lo', 2, c, size))
                         for c in ('tls', 'stunnel', 'ssh', 'wireguard')]
                lines.append(line)
            write_lines(directory, f'{test}-{lower}.dat', 'bytes '
                        'plain 25 50 75 eesp 25 50 75 bound aead tls stunnel '
                        'ssh wireguard', lines)
        lines = []
        for test in COLLECTIVES:
            line = [test.replace('_', '-')]
            for ranks in (2, 4):
                key = 'mpi', test, lower, ranks
                plain = run.get(*key, 'plain', 65536)
                for series in (run.get(*key, 'eesp', 65536),
                               bound(run, *key, 65536)):
                    line.append(median(per_round(lambda x, p: x / p, series,
                                                 plain)))
            lines.append(line)
        write_lines(directory, f'collectives-{lower}.dat',
                    'test ratio2 bound2 ratio4 bound4', lines)


def main():
    directory = sys.argv[1]
    cores = int(sys.argv[2]) if len(sys.argv) > 2 else os.cpu_count()
    run = Run(os.path.join(directory, 'samples.csv'), cores)
    write_table(run, directory)
    goals.write(run, directory, sys.modules[__name__])
    write_data(run, directory)


if __name__ == '__main__':
    main()
