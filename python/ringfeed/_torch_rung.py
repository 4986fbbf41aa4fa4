"""What a loader does where ringfeed's threads cannot serve: as torch's own."""

from __future__ import annotations

import contextlib
import itertools
import threading
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import torch
import torch.utils.data
from torch.utils.data import (
    BatchSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from ._passes import generator_text, state_of
from ._state import VERSION
from ._state_values import check_values
from ._worker_rung import Fetch, InWorker
from .datasets import warn_user

T = TypeVar("T", covariant=True)

_FIELDS = ("batches", "reads", "shuffled_by", "generator")
_RANDOM = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)

NATIVE, WORKER, TORCH = "native", "worker", "torch"


class ShuffledByTorch(RandomSampler):
    """torch's RandomSampler, which remembers what its latest order follows from."""

    drawn: int | None = None
    """The number that it drew; None: none yet, or a generator was given."""
    generated_from: torch.Tensor | None = None
    """The state that a given generator had."""
    repeated: int | torch.Tensor | None = None
    """What the next order follows from, in the place of what is drawn."""

    def __iter__(self) -> Iterator[int]:
        repeated, self.repeated = self.repeated, None
        if self.generator is not None:
            if isinstance(repeated, torch.Tensor):
                self.generator.set_state(repeated)
            self.generated_from = self.generator.get_state()
            yield from super().__iter__()
            return
        # As RandomSampler draws it, and then follows from it.
        self.drawn = int(torch.empty((), dtype=torch.int64).random_().item())
        if isinstance(repeated, int):
            self.drawn = repeated
        generator = torch.Generator().manual_seed(self.drawn)
        yield from RandomSampler(self.data_source, generator=generator)


class _Skipping:
    """A sampler that lacks its first items when it is read for the first time."""

    def __init__(self, sampler: Any, count: int) -> None:
        self._sampler, self._count = sampler, count

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[Any]:
        return self._items(iter(self._sampler))  # torch begins it twice where there are workers

    def _items(self, items: Iterator[Any]) -> Iterator[Any]:
        count, self._count = self._count, 0
        yield from itertools.islice(items, count, None)


class _Given:
    """How many batches an iterator of torch's has given. It outlives the iterator, which is gone
    once a loop over it has been left."""

    batches = 0
    ended = False

    def __init__(self, iterator: Any) -> None:
        following = getattr(type(iterator), "_next_data", None)
        if following is None:  # a subclass's own iterator
            return
        # Weakly: in a cycle its workers would live on after it.
        waiting = weakref.ref(iterator)

        def counted() -> Any:
            iterator = waiting()
            received = _received(iterator)
            try:
                batch = following(iterator)
            except StopIteration:
                self.ended = True
                raise
            except Exception:
                # One that failed is taken as well, but for a timeout or a worker's death.
                self.batches += received is None or _received(iterator) != received
                raise
            self.batches += 1
            return batch

        iterator._next_data = counted


def _received(iterator: Any) -> int | None:
    """Batches that torch's workers have sent; None where there are none."""
    found: int | None = vars(iterator).get("_rcvd_idx")
    return found


_swapping = threading.RLock()
"""Held while a loader's worker_init_fn is ringfeed's."""


