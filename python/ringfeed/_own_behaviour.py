"""Whether an object of a subclass behaves as its base does."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable
from typing import Any

_CALLS = ("_call_impl", "_wrapped_call_impl")
"""What calls a Module's forward()."""


def own_behaviour(transform: Any, base: type, methods: Iterable[str]) -> str | None:
    """What of an object of a subclass of `base` would be lost if it were taken for a `base`: the
    first of `methods` that it has of its own, or that a script has put into the library's class, or
    hooks; None: nothing."""
    libraries = (base.__module__.split(".")[0], "torch")
    for name in (*methods, *_CALLS):
        method = getattr(type(transform), name, None)
        own = method is not getattr(base, name, None)
        if own or name in vars(transform):
            return f"its own {name}"
        if isinstance(method, types.FunctionType):
            module = method.__globals__.get("__name__") or ""
            if module.split(".")[0] not in libraries:
                return f"a {name} that has been put into {base.__qualname__}"
    hooks = ("_forward_hooks", "_forward_pre_hooks")
    return "forward hooks" if any(getattr(transform, name, None) for name in hooks) else None


def computed(dataset: Any, *attributes: str) -> str | None:
    """The first of `attributes` that a class of a script's makes anew whenever it is read, by a
    property, its __getattr__ or the like; None: each is a value that stands. Calls none of them."""
    kind = type(dataset)
    if _scripts_class(kind, "__getattribute__") is not None:
        return "__getattribute__"
    for name in attributes:
        owner = _scripts_class(kind, name)
        if owner is not None:
            found = vars(owner)[name]
            if hasattr(type(found), "__get__") and not isinstance(found, _STANDING):
                return name
        elif _scripts_class(kind, "__getattr__") is not None and not _stands(dataset, name):
            return name
    return None


def _scripts_class(kind: type, name: str) -> type | None:
    """The class of a script's that `name` comes from."""
    owner = next((base for base in kind.__mro__ if name in vars(base)), object)
    known = owner is object or owner.__module__.split(".")[0] in _LIBRARIES
    return None if known else owner


def _stands(dataset: Any, name: str) -> bool:
    return name in getattr(dataset, "__dict__", ()) or any(
        name in vars(base) for base in type(dataset).__mro__
    )


_LIBRARIES = ("ringfeed", "torch", "torchvision", "timm")
_STANDING = (
    *(types.FunctionType, staticmethod, classmethod, types.MemberDescriptorType),
    functools.cached_property,
)
