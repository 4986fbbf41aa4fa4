"""The steps that change an image's size, behind the head, made into the core's tree."""

from __future__ import annotations

from collections.abc import Callable

from . import _ringfeed
from ._head import check_fits, crop_of, interpolations_of, padding_of, resize_of
from ._transform_steps import LONGEST_SIDE, Step, fill_of, interpolation_of

_Node = _ringfeed.Augmentation
_BLACK = (0, 0, 0)
_LONGEST_ON_THE_WAY = _ringfeed.largest["canvas_side"]


def _outside(step: Step) -> tuple[_ringfeed.PaddingMode, tuple[int, int, int]]:
    """What is beyond the image's border: a mode, and the colour where that is constant."""
    mode: _ringfeed.PaddingMode = step.transform.padding_mode
    if mode not in ("constant", "edge", "reflect", "symmetric"):
        step.refuse('padding_mode must be "constant", "edge", "reflect" or "symmetric"')
    return mode, fill_of(step) if mode == "constant" else _BLACK


def node_of(step: Step, size: tuple[int, int] | None) -> _Node:
    """Any of these steps for images of `size`; None: their sizes differ."""
    node = _NODES[step.kind or ""](step)
    after = node.size_after(size)
    if size is not None and after is not None:
        if min(after) < 1:
            step.refuse(f"it leaves nothing of images of {size[0]} x {size[1]} pixels")
        if max(after) > _LONGEST_ON_THE_WAY:
            step.refuse(
                f"images have {after[0]} x {after[1]} pixels behind it, and {_LONGEST_ON_THE_WAY} "
                "on a side is the most"
            )
    if size is not None and step.kind == "RandomCrop":
        check_fits(step, size)
    return node


def _resized_crop(step: Step) -> _Node:
    return _ringfeed.resized_crop(crop_of(step).native())


def _resize(step: Step) -> _Node:
    geometry = resize_of(step)
    assert geometry.resize is not None
    return _ringfeed.resize(geometry.resize, geometry.max_size, interpolation_of(step))


def _center_crop(step: Step) -> _Node:
    return _ringfeed.center_crop(step.pair(), "constant", _BLACK)


def _random_crop(step: Step) -> _Node:
    size, padding = step.pair(), padding_of(step)
    if min(padding) < 0:
        step.refuse("padding must be 0 or more: crop before it instead")
    needed = bool(step.transform.pad_if_needed)
    mode, fill = _outside(step) if needed or any(padding) else ("constant", _BLACK)
    # v1 pads what it has padded before, v2 once by the sum: mirrored, that is not the same.
    if needed and any(padding) and not step.v2 and mode in ("reflect", "symmetric"):
        none = (0, 0, 0, 0)
        return _ringfeed.in_order(
            [
                _ringfeed.pad(padding, mode, fill),
                _ringfeed.random_crop(size, none, True, mode, fill),
            ]
        )
    return _ringfeed.random_crop(size, padding, needed, mode, fill)


def _pad(step: Step) -> _Node:
    sides = padding_of(step)
    mode, fill = _outside(step)
    if min(sides) < 0 and mode != "constant":
        step.refuse('padding below 0 goes with padding_mode="constant" alone: crop instead')
    return _ringfeed.pad(sides, mode, fill)


def _keep_ratio(step: Step) -> _Node:
    transform = step.transform

    def drawn(name: str) -> tuple[float, tuple[float, float]]:
        """A factor's probability and range, which does not matter where it is never drawn."""
        probability = float(getattr(transform, f"random_{name}_prob"))
        low, high = getattr(transform, f"random_{name}_range") if probability else (1, 1)
        return probability, (float(low), float(high))

    return _ringfeed.resize_keep_ratio(
        step.pair(),
        float(transform.longest),
        interpolations_of(step),
        *drawn("scale"),
        bool(transform.random_scale_area),
        *drawn("aspect"),
    )


def _center_crop_or_pad(step: Step) -> _Node:
    return _ringfeed.center_crop(step.pair(), *_outside(step))


def _random_crop_or_pad(step: Step) -> _Node:
    return _ringfeed.random_crop_or_pad(step.pair(), *_outside(step))


def _trim_border(step: Step) -> _Node:
    border = step.transform.border_size
    if not isinstance(border, int) or not 0 <= border <= LONGEST_SIDE:
        step.refuse(f"border_size must be in [0, {LONGEST_SIDE}]")
    return _ringfeed.pad((-border,) * 4, "constant", _BLACK)


_NODES: dict[str, Callable[[Step], _Node]] = {
    "RandomResizedCrop": _resized_crop,
    "Resize": _resize,
    "CenterCrop": _center_crop,
    "RandomCrop": _random_crop,
    "Pad": _pad,
    "RandomResizedCropAndInterpolation": _resized_crop,
    "ResizeKeepRatio": _keep_ratio,
    "CenterCropOrPad": _center_crop_or_pad,
    "RandomCropOrPad": _random_crop_or_pad,
    "TrimBorder": _trim_border,
}