class TorchRung(torch.utils.data.DataLoader[T]):
    """torch's loader, with a state like that of ringfeed's."""

    _rung = TORCH
    _why_not_native = ""
    _of_torch: Any = None  # the persistent iterator
    _latest: _Given | None = None  # by the iterator that began last
    _skipped = 0  # batches of its epoch that it did not give
    _to_skip = 0  # of the next

    @property
    def rung(self) -> str:
        """ "native": ringfeed's threads make the batches. "worker": torch's own loader does, with
        files and images of ringfeed's. "torch": torch's own code does."""
        return self._rung

    @property
    def why_not_native(self) -> str:
        """What keeps it from the native rung; empty on that."""
        return self._why_not_native

    # Iteration

    def _iterate(self) -> Iterator[Any]:
        iterator = self._in_workers() if self.rung == WORKER else super().__iter__()
        self._set(_latest=_Given(iterator), _skipped=self._to_skip, _to_skip=0)
        return iterator

    def _in_workers(self) -> Any:
        with _swapping:
            own = self.worker_init_fn
            self._set(worker_init_fn=InWorker(own))
            try:
                iterator: Any = super().__iter__()
            finally:
                self._set(worker_init_fn=own)
        fetcher = vars(iterator).get("_dataset_fetcher")
        if fetcher is not None:  # without workers
            fetcher.fetch = Fetch(self.dataset, fetcher, self._auto_collation)
        return iterator

    def _set(self, **values: Any) -> None:
        """Not by __setattr__, which Lightning records."""
        vars(self).update(values)

    @property
    def _index_sampler(self) -> Any:
        sampler = super()._index_sampler
        return _Skipping(sampler, self._to_skip) if self._to_skip else sampler

    def _use_torchs_samplers(self, shuffle: bool, size: int | None, drop_last: bool) -> None:
        """In the place of those that stand for the core's order, or that torch made."""
        dataset: Any = self.dataset
        own: Any = (
            ShuffledByTorch(dataset, generator=self.generator)
            if shuffle
            else SequentialSampler(dataset)
        )
        object.__setattr__(self, "sampler", own)
        if size is not None:
            batches = BatchSampler(own, size, drop_last)
            object.__setattr__(self, "batch_sampler", batches)

    def _end_workers(self) -> None:
        iterator = self._of_torch
        self._set(_of_torch=None)
        end = getattr(iterator, "_shutdown_workers", None)
        if end is not None:
            end()

    # State

    def _batches_given(self) -> int:
        """Of the latest epoch; 0 at its end."""
        latest = self._latest
        if latest is None:
            return self._to_skip
        given, ended = self._skipped + latest.batches, latest.ended
        if not ended and not isinstance(self.dataset, IterableDataset):
            try:
                ended = given >= len(self)
            except TypeError:  # without a length
                pass
        return 0 if ended else given

    def state_dict(self) -> dict[str, Any]:
        """How many batches the latest iterator has given, and what its order follows from; plain
        values. At an epoch's end, the beginning of the next, whose order follows from torch's
        default generator as it is then, unless a `generator` was given."""
        given, sampler = self._batches_given(), self.sampler
        if given and not self.in_order and self.num_workers:
            warn_user(
                "with in_order=False a state within an epoch does not know which batches have been "
                "given: it says the epoch's beginning"
            )
            given = 0
        drawn = generator = None
        if isinstance(sampler, ShuffledByTorch):
            drawn = sampler.drawn if given else None
            generator = sampler.generated_from if given else self._coming_generator_state()
        return {
            "version": VERSION,
            "rung": self.rung,
            "batches": given,
            "reads": self._reads(),
            "shuffled_by": drawn,
            "generator": None if generator is None else generator_text(generator),
        }

    def _reads(self) -> list[Any]:
        """What a place in an epoch means nothing without: the sampler, the batches' size, whether
        a generator was given, and the number of samples."""
        batches, length = self.batch_sampler, None
        if not isinstance(self.dataset, IterableDataset):
            with contextlib.suppress(TypeError):
                length = len(self.dataset)  # type: ignore[arg-type]
        size = getattr(batches, "batch_size", None)
        name = type(self.sampler if type(batches) in (BatchSampler, type(None)) else batches)
        return [name.__qualname__, size, self.generator is not None, length]

    def _coming_generator_state(self) -> torch.Tensor | None:
        """A given generator's when it gives the next order. Advances none."""
        if self.generator is None:
            return None
        clone = torch.Generator(self.generator.device)
        clone.set_state(self.generator.get_state())
        if self._of_torch is None:  # the base seed of new workers comes first
            torch.empty((), dtype=torch.int64).random_(generator=clone)
        return clone.get_state()

    def load_state_dict(self, state: Mapping[str, Any] | None, strict: bool = True) -> None:
        """The next iterator goes on from `state`: it reads the sampler as far as that had come, and
        loads nothing of what was given. What transforms draw from then on is new. None: drops a
        state that has been loaded and not used."""
        if state is None:
            if self._to_skip:
                self._end_workers()
            self._go_on_from(0, None)
            return
        if not loads_on(state, self.rung):
            return
        missing = [name for name in _FIELDS if name not in state]
        if missing:
            raise ValueError(f"the state lacks {', '.join(missing)}")
        check_values(state)
        batches, generator = state["batches"], state["generator"]
        if batches and isinstance(self.dataset, IterableDataset):
            warn_user(
                f"the state stands after batch {batches} of an IterableDataset, which cannot be "
                "entered there: its epoch begins anew"
            )
            batches = 0
        if batches and state["reads"] != self._reads():
            what = (
                f"the state was saved within an epoch over {state['reads']} (sampler, batch size, "
                f"generator, samples), and this loader's is over {self._reads()}"
            )
            if strict:
                raise ValueError(f"{what}. load_state_dict(state, strict=False) begins it anew")
            warn_user(f"{what}. As strict=False asks, it begins anew")
            batches = 0
        sampler: Any = self.sampler
        if batches and type(sampler) in _RANDOM and sampler.generator is None:
            warn_user(
                f"{type(sampler).__name__} draws from torch's default generator: unless that "
                "is as it was when the epoch began, other samples come than those left over"
            )
        repeated = state["shuffled_by"] if batches else None
        if self.generator is not None and generator is not None:
            repeated = state_of(self.generator, generator)
        self._end_workers()
        self._set(_latest=None)
        self._go_on_from(batches, repeated)

    def _go_on_from(self, batches: int, repeated: int | torch.Tensor | None) -> None:
        self._set(_to_skip=batches)
        if isinstance(self.sampler, ShuffledByTorch):
            self.sampler.repeated = repeated


def loads_on(state: Mapping[str, Any], rung: str) -> bool:
    """Whether a state says something on `rung`: it was saved there. One of another rung is a
    warning between epochs, and within one a ValueError."""
    if not isinstance(state, Mapping) or "version" not in state:
        raise ValueError("this is not a state of a ringfeed.DataLoader")
    saved = state.get("rung", NATIVE)
    if (saved == NATIVE) == (rung == NATIVE):
        return True
    text = f"the state was saved on the {saved} rung, and this loader is on the {rung} rung"
    if any(state.get(name) for name in ("batches", "positions", "beyond")):
        raise ValueError(
            f"{text}, whose order is another: within an epoch it cannot go on. Make the loader as "
            f"it was (native={saved == NATIVE} insists), load a state from between two epochs, or "
            "none"
        )
    warn_user(f"{text}: the next epoch has another order")
    return False
