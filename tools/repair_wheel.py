#!/usr/bin/env python3
"""Turns the wheel that pip built into one that carries its libraries (tools/wheel.sh calls this).

    python tools/repair_wheel.py build/dist/ringfeed-*.whl dist

auditwheel copies the libraries in and points the module at them. Three things it leaves open:

- The command. From a folder of scripts no relative path leads to the libraries, so the program
  moves into the package and a script that executes it takes its place. (auditwheel's own script
  asks sysconfig where packages are, which is wrong after pip's --user and --target.)
- zlib. auditwheel's policy counts on the system for it; here it is carried like the others.
- Licences. The texts of everything carried, linked or compiled in come from the Debian packages and
  Python distributions that it was taken from: a release is made on Debian.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import auditwheel.main
from auditwheel.policy import WheelPolicies
from auditwheel.wheeltools import InWheelCtx

# What every Linux that can run torch's wheels has.
SYSTEM = re.compile(r"(libc|libm|libgcc_s|libstdc\+\+|ld-linux-[\w-]+)\.so\.\d+")
PLATFORM = f"manylinux_2_34_{platform.machine()}"
# Compiled in from headers alone.
HEADER_PACKAGES = ("libcli11-dev", "libexpected-dev", "librandom123-dev", "nlohmann-json3-dev")

COMMAND = """\
#!python
import importlib.util
import os
import sys

# The package is found without being imported: that would import torch.
package = os.path.dirname(importlib.util.find_spec("ringfeed").origin)
os.execv(os.path.join(package, "bin", "ringfeed"), sys.argv)
"""


def elf_files(tree):
    for path in sorted(tree.rglob("*")):
        if path.is_file() and path.open("rb").read(4) == b"\x7fELF":
            yield path


def needed(path):
    """{name: file or None} of the libraries that `path` needs, theirs included."""
    text = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^\s*(\S+) => (not found|\S+)", text, re.M)
    return {name: None if file == "not found" else Path(file) for name, file in found}


def debian_package(library):
    """The package that a shared library came from."""
    real = library.resolve()
    for name in (
        real,
        Path("/", real.relative_to("/usr")) if real.is_relative_to("/usr") else real,
    ):
        found = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    raise SystemExit(f"repair_wheel: no Debian package owns {library}, so its licence is not known")


def nanobind_licences():
    """Its own and that of the hash map it includes, which stands in the header."""
    files = importlib.metadata.files("nanobind") or []
    own = next(file.read_text() for file in files if file.name == "LICENSE")
    header = next(file.read_text() for file in files if file.name == "robin_map.h")
    return {"nanobind": own, "robin-map": header.partition("*/")[0].lstrip("/*\n")}


def licences(tree):
    """{name: text} of all that must go along."""
    libraries = {
        file
        for path in elf_files(tree)
        for name, file in needed(path).items()
        if file and not SYSTEM.fullmatch(name)
    }
    packages = {*map(debian_package, libraries), *HEADER_PACKAGES}
    texts = {name: Path("/usr/share/doc", name, "copyright").read_text() for name in packages}
    return {**texts, **nanobind_licences()}


def add_licences(tree):
    info = next(tree.glob("*.dist-info"))
    folder = info / "licenses" / "third_party"
    folder.mkdir(parents=True)
    fields = ""
    for name, text in sorted(licences(tree).items()):
        (folder / name).write_text(text)
        fields += f"\nLicense-File: third_party/{name}"
    metadata = info / "METADATA"
    head, blank, body = metadata.read_text().partition("\n\n")
    metadata.write_text(head + fields + blank + body)


def move_command(tree):
    script = next(tree.glob("*.data/scripts/ringfeed"))
    program = tree / "ringfeed" / "bin" / "ringfeed"
    program.parent.mkdir()
    shutil.move(script, program)
    script.write_text(COMMAND)
    script.chmod(0o755)


def repair(wheel, out):
    original = WheelPolicies.__init__

    def carry_zlib(self, **options):
        original(self, **options)
        self._policies = [
            dataclasses.replace(policy, whitelist=policy.whitelist - {"libz.so.1"})
            for policy in self._policies
        ]

    arguments = ["auditwheel", "repair", "--plat", PLATFORM, "--strip", "-w", str(out), str(wheel)]
    with (
        mock.patch.object(WheelPolicies, "__init__", carry_zlib),
        mock.patch.object(sys, "argv", arguments),
    ):
        if auditwheel.main.main():
            raise SystemExit("repair_wheel: auditwheel failed")


def check(wheel):
    """Nothing but glibc and GCC's libraries may be left to the system."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch).resolve()
        shutil.unpack_archive(wheel, tree, "zip")
        programs = list(elf_files(tree))
        for path in programs:
            for name, file in needed(path).items():
                if not SYSTEM.fullmatch(name) and not (
                    file and file.resolve().is_relative_to(tree)
                ):
                    raise SystemExit(f"repair_wheel: {path.relative_to(tree)} still needs {name}")
        if not list(tree.glob("ringfeed/_ringfeed*.so")):
            raise SystemExit("repair_wheel: the wheel lacks the module")
        carried = [path.name for path in programs if path.parent.name == "ringfeed.libs"]
    print(f"{wheel}: {wheel.stat().st_size / 1e6:.1f} MB, carries {', '.join(carried)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path, help="folder; a wheel of ringfeed there is replaced")
    args = parser.parse_args()

    args.out.mkdir(parents=True, exist_ok=True)
    for old in args.out.glob("ringfeed-*.whl"):
        old.unlink()
    with tempfile.TemporaryDirectory() as scratch:
        complete = Path(scratch) / args.wheel.name
        with InWheelCtx(args.wheel, complete) as wheel:
            move_command(wheel.path)
            add_licences(wheel.path)
        repair(complete, args.out)
    check(next(args.out.glob("ringfeed-*.whl")))


if __name__ == "__main__":
    main()
