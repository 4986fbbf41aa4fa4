"""The steps of a transform that change the 8-bit image, made into the core's tree."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np

from . import _ringfeed
from ._geometry_compiler import node_of
from ._head import GEOMETRY
from ._head import probability_of as _probability
from ._timm_compiler import TIMM_HANDLERS
from ._transform_steps import Step, fill_of, interpolation_of
from .errors import UnsupportedTransform

_Node = _ringfeed.Augmentation
_Drawing = Literal["nearest", "bilinear", "bicubic"]


_Size = tuple[int, int] | None  # None: the images' sizes differ


class Augmentations:
    """The nodes so far, and the size that an image of `size` has behind them."""

    def __init__(self, size: _Size) -> None:
        self.size = size
        self.nodes: list[_Node] = []
        self._names: list[str] = []

    def __bool__(self) -> bool:
        return bool(self.nodes)

    def add(self, step: Step) -> None:
        try:
            node = _node(step, self.size)
            _ringfeed.in_order([*self.nodes, node]).check()
        except UnsupportedTransform:
            raise
        except (TypeError, ValueError) as error:
            step.refuse(str(error).removeprefix("TransformPlan: augmentation, "))
        self.nodes.append(node)
        self.size = node.size_after(self.size)
        self._names.append(str(step.kind))

    def __str__(self) -> str:
        """The steps' names, and a digest of all that they do."""
        digest = hashlib.sha256("\n".join(map(str, self.nodes)).encode()).hexdigest()
        return f"augment({', '.join(self._names)}; {digest[:16]})"


def _node(step: Step, size: _Size) -> _Node:
    if step.kind is None:
        step.refuse_unknown()
    if step.kind not in HANDLERS:
        step.not_native("ringfeed cannot do this here")
    return HANDLERS[step.kind](step, size)


def _all(step: Step, size: _Size) -> list[_Node]:
    """Its children, each for an image of `size`."""
    return [_node(child, size) for child in step.children]


def _in_order(step: Step, size: _Size) -> _Node:
    nodes = []
    for child in step.children:
        nodes.append(_node(child, size))
        size = nodes[-1].size_after(size)
    return _ringfeed.in_order(nodes)


def _random_apply(step: Step, size: _Size) -> _Node:
    probability = _probability(step)
    # Of steps that never happen nobody asks whether they could.
    node = _in_order(step, size) if probability > 0 else _ringfeed.in_order([])
    return _ringfeed.applied(node, probability)


def _random_order(step: Step, size: _Size) -> _Node:
    nodes = _all(step, size)
    if any(node.size_after(size) != size for node in nodes):
        nodes = _all(step, None)  # which size each finds depends on the order
    return _ringfeed.shuffled(nodes)


def _random_choice(step: Step, size: _Size) -> _Node:
    weights = step.transform.p
    if not step.children:
        step.refuse("there is no transform to choose")
    if weights is not None and (
        len(weights) != len(step.children) or min(weights) < 0 or not 0 < sum(weights) < math.inf
    ):
        step.refuse("p must be a weight for each transform, 0 or more, and not all 0")
    if weights is None:
        return _ringfeed.one_of(_all(step, size))
    possible = [(child, float(w)) for child, w in zip(step.children, weights, strict=True) if w > 0]
    return _ringfeed.one_of([_node(child, size) for child, _ in possible], [w for _, w in possible])


def _color_jitter(step: Step, size: _Size) -> _Node:
    nodes = []
    for kind in ("brightness", "contrast", "saturation", "hue"):
        if (drawn := getattr(step.transform, kind)) is None:
            continue
        low, high = (float(value) for value in drawn)
        most = 0.5 if kind == "hue" else math.inf
        if not (-most if kind == "hue" else 0) <= low <= high <= most or math.isinf(high):
            step.refuse(f"{kind} must be a range (min, max) that torchvision takes")
        nodes.append(_ringfeed.random_adjustment(kind, (low, high)))
    return _ringfeed.shuffled(nodes)


def _grayscale(step: Step, size: _Size) -> _Node:
    if step.transform.num_output_channels != 3:
        step.refuse("it leaves one channel, and ringfeed's images have three: Grayscale(3)")
    return _ringfeed.operation("grayscale")


def _posterize(step: Step, size: _Size) -> _Node:
    bits = step.transform.bits
    if not isinstance(bits, int) or not 1 <= bits <= 8:
        step.refuse("bits must be a whole number in [1, 8]")
    return _applied_operation(step, "posterize", bits)


