"""A handful of small pictures whose labels say which they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from torchvision import transforms

from ringfeed.datasets import ImageList

CROP = transforms.Compose(
    [transforms.RandomResizedCrop(8), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
)
PLAIN = transforms.Compose([transforms.CenterCrop(8), transforms.ToTensor()])


def make(folder: Path, count: int, transform=CROP, **options) -> ImageList:
    """Picture k has label k."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(count)
    paths = []
    for number in range(count):
        path = folder / f"{number:03d}.jpg"
        if not path.exists():
            pixels = rng.integers(0, 256, (24 + number % 5, 20 + number % 7, 3), np.uint8)
            Image.fromarray(pixels).save(path)
        paths.append(path)
    return ImageList(paths, list(range(count)), transform, **options)


def make_folder(folder: Path, count: int) -> Path:
    """Two classes of half the count each, as ImageFolder takes them."""
    for name in ("cat", "dog"):
        make(folder / name, count // 2)
    return folder


def order_of(batches) -> list[int]:
    return [int(label) for _, labels in batches for label in labels]
