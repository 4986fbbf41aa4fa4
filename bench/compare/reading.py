#!/usr/bin/env python3
"""What reading costs: `ringfeed bench read`, against a plain loop of open, fstat, read and close.

    python bench/compare/reading.py BUILD photos/train

(BUILD was made with -Dbenchmarks=true -Dbuildtype=release; the set: bench/make_photos.sh photos.)
CPU microseconds a file, the kernel's part and its threads' included. The files are in memory, so
there is no latency to hide and only the price of hiding it is seen. A repeat is the loop, then
each of ringfeed's readers, on one core; every side goes through the set several times.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

from plain_loop import show
from train_pipeline import cpu_model

READERS = ("ring", "pool")


def plain_loop(build, root):
    program = [str(build / "bench" / "bench_plain_loop"), "read", str(root), "1"]
    done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True)
    files, _, cpu = done.stdout.split()
    return float(cpu) / int(files) * 1e6


def ringfeed(build, root, reader):
    command = [str(build / "cli" / "ringfeed"), "bench", "read", str(root), "--json"]
    done = subprocess.run([*command, "--reader", reader], check=True, stdout=subprocess.PIPE)
    told = json.loads(done.stdout)["read"]
    if told["reader"] != reader:
        raise SystemExit(f"{reader}: {told['reader_note']}")
    return told["cpu_seconds"] / told["files"] * 1e6


def several(root, passes, folder):
    """A folder whose classes are the set's, many times over: links to its folders."""
    for number in range(passes):
        for kind in sorted(root.resolve().iterdir()):
            (Path(folder) / f"{number}-{kind.name}").symlink_to(kind)
    return Path(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("root", type=Path)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--passes", type=int, default=16)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(f"{cpu_model()}, load {os.getloadavg()[0]:.2f}; CPU microseconds a file")
    plain, ours = [], {reader: [] for reader in READERS}
    with tempfile.TemporaryDirectory() as folder:
        root = several(arguments.root, arguments.passes, folder)
        for _ in range(arguments.repeats):
            plain.append(plain_loop(arguments.build, root))
            for reader in READERS:
                ours[reader].append(ringfeed(arguments.build, root, reader))
    show("plain loop", plain)
    for reader in READERS:
        show(f"ringfeed, {reader}", ours[reader])
        show("ratio", [a / b for a, b in zip(ours[reader], plain, strict=True)], " x")


if __name__ == "__main__":
    main()
