"""What a loader does where ringfeed's threads cannot serve: as torch's own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import torch
import torch.utils.data
from torch.utils.data import BatchSampler, IterableDataset, SequentialSampler

from ._epochs import Epochs, Progress
from ._order import Order
from ._random_orders import Origin, ShuffledByTorch, coming, origin_of, random_sampler
from ._state import VERSION
from ._state_values import check_values
from ._torch_pass import FromPlace, Place, TorchPass, skip_in
from ._worker_rung import Fetch, InWorker
from .datasets import warn_user
from .stats import Meter

T = TypeVar("T", covariant=True)

_FIELDS = ("batches", "reads", "shuffled_by", "generator")

NATIVE, WORKER, TORCH = "native", "worker", "torch"


_swapping = threading.RLock()
"""Held while attributes of a loader's are ringfeed's, for torch's iterator to take."""


class TorchRung(torch.utils.data.DataLoader[T]):
    """torch's loader, with a state like that of ringfeed's."""

    _rung = TORCH
    _why_not_native = ""
    _of_torch: Any = None  # the persistent iterator
    _latest: TorchPass | None = None  # of the iterator that was made last
    _place: Place

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

    def _iterate(self, order: Order, epochs: Epochs, meter: Meter) -> Iterator[Any]:
        if self._place.batches and self._of_torch is not None:
            skip_in(self._of_torch, self._place)
        epochs.tell_torchs_samplers(order, within=self._place.batches > 0)
        begun = TorchPass(self._place, order, epochs, meter)
        swapped: dict[str, Any] = {}
        if self.rung == WORKER:
            swapped["worker_init_fn"] = InWorker(self.worker_init_fn)
        if not self.num_workers:
            swapped["timeout"] = 0  # which torch refuses without workers
        with _swapping:
            before = {name: getattr(self, name) for name in swapped}
            self._set(**swapped)
            try:
                iterator: Any = super().__iter__()
            finally:
                self._set(**before)
        fetcher = vars(iterator).get("_dataset_fetcher")
        if fetcher is not None and self.rung == WORKER:  # without workers
            fetcher.fetch = Fetch(self.dataset, fetcher, self._auto_collation)
        begun.follow(iterator)
        self._set(_latest=begun)
        return iterator

    def _set(self, **values: Any) -> None:
        """Not by __setattr__, which Lightning records."""
        vars(self).update(values)

    @property
    def _index_sampler(self) -> Any:
        sampler = super()._index_sampler
        known = random_sampler(sampler) is not None
        return FromPlace(sampler, self._place) if known or self._place.batches else sampler

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

    def _running(self) -> TorchPass | None:
        """The latest iterator's pass until its end; also before its first batch."""
        latest = self._latest
        if latest is None or latest.ended or latest.stale:
            return None
        if not isinstance(self.dataset, IterableDataset):
            with contextlib.suppress(TypeError):  # without a length
                if latest.epoch is not None and latest.skipped + latest.batches >= len(self):
                    return None
        return latest

    def _torch_epoch(self, epochs: Epochs) -> int:
        """Of the latest iterator, or at its end of the next."""
        running = self._running()
        return epochs.next.epoch if running is None or running.epoch is None else running.epoch

    def _torch_state(self, epochs: Epochs, order: Order) -> dict[str, Any]:
        """How many batches the latest iterator has given, of which epoch, and what its order
        follows from; plain values. At an epoch's end, the beginning of the next, whose order
        follows from torch's default generator as it is then, unless a `generator` was given."""
        running = self._running()
        given = self._place.batches if running is None else running.skipped + running.batches
        if running is not None and running.batches and not self.in_order and self.num_workers:
            warn_user(
                "with in_order=False a state within an epoch does not know which batches have been "
                "given: it says the epoch's beginning"
            )
            given = 0
        origin = self._origin(running, given)
        return {
            "version": VERSION,
            "rung": self.rung,
            "epoch": self._torch_epoch(epochs),
            "sampler_epoch": order.sampler_epoch,
            "batches": given,
            "reads": self._reads(),
            "shuffled_by": origin.number,
            "generator": origin.text,
        }

    def _origin(self, running: TorchPass | None, given: int) -> Origin:
        """What the order follows from whose first batches are `given`."""
        sampler = self._random_sampler()
        if running is not None and running.origin.known:
            return running.origin
        if self._place.repeated.known or sampler is None or given:
            return self._place.repeated
        if running is not None:
            return coming(sampler)
        return Origin(generator=self._coming_generator_state(sampler.generator))

    def _random_sampler(self) -> Any:
        return random_sampler(super()._index_sampler)

    def _reads(self) -> list[Any]:
        """What a place in an epoch means nothing without: the sampler, the batches' size, whether
        a generator was given, and the number of samples."""
        batches, length = self.batch_sampler, None
        if not isinstance(self.dataset, IterableDataset):
            with contextlib.suppress(TypeError):
                length = len(self.dataset)  # type: ignore[arg-type]
        size = getattr(batches, "batch_size", None)
        own = batches.sampler if type(batches) is BatchSampler else batches
        name = type(self.sampler if own is None else own)
        return [name.__qualname__, size, self.generator is not None, length]

    def _coming_generator_state(self, generator: torch.Generator | None) -> torch.Tensor | None:
        """A sampler's own when it gives the next order. Advances none."""
        if generator is None:
            return None
        clone = torch.Generator(generator.device)
        clone.set_state(generator.get_state())
        # The base seed of new workers comes first.
        if generator is self.generator and self._of_torch is None:
            torch.empty((), dtype=torch.int64).random_(generator=clone)
        return clone.get_state()

    def _drop_torch_state(self) -> None:
        self._place.drop()

    def _load_torch_state(self, state: Mapping[str, Any], strict: bool) -> Progress | None:
        """The next iterator goes on from `state`: it reads the sampler as far as that had come, and
        loads nothing of what was given. What transforms draw from then on is new. Gives the epoch,
        where the state says it."""
        missing = [name for name in _FIELDS if name not in state]
        if missing:
            raise ValueError(f"the state lacks {', '.join(missing)}")
        check_values(state)
        batches, sampler, repeated = state["batches"], self._random_sampler(), Origin()
        if batches and isinstance(self.dataset, IterableDataset):
            warn_user(
                f"the state stands after batch {batches} of an IterableDataset, which cannot be "
                "entered there: its epoch begins anew"
            )
            batches = 0
        if batches and state["reads"] != self._reads():
            begin_anew(
                f"the state was saved within an epoch over {state['reads']} (sampler, batch size, "
                f"generator, samples), and this loader's is over {self._reads()}",
                strict,
            )
            batches = 0
        elif sampler is not None:
            repeated = origin_of(sampler, state["shuffled_by"], state["generator"])
        if batches and sampler is not None and not repeated.known:
            warn_user(
                f"the state does not say what the order of {type(sampler).__name__} follows from: "
                "unless its generator is as it was when the epoch began, other samples come than "
                "those left over"
            )
        self._place.load(batches, repeated)
        return epoch_of(state)


