#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""root_scan.py SCANS KEYRING... -- PID...

Looks for the keys of keyrings, as bytes and as they stand in the file, in every
readable mapping of processes: through /proc/PID/mem, which honours no advice
against dumps. Prints one line for each key that was found:

    KEYRING LEVEL GENERATION bytes|text PID FLAGS COUNT

and at the end `scanned N bytes of M processes`. FLAGS are those of the mapping
in /proc/PID/smaps: sh, others may map it; lo, locked; dd, not dumped; wf, zero
in a child. KEYRING `-' stands for 32 bytes that are made up, and found nowhere.
"""
import base64
import json
import os
import sys
import time

CHUNK = 1 << 24


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def needles(keyring):
    if keyring == "-":
        yield ("-", "-", 0, "bytes"), os.urandom(32)
        return
    with open(keyring, encoding="utf-8") as file:
        ring = json.load(file)
    for key in ring["keys"]:
        name = os.path.basename(keyring), key["eesp_level"]
        generation = key.get("eesp_generation", 0)
        yield (*name, generation, "bytes"), decode(key["k"])
        # From any of its bytes on, so that pieces of a text are found, too.
        yield (*name, generation, "text"), key["k"].encode()[8:32]


def mappings(pid):
    here = None
    with open(f"/proc/{pid}/smaps", encoding="ascii",
              errors="replace") as maps:
        for line in maps:
            fields = line.split()
            if fields[0].endswith(":"):
                if fields[0] == "VmFlags:" and here:
                    yield (*here, ",".join(fields[1:]))
                continue
            start, end = (int(x, 16) for x in fields[0].split("-"))
            here = (start, end) if fields[1][0] == "r" else None


def scan(pid, wanted, found):
    size = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, flags in mappings(pid):
            for at in range(start, end, CHUNK):
                try:
                    memory.seek(at)
                    # Beyond the piece, for what lies across its end.
                    data = memory.read(min(CHUNK + 64, end - at))
                except (OSError, ValueError, OverflowError):
                    break  # [vvar], device memory
                size += len(data)
                for who, needle in wanted:
                    count = data.count(needle)
                    if count:
                        place = (*who, pid, flags)
                        found[place] = found.get(place, 0) + count
    return size


def main():
    border = sys.argv.index("--")
    wanted = [n for ring in sys.argv[2:border] for n in needles(ring)]
    pids = [int(p) for p in sys.argv[border + 1:]]
    found = {}
    size = 0
    for _ in range(int(sys.argv[1])):
        for pid in pids:
            size += scan(pid, wanted, found)
        time.sleep(0.05)
    for place, count in sorted(found.items(), key=str):
        print(*place, count)
    print(f"scanned {size} bytes of {len(pids)} processes")


main()
