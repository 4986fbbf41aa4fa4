"""Copies batches to a device while the one before is used."""

from __future__ import annotations

import itertools
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
    ahead: list[Any]
    """The loader's own, since then."""
    fetched: Batch = _NOTHING
    """A batch of the loader's that is not copied yet, or the error in its place. The loader is past
    it, and `ahead` does not say so yet."""


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
    of the loader is raised at the batch it belongs to, and next() may go on; so may another `for`
    over the same iterator after a KeyboardInterrupt. state_dict() counts the batches that next()
    has given, not the one copied ahead. One thread at a time; two iterators at once only if no
    state is asked for.
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
        self.loader.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The loader's, as it was after the batch that next() gave last."""
        now, place = self.loader.state_dict(), self._place
        if place is not None and (place.fetched is not _NOTHING or now in place.ahead):
            return place.given
        return now  # moved by set_epoch(), or by an iterator of its own

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
        # Never iter() of it: some iterators begin anew at that.
        self._batches = map(next, itertools.repeat(iter(owner.loader)))
        self._stateful = hasattr(owner.loader, "state_dict")
        self._place: _Place | None = None
        self._copied: list[_Copied] = []

    def __next__(self) -> Batch:
        place = self._place
        if place is None:
            now = self._state()
            place = self._place = _Place(now, [now])
        self._owner._place = place
        if not self._copied:
            self._fetch(place)
        found = self._copied[0]
        if found.error is not None:
            ended = isinstance(found.error, StopIteration)
            ahead = [found.state]
            # No call from here on: the error is given.
            place.given, place.ahead = found.state, ahead
            if ended:
                raise StopIteration
            self._copied = []
            try:
                raise found.error
            finally:
                del found  # the error refers to this frame
        if len(self._copied) == 1:
            self._fetch(place)
        ahead = [self._copied[1].state]
        self._side.hand_over(found.batch, found.done)
        # No call from here on: the batch is given.
        place.given, place.ahead = found.state, ahead
        self._copied = self._copied[1:]
        return found.batch

    def _fetch(self, place: _Place) -> None:
        """One batch more to `_copied`, or the error in its place."""
        if place.fetched is _NOTHING:
            try:
                # Not next(): a KeyboardInterrupt raised as it returns would lose what it gave.
                for place.fetched in self._batches:
                    break
                else:
                    place.fetched = StopIteration()
            except Exception as raised:  # for the call whose turn it is
                place.fetched = raised
        fetched = place.fetched
        error = fetched if isinstance(fetched, Exception) else None
        batch, done = (None, None) if error is not None else self._side.copy(fetched)
        state = self._state()
        copied = [*self._copied, _Copied(batch, done, error, state)]
        ahead = [*place.ahead, state]
        # No call from here on, so that all of it is done or nothing.
        self._copied, place.ahead, place.fetched = copied, ahead, _NOTHING
        del fetched, error, copied  # an error refers to this frame

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
