# SPDX-License-Identifier: BSD-3-Clause
"""Writes capture files of an imagined job, for the tests of eesp decode.

    capture.py SCENE KEYRING OUT [LINK]

The keyring is one of eesp keygen with the job level. Standard output gets the
payloads that must come out, in hexadecimal, one a line.
"""
import random
import socket
import struct
import sys

from seal import Ring

MAGIC = struct.pack("<Q", 0xCAFEBABE12345678)  # of UCX's tcp
SYN, ACK, FIN = 0x02, 0x10, 0x01
LINKS = {"ether": 1, "vlan": 1, "null": 0, "loop": 108, "raw": 101,
         "sll": 113, "sll2": 276, "unknown": 147}


# ---- Packets ----------------------------------------------------------------

def udp(data, ports):
    return 17, struct.pack(">HHHH", *ports, 8 + len(data), 0) + data


def tcp(data, ports, seq, ack, flags):
    return 6, struct.pack(">HHIIBBHHH", *ports, seq & 0xffffffff,
                          ack & 0xffffffff, 5 << 4, flags, 65535, 0, 0) + data


def ip(body, addresses):
    proto, data = body
    ends = [socket.inet_pton(socket.AF_INET6 if ":" in a else socket.AF_INET, a)
            for a in addresses]
    if len(ends[0]) == 16:  # with a destination options header between
        options = bytes([proto, 0, 1, 4, 0, 0, 0, 0])
        return (struct.pack(">IHBB", 6 << 28, len(options + data), 60, 64) +
                ends[0] + ends[1] + options + data)
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(data), 1, 0x4000, 64,
                       proto, 0) + ends[0] + ends[1] + data


class Capture:
    def __init__(self, path, link):
        self.link = link
        self.file = open(path, "wb")
        self.file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144,
                                    LINKS[link]))
        self.clock = 1790000000

    def add(self, packet, snap=None):
        six = packet[0] >> 4 == 6
        kind = struct.pack(">H", 0x86dd if six else 0x0800)
        head = {"ether": bytes(12) + kind,
                "vlan": bytes(12) + b"\x88\xa8\0\1\x81\0\0\2" + kind,
                "null": struct.pack("<I", 10 if six else 2),
                "loop": struct.pack(">I", 10 if six else 2),
                "sll": bytes(14) + kind, "sll2": kind + bytes(18),
                "raw": b"", "unknown": b""}[self.link]
        frame = head + packet
        if len(frame) < 60 and self.link in ("ether", "vlan"):
            frame += bytes(60 - len(frame))  # as Ethernet pads
        self.clock += 1
        kept = frame[:snap]
        self.file.write(struct.pack("<IIII", self.clock, 123456, len(kept),
                                    len(frame)) + kept)


class Connection:
    """Two directions; data goes out as segments that a scene may shuffle."""

    def __init__(self, capture, client, server, start=(0xfffffff0, 7777)):
        self.capture = capture
        self.ends = [client, server]
        self.next = list(start)

    def segment(self, side, data, flags=ACK):
        a, b = self.ends[side], self.ends[1 - side]
        body = tcp(data, (a[1], b[1]), self.next[side], self.next[1 - side], flags)
        self.next[side] += len(data) + (1 if flags & (SYN | FIN) else 0)
        return ip(body, (a[0], b[0]))

    def send(self, side, data, flags=ACK):
        self.capture.add(self.segment(side, data, flags))

    def open(self):
        self.send(0, b"", SYN)
        self.send(1, b"", SYN | ACK)
        self.send(0, b"")


# ---- UCX -----------------------------------------------------------------------

def frame(am_id, data):
    return struct.pack("<BI", am_id, len(data)) + data


def request():
    return frame(32, struct.pack("<IBQ", 1, 0, 5) + bytes(16))


FLUSH = frame(33, struct.pack("<QQI", 0, 0, 1))
FLUSHED = frame(34, struct.pack("<I", 1))
KEEPALIVE = frame(35, b"")
ACCEPTED = frame(32, struct.pack("<I", 2))
GOODBYE = frame(32, struct.pack("<I", 4))


