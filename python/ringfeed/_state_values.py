"""The fields of a state, each by itself: what they may be."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any


def check_values(state: Mapping[str, Any]) -> None:
    """Raises ValueError, by its name, for a field that no loader can have saved."""
    for name, (wanted, holds) in _VALUES.items():
        if name in state and not holds(state[name]):
            raise ValueError(f"the state's {name} must be {wanted}, not {shown(state[name])}")


def is_key(value: Any) -> bool:
    """Whether it is what a state names its pass by."""
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(is_word, value))


def is_word(value: Any) -> bool:
    """Whether it is a whole number of 64 bits."""
    return _is_count(value, 2**64)


def _is_count(value: Any, end: int = 2**63, least: int = 0) -> bool:
    return type(value) is int and least <= value < end


def _is_epoch(value: Any) -> bool:
    # So that those after it fit too.
    return _is_count(value, 2**62)


def _are_runs(values: Any) -> bool:
    end = -1
    for value in values:
        if not (isinstance(value, list | tuple) and len(value) == 3 and all(map(_is_epoch, value))):
            return False
        first, last, passes = value
        if not end < first <= last or not passes:
            return False
        end = last
    return True


def _is_base64(value: Any) -> bool:
    try:
        return value is None or bool(base64.b64decode(value, validate=True))
    except (TypeError, ValueError):
        return False


def shown(value: Any) -> str:
    """What a message says of it."""
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."


_COUNT = ("a whole number in [0, 2**63)", _is_count)
_EPOCH = ("a whole number in [0, 2**62)", _is_epoch)
_TEXT = ("a str", lambda v: isinstance(v, str))
_VALUES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "seed": ("a whole number in [0, 2**64), or None", lambda v: v is None or is_word(v)),
    "key": ("two whole numbers in [0, 2**64), or None", lambda v: v is None or is_key(v)),
    "epoch": _EPOCH,
    "repeat": _EPOCH,
    "begun": (
        "ascending runs of epochs, each as [first, last, how many passes have begun in every one]",
        lambda v: isinstance(v, list | tuple) and _are_runs(v),
    ),
    "positions": _COUNT,
    "beyond": (
        "ascending whole numbers in [0, 2**63)",
        lambda v: (
            isinstance(v, list | tuple) and all(map(_is_count, v)) and list(v) == sorted(set(v))
        ),
    ),
    "batches": _COUNT,
    "reads": ("a list of four", lambda v: isinstance(v, list | tuple) and len(v) == 4),
    "shuffled_by": ("a whole number, or None", lambda v: v is None or is_word(v)),
    "failed": _COUNT,
    "rank": _COUNT,
    "checksum": ("a whole number, or None", lambda v: v is None or is_word(v)),
    "sampler_epoch": (f"{_EPOCH[0]}, or None", lambda v: v is None or _is_epoch(v)),
    "generator": ("a torch.Generator's state in base64, or None", _is_base64),
    "batch_size": (
        "a whole number in [1, 2**63), or None",
        lambda v: v is None or _is_count(v, least=1),
    ),
    "world_size": ("a whole number in [1, 2**63)", lambda v: _is_count(v, least=1)),
    "fingerprint": _TEXT,
    "dataset": _TEXT,
    "recipe": _TEXT,
    "order": _TEXT,
}
"""What a state's fields are, and whether a value is that."""
