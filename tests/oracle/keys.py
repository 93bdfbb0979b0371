# SPDX-License-Identifier: BSD-3-Clause
"""The oracle's keyrings and keys: from the file to data key and IV mask.

Written from the description of the format alone, not from libeesp, and with
other cryptography beneath. Slow and not safe against timing: test keys only.
"""
import base64
import hashlib
import hmac
import json
import struct

from cryptography.hazmat.primitives.ciphers import aead as ciphers
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

LEVELS = ["domain", "tenant", "job", "task"]
SELECTORS = ["ranks", "source", "destination", "flow", "device", "vm", "task",
             "job", "ipv4", "ipv6", "tuple4", "tuple6", "tenant"]
SIZES = [8, 8, 8, 8, 8, 16, 8, 8, 8, 32, 16, 40, 8]
KDFS = {"cmac-aes256": 1, "hkdf-sha256": 2, "hkdf-sha384": 3,
        "hkdf-sha512": 4, "hmac-sha256": 5}
AEADS = {"aes-128-gcm": 1, "aes-256-gcm": 2, "chacha20-poly1305": 3,
         "aes-256-gcm-siv": 4, "aes-256-gmac": 5}
GMAC = 5
KDK_LENGTH = {1: 32, 2: 32, 3: 48, 4: 64, 5: 32}
KEY_LENGTH = {1: 16, 2: 32, 3: 32, 4: 32, 5: 32}
CIPHERS = {1: ciphers.AESGCM, 2: ciphers.AESGCM,
           3: ciphers.ChaCha20Poly1305,
           4: getattr(ciphers, "AESGCMSIV", None), # cryptography 42
           GMAC: ciphers.AESGCM}
D, P, C, X = 0x80, 0x40, 0x20, 0x10


def cipher(aead, key):
    return CIPHERS[aead](key)


# ---- Key derivation functions ----------------------------------------------

def hkdf_expand(name, key, info, length):
    out, block, i = b"", b"", 1
    while len(out) < length:
        block = hmac.new(key, block + info + bytes([i]), name).digest()
        out += block
        i += 1
    return out[:length]


def cmac(key, data):
    mac = CMAC(AES(key))
    mac.update(data)
    return mac.finalize()


def kdf(kind, key, label, context, length):
    """SP 800-108 in counter mode, or HKDF-Expand, over the same fixed data."""
    fixed = label + b"\0" + context + struct.pack(">H", 8 * length)
    if kind in (2, 3, 4):
        name = {2: "sha256", 3: "sha384", 4: "sha512"}[kind]
        return hkdf_expand(name, key, fixed, length)
    out, i = b"", 1
    while len(out) < length:
        block = bytes([i]) + fixed
        out += (cmac(key, block) if kind == 1
                else hmac.new(key, block, "sha256").digest())
        i += 1
    return out[:length]


# ---- Policies and rings ----------------------------------------------------

class Policy:
    """Members of a policy with the defaults of the format."""

    def __init__(self, entry):
        self.spi = entry["spi"]
        self.name = entry["name"]
        self.kdf = KDFS[entry["kdf"]]
        self.aead = AEADS[entry["aead"]]
        self.accepted = {(self.kdf, self.aead)} | {
            (KDFS[r["kdf"]], AEADS[r["aead"]])
            for r in entry.get("receive", [])}
        self.key_ids = {LEVELS.index(k): v
                        for k, v in entry["levels"].items()}
        self.levels = sum(1 << level for level in self.key_ids)
        self.selectors = sum(1 << SELECTORS.index(s)
                             for s in entry["selectors"])
        self.compact_id = entry.get("compact_id", 0)
        self.epoch = entry.get("epoch", 0)
        self.epoch_window = entry.get("epoch_window", 1)
        self.shift = entry.get("phase_shift", 24)
        self.replay = entry.get("replay", "strict")
        self.replay_window = entry.get("replay_window", 1024)
        self.client = entry.get("client")
        self.crypt_offset_max = entry.get("crypt_offset_max", 0)
        self.max_payload = entry.get("max_payload", 65536)
        self.domain = entry.get("domain_id", 0)
        self.proxies = {p["id"]: p["domains"]
                        for p in entry.get("proxies", [])}
        self.flags = ((D if entry.get("bind_destination", True) else 0) |
                      (P if entry.get("partitioned", False) else 0) |
                      (C if entry.get("commit", False) else 0))

    def has(self, selector):
        return bool(self.selectors & 1 << SELECTORS.index(selector))


