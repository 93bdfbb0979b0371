# SPDX-License-Identifier: BSD-3-Clause
"""Writes the seed corpora of the fuzz targets, from tests/vectors.

    seeds.py TESTS KEYRING OUT

KEYRING is the one that the captures are sealed under (tests/fuzz/ring.jwks).
"""
import json
import os
import subprocess
import sys


def change(kind, place, value):
    return bytes([kind, place >> 8, place & 255, value])


def main(tests, keyring, out):
    def put(target, name, data):
        os.makedirs(f"{out}/{target}", exist_ok=True)
        with open(f"{out}/{target}/{name}", "wb") as f:
            f.write(data.encode() if isinstance(data, str) else data)

    eesp = f"{tests}/vectors/eesp/"
    packets = [v for v in json.load(
        open(eesp + "native_profile_sl1_more.json"))["vectors"]
        if len(v["packet"]) < 600]
    for v in packets:
        put("header", v["name"], bytes.fromhex(v["packet"]))
        put("open", "raw-" + v["name"], b"\xff" + bytes.fromhex(v["packet"]))
    for policy in range(40):
        for offset in (0, 3):
            put("open", f"sealed-{policy}-{offset}",
                bytes([policy, 8 * policy & 255, offset]))
        put("open", f"changed-{policy}", bytes([policy, 33, 0]) +
            change(4, 4 + policy, 1 << policy % 8) + change(3, policy, 1))
    put("hex", "all", "4# all\n" + "".join(
        v["packet"] + "\n" for v in packets))
    put("hex", "json", "0" + packets[0]["packet"])
    put("hex", "bad", "4zz\n123\n# nothing\n 80 14")

    psp = json.load(open(f"{tests}/vectors/psp/psp_vectors.json"))
    psp = [p["psp"] for p in psp["packets_reference"] if len(p["psp"]) < 600]
    for i, p in enumerate(psp[:8]):
        put("psp", f"raw-{i}", b"\x80" + bytes.fromhex(p))
        put("hex", f"psp-{i}", "1" + p)
    for first in range(8):
        for offset in (0, 1, 2, 6):
            put("psp", f"sealed-{first}-{offset}", bytes([first, 40, offset]))
        put("psp", f"changed-{first}", bytes([first, 40, 2]) +
            change(4, 3, 2) + change(3, 0, 1))

    tss = json.load(open(f"{tests}/vectors/tss/tss_vectors.json"))
    for i, p in enumerate(tss["packets_computed"]):
        p = p["tss_header"] + p["ciphertext_and_icv"]
        put("tss", f"raw-{i}", b"\x80" + bytes.fromhex(p))
        put("hex", f"tss-{i}", "5" + p)
    for mode in range(9):
        put("tss", f"sealed-{mode}", bytes([mode, 40, 5 if mode < 3 else 0]))
        put("tss", f"changed-{mode}", bytes([mode, 40, 2 if mode < 3 else 0]) +
            change(4, 3, 2) + change(3, 0, 1))

    put("keyring", "others", json.dumps(
        {"eesp_version": 1, "keys": [
            {"kty": "oct", "kid": "n", "k": 43 * "A", "eesp_level": "psp",
             "eesp_master": 1},
            {"kty": "oct", "kid": "s", "k": 43 * "A", "eesp_level": "tss",
             "eesp_an": 0}],
         "eesp_policies": [
             {"name": "p", "profile": "psp", "master": "n"},
             {"name": "t", "profile": "tss", "key": "s", "sdi": 5,
              "mode": "cluster", "epoch": 3, "epoch_age": 1,
              "rekey_mask": 255, "rekey_shift": 4}]}))
    put("keyring", "granted", json.dumps(
        {"eesp_version": 1, "keys": [
            {"kty": "oct", "kid": "g", "k": 43 * "A", "eesp_level": "master",
             "eesp_spi": 5, "eesp_kdf": "cmac-aes256", "eesp_aead": aead,
             "eesp_generations": {"job": 1}, "eesp_state": "current"}
            for aead in ("aes-256-gcm", "chacha20-poly1305")],
         "eesp_policies": [
             {"spi": 5, "name": "p", "profile": "sl1", "kdf": "cmac-aes256",
              "aead": "aes-256-gcm", "levels": {"job": "j"}, "receive": [
                  {"kdf": "cmac-aes256", "aead": "chacha20-poly1305"}],
              "selectors": ["ranks"]}]}))
    ring = json.load(open(keyring))
    put("keyring", "keygen", json.dumps(ring, indent=1))
    ring = json.load(open(eesp + "keyring.json"))
    for policy in ring["eesp_policies"][::4]:
        keys = [k for k in ring["keys"]
                if policy["levels"].get(k["eesp_level"]) == k["kid"]]
        put("keyring", policy["name"], json.dumps(
            {"eesp_version": 1, "keys": keys, "eesp_policies": [policy]}))

    for scene in ("plain", "six", "udp_pairs", "hard", "gap", "snap", "other"):
        path = f"{out}/scene"
        subprocess.run([sys.executable, f"{tests}/cmd/capture.py", scene,
                        keyring, path], check=True, stdout=subprocess.DEVNULL)
        with open(path, "rb") as f:
            data = f.read()
        os.unlink(path)
        if len(data) < 24000:
            put("pcap", scene, b"4" + data)
    for i, line in enumerate([
            "--help", "--version", "help\nkeygen", "show", "show\nring",
            "show\n--json\nring", "selftest", "selftest\n--json",
            "keygen\n--levels\ndomain,job\n--out\nnew",
            "keygen\n--levels\ndomain,tenant,job,task\n--lifetime\n30d\n--out\nnew",
            "decode\n--json", "decode\n--keyring\nring\n--rank\n7",
            "decode\n--psp\n--pcap\nring", "decode\n--limit\n1\n--id\nff",
            "rotate\n--help", "rotate\nstage\nring\n--level\ndomain",
            "rotate\n--keyring\nring\n--stage", "rotate\n--keyring\nring",
            "grant\n--keyring\nring\n--policy\nranks\n--out\nnew",
            "encode\n--keyring\nring\n--policy\nranks\n--rank\n1",
            "decode\n--tss", "grant\n--client\n7"]):
        put("command", f"line-{i}", line)


if __name__ == "__main__":
    main(*sys.argv[1:])
