#!/usr/bin/env python3
"""What finish_on="device" saves: memory of a loader against that of one that finishes on the CPU.

    .venv/bin/python bench/compare/finish_on.py photos/train

Both give float32 batches of the recipe of bench/compare/data_loader.py, and torch's DataLoader with
--workers processes is the third side; that script's head says how memory is sampled. Here what
every side imports does not count. The batches that become float32 on the device are not finished
here: their memory is the device's.
"""

from __future__ import annotations

import argparse
import os
import statistics
from pathlib import Path

from data_loader import cpu_model, run, spread

SIDES = {
    "on the device": {"side": "ringfeed", "finish_on": "device"},
    "on the CPU": {"side": "ringfeed", "finish_on": "cpu"},
    "DataLoader": {"side": "torch"},
}
MODULES = ["torch", "torchvision", "ringfeed"]
"""What is there before a loader is made, on every side: it is not the loader's memory."""
TARGETS = {"on the CPU": 0.7, "DataLoader": 0.25}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("root", type=Path, help="folder of class folders")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--copies", type=int, default=8, help="of every file in an epoch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=8, help="of torch's DataLoader")
    args = parser.parse_args()

    common = {"root": str(args.root), "copies": args.copies, "batch_size": args.batch_size}
    base = statistics.median(
        run(side="base", modules=MODULES, sampled=False)["pss"] for _ in range(3)
    )
    added = {name: [] for name in SIDES}
    shared = {name: [] for name in SIDES}
    for _ in range(args.repeats):
        for name, side in SIDES.items():
            workers = 0 if side["side"] == "ringfeed" else args.workers
            found = run(**common, **side, workers=workers, sampled=True)
            added[name].append((found["pss"] - base) / 1e6)
            shared[name].append((found["with_shared_memory"] - base) / 1e6)
    print(
        f"{cpu_model()}, {len(os.sched_getaffinity(0))} cores; batch {args.batch_size}, medians of "
        f"{args.repeats}; MB added (PSS) to a process that has imported {', '.join(MODULES)}"
    )
    ours = statistics.median(added["on the device"])
    for name, values in added.items():
        median, low, high = (spread(values)[key] for key in ("median", "min", "max"))
        ratio = ""
        if name in TARGETS:
            ratio = f"; the device's is {ours / median:.2f} x (target: at most {TARGETS[name]})"
        whole = statistics.median(shared[name])
        spans = f"{median:5.0f} [{low:.0f} to {high:.0f}], with shared memory {whole:.0f}"
        print(f"{name:16}{spans}{ratio}")


if __name__ == "__main__":
    main()
