"""What the core does with an image while it decodes it: the first steps of a transform."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from . import _ringfeed
from ._transform_steps import LONGEST_SIDE, TIMM_SHAPES, Interpolation, Step, interpolation_of

GEOMETRY = ("RandomResizedCrop", "Resize", "CenterCrop", "RandomCrop", "Pad", *TIMM_SHAPES)


@dataclass
class Crop:
    """RandomResizedCrop, of torchvision or timm."""

    size: tuple[int, int]
    scale: tuple[float, float]
    ratio: tuple[float, float]
    interpolations: list[Interpolation]

    def native(self) -> _ringfeed.RandomResizedCrop:
        return _ringfeed.RandomResizedCrop(*self.size, self.scale, self.ratio, self.interpolations)

    def __str__(self) -> str:
        several = "|".join(self.interpolations) if len(self.interpolations) > 1 else ""
        return (
            f"random_resized_crop({self.size[0]}x{self.size[1]}, "
            f"scale={self.scale[0]!r}..{self.scale[1]!r}, "
            f"ratio={self.ratio[0]!r}..{self.ratio[1]!r}"
            + (f", interpolation={several})" if several else ")")
        )


@dataclass
class Resize:
    """Resize, CenterCrop or RandomCrop, or the first before one of the others."""

    resize: int | tuple[int, int] | None = None
    max_size: int = 0
    crop: tuple[int, int] | None = None
    random: bool = False

    def native(self) -> _ringfeed.ResizeCenterCrop | _ringfeed.ResizeRandomCrop:
        size = self.resize if self.crop is None and isinstance(self.resize, tuple) else self.crop
        assert size is not None
        kind = _ringfeed.ResizeRandomCrop if self.random else _ringfeed.ResizeCenterCrop
        return kind(self.resize, *size, self.max_size)

    def __str__(self) -> str:
        parts = []
        if isinstance(self.resize, tuple):
            parts.append(f"resize({self.resize[0]}x{self.resize[1]})")
        elif self.resize is not None:
            limit = f", max_size={self.max_size}" if self.max_size else ""
            parts.append(f"resize({self.resize}{limit})")
        if self.crop is not None:
            name = "random_crop" if self.random else "center_crop"
            parts.append(f"{name}({self.crop[0]}x{self.crop[1]})")
        return " ".join(parts)


class Whole:
    """Nothing yet."""

    def native(self) -> _ringfeed.WholeImage:
        return _ringfeed.WholeImage()

    def __str__(self) -> str:
        return "whole_image"


@dataclass
class Head:
    """What the core does while it decodes: the first of a transform's steps, or none of them."""

    geometry: Crop | Resize | Whole = field(default_factory=Whole)
    interpolation: Interpolation = "bilinear"
    flip: float = 0.0
    flip_first: bool = False
    steps: list[Step] = field(default_factory=list)
    """Those that it carries out."""
    rest: list[Step] = field(default_factory=list)
    """Those that come after it."""

    @property
    def size(self) -> tuple[int, int] | None:
        match self.geometry:
            case Crop(size):
                return size
            case Resize(crop=None, resize=(height, width)):
                return height, width
            case Resize(crop=crop):
                return crop
        return None

    def __str__(self) -> str:
        parts = [str(self.geometry)]
        if self.interpolation != "bilinear":  # which no state of 0.1 names
            parts.append(self.interpolation)
        if self.flip:
            parts.insert(0 if self.flip_first else len(parts), f"hflip({self.flip!r})")
        return " ".join(parts)


