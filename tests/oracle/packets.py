# SPDX-License-Identifier: BSD-3-Clause
"""The oracle's packets: seal() makes one of its fields, open_packet() reads it.

A field that breaks a rule is sealed all the same, with keys derived from what
the packet then says: so that a receiver that lacks the check would open it.
"""
import struct
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag

import keys
from keys import C, D, GMAC, P, SELECTORS, SIZES, X

FULL, COMPACT, PROXY, COMMIT, CRYPT = 0xe0, 0xe1, 0xe2, 0xe3, 2
UCX_PAYLOAD = 253 # Next Header
ICV = 16


class Drop(Exception):
    """Why a packet is refused."""


@dataclass
class Fields:
    """What one packet says.

    raw: bytes in place of what the rules give; its member keys_of: the fields
    that keys and nonce are derived from, if not from these.
    """
    policy: keys.Policy
    generations: dict            # by level
    epoch: int
    values: bytes                # of the selectors, in order of their bits
    incarnation: int
    dst_incarnation: int
    sequence: int
    payload: bytes
    kdf: int
    aead: int
    flags: int
    shift: int
    selectors: int
    session: int = 0
    crypt_offset: int = None     # None: no such option
    origin: tuple = None         # hops, domain, rank, sequence
    compact: bool = False
    order: object = None         # shuffles the options
    next_header: int = UCX_PAYLOAD
    raw: dict = field(default_factory=dict)


@dataclass
class Receiver:
    rank: int
    id: int
    incarnation: int


def split_values(selectors, values):
    """Values by name, or None if their length is not that of the bitmap."""
    out, at = {}, 0
    for bit, name in enumerate(SELECTORS):
        if selectors >> bit & 1:
            out[name] = values[at:at + SIZES[bit]]
            at += SIZES[bit]
    return out if at == len(values) else None


def sender_id(parts):
    """SID of the nonce."""
    if "ranks" in parts:
        return struct.unpack(">I", parts["ranks"][:4])[0]
    if "source" in parts:
        return struct.unpack(">I", parts["source"][4:])[0]
    return 0


# ---- Seal ------------------------------------------------------------------

def full_option(f):
    raw = f.raw
    generations = bytes(f.generations.get(level, 0) & 0xff
                        for level in range(4))
    return (bytes([FULL, raw.get("length", 22 + len(f.values)),
                   raw.get("version", 0x10), f.kdf, f.aead,
                   f.flags | raw.get("levels", f.policy.levels)]) +
            struct.pack(">HHBB", f.selectors, f.epoch, f.shift,
                        raw.get("reserved", 0)) +
            bytes(a | b for a, b in zip(generations,
                                        raw.get("unused", bytes(4)))) +
            struct.pack(">Q", f.incarnation) + f.values)


def compact_option(f):
    source, destination = struct.unpack(">II", f.values)
    bits = sum((g & 3) << 2 * level for level, g in f.generations.items())
    bits |= f.raw.get("unused_bits", 0)
    return (bytes([COMPACT, f.raw.get("length", 18),
                   f.raw.get("combination", f.policy.compact_id), bits]) +
            struct.pack(">HHIQ", f.epoch,
                        f.raw.get("low_rank", destination & 0xffff), source,
                        f.incarnation))


def pad_option(count):
    if count == 0:
        return b""
    return b"\0" if count == 1 else bytes([1, count - 2]) + bytes(count - 2)


def option_field(f, kind, kdk, ctx):
    """All options, padded so that the payload stands on a multiple of 8."""
    options = [compact_option(f) if f.compact else full_option(f)]
    if f.flags & C and not f.raw.get("no_commitment") or (
            f.raw.get("extra_commitment")):
        made = keys.commitment(kind, kdk, ctx)
        options.append(bytes([COMMIT, 16]) + bytes(
            a ^ b for a, b in zip(made, f.raw.get("wrong", bytes(16)))))
    if f.origin:
        hops, domain, rank, sequence = f.origin
        options.append(struct.pack(">BBBBIIQ", PROXY, 18, hops,
                                   f.raw.get("proxy_reserved", 0), domain,
                                   rank, sequence))
    options += f.raw.get("options", [])
    used = sum(map(len, options)) + 4 * (f.crypt_offset is not None)
    pad = -(used + 20) % 8
    if f.crypt_offset is not None:
        words = (8 + used + pad + 8) // 4 ^ f.raw.get("payload_offset", 0)
        options.append(bytes([CRYPT, 2]) + struct.pack(
            ">H", words << 10 | f.crypt_offset << 4))
    if f.order:
        cut = f.order.randint(0, pad)
        options += [pad_option(cut), pad_option(pad - cut)]
        f.order.shuffle(options)
    else:
        options.append(pad_option(pad))
    return b"".join(options)


