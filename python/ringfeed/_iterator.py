"""What iter(loader) gives."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data.dataloader import _BaseDataLoaderIter

from ._epoch_run import BatchOffer, EpochRun
from ._handover import Handover
from ._passes import PassStart
from ._request import EpochRequest
from ._session import Session


class LoaderIterator(Handover[Any], _BaseDataLoaderIter):  # type: ignore[misc]
    """Yields [images, labels], or an UnfinishedBatch. No file is read, and no epoch begins, before
    its first next().

    One thread at a time. After an error that names a file, or a timeout, next() may go on: with the
    batch after the failed one, or with the batch that was waited for.

    In a `for` loop a KeyboardInterrupt loses nothing, whenever it comes: another `for` over the
    same iterator goes on, and the loader's state counts the batches that the first has seen.
    (Python may interrupt next(iterator) as it returns, with the batch in nobody's hands.) It may
    have target_transform called again. An interrupted sampler of the caller's may not be able to go
    on.

    It is an iterator of torch's by type alone: Lightning's CombinedLoader leaves those out of a
    pickle.
    """

    _record: EpochRun | None = None
    """The run of its epoch, from the first next() on."""
    _offers: tuple[BatchOffer, ...] = ()

    def __init__(
        self,
        session: Session,
        start: PassStart,
        make_request: Callable[[PassStart], EpochRequest],
        length: Callable[[], int],
    ) -> None:
        """`start`: what iter() has drawn. `make_request`: what the next epoch reads; it keeps the
        loader alive."""
        self._session = session
        self._start = start
        self._make_request = make_request
        self._length = length
        self._request: EpochRequest | None = None
        self._begun = False
        self._ended = False
        self._profile_name = f"enumerate(DataLoader)#{type(self).__name__}.__next__"

    def __len__(self) -> int:
        return self._length()

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
                self._request = request = self._make_request(self._start)
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

    def reset(self, start: PassStart) -> None:
        """The next next() begins an epoch: persistent_workers use one iterator again and again."""
        self._release()
        self._start = start
        self._request = None
        self._record = None
        self._begun = False
        self._ended = False

    def _release(self) -> None:
        self._offers = ()
        if self._record is not None:
            self._record.release()

    def __del__(self) -> None:
        self._release()

    def __getstate__(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled; pickle the loader")
