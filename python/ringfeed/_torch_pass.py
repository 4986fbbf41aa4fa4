"""A pass over an epoch by an iterator of torch's: what its order follows from, and how far it has
come."""

from __future__ import annotations

import itertools
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch.utils.data import IterableDataset

from ._epochs import Epochs
from ._order import Order
from ._random_orders import Origin, drawn_again, random_sampler
from .stats import Meter


@dataclass
class Place:
    """Where the next pass begins."""

    batches: int = 0
    """How many it does not give, because they were given before."""
    loaded: bool = False
    """Whether a state says so, and no pass has begun since."""
    loads: int = 0
    """How often that was said, or taken back."""
    repeated: Origin = field(default_factory=Origin)
    """What its order follows from, as far as a state says it."""
    begun: Origin = field(default_factory=Origin)
    """What the order that began last, or begins next, follows from."""

    def load(self, batches: int, repeated: Origin) -> None:
        self.batches, self.repeated = batches, repeated
        self.loaded, self.loads = True, self.loads + 1

    def drop(self) -> None:
        self.use_up()
        self.loads += 1

    def use_up(self) -> None:
        self.batches, self.repeated, self.loaded = 0, Origin(), False


class FromPlace:
    """A sampler that lacks the first items while a place says so, and whose order is the one that
    the place says."""

    def __init__(self, sampler: Any, place: Place) -> None:
        self._sampler, self._place = sampler, place

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[Any]:
        return self._items(iter(self._sampler))  # torch begins it twice where there are workers

    def _items(self, items: Iterator[Any]) -> Iterator[Any]:
        place, sampler, first = self._place, random_sampler(self._sampler), []
        if sampler is not None:
            with drawn_again(sampler, place.repeated) as origin:
                place.begun.number, place.begun.generator = origin.number, origin.generator
                first = list(itertools.islice(items, 1))
        yield from itertools.islice(itertools.chain(first, items), place.batches, None)


def skip_in(iterator: Any, place: Place) -> None:
    """An iterator of torch's that was made before a place was loaded enters it with its next
    order."""
    sampler = getattr(iterator, "_index_sampler", None)
    if sampler is not None and not isinstance(sampler, FromPlace):
        iterator._index_sampler = FromPlace(sampler, place)


class TorchPass:
    """How far an iterator of torch's has come in its epoch. It outlives the iterator, which is gone
    once a loop over it has been left. Like a native one it begins with the first batch: Lightning
    makes iterators that it throws away."""

    def __init__(self, place: Place, order: Order, epochs: Epochs, meter: Meter) -> None:
        self.epoch: int | None = None
        """None: it has not begun."""
        self.batches = 0
        self.ended = False
        self.origin = Origin()
        self._place, self._order, self._epochs, self._meter = place, order, epochs, meter
        self._start_order()

    def _start_order(self) -> None:
        """The order that begins from here on is this pass's."""
        self.skipped, self._loads = self._place.batches, self._place.loads
        self._place.begun = self.origin

    def _catch_up(self, iterator: Any) -> None:
        """Before its first batch: Lightning loads states when it has the iterator already."""
        again = self.stale
        if again or _received(iterator) is None:  # without workers its order begins now
            self._epochs.notice_set_epoch(self._order.samplers)
            self._epochs.tell_torchs_samplers(self._order, within=self._place.batches > 0)
            self._start_order()
        if again and not isinstance(iterator._dataset, IterableDataset):
            skip_in(iterator, self._place)
            iterator._reset(iterator)

    def _begin(self) -> None:
        """What has been loaded is used up."""
        if self.epoch is not None:
            return
        self._epochs.notice_set_epoch(self._order.samplers)
        self.epoch = self._epochs.begin_elsewhere(within=self.skipped > 0)
        self._place.use_up()

    @property
    def stale(self) -> bool:
        """Whether a state has been loaded since its order began."""
        return self._loads != self._place.loads

    def follow(self, iterator: Any) -> None:
        """Counts the batches of `iterator`."""
        following = getattr(type(iterator), "_next_data", None)
        if following is None:  # a subclass's own iterator
            self._begin()
            return
        # Weakly: in a cycle its workers would live on after it.
        waiting = weakref.ref(iterator)

        def counted() -> Any:
            started = time.thread_time_ns()
            made: Any = waiting()
            if self.epoch is None:
                self._catch_up(made)
            received = _received(made)
            try:
                batch = following(made)
            except StopIteration:
                self._begin()
                self.ended = True
                raise
            except Exception:
                # One that failed is taken as well, but for a timeout or a worker's death.
                if received is None or _received(made) != received:
                    self._begin()
                    self.batches += 1
                raise
            self._begin()
            self.batches += 1
            self._meter.delivered(time.thread_time_ns() - started)
            return batch

        iterator._next_data = counted


def _received(iterator: Any) -> int | None:
    """Batches that torch's workers have sent; None where there are none."""
    found: int | None = vars(iterator).get("_rcvd_idx")
    return found