class Job:
    """Rank 0 and rank 65537, whose low 16 bits alone are another rank."""

    RANKS = [0, 65537]
    INCARNATIONS = [0xa1a2a3a4a5a6a7a8, 0x8182838485868788]

    def __init__(self, ring):
        self.ring = ring
        self.sequence = [0, 0]
        self.expected = []

    def packet(self, side, length=40, lost=False):
        self.sequence[side] += 1
        am_id = 3 + side
        payload = bytes([am_id]) + bytes(7) + random.randbytes(length)
        if not lost:
            self.expected.append(payload)
        return self.ring.seal(
            "ranks", source_rank=self.RANKS[side],
            destination_rank=self.RANKS[1 - side],
            incarnation=self.INCARNATIONS[side],
            bound_to=self.INCARNATIONS[1 - side],
            sequence=self.sequence[side], session_id=side + 1, payload=payload)

    def frame(self, side, length=40, lost=False):
        return frame(3 + side, self.packet(side, length, lost))

    def pair(self, side):
        """Policy "pairs", as another program over UDP."""
        self.sequence[side] += 1
        ids = [0x1111111111111111, 0x2222222222222222]
        payload = random.randbytes(9 + side)
        self.expected.append(payload)
        return self.ring.seal(
            "pairs", source_id=ids[side], destination_id=ids[1 - side],
            incarnation=0x70 + side, bound_to=0x71 - side,
            sequence=self.sequence[side], payload=payload)


def opened(capture, addresses=("10.0.0.1", "10.0.0.2")):
    connection = Connection(capture, (addresses[0], 40001), (addresses[1], 50001))
    connection.open()
    connection.send(0, MAGIC + request())
    connection.send(1, ACCEPTED)
    return connection


def roce(capture, side, opcode, qp, psn, data):
    """A RoCEv2 datagram: BTH, data padded to words, ICRC."""
    pad = -len(data) % 4
    bth = struct.pack(">BBHII", opcode, pad << 4, 0xffff, qp, psn)
    ends = ("10.0.0.1", "10.0.0.2")
    capture.add(ip(udp(bth + data + bytes(pad) + b"icrc", (49152, 4791)),
                   (ends[side], ends[1 - side])))


def ud(kind, data):
    """DETH and the header of UCX's ud."""
    return struct.pack(">II", 0x11111111, 0x15) + struct.pack("<IHH", kind, 1, 0) + data


# ---- Scenes ----------------------------------------------------------------------

def plain(capture, job):
    """A frame a segment."""
    connection = opened(capture)
    for _ in range(3):
        connection.send(0, job.frame(0))
        connection.send(1, job.frame(1))


def six(capture, job):
    connection = opened(capture, ("fd00::1", "fd00::2"))
    connection.send(0, job.frame(0))
    connection.send(1, job.frame(1))


def udp_pairs(capture, job):
    for side in (0, 1, 0):
        ends = [("10.0.0.1", 4000), ("10.0.0.2", 4001)]
        a, b = ends[side], ends[1 - side]
        capture.add(ip(udp(job.pair(side), (a[1], b[1])), (a[0], b[0])))
    capture.add(ip(udp(b"\x80 is not enough", (53, 53)), ("10.0.0.1", "10.0.0.2")))


