#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""oracle.py [--seed N] [--cases N]: libeesp against a second implementation.

keys.py and packets.py know profile SL1 from its description alone, others.py
PSP and TSS, on their own and in EESP. Random
keyrings, policies and packets go both ways: what the oracle makes, `eesp
decode' opens; what `eesp encode' makes, the oracle opens. Packets that were
changed, or that break one rule and are sealed all the same, both refuse.
EESP_BIN is the command, in the build tree. Needs python3-cryptography. The last
line is the sum.
"""
import argparse
import json
import os
import random
import sys
import tempfile
import time

sys.dont_write_bytecode = True # the source tree may be read only
import cases
import faults
import grants
import keys
import offload
import replay
import try_others
import vectors
from driver import (EESP, SHOWN, Case, Sum, make_case, run_eesp, try_decode,
                    try_encode)

POLICIES = 20 # of one keyring
SIV = "aes-256-gcm-siv" # OpenSSL 3.2 and later

# ---- All of it --------------------------------------------------------------

def ciphers(total):
    """AEADs that must be there, and GCM-SIV where both sides have it."""
    _, out, err = run_eesp(["selftest", "--json"], [])
    if not out:
        sys.exit(f"{EESP} selftest: {err}")
    theirs = {b["algorithm"] for b in json.loads(out)["backends"]
              if b["available"]}
    chosen = sorted(name for name, number in keys.AEADS.items()
                    if name != SIV or name in theirs and keys.CIPHERS[number])
    for name in chosen:
        total.add("cipher is there", name in theirs, name)
    return chosen


def write_keyring(rng, path, aeads):
    ring = cases.random_keyring(rng, POLICIES, aeads)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
              "w") as file:
        json.dump(ring, file)
    return keys.Keyring(path), ring["eesp_policies"]


def one_keyring(rng, total, path, aeads, share):
    keyring, entries = write_keyring(rng, path, aeads)
    status, _, err = run_eesp(["show", path], [])
    total.add("keyring is taken", status == 0, err)
    if status != 0:
        return
    me, batch = cases.random_receiver(rng), []
    for entry in entries:
        policy = keyring.policies[entry["spi"]]
        made = try_encode(rng, total, path, keyring, policy, entry, me, share)
        batch += [Case(*faults.corrupt(rng, packet), entry)
                  for packet in rng.sample(made, len(made) // 10)]
        # Seven of ten are good ones.
        batch += [make_case(rng, keyring, policy, entry, me)
                  for _ in range(share * 10 // 7 + 1)]
    for entry in rng.sample(entries, 2):
        grants.try_grant(rng, total, path, keyring,
                         keyring.policies[entry["spi"]], entry, me)
    for entry in rng.sample(entries, 4):
        replay.try_receiver(rng, total, path, keyring,
                            keyring.policies[entry["spi"]], entry, me)
    rng.shuffle(batch)
    try_decode(total, path, keyring, me, batch)


def wrong_oracle(rng, total, path, aeads):
    """An oracle that is wrong in one letter must not agree on anything."""
    right, quiet = keys.kdf, Sum(total.seed)
    keys.kdf = lambda kind, key, label, ctx, length: right(
        kind, key, label.replace(b"S1", b"S2"), ctx, length)
    quiet.failed = SHOWN # none of these is shown
    try:
        one_keyring(rng, quiet, path, aeads, 1)
    finally:
        keys.kdf = right
    for kind in ("encode, opened by the oracle", "oracle, opened by decode"):
        good, bad = quiet.kinds[kind]
        total.add("wrong oracle is noticed", good == 0 and bad > 0, kind)


def main():
    parser = argparse.ArgumentParser(description="libeesp against the oracle")
    parser.add_argument("--seed", type=int,
                        default=int(os.environ.get("EESP_ORACLE_SEED") or
                                    random.SystemRandom().getrandbits(32)))
    parser.add_argument("--cases", type=int, default=10000,
                        help="packets that must open, each way")
    arguments = parser.parse_args()
    rng, total = random.Random(arguments.seed), Sum(arguments.seed)
    start = time.monotonic()
    aeads = ciphers(total)
    print(f"# seed {arguments.seed} (--seed N repeats all but what eesp encode"
          f" draws itself)\n# ciphers: {', '.join(aeads)}", flush=True)
    for name, why in vectors.run(os.path.join(HERE, "../vectors/eesp")):
        total.add("vectors", why is None, name, why)
    total.add("keys of label SX", offload.agrees(),
              "offload_keys.json is not what offload.py makes")
    with tempfile.TemporaryDirectory(prefix="eesp-oracle.") as work:
        path = os.path.join(work, "ring.jwks")
        wrong_oracle(rng, total, path, aeads)
        rings = max(1, arguments.cases // (POLICIES * 20))
        share = -(-arguments.cases // (POLICIES * rings))
        for ring in range(rings):
            one_keyring(rng, total, path, aeads, share)
            if (ring + 1) % 5 == 0 or ring + 1 == rings:
                print(f"# {ring + 1} of {rings} keyrings, {total.passed} "
                      f"passed, {total.failed} failed, "
                      f"{time.monotonic() - start:.0f} s", flush=True)
        quiet = Sum(total.seed)
        quiet.failed = SHOWN
        try_others.wrong_oracle(rng, total, quiet, path)
        try_others.run(rng, total, path, arguments.cases // 2)
    total.report()
    return total.failed > 0


HERE = os.path.dirname(os.path.abspath(__file__))

if __name__ == "__main__":
    sys.exit(main())
