"""What Python runs where a transform of a script's is called."""

from __future__ import annotations

import inspect
import sys
import types
from typing import Any

import torch

from ._own_behaviour import own_behaviour


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
