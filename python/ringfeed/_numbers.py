"""Numbers that callers give."""

from __future__ import annotations

import operator
from typing import Any


def whole(name: str, value: Any) -> int:
    """`value` as an int. TypeError, naming it, for what is no whole number."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None
