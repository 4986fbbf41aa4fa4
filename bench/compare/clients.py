#!/usr/bin/env python3
"""The train loaders of public scripts: torch's DataLoader against ringfeed's in its place.

    .venv/bin/python bench/compare/clients.py photos/train --only pytorch_examples,moco,dino
    .venv/bin/python bench/compare/clients.py photos/train --repeats 1

Runs the clients of tests/clients, which load as those scripts do, at the scripts' size of image:
with torch's class as it is and with ringfeed.install(), in turns. Each run takes batches of one
epoch: some uncounted while workers start and queues fill, then --seconds of them, at least eight.
The folder holds every photo several times, a whole round apart. Nothing is done with a batch beyond
what the script does before its model. Files are in memory from the first run.

Printed for each client: what makes its batches under ringfeed, images a second, and the ratio.
Those of packages that are not installed are left out, by name; one that fails, with its error. The
exit status is 1 if one fails under ringfeed that does not under torch.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch
from data_loader import cpu_model

import ringfeed

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "clients"))
from registry import CLIENTS, Enough, Run
from run import made_by, seed_all

UNCOUNTED, AT_LEAST = 4, 8
COPIES = 8


def make_folder(photos: Path, folder: Path) -> None:
    """train/ with COPIES of each photo, in two classes, and a val/ of a few."""
    paths = sorted(path for path in photos.rglob("*") if path.is_file())
    for split, chosen, copies in (("train", paths, COPIES), ("val", paths[:8], 1)):
        for copy in range(copies):
            for number, path in enumerate(chosen):
                link = folder / split / f"n{number % 2}" / f"{copy}_{number:05}{path.suffix}"
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path.resolve())


def images_in(batch) -> int:
    """The length of the first tensor within it."""
    if isinstance(batch, torch.Tensor):
        return len(batch) if batch.ndim else 0
    if isinstance(batch, list | tuple | dict):
        parts = batch.values() if isinstance(batch, dict) else batch
        return next(filter(None, map(images_in, parts)), 0)
    return 0


class Clock:
    """Takes batches, and the time from the last that is not counted."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.batches, self.images = seconds, 0, 0
        self.began = self.now = 0.0

    def take(self, split, batch) -> None:
        if split == "val":
            raise Enough  # the epoch has ended
        self.now, self.batches = time.perf_counter(), self.batches + 1
        if self.batches <= UNCOUNTED:
            self.began = self.now
            return
        self.images += images_in(batch)
        enough = self.batches >= UNCOUNTED + AT_LEAST
        if enough and self.now - self.began >= self.seconds:
            raise Enough

    @property
    def speed(self) -> float:
        return self.images / (self.now - self.began) if self.images else 0.0


def measure(client, folder: Path, args) -> tuple[float, str]:
    """Images a second, and what made the batches."""
    clock = Clock(args.seconds)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = Run(
            str(folder),
            epochs=1,
            size=224,
            batch_size=args.batch_size,
            workers=args.workers,
            take=clock.take,
            scratch=scratch,
        )
        seed_all()
        try:
            client.function(run)
        except Enough:
            pass
        rung = made_by(run.loaders["train"])[0] if "train" in run.loaders else ""
        del run
        gc.collect()  # workers end
    return clock.speed, rung


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("photos", type=Path, help="folder of class folders")
    parser.add_argument("--only", help="clients, separated by commas")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    clients = [CLIENTS[name] for name in (args.only.split(",") if args.only else sorted(CLIENTS))]
    print(
        f"{cpu_model()}, {len(os.sched_getaffinity(0))} cores, {args.workers} workers; batch "
        f"{args.batch_size}, medians of {args.repeats} [least to most]; images a second"
    )
    status = 0
    with tempfile.TemporaryDirectory() as name:
        make_folder(args.photos, Path(name))
        for client in clients:
            if client.missing:
                print(f"{client.name:32}without {', '.join(client.missing)}")
                continue
            speeds, rung = {"torch": [], "ringfeed": []}, ""
            try:
                for _ in range(args.repeats):
                    for side, found in speeds.items():
                        (ringfeed.install if side == "ringfeed" else ringfeed.uninstall)()
                        speed, rung = measure(client, Path(name), args)
                        found.append(speed)
            except Exception as error:  # of the client's packages, say: the others go on
                reason = str(error).strip().splitlines()[-1:] or [""]
                print(
                    f"{client.name:32}{side} failed: {type(error).__name__}: {reason[0]}",
                    flush=True,
                )
                status |= side == "ringfeed"
                continue
            finally:
                ringfeed.uninstall()
            if not all(map(all, speeds.values())):
                print(f"{client.name:32}no loader for training")
                continue
            torchs, ours = (statistics.median(found) for found in speeds.values())
            ratios = [b / a for a, b in zip(*speeds.values(), strict=True)]
            print(
                f"{client.name:32}{rung:14}{ours:7.0f} against {torchs:5.0f}: "
                f"{statistics.median(ratios):.2f} x [{min(ratios):.2f} to {max(ratios):.2f}]",
                flush=True,
            )
    return status


if __name__ == "__main__":
    sys.exit(main())
