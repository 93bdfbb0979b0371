# SPDX-License-Identifier: BSD-3-Clause
"""Both ways between the oracle and the eesp command."""
import json
import os
import struct
import subprocess

import cases
import faults
import keys
import packets

SHOWN = 10 # mismatches that are shown in full
EESP = os.environ.get("EESP_BIN") or os.path.join(
    os.environ.get("top_builddir", "."), "src/cmd/eesp")
ENCODE_OPTIONS = ["source", "destination", "flow", "device", "task", "job",
                  "tenant", "vm"]


class CommandFailed(Exception):
    """What the command said instead of doing it."""


class Sum:
    def __init__(self, seed):
        self.seed, self.passed, self.failed, self.kinds = seed, 0, 0, {}

    def add(self, kind, good, *about):
        """One case; about: what is shown of it if it is not good."""
        done = self.kinds.setdefault(kind, [0, 0])
        done[not good] += 1
        if good:
            self.passed += 1
            return
        self.failed += 1
        if self.failed <= SHOWN:
            print(f"not ok - {kind} (--seed {self.seed})")
            for line in about:
                print(f"#   {line}")

    def report(self):
        for kind, (good, bad) in sorted(self.kinds.items()):
            print(f"{'not ok' if bad else 'ok'} - {kind}: {good} agree, "
                  f"{bad} differ")
        print(f"{self.passed} passed, {self.failed} failed")


