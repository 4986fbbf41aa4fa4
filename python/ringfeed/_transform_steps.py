"""A torchvision transform, v1 or v2, as a row of steps whose classes ringfeed knows."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Literal, NoReturn

import numpy as np
import torch

from . import _ringfeed
from ._own_behaviour import own_behaviour
from ._pil_gaussian_blur import PILGaussianBlur
from ._script_steps import ToRGB, chain_of
from .errors import UnsupportedTransform, not_native

_ACCEPTED = (
    "ringfeed does resizes, crops and padding to one size, flips, changes of colour, rotations, "
    "AutoAugment and its kin, in any order; then ToTensor, or PILToTensor / ToImage with ToDtype / "
    "ConvertImageDtype; then Normalize"
)
ELSEWHERE = f"{_ACCEPTED}. Leave this step out"

Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
# torchvision's modes and Pillow's numbers. On PIL images its two kinds of nearest are one.
_INTERPOLATIONS: dict[str | int, Interpolation] = {
    "nearest": "nearest",
    "nearest-exact": "nearest",
    "box": "box",
    "bilinear": "bilinear",
    "hamming": "hamming",
    "bicubic": "bicubic",
    "lanczos": "lanczos",
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
    4: "box",
    5: "hamming",
}
_CONTAINERS = ("Compose", "Sequential", "RandomApply", "RandomChoice", "RandomOrder")
_IN_ORDER = ("Compose", "Sequential", "ImageClassification")
LONGEST_SIDE = _ringfeed.largest["side"]

# What decides what a transform does to an image; a subclass may override anything else.
_BEHAVIOUR = (
    "__call__",
    "forward",
    "transform",
    "_transform",
    "make_params",
    "_get_params",
    "get_params",
    "check_inputs",
    "_call_kernel",
    "_needs_transform_list",
    "_transformed_types",
    "_apply_image_or_video_transform",
    "_get_random_item",
    "_flatten_and_extract_image_or_video",
    "_unflatten_and_insert_image_or_video",
    "_generate_value",
    "_erase",
    "_apply_basic",
    "_apply_blended",
    "_calc_blended_weights",
)

TIMM_ERASING = "timm's RandomErasing"
TIMM_SHAPES = (
    "RandomResizedCropAndInterpolation",
    "ResizeKeepRatio",
    "CenterCropOrPad",
    "RandomCropOrPad",
    "TrimBorder",
)
# Those that make a tensor, or an array of the same values, of a PIL image.
TIMM_TENSORS = ("MaybeToTensor", "MaybePILToTensor", "ToNumpy")
TIMM_TO_TENSOR = "timm's ToTensor"
# Each policy's class of timm's, and under which name it is known.
TIMM_POLICIES = {
    name: f"timm's {name}" for name in ("AugmentOp", "AutoAugment", "RandAugment", "AugMixAugment")
}
# Modules and classes of timm's that are known, and under which name.
_TIMM = {("timm.data.random_erasing", "RandomErasing"): TIMM_ERASING}
_TIMM |= {("timm.data.transforms", "ToTensor"): TIMM_TO_TENSOR}
_TIMM |= {("timm.data.transforms", name): name for name in (*TIMM_SHAPES, *TIMM_TENSORS)}
_TIMM |= {("timm.data.auto_augment", name): kind for name, kind in TIMM_POLICIES.items()}


@dataclass(frozen=True)
class Step:
    transform: Any
    place: str
    kind: str | None
    """The class it is, torchvision's if not said otherwise, or is a subclass of; None: no known
    one."""
    v2: bool = False
    children: tuple[Step, ...] = ()
    """The steps within it."""
    changed: str = ""
    """Which of a known class's methods it has replaced."""

    def with_children(self) -> Iterator[Step]:
        yield self
        for child in self.children:
            yield from child.with_children()

    def refuse(self, why: str) -> NoReturn:
        raise UnsupportedTransform(f"{self}: {why}")

    def not_native(self, why: str) -> NoReturn:
        """Of a step that ringfeed cannot carry out, whatever its arguments."""
        not_native(f"{self}: {why}. {ELSEWHERE}", UnsupportedTransform)

    def refuse_unknown(self) -> NoReturn:
        """Of no class that is known here: says what there is in its place."""
        if self.changed:
            self.not_native(f"it has {self.changed}, which ringfeed cannot carry out")
        name = type(self.transform).__name__
        if isinstance(self.transform, list | tuple):
            self.refuse(
                "it is no transform but several: put them into a Compose (timm's "
                "create_transform(separate=True) gives three, leave separate out)"
            )
        if name in ("MixUp", "CutMix", "Mixup", "RandomMixup", "RandomCutmix"):
            self.refuse(
                "it mixes the images of a batch, and a transform is given one: hand it over as "
                "batch_transform="
            )
        hint = ""
        if "blur" in name.lower():
            hint = ". ringfeed.transforms.PILGaussianBlur(radius, p) is Pillow's blur, done here"
        elif "solar" in name.lower():
            hint = ". torchvision's RandomSolarize(threshold, p) is done here"
        self.not_native(f"ringfeed cannot do this{hint}")

    def __str__(self) -> str:
        shown = " ".join(repr(self.transform).split())
        if len(shown) > 300:
            shown = f"{shown[:280]} ... {shown[-15:]}"
        return f"{self.place}, {shown}"

    def sizes(self) -> list[int]:
        """Its `size`: one number or two."""
        size = self.transform.size
        try:
            sizes = [operator.index(s) for s in (size if hasattr(size, "__len__") else [size])]
        except TypeError:
            self.refuse(f"size must be whole numbers, not {size!r}")
        if not 1 <= min(sizes) <= max(sizes) <= LONGEST_SIDE:
            self.refuse(f"size must be in [1, {LONGEST_SIDE}]")
        return sizes

    def pair(self) -> tuple[int, int]:
        """Its `size` as height and width."""
        sizes = self.sizes()
        return sizes[0], sizes[-1]

    def ratio(self) -> tuple[float, float]:
        """Its `ratio`, of which v2 keeps the logarithm."""
        low, high = self.transform.ratio
        kept = getattr(self.transform, "_log_ratio", None)
        if kept is not None:
            log = torch.log(torch.tensor([low, high], dtype=kept.dtype))  # the default of its time
            if not torch.equal(self._on_cpu(kept), log):
                self.refuse("ratio was changed after it was made, which torchvision does not see")
        return float(low), float(high)

    def channels(self, name: str) -> list[float]:
        """mean or std as torchvision takes it: a value a channel, or one for all."""
        given = self._on_cpu(getattr(self.transform, name))
        found = torch.as_tensor(given, dtype=torch.float32)
        values = found.flatten().tolist()
        # Others of torchvision's shapes would be spread over rows or columns.
        by_channel = found.ndim < 2 or found.shape == (len(values), 1, 1)
        if len(values) not in (1, 3) or not by_channel or not np.isfinite(values).all():
            self.refuse(f"{name} must be one finite number for each of the channels R, G and B")
        return values * (3 // len(values))

    def _on_cpu(self, numbers: Any) -> Any:
        if not isinstance(numbers, torch.Tensor):
            return numbers
        if numbers.is_meta:
            self.refuse("it was made on the meta device and holds no numbers: make it elsewhere")
        return numbers.cpu()


def interpolation_of(step: Step, named: Any = None) -> Interpolation:
    """The filter that it, or else `named`, names: an InterpolationMode, its name, or Pillow's
    number. antialias= does not matter: Pillow always antialiases, as torchvision's documentation
    says."""
    interpolation = step.transform.interpolation if named is None else named
    known = _INTERPOLATIONS.get(getattr(interpolation, "value", interpolation))
    if known is None:
        step.refuse("its interpolation is none of Pillow's: use an InterpolationMode")
    return known


def fill_of(step: Step) -> tuple[int, int, int]:
    """The colour that torchvision gives Pillow for its `fill`."""
    fill: Any = step.transform._fill if step.v2 else step.transform.fill
    if isinstance(fill, dict):
        from PIL import Image

        fill = fill[Image.Image] if Image.Image in fill else fill.get("others")
    if fill is None:
        fill = 0
    if not isinstance(fill, (int, float, list, tuple)):
        step.refuse(f"fill must be a number or three, not {fill!r}")
    values = [int(v) for v in (fill if isinstance(fill, (list, tuple)) else [fill])]
    if len(values) not in (1, 3) or not 0 <= min(values) <= max(values) <= 255:
        step.refuse("fill must be a number in [0, 255], or one for each of R, G and B")
    return values[0], values[len(values) // 2], values[-1]


def steps(transform: Any, kinds: Iterable[str]) -> Iterator[Step]:
    """Every step, those within Compose, Sequential and presets one by one. `kinds`: torchvision's
    names of the classes that are known besides."""
    classes = _known_classes(kinds)

    def parse(node: Any, place: str, around: tuple[Any, ...] = ()) -> Step:
        base = next((c for c in type(node).__mro__ if c in classes), None)
        name, v2 = classes[base] if base is not None else (None, False)
        where = f"step {place}" if place else "the transform"
        own = None if base is None else own_behaviour(node, base, _BEHAVIOUR)
        if own is not None and chain_of(node) is None:
            return Step(node, where, None, v2, changed=own)
        if own is not None:  # a method of its own, that applies transforms
            base, name = None, None
        elif base is None and (known := _known_function(node)) is not None:
            name = known
        within: Iterable[Any] = ()
        if name == "ImageClassification":
            within = _preset_steps(node)
        elif name in _CONTAINERS:
            within = node if name == "Sequential" else node.transforms
        elif base is None and name is None and not any(node is outer for outer in around):
            chain = chain_of(node)
            if chain is not None and len(chain.transforms) == 1 and not chain.takes_image:
                return parse(chain.transforms[0], place, (*around, node))
            if chain is not None:
                name = "Compose"
                within = [ToRGB(), *chain.transforms] if chain.takes_image else chain.transforms
        children = tuple(
            parse(child, f"{place}.{number}" if place else str(number), (*around, node))
            for number, child in enumerate(within, start=1)
        )
        return Step(node, where, name, v2, children)

    def flat(step: Step) -> Iterator[Step]:
        if step.kind not in _IN_ORDER:
            yield step
        for child in step.children if step.kind in _IN_ORDER else ():
            yield from flat(child)

    return flat(parse(transform, ""))


def _known_function(node: Any) -> str | None:
    """The class whose objects do what this function of torchvision's does."""
    from torchvision.transforms import functional

    known = {functional.to_tensor: "ToTensor", functional.pil_to_tensor: "PILToTensor"}
    return known.get(node) if isinstance(node, FunctionType) else None


def _preset_steps(preset: Any) -> list[Any]:
    """What torchvision's preset for pretrained weights does, `weights.transforms()`."""
    from torchvision import transforms as v1

    return [
        v1.Resize(preset.resize_size, preset.interpolation, antialias=preset.antialias),
        v1.CenterCrop(preset.crop_size),
        v1.PILToTensor(),
        v1.ConvertImageDtype(torch.float),
        v1.Normalize(preset.mean, preset.std),
    ]


def _known_classes(kinds: Iterable[str]) -> dict[type, tuple[str, bool]]:
    """Class -> its name and whether it is of v2."""
    # Here, not above: whoever has such a transform has imported torchvision, others need not.
    from torchvision import transforms as v1
    from torchvision.transforms import _presets, v2

    classes: dict[type, tuple[str, bool]] = {
        torch.nn.Sequential: ("Sequential", False),
        torch.nn.Identity: ("Identity", False),
        _presets.ImageClassification: ("ImageClassification", False),
        PILGaussianBlur: ("PILGaussianBlur", False),
        ToRGB: ("ToRGB", False),
    }
    for module in (v1, v2):
        for name in ("Compose", *kinds):
            if hasattr(module, name):
                classes[getattr(module, name)] = name, module is v2
    for (where, name), kind in _TIMM.items():
        # Whoever has an object of the class has imported its module.
        if (found := getattr(sys.modules.get(where), name, None)) is not None:
            classes[found] = kind, False
    return classes
