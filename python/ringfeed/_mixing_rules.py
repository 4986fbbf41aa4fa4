"""What is drawn for a batch, by torchvision's rules and by timm's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

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
        weighed = [(c.kind, c.alpha, weight) for c, weight in zip(self.choices, self.weights)]
        chosen, mix = _ringfeed.choose_mix(stream, weighed, height, width)
        choice = self.choices[chosen]
        return BatchMix(
            position, "before", (Mix(*mix),), choice.num_classes, choice.label_smoothing
        )


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
        minmax = self.cutmix_minmax
        if minmax is not None and not _ringfeed.has_cutmix_box(minmax, height, width):
            raise ValueError(
                f"cutmix_minmax={minmax} of timm's Mixup leaves no box to draw in images of "
                f"{height} x {width}: widen it"
            )

    def draw(
        self, stream: _ringfeed.MixingStream, position: int, size: int, height: int, width: int
    ) -> BatchMix:
        mixes = _ringfeed.draw_timm_mix(
            stream,
            size=size,
            height=height,
            width=width,
            mixup_alpha=self.mixup_alpha,
            cutmix_alpha=self.cutmix_alpha,
            cutmix_minmax=self.cutmix_minmax,
            prob=self.mix_prob if self.mixup_enabled else 0.0,
            switch_prob=self.switch_prob,
            mode=self.mode,
            correct_lam=self.correct_lam,
        )
        drawn = tuple(Mix(*mix) for mix in mixes)
        return BatchMix(position, "mirrored", drawn, self.num_classes, self.label_smoothing)
