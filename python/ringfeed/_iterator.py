"""What iter(loader) gives."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.utils.data
from torch.utils.data.dataloader import _BaseDataLoaderIter

from ._epoch_run import BatchOffer, EpochRun
from ._handover import Handover
from ._passes import PassStart
from ._request import EpochRequest
from ._session import Session


class Beginning(NamedTuple):
    """What iter() has settled of a pass."""

    start: PassStart
    """What it has drawn."""
    make_request: Callable[[], EpochRequest]
    """What the next epoch reads, at the first next()."""


class LoaderIterator(Handover[Any], _BaseDataLoaderIter):  # type: ignore[misc]
    """Yields [images, labels], or an UnfinishedBatch. No file is read, and no epoch begins, before
    its first next().

    One thread at a time. After an error that names a file, or a timeout, next() may go on: with the
    batch after the failed one, or with the batch that was waited for.

    In a `for` loop a KeyboardInterrupt loses nothing, whenever it comes: another `for` over the
    same iterator goes on, and the loader's state counts the batches that the first has seen.
    (Python may interrupt next(iterator) as it returns, with the batch in nobody's hands.) It may
    have a script's code called again for a batch: target_transform, collate_fn. An interrupted
    sampler of the caller's may not be able to go on.

    It is an iterator of torch's by type alone: Lightning's CombinedLoader leaves those out of a
    pickle.
    """

    _record: EpochRun | None = None
    """The run of its epoch, from the first next() on."""
    _offers: tuple[BatchOffer, ...] = ()

    def __init__(
        self,
        loader: torch.utils.data.DataLoader[Any],
        session: Session,
        begin_pass: Callable[[], Beginning],
    ) -> None:
        """`begin_pass`: is called here and by reset(). Keeps `loader` alive."""
        self._session = session
        self._loader = loader
        self._begin_pass = begin_pass
        self._profile_name = f"enumerate(DataLoader)#{type(self).__name__}.__next__"
        self.reset()

    def reset(self) -> None:
        """The next next() begins an epoch: persistent_workers use one iterator again and again."""
        beginning = self._begin_pass()
        self._release()
        self._start, self._make_request = beginning
        self._request: EpochRequest | None = None
        self._record = None
        self._begun = False
        self._ended = False

    def __len__(self) -> int:
        return len(self._loader)

    def _prepare(self) -> None:
        started = time.thread_time_ns()
        with torch.autograd.profiler.record_function(self._profile_name):
            if self._ended:
                raise StopIteration
            run = self._record
            if run is None or not self._begun:
                run = self._begin()
                started = time.thread_time_ns()
            if not self._offers:
                offer = run.make_offer()
                if offer is None:
                    self._ended = True
                    self._release()
                    raise StopIteration
                self._offers = (offer,)
                del offer  # its error refers to this frame
            run.accept(self._offers[0])
        if self._offers[0].error is None:
            self._session.meter.delivered(time.thread_time_ns() - started)

    def _begin(self) -> EpochRun:
        """Begins the next epoch. After a KeyboardInterrupt the next call goes on with it."""
        started = time.thread_time_ns()
        session, run = self._session, self._record
        if run is None:
            request = self._request
            if request is None or request.start != session.epochs.next:
                self._request = request = self._make_request()
            try:
                self._record = run = session.prepare(request)
            except Exception:
                self._request = None
                self._start.drop_items()
                raise
            self._request = None
        session.passes.began(self._start)
        session.begin(run)
        self._begun = True
        session.meter.begun(time.thread_time_ns() - started)
        return run

    def _release(self) -> None:
        self._offers = ()
        if self._record is not None:
            self._record.release()

    def __del__(self) -> None:
        self._release()

    def __getstate__(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled; pickle the loader")

    # What torch's iterators have, as libraries use it

    def _reset(self, loader: Any, first_iter: bool = False) -> None:
        self.reset()

    def __getattr__(self, name: str) -> Any:
        if name in _OF_LOADER and "_loader" in vars(self):
            return getattr(self._loader, _OF_LOADER[name])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def _num_yielded(self) -> int:  # type: ignore[override]
        return 0 if self._record is None else self._record.given.batches

    @property
    def _base_seed(self) -> int:  # type: ignore[override]
        return self._start.base.number

    @property
    def _sampler_iter(self) -> Any:
        """Of the caller's sampler, until the first next()."""
        return self._start.kept_items


_OF_LOADER = {
    "_dataset": "dataset",
    "_dataset_kind": "_dataset_kind",
    "_IterableDataset_len_called": "_IterableDataset_len_called",
    "_auto_collation": "_auto_collation",
    "_drop_last": "drop_last",
    "_index_sampler": "_index_sampler",
    "_num_workers": "num_workers",
    "_pin_memory": "pin_memory",
    "_timeout": "timeout",
    "_collate_fn": "collate_fn",
    "_persistent_workers": "persistent_workers",
}
"""Attributes of torch's iterators, and whence of a loader they come."""
