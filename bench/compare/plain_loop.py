#!/usr/bin/env python3
"""Files to float tensors by `ringfeed load`, against a plain loop of libjpeg-turbo over the files.

    python bench/compare/plain_loop.py BUILD photos/train

(BUILD was made with -Dbenchmarks=true -Dbuildtype=release; the set: bench/make_photos.sh photos.)
The loop opens, reads and decodes each file whole and does nothing with the pixels; ringfeed makes
training batches of normalised crops. Same files, in memory; a repeat is the loop, then ringfeed,
on one core with one decode thread, and on two cores with two against two such loops. The first
pass of either is not counted. Images per CPU second, and per second where the machine was quiet.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
from pathlib import Path

from train_pipeline import cpu_model


def plain_loop(build, root, passes, cores):
    """(images, seconds, CPU seconds) of a loop on each core."""
    program = [str(build / "bench" / "bench_plain_loop"), "decode", str(root), str(passes)]
    loops = [
        subprocess.Popen(
            ["taskset", "-c", str(core), *program, str(part), str(len(cores))],
            stdout=subprocess.PIPE,
            text=True,
        )
        for part, core in enumerate(cores)
    ]
    printed = [loop.communicate()[0].split() for loop in loops]
    if any(loop.returncode != 0 for loop in loops):
        raise SystemExit(f"failed: {' '.join(program)}")
    images, seconds, cpu = zip(*printed, strict=True)
    return sum(map(int, images)), max(map(float, seconds)), sum(map(float, cpu))


def load(build, root, epochs, cores):
    command = [
        "taskset", "-c", ",".join(map(str, cores)),
        str(build / "cli" / "ringfeed"), "load", str(root), "--epochs", str(epochs),
        "--workers", str(len(cores)), "--batch-size", "64", "--no-checksum", "--json",
    ]  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"failed ({done.returncode}): {' '.join(command)}")
    told = json.loads(done.stdout)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return told["images"], told["seconds"], cpu


def ringfeed(build, root, passes, cores):
    """The same of ringfeed, as the difference of two runs."""
    few, many = (load(build, root, n, cores) for n in (1, 1 + passes))
    return [b - a for a, b in zip(few, many, strict=True)]


def show(name, values, unit=""):
    middle, least, most = statistics.median(values), min(values), max(values)
    digits = 2 if unit == " x" else 0
    print(f"  {name:34}{middle:8.{digits}f}{unit} [{least:.{digits}f} to {most:.{digits}f}]")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("root", type=Path)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--passes", type=int, default=4)
    arguments = parser.parse_args()
    mine = sorted(os.sched_getaffinity(0))
    print(f"{cpu_model()}, load {os.getloadavg()[0]:.2f}")
    for cores in (mine[-1:], mine[-2:]):
        sides = {"plain loop": [], "ringfeed": []}
        for _ in range(arguments.repeats):
            for name, run in zip(sides, (plain_loop, ringfeed), strict=True):
                sides[name].append(run(arguments.build, arguments.root, arguments.passes, cores))
        print(f"on {len(cores)} core{'s' if len(cores) > 1 else ''}")
        for unit, at in (("images per CPU second", 2), ("images per second", 1)):
            rates = {name: [run[0] / run[at] for run in runs] for name, runs in sides.items()}
            for name, values in rates.items():
                show(f"{name}, {unit}", values)
            ours, theirs = rates["ringfeed"], rates["plain loop"]
            show("ratio", [a / b for a, b in zip(ours, theirs, strict=True)], " x")


if __name__ == "__main__":
    main()
