"""What is drawn for a batch, by torchvision's rules and by timm's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from . import _ringfeed
from ._numbers import check_number, check_share, whole

Kind = Literal["none", "mixup", "cutmix"]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Mix:
    """How a sample, or each sample of a batch, is mixed with its partner."""

    kind: Kind = "none"
    lam: float = 1.0
    """The sample's own share: of its pixels in MixUp, of its target always."""
    box: Box | None = None
    """Of CutMix: left, top, right and bottom of what comes from the partner, in pixels."""


@dataclass(frozen=True)
class BatchMix:
    """What is drawn for a batch; nothing else decides what mixing makes of it."""

    position: int
    """Of the batch's first sample, in the epoch's order over all ranks."""
    partner: Literal["before", "mirrored"]
    """Sample i is mixed with i - 1, the first with the last (torchvision); or with size - 1 - i
    (timm)."""
    mixes: tuple[Mix, ...]
    """One for the whole batch, or one for each sample."""
    num_classes: int | None
    """None: targets are given, not labels."""
    label_smoothing: float


class Rule(Protocol):
    """How batches are mixed."""

    @property
    def num_classes(self) -> int | None:
        """The least, where the choices differ; None: targets are given, not labels."""

    @property
    def text(self) -> str:
        """All of it in one line: equal texts give equal batches."""

    @property
    def needs_floats(self) -> bool:
        """Whether pixels are multiplied."""

    @property
    def needs_even(self) -> bool:
        """Whether each sample needs a partner of its own."""

    def check_size(self, height: int, width: int) -> None:
        """Raises ValueError where no box can be drawn in such images."""

    def draw(
        self, stream: _ringfeed.MixingStream, position: int, size: int, height: int, width: int
    ) -> BatchMix:
        """For a batch of `size` images of `height` x `width`."""


@dataclass(frozen=True)
class Choice:
    """One of the things that may happen to a batch by torchvision's rules."""

    kind: Kind
    alpha: float
    num_classes: int | None
    label_smoothing: float = 0.0

    def __str__(self) -> str:
        alpha = "" if self.kind == "none" else f", alpha={self.alpha}"
        smoothing = f", label_smoothing={self.label_smoothing}" if self.label_smoothing else ""
        return f"{self.kind}({self.num_classes}{alpha}{smoothing})"


def check_choice(choice: Choice, name: str) -> None:
    """Raises ValueError or TypeError, naming the argument."""
    if choice.num_classes is not None:
        check_classes(f"num_classes of {name}", choice.num_classes)
    if choice.kind != "none":
        check_alpha(f"alpha of {name}", choice.alpha)
    check_share(f"label_smoothing of {name}", choice.label_smoothing)


def check_classes(option: str, num_classes: Any) -> None:
    if whole(option, num_classes) < 1:
        raise ValueError(f"{option} must be at least 1, not {num_classes}")


def check_alpha(option: str, alpha: float) -> None:
    check_number(option, alpha)
    if not 1e-6 <= alpha <= 1e6:
        raise ValueError(f"{option} must be in [1e-6, 1e6], not {alpha}")


@dataclass(frozen=True)
class TorchvisionRule:
    """One choice a batch, of those of v2.MixUp, v2.CutMix and v2.RandomChoice."""

    choices: tuple[Choice, ...]
    weights: tuple[float, ...] = (1.0,)
    """Their sum is 1."""

    needs_even = False

    @property
    def num_classes(self) -> int | None:
        return min((c.num_classes for c in self.choices if c.num_classes is not None), default=None)

    @property
    def text(self) -> str:
        if len(self.choices) == 1:
            return str(self.choices[0])
        return " or ".join(f"{p} {choice}" for p, choice in zip(self.weights, self.choices))

    @property
    def needs_floats(self) -> bool:
        return any(choice.kind == "mixup" for choice in self.choices)

    def check_size(self, height: int, width: int) -> None:
        pass

    def draw(
        self, stream: _ringfeed.MixingStream, position: int, size: int, height: int, width: int
    ) -> BatchMix:
        choice = self._choose(stream)
        mix = Mix()
        if choice.kind == "mixup":
            mix = Mix("mixup", stream.beta(choice.alpha))
        elif choice.kind == "cutmix":
            box = _box_around(stream, stream.beta(choice.alpha), height, width)
            mix = Mix("cutmix", 1.0 - _area(box) / (width * height), box)
        return BatchMix(position, "before", (mix,), choice.num_classes, choice.label_smoothing)

    def _choose(self, stream: _ringfeed.MixingStream) -> Choice:
        if len(self.choices) == 1:
            return self.choices[0]
        drawn, total = stream.uniform(), 0.0
        for weight, choice in zip(self.weights, self.choices):
            total += weight
            if drawn < total:
                return choice
        # The sum fell short of 1 by a rounding.
        return next(c for w, c in zip(reversed(self.weights), reversed(self.choices)) if w > 0)


