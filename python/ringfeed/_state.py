"""What a state says, and whether it fits a loader."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._epochs import Progress, called_by_lightning
from ._passes import PassKey, seeded_key

VERSION = 2


@dataclass(frozen=True)
class Identity:
    """What a state must have in common with the loader that goes on from it."""

    batch_size: int | None
    rank: int
    """Of this process."""
    world_size: int
    """Among how many ranks the order is dealt."""
    fingerprint: str
    dataset: str
    recipe: str
    order: str


def to_state(
    progress: Progress,
    identity: Identity,
    begun: list[list[int]],
    sampler_epoch: int | None,
    generator: str | None,
) -> dict[str, Any]:
    """Plain values only: torch.load(weights_only=True) reads it."""
    key = progress.key
    return {
        "version": VERSION,
        "seed": None if key is None else key.seed,
        "key": None if key is None else list(key.numbers),
        "epoch": progress.epoch,
        "repeat": progress.repeat,
        "begun": begun,
        "positions": progress.positions,
        "beyond": list(progress.beyond),
        "checksum": progress.checksum,
        "sampler_epoch": sampler_epoch,
        "generator": generator,
        **vars(identity),
    }


def from_state(
    state: Mapping[str, Any], mine: Identity, can_reshard: bool, samples: int | None
) -> Progress:
    """Where `state` says to go on. Raises ValueError for what does not fit the loader.

    `can_reshard`: whether the order can be dealt to another number of ranks in mid-epoch.
    `samples`: in an epoch of all ranks, without padding; None: not known.
    """
    _check_shape(state, mine)
    for name, (wanted, holds) in _VALUES.items():
        if name in state and not holds(state[name]):
            raise ValueError(f"the state's {name} must be {wanted}, not {state[name]!r}")
    if state["fingerprint"] != mine.fingerprint:
        raise ValueError(
            f"the state belongs to another dataset: it was saved with {state['dataset']} "
            f"(fingerprint {state['fingerprint']}), and this loader reads {mine.dataset} "
            f"(fingerprint {mine.fingerprint})"
        )
    if samples is not None and state["positions"] >= samples + state["world_size"]:
        raise ValueError(
            f"the state has consumed {state['positions']} samples of an epoch, which has "
            f"{samples}: its positions were changed. Load no state, or drop a loaded one with "
            "load_state_dict(None), and begin that epoch anew with set_epoch()"
        )
    if state["recipe"] != mine.recipe:
        warnings.warn(
            "the state was saved with other transforms: from now on images are made by\n"
            f"  {mine.recipe}\nand until now they were made by\n  {state['recipe']}",
            stacklevel=3,
        )
    progress = Progress(
        state["epoch"],
        state["positions"],
        tuple(state["beyond"]),
        # A checksum taken on another rank is of other indices.
        state["checksum"] if state["rank"] == mine.rank else None,
        state.get("repeat", 0),
        _key_of(state, mine),
        state["sampler_epoch"],
    )
    if progress.within:
        _check_within(state, mine, can_reshard)
    return progress


def _key_of(state: Mapping[str, Any], mine: Identity) -> PassKey | None:
    """The key of the state's pass, as far as it holds in this process."""
    seed = state["seed"]
    if state["version"] == 1:
        return seeded_key(seed, state["epoch"], 0)
    if state["key"] is None:
        return None
    order, draws = state["key"]
    elsewhere = not saved_here(state, mine)
    return PassKey(order, None if seed is None and elsewhere else draws, seed)


def warn_of_key(
    state: Mapping[str, Any], place: Progress, own: PassKey | None, seed: Any, stacklevel: int
) -> None:
    """Where the pass from `place` on has another key than the state's, or than `seed` says.

    `own`: what the loader's seed= gives, if it has one. `stacklevel`: 1 is who calls this.
    """
    key = place.key
    if key is None:
        return
    if key.draws is None:
        if own is None or own.draws != state["key"][1]:
            warnings.warn(
                "the state has no seed, and another rank saved it or the number of ranks was "
                "another: crops on this rank are new; give seed= on all ranks for an exact elastic "
                "resume",
                stacklevel=stacklevel,
            )
    elif own is not None and own.numbers != key.numbers:
        what = "key" if key.seed is None else f"seed {key.seed}"
        warnings.warn(
            f"the state's {what} is used, not seed={seed}, for the pass that it goes on with",
            stacklevel=stacklevel,
        )


