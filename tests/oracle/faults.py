# SPDX-License-Identifier: BSD-3-Clause
"""Packets that break one rule, or were changed on their way.

Each fault changes the fields of a good packet, or returns False where it cannot
be had. The packet is sealed with the keys of what it then says or of what it
said before: so that it would open, whichever a receiver that lacks the check
goes by.
"""
import dataclasses
import struct

import cases
import keys
from keys import C, D, GMAC, P, SELECTORS, SIZES, X

def raw(**members):
    def fault(f, rng):
        f.raw.update(members)
    return fault


def full_only(**members):
    def fault(f, rng):
        if f.compact:
            return False
        f.raw.update(members)
    return fault


def compact_only(**members):
    def fault(f, rng):
        if not f.compact:
            return False
        f.raw.update(members)
    return fault


def proxied_only(change):
    def fault(f, rng):
        if not f.origin:
            return False
        return change(f, rng)
    return fault


def other_form(f, rng):
    if f.selectors != 1 or f.origin or f.flags & C:
        return False
    f.compact = not f.compact


def sequence_zero(f, rng):
    f.sequence = 0


def alias_partition(f, rng):
    if not f.flags & P:
        return False
    f.sequence |= 1 << rng.randint(48, 63)


def other_flag(flag):
    def fault(f, rng):
        if f.compact:
            return False
        f.flags ^= flag
        f.sequence = f.sequence % (1 << 48) or 1
    return fault


def other_shift(f, rng):
    if f.compact:
        return False
    f.shift ^= 1 << rng.randrange(4)


def other_epoch(f, rng):
    policy = f.policy
    below = not f.flags & D and policy.replay != "off" and rng.random() < 0.5
    f.epoch = (policy.epoch + rng.choice([-1, 1]) *
               rng.choice([policy.epoch_window + 1, rng.randint(
                   policy.epoch_window + 1, 32767)])) % 65536
    if below:
        f.epoch = (policy.epoch - 1) % 65536


def other_algorithms(f, rng):
    pairs = {(k, a) for k in keys.KDFS.values() for a in (1, 2, 3)}
    if f.compact:
        return False
    f.kdf, f.aead = rng.choice(sorted(pairs - f.policy.accepted))


def more_selectors(f, rng):
    """One more, at its place."""
    missing = [b for b in range(len(SELECTORS))
               if not f.selectors >> b & 1]
    if f.compact or not missing:
        return False
    bit = rng.choice(missing)
    before = sum(SIZES[b] for b in range(bit) if f.selectors >> b & 1)
    f.values = f.values[:before] + bytes(SIZES[bit]) + f.values[before:]
    f.selectors |= 1 << bit
    return None if len(f.values) < 150 else False


def fewer_levels(f, rng):
    if f.compact or len(f.generations) < 2:
        return False
    del f.generations[rng.choice(sorted(f.generations))]
    f.raw["levels"] = sum(1 << level for level in f.generations)


def unused_generation(f, rng):
    unused = [level for level in range(4) if level not in f.generations]
    if not unused:
        return False
    level = rng.choice(unused)
    f.raw["unused"] = bytes(level) + b"\1" + bytes(3 - level)
    f.raw["unused_bits"] = 1 << 2 * level


def wrong_rank(f, rng):
    if not f.policy.has("ranks"):
        return False
    low = rng.random() < 0.5 # the compact form checks only these at once
    rank, = struct.unpack(">I", f.values[4:8])
    rank ^= 1 << (rng.randrange(16) if low else rng.randrange(16, 32))
    f.values = f.values[:4] + struct.pack(">I", rank) + f.values[8:]


def wrong_id(f, rng):
    if not f.policy.has("destination"):
        return False
    at = 8 * f.policy.has("ranks") + 8 * f.policy.has("source")
    f.values = f.values[:at] + rng.randbytes(8) + f.values[at + 8:]


def wrong_incarnation(f, rng):
    if not f.flags & D:
        return False
    f.dst_incarnation ^= 1 << rng.randrange(64)


def tuple_bytes(f, rng):
    end = len(f.values) - (8 if f.policy.has("tenant") else 0)
    if not f.policy.has("tuple6"):
        return False
    f.values = f.values[:end - 1] + b"\1" + f.values[end:]


def wrong_commitment(f, rng):
    if not f.flags & C:
        return False
    at = rng.randrange(16)
    f.raw["wrong"] = bytes(at) + b"\1" + bytes(15 - at)


def no_commitment(f, rng):
    if not f.flags & C:
        return False
    f.raw["no_commitment"] = True


def extra_commitment(f, rng):
    if f.flags & C or f.compact:
        return False
    f.raw["extra_commitment"] = True


def offset_above(f, rng):
    if f.policy.crypt_offset_max >= 60:
        return False
    f.crypt_offset = f.policy.crypt_offset_max + 1
    f.payload = rng.randbytes(4 * f.crypt_offset)


def payload_offset(f, rng):
    if f.crypt_offset is None:
        return False
    f.raw["payload_offset"] = rng.randint(1, 63)


def offset_beyond(f, rng):
    if f.policy.crypt_offset_max < 2:
        return False
    f.payload = b""
    f.crypt_offset = 2


