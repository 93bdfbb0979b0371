#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""leaks.py EESP DIR

What recorded traffic opens when root keys are published. In DIR are, for each
recorded job, NAME.pcap and NAME.jwks, the keyring with all that it was sealed
with: generation 1 of each level as previous, 2 as current key. For each leak a
keyring is made that has the published roots and, for the others, bytes drawn at
random, which is the best that can be done without them; `eesp decode' says which
packets open. Prints the table, then a line for each cell that is not as it should
be: open if, and only if, all roots of the packets' generations are published.
"""
import base64
import json
import os
import subprocess
import sys

LEVELS = ("domain", "tenant", "job", "task")
EESP, DIR = sys.argv[1:]

# Name, and which (level, id, generation) it publishes.
LEAKS = [(f"{level} {g}", lambda key, want=(level, g): key[::2] == want)
         for level in LEVELS for g in (1, 2)]
LEAKS = [leak for leak in LEAKS if leak[0] != "tenant 2"]
LEAKS += [
    ("all of 1", lambda key: key[2] == 1),
    ("all of 2", lambda key: key[2] == 2),
    ("all but job", lambda key: key[0] != "job"),
    ("all but task", lambda key: key[0] != "task"),
    ("job-b's site", lambda key: key[0] in ("domain", "tenant")
     or key[1] in ("job-b", "task-b")),
    ("all", lambda key: True),
]


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def name_of(key):
    return key["eesp_level"], key["kid"], key["eesp_generation"]


def leak_ring(ring, published):
    ring = json.loads(json.dumps(ring))
    for key in ring["keys"]:
        if not published(name_of(key)):
            key["k"] = base64.urlsafe_b64encode(os.urandom(32)).decode()[:43]
    path = os.path.join(DIR, "leak.jwks")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
              "w", encoding="utf-8") as file:
        json.dump(ring, file)
    return path


def decode(ring, capture):
    """Packet number -> ((level, id, generation)..., whether it opened)."""
    lines = subprocess.run(
        [EESP, "decode", "--json", "--keyring", ring, "--pcap", capture],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
    packets = {}
    for line in lines.splitlines():
        packet = json.loads(line)
        if packet["type"] != "packet" or "keys" not in packet:
            continue
        keys = tuple((k["level"], k["id"], k["generation"])
                     for k in packet["keys"])
        packets[packet["number"]] = keys, packet["opened"]
    return packets


def row_name(job, keys):
    return job + " " + " ".join(f"{level[0]}{g}" for level, _, g in keys)


def main():
    jobs = sorted(f[:-5] for f in os.listdir(DIR) if f.endswith(".pcap"))
    rows = {}  # (job, keys) -> {leak: (opened, of)}
    for job in jobs:
        ring = load(os.path.join(DIR, job + ".jwks"))
        capture = os.path.join(DIR, job + ".pcap")
        truth = decode(os.path.join(DIR, job + ".jwks"), capture)
        for leak, published in LEAKS:
            got = decode(leak_ring(ring, published), capture)
            for number, (keys, opened) in truth.items():
                if not opened:
                    sys.exit(f"{job}: packet {number} does not open at all")
                row = rows.setdefault((job, keys), {})
                count = row.setdefault(leak, [0, 0])
                count[0] += got.get(number, (keys, False))[1]
                count[1] += 1
    wrong = []
    width = max(len(row_name(*row)) for row in rows)
    print("recorded".ljust(width), "packets",
          *(name.rjust(len(name)) for name, _ in LEAKS), sep="  ")
    for (job, keys), row in sorted(rows.items(), key=lambda r: (
            r[0][0], [k[2] for k in r[0][1]])):
        cells = []
        for leak, published in LEAKS:
            opened, of = row[leak]
            wanted = all(published(key) for key in keys)
            cells.append(("opens" if opened else "-").rjust(len(leak)))
            if opened != (of if wanted else 0):
                wrong.append(f"wrong: {row_name(job, keys)}, {leak} published: "
                             f"{opened} of {of} packets open")
        print(row_name(job, keys).ljust(width), str(of).rjust(7), *cells,
              sep="  ")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"{len(rows)} generations of {len(jobs)} jobs, {len(LEAKS)} leaks")


main()
