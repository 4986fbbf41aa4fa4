"""Numbers that callers give."""

from __future__ import annotations

import operator
import os
from typing import Any


def whole(name: str, value: Any) -> int:
    """`value` as an int. TypeError, naming it, for what is no whole number."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None


def check_number(option: str, value: Any) -> None:
    """TypeError, naming it, for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{option} must be a number, not {value!r}")


def check_share(option: str, share: float) -> None:
    """ValueError or TypeError, naming it, for what is not in [0, 1]."""
    check_number(option, share)
    if not 0 <= share <= 1:
        raise ValueError(f"{option} must be in [0, 1], not {share}")


def global_seed() -> int | None:
    """$PL_GLOBAL_SEED, which Lightning's seed_everything() sets; None without. ValueError for what
    is no seed."""
    found = os.environ.get("PL_GLOBAL_SEED")
    if not found:
        return None
    if not found.isascii() or not found.isdecimal() or int(found) >= 2**64:
        raise ValueError(f"$PL_GLOBAL_SEED must be a whole number in [0, 2**64), not {found!r}")
    return int(found)
