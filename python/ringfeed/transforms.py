"""Torchvision transforms, v1 and v2, as the plan that the core carries out.

What is accepted gives torchvision's values bit for bit; all else is refused by name. Pillow's own
Gaussian blur is a step of its own here. And what may be done to a finished batch, for
`DataLoader(batch_transform=...)`.
"""

from __future__ import annotations

import itertools
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from . import _ringfeed
from ._mixing import CutMix, LabelSmoothing, MixUp
from ._mixing_rules import BatchMix, Mix
from ._pil_gaussian_blur import PILGaussianBlur
from ._script_steps import without_wrappers
from ._transform_compiler import Compiler, Gives
from ._transform_steps import steps
from ._views import Views
from ._views_reader import views_of
from .errors import UnsupportedTransform

if TYPE_CHECKING:  # importing it costs what torch.compile costs
    from ._finish import Finish

__all__ = [
    "BatchMix",
    "CutMix",
    "LabelSmoothing",
    "Mix",
    "MixUp",
    "PILGaussianBlur",
    "UnsupportedTransform",
    "Views",
]


@dataclass(frozen=True)
class Recipe:
    """A transform as the core carries it out."""

    plan: _ringfeed.Plan
    dtype: torch.dtype
    channels_last: bool
    text: str
    """All of it in one line, with the Pillow rule: equal texts give equal tensors."""

    core_plan: _ringfeed.Plan
    """`plan`, or what is left of it where batches are finished on the device."""
    finish: Finish | None = None
    """What is done there."""
    of_default_dtype: str = ""
    """The step that yields torch's default dtype of the moment, as ToTensor does; empty: none."""
    gives: Gives = "tensor"
    """What the transform makes of each image."""

    @property
    def decodes_whole(self) -> bool:
        """A step before the first crop needs all of the image."""
        return self.plan.decodes_whole

    @property
    def views(self) -> tuple[Recipe, ...]:
        return (self,)


@dataclass(frozen=True)
class ViewsRecipe:
    """A transform that gives a list of views, each by its recipe."""

    views: tuple[Recipe, ...]
    container: type[list[Any]] | type[tuple[Any, ...]] = list
    """What the transform gives them in."""
    finish: None = None
    """All is done on the CPU."""

    @property
    def decodes_whole(self) -> bool:
        return any(view.decodes_whole for view in self.views)

    @property
    def text(self) -> str:
        texts = []
        for text, equal in itertools.groupby(view.text for view in self.views):
            count = len(list(equal))
            texts.append(text if count == 1 else f"{count} x {text}")
        return f"views({'; '.join(texts)})"


def compile_transform(
    transform: Any,
    *,
    dtype: torch.dtype | None,
    channels_last: bool,
    pillow: str | None,
    finish_on: str = "cpu",
    images: bool = False,
) -> Recipe | ViewsRecipe:
    """The recipe that gives what `transform` makes of a PIL image, as `dtype`; where that is a list
    of views, a recipe for each.

    `dtype` None is what the transform yields; float16 and bfloat16 round its float32 result to
    nearest even, as Tensor.to does. `pillow` is the version whose resize is reproduced, such as
    "12" or "13.0"; None: the installed one's. `finish_on`: "cpu", or "device" for what travels as
    8-bit images. `images`: whether `transform` may give PIL images. Raises UnsupportedTransform
    naming the step that cannot be reproduced exactly and what to do, ValueError for a `pillow` that
    is no version.
    """
    if transform is None:
        raise UnsupportedTransform(
            "the dataset has no transform: ringfeed yields tensors of one shape, not PIL images. "
            "Give it one, such as Compose([RandomResizedCrop(224), ToTensor()])"
        )
    if not isinstance(channels_last, bool):
        raise TypeError(f"channels_last must be True or False, not {channels_last!r}")
    pillow13 = _is_pillow13(pillow)

    def compile_one(transform: Any) -> Recipe:
        with torch.device("cpu"):  # whatever device is torch's default
            return compile_on_cpu(transform)

    def compile_on_cpu(transform: Any) -> Recipe:
        compiler = Compiler()
        row = steps(transform, compiler.HANDLERS)
        for step in row:
            try:
                compiler.add(step)
            except UnsupportedTransform as error:
                compiler.refuse_further(error, row)
        plan, yielded, text = compiler.finish(dtype, channels_last, pillow13, images)
        follows, gives = compiler.of_default_dtype, compiler.gives
        if finish_on == "cpu":
            layout = channels_last or gives == "image"
            return Recipe(plan, yielded, layout, text, plan, None, follows, gives)
        from ._finish import Finish

        if compiler.erasing is not None and compiler.erasing.fill != "value":
            raise UnsupportedTransform(
                'finish_on="device" erases with constants, and RandomErasing fills with noise, '
                'which is made on the CPU: leave finish_on at "cpu", or give RandomErasing a value'
            )
        value = (0.0,) * 3 if compiler.erasing is None else compiler.erasing.value
        finish = Finish(plan, yielded, compiler.flavour, compiler.mean_std, value)
        return Recipe(plan, yielded, channels_last, text, plan.unfinished(), finish, follows)

    transform = without_wrappers(transform)
    transforms = views_of(transform)
    if transforms is None:
        return compile_one(transform)
    if finish_on != "cpu":
        raise UnsupportedTransform(
            'finish_on="device" takes transforms that give one image, and this one gives several '
            'views: leave finish_on at "cpu"'
        )
    views = []
    for number, each in enumerate(transforms, start=1):
        try:
            view = without_wrappers(each)
            if views_of(view) is not None:
                raise UnsupportedTransform("it gives several views itself: list them all in one")
            views.append(compile_one(view))
        except UnsupportedTransform as error:
            raise UnsupportedTransform(f"view {number}: {error}") from None
    return ViewsRecipe(tuple(views), type(transforms))


def why_not_now(recipe: Recipe | ViewsRecipe) -> str:
    """Why no image can be made while torch's default dtype is what it is; empty where it can."""
    found = torch.get_default_dtype()
    if found == torch.float32:
        return ""
    for view in recipe.views:
        if view.of_default_dtype:
            return (
                f"{view.of_default_dtype}: it yields {found}, torch's default dtype at present: "
                "set it back to torch.float32 before you iterate"
            )
    return ""


def _is_pillow13(pillow: str | None) -> bool:
    if pillow is None:
        try:
            from PIL import __version__ as installed
        except ImportError:
            return True
        if ".post" in installed:
            warnings.warn(
                f"Pillow {installed} is pillow-simd, whose resize rounds otherwise than Pillow's: "
                f"ringfeed gives the pixels of Pillow {installed.split('.post')[0]}. "
                "pillow= says which Pillow is meant, and silences this warning",
                stacklevel=3,
            )
        pillow = installed
    match = re.match(r"(\d+)(\.|$)", pillow) if isinstance(pillow, str) else None
    if match is None:
        raise ValueError(f'pillow must be a version such as "12" or "13.0", not {pillow!r}')
    return int(match[1]) >= 13