def hard(capture, job):
    """What a network does to segments, and other connections between."""
    ssh = Connection(capture, ("10.0.0.1", 40500), ("10.0.0.2", 22), (1, 2))
    ssh.open()
    ssh.send(1, b"SSH-2.0-OpenSSH_9.2\r\n")
    connection = Connection(capture, ("10.0.0.1", 40001), ("10.0.0.2", 50001))
    connection.open()
    stream = [MAGIC + request(), b""]
    stream[0] += job.frame(0, 1000) + KEEPALIVE + job.frame(0, 0) + FLUSH
    stream[1] = ACCEPTED + job.frame(1, 700) + FLUSHED + job.frame(1)
    for _ in range(20):
        stream[0] += job.frame(0, random.randrange(200))
        stream[1] += job.frame(1, random.randrange(200))
    stream[0] += GOODBYE
    for side in (0, 1):
        segments, data = [], stream[side]
        while data:
            size = random.choice([1, 3, 7, 100, 536])
            segments.append(connection.segment(side, data[:size]))
            data = data[size:]
        ssh.send(0, b"SSH-2.0-client\r\n")
        for i in range(0, len(segments), 6):  # reorder, and send again
            group = segments[i:i + 6]
            random.shuffle(group)
            for s in group + group[:2]:
                capture.add(s)
        # From inside what was sent to inside what is new.
        connection.next[side] -= 10
        connection.send(side, stream[side][-10:] + KEEPALIVE)
        # Keepalive of TCP itself: one old byte.
        connection.next[side] -= 1
        connection.send(side, b"\0")
    connection.send(0, b"", FIN | ACK)
    # The same ports again, for a new connection.
    again = Connection(capture, ("10.0.0.1", 40001), ("10.0.0.2", 50001), (99, 4))
    again.open()
    again.send(0, MAGIC + request() + job.frame(0))
    again.send(1, ACCEPTED + job.frame(1))


def simultaneous(capture, job):
    """Data of the accepting side was captured before the magic number."""
    connection = Connection(capture, ("10.0.0.1", 40001), ("10.0.0.2", 50001))
    connection.open()
    first = connection.segment(0, MAGIC + request())
    connection.send(1, ACCEPTED + job.frame(1))
    capture.add(first)
    connection.send(0, job.frame(0))


def gap(capture, job):
    """Lost by the capture: the end of a frame and the start of the next."""
    connection = opened(capture)
    connection.send(0, job.frame(0))
    data = job.frame(0, lost=True) + job.frame(0, lost=True)
    connection.send(0, data[:30])
    connection.segment(0, data[30:150])
    connection.send(0, data[150:] + job.frame(0))
    connection.send(1, job.frame(1))
    # And wholly inside a frame: the next one is found without a search.
    data = job.frame(1, 600, lost=True)
    connection.send(1, data[:50])
    connection.segment(1, data[50:300])
    connection.send(1, data[300:] + job.frame(1))


def snap(capture, job):
    """Frames longer than the snapshot length."""
    connection = opened(capture)
    connection.send(0, job.frame(0))
    capture.add(connection.segment(0, job.frame(0, 900, lost=True)), snap=200)
    connection.send(0, job.frame(0))
    connection.send(1, job.frame(1))


def middle(capture, job):
    """The capture began after the job, in the middle of a frame."""
    connection = Connection(capture, ("10.0.0.1", 40001), ("10.0.0.2", 50001))
    connection.send(0, job.frame(0, lost=True)[60:] + job.frame(0))
    connection.send(1, KEEPALIVE + job.frame(1))
    connection.send(0, job.frame(0))


def clear(capture, job):
    """One message that nobody sealed, and a put."""
    connection = opened(capture)
    connection.send(0, job.frame(0))
    connection.send(1, job.frame(1))
    connection.send(0, frame(9, b"in the clear"))
    connection.send(1, frame(33, struct.pack("<QQI", 4096, 30, 1)) + b"p" * 30)
    connection.send(1, job.frame(1))


def unknown_spi(capture, job):
    connection = opened(capture)
    connection.send(0, job.frame(0))
    connection.send(1, job.frame(1))
    data = bytearray(job.packet(0, lost=True))
    data[4] ^= 0x40
    connection.send(0, frame(3, bytes(data)))


def damaged(capture, job):
    connection = opened(capture)
    connection.send(0, job.frame(0))
    connection.send(1, job.frame(1))
    data = bytearray(job.frame(0, lost=True))
    data[-20] ^= 0x01
    connection.send(0, bytes(data))
    connection.send(0, job.frame(0))


