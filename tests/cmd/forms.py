# SPDX-License-Identifier: BSD-3-Clause
"""forms.py KEYRING: a keyring with policies of every form that a packet can have."""
import base64, json, os, sys
def key(level, fill, **more):
    return dict({"kty": "oct", "kid": level + "-t", "eesp_level": level, "eesp_generation": 1, "eesp_state": "current",
                 "k": base64.urlsafe_b64encode(bytes([fill]) * 32).decode().rstrip("=")}, **more)
spi = 0x20000
def policy(name, **more):
    global spi
    spi += 1
    return dict({"spi": spi, "name": name, "profile": "sl1", "kdf": "cmac-aes256", "aead": "aes-256-gcm",
                 "levels": {"domain": "domain-t", "job": "job-t"}, "selectors": ["ranks"], "epoch": 3,
                 "replay": "off", "bind_destination": False}, **more)
policies = [
    policy("compact", compact_id=9), policy("full"), policy("bound", bind_destination=True, replay="strict", compact_id=1),
    policy("pairs", selectors=["source", "destination"], kdf="hkdf-sha256", aead="aes-128-gcm"),
    policy("ids", selectors=["source", "flow", "device", "vm", "task", "job", "tenant"], bind_destination=True,
           kdf="hkdf-sha384", aead="chacha20-poly1305"),
    policy("ipv4", selectors=["ipv4"], kdf="hkdf-sha512"), policy("ipv6", selectors=["ipv6"], kdf="hmac-sha256"),
    policy("tuple4", selectors=["tuple4"]), policy("tuple6", selectors=["tuple6"]),
    policy("gmac", aead="aes-256-gmac", confidentiality=False), policy("commit", kdf="hkdf-sha256", commit=True),
    policy("client", selectors=["source", "destination"], client="source"),
    policy("readable", crypt_offset_max=6), policy("small", max_payload=64),
    policy("pool", partitioned=True, phase_shift=20, partitions=4),
    policy("expired", levels={"domain": "domain-t", "task": "task-t"}),
]
json.dump({"keys": [key("domain", 1), key("job", 2), key("task", 3, exp=1000)], "eesp_version": 1,
           "eesp_policies": policies}, os.fdopen(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600), "w"))
