# SPDX-License-Identifier: BSD-3-Clause
"""Both ways between the oracle's PSP and TSS and the library's."""
import base64
import json
import os
import subprocess

import others
from driver import run_eesp
from packets import Drop

SEALER = os.path.join(os.environ.get("top_builddir", "."),
                      "tests/oracle/sealer")


def key_entry(rng, level, kid, member, bit):
    return {"kty": "oct", "kid": kid, "eesp_level": level, member: bit,
            "k": base64.urlsafe_b64encode(rng.randbytes(32)).decode().rstrip(
                "=")}


def write_keyring(rng, path):
    """Two policies of PSP, two of each mode of TSS."""
    ring = {"eesp_version": 1, "keys": [], "eesp_policies": []}
    for i in range(2):
        ring["keys"] += [key_entry(rng, "psp", f"nic-{i}", "eesp_master", bit)
                         for bit in range(2)]
        ring["eesp_policies"].append(
            {"name": f"psp-{i}", "profile": "psp", "master": f"nic-{i}"})
    sdis = rng.sample(range(1 << 24), 6)
    for i, sdi in enumerate(sdis):
        ring["keys"] += [key_entry(rng, "tss", f"sd-{i}", "eesp_an", bit)
                         for bit in range(2)]
        policy = {"name": f"tss-{i}", "profile": "tss", "key": f"sd-{i}",
                  "sdi": sdi, "mode": others.MODES[i % 3],
                  "epoch": rng.choice([0, 5, 65535, rng.getrandbits(16)]),
                  "epoch_age": rng.choice([0, 3, 100])}
        if policy["mode"] == "cluster":
            shift = rng.randrange(48)
            policy["rekey_shift"] = shift
            policy["rekey_mask"] = rng.getrandbits(48) >> shift << shift
        ring["eesp_policies"].append(policy)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
              "w") as file:
        json.dump(ring, file)
    return others.Others(path)


# ---- Random packets ----------------------------------------------------------

def random_payload(rng):
    return rng.randbytes(rng.choice([0, 1, 3, 4, 16, rng.randrange(1500)]))


def random_psp(rng):
    f = {"version": rng.randrange(2), "framed": rng.randrange(2),
         "spi": rng.getrandbits(32), "iv": rng.getrandbits(64),
         "next": rng.randrange(256), "s": rng.randrange(2),
         "d": rng.randrange(2), "payload": random_payload(rng),
         "cookie": rng.choice([None, rng.getrandbits(64)])}
    if f["framed"]:
        f.update(s=0, d=0, cookie=None)
    room = (len(f["payload"]) + (4 + 3 if f["framed"] else
                                 8 * (f["cookie"] is not None))) // 4
    f["crypt"] = rng.randint(0, min(63, room))
    return f


PSP_FAULTS = [
    {"session": 1}, {"kdf": 1}, {"aead": 5}, {"flags": 1}, {"flags": 0x80},
    {"epoch": 1}, {"shift": 1}, {"reserved": 1}, {"generations": b"\1\0\0\0"},
    {"incarnation": 1}, {"selectors": 2, "values": bytes(8)},
    {"info": b"\x40\0"}, {"info": b"\0\1"}, {"padding": 255},
    {"zeros": b"\1"}, {"profile": 2}, {"profile": 3},
]
PSP_PLAIN_FAULTS = [{"ext": 0}, {"ext": 3}, {"reserved": 0x40},
                    {"version": 4}, {"version": 9}, {"one": 0}]


def random_tss(rng, policy, n):
    """n: above all before it, for who seals with it."""
    server = policy["mode"] == "server"
    f = {"form": rng.randrange(3), "an": rng.randrange(2),
         "epoch": policy["epoch"], "ssi": rng.getrandbits(32),
         "counter": n << 20 | rng.getrandbits(20),
         "to": rng.getrandbits(32), "payload": random_payload(rng),
         "server": server and rng.randrange(2), "front": b""}
    if not f["form"]:
        f["front"] = rng.randbytes(rng.choice([0, 12, 36]))
    return f


