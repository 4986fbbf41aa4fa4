"""Copies batches to a device while the one before is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from ._handover import END, NOTHING, Handover, Offer, Pending, for_loop
from ._unfinished import finish_all, map_tensors

__all__ = ["DevicePrefetcher"]

Batch = Any


class _Given(NamedTuple):
    """How far the caller is, while the loader is a batch ahead."""

    state: Any
    """The loader's after the batch that next() gave last."""
    ahead: list[Any]
    """The loader's own since then."""


class _Record(Pending):
    """Its item is a batch of the loader's that is not copied yet, or the error in its place: the
    loader is past it, and `given.ahead` does not say so yet."""

    def __init__(self, state: Any) -> None:
        self.given = _Given(state, [state])


@dataclass
class _Copied(Offer[Batch]):
    """A batch on its way to the device."""

    done: Any = None
    """The event that says that it is there."""


class DevicePrefetcher:
    """Yields a loader's batches with their tensors on `device`, copied one batch ahead.

    >>> import torch
    >>> from torchvision.transforms import CenterCrop, Compose, ToTensor
    >>> from ringfeed import DataLoader, DevicePrefetcher, ImageFolder
    >>> device = "cuda" if torch.cuda.is_available() else "cpu"
    >>> dataset = ImageFolder("imagenet/train", Compose([CenterCrop(224), ToTensor()]))
    >>> loader = DataLoader(dataset, batch_size=4, num_workers=2, pin_memory=device == "cuda")
    >>> for images, labels in DevicePrefetcher(loader, device):
    ...     assert images.device.type == labels.device.type == device

    With CUDA the copies are enqueued on a stream of their own, so that they run beside the work on
    the batch before; they are asynchronous only from page-locked memory (`pin_memory=True`). Each
    batch is ready for the stream that is current at next(). What a loader with finish_on="device"
    left to do is done on that stream too, behind the copy, so that [images, labels] come as from
    any other. On the CPU it finishes such batches, and passes others through.

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
        self._record: _Record | None = None

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        if self.device.type == "cuda":
            return _Ahead(self, Side(self.device))
        if getattr(self.loader, "finish_on", "device") == "cpu":
            return iter(self.loader)
        return _Ahead(self, Here())  # whose batches may be unfinished, through wrappers too

    @property
    def sampler(self) -> Any:
        """The loader's: Lightning looks here for set_epoch()."""
        return getattr(self.loader, "sampler", None)

    @property
    def batch_sampler(self) -> Any:
        return getattr(self.loader, "batch_sampler", None)

    def set_epoch(self, epoch: int) -> None:
        """The loader's: the epoch that the next iterator begins."""
        self.loader.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The loader's, as it was after the batch that next() gave last."""
        now, record = self.loader.state_dict(), self._record
        if record is not None and (record.item is not NOTHING or _stands_at(now, record.given)):
            return record.given.state
        return now  # moved by set_epoch(), or by an iterator of its own

    def load_state_dict(self, state: Mapping[str, Any] | None, strict: bool = True) -> None:
        """The loader's: the next iterator goes on from `state`. None drops a loaded one."""
        self.loader.load_state_dict(state, **({} if strict else {"strict": False}))
        self._record = None

    def stats(self) -> Any:
        """The loader's. It counts the batch that is copied ahead."""
        return self.loader.stats()

    def __repr__(self) -> str:
        return f"ringfeed.DevicePrefetcher({self.loader!r}, device={str(self.device)!r})"


def _stands_at(state: Mapping[str, Any], given: _Given) -> bool:
    """Whether a loader of this `state` stands where it stood after one of the batches ahead. At an
    epoch's end a state also says what the next pass would draw, which changes with torch's
    generator."""

    def place(of: Mapping[str, Any]) -> dict[str, Any]:
        return {name: of[name] for name in of if name not in ("key", "generator")}

    return any(place(state) == place(ahead) for ahead in given.ahead)


class Here:
    """The CPU, which has nothing to copy, and nobody who would work beside it."""

    ahead = 0

    def copy(self, batch: Batch) -> tuple[Batch, Any]:
        return finish_all(batch), None

    def hand_over(self, batch: Batch, done: Any) -> None:
        pass


class Side:
    """A CUDA stream beside the one that computes."""

    ahead = 1

    def __init__(self, device: torch.device) -> None:
        if not torch.cuda.is_available():
            raise RuntimeError(
                f"DevicePrefetcher cannot copy to {str(device)!r}: torch sees no CUDA device here. "
                'Use device="cpu", which passes batches through'
            )
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def copy(self, batch: Batch) -> tuple[Batch, Any]:
        """Enqueues the copies, and what is left to do with them; with them the event that says they
        are done. The copied 8-bit images need no record_stream: no other stream has them."""
        there: list[torch.Tensor] = []
        map_tensors(lambda tensor: there.append(tensor) if tensor.is_cuda else None, batch)
        if there:  # made on the current stream, and freed to it
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
            for tensor in there:
                tensor.record_stream(self._stream)
        with torch.cuda.stream(self._stream):
            copied = map_tensors(lambda tensor: tensor.to(self._device, non_blocking=True), batch)
            copied = finish_all(copied)
            done = self._stream.record_event()
        return copied, done

    def hand_over(self, batch: Batch, done: Any) -> None:
        """Makes the current stream wait for the copies. Their memory belongs to the side stream:
        without record_stream the allocator would give it to the next copy when the caller drops the
        batch, although work that the caller enqueued may not have run."""
        current = torch.cuda.current_stream(self._device)
        current.wait_event(done)
        map_tensors(lambda tensor: tensor.record_stream(current), batch)


class _Ahead(Handover[Batch]):
    """`side.ahead` batches ahead of the caller. Like a loader's iterator it begins at its first
    next()."""

    def __init__(self, owner: DevicePrefetcher, side: Side | Here) -> None:
        self._owner = owner
        self._side = side
        self._batches = for_loop(iter(owner.loader))
        self._stateful = hasattr(owner.loader, "state_dict")

    def _prepare(self) -> None:
        if self._record is None:
            self._record = _Record(self._state())
        record: _Record = self._record
        self._owner._record = record
        if not self._offers:
            self._copy_next(record)
        offer: Any = self._offers[0]
        if offer.error is None:
            if len(self._offers) <= self._side.ahead:
                self._copy_next(record)
            self._side.hand_over(offer.item, offer.done)
            offer.given = _Given(offer.given.state, self._offers[-1].given.ahead)
        elif offer.error is END:
            record.given = offer.given
            raise StopIteration
        del offer  # its error refers to this frame

    def _copy_next(self, record: _Record) -> None:
        """One batch more to the offers, or the error in its place."""
        try:
            record.fill(self._batches)
        except Exception as raised:  # for the call whose turn it is
            record.item = raised
        fetched = record.item
        error = fetched if isinstance(fetched, Exception) else None
        batch, done = (None, None) if error is not None else self._side.copy(fetched)
        state = self._state()
        copied = _Copied(batch, error, _Given(state, [state]), done)
        offers = (*self._offers, copied)
        given = _Given(record.given.state, [*record.given.ahead, state])
        # No call from here on, so that all of it is done or nothing.
        self._offers, record.given, record.item = offers, given, NOTHING
        del fetched, error, copied, offers  # an error refers to this frame

    def _state(self) -> Any:
        return self._owner.loader.state_dict() if self._stateful else None
