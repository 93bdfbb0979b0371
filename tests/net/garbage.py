#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""garbage.py [--seconds S] [--seed N] [--kinds K,...] PID...

Strangers' traffic for the processes of a job: connects to every TCP port that
they listen on, over loopback only, and sends what a stranger could send.

  random  bytes without meaning
  frames  the handshake of UCX 1.13's tcp transport (src/uct/tcp/tcp_cm.c),
          then frames with random payload
  eesp    the same handshake, then frames shaped like EESP packets with the
          compact option

Lengths stay within UCX's receive segment: 1.13.1 checks them by assertions
only, so a longer one tests UCX, not what stands above it. Ends after S seconds
or with the last process; the exit status is 0 if every kind was sent.
"""
import argparse
import os
import random
import socket
import struct
import sys
import time

MAGIC = 0xCAFEBABE12345678
CM_ID = 32
CONN_REQ = 1
MAX_PAYLOAD = 4000
LISTEN = "0A"
HERE = ("0100007F", "00000000")
DEFAULT_SPI = 65537  # what `eesp keygen` gives its first policy


def listening_ports(pid):
    """TCP ports that a process listens on where 127.0.0.1 reaches them."""
    inodes = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(f"/proc/{pid}/fd/{fd}")
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        with open(f"/proc/{pid}/net/tcp") as table:
            rows = [line.split() for line in table][1:]
    except OSError:
        return []
    return [
        int(row[1].split(":")[1], 16)
        for row in rows
        if row[3] == LISTEN
        and row[9] in inodes
        and row[1].split(":")[0] in HERE
    ]


def frame(am_id, payload):
    return struct.pack("<BI", am_id, len(payload)) + payload


def handshake(rng):
    """Magic number and connection request, from where nobody listens."""
    address = struct.pack("=H", socket.AF_INET)
    address += struct.pack("!H4s8x", 1, bytes([127, 0, 0, 1]))
    serial = rng.randrange(1 << 20, 1 << 40)
    request = struct.pack("<IBQ", CONN_REQ, 0, serial) + address
    return struct.pack("<Q", MAGIC) + frame(CM_ID, request)


def random_bytes(rng):
    return rng.randbytes(rng.randrange(1, 3 * MAX_PAYLOAD))


def random_frames(rng):
    # All ids a transport can register, and keepalive (35), which tcp takes.
    ids = list(range(32)) + [35]
    return handshake(rng) + b"".join(
        frame(rng.choice(ids), rng.randbytes(rng.randrange(MAX_PAYLOAD)))
        for _ in range(rng.randrange(1, 9))
    )


def eesp_packet(rng):
    """Headers that may be right, each field by itself, and noise behind."""
    spi = rng.choice([DEFAULT_SPI, rng.randrange(1 << 32)])
    base = struct.pack("!BBHI", 0x80, 20, rng.randrange(4), spi)
    option = struct.pack(
        "!BBBBHHI8s",
        0xE1,
        0x12,
        rng.choice([1, rng.randrange(256)]),
        rng.choice([0x11, rng.randrange(256)]),
        rng.randrange(3),
        rng.randrange(4),
        rng.randrange(4),
        rng.randbytes(8),
    )
    number = rng.choice([1, rng.randrange(1 << 20), (1 << 64) - 1])
    noise = rng.randbytes(rng.randrange(MAX_PAYLOAD))
    return base + option + struct.pack("!Q", number) + noise


def eesp_frames(rng):
    frames = []
    for _ in range(rng.randrange(1, 9)):
        packet = eesp_packet(rng)
        # Every other one cut anywhere, also inside the headers.
        if rng.randrange(2):
            packet = packet[: rng.randrange(len(packet))]
        frames.append(frame(rng.randrange(32), packet))
    return handshake(rng) + b"".join(frames)


KINDS = {"random": random_bytes, "frames": random_frames, "eesp": eesp_frames}


def attack(port, data, linger):
    """One connection; True if the peer took data before it hung up."""
    with socket.socket() as s:
        s.settimeout(1)
        try:
            s.connect(("127.0.0.1", port))
            sent = s.send(data)
            s.settimeout(linger)
            s.recv(4096)
        except TimeoutError:
            pass
        except OSError:
            return False
        # An abrupt end half of the time: reset instead of an orderly close.
        if len(data) % 2:
            reset = struct.pack("ii", 1, 0)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    return sent > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("pids", type=int, nargs="+", metavar="PID")
    args = parser.parse_args()
    kinds = args.kinds.split(",")
    rng = random.Random(args.seed)
    end = time.monotonic() + args.seconds
    count = {kind: [0, 0] for kind in kinds}
    while time.monotonic() < end:
        pids = [pid for pid in args.pids if os.path.exists(f"/proc/{pid}")]
        if not pids:
            break
        ports = sorted({port for pid in pids for port in listening_ports(pid)})
        for port in ports:
            for kind in kinds:
                data = KINDS[kind](rng)
                if attack(port, data, 0.005):
                    count[kind][0] += 1
                    count[kind][1] += len(data)
        time.sleep(0.01)
    for kind, (connections, sent) in count.items():
        print(f"garbage: {kind}: {connections} connections, {sent} bytes")
    return 0 if all(n for n, _ in count.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
