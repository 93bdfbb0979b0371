# SPDX-License-Identifier: BSD-3-Clause
"""A receiver with a replay table, and key check values."""
import json
import os
import subprocess

import cases
import faults
import keys
import packets
from driver import EESP, judge

RECEIVER = os.path.join(os.path.dirname(EESP), "../../tests/oracle/receiver")
SENDERS = 3      # that overtake each other
PACKETS = 60     # to one receiver


class Table:
    """What a receiver has opened of each sender and session."""

    def __init__(self, policy):
        self.mode, self.window = policy.replay, policy.replay_window
        self.seen = {}

    def entry(self, f):
        source = (f.values[:4] if f.policy.has("ranks") else
                  f.values[:8] if f.policy.has("source") else b"")
        return self.seen.setdefault((source, f.session, f.incarnation), set())

    def fresh(self, f):
        seen = self.entry(f)
        if self.mode == "off" or not seen:
            return True
        if self.mode == "strict":
            return f.sequence > max(seen)
        return f.sequence > max(seen) - self.window and f.sequence not in seen

    def commit(self, f):
        self.entry(f).add(f.sequence)


class Stream:
    """Packets of a few senders whose numbers run on, fall back and repeat."""

    def __init__(self, rng, keyring, policy, me):
        self.rng, self.keyring, self.policy, self.me = rng, keyring, policy, me
        self.senders = [cases.random_packet(rng, keyring, policy, me)
                        for _ in range(SENDERS)]
        for f in self.senders:
            cases.forget_origin(f)
        # One sender in another session, and another with its incarnation.
        one, session, other = self.senders
        session.values, session.session = one.values, one.session ^ 1
        session.incarnation = one.incarnation
        if policy.has("ranks") or policy.has("source"):
            other.incarnation, other.session = one.incarnation, one.session
        first = rng.choice([1, rng.getrandbits(40) + 1])
        self.opened = [[first] for _ in self.senders]

    def packet(self):
        who = self.rng.randrange(SENDERS)
        same = self.senders[who]
        f = cases.random_packet(self.rng, self.keyring, self.policy, self.me)
        cases.forget_origin(f)
        f.values, f.session, f.incarnation = (same.values, same.session,
                                              same.incarnation)
        edge = self.policy.replay_window
        step = self.rng.choice([1, 2, 0, -1, 1 - edge, -edge, -1 - edge, edge,
                                64, self.rng.randint(-64, 0),
                                self.rng.randint(-edge, edge)])
        f.sequence = max(1, max(self.opened[who]) + step)
        if self.rng.random() < 0.2: # the same place in a bitmap
            f.sequence = self.rng.choice(self.opened[who]) + edge + (
                self.rng.choice([0, 64]))
        return who, f

    def took(self, who, f):
        self.opened[who].append(f.sequence)


def plan_packets(rng, keyring, policy, me):
    """Lines for the receiver, and what it must answer: payload or None."""
    stream, table, plan, last = (Stream(rng, keyring, policy, me),
                                 Table(policy), [], None)
    for _ in range(PACKETS):
        if last and rng.random() < 0.15:
            who, f, packet = last
        else:
            who, f = stream.packet()
            packet = packets.seal(keyring, f)
        if rng.random() < 0.15: # must leave no trace in the table
            kind, packet = faults.corrupt(rng, packet)
            plan.append((kind, packet.hex(), None))
            continue
        opens = table.fresh(f) and judge(keyring, packet, me)[0] is not None
        if opens:
            table.commit(f)
            stream.took(who, f)
        last = (who, f, packet)
        plan.append((f"replay {policy.replay}: "
                     f"{'fresh' if opens else 'repeated or late'}",
                     packet.hex(), f.payload if opens else None))
    return plan


def plan_checks(rng, keyring, policy):
    """Key check values of random generations."""
    generations = {level: rng.choice(sorted(keyring.rings[level, kid]))
                   for level, kid in policy.key_ids.items()}
    kdk = keyring.kdk(policy, generations, policy.kdf, policy.aead)
    low = bytes(generations.get(level, 0) & 0xff for level in range(4))
    return [("key check value", "check " + low.hex(),
             keys.kdf(policy.kdf, kdk, b"SK", b"", 8))]


def try_receiver(rng, total, path, keyring, policy, entry, me):
    with subprocess.Popen(
            [RECEIVER, path, str(policy.spi), str(me.rank), f"{me.id:x}"] +
            rng.choice([[], ["openssl"]]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True) as process:
        first = process.stdout.readline()
        if not first:
            total.add("receiver runs", False, process.stderr.read(),
                      json.dumps(entry))
            return
        here = packets.Receiver(me.rank, me.id, int(first, 16))
        plan = plan_packets(rng, keyring, policy, here)
        plan += plan_checks(rng, keyring, policy)
        out, _ = process.communicate(
            "".join(line + "\n" for _, line, _ in plan), timeout=60)
    answers = out.splitlines()
    if len(answers) != len(plan):
        total.add("receiver runs", False, f"{len(answers)} answers",
                  json.dumps(entry))
        return
    for (kind, line, want), answer in zip(plan, answers):
        good = (answer.startswith("drop ") if want is None
                else answer == "ok " + want.hex())
        total.add(kind, good, f"{answer[:100]}, but the oracle says "
                  f"{want and want.hex()}", line, json.dumps(entry))
