# SPDX-License-Identifier: BSD-3-Clause
"""PSP and TSS, on their own and in EESP (profiles 1 and 2): the oracle's keys
and packets, from the descriptions alone. seal_*() makes what its fields say, a
rule broken or not; open_*() reads strictly.
"""
import base64
import json
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys import cmac, kdf
from packets import Drop

ICV, RANKS, SOURCE, UCX_PAYLOAD = 16, 1, 2, 253
MODES = ["direct", "cluster", "server"]


class Others:
    """Keys by id and bit, policies by name, of a keyring file."""

    def __init__(self, path):
        with open(path) as file:
            ring = json.load(file)
        self.keys = {}
        for k in ring["keys"]:
            bit = k["eesp_master" if k["eesp_level"] == "psp" else "eesp_an"]
            self.keys[k["eesp_level"], k["kid"], bit] = (
                base64.urlsafe_b64decode(k["k"] + "=="))
        self.psp = [p for p in ring["eesp_policies"] if p["profile"] == "psp"]
        self.tss = [p for p in ring["eesp_policies"] if p["profile"] == "tss"]


# ---- EESP around either ----------------------------------------------------

def option(profile, aead, selectors, epoch, values, raw):
    data = struct.pack(
        ">BBBBHHBB4sQ", 1 << 4 | profile, raw.get("kdf", 0),
        raw.get("aead", aead), raw.get("flags", 0), selectors,
        raw.get("epoch", epoch), raw.get("shift", 0), raw.get("reserved", 0),
        raw.get("generations", bytes(4)), raw.get("incarnation", 0)) + values
    return bytes([0xe0, len(data)]) + data


