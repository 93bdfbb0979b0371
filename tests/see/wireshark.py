# SPDX-License-Identifier: BSD-3-Clause
"""For wireshark.sh.

    wireshark.py pcap PACKETS OUT      hexadecimal lines, as UDP datagrams
    wireshark.py compare JSON PDML     eesp decode --json and tshark -T pdml:
                                       the same packets, with the same fields
"""
import json
import os
import re
import sys
from xml.etree import ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "cmd"))
from capture import Capture, ip, udp  # noqa: E402

SELECTORS = ["ranks", "source", "destination", "flow", "device", "vm", "task",
             "job", "ipv4", "ipv6", "tuple4", "tuple6", "tenant"]
NUMBER = re.compile("[0-9]+|0x[0-9a-f]+")
KDFS = ["cmac-aes256", "hkdf-sha256", "hkdf-sha384", "hkdf-sha512",
        "hmac-sha256"]
AEADS = ["aes-128-gcm", "aes-256-gcm", "chacha20-poly1305", "aes-256-gcm-siv",
         "aes-256-gmac"]


def pcap(packets, out):
    capture = Capture(out, "ether")
    with open(packets) as lines:
        for line in lines:
            datagram = udp(bytes.fromhex(line), (40001, 40002))
            capture.add(ip(datagram, ("10.0.0.1", "10.0.0.2")))


# ---- Both as the same dictionaries ----------------------------------------------

def by_decode(path):
    for line in open(path):
        packet = json.loads(line)
        if packet["type"] != "packet":
            continue
        header = packet["header"]
        same = {name: int(header[name], 16) if isinstance(header[name], str)
                else header[name]
                for name in ("spi", "session_id", "compact", "epoch",
                             "combination_id", "profile", "flags",
                             "phase_shift", "source_rank", "destination_rank",
                             "source_id", "destination_id", "incarnation",
                             "sequence") if name in header}
        same["header_length"] = header["length"]
        same["length"] = packet["length"]
        if not header["compact"]:
            same["kdf"] = 1 + KDFS.index(header["kdf"])
            same["aead"] = 1 + AEADS.index(header["aead"])
            same["selectors"] = sum(1 << SELECTORS.index(name) for name in
                                    header["selectors"].split(","))
        for key in packet["keys"]:
            same["generation." + key["level"]] = (
                key["generation"] % (4 if header["compact"] else 256))
        yield same


def by_tshark(path):
    # Values of bit fields are told unshifted, so what is shown is taken.
    for _, packet in ElementTree.iterparse(path):
        if packet.tag != "packet":
            continue
        for proto in packet.findall("proto[@name='eesp']"):
            same = {}
            for field in proto.iter("field"):
                name, show = field.get("name"), field.get("show")
                if name.startswith("eesp.") and NUMBER.fullmatch(show):
                    same[name[5:]] = int(show, 0)
            assert not [field for field in proto.iter("field")
                        if field.get("name") == "eesp.malformed"], same
            yield same
        packet.clear()


def compare(decoded, dissected):
    want, got = list(by_decode(decoded)), list(by_tshark(dissected))
    seen = {}
    for packet in got:
        # The first part of a message over RC comes twice if it was sent twice.
        seen[packet["incarnation"], packet["sequence"]] = packet
    for packet in want:
        other = seen.pop((packet["incarnation"], packet["sequence"]), None)
        assert other is not None, f"tshark has not: {packet}"
        other["compact"] = bool(other["compact"])
        if "flags" in packet:
            other["flags"] <<= 4 # shown as the half of a byte that they are
        for name, value in packet.items():
            if name == "length" and name not in other:
                continue # only a part was there for tshark
            assert other.get(name) == value, (name, value, other)
    assert not seen, f"eesp decode has not: {seen}"
    print(len(want))


if __name__ == "__main__":
    {"pcap": pcap, "compare": compare}[sys.argv[1]](*sys.argv[2:])
