"""Copies batches to a device while the one before is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

Batch = Any
_NOTHING = object()


@dataclass
class _Place:
    """How far the caller is, while the loader is a batch ahead of him."""

    given: Any
    """The loader's state after the batch that next() gave last."""
    loader: Any
    """Its state when that next() returned."""
    moving: bool = False
    """A next() has not returned: the loader may be further on."""


@dataclass
class _Copied:
    """A batch on its way to the device, or the error in its place."""

    batch: Batch
    done: Any
    error: Exception | None
    state: Any
    """The loader's, after this batch."""


class DevicePrefetcher:
    """Yields a loader's batches with their tensors on `device`, copied one batch ahead.

    With CUDA the copies are enqueued on a stream of their own, so that they run beside the work on
    the batch before; they are asynchronous only from page-locked memory (`pin_memory=True`). Each
    batch is ready for the stream that is current at next(). On the CPU it passes batches through.

    `loader`: a ringfeed.DataLoader, or any iterable of tensors in lists, tuples and dicts. An error
    of the loader is raised at the batch it belongs to, and next() may go on, as after a
    KeyboardInterrupt. state_dict() counts the batches that next() has given, not the one copied
    ahead. One thread at a time; two iterators at once only if no state is asked for.
    """

    def __init__(self, loader: Any, device: torch.device | str | int) -> None:
        self.loader = loader
        self.device = torch.device(device)
        if self.device.type not in ("cpu", "cuda"):
            raise ValueError(f'device must be "cpu" or a CUDA device, not {str(self.device)!r}')
        self._place: _Place | None = None

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        if self.device.type == "cpu":
            return iter(self.loader)
        return _Ahead(self, Side(self.device))

    @property
    def sampler(self) -> Any:
        """The loader's: Lightning looks here for set_epoch()."""
        return getattr(self.loader, "sampler", None)

    @property
    def batch_sampler(self) -> Any:
        return getattr(self.loader, "batch_sampler", None)

    def set_epoch(self, epoch: int) -> None:
        self._place = None
        self.loader.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The loader's, as it was after the batch that next() gave last."""
        now, place = self.loader.state_dict(), self._place
        # Another state than expected: a sampler's set_epoch(), or an iterator of the loader's own.
        return place.given if place is not None and (place.moving or place.loader == now) else now

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._place = None
        self.loader.load_state_dict(state)

    def stats(self) -> Any:
        return self.loader.stats()

    def __repr__(self) -> str:
        return f"ringfeed.DevicePrefetcher({self.loader!r}, device={str(self.device)!r})"


class Side:
    """A CUDA stream beside the one that computes."""

    def __init__(self, device: torch.device) -> None:
        if not torch.cuda.is_available():
            raise RuntimeError(
                f"DevicePrefetcher cannot copy to {str(device)!r}: torch sees no CUDA device here. "
                'Use device="cpu", which passes batches through'
            )
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def copy(self, batch: Batch) -> tuple[Batch, Any]:
        """Enqueues the copies; with them the event that says they are done."""
        with torch.cuda.stream(self._stream):
            copied = _map(lambda tensor: tensor.to(self._device, non_blocking=True), batch)
            done = self._stream.record_event()
        return copied, done

    def hand_over(self, batch: Batch, done: Any) -> None:
        """Makes the current stream wait for the copies. Their memory belongs to the side stream:
        without record_stream the allocator would give it to the next copy when the caller drops the
        batch, although work that the caller enqueued may not have run."""
        current = torch.cuda.current_stream(self._device)
        current.wait_event(done)
        _map(lambda tensor: tensor.record_stream(current), batch)


class _Ahead(Iterator[Batch]):
    """One batch ahead of the caller. Like a loader's iterator it begins at its first next().

    Every step is kept until the next one is done, for a KeyboardInterrupt between them.
    """

    def __init__(self, owner: DevicePrefetcher, side: Side) -> None:
        self._owner = owner
        self._side = side
        self._batches = iter(owner.loader)
        self._stateful = hasattr(owner.loader, "state_dict")
        self._place: _Place | None = None
        self._fetched: Batch = _NOTHING
        self._copied: list[_Copied] = []

    def __next__(self) -> Batch:
        place = self._place
        if place is None:
            now = self._state()
            place = self._place = self._owner._place = _Place(now, now)
        place.moving = True
        if not self._copied:
            self._fetch()
        found = self._copied[0]
        if found.error is not None:
            place.given, place.loader, place.moving = found.state, found.state, False
            if not isinstance(found.error, StopIteration):
                self._copied = []
            raise found.error
        if len(self._copied) == 1:
            self._fetch()
        self._side.hand_over(found.batch, found.done)
        # No call from here on: the batch is given.
        place.given, place.loader, place.moving = found.state, self._copied[-1].state, False
        self._copied = self._copied[1:]
        return found.batch

    def _fetch(self) -> None:
        error: Exception | None = None
        if self._fetched is _NOTHING:
            try:
                # Not next(): a KeyboardInterrupt raised as it returns would lose what it gave.
                for self._fetched in self._batches:
                    break
                else:
                    error = StopIteration()
            except Exception as raised:  # for the call whose turn it is
                error = raised
        batch, done = (None, None) if error is not None else self._side.copy(self._fetched)
        self._copied = [*self._copied, _Copied(batch, done, error, self._state())]
        self._fetched = _NOTHING

    def _state(self) -> Any:
        return self._owner.loader.state_dict() if self._stateful else None


def _map(function: Any, batch: Batch) -> Batch:
    if isinstance(batch, torch.Tensor):
        return function(batch)
    if isinstance(batch, Mapping):
        return {key: _map(function, value) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_map(function, value) for value in batch))
    if isinstance(batch, (list, tuple)):
        return type(batch)(_map(function, value) for value in batch)
    return batch