def frame(key, nonce, spi, iv, context, crypt, next_header, payload, raw):
    """An EESP packet; crypt: readable units, None for no such option."""
    options = context
    if crypt is not None:
        options += b"\2\2\0\0"
    pad = -(8 + len(options) + 8 + 4) % 8
    if pad:
        options += bytes([1, pad - 2]) + bytes(pad - 2)
    start = 8 + len(options) + 8
    if crypt is not None:
        at = len(context)
        options = (options[:at + 2] +
                   struct.pack(">H", start // 4 << 10 | crypt << 4) +
                   options[at + 4:])
    head = (struct.pack(">BBHI", 0x80, len(options), raw.get("session", 0),
                        spi) + options + struct.pack(">Q", iv))
    padding = -len(payload) % 4
    body = (raw.get("info", bytes(2)) +
            bytes([next_header, raw.get("padding", padding)]) + payload +
            raw.get("zeros", b"\0") * padding)
    readable = 4 * (crypt or 0)
    return head + body[:readable] + AESGCM(key).encrypt(
        nonce, body[readable:], head + body[:readable])


def unframe(packet, profile):
    """Fields of a header; how to open what is behind it."""
    mark, size, session, spi = struct.unpack(">BBHI", packet[:8])
    if mark != 0x80 or session:
        raise Drop("base header")
    options, at, context, crypt = packet[8:8 + size], 0, None, 0
    start = 8 + size + 8
    while at < size:
        if options[at] == 0:
            at += 1
            continue
        data = options[at + 2:at + 2 + options[at + 1]]
        if options[at] == 0xe0 and context is None:
            context = data
        elif options[at] == 2:
            word = struct.unpack(">H", data)[0]
            if word >> 10 != start // 4:
                raise Drop("payload offset")
            crypt = word >> 4 & 63
        elif options[at] != 1 or any(data):
            raise Drop("option")
        at += 2 + options[at + 1]
    form, kind, aead, flags, selectors, epoch, shift, zero, gens, inc = (
        struct.unpack(">BBBBHHBB4sQ", context[:22]))
    if form != 16 + profile or kind or flags or shift or zero or any(gens) \
            or inc:
        raise Drop("option fields")
    iv = struct.unpack(">Q", packet[8 + size:start])[0]

    def opener(key, nonce):
        exposed = start + 4 * crypt
        try:
            plain = AESGCM(key).decrypt(nonce, packet[exposed:],
                                        packet[:exposed])
        except InvalidTag:
            raise Drop("ICV") from None
        plain = packet[start:exposed] + plain
        padding = plain[3]
        end = len(plain) - padding
        if plain[:2] != b"\0\0" or any(plain[end:]) or len(plain) % 4:
            raise Drop("Payload Info Header")
        return plain[2], plain[4:end]

    return spi, iv, aead, selectors, epoch, context[22:], crypt, opener


# ---- PSP -------------------------------------------------------------------

def psp_key(master, version, spi):
    bits = 128 << version
    return b"".join(
        cmac(master, struct.pack(">I", i) + b"Pv%d\0" % version +
             struct.pack(">II", spi, bits)) for i in range(1, 2 + version))


def seal_psp(key, f):
    nonce = struct.pack(">IQ", f["spi"], f["iv"])
    raw = f.get("raw", {})
    if f["framed"]:
        context = option(raw.get("profile", 1), 1 + f["version"],
                         raw.get("selectors", 0), 0, raw.get("values", b""),
                         raw)
        return frame(key, nonce, f["spi"], f["iv"], context,
                     f["crypt"] or None, f["next"], f["payload"], raw)
    head = bytes([f["next"], raw.get("ext", 1 + (f["cookie"] is not None)),
                  raw.get("reserved", 0) | f["crypt"],
                  f["s"] << 7 | f["d"] << 6 |
                  raw.get("version", f["version"]) << 2 |
                  (f["cookie"] is not None) << 1 | raw.get("one", 1)]) + nonce
    body = (struct.pack(">Q", f["cookie"]) if f["cookie"] is not None
            else b"") + f["payload"]
    readable = 4 * f["crypt"]
    return head + body[:readable] + AESGCM(key).encrypt(
        nonce, body[readable:], head + body[:readable])


def open_psp(keys, packet, f):
    """Payload of what the library was asked to seal as f; keys by master."""
    if f["framed"]:
        spi, iv, aead, selectors, epoch, values, crypt, opener = unframe(
            packet, 1)
        if selectors or epoch or values or aead != 1 + f["version"] or \
                crypt != f["crypt"] or spi != f["spi"]:
            raise Drop("fields")
        key = psp_key(keys[spi >> 31], aead - 1, spi)
        next_header, payload = opener(key, struct.pack(">IQ", spi, iv))
        if next_header != f["next"]:
            raise Drop("next header")
        return payload
    spi, iv = struct.unpack(">IQ", packet[4:16])
    cookie = f["cookie"] is not None
    if packet[:4] != bytes([f["next"], 1 + cookie, f["crypt"],
                            f["s"] << 7 | f["d"] << 6 | f["version"] << 2 |
                            cookie << 1 | 1]) or spi != f["spi"]:
        raise Drop("header")
    at = 16 + 4 * f["crypt"]
    try:
        plain = AESGCM(psp_key(keys[spi >> 31], f["version"], spi)).decrypt(
            packet[4:16], packet[at:], packet[:at])
    except InvalidTag:
        raise Drop("ICV") from None
    body = packet[16:at] + plain
    if cookie and body[:8] != struct.pack(">Q", f["cookie"]):
        raise Drop("cookie")
    return body[8 * cookie:]


# ---- TSS -------------------------------------------------------------------

def tss_key(policy, key, epoch, counter, ssi):
    """Data key and IV mask."""
    if policy["mode"] == "direct":
        return key, bytes(12)
    rekey, label = 0, b"U2"
    if policy["mode"] == "cluster":
        rekey = ((counter & policy.get("rekey_mask", 0)) >>
                 policy.get("rekey_shift", 0)) & 0xffffffff
        label = b"U1"
    out = kdf(1, key, label, struct.pack(">HII", epoch, rekey, ssi), 44)
    return out[:32], out[32:]


def tss_nonce(ssi, tsc, mask):
    return bytes(a ^ b for a, b in zip(struct.pack(">IQ", ssi, tsc), mask))


def seal_tss(policy, key, f):
    raw = f.get("raw", {})
    tsc = f["epoch"] << 48 | f["counter"]
    data, mask = tss_key(policy, key, f["epoch"], f["counter"], f["ssi"])
    nonce = tss_nonce(f["ssi"], tsc, mask)
    if f["form"]:
        ranks = f["form"] == 2
        values = (struct.pack(">II", f["ssi"], f["to"]) if ranks else
                  struct.pack(">Q", raw.get("ssi_high", 0) << 32 | f["ssi"]))
        context = option(raw.get("profile", 2), 2,
                         RANKS if ranks else SOURCE, f["epoch"], values, raw)
        spi = raw.get("spi", 1 << 26) | f["an"] << 24 | policy["sdi"]
        return frame(data, nonce, spi, tsc, context, raw.get("crypt"),
                     UCX_PAYLOAD, f["payload"], raw)
    word = raw.get("type", 0x0c) | f["an"]
    head = struct.pack(">IIQ", word << 24 | policy["sdi"], f["ssi"], tsc)
    return head + AESGCM(data).encrypt(nonce, f["payload"],
                                       f["front"] + head)


def open_tss(policy, keys, packet, f):
    """Payload of what the library was asked to seal as f; keys by AN."""
    tsc = f["epoch"] << 48 | f["counter"]
    data, mask = tss_key(policy, keys[f["an"]], f["epoch"], f["counter"],
                         f["ssi"])
    nonce = tss_nonce(f["ssi"], tsc, mask)
    if f["form"]:
        spi, iv, aead, selectors, epoch, values, crypt, opener = unframe(
            packet, 2)
        ranks = f["form"] == 2
        want = (struct.pack(">II", f["ssi"], f["to"]) if ranks else
                struct.pack(">Q", f["ssi"]))
        if spi != (1 << 26 | f["an"] << 24 | policy["sdi"]) or iv != tsc or \
                aead != 2 or selectors != (RANKS if ranks else SOURCE) or \
                epoch != f["epoch"] or values != want or crypt:
            raise Drop("fields")
        return opener(data, nonce)[1]
    if packet[:16] != struct.pack(">IIQ", (0x0c | f["an"]) << 24 |
                                  policy["sdi"], f["ssi"], tsc):
        raise Drop("header")
    try:
        return AESGCM(data).decrypt(nonce, packet[16:],
                                    f["front"] + packet[:16])
    except InvalidTag:
        raise Drop("ICV") from None
