# SPDX-License-Identifier: BSD-3-Clause
"""Random keyrings, and random packets that must open."""
import base64
import struct

import keys
from keys import D, LEVELS, P, SELECTORS, SIZES, X
from packets import Fields, Receiver

ADDRESSES = ("ipv4", "ipv6", "tuple4", "tuple6")
SENDERS = ("ranks", "source", "device") + ADDRESSES
DESTINATIONS = ("ranks", "destination") + ADDRESSES


# ---- Keyrings --------------------------------------------------------------

def ring_of(rng, level, kid):
    """One key in each of some states; generations follow each other."""
    generation = rng.choice([1, 255, 256, 0xfffffffe,
                             rng.randrange(1, 1 << 32) - 1 or 1])
    states = {"current": generation}
    if rng.random() < 0.7:
        states["previous"] = generation - 1
    if rng.random() < 0.7:
        states["next"] = generation + 1
    return [{"kty": "oct", "kid": kid, "eesp_level": level,
             "eesp_generation": g, "eesp_state": state,
             "k": base64.urlsafe_b64encode(
                 rng.randbytes(rng.randint(32, 64))).decode().rstrip("=")}
            for state, g in states.items()]


def random_kid(rng):
    return "".join(rng.choice("AZaz09._:-")
                   for _ in range(rng.choice([1, 8, 32])))


def choose_selectors(rng, levels, partitioned):
    count = rng.choice([1, 1, 2, 3, 5, len(SELECTORS)])
    chosen = rng.sample(SELECTORS, count)
    if not partitioned and not set(chosen) & set(SENDERS):
        chosen.append(rng.choice(SENDERS))
    if "ranks" in chosen and not set(levels) & {"job", "task"} and (
            not set(chosen) & {"job", "task"}):
        chosen.append(rng.choice(["job", "task"]))
    if rng.random() < 0.2: # for clients
        chosen += sorted({"source", "destination"} - set(chosen))
    return chosen


def add_choices(rng, policy, aeads):
    """Members that restrict each other."""
    selectors = policy["selectors"]
    if {"source", "destination"} <= set(selectors) and rng.random() < 0.6:
        policy["client"] = rng.choice(["source", "destination"])
    if selectors == ["ranks"] and rng.random() < 0.6:
        policy["compact_id"] = rng.randint(1, 255)
        return
    if policy["kdf"] != "cmac-aes256" and rng.random() < 0.4:
        policy["commit"] = True
    if set(selectors) & {"ranks", "source"} and rng.random() < 0.3:
        size = 32 if "ranks" in selectors else 63 # JSON's integers
        policy["domain_id"] = rng.randrange(1, 1 << 32)
        policy["proxies"] = [
            {"id": rng.getrandbits(size),
             "domains": [rng.getrandbits(32) for _ in range(2)]}
            for _ in range(rng.randint(1, 2))]
    if policy["aead"] != "aes-256-gmac" and rng.random() < 0.3:
        pairs = {(rng.choice(list(keys.KDFS)), rng.choice(aeads))
                 for _ in range(3)}
        pairs.discard((policy["kdf"], policy["aead"]))
        policy["receive"] = [{"kdf": k, "aead": a} for k, a in sorted(pairs)
                             if a != "aes-256-gmac" and
                             not (k == "cmac-aes256" and "commit" in policy)]
        if not policy["receive"]:
            del policy["receive"]


def longest_header(policy):
    options = 24 + 4 + 18 * ("commit" in policy) + 20 * ("proxies" in policy)
    options += sum(SIZES[SELECTORS.index(name)]
                   for name in policy["selectors"])
    return 16 + options + -(options + 4) % 8


def random_policy(rng, spi, kids, aeads):
    levels = rng.sample(LEVELS, rng.randint(1, 4))
    partitioned = rng.random() < 0.15
    policy = {
        "spi": spi, "name": f"p{spi}", "profile": "sl1",
        "kdf": rng.choice(list(keys.KDFS)), "aead": rng.choice(aeads),
        "levels": {level: rng.choice(kids[level]) for level in levels},
        "selectors": ["ranks"] if rng.random() < 0.25 and (
            set(levels) & {"job", "task"})
        else choose_selectors(rng, levels, partitioned),
        "epoch": rng.choice([0, 1, 0xffff, rng.getrandbits(16)]),
        "epoch_window": rng.choice([0, 1, 2, 500]),
        "phase_shift": rng.choice([0, 3, 16, 20, 24]),
        "max_payload": 4096,
        "replay": rng.choice(["off", "strict", "window"]),
    }
    policy["bind_destination"] = (
        rng.random() < 0.6 or not set(policy["selectors"]) & set(DESTINATIONS))
    if partitioned:
        policy["partitioned"] = True
        policy["phase_shift"] = min(policy["phase_shift"], 20)
    if policy["replay"] == "window" and rng.random() < 0.5:
        policy["replay_window"] = rng.choice([64, 64, 128, 65536])
    if rng.random() < 0.4:
        policy["crypt_offset_max"] = rng.choice([1, 5, 63])
    if policy["aead"] == "aes-256-gmac":
        policy["confidentiality"] = False
    add_choices(rng, policy, aeads)
    if longest_header(policy) > 252: # the Payload Offset has six bits
        policy.pop("crypt_offset_max", None)
    return policy