def derive(keyring, f):
    """Derivation key (the client's, if there are any) and context."""
    kdk = keyring.kdk(f.policy, f.generations, f.kdf, f.aead)
    kdk = keys.client_key(f.policy, kdk, f.kdf, f.values)
    levels = f.raw.get("levels", f.policy.levels)
    return kdk, keys.context(f.flags | levels, f.shift, f.selectors, f.epoch,
                             f.session, f.incarnation, f.dst_incarnation,
                             f.sequence, f.values)


def seal(keyring, f):
    by = f.raw.get("keys_of", f)
    kdk, ctx = derive(keyring, by)
    key, mask = keys.data_key(by.kdf, by.aead, kdk, ctx)
    options = option_field(f, by.kdf, kdk, ctx)
    header = (bytes([f.raw.get("marker", 0x80), len(options)]) +
              struct.pack(">HI", f.session, f.raw.get("spi", f.policy.spi)) +
              options + struct.pack(">Q", f.sequence))
    pad = -len(f.payload) % 4
    info = bytes(a ^ b for a, b in zip(bytes([0, 0, f.next_header, pad]),
                                       f.raw.get("info", bytes(4))))
    filler = bytearray(pad)
    if pad:
        filler[-1] = f.raw.get("filler", 0)
    plain = info + f.payload + bytes(filler)
    clear = len(plain) if by.aead == GMAC else 4 * (f.crypt_offset or 0)
    sid = sender_id(split_values(by.selectors, by.values) or {})
    sealed = keys.cipher(by.aead, key).encrypt(
        keys.nonce(mask, sid, by.flags, by.session, by.sequence),
        plain[clear:], header + plain[:clear])
    return header + plain[:clear] + sealed


# ---- Open ------------------------------------------------------------------

def walk(options):
    """Options by type, without padding."""
    found, at = {}, 0
    while at < len(options):
        kind = options[at]
        if kind == 0:
            at += 1
            continue
        if at + 2 > len(options) or at + 2 + options[at + 1] > len(options):
            raise Drop("option longer than the options")
        data = options[at + 2:at + 2 + options[at + 1]]
        at += 2 + len(data)
        if kind == 1:
            need(not any(data), "padding of options")
            continue
        if kind not in (CRYPT, FULL, COMPACT, PROXY, COMMIT):
            raise Drop("unknown option")
        if kind in found:
            raise Drop("option twice")
        found[kind] = data
    return found


def need(condition, why):
    if not condition:
        raise Drop(why)


def read_full(keyring, policy, data):
    need(len(data) >= 22, "context option")
    version, kind, aead, flags, selectors, epoch, shift, reserved = (
        struct.unpack(">BBBBHHBB", data[:10]))
    need(version == 0x10, "version or profile")
    need(reserved == 0, "reserved")
    need((kind, aead) in policy.accepted, "algorithms")
    need(flags & 15 == policy.levels, "levels")
    need(flags & (D | P | C) == policy.flags, "flags")
    need(selectors == policy.selectors, "selectors")
    need(shift == policy.shift, "phase shift")
    generations = {}
    for level, low in enumerate(data[10:14]):
        if not policy.levels >> level & 1:
            need(low == 0, "unused generation")
            continue
        generations[level] = keyring.find(policy, level, low, 256)
        need(generations[level] is not None, "generation")
    values = data[22:]
    need(split_values(selectors, values) is not None, "length of selectors")
    return dict(kdf=kind, aead=aead, flags=flags & 0xf0, shift=shift,
                selectors=selectors, epoch=epoch, generations=generations,
                incarnation=struct.unpack(">Q", data[14:22])[0],
                values=values)


def read_compact(keyring, policy, data, me):
    need(len(data) == 18, "compact option")
    combination, bits, epoch, low, source, incarnation = struct.unpack(
        ">BBHHIQ", data)
    need(combination == policy.compact_id, "combination id")
    generations = {}
    for level in range(4):
        if not policy.levels >> level & 1:
            need(bits >> 2 * level & 3 == 0, "unused generation")
            continue
        generations[level] = keyring.find(policy, level,
                                          bits >> 2 * level & 3, 4)
        need(generations[level] is not None, "generation")
    need(low == me.rank & 0xffff, "destination")
    return dict(kdf=policy.kdf, aead=policy.aead, flags=policy.flags,
                shift=policy.shift, selectors=policy.selectors, epoch=epoch,
                generations=generations, incarnation=incarnation,
                values=struct.pack(">II", source, me.rank), compact=True)


def check_epoch(policy, epoch):
    ahead = (epoch - policy.epoch + 0x8000) % 0x10000 - 0x8000
    need(abs(ahead) <= policy.epoch_window, "epoch")
    # Without a bound receiver, only the epoch ends what was recorded.
    need(policy.flags & D or policy.replay == "off" or ahead >= 0,
         "epoch floor")


