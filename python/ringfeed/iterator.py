"""What iter(loader) gives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from .run import Run, begin

if TYPE_CHECKING:
    from .loader import DataLoader


class LoaderIterator:
    """Yields [images, labels]. Nothing is read, and no epoch begins, before its first next().

    One thread at a time. After an error that names a file, or a timeout, next() may go on: with the
    batch after the failed one, or with the batch that was waited for. A KeyboardInterrupt out of
    next() loses nothing, whenever it comes; it may have target_transform called again.
    """

    def __init__(self, loader: DataLoader) -> None:
        self._loader = loader
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
            if self._run is None:
                self._run = begin(self._loader)
            run = self._run
            if not run.announced:
                self._loader._runs.add(run)
                self._loader._epochs.begin(run)
                run.announced = True
                now = time.thread_time_ns()
                self._loader._meter.begun(now - began)
                began = now
            result = run.next()
            if result is None:
                self._ended = True
                self._release()
                raise StopIteration
        self._loader._meter.delivered(time.thread_time_ns() - began)
        # No call from here to the caller's hands: only in and after calls does Python raise what a
        # signal handler raised.
        run.taken += 1
        run.made = None
        return result

    def _reset(self, loader: DataLoader, first_iter: bool = False) -> None:
        """torch's: persistent_workers use one iterator again and again."""
        self._release()
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

