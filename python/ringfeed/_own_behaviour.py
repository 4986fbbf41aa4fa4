"""Whether an object of a subclass behaves as its base does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def own_behaviour(transform: Any, base: type, methods: Iterable[str]) -> str | None:
    """What of an object of a subclass of `base` would be lost if it were taken for a `base`: the
    first of `methods` that it has of its own, or hooks; None: nothing."""
    for name in methods:
        own = getattr(type(transform), name, None) is not getattr(base, name, None)
        if own or name in vars(transform):
            return f"its own {name}"
    hooks = ("_forward_hooks", "_forward_pre_hooks")
    return "forward hooks" if any(getattr(transform, name, None) for name in hooks) else None
