#!/usr/bin/env python3
"""Images that a script's own code makes: ringfeed.DataLoader against torch's, as many workers each.

    .venv/bin/python bench/compare/worker_rung.py photos/train

A step that nobody can compile keeps both loaders in torch's worker processes; in ringfeed's a
batch's files are read at once, and images decode late, so that RandomResizedCrop decodes its window
alone. Tensors are compared first, bit for bit. Every run is a process that takes one epoch
uncounted and then --epochs; the sides take turns. Beside the ratio stands its bound: all that the
script does is there on both sides, and only what it costs to decode and crop differs. That is
measured here, on one thread.

bench/slow_view.cc shows a folder as a storage does that is far away: run this in it, with
--workers 8 and --batch-size 16.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import torch
import torch.utils.data
from data_loader import cpu_model
from PIL import Image
from torchvision import datasets
from torchvision import transforms as v1
from torchvision.transforms import v2

import ringfeed

RECIPES = {
    "one unknown step": [v1.RandomResizedCrop(224), v1.RandomHorizontalFlip()],
    "bicubic and AutoAugment": [
        v1.RandomResizedCrop(224, interpolation=v1.InterpolationMode.BICUBIC),
        v1.RandomHorizontalFlip(),
        v1.AutoAugment(),
    ],
    "v2": [v2.RandomResizedCrop(224), v2.RandomHorizontalFlip()],
}
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TAIL = [v1.ToTensor(), v1.Normalize(*IMAGENET)]
V2_TAIL = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(*IMAGENET)]
TARGET = 1.6


def unknown(image):
    """Changes nothing, which is not read from it."""
    return image.copy()


def composed(recipe, steps):
    """With what makes the tensor."""
    return v2.Compose([*steps, *V2_TAIL]) if recipe == "v2" else v1.Compose([*steps, *TAIL])


def loader_of(side, args, recipe, repeats=1):
    transform = composed(recipe, [*RECIPES[recipe], unknown])
    dataset = datasets.ImageFolder(args.root, transform)
    data = torch.utils.data.Subset(dataset, list(range(len(dataset))) * repeats)
    kind = ringfeed.DataLoader if side == "ringfeed" else torch.utils.data.DataLoader
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(
            data,
            args.batch_size,
            shuffle=True,
            num_workers=args.workers,
            persistent_workers=args.workers > 0,
        )


def run_side(args):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    loader = loader_of(args.side, args, args.recipe)
    for _ in loader:
        pass
    began, images = time.perf_counter(), 0
    for _ in range(args.epochs):
        for batch, _ in loader:
            images += len(batch)
    print(json.dumps(images / (time.perf_counter() - began)))


def check_equal(args, recipe):
    """The first batches of both sides."""
    found = []
    for side in ("ringfeed", "torch"):
        torch.manual_seed(3)
        found.append([batch for batch, _ in zip(loader_of(side, args, recipe), range(3))])
    for (one, _), (other, _) in zip(*found, strict=True):
        if not torch.equal(one, other):
            raise SystemExit(f"{recipe}: the tensors differ")


def bound(args, recipe):
    """torch's ms an image: in decoding and cropping, in all else; and ringfeed's in the former."""
    paths = [path for path, _ in datasets.ImageFolder(args.root).samples]
    crop, rest = RECIPES[recipe][0], composed(recipe, RECIPES[recipe][1:])
    spent = {"torch": 0.0, "rest": 0.0, "ringfeed": 0.0}
    for path in paths:
        for name, opened in (("torch", Image.open), ("ringfeed", ringfeed.open)):
            began = time.thread_time()
            image = crop(opened(path).convert("RGB"))
            image.load()
            spent[name] += time.thread_time() - began
        began = time.thread_time()
        torch.stack([rest(image)])
        spent["rest"] += time.thread_time() - began
    return (spent["torch"] + spent["rest"]) / (spent["ringfeed"] + spent["rest"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("root", type=Path, help="folder of class folders")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--side", choices=["ringfeed", "torch"], help=argparse.SUPPRESS)
    parser.add_argument("--recipe", choices=RECIPES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        return run_side(args)
    print(
        f"{cpu_model()}, {len(os.sched_getaffinity(0))} cores, {args.workers} workers; batch "
        f"{args.batch_size}, medians of {args.repeats} [least to most]; images a second"
    )
    for recipe in RECIPES:
        check_equal(args, recipe)
        speeds = {"torch": [], "ringfeed": []}
        for _ in range(args.repeats):
            for side, found in speeds.items():
                command = [sys.executable, __file__, str(args.root), "--side", side]
                command += ["--recipe", recipe, "--workers", str(args.workers)]
                command += ["--batch-size", str(args.batch_size), "--epochs", str(args.epochs)]
                output = subprocess.run(command, check=True, capture_output=True, text=True)
                found.append(float(output.stdout))
        ratios = [ours / torchs for torchs, ours in zip(*speeds.values(), strict=True)]
        ours, torchs = (statistics.median(speeds[side]) for side in ("ringfeed", "torch"))
        print(
            f"{recipe:26}{ours:7.0f} against {torchs:5.0f}: {statistics.median(ratios):.2f} x "
            f"[{min(ratios):.2f} to {max(ratios):.2f}] (target {TARGET}, or 90 % of the bound of "
            f"{bound(args, recipe):.2f})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
