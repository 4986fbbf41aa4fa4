"""Which epoch comes next, and how far the latest has come."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ._failures import Failures
from ._order import Order
from ._pass_counts import PassCounts
from ._passes import PassKey
from ._samplers import OwnOrder
from ._trainer import called_by_lightning

_KEYS_KEPT = 100
"""Epochs whose passes can still be named where there is no seed to make their keys again."""


@dataclass(frozen=True)
class Progress:
    """How far a pass over an epoch has come. With `positions` 0 and nothing beyond it stands at its
    beginning."""

    epoch: int = 0
    positions: int = 0
    """Positions of the global order that all ranks together have consumed, from the front."""
    beyond: tuple[int, ...] = ()
    """Numbers of the batches delivered out of order after that, counted from there."""
    failed: int = 0
    """Files that on_error has let pass on this rank."""
    checksum: int | None = None
    """Of the indices that a caller's sampler gave this far on this rank; None: not known."""
    repeat: int = 0
    """How many passes had begun within the epoch before this one."""
    key: PassKey | None = None
    """None: the pass has none yet."""
    sampler_epoch: int | None = None
    """Of the caller's sampler, where a state says so."""

    @property
    def within(self) -> bool:
        """Whether something has been consumed."""
        return bool(self.positions or self.beyond)


class EpochUnderWay(Protocol):
    """The epoch run that began last, as Epochs sees it."""

    start: Progress

    @property
    def finished(self) -> bool: ...
    def progress(self) -> Progress: ...
    def stats(self) -> dict[str, Any]: ...
    def failures(self) -> Failures: ...


@dataclass
class _Loaded:
    """A place that load_state_dict() has set and no pass has used, and what there was before."""

    next: Progress
    next_was_set: bool
    begun: PassCounts
    sampler_epoch: int | None
    requested_epoch: int | None = None
    """By set_epoch() meanwhile, if it is another epoch."""


def _warn_of_place(requested: int, epoch: int, stacklevel: int) -> None:
    warnings.warn(
        f"set_epoch({requested}) does not agree with the state that was loaded, which goes "
        f"on in epoch {epoch}: it counts from the pass after this one. "
        "load_state_dict(None) drops a loaded state",
        stacklevel=stacklevel,
    )


