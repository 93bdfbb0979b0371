# SPDX-License-Identifier: BSD-3-Clause
"""The oracle against the vectors, which a third program computed."""
import json
import os

import keys
import packets
from packets import Fields, Receiver


def options_of(packet):
    return packets.walk(packet[8:8 + packet[1]])


def fields(keyring, vector):
    """The vector's fields, from what its file says beside the packet."""
    packet = bytes.fromhex(vector["packet"])
    policy = keyring.policies[vector["spi"]]
    options = options_of(packet)
    f = Fields(
        policy=policy,
        generations={keys.LEVELS.index(k): g
                     for k, g in vector["generations"].items()},
        epoch=vector["epoch"], values=bytes.fromhex(vector["selector_values"]),
        incarnation=int(vector["source_incarnation"], 16),
        dst_incarnation=int(vector["destination_incarnation"], 16),
        sequence=int(vector["sequence"], 16), session=vector["session_id"],
        payload=bytes.fromhex(vector["payload"]), kdf=policy.kdf,
        aead=policy.aead, flags=policy.flags, shift=policy.shift,
        selectors=policy.selectors, compact=packets.COMPACT in options)
    if packets.PROXY in options:
        f.flags |= keys.X
        f.origin = (1, 0xa00a, 3, 0x42)
    if packets.CRYPT in options:
        f.crypt_offset = int.from_bytes(options[packets.CRYPT], "big") >> 4 & 63
    return f


def check(keyring, vector):
    """What differs, or None."""
    f = fields(keyring, vector)
    kdk, ctx = packets.derive(keyring, f)
    if ctx.hex() != vector["context"]:
        return "context"
    key, mask = keys.data_key(f.kdf, f.aead, kdk, ctx)
    if key.hex() != vector["key"]:
        return "data key"
    packet = packets.seal(keyring, f)
    if packet.hex() != vector["packet"]:
        return "packet"
    if f.origin: # its keyring lists no proxies
        f.policy.domain, f.policy.proxies = 1, {5: [f.origin[1]]}
    me = Receiver(65545, 0x220a574ccf06a1a7, f.dst_incarnation)
    try:
        opened = packets.open_packet(keyring, packet, me)
    except packets.Drop as drop:
        return f"opening: {drop}"
    return None if opened.payload == f.payload else "payload"


class First:
    """The roots and policies of the first set of vectors."""

    def __init__(self, text):
        self.spi = int(text["spi"], 16)
        self.levels = text["level_mask"]
        self.key_ids, self.rings, self.generations = {}, {}, {}
        for entry in text["levels"].values():
            level = entry["level"] - 1
            kid = bytes.fromhex(entry["key_id"]).decode()
            self.key_ids[level] = kid
            self.generations[level] = entry["generation"]
            self.rings[level, kid] = {
                entry["generation"]: (bytes.fromhex(entry["key"]), "current")}
        self.kdks = {}
        self.client = None

    kdk = keys.Keyring.kdk


def check_first(ring, vector):
    f = Fields(policy=ring, generations=ring.generations,
               epoch=vector["epoch"],
               values=bytes.fromhex(vector["selector_values"]),
               incarnation=int(vector["src_instance"], 16),
               dst_incarnation=int(vector["dst_instance"], 16),
               sequence=int(vector["seq"], 16), session=vector["session_id"],
               payload=bytes.fromhex(vector["payload"]), kdf=vector["kdf"],
               aead=vector["aead"], flags=int(vector["flags"], 16) & 0xf0,
               shift=vector["shift"], selectors=int(vector["selectors"], 16))
    if packets.seal(ring, f).hex() != vector["packet"]:
        return "packet"
    return None


def run(directory):
    """Yields name and what differs (None: nothing) of each vector."""
    keyring = keys.Keyring(os.path.join(directory, "keyring.json"))
    with open(os.path.join(directory, "native_profile_sl1_more.json")) as file:
        for vector in json.load(file)["vectors"]:
            yield vector["name"], check(keyring, vector)
    with open(os.path.join(directory, "native_profile_sl1.json")) as file:
        text = json.load(file)
    ring = First(text)
    for vector in text["vectors"]:
        if keys.CIPHERS[vector["aead"]] is None:
            yield vector["name"] + " (no such cipher here)", None
        else:
            yield vector["name"], check_first(ring, vector)
