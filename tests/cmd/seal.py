# SPDX-License-Identifier: BSD-3-Clause
"""A second implementation of SL1 packets, for the tests: Python alone.

    ring = Ring("keyring.jwks")
    packet = ring.seal("ranks", source_rank=0, destination_rank=1,
                       incarnation=0x11, bound_to=0x22, sequence=1,
                       payload=b"hello")

Slow and not safe against timing: test keys only.

    seal.py reduce KEYRING OUT        drop policies this version refuses
    seal.py vectors VECTORS KEYRING   check this file against the vectors
    seal.py hex VECTORS KEYRING       their packets, one a line, "# name" before
"""
import base64
import hashlib
import hmac
import json
import os
import struct
import sys

LEVELS = ["domain", "tenant", "job", "task"]


# ---- AES-256, CMAC, GCM ----------------------------------------------------

def _make_sbox():
    box, p, q = [0] * 256, 1, 1
    while True:
        p ^= (p << 1 & 0xff) ^ (0x1b if p & 0x80 else 0)
        for shift in (1, 2, 4):
            q ^= q << shift & 0xff
        if q & 0x80:
            q ^= 0x09
        x = q
        for shift in (1, 2, 3, 4):
            x ^= (q << shift | q >> (8 - shift)) & 0xff
        box[p] = x ^ 0x63
        if p == 1:
            box[0] = 0x63
            return box


SBOX = _make_sbox()
DOUBLE = [(x << 1 & 0xff) ^ (0x1b if x & 0x80 else 0) for x in range(256)]


class Aes256:
    def __init__(self, key):
        words, rcon = [list(key[i:i + 4]) for i in range(0, 32, 4)], 1
        for i in range(8, 60):
            w = list(words[i - 1])
            if i % 8 == 0:
                w = [SBOX[b] for b in w[1:] + w[:1]]
                w[0] ^= rcon
                rcon = DOUBLE[rcon]
            elif i % 8 == 4:
                w = [SBOX[b] for b in w]
            words.append([a ^ b for a, b in zip(words[i - 8], w)])
        self.rounds = [sum(words[i:i + 4], []) for i in range(0, 60, 4)]

    def encrypt(self, block):
        s = [a ^ b for a, b in zip(block, self.rounds[0])]
        for number, key in enumerate(self.rounds[1:], 1):
            s = [SBOX[s[(i + 4 * (i % 4)) % 16]] for i in range(16)]
            if number < 14:
                t = []
                for c in range(0, 16, 4):
                    a = s[c:c + 4]
                    every = a[0] ^ a[1] ^ a[2] ^ a[3]
                    t += [a[i] ^ every ^ DOUBLE[a[i] ^ a[(i + 1) % 4]]
                          for i in range(4)]
                s = t
            s = [a ^ b for a, b in zip(s, key)]
        return bytes(s)


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def cmac(key, data):
    def twice(x):
        v = int.from_bytes(x, "big") << 1
        return ((v ^ 0x87 if v >> 128 else v) & (1 << 128) - 1).to_bytes(16, "big")
    aes = Aes256(key)
    k1 = twice(aes.encrypt(bytes(16)))
    whole = len(data) and len(data) % 16 == 0
    if not whole:
        data += b"\x80" + bytes(-(len(data) + 1) % 16)
    last = xor(data[-16:], k1 if whole else twice(k1))
    x = bytes(16)
    for i in range(0, len(data) - 16, 16):
        x = aes.encrypt(xor(x, data[i:i + 16]))
    return aes.encrypt(xor(x, last))


