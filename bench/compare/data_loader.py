#!/usr/bin/env python3
"""ringfeed.DataLoader against torch.utils.data.DataLoader, as a training script would use either.

    .venv/bin/python bench/compare/data_loader.py photos/train
    .venv/bin/python bench/compare/data_loader.py sample/train --quick

Both get the same object: a torchvision ImageFolder with RandomResizedCrop(224),
RandomHorizontalFlip, ToTensor and Normalize, in a Subset that lists every file --copies times, so
that an epoch gives every one of DataLoader's workers several batches. Every run is a process of its
own; the sides take turns, DataLoader with each number of workers in --workers. A run
for speed imports, makes the loader, takes the time from iter() to the first batch, ends that epoch
uncounted and then takes --epochs whole ones: images a second, CPU seconds of the process tree, CPU
time of the consumer's thread inside __next__ (waiting is none). A run for memory takes one epoch
with a pause in the middle, in which the loader gets as far ahead as it may, as it does where
training is the slower side; all the while its process tree is sampled, and the largest sum kept.

Memory is what that adds to a process that only imports torch, so torchvision, Pillow and the
package itself count on both sides. PSS leaves out the finished batches that wait between
DataLoader's processes, because nothing maps them; "with shared memory" adds what /dev/shm holds.

Files and libraries are in memory from an earlier run that is not counted. The consumer does nothing
with a batch and holds one while it waits for the next, as a loop does. DataLoader runs with
persistent_workers=True, which spares it a start an epoch, and otherwise as it comes. Figures are
medians over the repeats, with the least and the most; ratios are of medians, and but for memory
against whichever number of workers serves DataLoader best.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

PAUSE = 3.0  # seconds; every window is full by then
# The last is promised for batches of 256.
TARGETS = {
    "images a second": (2.6, "at least"),
    "memory, DataLoader with most workers": (1 / 4, "at most"),
    "first batch": (1 / 5, "at most"),
    "CPU ms in __next__": (1.0, "at most"),
}


# --- one run, in a process of its own --------------------------------------------------------


def process_tree(root):
    """Process ids of `root` and all below it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(stat_fields(entry.name)[1])
            except OSError:
                pass
    tree = [root]
    for pid in tree:
        tree += [child for child, parent in parents.items() if parent == pid]
    return tree


