"""One pass over a loader's order: how it begins, and how far it has come."""

from __future__ import annotations

import _thread
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import BatchSampler

from . import _order, _ringfeed, _tensors
from ._core import core_options
from ._order import Pull, ShuffledOrder
from ._resolved import Resolved
from ._state import Position
from .errors import LoadError

if TYPE_CHECKING:
    from .loader import DataLoader


@dataclass(frozen=True)
class _Made:
    """What next() is about to give its caller: a batch, or the error in its place."""

    before: tuple[int, list[int]]
    """The core's progress without it."""
    result: Any = None
    error: Exception | None = None
    counts: bool = True
    """Whether a batch is taken with it."""
    accepted: bool = True
    """Whether the core need not offer it again."""


class Run:
    """An epoch of the core, from its first next() on.

    Python may raise KeyboardInterrupt after any call. So a batch or error stays here, and a batch
    out of position(), until the caller of next() has nothing left to do but to return or raise it,
    and sets `made` to None.
    """

    announced = False
    """Whether the loader knows that this is its latest."""
    made: _Made | None = None
    taken = 0
    """Batches, the failed ones too."""

    def __init__(
        self,
        start: Position,
        native: _ringfeed.Loader | None,
        pull: Pull | None,
        make: Callable[[_ringfeed.Batch], list[Any]],
        *,
        calls_back: bool,
        expected: int | None,
        shares: tuple[int, int],
        checked: bool,
        persistent: bool,
    ) -> None:
        """`native` None: there is nothing to load. `calls_back`: `make` calls code of the user's,
        and an error of that is the batch's. `expected`: how many batches this run takes;
        None: only the end tells. `checked`: the checksum of `pull` belongs into a state.
        `persistent`: the loader keeps `native` for the next run."""
        self.start = start
        self._native = native
        self._epoch = (
            None
            if native is None
            else native.epoch(start.epoch, start.positions, start.beyond, pull)
        )
        self._pull = pull
        self._make = make
        self._calls_back = calls_back
        self._expected = expected
        self._rank, self._world_size = shares
        self._checked = checked
        self._persistent = persistent
        self._ended = native is None
        self._stopped = False
        self._last_position = start
        self._last_stats: dict[str, Any] = {}
        self._process = os.getpid()

    def next(self) -> _Made | None:
        """The next batch or error, and the same again as long as `made` is set. None at the end and
        after stop()."""
        if self._epoch is None:
            return None
        if self.made is None:
            self.made = self._make_next()
        made = self.made
        if made is not None and made.accepted:
            self._epoch.accept()
        return made

    def _make_next(self) -> _Made | None:
        assert self._epoch is not None
        before = self._epoch.progress()
        batch = None
        try:
            batch = self._epoch.next(keep=True)
            if batch is not None:
                return _Made(before, self._make(batch))
        except Exception as error:
            if batch is not None:  # target_transform's, else a signal handler's: the batch stays
                return _Made(before, None, error, self._calls_back, self._calls_back)
            if self._epoch.offers:
                return _Made(before, None, error, counts=isinstance(error, LoadError))
            raise  # a timeout, say: the next call finds out for itself
        pulled_all = self._pull is not None and self._pull.ended
        self._ended = self._ended or (pulled_all and not self._stopped)
        return None

    @property
    def finished(self) -> bool:
        """Whether all has been taken. Known with the last batch where the order has a length:
        Lightning asks for the state there, and never for the end."""
        return self._ended or (self._expected is not None and self.taken >= self._expected)

    def position(self) -> Position:
        """What has been taken so far. On the thread of next()."""
        if self._epoch is None:
            return self._last_position
        made = self.made
        positions, beyond = self._epoch.progress() if made is None else made.before
        position = replace(self.start, positions=positions, beyond=tuple(beyond), rank=self._rank)
        if self._pull is None or not self._checked:
            return replace(position, checksum=None)
        consumed = positions // self._world_size
        return replace(position, checksum=self._pull.checksum_after(consumed))

    def stats(self) -> dict[str, Any]:
        if self._native is None:
            return self._last_stats
        return {**self._native.stats(), "memory_bound": self._native.memory_bound}

    def stop(self) -> None:
        """Ends it; a next() that waits gets None. Any thread."""
        self._stopped = True
        if (native := self._native) is not None:
            native.stop()

    def release(self) -> None:
        """Lets go of the core, keeping what state and stats need. Waits for no I/O."""
        if self._epoch is None:
            return
        if os.getpid() == self._process:
            self._last_position = self.position()
            self._last_stats = self.stats()
        native, self._native, self._epoch = self._native, None, None
        self.made = None
        self._pull = None  # and with it what the sampler's iterator holds
        if not self.finished and not self._persistent:
            drop_aside(native, self._process)


def drop_aside(native: _ringfeed.Loader | None, process: int) -> None:
    """Drops a core loader that may be reading: its end waits for reads in flight, so it is a
    thread's that nobody waits for. In a forked child there is nothing to end."""
    if native is None or os.getpid() != process:
        return
    if sys.is_finalizing():
        return  # all loaders are stopped, and Python 3.11 would wait for ever for a thread to start
    try:
        # Not threading.Thread, whose start() keeps for ever what a KeyboardInterrupt hits in it.
        _thread.start_new_thread(native.stop, ())
    except RuntimeError:
        pass  # no thread can be had: the loader's own end stops it


@dataclass(frozen=True)
class _Plan:
    """Where a run's samples come from."""

    batch_size: int | None
    """What memory is measured out for; None: the first batch's size. Larger ones take more."""
    expected: int | None
    pull: Pull | None = None
    checked: bool = False