def saved_here(state: Mapping[str, Any], mine: Identity) -> bool:
    """Whether a process of the same rank among as many has saved it."""
    return (state["rank"], state["world_size"]) == (mine.rank, mine.world_size)


def _is_count(value: Any, most: int = 2**63 - 1, least: int = 0) -> bool:
    return type(value) is int and least <= value <= most


def _is_word(value: Any) -> bool:
    return _is_count(value, 2**64 - 1)


def is_key(value: Any) -> bool:
    """Whether it is what a state names its pass by."""
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_word, value))


def _are_runs(values: Sequence[Any]) -> bool:
    end = -1
    for value in values:
        if not (isinstance(value, list | tuple) and len(value) == 3 and all(map(_is_count, value))):
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


_COUNT = ("a whole number in [0, 2**63)", _is_count)
_PLACE = ("a whole number in [0, 2**63), or None", lambda v: v is None or _is_count(v))
_TEXT = ("a str", lambda v: isinstance(v, str))
_VALUES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "seed": ("a whole number in [0, 2**64), or None", lambda v: v is None or _is_word(v)),
    "key": ("two whole numbers in [0, 2**64), or None", lambda v: v is None or is_key(v)),
    "epoch": _COUNT,
    "repeat": _COUNT,
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
    "rank": _COUNT,
    "checksum": ("a whole number, or None", lambda v: v is None or _is_word(v)),
    "sampler_epoch": _PLACE,
    "generator": ("a torch.Generator's state in base64, or None", _is_base64),
    "batch_size": _PLACE,
    "world_size": ("a whole number in [1, 2**63)", lambda v: _is_count(v, least=1)),
    "fingerprint": _TEXT,
    "dataset": _TEXT,
    "recipe": _TEXT,
    "order": _TEXT,
}
"""What a state's fields are, and whether a value is that."""


def _check_shape(state: Mapping[str, Any], mine: Identity) -> None:
    if not isinstance(state, Mapping) or "version" not in state:
        raise ValueError("this is not a state of a ringfeed.DataLoader")
    if state["version"] not in (1, VERSION):
        raise ValueError(
            f"the state has version {state['version']}, and this ringfeed reads versions 1 and "
            f"{VERSION}: it was saved by a later one"
        )
    expected = to_state(Progress(), mine, [], None, None)
    if state["version"] == 1:  # which had one seed for all epochs, and no repeats
        expected = {name: expected[name] for name in expected if name not in _SINCE_VERSION_2}
    missing = [key for key in expected if key not in state]
    if missing:
        raise ValueError(f"the state lacks {', '.join(missing)}")
    if state["version"] == 1 and not _is_word(state["seed"]):
        raise ValueError(f"the state's seed must be a whole number, not {state['seed']!r}")


_SINCE_VERSION_2 = ("key", "repeat", "begun", "generator")


def _check_within(state: Mapping[str, Any], mine: Identity, can_reshard: bool) -> None:
    """What only matters in mid-epoch."""
    if state["order"] != mine.order:
        raise ValueError(
            f"the state was saved within an epoch whose order was {state['order']}, and this "
            f"loader's is {mine.order}: its progress means nothing here. Use the same sampler and "
            "shuffle; or load no state, drop a loaded one with load_state_dict(None), and begin "
            "that epoch anew with set_epoch()"
        )
    if state["beyond"] and state["batch_size"] != mine.batch_size:
        raise ValueError(
            "the state was saved out of order (in_order=False) with batches of "
            f"{state['batch_size']}: resume it with that batch_size, not {mine.batch_size}"
        )
    if state["world_size"] == mine.world_size:
        return
    change = f"the state was saved within an epoch on {state['world_size']} ranks, and now there "
    change += "is 1: " if mine.world_size == 1 else f"are {mine.world_size}: "
    if called_by_lightning():
        raise ValueError(
            change + "Lightning counts an epoch's batches itself and cannot go on. Resume with "
            "the same number, or from a checkpoint taken at the end of an epoch"
        )
    if state["beyond"]:
        raise ValueError(change + "with in_order=False resume with the same number")
    if not can_reshard:
        raise ValueError(
            change + f"only ringfeed's own order and DistributedSampler's can be dealt anew, not "
            f"{mine.order}"
        )