def epoch_of(state: Mapping[str, Any]) -> Progress | None:
    """The beginning of a state's epoch; None: it does not say which."""
    epoch = state.get("epoch")
    return None if epoch is None else Progress(epoch, sampler_epoch=state.get("sampler_epoch"))


def begin_anew(what: str, strict: bool) -> None:
    """Where a state cannot be gone on from within its epoch: ValueError, or a warning."""
    if strict:
        raise ValueError(f"{what}. load_state_dict(state, strict=False) begins it anew")
    warn_user(f"{what}. As strict=False asks, it begins anew")


def loads_on(state: Mapping[str, Any], rung: str, strict: bool) -> bool:
    """Whether a state says more than its epoch on `rung`: it was saved there. One of another rung
    is a warning between epochs, and within one a ValueError, or not `strict` a warning too."""
    if not isinstance(state, Mapping) or "version" not in state:
        raise ValueError("this is not a state of a ringfeed.DataLoader")
    saved = state.get("rung", NATIVE)
    if (saved == NATIVE) == (rung == NATIVE):
        return True
    check_values(state)
    text = f"the state was saved on the {saved} rung, and this loader is on the {rung} rung"
    if any(state.get(name) for name in ("batches", "positions", "beyond")):
        begin_anew(
            f"{text}, whose order is another: within an epoch it cannot go on. Make the loader as "
            f"it was (native={saved == NATIVE} insists), or load a state from between two epochs",
            strict,
        )
    else:
        warn_user(f"{text}: the next epoch has another order")
    return False