def stat_fields(pid):
    """/proc/PID/stat from the state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(root):
    """User and system time of a process tree whose processes are all alive."""
    fields = map(stat_fields, process_tree(root))
    return sum(int(f[11]) + int(f[12]) for f in fields) / os.sysconf("SC_CLK_TCK")


def shared_memory():
    """Bytes in /dev/shm, deleted files that are still open included."""
    state = os.statvfs("/dev/shm")
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def memory(root):
    """(PSS of a process tree, the same with all that lies in /dev/shm)"""
    pss = shared = 0
    for pid in process_tree(root):
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        sizes = dict(re.findall(r"^(Pss\w*):\s+(\d+) kB", text, re.M))
        pss += int(sizes["Pss"]) * 1024
        shared += int(sizes["Pss_Shmem"]) * 1024
    return pss, pss - shared + shared_memory()


def say(**message):
    print(json.dumps(message), flush=True)


def run_base(modules):
    for name in modules:
        importlib.import_module(name)
    say(pss=memory(os.getpid())[0])


def make_loader(spec):
    from torch.utils.data import DataLoader, Subset
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(224),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    files = ImageFolder(spec["root"], transform)
    dataset = Subset(files, list(range(len(files))) * spec["copies"])
    own = {}
    if spec["side"] == "ringfeed":
        from ringfeed import DataLoader

        own = {"finish_on": spec.get("finish_on", "cpu")}
    return DataLoader(
        dataset,
        batch_size=spec["batch_size"],
        shuffle=True,
        num_workers=spec["workers"],
        persistent_workers=True,
        **own,
    )


def run_for_memory(loader):
    for number, _ in enumerate(loader):
        if number == len(loader) // 2:
            time.sleep(PAUSE)


def run_for_speed(loader, epochs):
    start = time.perf_counter()
    batches = iter(loader)
    batch = next(batches)
    first = time.perf_counter() - start
    for batch in batches:
        pass
    count = delivered = 0
    inside = 0.0
    cpu, start = cpu_seconds(os.getpid()), time.perf_counter()
    for _ in range(epochs):
        batches = iter(loader)
        while True:
            before = time.thread_time()
            taken = next(batches, None)
            inside += time.thread_time() - before
            batch = taken  # the one before is freed here, outside
            if batch is None:
                break
            count += 1
            delivered += len(batch[1])
    seconds = time.perf_counter() - start
    say(
        first_batch_seconds=first,
        images_per_second=delivered / seconds,
        cpu_seconds_per_1000=1000 * (cpu_seconds(os.getpid()) - cpu) / delivered,
        next_cpu_ms=1000 * inside / count,
    )


def run_child(spec):
    # More workers than cores are part of the comparison.
    warnings.filterwarnings("ignore", "This DataLoader will create")
    if spec["side"] == "base":
        run_base(spec["modules"])
    elif spec["sampled"]:
        run_for_memory(make_loader(spec))
    else:
        loader = make_loader(spec)
        run_for_speed(loader, spec["epochs"])
        if spec["side"] == "ringfeed":
            print(loader.stats(), file=sys.stderr)


# --- the comparison --------------------------------------------------------------------------


def run(**spec):
    """What the child said; of a sampled one the largest `pss` and `with_shared_memory` instead."""
    command = [sys.executable, __file__, "--child", json.dumps(spec)]
    before = shared_memory()
    largest = [0, 0]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        while spec["sampled"] and child.poll() is None:
            pss, total = memory(child.pid)
            largest = [max(largest[0], pss), max(largest[1], total - before)]
            time.sleep(0.05)
        output, errors = child.communicate()
    if child.returncode != 0:
        raise SystemExit(f"failed ({child.returncode}): {spec}\n{errors}")
    if spec["sampled"]:
        return dict(zip(("pss", "with_shared_memory"), largest))
    return {**json.loads(output), "stats": errors.strip()}


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def compare(args):
    sides = {"ringfeed": {"side": "ringfeed", "workers": 0}}
    for workers in args.workers:
        sides[f"DataLoader, {workers} workers"] = {"side": "torch", "workers": workers}
    common = {
        "root": str(args.root), "copies": args.copies, "batch_size": args.batch_size,
        "epochs": args.epochs,
    }  # fmt: skip
    for side in ("ringfeed", "torch"):  # files and code into memory
        run(**{**common, "side": side, "workers": 2, "copies": 1, "epochs": 1, "sampled": False})
    base = [run(side="base", modules=["torch"], sampled=False)["pss"] for _ in range(3)]
    runs = {name: [] for name in sides}
    for repeat in range(args.repeats):
        order = list(sides)
        for name in order[repeat % len(order) :] + order[: repeat % len(order)]:
            result = run(**common, **sides[name], sampled=False)
            sampled = run(**common, **sides[name], sampled=True)
            for key, value in sampled.items():
                result[key] = value - statistics.median(base)
            runs[name].append(result)
            print(
                f"{repeat + 1:3} {name:22}{result['images_per_second']:7.0f} images/s, "
                f"{result['pss'] / 1e6:6.0f} MB, first batch "
                f"{result['first_batch_seconds']:.2f} s",
                file=sys.stderr,
                flush=True,
            )
    metrics = (
        "images_per_second", "cpu_seconds_per_1000", "pss", "with_shared_memory",
        "first_batch_seconds", "next_cpu_ms",
    )  # fmt: skip
    table = {
        name: {metric: spread([r[metric] for r in results]) for metric in metrics}
        for name, results in runs.items()
    }
    return base, table, runs["ringfeed"][-1]["stats"]


def ratios(table, workers):
    """{target's name: the figure that it bounds}."""
    ours = {metric: value["median"] for metric, value in table["ringfeed"].items()}
    theirs = [values for name, values in table.items() if name != "ringfeed"]
    most = table[f"DataLoader, {max(workers)} workers"]
    return dict(
        zip(
            TARGETS,
            (
                ours["images_per_second"]
                / max(values["images_per_second"]["median"] for values in theirs),
                ours["pss"] / most["pss"]["median"],
                ours["first_batch_seconds"]
                / min(values["first_batch_seconds"]["median"] for values in theirs),
                ours["next_cpu_ms"],
            ),
        )
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("root", type=Path, nargs="?", help="folder of class folders")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--copies", type=int, default=8, help="of every file in an epoch")
    parser.add_argument("--epochs", type=int, default=2, help="counted ones of a run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--quick", action="store_true", help="a minute: one repeat of short epochs")
    parser.add_argument("--check", action="store_true", help="exit 1 if a target is missed")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        run_child(args.child)
        return
    if not args.root:
        parser.error("the folder is missing")
    if args.quick:
        args.copies, args.epochs, args.repeats = 2, 1, 1

    base, table, stats = compare(args)
    figures = ratios(table, args.workers)
    if args.json:
        print(json.dumps({"base_pss": spread(base), "sides": table, "ratios": figures,
                          "stats": stats}, indent=1))  # fmt: skip
    else:
        cores = len(os.sched_getaffinity(0))
        print(f"{cpu_model()}, {cores} cores; batch {args.batch_size}, {args.repeats} x "
              f"{args.epochs} epochs; a process that only imports torch: "
              f"{statistics.median(base) / 1e6:.0f} MB")  # fmt: skip
        rows = (
            ("images_per_second", 1, "images/s", 0),
            ("cpu_seconds_per_1000", 1, "CPU s per 1,000", 2),
            ("pss", 1e-6, "MB added (PSS)", 0),
            ("with_shared_memory", 1e-6, "with shared memory", 0),
            ("first_batch_seconds", 1, "s to first batch", 2),
        )
        print(f"{'':24}" + "".join(f"{title:>22}" for _, _, title, _ in rows))
        for name, values in table.items():
            cells = ""
            for metric, scale, _, digits in rows:
                low, mid, high = (values[metric][k] * scale for k in ("min", "median", "max"))
                text = f"{mid:.{digits}f}"
                if args.repeats > 1:
                    text += f" [{low:.{digits}f} to {high:.{digits}f}]"
                cells += f"{text:>22}"
            print(f"{name:24}{cells}")
        print(stats)
        for name, figure in figures.items():
            bound, word = TARGETS[name]
            unit = "" if name.startswith("CPU") else " x"
            target = "" if args.quick else f" (target: {word} {bound:.2g})"
            print(f"{name + ':':40}{figure:.2f}{unit}{target}")
    missed = [
        name
        for name, figure in figures.items()
        if (figure < TARGETS[name][0]) == (TARGETS[name][1] == "at least")
    ]
    if args.check and missed:
        raise SystemExit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
