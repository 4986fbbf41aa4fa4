#!/usr/bin/env python3
"""Images that decode late against Pillow's, in us of CPU time an image: open, convert("RGB"),
torchvision's RandomResizedCrop(224) and RandomHorizontalFlip, one thread.

    .venv/bin/python bench/compare/late_image.py photos/train

The two take turns, image by image, each with the same draws; no image comes twice in a row. Prints
the median of each, their ratio with its spread over the repeats, and the CPU.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from data_loader import cpu_model
from PIL import Image
from torchvision import transforms

import ringfeed

RECIPE = transforms.Compose([transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()])


def seconds(opener, path, seed):
    torch.manual_seed(seed)
    start = time.thread_time()
    RECIPE(opener(path).convert("RGB"))
    return time.thread_time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    paths = sorted(p for p in options.root.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    if len(paths) < 2:
        parser.error(f"{options.root} has no two JPEG files")
    openers = {"Pillow": Image.open, "ringfeed": ringfeed.open}
    for opener in openers.values():  # imports, page cache
        for path in paths:
            seconds(opener, path, 0)

    times = {name: [] for name in openers}
    for repeat in range(options.repeats):
        sums = dict.fromkeys(openers, 0.0)
        for i in range(options.images):
            path = paths[(i + 7 * repeat) % len(paths)]
            order = list(openers.items())
            for name, opener in order if i % 2 else reversed(order):
                sums[name] += seconds(opener, path, i)
        for name, total in sums.items():
            times[name].append(1e6 * total / options.images)
    ratios = [a / b for a, b in zip(times["Pillow"], times["ringfeed"], strict=True)]
    for name, values in times.items():
        print(f"{name:9} {statistics.median(values):7.0f} us an image")
    low, high = min(ratios), max(ratios)
    print(f"ratio     {statistics.median(ratios):7.2f} ({low:.2f} to {high:.2f})")
    print(f"{len(paths)} files, {options.images} images x {options.repeats}, {cpu_model()}")


if __name__ == "__main__":
    main()