def run_eesp(arguments, lines):
    """Exit status, standard output and error of the command."""
    done = subprocess.run(
        [EESP] + arguments, input="".join(x + "\n" for x in lines),
        capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def judge(keyring, packet, me):
    """What the oracle says: fields, or why not."""
    try:
        return packets.open_packet(keyring, packet, me), None
    except packets.Drop as drop:
        return None, str(drop)


# ---- eesp encode -> oracle --------------------------------------------------

def address(family, value):
    return (".".join(map(str, value)) if family == 4 else ":".join(
        value[i:i + 2].hex() for i in range(0, 16, 2)))


def selector_arguments(policy, values):
    parts, out = packets.split_values(policy.selectors, values), []
    for name, value in parts.items():
        if name == "ranks":
            out += ["--rank", str(int.from_bytes(value[:4], "big")),
                    "--dst-rank", str(int.from_bytes(value[4:], "big"))]
        elif name in ENCODE_OPTIONS:
            out += ["--" + name, value.hex()]
        else:
            family = int(name[-1])
            size = 4 if family == 4 else 16
            text = [address(family, value[:size]),
                    address(family, value[size:2 * size])]
            if name.startswith("tuple"):
                ports = value[2 * size:]
                text += [str(ports[0] << 8 | ports[1]),
                         str(ports[2] << 8 | ports[3]), str(ports[4])]
            out += ["--" + name, ",".join(text)]
    return out


def encode_batch(rng, path, keyring, policy, me, count, client):
    """What was asked for, payloads, packets by the command, crypt offset."""
    f = cases.random_packet(rng, keyring, policy, me)
    if client is not None and policy.client == "source":
        cases.put_source(f, client)
    cases.forget_origin(f) # the command is no proxy
    offset = rng.choice([0, policy.crypt_offset_max])
    sent = [cases.random_payload(rng, policy.max_payload)
            for _ in range(count)]
    arguments = ["encode", "--keyring", path, "--policy", str(policy.spi),
                 "--session", str(f.session), "--crypt-offset", str(offset)]
    if policy.flags & keys.D:
        arguments += ["--dst-incarnation", f"{me.incarnation:x}"]
    arguments += selector_arguments(policy, f.values)
    status, out, err = run_eesp(arguments, [p.hex() for p in sent])
    made = [bytes.fromhex(line) for line in out.split()]
    if status != 0 or len(made) != count:
        raise CommandFailed(f"eesp {' '.join(arguments)}: {err}")
    return f, sent, made, offset


def check_encoded(keyring, f, payload, sequence, offset, got):
    """What the oracle opened must be what the command was told; or what not."""
    policy = f.policy
    words = (4 + len(payload) + 3) // 4
    want = {
        "payload": payload, "sequence": sequence, "values": f.values,
        "session": f.session, "epoch": policy.epoch,
        "generations": keyring.current(policy), "kdf": policy.kdf,
        "aead": policy.aead, "flags": policy.flags,
        "compact": bool(policy.compact_id), "next_header": 253,
    }
    for name, value in want.items():
        if getattr(got, name) != value:
            return f"{name} is {getattr(got, name)}, not {value}"
    if (got.crypt_offset or 0) != min(offset, words):
        return f"crypt offset is {got.crypt_offset}, not {min(offset, words)}"
    return None


def try_encode(rng, total, path, keyring, policy, entry, me, count,
               client=None):
    """One start of the command; its packets, for others to change."""
    try:
        f, sent, made, offset = encode_batch(rng, path, keyring, policy, me,
                                             count, client)
    except CommandFailed as failure:
        total.add("encode runs", False, str(failure), json.dumps(entry))
        return []
    for number, (payload, packet) in enumerate(zip(sent, made), 1):
        got, why = judge(keyring, packet, me)
        if got:
            why = check_encoded(keyring, f, payload, number, offset, got)
        total.add("encode, opened by the oracle", why is None, why,
                  packet.hex(), json.dumps(entry))
    return made


# ---- Oracle -> eesp decode --------------------------------------------------

class Case:
    """closed: the command has not the key, so that it alone refuses."""

    def __init__(self, kind, packet, entry, fields=None, closed=False):
        self.kind, self.packet, self.entry = kind, packet, entry
        self.fields = fields # None: must be refused
        self.closed = closed


def make_case(rng, keyring, policy, entry, me):
    """A packet of the oracle's: good, faulty or changed."""
    while True:
        share = rng.random()
        try:
            if share < 0.2:
                name, f = faults.faulty_packet(rng, keyring, policy, me)
                return Case("fault: " + name, packets.seal(keyring, f), entry)
            f = cases.random_packet(rng, keyring, policy, me)
            packet = packets.seal(keyring, f)
        except (ValueError, struct.error): # more options than fit
            continue
        if share < 0.3:
            return Case(*faults.corrupt(rng, packet), entry)
        return Case("oracle, opened by decode", packet, entry, f)


def check_decoded(case, line, own):
    """What differs between case and the command's line about it, or None."""
    f = case.fields
    if f is None:
        if own is None and not case.closed:
            return "the oracle does not refuse it"
        return "decode does not refuse it" if line["opened"] else None
    if own is not None:
        return f"the oracle refuses its own packet: {own}"
    if not line["opened"]:
        return f"decode refuses it: {line['error']}"
    header = line["header"]
    want = {"session_id": f.session, "compact": f.compact, "epoch": f.epoch,
            "incarnation": f"{f.incarnation:016x}",
            "sequence": f"{f.sequence:016x}", "spi": f.policy.spi}
    for name, value in want.items():
        if header[name] != value:
            return f"{name} is {header[name]}, not {value}"
    if line["next_header"] != f.next_header:
        return "next header"
    return None if line["payload"] == f.payload.hex() else "payload"


def try_decode(total, path, keyring, me, batch):
    """One start of the command for all packets of a keyring."""
    _, out, err = run_eesp(
        ["decode", "--json", "--keyring", path, "--rank", str(me.rank), "--id",
         f"{me.id:x}", "--dst-incarnation", f"{me.incarnation:x}"],
        [case.packet.hex() for case in batch])
    lines = [json.loads(line) for line in out.splitlines()][:-1]
    if len(lines) != len(batch):
        total.add("decode runs", False, err)
        return
    for case, line in zip(batch, lines):
        own = judge(keyring, case.packet, me)[1]
        why = check_decoded(case, line, own)
        total.add(case.kind, why is None, why, f"oracle: {own}",
                  f"decode: {line.get('error')}", case.packet.hex(),
                  json.dumps(case.entry))
