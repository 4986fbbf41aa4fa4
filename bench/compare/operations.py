#!/usr/bin/env python3
"""Operations on an image that has its size: ringfeed's against torchvision's on PIL images.

    meson setup build/dev -Dbenchmarks=true && meson compile -C build/dev bench_operations
    taskset -c 1 .venv/bin/python bench/compare/operations.py photos/train
    taskset -c 1 .venv/bin/python bench/compare/operations.py photos/train --repeats 3 --size 128 96

The first photos of the folder, resized to --size, are given to both. The sides take turns: a
repeat runs the benchmark program once, which prints each operation's median over its own rounds,
and then each of torchvision's functions, the images in turn. Both take their thread's CPU time.
Printed are medians over the repeats with the least and the most, and the median over the repeats of
torchvision's time divided by ringfeed's.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import PIL
from PIL import Image, ImageFilter
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F


def perspective(image, resample):
    across, down = 0.3 / image.width, 0.4 / image.height
    values = (1.3, 0.05, -20, 0.1, 1.2, -25, across, down)
    return image.transform(image.size, Image.Transform.PERSPECTIVE, values, resample)


SOLARIZED = [min(255, v + 64) if v < 128 else v for v in range(256)] * 3

# By the benchmark program's names and with its numbers.
OPERATIONS = {
    "hflip": F.hflip,
    "vflip": F.vflip,
    "grayscale": lambda image: F.rgb_to_grayscale(image, 3),
    "invert": F.invert,
    "autocontrast": F.autocontrast,
    "equalize": F.equalize,
    "posterize": lambda image: F.posterize(image, 4),
    "solarize": lambda image: F.solarize(image, 128),
    "solarize_add": lambda image: image.point(SOLARIZED),
    "brightness": lambda image: F.adjust_brightness(image, 1.3718),
    "contrast": lambda image: F.adjust_contrast(image, 1.3718),
    "saturation": lambda image: F.adjust_saturation(image, 1.3718),
    "sharpness": lambda image: F.adjust_sharpness(image, 1.3718),
    "hue": lambda image: F.adjust_hue(image, 0.1),
    "gaussian_blur": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "rotate nearest": lambda image: F.rotate(image, 17, InterpolationMode.NEAREST),
    "rotate bilinear": lambda image: F.rotate(image, 17, InterpolationMode.BILINEAR),
    "rotate bicubic": lambda image: F.rotate(image, 17, InterpolationMode.BICUBIC),
    "perspective nearest": lambda image: perspective(image, Image.Resampling.NEAREST),
    "perspective bilinear": lambda image: perspective(image, Image.Resampling.BILINEAR),
    "perspective bicubic": lambda image: perspective(image, Image.Resampling.BICUBIC),
    "translate": lambda image: F.affine(
        image, 0, [image.width // 10, -image.height // 20], 1.0, [0.0]
    ),
}
ROUNDS = 24  # of each of torchvision's functions in a repeat


def load(root, count, size):
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if len(paths) < 2:
        raise SystemExit(f"not two images in {root}")
    return [Image.open(path).convert("RGB").resize(size[::-1]) for path in paths[:count]]


def run_ringfeed(program, size, file):
    """{operation's name: microseconds}."""
    command = [program, *map(str, size), file]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {m[1]: float(m[2]) for m in re.finditer(r"^(\w+(?: \w+)?) +([\d.]+) \[", output, re.M)}


def run_torchvision(images):
    """{operation's name: microseconds}."""
    medians = {}
    for name, function in OPERATIONS.items():
        times = []
        for round_ in range(ROUNDS):
            image = images[round_ % len(images)]
            start = time.thread_time_ns()
            function(image)
            times.append((time.thread_time_ns() - start) / 1000)
        medians[name] = statistics.median(times)
    return medians


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def cell(values):
    text = f"{statistics.median(values):.1f}"
    return f"{text} [{min(values):.1f} to {max(values):.1f}]" if len(values) > 1 else text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("root", type=Path, help="folder of photos")
    parser.add_argument("--size", type=int, nargs=2, default=[224, 224], metavar=("H", "W"))
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--program", default="build/dev/bench/bench_operations")
    args = parser.parse_args()

    images = load(args.root, args.images, args.size)
    runs = []
    with tempfile.NamedTemporaryFile() as file:
        for image in images:
            file.write(image.tobytes())
        file.flush()
        run_torchvision(images)  # code into memory
        for _ in range(args.repeats):
            runs.append((run_ringfeed(args.program, args.size, file.name), run_torchvision(images)))

    height, width = args.size
    print(
        f"{cpu_model()}, {len(os.sched_getaffinity(0))} core(s); {width}x{height}, "
        f"{len(images)} images in turn, {args.repeats} repeats; Pillow {PIL.__version__}"
    )
    print(f"{'CPU us per image':21}{'ringfeed':>26}{'torchvision':>30}{'ratio':>8}")
    for name in OPERATIONS:
        ours = [run[0][name] for run in runs]
        theirs = [run[1][name] for run in runs]
        ratio = statistics.median(their / our for our, their in zip(ours, theirs))
        print(f"{name:21}{cell(ours):>26}{cell(theirs):>30}{ratio:7.1f}x")


if __name__ == "__main__":
    main()
