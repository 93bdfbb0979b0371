# SPDX-License-Identifier: BSD-3-Clause
"""Granted keyrings: their keys, and packets under them."""
import dataclasses
import itertools
import json

import cases
import faults
import keys
import packets
from driver import Case, run_eesp, try_decode, try_encode

PACKETS = 10


def read_granted(path):
    """Derivation keys by KDF, AEAD and generations."""
    with open(path) as file:
        return {(keys.KDFS[k["eesp_kdf"]], keys.AEADS[k["eesp_aead"]],
                 tuple(sorted((keys.LEVELS.index(level), g) for level, g in
                              k["eesp_generations"].items()))):
                keys.unbase64(k["k"]) for k in json.load(file)["keys"]}


def expected(keyring, policy, client):
    """What a grant must hold: a key for each combination of generations."""
    out = {}
    levels = sorted(policy.key_ids)
    rings = [sorted(keyring.rings[level, policy.key_ids[level]])
             for level in levels]
    for chosen in itertools.product(*rings):
        generations = dict(zip(levels, chosen))
        for kind, aead in policy.accepted:
            kdk = keyring.kdk(policy, generations, kind, aead)
            if client is not None:
                kdk = keys.kdf(kind, kdk, b"SD", client.to_bytes(8, "big"),
                               keys.KDK_LENGTH[kind])
            out[kind, aead, tuple(sorted(generations.items()))] = kdk
    return out


def granted_case(rng, keyring, policy, entry, me, client):
    """A packet, which only the client's key must not open if it is another's."""
    f = cases.random_packet(rng, keyring, policy, me)
    mine = True
    if client is not None and policy.client == "source":
        mine = rng.random() < 0.5
        cases.forget_origin(f) # proxies have other ids
        cases.put_source(f, client)
        if not mine:
            # With that client's keys, or by this one in its name.
            if rng.random() < 0.5:
                f.raw["keys_of"] = dataclasses.replace(f)
            cases.put_source(f, client ^ 1 << rng.randrange(63))
    packet = packets.seal(keyring, f)
    if rng.random() < 0.2:
        kind, packet = faults.corrupt(rng, packet)
        return Case("granted, " + kind, packet, entry)
    return Case("granted, opened by decode" if mine else
                "granted, packet of another client", packet, entry,
                f if mine else None, closed=not mine)


def try_grant(rng, total, path, keyring, policy, entry, me):
    granted, client = path + ".granted", None
    arguments = ["grant", "--force", "--keyring", path, "--policy",
                 str(policy.spi), "--out", granted]
    if policy.client and rng.random() < 0.7:
        client = me.id if policy.client == "destination" else (
            rng.getrandbits(63))
        arguments += ["--client", str(client)]
    status, _, err = run_eesp(arguments, [])
    total.add("grant is made", status == 0, err, json.dumps(entry))
    if status != 0:
        return
    total.add("keys of a grant",
              read_granted(granted) == expected(keyring, policy, client),
              f"client {client}", json.dumps(entry))
    try_encode(rng, total, granted, keyring, policy, entry, me, PACKETS,
               client)
    try_decode(total, granted, keyring, me,
               [granted_case(rng, keyring, policy, entry, me, client)
                for _ in range(PACKETS)])