def head_of(all_steps: Sequence[Step]) -> Head:
    """The part of these steps that is carried out while an image is decoded. The steps are those
    that change a PIL image, in their order."""
    steps = _without_idle_flips(all_steps)
    head, left = Head(), list(steps)

    def flip() -> None:
        if head.flip == 0 and left and left[0].kind == "RandomHorizontalFlip":
            head.flip = probability_of(left[0])
            head.steps.append(left.pop(0))

    flip()
    head.flip_first = bool(head.flip)
    if left and left[0].kind in ("RandomResizedCrop", "RandomResizedCropAndInterpolation"):
        crop = crop_of(left[0])
        head.geometry, head.interpolation = crop, "bilinear"
        if len(crop.interpolations) == 1:
            head.interpolation = crop.interpolations[0]
            crop.interpolations = []
        head.steps.append(left.pop(0))
    else:
        head.geometry = Resize()
        if left and left[0].kind == "Resize":
            head.geometry, head.interpolation = resize_of(left[0]), interpolation_of(left[0])
            head.steps.append(left.pop(0))
        is_random = bool(left) and left[0].kind == "RandomCrop" and not _pads(left[0])
        if is_random and isinstance(head.geometry.resize, tuple):
            check_fits(left[0], head.geometry.resize)
        if left and (is_random or left[0].kind == "CenterCrop"):
            head.geometry.crop, head.geometry.random = left[0].pair(), is_random
            head.steps.append(left.pop(0))
        if head.size is None:
            return Head(rest=steps)
    flip()
    head.rest = left
    return head


def _without_idle_flips(steps: Sequence[Step]) -> list[Step]:
    """Without the flips that never happen, up to the first step that does what the core does after
    the geometry."""
    kept: list[Step] = []
    begun = False
    for step in steps:
        flips = step.kind == "RandomHorizontalFlip"
        if flips and not begun and probability_of(step) == 0:
            continue
        begun = begun or flips or step.kind not in GEOMETRY
        kept.append(step)
    return kept


def probability_of(step: Step) -> float:
    p = float(step.transform.p)
    if not 0 <= p <= 1:
        step.refuse("p must be in [0, 1]")
    return p


def crop_of(step: Step) -> Crop:
    least, most = step.transform.scale
    scale, ratio = (float(least), float(most)), step.ratio()
    for name, (low, high) in (("scale", scale), ("ratio", ratio)):
        if not 0 < low <= high < math.inf:
            step.refuse(f"{name} must be a range (min, max) with 0 < min <= max")
    return Crop(step.pair(), scale, ratio, interpolations_of(step))


def interpolations_of(step: Step) -> list[Interpolation]:
    """Of timm's steps a sequence is one to draw from."""
    several = step.transform.interpolation
    if step.kind in TIMM_SHAPES and isinstance(several, list | tuple):
        return [interpolation_of(step, one) for one in several]
    return [interpolation_of(step)]


def resize_of(step: Step) -> Resize:
    max_size = step.transform.max_size
    if step.transform.size is None:
        step.refuse("ringfeed needs a size beside max_size: the shorter side's")
    size = step.sizes()
    if max_size is None:
        return Resize(size[0] if len(size) == 1 else (size[0], size[1]))
    if len(size) == 1 and isinstance(max_size, int) and max_size > size[0]:
        return Resize(size[0], min(max_size, 2**31 - 1))  # the core's int
    step.refuse("max_size must be a whole number above size, and size one number")


def check_fits(step: Step, size: tuple[int, int]) -> None:
    """Refuses a RandomCrop that fits no image of `size`."""
    left, top, right, bottom = padding_of(step)
    padded, crop = (size[0] + top + bottom, size[1] + left + right), step.pair()
    if not step.transform.pad_if_needed and (padded[0] < crop[0] or padded[1] < crop[1]):
        step.refuse(
            f"images have {padded[0]} x {padded[1]} pixels here, fewer than the crop: resize or "
            "pad them before, or say pad_if_needed=True"
        )


def _pads(step: Step) -> bool:
    return bool(step.transform.pad_if_needed) or any(padding_of(step))


def padding_of(step: Step) -> tuple[int, int, int, int]:
    """Its `padding` as left, top, right and bottom."""
    padding = step.transform.padding
    try:
        sides = [operator.index(n) for n in (padding if _is_row(padding) else [padding or 0])]
    except TypeError:
        step.refuse(f"padding must be whole numbers, not {padding!r}")
    if step.v2 and step.kind == "RandomCrop" and len(sides) == 4:
        sides[1], sides[2] = sides[2], sides[1]  # which keeps left, right, top, bottom
    if len(sides) not in (1, 2, 4):
        step.refuse("padding must be 1, 2 or 4 numbers")
    if max(map(abs, sides)) > LONGEST_SIDE:
        step.refuse(f"padding must be at most {LONGEST_SIDE}")
    left, top, right, bottom = sides * (4 // len(sides))
    return left, top, right, bottom


def _is_row(value: Any) -> bool:
    return isinstance(value, list | tuple)
