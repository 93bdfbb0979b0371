#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""mutants.py [PATTERN]: seeds one fault at a time into a copy of src/lib; the
unit tests must fail. A fault that no program notices, or that no longer
applies, is a failure. PATTERN chooses faults by name.

The build tree, configured, is $top_builddir. Only what a fault changes is
compiled again, with -O2; two faults at a time.
"""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from faults import FAULTS  # noqa: E402

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(os.environ.get("top_builddir", SOURCE))
CC = os.environ.get("CC", "cc")
PROGRAM_SECONDS = 60


def run(command, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False, **more)


def variables(*names):
    """Words of variables of the Makefile that configure wrote."""
    text = open(os.path.join(BUILD, "Makefile")).read()
    words = []
    for name in names:
        words += re.search(rf"^{name} = ?(.*)$", text, re.M).group(1).split()
    return words


class LinkError(Exception):
    """Not the fault's doing: must not look like a test that noticed it."""


class Tree:
    """src/lib, unit programs, and their objects."""

    def __init__(self, work):
        self.work = work
        self.libs = variables("CMOCKA_LIBS", "CRYPTO_LIBS", "JANSSON_LIBS",
                              "IPSEC_MB_LIBS")
        listed = open(f"{SOURCE}/tests/unit/Makefile.inc").read()
        # Tests of the verbs shim and the plugin are not about src/lib.
        self.programs = [p for p in re.findall(r"%D%/test_(\w+) ?\\?$",
                                               listed, re.M)
                         if os.path.exists(f"{SOURCE}/tests/unit/test_{p}.c")
                         and self.is_about_library(p)]
        self.lib = f"{work}/base"
        shutil.copytree(f"{SOURCE}/src/lib", self.lib)

    @staticmethod
    def is_about_library(program):
        """Whether all that its test includes is src/lib's or the tests' own."""
        text = open(f"{SOURCE}/tests/unit/test_{program}.c").read()
        return "/verbs_shim/" not in text and all(
            any(os.path.exists(f"{folder}/{name}") for folder in
                (f"{SOURCE}/src/lib", f"{SOURCE}/tests/unit", BUILD))
            for name in re.findall(r'^#include "([^"]+)"', text, re.M))

    def compile(self, file, lib, out):
        return run([CC, "-O2", "-std=gnu11", "-D_GNU_SOURCE", "-w",
                    f"-I{BUILD}", f"-I{lib}", f"-I{SOURCE}/tests/unit",
                    f"-I{SOURCE}/verbs_shim", "-c", file, "-o", out])

    def compile_all(self, files, lib, folder):
        for file in files:
            out = f"{folder}/{os.path.basename(file)[:-2]}.o"
            text = open(file).read()
            if "../../src/lib/" in text: # the copy's source, not the tree's
                file = f"{out[:-2]}-included.c"
                with open(file, "w") as f:
                    f.write(text.replace("../../src/lib/", f"{lib}/"))
            done = self.compile(file, lib, out)
            if done.returncode != 0:
                return done.stdout
        return None

    def sources(self, lib):
        return sorted(f for f in glob.glob(f"{lib}/*.c")
                      if not f.endswith("-included.c"))

    def archive(self, lib):
        """As the build's: a test that includes a source has it once."""
        objects = [f[:-2] + ".o" for f in self.sources(lib)]
        out = run(["ar", "crs", f"{lib}/libeesp.a", *objects])
        if out.returncode != 0:
            raise LinkError(out.stdout)
        return f"{lib}/libeesp.a"

    def users(self, header, lib):
        """Sources and tests that include a header, also by another one."""
        files = {f: set(re.findall(r'^#include "(?:.*/)?([^"/]+)"',
                                   open(f).read(), re.M))
                 for f in [*self.sources(lib), *self.tests(),
                           *glob.glob(f"{lib}/*.h"),
                           *glob.glob(f"{SOURCE}/tests/unit/*.h")]}
        names = {header}
        while True:
            more = {os.path.basename(f) for f, includes in files.items()
                    if includes & names} - names
            if not more:
                return [f for f in files if f.endswith(".c") and
                        os.path.basename(f) in names]
            names |= more

    def tests(self, name=""):
        """Tests, or those that include the source name."""
        files = [f"{SOURCE}/tests/unit/test_{p}.c" for p in self.programs]
        return [f for f in files if f'lib/{name}"' in open(f).read()] if name \
            else files

    def fails(self, program, archive, folder):
        """Whether the unit program notices; its output."""
        exe = f"{folder}/test_{program}"
        test = f"{folder}/test_{program}.o"
        if not os.path.exists(test):
            test = f"{self.lib}/test_{program}.o"
        source = open(f"{SOURCE}/tests/unit/test_{program}.c").read()
        wraps = [f"-Wl,--wrap={name}" for name in
                 re.findall(r"^WRAP\([^,]+, (\w+),", source, re.M)]
        done = run([CC, "-o", exe, test, archive, *wraps, *self.libs])
        if done.returncode != 0:
            raise LinkError(f"test_{program} does not link: {done.stdout}")
        try:
            done = run([exe], timeout=PROGRAM_SECONDS, cwd=folder,
                       env={**os.environ, "srcdir": SOURCE, "TMPDIR": folder,
                            "top_builddir": BUILD})
        except subprocess.TimeoutExpired:
            return True, "no end"
        finally:
            os.unlink(exe)
        return done.returncode not in (0, 77), done.stdout

    def start(self, pool):
        """Objects without a fault: every program must pass with them."""
        files = self.sources(self.lib) + self.tests()
        for error in pool.map(lambda f: self.compile_all([f], self.lib,
                                                         self.lib), files):
            if error:
                sys.exit(f"without a fault: {error}")
        archive = self.archive(self.lib)
        # A folder each: programs write files.
        for program, (failed, said) in zip(self.programs, pool.map(
                lambda p: self.fails(p, archive, tempfile.mkdtemp(
                    dir=self.work)), self.programs)):
            if failed:
                sys.exit(f"test_{program} fails without a fault: {said}")

    def seed(self, fault):
        """Who noticed, or (None, why not)."""
        _, name, old, new, first = fault
        folder = tempfile.mkdtemp(dir=self.work)
        try:
            lib = f"{folder}/lib"
            shutil.copytree(self.lib, lib)
            with open(f"{lib}/{name}") as f:
                text = f.read()
            if text.count(old) != 1:
                return None, (f"{name} has the text {text.count(old)} times, "
                              f"not once: mend tests/mutants/faults.py: {old}")
            with open(f"{lib}/{name}", "w") as f:
                f.write(text.replace(old, new))
            changed = [f"{lib}/{name}", *self.tests(name)]
            if name.endswith(".h"):
                changed = self.users(name, lib)
            error = self.compile_all(changed, lib, lib)
            if error:
                return None, f"does not build: {error}"
            archive = self.archive(lib)
            order = first.split()
            order += [p for p in self.programs if p not in order]
            for program in order:
                if self.fails(program, archive, lib)[0]:
                    return program, None
            return None, "no unit program notices"
        except LinkError as error:
            return None, str(error)
        finally:
            shutil.rmtree(folder)


