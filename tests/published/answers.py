#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""answers.py: known answers that others have published, as lines for
published(1). NIST's CAVP sets come with Debian's python3-cryptography-vectors;
Wycheproof's are read where $WYCHEPROOF_DIR names a folder of them.

What the library does not do (nonces other than 12 bytes, tags other than 16,
keys of 192 bits, HMAC keys longer than a block) is left out. The number of
answers per set goes to standard error.
"""
import importlib.util
import json
import os
import re
import sys

ROOT = os.path.dirname(importlib.util.find_spec("cryptography_vectors").origin)


def out(*fields):
    print(*(f if f else "-" for f in fields))


def records(path):
    """Records of an .rsp file: the values in force at each empty line."""
    section, record = {}, {}
    for line in open(os.path.join(ROOT, path)):
        line = line.strip()
        if match := re.fullmatch(r"\[(\w+) *= *(.*)\]", line):
            section[match[1].lower()] = match[2]
        elif match := re.fullmatch(r'(\w+) *[=:] *"(.*)"', line): # text
            record[match[1].lower()] = match[2].encode().hex()
        elif match := re.fullmatch(r"(\w+) *[=:] *(.*)", line):
            record[match[1].lower()] = match[2]
        elif line == "FAIL":
            record["fail"] = "1"
        elif not line and record:
            yield {**section, **record}
            record = {}
    if record:
        yield {**section, **record}


def gcm():
    n = 0
    for bits in 128, 256:
        for name in "EncryptExtIV", "Decrypt":
            for r in records(f"ciphers/AES/GCM/gcm{name}{bits}.rsp"):
                if "count" not in r or len(r["iv"]) != 24 or \
                        len(r["tag"]) != 32:
                    continue
                out("aead", f"aes-{bits}-gcm", r["key"], r["iv"], r["aad"],
                    r.get("pt", ""), r["ct"], r["tag"],
                    "invalid" if "fail" in r else "valid")
                n += 1
                if bits == 256 and not r["ct"]: # and so it is a GMAC
                    out("aead", "aes-256-gmac", r["key"], r["iv"], r["aad"],
                        "", "", r["tag"],
                        "invalid" if "fail" in r else "valid")
    return n


def chacha():
    n, last = 0, {}
    for name in "boringssl", "openssl":
        for r in records(f"ciphers/ChaCha20Poly1305/{name}.txt"):
            key, nonce = r.get("key", ""), r.get("nonce", r.get("iv", ""))
            tag = r.get("tag", "")
            if len(nonce) != 24 or len(tag) != 32:
                continue
            # OpenSSL's set has one answer again, changed: must not open.
            changed = r.get("plaintext") and all(
                r[k] == last.get(k) for k in ("key", "iv", "aad", "plaintext"))
            last = r
            out("aead", "chacha20-poly1305", key, nonce,
                r.get("ad", r.get("aad", "")),
                r.get("in", r.get("plaintext", "")),
                r.get("ct", r.get("ciphertext", "")), tag,
                "invalid" if changed else "valid")
            n += 1
    return n


def hmacs():
    n = 0
    for sha, block in ("256", 64), ("384", 128), ("512", 128):
        for r in records(f"HMAC/rfc-4231-sha{sha}.txt"):
            if "md" in r and len(r["key"]) // 2 <= block:
                out("hmac", sha, r["key"], r["msg"], r["md"])
                n += 1
    return n


def kbkdf():
    n = 0
    for r in records("KDF/nist-800-108-KBKDF-CTR.txt"):
        if (r.get("prf"), r.get("ctrlocation"), r.get("rlen")) != \
                ("CMAC_AES256", "BEFORE_FIXED", "8_BITS") or "ko" not in r:
            continue
        if int(r["l"]) <= 512:
            out("kdf-cmac", r["ki"], r["fixedinputdata"], r["ko"])
            n += 1
    return n


def wycheproof(folder):
    def groups(name):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            for group in json.load(open(path))["testGroups"]:
                for t in group["tests"]:
                    yield group, t, "invalid" if t["result"] == "invalid" \
                        else "valid"
    n = 0
    for name, aeads in (
            ("aes_gcm_test.json", {128: "aes-128-gcm", 256: "aes-256-gcm"}),
            ("chacha20_poly1305_test.json", {256: "chacha20-poly1305"}),
            ("aes_gcm_siv_test.json", {256: "aes-256-gcm-siv"})):
        for g, t, result in groups(name):
            if g["keySize"] in aeads and len(t["iv"]) == 24 and \
                    len(t["tag"]) == 32:
                out("aead", aeads[g["keySize"]], t["key"], t["iv"], t["aad"],
                    t["msg"], t["ct"], t["tag"], result)
                n += 1
    for g, t, result in groups("aes_gmac_test.json"):
        if g["keySize"] == 256 and len(t["iv"]) == 24 and len(t["tag"]) == 32:
            out("aead", "aes-256-gmac", t["key"], t["iv"], t["msg"], "", "",
                t["tag"], result)
            n += 1
    for g, t, result in groups("hmac_sha256_test.json"):
        if result == "valid" and len(t["key"]) <= 128:
            out("hmac", "256", t["key"], t["msg"], t["tag"])
            n += 1
    return n


def hkdf():
    """Expand from the PRK that the set names."""
    n, info = 0, ""
    for r in records("KDF/rfc-5869-HKDF-SHA256.txt"):
        info = r.get("info", info) # stands in the record before the PRK
        if "prk" in r:
            out("expand", "256", r["prk"], info, r["okm"])
            n += 1
    return n


def main():
    sets = [("CAVP AES-GCM", gcm), ("ChaCha20-Poly1305", chacha),
            ("RFC 4231 HMAC", hmacs), ("RFC 5869 HKDF", hkdf),
            ("CAVP SP 800-108", kbkdf)]
    for name, read in sets:
        n = read()
        print(f"{name}: {n}", file=sys.stderr)
        if n == 0:
            sys.exit(f"{name}: no answer was found")
    folder = os.environ.get("WYCHEPROOF_DIR")
    if folder:
        print(f"Wycheproof: {wycheproof(folder)}", file=sys.stderr)


main()
