#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""offload.py: prints tests/vectors/eesp/offload_keys.json, the keys of label
"SX" by the oracle's own derivation."""
import json
import os
import struct
import sys

sys.dont_write_bytecode = True
import keys  # noqa: E402

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..",
                       "vectors", "eesp")
LENGTH = {1: 64, 2: 32}


def made():
    ring = keys.Keyring(os.path.join(VECTORS, "keyring.json"))
    out, n, seen = [], 0, set()
    for policy in ring.policies.values():
        kind = (policy.kdf, policy.aead, policy.levels)
        if kind in seen:
            continue
        seen.add(kind)
        current = ring.current(policy)
        for step, epoch in ((0, policy.epoch), (1, policy.epoch + 1)):
            generations = {
                level: g + step if g + step in
                ring.rings[level, policy.key_ids[level]] else g
                for level, g in current.items()}
            kdk = ring.kdk(policy, generations, policy.kdf, policy.aead)
            for use in LENGTH:
                n += 1
                rank, ident, incarnation, number = (
                    0x01020304 * n % 2 ** 32, 0x1112131415161718 + n,
                    0x2122232425262728 * n % 2 ** 64, n // 2)
                context = struct.pack(">BBHIQQQ", use, 0, epoch % 65536, rank,
                                      ident, incarnation, number)
                out.append({
                    "spi": policy.spi, "use": use, "epoch": epoch % 65536,
                    "generations": [generations.get(level, 0) % 256
                                    for level in range(4)],
                    "rank": rank, "id": f"{ident:016x}",
                    "incarnation": f"{incarnation:016x}", "number": number,
                    "key": keys.kdf(policy.kdf, kdk, b"SX", context,
                                    LENGTH[use]).hex()})
    return json.dumps({"vectors": out}, indent=1) + "\n"


def agrees():
    with open(os.path.join(VECTORS, "offload_keys.json")) as f:
        return f.read() == made()


if __name__ == "__main__":
    print(made(), end="")
