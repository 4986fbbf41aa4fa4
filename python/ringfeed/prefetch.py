"""Copies batches to a device while the one before is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

Batch = Any


class DevicePrefetcher:
    """Yields a loader's batches with their tensors on `device`, copied one batch ahead.

    With CUDA the copies are enqueued on a stream of their own, so that they run beside the work on
    the batch before; they are asynchronous only from page-locked memory (`pin_memory=True`). Each
    batch is ready for the stream that is current at next(). On the CPU it passes batches through.

    `loader`: a ringfeed.DataLoader, or any iterable of tensors in lists, tuples and dicts. An error
    of the loader is raised at the batch it belongs to, and next() may go on. state_dict() counts
    the batches that next() has given, not the one copied ahead. One thread at a time; two iterators
    at once only if no state is asked for.
    """

    def __init__(self, loader: Any, device: torch.device | str | int) -> None:
        self.loader = loader
        self.device = torch.device(device)
        if self.device.type not in ("cpu", "cuda"):
            raise ValueError(f'device must be "cpu" or a CUDA device, not {str(self.device)!r}')
        self._given: tuple[dict[str, Any], dict[str, Any]] | None = None
        """The loader's state before it gave the batch ahead, and after."""

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
        self._given = None
        self.loader.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The loader's, as it was after the batch that next() gave last."""
        now = self.loader.state_dict()
        # Another "after": a sampler's set_epoch(), or an iterator of the loader's own.
        return self._given[0] if self._given is not None and self._given[1] == now else now

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._given = None
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
    """One batch ahead of the caller. Like a loader's iterator it begins at its first next()."""

    def __init__(self, owner: DevicePrefetcher, side: Side) -> None:
        self._owner = owner
        self._side = side
        self._batches = iter(owner.loader)
        self._stateful = hasattr(owner.loader, "state_dict")
        self._next: tuple[Batch, Any] | Exception | None = None

    def __next__(self) -> Batch:
        if self._next is None:
            self._next = self._fetch()
        found = self._next
        if isinstance(found, StopIteration):
            raise StopIteration
        before = self._state()
        if isinstance(found, Exception):
            self._next = None
            self._owner._given = None
            raise found
        self._next = self._fetch()  # a KeyboardInterrupt leaves `found` for the next call
        if before is not None:
            self._owner._given = before, self._state()
        self._side.hand_over(*found)
        return found[0]

    def _state(self) -> Any:
        return self._owner.loader.state_dict() if self._stateful else None

    def _fetch(self) -> tuple[Batch, Any] | Exception:
        try:
            batch = next(self._batches)
        except Exception as error:  # StopIteration too: for the call whose turn it is
            return error
        return self._side.copy(batch)


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