def _box_around(stream: _ringfeed.MixingStream, lam: float, height: int, width: int) -> Box:
    """torchvision's: drawn around a pixel, half its size to each side, clipped to the image."""
    x, y = stream.bounded(width), stream.bounded(height)
    half = 0.5 * math.sqrt(1.0 - lam)
    across, down = int(half * width), int(half * height)
    return (
        max(x - across, 0),
        max(y - down, 0),
        min(x + across, width),
        min(y + down, height),
    )


def _area(box: Box) -> int:
    left, top, right, bottom = box
    return (right - left) * (bottom - top)


@dataclass(frozen=True)
class TimmRule:
    """timm.data.Mixup's options, under its names."""

    mixup_alpha: float
    cutmix_alpha: float
    cutmix_minmax: tuple[float, float] | None
    mix_prob: float
    switch_prob: float
    mode: Literal["batch", "pair", "elem"]
    correct_lam: bool
    label_smoothing: float
    num_classes: int
    mixup_enabled: bool = True
    collates: bool = field(default=False, repr=False)
    """As FastCollateMixup does: 8-bit images, whose mixed values are rounded."""

    needs_even = True

    @property
    def text(self) -> str:
        name = "FastCollateMixup" if self.collates else "Mixup"
        return f"timm's {self!r}".replace(type(self).__name__, name)

    @property
    def needs_floats(self) -> bool:
        # Of uint8 batches timm's Mixup would make the shares of single samples uint8 too.
        return not self.collates and (self.mixup_alpha > 0 or self.mode != "batch")

    def check_size(self, height: int, width: int) -> None:
        if self.cutmix_minmax is None:
            return
        for side in (height, width):
            low, high = self._cuts(side)
            if not 0 <= low < high <= side + 1:
                raise ValueError(
                    f"cutmix_minmax={self.cutmix_minmax} of timm's Mixup leaves no box to draw in "
                    f"images of {width} x {height}: widen it"
                )

    def draw(
        self, stream: _ringfeed.MixingStream, position: int, size: int, height: int, width: int
    ) -> BatchMix:
        mixes: Sequence[Mix]
        if self.mode == "batch":
            mixes = [self._draw(stream, height, width)]
        else:
            # timm keeps the shares of single samples as float32; NumPy 2 computes in it too.
            count = size // 2 if self.mode == "pair" else size
            mixes = [self._draw(stream, height, width, np.float32) for _ in range(count)]
            if self.mode == "pair":
                mixes = [*mixes, *reversed(mixes)]
        return BatchMix(position, "mirrored", tuple(mixes), self.num_classes, self.label_smoothing)

    def _draw(
        self, stream: _ringfeed.MixingStream, height: int, width: int, number: Any = float
    ) -> Mix:
        if not self.mixup_enabled or stream.uniform() >= self.mix_prob:
            return Mix()
        both = self.mixup_alpha > 0 and self.cutmix_alpha > 0
        cut = stream.uniform() < self.switch_prob if both else self.cutmix_alpha > 0
        lam = number(stream.beta(self.cutmix_alpha if cut else self.mixup_alpha))
        if lam == 1:
            return Mix()
        if not cut:
            return Mix("mixup", float(lam))
        if self.cutmix_minmax is None:
            box = _box_of_share(stream, lam, height, width, number)
        else:
            box = self._box_between(stream, height, width)
        if self.correct_lam or self.cutmix_minmax is not None:
            lam = number(1.0 - _area(box) / float(height * width))
        return Mix("cutmix", float(lam), box)

    def _cuts(self, side: int) -> tuple[int, int]:
        """The least length of a box's side, and the first that is too long."""
        assert self.cutmix_minmax is not None
        low, high = self.cutmix_minmax
        return int(side * low), int(side * high)

    def _box_between(self, stream: _ringfeed.MixingStream, height: int, width: int) -> Box:
        (low, high), (narrow, wide) = self._cuts(height), self._cuts(width)
        down = low + stream.bounded(high - low)
        across = narrow + stream.bounded(wide - narrow)
        top, left = stream.bounded(height - down + 1), stream.bounded(width - across + 1)
        return left, top, left + across, top + down


def _box_of_share(
    stream: _ringfeed.MixingStream, lam: Any, height: int, width: int, number: Any
) -> Box:
    """timm's: of an odd side the larger half lies right or below. `number`: float or np.float32, in
    which its sides are computed."""
    ratio = np.sqrt(number(1) - number(lam))
    down, across = int(number(height) * ratio), int(number(width) * ratio)
    y, x = stream.bounded(height), stream.bounded(width)
    return (
        max(x - across // 2, 0),
        max(y - down // 2, 0),
        min(x + (across + 1) // 2, width),
        min(y + (down + 1) // 2, height),
    )
