"""Where an epoch stands: which comes next, what a state says, and whether it fits a loader."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ._samplers import OwnOrder

VERSION = 1


@dataclass(frozen=True)
class Progress:
    """How far an epoch has come. With `positions` 0 and nothing beyond it has not begun."""

    epoch: int = 0
    positions: int = 0
    """Positions of the global order that all ranks together have consumed, from the front."""
    beyond: tuple[int, ...] = ()
    """Numbers of the batches delivered out of order after that, counted from there."""
    checksum: int | None = None
    """Of the indices that a caller's sampler gave this far on rank `rank`; None: not known."""
    rank: int = 0

    @property
    def within(self) -> bool:
        """Whether the epoch has begun."""
        return bool(self.positions or self.beyond)


@dataclass(frozen=True)
class Identity:
    """What a state must have in common with the loader that goes on from it."""

    batch_size: int | None
    world_size: int
    fingerprint: str
    dataset: str
    recipe: str
    order: str


class EpochUnderWay(Protocol):
    """The epoch run that began last, as Epochs sees it."""

    start: Progress

    @property
    def finished(self) -> bool: ...
    def progress(self) -> Progress: ...
    def stats(self) -> dict[str, Any]: ...


class Epochs:
    """Which epoch the next iterator begins, and how far the latest has come.

    set_epoch(), on the loader or on its sampler, and load() say where the next iterator begins;
    else it takes the epoch after the latest that has begun. iter() alone means nothing: Lightning
    makes iterators that it throws away.
    """

    def __init__(self, samplers: Iterable[Any]) -> None:
        self._seen = [_epoch_of(sampler) for sampler in samplers]
        epochs = [epoch for _, epoch in self._seen if epoch is not None]
        self.next = Progress(epochs[0] if epochs else 0)
        self._next_was_set = False  # since the latest run began
        self._latest: EpochUnderWay | None = None

    def notice_set_epoch(self, samplers: Iterable[Any]) -> None:
        """Looks for set_epoch() calls on the samplers.

        Of a caller's sampler only `epoch` can be seen: a call that changes nothing goes unnoticed.
        """
        seen = [_epoch_of(sampler) for sampler in samplers]
        for before, (calls, epoch) in zip(self._seen, seen):
            if (calls, epoch) != before and epoch is not None:
                self.set(epoch)
        self._seen = seen

    def set(self, epoch: int) -> None:
        """The next iterator begins `epoch`."""
        latest = None if self._next_was_set else self._latest
        if latest is not None and not latest.finished and epoch == latest.start.epoch:
            # Called within the epoch: the run goes on and keeps its progress in the state.
            self.next = Progress(epoch)
            return
        if epoch != self.next.epoch:
            self.next = Progress(epoch)
        self._next_was_set = True

    def load(self, progress: Progress) -> None:
        """The next iterator goes on from `progress`."""
        self.next = progress
        self._next_was_set = True

    def begin(self, run: EpochUnderWay) -> None:
        """`run` has begun at `next`."""
        self._latest = run
        self._next_was_set = False
        self.next = Progress(run.start.epoch + 1)

    def progress(self) -> Progress:
        """What a state says: a finished epoch is the beginning of the one that follows."""
        if self._latest is None or self._next_was_set or self._latest.finished:
            return self.next
        return self._latest.progress()

    def stats(self) -> dict[str, Any]:
        return {} if self._latest is None else self._latest.stats()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "next": self.progress(),
            "_seen": self._seen,
            "_next_was_set": True,
            "_latest": None,
        }


def _epoch_of(sampler: Any) -> tuple[int, int | None]:
    """What set_epoch() has left behind: how often it was called, if known, and the epoch."""
    epoch = getattr(sampler, "epoch", None)
    if not isinstance(epoch, int):
        return 0, None
    return sampler.set_epoch_calls if isinstance(sampler, OwnOrder) else 0, epoch


def to_state(
    progress: Progress, identity: Identity, seed: int, sampler_epoch: int | None
) -> dict[str, Any]:
    """Plain values only: torch.load(weights_only=True) reads it."""
    return {
        "version": VERSION,
        "seed": seed,
        "epoch": progress.epoch,
        "positions": progress.positions,
        "beyond": list(progress.beyond),
        "rank": progress.rank,
        "checksum": progress.checksum,
        "sampler_epoch": sampler_epoch,
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
        if not holds(state[name]):
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
            f"{samples}: its positions were changed. Load no state, and begin that epoch anew with "
            "set_epoch()"
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
        state["checksum"],
        state["rank"],
    )
    if progress.within:
        _check_within(state, mine, can_reshard)
    return progress


def _is_count(value: Any, most: int = 2**63 - 1, least: int = 0) -> bool:
    return type(value) is int and least <= value <= most


_COUNT = ("a whole number in [0, 2**63)", _is_count)
_PLACE = ("a whole number in [0, 2**63), or None", lambda v: v is None or _is_count(v))
_TEXT = ("a str", lambda v: isinstance(v, str))
_VALUES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "seed": ("a whole number in [0, 2**64)", lambda v: _is_count(v, 2**64 - 1)),
    "epoch": _COUNT,
    "positions": _COUNT,
    "beyond": (
        "ascending whole numbers in [0, 2**63)",
        lambda v: (
            isinstance(v, list | tuple) and all(map(_is_count, v)) and list(v) == sorted(set(v))
        ),
    ),
    "rank": _COUNT,
    "checksum": ("a whole number, or None", lambda v: v is None or _is_count(v, 2**64 - 1)),
    "sampler_epoch": _PLACE,
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
    if state["version"] != VERSION:
        raise ValueError(
            f"the state has version {state['version']}, and this ringfeed reads version {VERSION}"
        )
    expected = to_state(Progress(), mine, 0, None)
    missing = [key for key in expected if key not in state]
    if missing:
        raise ValueError(f"the state lacks {', '.join(missing)}")


def _check_within(state: Mapping[str, Any], mine: Identity, can_reshard: bool) -> None:
    """What only matters in mid-epoch."""
    if state["order"] != mine.order:
        raise ValueError(
            f"the state was saved within an epoch whose order was {state['order']}, and this "
            f"loader's is {mine.order}: its progress means nothing here. Use the same sampler and "
            "shuffle; or load no state, and begin that epoch anew with set_epoch()"
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


def called_by_lightning() -> bool:
    """Whether a Lightning Trainer is on the call stack."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith(("lightning.pytorch.", "pytorch_lightning.")):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