def _solarize(step: Step, size: _Size) -> _Node:
    threshold = float(step.transform.threshold)
    if not math.isfinite(threshold):
        step.refuse("threshold must be a finite number")
    return _applied_operation(step, "solarize", threshold)


def _sharpness(step: Step, size: _Size) -> _Node:
    factor = float(step.transform.sharpness_factor)
    if not 0 <= factor < math.inf:
        step.refuse("sharpness_factor must be 0 or more")
    return _applied_operation(step, "sharpness", factor)


def _applied_operation(step: Step, kind: str, value: float = 0) -> _Node:
    return _ringfeed.applied(_ringfeed.operation(kind, value), _probability(step))


def _plain(kind: str) -> Callable[[Step, _Size], _Node]:
    """A class that has nothing but its probability."""
    return lambda step, size: _applied_operation(step, kind)


def _drawing(step: Step) -> _Drawing:
    name = interpolation_of(step)
    if name not in ("nearest", "bilinear", "bicubic"):
        step.refuse(f"Pillow cannot draw with {name}: use NEAREST, BILINEAR or BICUBIC")
    return name


def _center(step: Step) -> tuple[float, float] | None:
    center = step.transform.center
    return None if center is None else (float(center[0]), float(center[1]))


def _range(step: Step, name: str, values: Iterable[float]) -> tuple[float, float]:
    low, high = (float(value) for value in values)
    if not -1e6 <= low <= high <= 1e6:
        step.refuse(f"{name} must be a range (min, max)")
    return low, high


def _random_rotation(step: Step, size: _Size) -> _Node:
    if step.transform.expand:
        step.refuse("expand=True makes images of different shapes, which make no batch")
    degrees = _range(step, "degrees", step.transform.degrees)
    return _ringfeed.random_rotation(degrees, _drawing(step), fill_of(step), _center(step))


def _random_affine(step: Step, size: _Size) -> _Node:
    transform = step.transform
    shear = list(transform.shear or (0, 0))
    translate = transform.translate or (0, 0)
    return _ringfeed.random_affine(
        _range(step, "degrees", transform.degrees),
        (float(translate[0]), float(translate[1])),
        _range(step, "scale", transform.scale or (1, 1)),
        _range(step, "shear", shear[:2]),
        _range(step, "shear", shear[2:] or (0, 0)),
        _drawing(step),
        fill_of(step),
        _center(step),
    )


def _random_perspective(step: Step, size: _Size) -> _Node:
    scale = float(step.transform.distortion_scale)
    if not 0 <= scale <= 1:
        step.refuse("distortion_scale must be in [0, 1]")
    if size is not None and min(size) < 2:
        step.refuse("an image with a side of one pixel has no four corners: leave it out")
    node = _ringfeed.random_perspective(scale, _drawing(step), fill_of(step))
    return _ringfeed.applied(node, _probability(step))


class _Policy:
    """The tables of an AutoAugment, RandAugment or TrivialAugmentWide, as the object has them."""

    def __init__(self, step: Step, size: _Size, bins: int) -> None:
        if size is None:
            step.refuse(
                "its magnitudes depend on the size of the image, and the images have different "
                "sizes where it stands: move it behind a crop, or a resize to height and width"
            )
        self.step, self.size = step, size
        self.drawing, self.fill = _drawing(step), fill_of(step)
        wide = step.kind == "TrivialAugmentWide"
        if step.v2:
            space = {
                name: (magnitudes(bins, *size), signed)
                for name, (magnitudes, signed) in step.transform._AUGMENTATION_SPACE.items()
            }
        else:
            space = step.transform._augmentation_space(*((bins,) if wide else (bins, size)))
        self.space = {
            name: (self._magnitudes(name, magnitudes), signed)
            for name, (magnitudes, signed) in space.items()
        }
        # torch.linspace's last bit depends on the processor. Where a table is torchvision's,
        # ringfeed's numbers take its place, which are the same everywhere.
        for name, magnitudes, signed in _ringfeed.policy_scales(*size, bins, wide, step.v2):
            if step.v2 and len(self.space.get(name, ([],))[0]) not in (0, bins):
                step.refuse(f"its magnitudes of {name} are not num_magnitude_bins")
            if name in self.space and self.space[name][1] == signed:
                found = self.space[name][0]
                if len(found) == len(magnitudes) and np.allclose(found, magnitudes, 4e-7, 0):
                    self.space[name] = magnitudes, signed

    def _magnitudes(self, name: str, magnitudes: Any) -> list[float]:
        """Empty where it has none."""
        if magnitudes is None or magnitudes.ndim == 0:
            return []
        # v2 multiplies this one when its turn comes.
        factor = 255.0 if self.step.v2 and name == "Solarize" else 1.0
        return [factor * float(magnitude) for magnitude in magnitudes]

    def node(self, name: str, bin: int | None) -> _Node:
        magnitudes, signed = self.space[name]
        magnitude = magnitudes[bin] if magnitudes and bin is not None else 0.0
        if not signed:
            return self._operation(name, magnitude)
        return _ringfeed.one_of(
            [self._operation(name, magnitude), self._operation(name, -magnitude)]
        )

    def _operation(self, name: str, magnitude: float) -> _Node:
        return _ringfeed.policy_operation(name, magnitude, *self.size, self.drawing, self.fill)


