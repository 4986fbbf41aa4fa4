"""RandomErasing, torchvision's and timm's, as the core carries it out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from . import _ringfeed
from ._transform_steps import Step

_MOST_BOXES = _ringfeed.largest["boxes"]


@dataclass
class Erasing:
    p: float
    scale: tuple[float, float]
    ratio: tuple[float, float]
    value: list[float]
    fill: Literal["value", "channel_noise", "noise"] = "value"
    count: tuple[int, int] = (1, 1)

    def __str__(self) -> str:
        value: str = self.fill
        if self.fill == "value":
            value = "(" + ", ".join(str(np.float32(v)) for v in self.value) + ")"
        boxes = "" if self.count == (1, 1) else f", boxes={self.count[0]}..{self.count[1]}"
        return (
            f"erase({self.p!r}, scale={self.scale[0]!r}..{self.scale[1]!r}, "
            f"ratio={self.ratio[0]!r}..{self.ratio[1]!r}, value={value}{boxes})"
        )

    def native(self) -> _ringfeed.RandomErasing:
        return _ringfeed.RandomErasing(
            self.p, self.scale, self.ratio, self.value, self.fill, self.count
        )


def erasing_of(step: Step) -> Erasing:
    """What the step does to a float32 tensor."""
    transform = step.transform
    value = transform.value
    noise = value is None or isinstance(value, str)  # None: v2's
    given = value if isinstance(value, Sequence) else [value]
    values = [0.0] if noise else [float(v) for v in given]
    if len(values) not in (1, 3):
        step.refuse("value must be a number, one for each of R, G and B, or 'random'")
    p, scale, ratio = float(transform.p), transform.scale, step.ratio()
    if not (0 <= p <= 1 and 0 <= scale[0] <= scale[1] <= 1 and 0 < ratio[0] <= ratio[1] < math.inf):
        step.refuse("p must be in [0, 1], and scale and ratio ranges (min, max)")
    return Erasing(
        p,
        (float(scale[0]), float(scale[1])),
        ratio,
        values * (3 // len(values)),
        "noise" if noise else "value",
    )


def timm_erasing_of(step: Step) -> Erasing:
    """The same of a timm.data.random_erasing.RandomErasing."""
    timm = step.transform
    if timm.num_splits > 1:
        step.refuse(
            "num_splits spares a part of a batch, and has no effect in the transform of a single "
            "image: leave it out"
        )
    p, scale = float(timm.probability), (float(timm.min_area), float(timm.max_area))
    # timm keeps the logarithms. In the text of a recipe the last digits of exp() do not belong.
    low, high = (float(f"{math.exp(log):.12g}") for log in timm.log_aspect_ratio)
    if not (0 <= p <= 1 and 0 <= scale[0] <= scale[1] <= 1 and 0 < low <= high < math.inf):
        step.refuse(
            "probability must be in [0, 1], min_area to max_area a range within it, and min_aspect "
            "to max_aspect a range above 0"
        )
    count = timm.min_count, timm.max_count
    if not 1 <= count[0] <= count[1] <= _MOST_BOXES:
        step.refuse(f"min_count to max_count must be a range within [1, {_MOST_BOXES}]")
    return Erasing(
        p,
        scale,
        (low, high),
        [0.0] * 3,
        "noise" if timm.per_pixel else "channel_noise" if timm.rand_color else "value",
        count,
    )