def hops(f, rng):
    f.origin = (rng.choice([5, 255]),) + f.origin[1:]


def own_domain(f, rng):
    f.origin = (f.origin[0], f.policy.domain) + f.origin[2:]


def other_domain(f, rng):
    f.origin = (f.origin[0], f.origin[1] ^ 1) + f.origin[2:]


def other_proxy(f, rng):
    f.values = bytes([f.values[0] ^ 1]) + f.values[1:]


def flag_without_origin(f, rng):
    if f.compact or f.origin:
        return False
    f.flags |= X


def origin_without_flag(f, rng):
    if f.compact or f.origin:
        return False
    f.origin = (1, 7, 7, 7)


def drop_flag(f, rng):
    f.flags &= ~X


FAULTS = {
    "other form": other_form,
    "sequence 0": sequence_zero,
    "sequence of another partition": alias_partition,
    "flag D": other_flag(D), "flag P": other_flag(P), "flag C": other_flag(C),
    "phase shift": other_shift, "epoch": other_epoch,
    "algorithms": other_algorithms, "selectors": more_selectors,
    "levels": fewer_levels, "unused generation": unused_generation,
    "wrong rank": wrong_rank, "wrong id": wrong_id,
    "wrong incarnation": wrong_incarnation, "zero bytes": tuple_bytes,
    "wrong commitment": wrong_commitment, "no commitment": no_commitment,
    "extra commitment": extra_commitment, "offset above": offset_above,
    "payload offset": payload_offset, "offset beyond": offset_beyond,
    "hops": proxied_only(hops), "own domain": proxied_only(own_domain),
    "other domain": proxied_only(other_domain),
    "other proxy": proxied_only(other_proxy),
    "origin, no flag": proxied_only(drop_flag),
    "flag X alone": flag_without_origin, "origin alone": origin_without_flag,
    "proxy reserved": proxied_only(
        lambda f, rng: f.raw.update(proxy_reserved=1)),
    "other SPI": lambda f, rng: f.raw.update(spi=f.policy.spi ^ 1),
    "marker": raw(marker=0), "base version": raw(marker=0x88),
    "base reserved": raw(marker=0x81),
    "version": full_only(version=0x20), "profile": full_only(version=0x11),
    "reserved": full_only(reserved=1),
    "option length": full_only(length=21),
    "combination": compact_only(combination=0),
    "low rank": lambda f, rng: f.compact and f.raw.update(
        low_rank=struct.unpack(">I", f.values[4:8])[0] & 0xffff ^ 1),
    "info nibble": raw(info=b"\x10\0\0\0"), "info reserved": raw(
        info=b"\0\1\0\0"),
    "pad length": raw(info=b"\0\0\0\xf0"),
    "padding": lambda f, rng: len(f.payload) % 4 != 0 and f.raw.update(
        filler=1),
    "padding of options": raw(options=[b"\1\2\0\1"]),
    "unknown option": raw(options=[b"\x2a\2ab"]),
    "private option": raw(options=[b"\xf7\2ab"]),
    "both forms": lambda f, rng: f.raw.update(
        options=[bytes([0xe0 if f.compact else 0xe1, 18]) + bytes(18)]),
    "option twice": full_only(options=[b"\x02\2\0\0", b"\x02\2\0\0"]),
}

# Few packets can have these: they are tried more often.
RARE = ["hops", "own domain", "other domain", "other proxy", "proxy reserved",
        "origin, no flag", "payload offset", "combination", "low rank",
        "sequence of another partition", "wrong commitment",
        "no commitment"] * 3

# These may show in the keys alone.
UNSEEN = ["wrong incarnation", "wrong rank"]


def faulty_packet(rng, keyring, policy, me):
    """Name of a fault and fields of a packet that has it."""
    while True:
        f = cases.random_packet(rng, keyring, policy, me)
        if f.aead == GMAC: # its ICV covers what others would expose
            f.crypt_offset = None
        before = dataclasses.replace(f, raw={})
        name = rng.choice(sorted(FAULTS) + RARE)
        if FAULTS[name](f, rng) is False:
            continue
        if name not in UNSEEN and rng.random() < 0.5:
            f.raw["keys_of"] = before
        return name, f


def corrupt(rng, packet):
    """Name and bytes of a packet that something happened to."""
    kind = rng.choice(["bit", "bit", "header bit", "byte", "cut", "longer",
                       "swap"])
    p = bytearray(packet)
    if kind == "bit":
        p[rng.randrange(len(p))] ^= 1 << rng.randrange(8)
    elif kind == "header bit":
        p[rng.randrange(8 + p[1] + 8)] ^= 1 << rng.randrange(8)
    elif kind == "byte":
        p[rng.randrange(len(p))] ^= rng.randint(1, 255)
    elif kind == "cut":
        p = p[:rng.randrange(1, len(p))]
    elif kind == "longer":
        p += rng.randbytes(rng.randint(1, 40))
    else:
        at = rng.randrange(len(p) - 16)
        p[at:at + 8], p[at + 8:at + 16] = p[at + 8:at + 16], p[at:at + 8]
    return ("changed: " + kind, bytes(p)) if p != packet else (
        corrupt(rng, packet))
