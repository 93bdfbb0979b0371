#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""initramfs.py PACKAGE INIT OUT: what a guest boots, from an unpacked kernel package.

OUT/vmlinux is the kernel as an ELF file, which qemu enters directly: nothing is
unpacked in the slow guest. OUT/initramfs holds INIT and the modules of WANTED
with all they need, as their .modinfo tells.
"""
import lzma
import pathlib
import re
import sys

# crc32_generic is asked for by rdma_rxe only when a link is added, the ciphers
# when a state is: no dependency tells. The last are for tests/see/nic.sh.
WANTED = """virtio_pci 9p 9pnet_virtio overlay virtio_net veth crc32_generic
            rdma_rxe ib_uverbs rdma_ucm
            dummy macsec xfrm_user esp4 gcm ctr ghash_generic seqiv drbg
            sha512_generic""".split()

XZ_MAGIC = b"\xfd7zXZ\0"


def vmlinux(vmlinuz):
    data = vmlinuz.read_bytes()
    return lzma.LZMADecompressor().decompress(data[data.index(XZ_MAGIC):])


def modules_in_order(tree):
    files = {f.stem.replace("-", "_"): f for f in tree.rglob("*.ko")}
    order = []

    def visit(name):
        if name in order:
            return
        if name not in files:  # built into the kernel, but for those wanted
            if name in WANTED:
                sys.exit(f"initramfs.py: no module {name} under {tree}")
            return
        found = re.search(rb"\0depends=([^\0]*)\0", files[name].read_bytes())
        for needed in found.group(1).decode().split(",") if found else []:
            if needed:
                visit(needed.replace("-", "_"))
        order.append(name)

    for name in WANTED:
        visit(name)
    return [files[name] for name in order]


def cpio(entries):
    """An archive in cpio's newc format of (name, mode, data)."""
    out = bytearray()
    for inode, (name, mode, data) in enumerate(entries, 1):
        path = name.encode() + b"\0"
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        out += b"070701" + "".join(f"{field:08X}" for field in fields).encode()
        out += path + bytes(-(len(out) + len(path)) % 4)
        out += data + bytes(-len(data) % 4)
    return bytes(out)


def main():
    package, init, out = (pathlib.Path(a) for a in sys.argv[1:])
    modules = modules_in_order(package / "lib/modules")
    order = "".join(f"/modules/{m.name}\n" for m in modules)
    entries = [("modules", 0o40755, b""), ("init", 0o100755, init.read_bytes()),
               ("modules/order", 0o100644, order.encode())]
    entries += [(f"modules/{m.name}", 0o100644, m.read_bytes()) for m in modules]
    entries.append(("TRAILER!!!", 0, b""))
    (kernel,) = (package / "boot").glob("vmlinuz-*")
    (out / "vmlinux").write_bytes(vmlinux(kernel))
    (out / "initramfs").write_bytes(cpio(entries))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main()
