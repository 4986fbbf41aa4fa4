"""What a class or function of a script's own does to an image, where all of it is to apply
transforms: read from its code."""

from __future__ import annotations

import inspect
import sys
import types
from typing import Any, NamedTuple

import torch

from . import _ringfeed
from ._function_reader import FunctionReader
from ._function_tree import function_tree
from ._operation_reader import OperationReader
from ._own_behaviour import own_behaviour
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


def called_of(transform: Any) -> tuple[types.FunctionType, Any] | None:
    """What runs where it is called: a function of a script's, and its `self` if it has one."""
    if _is_lambda(transform):
        transform = transform.lambd
    if isinstance(transform, types.FunctionType):
        return transform, None
    if isinstance(transform, types.MethodType):
        function, receiver = transform.__func__, transform.__self__
    elif isinstance(transform, torch.nn.Module):
        if own_behaviour(transform, torch.nn.Module, ("__call__",)) or "forward" in vars(transform):
            return None
        function, receiver = inspect.getattr_static(type(transform), "forward"), transform
    else:
        function, receiver = inspect.getattr_static(type(transform), "__call__", None), transform
    if not isinstance(function, types.FunctionType):
        return None
    module = (function.__module__ or "").split(".")[0]
    return None if module in ("torch", "torchvision", "timm") else (function, receiver)


def _is_lambda(transform: Any) -> bool:
    """Whether it is torchvision's Lambda, for whatever it is given."""
    if "torchvision" not in sys.modules:
        return False
    from torchvision import transforms as v1
    from torchvision.transforms import v2

    if type(transform) is v2.Lambda:
        return bool(tuple(transform.types) == (object,)) and not own_behaviour(
            transform, v2.Lambda, ()
        )
    return type(transform) is v1.Lambda
