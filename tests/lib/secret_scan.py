#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""secret_scan.py SECRET-FILE [DIRECTORY...]

Looks for the text in SECRET-FILE in the environment and the arguments of every
process, and in every regular file below the directories that others than its
owner may read (mode of the file and of all directories above it). Prints what
has it, one a line; exit status 1 if anything has.
"""
import os
import stat
import sys


def contains(path, secret):
    try:
        with open(path, "rb") as f:
            return secret in f.read()
    except OSError:  # gone, or not ours to read
        return False


def processes(secret):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("environ", "cmdline"):
            if contains(f"/proc/{pid}/{name}", secret):
                yield f"/proc/{pid}/{name}"


def open_to_others(status):
    return status.st_mode & (0o011 if stat.S_ISDIR(status.st_mode) else 0o044)


def files(top, secret):
    for directory, below, names in os.walk(top):
        below[:] = [d for d in below
                    if open_to_others(os.lstat(os.path.join(directory, d)))]
        for name in names:
            path = os.path.join(directory, name)
            try:
                status = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) and open_to_others(status) and \
                    contains(path, secret):
                yield path


def main():
    with open(sys.argv[1], "rb") as f:
        secret = f.read().strip()
    found = list(processes(secret))
    for top in sys.argv[2:]:
        found += files(top, secret)
    print("\n".join(found))
    sys.exit(bool(found) or len(secret) < 40)


main()