TSS_FAULTS = [
    {"session": 1}, {"kdf": 1}, {"aead": 1}, {"flags": 1}, {"shift": 1},
    {"generations": b"\0\0\0\1"}, {"incarnation": 1}, {"ssi_high": 1},
    {"spi": 0}, {"spi": 1 << 27 | 1 << 26}, {"spi": 3 << 25}, {"profile": 1},
    {"info": b"\x10\0"}, {"crypt": 1}, {"zeros": b"\xff"},
]


# ---- The oracle's packets, opened by the command -------------------------------

def decoded(arguments, batch):
    """Payload or error of each packet."""
    _, out, err = run_eesp(["decode"] + arguments, [p.hex() for p in batch])
    told = []
    for line in out.splitlines():
        if line.startswith("packet "):
            told.append("nothing")
        elif line.startswith(("payload: ", "error: ")):
            told[-1] = line.removeprefix("payload: ").strip()
    return told if len(told) == len(batch) else [err] * len(batch)


def judge(total, kind, cases, told):
    for (packet, payload, about), got in zip(cases, told):
        if payload is None:
            total.add(f"{kind}: fault is refused", got.startswith("error: "),
                      about, packet.hex())
        else:
            total.add(f"{kind}: oracle, opened by decode",
                      got in (payload.hex(), "payload:" + payload.hex()),
                      got, about, packet.hex())


def flip(rng, packet):
    at = rng.randrange(8 * len(packet))
    changed = bytearray(packet)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


def psp_to_decode(rng, total, path, ring, count):
    cases = []
    for _ in range(count):
        f, policy = random_psp(rng), rng.choice(ring.psp)
        good = rng.random() < 0.7
        if not good:
            f["raw"] = dict(rng.choice(
                PSP_FAULTS if f["framed"] else PSP_PLAIN_FAULTS))
            if "zeros" in f["raw"]:
                f["payload"] = bytes(5)
                f["crypt"] = 0
        master = ring.keys["psp", policy["master"], f["spi"] >> 31]
        packet = others.seal_psp(
            others.psp_key(master, f["version"], f["spi"]), f)
        cases.append((packet, f["payload"] if good else None, str(f)))
        if rng.random() < 0.1:
            cases.append((flip(rng, packet), None, "one bit"))
    judge(total, "psp", cases,
          decoded(["--psp", "--keyring", path], [c[0] for c in cases]))


def tss_to_decode(rng, total, path, ring, count):
    by_front = {}
    for n in range(count):
        policy = rng.choice(ring.tss)
        f = random_tss(rng, policy, n)
        f["counter"] |= f["server"] << 47
        age = rng.randint(0, policy["epoch_age"])
        f["epoch"] = (policy["epoch"] - age) & 0xffff
        good = rng.random() < 0.7
        if not good and f["form"]:
            f["raw"] = dict(rng.choice(TSS_FAULTS))
            if f["form"] == 2:
                f["raw"].pop("ssi_high", None)
            if f["raw"].get("zeros"):
                f["payload"] = bytes(6)
            if not f["raw"]:
                f["raw"]["session"] = 9
        elif not good:
            if rng.random() < 0.5:
                f["raw"] = {"type": rng.choice([0x0e, 0x14, 0x04])}
            else:
                f["epoch"] = (policy["epoch"] - policy["epoch_age"] -
                              1) & 0xffff
        key = ring.keys["tss", policy["key"], f["an"]]
        packet = others.seal_tss(policy, key, f)
        # Each start of the command takes one --aad.
        cases = by_front.setdefault(len(f["front"]), ([], f["front"]))
        if f["front"]:
            f["front"] = cases[1]
            packet = others.seal_tss(policy, key, f)
        cases[0].append((packet, f["payload"] if good else None, str(f)))
        if rng.random() < 0.1:
            cases[0].append((flip(rng, packet), None, "one bit"))
    for cases, front in by_front.values():
        aad = ["--aad", front.hex()] if front else []
        judge(total, "tss", cases,
              decoded(["--tss", "--keyring", path] + aad,
                      [c[0] for c in cases]))


