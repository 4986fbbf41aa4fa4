"""What a loader draws, for statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from native import Native
from ringfeed.transforms import compile_transform


def rows_of(folder: Path, transform: Any, count: int, seed: int) -> np.ndarray:
    """The draws of `count` samples, all of one image."""
    (folder / "a").mkdir(exist_ok=True)
    Image.new("RGB", (90, 80)).save(folder / "a" / "image.png")
    plan = compile_transform(transform, dtype=None, channels_last=False, pillow=None).plan
    return Native(folder, plan, seed=seed).loader.draws(0, np.zeros(count, np.uint32))


def furthest_apart(a: np.ndarray, b: np.ndarray) -> float:
    """The Kolmogorov-Smirnov distance of two samples."""
    at = np.concatenate([a, b])
    share = [np.searchsorted(np.sort(x), at, side="right") / len(x) for x in (a, b)]
    return np.abs(share[0] - share[1]).max()
