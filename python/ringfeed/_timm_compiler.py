"""timm's policies (timm.data.auto_augment) made into the core's tree, from what they hold."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterable
from typing import Any

from . import _ringfeed
from ._transform_steps import TIMM_POLICIES, Step

_Node = _ringfeed.Augmentation

_MINMAX = "_minmax_level_to_arg"
# Each operation's function and the one that makes its arguments from the level, as timm 1.0 has
# them: another version's may do something else.
_OPERATIONS: dict[str, tuple[str, str | None]] = {
    "AutoContrast": ("auto_contrast", None),
    "Equalize": ("equalize", None),
    "Invert": ("invert", None),
    "Rotate": ("rotate", "_rotate_level_to_arg"),
    "Posterize": ("posterize", "_posterize_level_to_arg"),
    "PosterizeIncreasing": ("posterize", "_posterize_increasing_level_to_arg"),
    "PosterizeOriginal": ("posterize", "_posterize_original_level_to_arg"),
    "Solarize": ("solarize", "_solarize_level_to_arg"),
    "SolarizeIncreasing": ("solarize", "_solarize_increasing_level_to_arg"),
    "SolarizeAdd": ("solarize_add", "_solarize_add_level_to_arg"),
    "Color": ("color", "_enhance_level_to_arg"),
    "ColorIncreasing": ("color", "_enhance_increasing_level_to_arg"),
    "Contrast": ("contrast", "_enhance_level_to_arg"),
    "ContrastIncreasing": ("contrast", "_enhance_increasing_level_to_arg"),
    "Brightness": ("brightness", "_enhance_level_to_arg"),
    "BrightnessIncreasing": ("brightness", "_enhance_increasing_level_to_arg"),
    "Sharpness": ("sharpness", "_enhance_level_to_arg"),
    "SharpnessIncreasing": ("sharpness", "_enhance_increasing_level_to_arg"),
    "ShearX": ("shear_x", "_shear_level_to_arg"),
    "ShearY": ("shear_y", "_shear_level_to_arg"),
    "TranslateX": ("translate_x_abs", "_translate_abs_level_to_arg"),
    "TranslateY": ("translate_y_abs", "_translate_abs_level_to_arg"),
    "TranslateXRel": ("translate_x_rel", "_translate_rel_level_to_arg"),
    "TranslateYRel": ("translate_y_rel", "_translate_rel_level_to_arg"),
    "Desaturate": ("desaturate", f"{_MINMAX}(max_val=1.0, min_val=0.5)"),
    "GaussianBlur": ("gaussian_blur", f"{_MINMAX}(max_val=2.0, min_val=0.1)"),
    "GaussianBlurRand": ("gaussian_blur_rand", _MINMAX),
}
_DRAWN = {"Rotate", "ShearX", "ShearY"}
_DRAWN |= {"TranslateX", "TranslateY", "TranslateXRel", "TranslateYRel"}
_PILLOW = {0: "nearest", 2: "bilinear", 3: "bicubic"}


def _name_of(function: Any) -> str | None:
    """timm's name of one of its functions, with the arguments that are bound to it."""
    if function is None:
        return None
    if isinstance(function, functools.partial) and not function.args:
        bound = ", ".join(f"{name}={value}" for name, value in sorted(function.keywords.items()))
        return f"{_name_of(function.func)}({bound})"
    if getattr(function, "__module__", None) != "timm.data.auto_augment":
        return repr(function)
    return getattr(function, "__qualname__", repr(function))