def gcm_seal(key, nonce, aad, plain):
    aes = Aes256(key)
    h = int.from_bytes(aes.encrypt(bytes(16)), "big")

    def times_h(x):
        z, v = 0, h
        for i in range(127, -1, -1):
            if x >> i & 1:
                z ^= v
            v = v >> 1 ^ (0xe1 << 120 if v & 1 else 0)
        return z

    out = b""
    for i in range(0, len(plain), 16):
        stream = aes.encrypt(nonce + struct.pack(">I", 2 + i // 16))
        out += xor(plain[i:i + 16], stream)
    y = 0
    data = aad + bytes(-len(aad) % 16) + out + bytes(-len(out) % 16)
    data += struct.pack(">QQ", 8 * len(aad), 8 * len(out))
    for i in range(0, len(data), 16):
        y = times_h(y ^ int.from_bytes(data[i:i + 16], "big"))
    tag = xor(aes.encrypt(nonce + b"\0\0\0\1"), y.to_bytes(16, "big"))
    return out + tag


# ---- SL1 --------------------------------------------------------------------

def counter_kdf(key, label, context, length):
    fixed = label + b"\0" + context + struct.pack(">H", 8 * length)
    out, i = b"", 0
    while len(out) < length:
        i += 1
        out += cmac(key, bytes([i]) + fixed)
    return out[:length]


def supported(policy):
    """What this version of libeesp takes."""
    return (policy["kdf"] == "cmac-aes256" and
            policy["aead"] == "aes-256-gcm" and
            policy["selectors"] in (["ranks"], ["source", "destination"]) and
            not {"client", "commit", "partitioned", "crypt_offset_max",
                 "proxies"} & set(policy) and policy["name"] != "proxied")


class Ring:
    def __init__(self, path):
        with open(path) as f:
            self.json = json.load(f)
        self.policies = {p["name"]: p for p in self.json["eesp_policies"]}

    def reduce(self, path):
        policies = [p for p in self.json["eesp_policies"] if supported(p)]
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as f:
            json.dump({**self.json, "eesp_policies": policies}, f)

    def key(self, level, kid, state):
        for k in self.json["keys"]:
            if (k["eesp_level"], k["kid"], k["eesp_state"]) == (level, kid, state):
                text = k["k"]
                return (k["eesp_generation"],
                        base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        raise KeyError((level, kid, state))

    def seal(self, name, *, sequence, payload, incarnation, bound_to=0,
             source_rank=0, destination_rank=0, source_id=0, destination_id=0,
             session_id=0, epoch=None, states=None, next_header=253):
        policy = self.policies[name]
        ranks = policy["selectors"] == ["ranks"]
        compact = policy.get("compact_id", 0)
        spi = struct.pack(">I", policy["spi"])
        epoch = policy["epoch"] if epoch is None else epoch
        flags = 0x80 if policy["bind_destination"] else 0
        selectors = 1 if ranks else 6
        values = (struct.pack(">II", source_rank, destination_rank) if ranks
                  else struct.pack(">QQ", source_id, destination_id))

        ikm, levels, generations = b"", 0, [0] * 4
        for i, level in enumerate(LEVELS):
            if level not in policy["levels"]:
                continue
            kid = policy["levels"][level]
            generation, key = self.key(level, kid, (states or {}).get(level, "current"))
            levels |= 1 << i
            generations[i] = generation
            ikm += bytes([i + 1, len(kid)]) + kid.encode()
            ikm += struct.pack(">IH", generation, len(key)) + key
        prk = hmac.digest(b"EESP-SL1 master", ikm, hashlib.sha256)
        info = b"EESP-SL1 kdk\0" + bytes([0x10, 1, 2, levels]) + spi
        kdk = hmac.digest(prk, info + b"\1", hashlib.sha256)
        context = bytes([flags | levels, policy["phase_shift"]])
        context += struct.pack(">HHH", selectors, epoch, session_id)
        context += struct.pack(">QQQ", incarnation, bound_to if flags else 0,
                               sequence >> policy["phase_shift"]) + values
        out = counter_kdf(kdk, b"S1", context, 44)

        if compact:
            low = 0
            for i in range(4):
                low |= (generations[i] % 4) << 2 * i
            option = bytes([0xe1, 0x12, compact, low])
            option += struct.pack(">HHIQ", epoch, destination_rank & 0xffff,
                                  source_rank, incarnation)
        else:
            option = bytes([0xe0, 22 + len(values), 0x10, 1, 2, flags | levels])
            option += struct.pack(">HHBB", selectors, epoch, policy["phase_shift"], 0)
            option += bytes(g % 256 for g in generations)
            option += struct.pack(">Q", incarnation) + values
            pad = -(20 + len(option)) % 8
            if pad == 1:
                option += b"\0"
            elif pad:
                option += bytes([1, pad - 2]) + bytes(pad - 2)
        aad = bytes([0x80, len(option)]) + struct.pack(">H", session_id) + spi
        aad += option + struct.pack(">Q", sequence)
        pad = -len(payload) % 4
        plain = bytes([0, 0, next_header, pad]) + payload + bytes(pad)
        sid = source_rank if ranks else source_id & 0xffffffff
        nonce = xor(struct.pack(">IQ", sid, sequence), out[32:])
        return aad + gcm_seal(out[:32], nonce, aad, plain)


# ---- Vectors ------------------------------------------------------------------

def vectors(path, ring):
    with open(path) as f:
        for v in json.load(f)["vectors"]:
            policy = ring.policies.get(v["name"])
            if policy and supported(policy):
                yield v


def check(path, ring):
    count = 0
    for v in vectors(path, ring):
        names = (["source_rank", "destination_rank"]
                 if ring.policies[v["name"]]["selectors"] == ["ranks"]
                 else ["source_id", "destination_id"])
        half = len(v["selector_values"]) // 2
        ids = dict(zip(names, (int(v["selector_values"][:half], 16),
                               int(v["selector_values"][half:], 16))))
        states = {}
        for k in ring.json["keys"]:
            if v["generations"].get(k["eesp_level"]) == k["eesp_generation"]:
                states[k["eesp_level"]] = k["eesp_state"]
        packet = ring.seal(
            v["name"], sequence=int(v["sequence"], 16), states=states,
            payload=bytes.fromhex(v["payload"]), epoch=v["epoch"],
            incarnation=int(v["source_incarnation"], 16),
            bound_to=int(v["destination_incarnation"], 16),
            session_id=v["session_id"], **ids)
        if packet.hex() != v["packet"]:
            sys.exit(f"{v['name']}: seal.py differs from the vector")
        count += 1
    print(f"{count} vectors")


def main(command, *args):
    if command == "reduce":
        Ring(args[0]).reduce(args[1])
    elif command == "vectors":
        check(args[0], Ring(args[1]))
    elif command == "hex":
        for v in vectors(args[0], Ring(args[1])):
            print("#", v["name"])
            print(v["packet"])


if __name__ == "__main__":
    main(*sys.argv[1:])
