#!/usr/bin/env python3
"""Counts the instructions that each stage takes for an image, which other work on the machine does
not change, and holds them against bench/instructions.json: 3 % more is a failure, and so is 3 %
less, until the file says so.

    instructions.py BUILD [--update]

BUILD was made with -Dbenchmarks=true. valgrind counts, and shows programs a CPU with AVX2 and no
AVX-512. The figures hold for the compiler and the libraries that stand beside them; with others
they are printed and compared with nothing.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

STAGES = ["entropy", "idct", "decode", "resize", "pack", "sample"]
IMAGES = 8  # of bench/instructions.cc
PASSES = 10  # starting a program takes some 50,000 instructions more or less
STORED = Path(__file__).parents[1] / "bench" / "instructions.json"
TOLERANCE = 0.03


def made_with(build):
    """What else the figures depend on."""
    introspect = [sys.executable, "-m", "mesonbuild.mesonmain", "introspect"]

    def ask(what):
        found = subprocess.run([*introspect, what, build], check=True, capture_output=True)
        return json.loads(found.stdout)

    compiler = ask("--compilers")["host"]["cpp"]
    options = {option["name"]: option["value"] for option in ask("--buildoptions")}
    versions = {library["name"]: library["version"] for library in ask("--dependencies")}
    return {
        "compiler": f"{compiler['id']} {compiler['version']}",
        "optimization": options["optimization"],
        "highway": versions["libhwy"],
        "libjpeg-turbo": versions["libjpeg"],
    }


def instructions(command):
    counter = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    # One way to copy, whatever the CPU's microcode does well.
    environment = {**os.environ, "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-ERMS,-FSRM"}
    run = subprocess.run(
        [*counter, *command], capture_output=True, text=True, check=True, env=environment
    )
    return int(re.search(r"I\s+refs:\s+([\d,]+)", run.stderr)[1].replace(",", ""))


def measure(program):
    """{stage: instructions an image}. The first pass, which makes tables, does not count."""
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, folder, "make"], check=True)
        for stage in STAGES:
            few, many = (instructions([program, folder, stage, str(n)]) for n in (1, 1 + PASSES))
            counts[stage] = (many - few) // (PASSES * IMAGES)
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--update", action="store_true", help="make these the figures to hold")
    arguments = parser.parse_args()
    found = {
        "made with": made_with(arguments.build),
        "instructions": measure(arguments.build / "bench" / "bench_instructions"),
    }
    if arguments.update:
        STORED.write_text(json.dumps(found, indent=2) + "\n")
    stored = json.loads(STORED.read_text())
    comparable = stored["made with"] == found["made with"]
    if not comparable:
        print(
            f"not compared: made with {found['made with']}, the figures with {stored['made with']}"
        )
    off = 0
    for stage, count in found["instructions"].items():
        ratio = count / stored["instructions"][stage]
        differs = comparable and abs(ratio - 1) > TOLERANCE
        off += differs
        print(f"{stage:8} {count:11,} {ratio:.3f}{'  differs by more than 3 %' if differs else ''}")
    if off:
        print("A change that is meant: tools/instructions.py BUILD --update, and say why.")
    return off


if __name__ == "__main__":
    sys.exit(main() != 0)