class _Operations:
    """AugmentOp objects of one step."""

    def __init__(self, step: Step) -> None:
        self.step = step
        version = getattr(sys.modules.get("timm"), "__version__", "")
        if not version.startswith("1.0."):
            step.refuse(
                f"it is of timm {version}, whose levels may be others: ringfeed knows timm 1.0's"
            )

    def node(self, op: Any) -> _Node:
        known = type(op).__module__ == "timm.data.auto_augment" and type(op).__name__ == "AugmentOp"
        if not known:
            self.step.refuse(f"{op!r} is no AugmentOp of timm's")
        name = op.name
        if _OPERATIONS.get(name) != (_name_of(op.aug_fn), _name_of(op.level_fn)):
            self._refuse(op, "its functions are not those of timm 1.0")
        if unknown := sorted(op.kwargs.keys() - {"resample", "fillcolor"}):
            self._refuse(op, f"its kwargs have {unknown[0]}, which timm does not set")
        probability = float(op.prob)
        magnitude, std = float(op.magnitude), float(op.magnitude_std)
        most = float(op.magnitude_max or 10)
        if math.isnan(probability) or math.isnan(std) or not math.isfinite(magnitude):
            self._refuse(op, "prob, magnitude and magnitude_std must be numbers")
        if not 0 < most <= 1e4:
            self._refuse(op, "magnitude_max must be in (0, 1e4]")
        interpolations, fill = self._drawing(op) if name in _DRAWN else (["bilinear"], (0, 0, 0))
        node = _ringfeed.timm_operation(
            name, magnitude, max(std, 0.0), most, self._translate(op), interpolations, fill
        )
        return _ringfeed.applied(node, min(max(probability, 0.0), 1.0))

    def _refuse(self, op: Any, why: str) -> None:
        self.step.refuse(f"{op!r}: {why}")

    def _translate(self, op: Any) -> float:
        if op.name in ("TranslateX", "TranslateY"):
            if "translate_const" not in op.hparams:
                self._refuse(op, "timm wants hparams with translate_const for it")
            return float(op.hparams["translate_const"])
        return float(op.hparams.get("translate_pct", 0.45))

    def _drawing(self, op: Any) -> tuple[list[str], tuple[int, int, int]]:
        resample = op.kwargs.get("resample", 3)
        choices = list(resample) if isinstance(resample, list | tuple) else [resample]
        names = [_PILLOW.get(choice) for choice in choices]
        if not names or None in names:
            self._refuse(op, "interpolation must be Pillow's NEAREST, BILINEAR or BICUBIC, or some")
        fill = op.kwargs.get("fillcolor")
        fill = (0, 0, 0) if fill is None else fill
        if (
            not isinstance(fill, list | tuple)
            or len(fill) != 3
            or not all(isinstance(v, int) and 0 <= v <= 255 for v in fill)
        ):
            self._refuse(op, "img_mean must be three whole numbers in [0, 255]")
        return [str(name) for name in names], (fill[0], fill[1], fill[2])

    def nodes(self, ops: Iterable[Any]) -> list[_Node]:
        found = [self.node(op) for op in ops]
        if not found:
            self.step.refuse("it has no operation to choose")
        return found


def _augment_op(step: Step, size: tuple[int, int] | None) -> _Node:
    return _Operations(step).node(step.transform)


def _auto_augment(step: Step, size: tuple[int, int] | None) -> _Node:
    operations = _Operations(step)
    policy = step.transform.policy
    if not policy:
        step.refuse("its policy is empty")
    return _ringfeed.one_of(
        [_ringfeed.in_order([operations.node(op) for op in sub_policy]) for sub_policy in policy]
    )


def _rand_augment(step: Step, size: tuple[int, int] | None) -> _Node:
    nodes = _Operations(step).nodes(step.transform.ops)
    weights, count = step.transform.choice_weights, int(step.transform.num_layers)
    if weights is None:
        return _ringfeed.in_order([_ringfeed.one_of(nodes)] * count)
    weights = [float(weight) for weight in weights]
    # NumPy, which chooses in timm, takes sums as far from 1 as this.
    if len(weights) != len(nodes) or min(weights) < 0 or abs(sum(weights) - 1) > 1e-6:
        step.refuse("choice_weights must be a probability for each of its ops")
    if count > sum(weight > 0 for weight in weights):
        step.refuse("num_layers is more than there are ops of a weight above 0")
    return _ringfeed.some_of(nodes, count, weights)


def _aug_mix(step: Step, size: tuple[int, int] | None) -> _Node:
    transform = step.transform
    nodes = _Operations(step).nodes(transform.ops)
    alpha, width, depth = float(transform.alpha), int(transform.width), int(transform.depth)
    return _ringfeed.aug_mix(nodes, alpha, width, max(depth, 0), bool(transform.blended))


TIMM_HANDLERS: dict[str, Callable[[Step, tuple[int, int] | None], _Node]] = {
    TIMM_POLICIES["AugmentOp"]: _augment_op,
    TIMM_POLICIES["AutoAugment"]: _auto_augment,
    TIMM_POLICIES["RandAugment"]: _rand_augment,
    TIMM_POLICIES["AugMixAugment"]: _aug_mix,
}
