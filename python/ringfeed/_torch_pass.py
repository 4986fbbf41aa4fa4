"""A pass over an epoch by an iterator of torch's: what its order follows from, and how far it has
come."""

from __future__ import annotations

import itertools
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import IterableDataset, RandomSampler

from ._epochs import Epochs
from ._order import Order
from .stats import Meter


@dataclass
class Origin:
    """What an order of RandomSampler's follows from."""

    number: int | None = None
    """What it drew; None: nothing yet, or a generator was given."""
    generator: torch.Tensor | None = None
    """The state that a given generator had."""

    @property
    def known(self) -> bool:
        return self.number is not None or self.generator is not None


class ShuffledByTorch(RandomSampler):
    """torch's RandomSampler, which says what its orders follow from."""

    origin: Origin | None = None
    """Of the order that begins next."""
    repeated: int | torch.Tensor | None = None
    """What orders follow from in the place of what is drawn."""

    def __iter__(self) -> Iterator[int]:
        origin, repeated = self.origin or Origin(), self.repeated
        if self.generator is not None:
            if isinstance(repeated, torch.Tensor):
                self.generator.set_state(repeated)
            origin.generator = self.generator.get_state()
            yield from super().__iter__()
            return
        # As RandomSampler draws it, and then follows from it.
        origin.number = int(torch.empty((), dtype=torch.int64).random_().item())
        if isinstance(repeated, int):
            origin.number = repeated
        generator = torch.Generator().manual_seed(origin.number)
        yield from RandomSampler(self.data_source, generator=generator)

    def coming(self) -> Origin:
        """What the next order follows from if nothing else draws before it. Advances no
        generator."""
        if isinstance(self.repeated, int):
            return Origin(number=self.repeated)
        if self.repeated is not None:
            return Origin(generator=self.repeated)
        if self.generator is not None:
            return Origin(generator=self.generator.get_state())
        if torch.empty(0).device.type != "cpu":  # whose default generator cannot be copied
            return Origin()
        clone = torch.Generator()
        clone.set_state(torch.get_rng_state())
        drawn = torch.empty((), dtype=torch.int64).random_(generator=clone)
        return Origin(number=int(drawn.item()))


@dataclass
class Place:
    """Where the next pass begins."""

    batches: int = 0
    """How many it does not give, because they were given before."""
    loaded: bool = False
    """Whether a state says so, and no pass has begun since."""
    loads: int = 0
    """How often that was said, or taken back."""

    def load(self, batches: int) -> None:
        self.batches, self.loaded, self.loads = batches, True, self.loads + 1

    def drop(self) -> None:
        self.batches, self.loaded, self.loads = 0, False, self.loads + 1

    def use_up(self) -> None:
        self.batches, self.loaded = 0, False


class Skipping:
    """A sampler that lacks the first items while a place says so."""

    def __init__(self, sampler: Any, place: Place) -> None:
        self._sampler, self._place = sampler, place

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[Any]:
        return self._items(iter(self._sampler))  # torch begins it twice where there are workers

    def _items(self, items: Iterator[Any]) -> Iterator[Any]:
        yield from itertools.islice(items, self._place.batches, None)


def skip_in(iterator: Any, place: Place) -> None:
    """An iterator of torch's that was made before a place was loaded enters it with its next
    order."""
    sampler = getattr(iterator, "_index_sampler", None)
    if sampler is not None and not isinstance(sampler, Skipping):
        iterator._index_sampler = Skipping(sampler, place)


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
        sampler = self._order.samplers[0]
        if isinstance(sampler, ShuffledByTorch):
            sampler.origin = self.origin
        elif isinstance(generator := getattr(sampler, "generator", None), torch.Generator):
            self.origin.generator = generator.get_state()

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
        if isinstance(self._order.samplers[0], ShuffledByTorch):
            self._order.samplers[0].repeated = None

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