class Keyring:
    """A keyring file; key(level, kid, generation) etc. come from its rings."""

    def __init__(self, path):
        with open(path) as f:
            text = json.load(f)
        self.rings = {}
        for key in text["keys"]:
            ring = self.rings.setdefault(
                (LEVELS.index(key["eesp_level"]), key["kid"]), {})
            ring[key["eesp_generation"]] = (unbase64(key["k"]),
                                            key["eesp_state"])
        self.policies = {p.spi: p for p in map(Policy,
                                               text["eesp_policies"])}
        self.kdks = {}

    def current(self, policy):
        """Generation by level under which the policy sends."""
        return {level: next(g for g, (_, state) in
                            self.rings[level, kid].items()
                            if state == "current")
                for level, kid in policy.key_ids.items()}

    def find(self, policy, level, low, modulus):
        """The generation that a packet means, or None."""
        ring = self.rings[level, policy.key_ids[level]]
        return next((g for g in ring if g % modulus == low), None)

    def kdk(self, policy, generations, kind, aead):
        """The derivation key of an SPI under one generation of each level."""
        name = (policy.spi, kind, aead, tuple(sorted(generations.items())))
        if name not in self.kdks:
            ikm, levels = b"", 0
            for level in sorted(generations):
                kid = policy.key_ids[level].encode()
                key = self.rings[level, kid.decode()][generations[level]][0]
                ikm += (bytes([level + 1, len(kid)]) + kid +
                        struct.pack(">IH", generations[level], len(key)) + key)
                levels |= 1 << level
            prk = hmac.new(b"EESP-SL1 master", ikm, hashlib.sha256).digest()
            self.kdks[name] = hkdf_expand(
                "sha256", prk, b"EESP-SL1 kdk\0" +
                struct.pack(">BBBBI", 1 << 4, kind, aead, levels, policy.spi),
                KDK_LENGTH[kind])
        return self.kdks[name]


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# ---- Context and data keys -------------------------------------------------

def context(flags, shift, selectors, epoch, session, incarnation,
            dst_incarnation, sequence, values):
    return struct.pack(">BBHHHQQQ", flags, shift, selectors, epoch,
                       0 if flags & P else session, incarnation,
                       dst_incarnation if flags & D else 0,
                       sequence >> shift) + values


def client_key(policy, kdk, kind, values):
    """KDK of the client that the packet names; kdk itself without clients."""
    if not policy.client:
        return kdk
    # Both ids have 8 bytes; only ranks stand before them.
    at = 8 * policy.has("ranks") + 8 * (policy.client == "destination")
    who = values[at:at + 8]
    return kdf(kind, kdk, b"SD", who, KDK_LENGTH[kind])


def data_key(kind, aead, kdk, ctx):
    """Data key and IV mask."""
    length = KEY_LENGTH[aead]
    out = kdf(kind, kdk, b"S1", ctx, length + 12)
    return out[:length], out[length:]


def commitment(kind, kdk, ctx):
    return kdf(kind, kdk, b"SC", ctx, 16)


def nonce(mask, sid, flags, session, sequence):
    if flags & P:
        raw = struct.pack(">IH", sid, session) + sequence.to_bytes(8, "big")[2:]
    else:
        raw = struct.pack(">IQ", sid, sequence)
    return bytes(a ^ b for a, b in zip(raw, mask))