def other(capture, job):
    """No UCX at all."""
    web = Connection(capture, ("10.0.0.1", 40002), ("10.0.0.2", 80))
    web.open()
    web.send(0, b"GET / HTTP/1.1\r\n\r\n")
    web.send(1, b"HTTP/1.1 200 OK\r\n\r\n")
    late = Connection(capture, ("10.0.0.1", 40003), ("10.0.0.2", 80))
    for _ in range(60):
        web.send(1, bytes(40000))
        late.send(1, random.randbytes(40000))


def no_frame(capture, job):
    """UCX by its magic number, but then no frames."""
    connection = opened(capture)
    connection.send(0, b"\xff" * 100)
    connection.send(0, job.frame(0))
    connection.send(1, job.frame(1))


def over_roce(capture, job):
    """Messages of rc and ud, one of them in parts, some sent again."""
    qp, psn = 0x000017, 0xfffffe
    for side in (0, 1):
        message = b"\x20" + job.packet(side, 300)  # with a request for credits
        roce(capture, side, 0x00, qp + side, psn, message[:128])
        roce(capture, side, 0x01, qp + side, psn + 1, message[128:256])
        roce(capture, side, 0x01, qp + side, psn + 1, message[128:256])
        roce(capture, side, 0x02, qp + side, 0, message[256:])
        roce(capture, side, 0x00, qp + side, psn, message[:128])
        roce(capture, side, 0x04, qp + side, 1, b"\0" + job.packet(side, 41))
        roce(capture, 1 - side, 0x11, 0x99, 1, bytes(4))  # acknowledged
        roce(capture, side, 0x04, qp + side, 2, b"\xe0")  # credits granted
        roce(capture, side, 0x0a, qp + side, 3, bytes(16))  # a flush
        roce(capture, side, 0x64, 0x31, 0, ud(1 << 24 | 1 << 27, job.packet(side)))
        roce(capture, side, 0x64, 0x31, 1, ud(1 << 29, b"connect"))
        roce(capture, side, 0x64, 1, 1, bytes(8 + 256))  # connection manager


def roce_clear(capture, job):
    roce(capture, 0, 0x04, 0x17, 7, b"\x03" + job.packet(0))
    roce(capture, 1, 0x64, 0x31, 0, ud(1 << 24, job.packet(1)))
    roce(capture, 0, 0x04, 0x17, 8, b"\x09in the clear")
    roce(capture, 0, 0x0a, 0x17, 9, bytes(16) + b"written")
    roce(capture, 1, 0x10, 0x18, 3, bytes(4) + b"read")
    roce(capture, 0, 0x14, 0x17, 10, bytes(28))
    roce(capture, 0, 0x64, 0x31, 0, ud(1 << 24 | 5 << 27, b"datagram"))
    roce(capture, 0, 0x64, 0x31, 1, ud(1 << 28, b"put"))
    roce(capture, 0, 0x64, 0x31, 1, ud(0, b"")[:12])
    for length in range(16):  # cut short
        capture.add(ip(udp(bytes([0x64]) + bytes(length), (49152, 4791)),
                       ("10.0.0.1", "10.0.0.2")))


def roce_gap(capture, job):
    roce(capture, 0, 0x01, 0x17, 7, b"the middle of one whose start is missing")
    roce(capture, 0, 0x02, 0x17, 8, b"its end")
    message = b"\0" + job.packet(0, lost=True)
    roce(capture, 0, 0x00, 0x17, 9, message[:80])
    roce(capture, 0, 0x02, 0x17, 11, message[80:])
    roce(capture, 0, 0x04, 0x17, 12, b"\0" + job.packet(0))
    roce(capture, 1, 0x04, 0x18, 12, b"\0" + job.packet(1))


def main(scene, keyring, out, link="ether"):
    random.seed(scene)
    capture, job = Capture(out, link), Job(Ring(keyring))
    globals()[scene](capture, job)
    for payload in job.expected:
        print(payload.hex())


if __name__ == "__main__":
    main(*sys.argv[1:])