def check_selectors(policy, parts, me):
    if "ranks" in parts:
        need(struct.unpack(">I", parts["ranks"][4:])[0] == me.rank,
             "destination")
    if "destination" in parts:
        need(struct.unpack(">Q", parts["destination"])[0] == me.id,
             "destination")
    for name in ("tuple4", "tuple6"):
        need(parts.get(name, bytes(3))[-3:] == bytes(3), "zero bytes")


def check_proxy(policy, parts, data):
    need(len(data) == 18, "proxy option")
    hops, reserved, domain, rank, sequence = struct.unpack(">BBIIQ", data)
    need(reserved == 0, "reserved")
    need(hops <= 4, "hops")
    need(domain != policy.domain, "origin is this domain")
    proxy = (struct.unpack(">I", parts["ranks"][:4])[0] if "ranks" in parts
             else struct.unpack(">Q", parts["source"])[0]
             if "source" in parts else None)
    need(domain in policy.proxies.get(proxy, []), "not its proxy")
    return (hops, domain, rank, sequence)


def exposed(policy, options, header_length, plain_length):
    """Bytes that stay readable."""
    if CRYPT not in options:
        return 0
    need(len(options[CRYPT]) == 2, "crypt offset option")
    word = struct.unpack(">H", options[CRYPT])[0]
    need(word >> 10 == header_length // 4 and header_length % 4 == 0,
         "payload offset")
    offset = word >> 4 & 63
    need(offset <= policy.crypt_offset_max and 4 * offset <= plain_length,
         "crypt offset")
    return 4 * offset


def open_plain(f, key, mask, sid, packet, header_length, clear):
    sealed = packet[header_length + clear:]
    aad = packet[:header_length + clear]
    if f.aead == GMAC:
        sealed, aad = packet[-ICV:], packet[:-ICV]
        clear = len(packet) - ICV - header_length
    try:
        plain = keys.cipher(f.aead, key).decrypt(
            keys.nonce(mask, sid, f.flags, f.session, f.sequence), sealed,
            aad)
    except InvalidTag:
        raise Drop("authentication") from None
    return packet[header_length:header_length + clear] + plain


def payload_of(plain):
    need(len(plain) >= 4 and len(plain) % 4 == 0, "no payload info")
    pad = plain[3]
    need(plain[:2] == b"\0\0", "payload info")
    need(4 + pad <= len(plain), "pad length")
    body = plain[4:len(plain) - pad]
    need(not any(plain[len(plain) - pad:]), "padding")
    return body


def open_packet(keyring, packet, me):
    """Fields of the packet, opened; Drop if it must not be."""
    need(len(packet) >= 8, "length")
    need(packet[0] == 0x80, "marker or version")
    header_length = 8 + packet[1] + 8
    need(len(packet) >= header_length + 4 + ICV, "length")
    session, spi = struct.unpack(">HI", packet[2:8])
    options = walk(packet[8:8 + packet[1]])
    need((FULL in options) != (COMPACT in options), "context option")
    policy = keyring.policies.get(spi)
    need(policy is not None, "SPI")
    need((COMPACT in options) == bool(policy.compact_id), "form")
    if FULL in options:
        said = read_full(keyring, policy, options[FULL])
    else:
        said = read_compact(keyring, policy, options[COMPACT], me)
    f = Fields(policy=policy, session=session, payload=b"",
               dst_incarnation=me.incarnation,
               sequence=struct.unpack(
                   ">Q", packet[header_length - 8:header_length])[0], **said)
    need(bool(f.flags & X) == (PROXY in options), "flag X")
    need(bool(f.flags & C) == (COMMIT in options), "flag C")
    check_epoch(policy, f.epoch)
    parts = split_values(f.selectors, f.values)
    check_selectors(policy, parts, me)
    if PROXY in options:
        f.origin = check_proxy(policy, parts, options[PROXY])
    need(f.sequence != 0, "sequence 0")
    need(not f.flags & P or f.sequence < 1 << 48, "partition")
    clear = exposed(policy, options, header_length,
                    len(packet) - header_length - ICV)
    if CRYPT in options:
        f.crypt_offset = clear // 4
    kdk, ctx = derive(keyring, f)
    if COMMIT in options:
        need(len(options[COMMIT]) == 16 and
             options[COMMIT] == keys.commitment(f.kdf, kdk, ctx),
             "commitment")
    key, mask = keys.data_key(f.kdf, f.aead, kdk, ctx)
    plain = open_plain(f, key, mask, sender_id(parts), packet, header_length,
                       clear)
    f.payload, f.next_header = payload_of(plain), plain[2]
    return f