def main(pattern=""):
    faults = [f for f in FAULTS if re.search(pattern, f[0])]
    if not os.path.exists(f"{BUILD}/Makefile") or \
            not variables("CMOCKA_LIBS"):
        print("ok - mutants # skip no cmocka, or the tree is not configured")
        print("0 passed, 0 failed, 1 skipped")
        return 77
    if "HAVE_IPSEC_MB 1" not in open(f"{BUILD}/eesp_config.h").read():
        faults = [f for f in faults if f[1] != "aead_ipsecmb.c"]
        print("### without ipsec-mb: its faults are left out")
    if not re.search(r"^bursts .* available", run(
            [os.environ.get("EESP_BIN", f"{BUILD}/src/cmd/eesp"),
             "selftest"]).stdout, re.M):
        faults = [f for f in faults if not f[0].startswith("bursts:")]
        print("### no AVX-512 on this CPU: faults of bursts are left out")
    caught = survived = 0
    with tempfile.TemporaryDirectory(prefix="eesp-mutants.") as work, \
            concurrent.futures.ThreadPoolExecutor(2) as pool:
        tree = Tree(work)
        tree.start(pool)
        for fault, (program, why) in zip(faults, pool.map(tree.seed, faults)):
            if program:
                caught += 1
                print(f"ok - {fault[0]}: test_{program}", flush=True)
            else:
                survived += 1
                print(f"not ok - {fault[0]}\n# {why}", flush=True)
    print(f"{caught} passed, {survived} failed")
    return 1 if survived or not caught else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