# ---- The library's packets, opened by the oracle -------------------------------

def sealed(path, lines):
    done = subprocess.run([SEALER, path], input="".join(lines),
                          capture_output=True, text=True, timeout=120)
    out = done.stdout.splitlines()
    return out if len(out) == len(lines) else [done.stderr] * len(lines)


def check(total, kind, answer, payload, opener, about):
    try:
        got = opener(bytes.fromhex(answer))
        total.add(kind, got == payload, "another payload", about, answer)
    except (Drop, ValueError) as why:
        total.add(kind, False, str(why), about, answer)


def psp_from_library(rng, total, path, ring, count):
    asked, lines = [], []
    for _ in range(count):
        f, policy = random_psp(rng), rng.choice(ring.psp)
        masters = [ring.keys["psp", policy["master"], bit] for bit in (0, 1)]
        key = others.psp_key(masters[f["spi"] >> 31], f["version"], f["spi"])
        flags = f["s"] | f["d"] << 1 | (f["cookie"] is not None) << 2
        lines.append(f"psp {f['version']} {f['framed']} {f['spi']} "
                     f"{key.hex()} {f['crypt']} {f['next']} {flags} "
                     f"{f['cookie'] or 0:x} {f['payload'].hex() or '-'}\n")
        asked.append((f, masters))
    for (f, masters), answer in zip(asked, sealed(path, lines)):
        check(total, "psp: library, opened by the oracle", answer,
              f["payload"], lambda p: others.open_psp(masters, p, f), str(f))


def tss_from_library(rng, total, path, ring, count):
    asked, lines = [], []
    for n in range(count):
        index = rng.randrange(len(ring.tss))
        policy = ring.tss[index]
        f = random_tss(rng, policy, n)
        if policy["mode"] != "server":
            f["server"] = 0
        lines.append(
            f"tss {index} {min(f['form'], 1)} {int(f['form'] == 2)} "
            f"{f['server']} {f['ssi']} {f['an']} {f['epoch']} {f['counter']} "
            f"{f['to']} {f['front'].hex() or '-'} "
            f"{f['payload'].hex() or '-'}\n")
        if f["server"]: # both directions bear the client's SSI
            f["ssi"] = f["to"]
            f["counter"] |= 1 << 47
        asked.append((f, policy))
    for (f, policy), answer in zip(asked, sealed(path, lines)):
        keys = [ring.keys["tss", policy["key"], an] for an in (0, 1)]
        check(total, "tss: library, opened by the oracle", answer,
              f["payload"], lambda p: others.open_tss(policy, keys, p, f),
              str(f))


def run(rng, total, path, count):
    """count packets each way, of each profile."""
    for _ in range(max(1, count // 500)):
        ring = write_keyring(rng, path)
        status, _, err = run_eesp(["show", path], [])
        total.add("keyring of psp and tss is taken", status == 0, err)
        share = min(count, 500)
        psp_to_decode(rng, total, path, ring, share)
        tss_to_decode(rng, total, path, ring, share)
        psp_from_library(rng, total, path, ring, share)
        tss_from_library(rng, total, path, ring, share)


def wrong_oracle(rng, total, quiet, path):
    """With labels that are wrong in one letter nothing may agree."""
    right_cmac, right_kdf = others.cmac, others.kdf
    others.cmac = lambda key, data: right_cmac(key, data.replace(b"Pv", b"PV"))
    others.kdf = lambda kind, key, label, context, length: right_kdf(
        kind, key, label.lower(), context, length)
    try:
        run(rng, quiet, path, 100)
    finally:
        others.cmac, others.kdf = right_cmac, right_kdf
    # What the library seals as PSP has a key that the oracle gave to it.
    good, bad = quiet.kinds["psp: oracle, opened by decode"]
    total.add("wrong oracle is noticed", good == 0 and bad > 0, "psp")
    for kind in ("tss: library, opened by the oracle",
                 "tss: oracle, opened by decode"):
        good, bad = quiet.kinds[kind] # direct mode has no label
        total.add("wrong oracle is noticed", bad > good, kind)