@dataclass(frozen=True)
class Beginning:
    """What is settled of a run before the first index is read, which may be possible only once."""

    start: Position
    resolved: Resolved
    plan: _Plan
    seed: int
    pinned: bool


def prepare(loader: DataLoader) -> Beginning:
    """The epoch that is next: what the loader's attributes say at this moment counts.

    Random numbers are drawn as torch's iterators draw them: a base seed, then, under shuffle
    without a generator, RandomSampler's. (With a generator RandomSampler draws a permutation from
    it: that one is not made.)
    """
    resolved = loader._resolved()
    loader._listen()
    start = loader._epochs.next
    pinned = _tensors.should_pin(loader.pin_memory, loader.pin_memory_device)
    plan = (_own if loader._own else _foreign)(loader, start, resolved)
    # Persistent workers keep the base seed they were started with.
    base_seed = None if loader._kept is not None else draw_seed(loader.generator)
    seed = loader._settle_seed(base_seed)
    if loader.generator is None and loader._own and isinstance(loader.sampler, ShuffledOrder):
        draw_seed(None)
    return Beginning(start, resolved, plan, seed, pinned)


def begin(loader: DataLoader, beginning: Beginning) -> Run:
    """Starts it. It is not the loader's latest yet. After a KeyboardInterrupt call it again."""
    resolved, plan, pinned = beginning.resolved, beginning.plan, beginning.pinned
    native = None
    # Only now: torch too reads a sampler after it has drawn the base seed.
    first = plan.pull.peek() if plan.pull is not None else plan.expected
    if first:
        size = plan.batch_size or first
        options = core_options(loader, batch_size=size, seed=beginning.seed, pinned=pinned)
        native = loader._core(resolved, options)
    make = partial(
        _tensors.batch if loader._auto_collation else _tensors.sample,
        recipe=resolved.recipe,
        target_transform=resolved.source.target_transform,
        pinned=pinned,
    )
    return Run(
        beginning.start,
        native,
        plan.pull,
        make,
        calls_back=resolved.source.target_transform is not None,
        expected=plan.expected,
        shares=loader._shares(),
        checked=plan.checked,
        persistent=loader.persistent_workers,
    )


def draw_seed(generator: torch.Generator | None) -> int:
    """As torch's iterators do."""
    return int(torch.empty((), dtype=torch.int64).random_(generator=generator).item())


def _own(loader: DataLoader, start: Position, resolved: Resolved) -> _Plan:
    batch_size = loader.batch_size or 1
    share = _order.share_of(resolved.length - start.positions, loader._shares()[1])
    batches = _order.count_batches(share, batch_size, loader.drop_last)
    return _Plan(batch_size, _without(batches, start))


def _foreign(loader: DataLoader, start: Position, resolved: Resolved) -> _Plan:
    rank, world_size = loader._shares()
    length, entries = resolved.length, resolved.source.indices
    given: Any = loader.batch_sampler
    # torch's own BatchSampler can be made anew over what is left of its sampler.
    plain = given is None or type(given) is BatchSampler
    sampler: Any = given.sampler if plain and given is not None else loader.sampler
    dealt = plain and _order.can_deal(sampler)
    consumed = start.positions // world_size
    batches: Iterator[Any]
    expected: int | None
    if dealt:
        left = _order.dealt_from(sampler, start.positions)
        batches = _order.slices_of(left, given)
        expected = _batches_in(len(left), given)
        pull = Pull(batches, length, entries)
    elif plain and consumed:
        indices = itertools.chain.from_iterable([sampler])  # its iter() only when it is read
        pull = Pull(_order.batches_of(indices, given), length, entries)
        pull.skip_samples(consumed, indices)
        total = _order.size_of(sampler)
        expected = None if total is None else _batches_in(max(0, total - consumed), given)
    else:
        if given is None:
            batches = _order.batches_of(iter(sampler), None)
        elif plain:
            batches = _order.batches_of(itertools.chain.from_iterable([sampler]), given)
        else:
            batches = iter(given)
        pull = Pull(batches, length, entries)
        skipped = pull.skip_batches(consumed)
        total = _order.size_of(loader._index_sampler)
        expected = None if total is None else max(0, total - skipped)
    if not dealt:
        _check_repeated(pull, start, consumed, rank)
    return _Plan(
        _batch_size(given),
        None if expected is None else _without(expected, start),
        pull=pull,
        checked=not _order.can_deal(sampler) or not plain,
    )


def _without(batches: int, start: Position) -> int:
    """Those of the batches after `start` that it does not count as delivered."""
    return batches - sum(number < batches for number in start.beyond)


def _batch_size(batch_sampler: Any) -> int | None:
    size = 1 if batch_sampler is None else getattr(batch_sampler, "batch_size", None)
    return size if isinstance(size, int) and size > 0 else None


def _batches_in(samples: int, batch_sampler: BatchSampler | None) -> int:
    if batch_sampler is None:
        return samples
    return _order.count_batches(samples, batch_sampler.batch_size, batch_sampler.drop_last)


def _check_repeated(pull: Pull, start: Position, consumed: int, rank: int) -> None:
    if start.checksum is None or start.rank != rank:
        return  # taken on another rank, whose indices were others
    if pull.checksum_after(consumed) != start.checksum:
        raise ValueError(
            "the sampler does not repeat the order that it had when the state was saved, so its "
            "place in the epoch means nothing. Give the sampler a generator, and its state before "
            "the epoch; or use shuffle=True or a DistributedSampler, whose orders can be resumed"
        )
