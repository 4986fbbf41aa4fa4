#!/usr/bin/env python3
"""CPU time of loops that take few batches from a loader, against DataLoader without workers.

    .venv/bin/python bench/compare/short_loops.py photos/train

What scripts do besides epochs: `next(iter(loader))` again and again, as a meta-learner or a
sanity check; a round over many loaders of a few images each, as with tasks or clients; several
loaders alive at once, each asked in turn. Each loop is one process a side and repeat; the sides
take turns. CPU time is that of the whole process, so that what a loader's threads do counts,
wanted or not. Files are in memory. Half way its threads, descriptors and resident
memory are noted; what is more at the end is growth. Only the second half is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from data_loader import cpu_model

AT_MOST = 1.3
GROWTH_MB = 16


def one_loader(make):
    """next(iter()) of one loader."""
    loader = make(None)

    def step(i):
        next(iter(loader))

    return step, 100


def many_small(make):
    """A round over 100 loaders of 16 images each, a batch from each."""
    loaders = [make(range(i, i + 16)) for i in range(100)]

    def step(i):
        next(iter(loaders[i % len(loaders)]))

    return step, 400


def several_alive(make):
    """20 loaders of 64 images alive: each its next batch, in turn; one that ends begins again."""
    loaders = [make(range(i, i + 64)) for i in range(20)]
    running = [iter(loader) for loader in loaders]

    def step(i):
        at = i % len(loaders)
        try:
            next(running[at])
        except StopIteration:
            running[at] = iter(loaders[at])
            next(running[at])

    return step, 400


LOOPS = {"one loader": one_loader, "100 small": many_small, "20 alive": several_alive}


def held():
    status = Path("/proc/self/status").read_text()
    return {
        "threads": len(os.listdir("/proc/self/task")),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "resident_mb": int(status.split("VmRSS:")[1].split()[0]) / 1024,
    }


def run_loop(args):
    """In a process of its own: CPU ms a batch, and growth."""
    import torch
    import torchvision.transforms as transforms
    from torchvision.datasets import ImageFolder

    torch.set_num_threads(1)
    recipe = transforms.Compose(
        [
            transforms.RandomResizedCrop(224),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    dataset = ImageFolder(args.root, recipe)
    if args.side == "ringfeed":
        import ringfeed

        kind, options = ringfeed.DataLoader, {"reader": args.reader} if args.reader else {}
    else:
        kind, options = torch.utils.data.DataLoader, {}

    def make(indices):
        part = dataset if indices is None else torch.utils.data.Subset(dataset, list(indices))
        return kind(part, batch_size=args.batch_size, shuffle=True, num_workers=0, **options)

    step, steps = LOOPS[args.loop](make)
    half = steps // 2
    for i in range(half):
        step(i)
    before, began = held(), time.process_time()
    for i in range(half, steps):
        step(i)
    cpu = (time.process_time() - began) * 1000 / (steps - half)
    after = held()
    print(json.dumps({"cpu_ms": cpu, **{name: after[name] - before[name] for name in before}}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("root", type=Path, help="folder of class folders")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--reader", default=None, choices=["ring", "pool"])
    parser.add_argument("--check", action="store_true", help="exit 1 above the targets")
    parser.add_argument("--loop", choices=LOOPS, help=argparse.SUPPRESS)
    parser.add_argument("--side", choices=["ringfeed", "torch"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.loop:
        return run_loop(args)

    found = {(loop, side): [] for loop in LOOPS for side in ("torch", "ringfeed")}
    for _ in range(args.repeats):
        for (loop, side), results in found.items():
            command = [sys.executable, __file__, str(args.root), "--loop", loop, "--side", side]
            command += ["--batch-size", str(args.batch_size)]
            if args.reader:
                command += ["--reader", args.reader]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            results.append(json.loads(output))
    print(
        f"{cpu_model()}, {len(os.sched_getaffinity(0))} cores; batch {args.batch_size}, medians of "
        f"{args.repeats} [least to most]; CPU ms a batch, torch without workers"
    )
    good = True
    for loop in LOOPS:
        ours, torchs = found[loop, "ringfeed"], found[loop, "torch"]
        ratios = [a["cpu_ms"] / b["cpu_ms"] for a, b in zip(ours, torchs, strict=True)]
        ratio = statistics.median(ratios)
        growth = {name: max(run[name] for run in ours) for name in held()}
        good &= ratio <= AT_MOST and growth["threads"] <= 0 and growth["descriptors"] <= 0
        good &= growth["resident_mb"] <= GROWTH_MB
        print(
            f"{loop:12}{statistics.median(run['cpu_ms'] for run in ours):7.1f} against "
            f"{statistics.median(run['cpu_ms'] for run in torchs):7.1f}: {ratio:.2f} x "
            f"[{min(ratios):.2f} to {max(ratios):.2f}] (target: at most {AT_MOST}); growth: "
            f"{growth['threads']} threads, {growth['descriptors']} descriptors, "
            f"{growth['resident_mb']:.0f} MB"
        )
    return 1 if args.check and not good else 0


if __name__ == "__main__":
    sys.exit(main())