class Epochs:
    """Which epoch the next iterator begins, and how far the latest has come.

    set_epoch(), on the loader or on its sampler, and load() say where the next iterator begins;
    else it takes the epoch after the latest that has begun. iter() alone means nothing: Lightning
    makes iterators that it throws away. A loaded place stands until a pass uses it: what
    set_epoch() says meanwhile counts from the pass after it. But where a Lightning Trainer says a
    later epoch, it has left the place behind: it ends epochs by limits of its own. Of all passes
    that a Trainer begins, the epoch is the Trainer's.
    """

    def __init__(self, samplers: Iterable[Any]) -> None:
        self._seen = [_epoch_of(sampler) for sampler in samplers]
        self.begun = PassCounts()
        # Of the latest pass of each epoch that had one lately, and the sampler's epoch in it.
        self._keys: dict[int, tuple[PassKey, int | None]] = {}
        epochs = [epoch for _, epoch in self._seen if epoch is not None]
        self.next = Progress(epochs[0] if epochs else 0)
        self.loads = 0
        """How often a state has been loaded or dropped."""
        self.pending_epoch: int | None = None
        """What the caller's samplers have yet to be told."""
        self._next_was_set = False  # since the latest run began
        self._loaded: _Loaded | None = None
        self._latest: EpochUnderWay | None = None

    def notice_set_epoch(self, samplers: Iterable[Any]) -> None:
        """Looks for set_epoch() calls on the samplers.

        Of a caller's sampler only `epoch` can be seen: a call that changes nothing goes unnoticed.
        """
        before = self._seen
        self.see(samplers)
        for old, (calls, epoch) in zip(before, self._seen):
            if (calls, epoch) != old and epoch is not None:
                self.set(epoch)

    def see(self, samplers: Iterable[Any]) -> None:
        """What the samplers say now is nothing new."""
        self._seen = [_epoch_of(sampler) for sampler in samplers]

    def set(self, epoch: int) -> None:
        """The next iterator begins `epoch`; with a loaded place, the one after it."""
        self.pending_epoch = None
        if self._loaded is not None:
            self._loaded.requested_epoch = None if epoch == self.next.epoch else epoch
            if epoch > self.next.epoch and called_by_lightning():
                # limit_train_batches had ended the epoch at this very place.
                self._leave_place(epoch)
            elif epoch == self.next.epoch and not self.next.within:
                # At its beginning a sampler has the epoch that it is told, and not the state's,
                # which is that of the epoch before.
                self.next = replace(self.next, sampler_epoch=None)
                self.loads += 1
            return
        latest = None if self._next_was_set else self._latest
        if latest is not None and not latest.finished and epoch == latest.start.epoch:
            # Called within the epoch: the run goes on and keeps its progress in the state.
            self.next = self._beginning(epoch)
            return
        if epoch != self.next.epoch:
            self.next = self._beginning(epoch)
        self._next_was_set = True

    def follow_trainer(self, epoch: int, order: Order) -> None:
        """A Lightning Trainer is about to begin a pass in its `epoch`, which samplers without
        set_epoch() are not told, nor loaders that it cycles beside a longer one."""
        place = self.next
        if self._loaded is None:
            if not self._next_was_set:
                self.next = self._beginning(epoch)
        elif epoch > place.epoch or (epoch != place.epoch and not place.within):
            self._leave_place(epoch, told=order.sampler_epoch is None)

    def _leave_place(self, epoch: int, told: bool = False) -> None:
        """The next iterator begins `epoch` and not the loaded place; what had begun still counts.
        `told`: for the caller's sampler nothing changes."""
        self._loaded = None
        self.next = self._beginning(epoch)
        if not told:
            self.pending_epoch = epoch
            self.loads += 1

    def _beginning(self, epoch: int) -> Progress:
        return Progress(epoch, repeat=self.begun[epoch])

    def tell_samplers(self, order: Order) -> None:
        """A caller's sampler has the loaded place's epoch, and afterwards what set_epoch() said.
        torch's DistributedSampler is read as if it had."""
        epoch, self.pending_epoch = self.pending_epoch, None
        if self._loaded is not None:
            epoch = None if order.dealt_sampler is not None else self.next.sampler_epoch
        if epoch is not None and epoch != order.sampler_epoch:
            self._tell(order, epoch)

    def tell_torchs_samplers(self, order: Order, within: bool) -> None:
        """As tell_samplers(), where torch reads them, DistributedSampler too. `within`: at a loaded
        place within an epoch."""
        if self._loaded is not None and not within:
            return
        epoch, self.pending_epoch = self.pending_epoch, None
        if self._loaded is not None:
            epoch = self.next.sampler_epoch
        if epoch is not None and epoch != order.sampler_epoch:
            self._tell(order, epoch)

    def _tell(self, order: Order, epoch: int) -> None:
        for sampler in order.samplers:
            if callable(getattr(sampler, "set_epoch", None)):
                sampler.set_epoch(epoch)
        self.see(order.samplers)

    def load(self, progress: Progress, begun: PassCounts, order: Order) -> None:
        """The next iterator goes on from `progress`."""
        before = self._loaded
        if before is None:
            sampler_epoch = order.sampler_epoch
            before = _Loaded(self.next, self._next_was_set, self.begun, sampler_epoch)
        if progress.sampler_epoch is not None:
            self._tell(order, progress.sampler_epoch)
        before.requested_epoch = None
        self.begun = begun
        self.next = progress
        self._loaded = before
        self._next_was_set = True
        self.loads += 1

    def drop_loaded(self, order: Order | None = None) -> None:
        """As if load() had not been called. `order` None: its samplers are told later."""
        loaded = self._loaded
        if loaded is None:
            return
        self._loaded = None
        self.begun = loaded.begun
        self.next, self._next_was_set = loaded.next, loaded.next_was_set
        self.loads += 1
        epoch = loaded.sampler_epoch
        if loaded.requested_epoch is not None:
            epoch = loaded.requested_epoch
            self.set(epoch)
        if order is None:
            self.pending_epoch = epoch
        elif epoch is not None:
            self._tell(order, epoch)

    def begin(self, run: EpochUnderWay) -> None:
        """`run` has begun at `next`. Called again it changes nothing."""
        if self._latest is run:
            return
        start, epoch = run.start, run.start.epoch
        requested = None if self._loaded is None else self._loaded.requested_epoch
        begun = self.begun.with_count(epoch, start.repeat + 1)
        coming = epoch + 1 if requested is None else requested
        following = Progress(coming, repeat=begun[coming])
        assert start.key is not None
        keys = {**self._keys, epoch: (start.key, self._sampler_epoch(start))}
        if len(keys) > _KEYS_KEPT:
            del keys[next(iter(keys))]
        # No call from here on, so that all of it is done or nothing.
        self.begun, self._keys = begun, keys
        self._loaded = None
        self._next_was_set = False
        self.next = following
        if requested is not None:
            self.pending_epoch = requested
        self._latest = run
        if requested is not None:
            _warn_of_place(requested, epoch, stacklevel=7)

    def begin_elsewhere(self, within: bool) -> int:
        """torch's own loader has begun a pass: over which epoch. `within`: at a loaded place within
        it, which stands whatever set_epoch() has said since."""
        requested = None if self._loaded is None else self._loaded.requested_epoch
        self._latest = self._loaded = self.pending_epoch = None
        self._next_was_set = False
        if requested is None or not within:
            epoch = self.next.epoch if requested is None else requested
            self.next = self._beginning(epoch + 1)
            return epoch
        epoch, self.pending_epoch = self.next.epoch, requested
        self.next = self._beginning(requested)
        _warn_of_place(requested, epoch, stacklevel=6)
        return epoch

    def leave_native(self) -> None:
        """The next pass is not ringfeed's; what the latest was is over."""
        self._latest = None

    @property
    def stands_within(self) -> bool:
        """Whether a loaded place within an epoch waits for the next pass."""
        return self._loaded is not None and self.next.within

    @property
    def at_rest(self) -> bool:
        """Whether a state says where the next pass begins, not where the latest stands."""
        return self._latest is None or self._next_was_set or self._latest.finished

    def progress(self) -> Progress:
        """What a state says: a finished epoch is the beginning of the one that follows."""
        if self._latest is None or self.at_rest:
            return self.next
        return self._latest.progress()

    def pass_of(self, epoch: int) -> Progress | None:
        """The pass of `epoch` that began last, or, where set_epoch() or a state has said so since
        or none has begun, the next. None: neither is known."""
        if self.next.epoch == epoch and (self._next_was_set or not self.begun[epoch]):
            return self.next
        if epoch in self._keys:
            key, sampler_epoch = self._keys[epoch]
            return Progress(epoch, key=key, sampler_epoch=sampler_epoch)
        return None

    def _sampler_epoch(self, start: Progress) -> int | None:
        """What a pass from `start` reads of a sampler that nobody may have told the epoch."""
        if start.sampler_epoch is not None:
            return start.sampler_epoch
        return next((epoch for _, epoch in reversed(self._seen) if epoch is not None), None)

    def stats(self) -> dict[str, Any]:
        return {} if self._latest is None else self._latest.stats()

    def failures(self, key: PassKey | None = None) -> Failures:
        """Of the latest run; with `key`, if it is of that pass."""
        latest = self._latest
        if latest is None or not (key is None or latest.start.key == key):
            return Failures()
        return latest.failures()

    def __getstate__(self) -> dict[str, Any]:
        return {
            **vars(self),
            "next": self.progress(),
            "_next_was_set": True,
            "_loaded": copy.copy(self._loaded),
            "_latest": None,
        }


def _epoch_of(sampler: Any) -> tuple[int, int | None]:
    """What set_epoch() has left behind: how often it was called, if known, and the epoch."""
    epoch = getattr(sampler, "epoch", None)
    if not isinstance(epoch, int):
        return 0, None
    return sampler.set_epoch_calls if isinstance(sampler, OwnOrder) else 0, epoch