def _auto_augment(step: Step, size: _Size) -> _Node:
    policy = _Policy(step, size, 10)
    tables = step.transform._policies if step.v2 else step.transform.policies
    return _ringfeed.one_of(
        [
            _ringfeed.in_order([_ringfeed.applied(policy.node(n, b), p) for n, p, b in parts])
            for parts in tables
        ]
    )


def _rand_augment(step: Step, size: _Size) -> _Node:
    transform = step.transform
    bins = transform.num_magnitude_bins
    if not 0 <= transform.magnitude < bins:
        step.refuse("magnitude must be in [0, num_magnitude_bins)")
    policy = _Policy(step, size, bins)
    choice = _ringfeed.one_of([policy.node(name, transform.magnitude) for name in policy.space])
    return _ringfeed.in_order([choice] * transform.num_ops)


def _trivial_augment(step: Step, size: _Size) -> _Node:
    policy = _Policy(step, size, step.transform.num_magnitude_bins)
    return _ringfeed.one_of(
        [
            _ringfeed.one_of([policy.node(name, bin) for bin in range(len(magnitudes) or 1)])
            for name, (magnitudes, _) in policy.space.items()
        ]
    )


def _on_tensors(step: Step, size: _Size) -> _Node:
    step.not_native(
        "torchvision computes it on tensors even for PIL images, and the bits depend on torch's "
        "kernels for this CPU"
    )


def _gaussian_blur(step: Step, size: _Size) -> _Node:
    step.not_native(
        "torchvision computes it on tensors even for PIL images, and the bits depend on torch's "
        "kernels for this CPU. ringfeed.transforms.PILGaussianBlur is Pillow's own blur, to be had "
        "here"
    )


def _pil_gaussian_blur(step: Step, size: _Size) -> _Node:
    node = _ringfeed.random_adjustment("gaussian_blur", step.transform.radius)
    return _ringfeed.applied(node, _probability(step))


HANDLERS: dict[str, Callable[[Step, _Size], _Node]] = {
    "Compose": _in_order,
    "Sequential": _in_order,
    "RandomApply": _random_apply,
    "RandomOrder": _random_order,
    "RandomChoice": _random_choice,
    "RandomHorizontalFlip": _plain("hflip"),
    "RandomVerticalFlip": _plain("vflip"),
    "ColorJitter": _color_jitter,
    "Grayscale": _grayscale,
    "RandomGrayscale": _plain("grayscale"),
    "RandomInvert": _plain("invert"),
    "RandomAutocontrast": _plain("autocontrast"),
    "RandomEqualize": _plain("equalize"),
    "RandomPosterize": _posterize,
    "RandomSolarize": _solarize,
    "RandomAdjustSharpness": _sharpness,
    "RandomRotation": _random_rotation,
    "RandomAffine": _random_affine,
    "RandomPerspective": _random_perspective,
    "AutoAugment": _auto_augment,
    "RandAugment": _rand_augment,
    "TrivialAugmentWide": _trivial_augment,
    "PILGaussianBlur": _pil_gaussian_blur,
    **TIMM_HANDLERS,
    **dict.fromkeys(GEOMETRY, node_of),
    "AugMix": _on_tensors,
    "GaussianBlur": _gaussian_blur,
    "ElasticTransform": _on_tensors,
}