def random_keyring(rng, policies, aeads):
    """A keyring file as Python data."""
    entries, kids = [], {}
    for level in LEVELS:
        names = {random_kid(rng), random_kid(rng)}
        kids[level] = sorted(names)
        for kid in kids[level]:
            entries += ring_of(rng, level, kid)
    rng.shuffle(entries)
    spis = rng.sample(range(256, 1 << 32), policies)
    return {"keys": entries, "eesp_version": 1,
            "eesp_policies": [random_policy(rng, spi, kids, aeads)
                              for spi in spis]}


def random_receiver(rng):
    return Receiver(rng.choice([rng.getrandbits(8), rng.getrandbits(32)]),
                    rng.getrandbits(63), # it may be a client's, in JSON
                    rng.getrandbits(64) or 1)


# ---- Packets ---------------------------------------------------------------

def random_values(rng, policy, me):
    out = b""
    for bit, name in enumerate(SELECTORS):
        if not policy.selectors >> bit & 1:
            continue
        value = rng.randbytes(SIZES[bit])
        if name == "ranks":
            value = value[:4] + struct.pack(">I", me.rank)
        elif name == "destination":
            value = struct.pack(">Q", me.id)
        elif name in ("tuple4", "tuple6"):
            value = value[:-3] + bytes(3)
        out += value
    return out


def put_first(f, size, sender):
    """The values with that sender, whose id is the first of them."""
    f.values = sender.to_bytes(size, "big") + f.values[size:]


def put_source(f, source):
    at = 8 * f.policy.has("ranks")
    f.values = (f.values[:at] + source.to_bytes(8, "big") +
                f.values[at + 8:])


def forget_origin(f):
    """Not by a proxy."""
    f.origin, f.flags = None, f.flags & ~X


def random_sequence(rng, policy):
    step = 1 << policy.shift
    sequence = rng.choice([1, 2, step - 1, step, step + 1, 5 * step,
                           rng.getrandbits(32), rng.getrandbits(48),
                           rng.getrandbits(64), (1 << 64) - 1])
    if policy.flags & P:
        sequence %= 1 << 48
    return sequence or 1


def random_payload(rng, longest):
    return rng.randbytes(min(longest, rng.choice(
        [0, 1, 4, rng.randint(0, 80), rng.randint(0, 80),
         rng.randint(0, 1500)])))


def random_packet(rng, keyring, policy, me):
    """Fields of a packet that me must open."""
    ahead = rng.randint(-policy.epoch_window, policy.epoch_window)
    if not policy.flags & D and policy.replay != "off":
        ahead = abs(ahead)
    kdf, aead = rng.choice(sorted(policy.accepted))
    f = Fields(
        policy=policy, kdf=kdf, aead=aead, flags=policy.flags,
        shift=policy.shift, selectors=policy.selectors,
        generations={level: rng.choice(sorted(keyring.rings[level, kid]))
                     for level, kid in policy.key_ids.items()},
        epoch=(policy.epoch + ahead) % 65536,
        values=random_values(rng, policy, me),
        incarnation=rng.getrandbits(64) or 1, dst_incarnation=me.incarnation,
        sequence=random_sequence(rng, policy),
        payload=random_payload(rng, policy.max_payload),
        session=rng.choice([0, rng.getrandbits(16)]),
        compact=bool(policy.compact_id))
    if policy.flags & P:
        f.session = rng.randrange(16)
    if policy.proxies and rng.random() < 0.6:
        proxy = rng.choice(sorted(policy.proxies))
        put_first(f, 4 if policy.has("ranks") else 8, proxy)
        f.flags |= X
        f.origin = (rng.randint(1, 4), rng.choice(policy.proxies[proxy]),
                    rng.getrandbits(32), rng.getrandbits(64))
    if policy.crypt_offset_max and rng.random() < 0.5:
        words = (4 + len(f.payload) + 3) // 4
        f.crypt_offset = rng.randint(0, min(words, policy.crypt_offset_max))
    if rng.random() < 0.1:
        f.next_header = rng.randrange(256)
    if rng.random() < 0.3:
        f.order = rng
    return f
