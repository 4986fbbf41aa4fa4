"""What a class or function of a script's own does to an image, where all of it is to apply
transforms: read from its code."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import _ringfeed
from ._called import called_of
from ._function_reader import FunctionReader
from ._function_tree import function_tree
from ._operation_reader import OperationReader
from .errors import UnsupportedTransform


class ToRGB:
    """In the place of a script's `image.convert("RGB")`."""

    def __call__(self, image: Any) -> Any:
        return image.convert("RGB")


class Chain(NamedTuple):
    transforms: list[Any]
    """That are applied one after the other; empty: the image comes back as it is."""
    takes_image: bool
    """Whether it works with PIL images alone."""


def chain_of(transform: Any) -> Chain | None:
    """The transforms that a script's class or function applies to the image, where it does nothing
    else, as the presets of torchvision's references; or those that do what its call of Pillow
    does. None: it does more, or is none."""
    called = called_of(transform)
    tree = None if called is None else function_tree(called[0])
    if called is None or tree is None:
        return None
    for kind in (OperationReader, FunctionReader):
        reader = kind(called[0], "")
        try:
            transforms = reader.chain(tree, called[1])
        except UnsupportedTransform:
            continue
        if transforms is not None:
            return Chain(transforms, reader.takes_image)
    return None


def without_wrappers(transform: Any) -> Any:
    """The transform within classes that apply this one alone."""
    for _ in range(_ringfeed.largest["views"]):
        chain = chain_of(transform)
        if chain is None or len(chain.transforms) != 1:
            break
        transform = chain.transforms[0]
    return transform
