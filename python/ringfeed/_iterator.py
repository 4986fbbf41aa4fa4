"""What iter(loader) gives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from ._epoch_run import Beginning, Run, begin, prepare

if TYPE_CHECKING:
    from .loader import DataLoader


class LoaderIterator:
    """Yields [images, labels]. Nothing is read, and no epoch begins, before its first next().

    One thread at a time. After an error that names a file, or a timeout, next() may go on: with the
    batch after the failed one, or with the batch that was waited for.

    In a `for` loop a KeyboardInterrupt loses nothing, whenever it comes: another `for` over the
    same iterator goes on, and the loader's state counts the batches that the first has seen.
    (Python may interrupt next(iterator) as it returns, with the batch in nobody's hands.) It may
    have target_transform called again. An interrupted sampler of the caller's may not be able to go
    on.
    """

    def __init__(self, loader: DataLoader) -> None:
        self._loader = loader
        self._beginning: Beginning | None = None
        self._run: Run | None = None
        self._ended = False
        self._profile_name = f"enumerate(DataLoader)#{type(self).__name__}.__next__"

    def __iter__(self) -> LoaderIterator:
        return self

    def __len__(self) -> int:
        return len(self._loader)

    def __next__(self) -> list[Any]:
        began = time.thread_time_ns()
        with torch.autograd.profiler.record_function(self._profile_name):
            if self._ended:
                raise StopIteration
            run = self._run
            if run is None or not run.announced:
                run = self._begin()
                began = time.thread_time_ns()
            made = run.next()
            if made is None:
                self._ended = True
                self._release()
                raise StopIteration
        if made.error is None:
            self._loader._meter.delivered(time.thread_time_ns() - began)
        # No call from here to the caller's hands: only in and after calls does Python raise what a
        # signal handler raised.
        run.made = None
        run.taken += made.counts
        if made.error is not None:
            try:
                raise made.error
            finally:
                del made  # the error refers to this frame
        return made.result

    def _begin(self) -> Run:
        """Begins the next epoch. After a KeyboardInterrupt the next call goes on with it."""
        began = time.thread_time_ns()
        loader, run = self._loader, self._run
        if run is None:
            beginning = self._beginning
            if beginning is None or beginning.start != loader._epochs.next:
                self._beginning = beginning = prepare(loader)
            try:
                self._run = run = begin(loader, beginning)
            except Exception:
                self._beginning = None
                raise
            self._beginning = None
        loader._runs.add(run)
        loader._epochs.begin(run)
        run.announced = True
        loader._meter.begun(time.thread_time_ns() - began)
        return run

    def _reset(self, loader: DataLoader, first_iter: bool = False) -> None:
        """torch's: persistent_workers use one iterator again and again."""
        self._release()
        self._beginning = None
        self._run = None
        self._ended = False

    def _release(self) -> None:
        if self._run is not None:
            self._run.release()

    def __del__(self) -> None:
        if getattr(self, "_run", None) is not None:
            self._release()

    def __getstate__(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled; pickle the loader")
