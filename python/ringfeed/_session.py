"""What the iterators of a loader share in one process."""

from __future__ import annotations

import os
import weakref
from typing import Any

from . import _ringfeed
from ._core import core_loader, stop_in_background
from ._epoch_run import EpochRun
from ._epochs import Epochs
from ._passes import Passes
from ._request import EpochRequest
from .stats import Meter


class Session:
    """Which epoch is next, what runs, what has been measured, and what persistent_workers keep."""

    _kept: tuple[tuple[Any, ...], _ringfeed.Loader] | None = None
    """A core loader for the next epoch, and what it was made of; its process first."""

    def __init__(self, epochs: Epochs) -> None:
        self.epochs = epochs
        self.passes = Passes()
        self.meter = Meter()
        self._runs: weakref.WeakSet[EpochRun] = weakref.WeakSet()

    def prepare(self, request: EpochRequest) -> EpochRun:
        """Makes the run of `request`; begin() makes it the latest. After a KeyboardInterrupt call
        it again."""
        core = None
        first = request.batches.first_size()
        if first:
            core = self._core_for(request, request.batches.size or first)
        return EpochRun(request, core)

    def begin(self, run: EpochRun) -> None:
        """`run` is the latest from now on."""
        self._runs.add(run)
        self.epochs.begin(run)

    def _core_for(self, request: EpochRequest, batch_size: int) -> _ringfeed.Loader:
        """A core loader; the kept one if nothing has changed."""
        key = (os.getpid(), request.resolved, batch_size, request.core_options)
        if self._kept is not None and self._kept[0] == key:
            return self._kept[1]
        self.drop_core()
        # Without persistent_workers each epoch pays for new threads and fresh memory: 0.5 ms of CPU
        # here, and until the first batch 160 ms more at most (64 photos, 2 busy cores).
        core = core_loader(request.resolved, batch_size, request.core_options)
        if request.keep_core:
            self._kept = key, core
        return core

    def drop_core(self) -> None:
        """Ends the threads that are kept for the next epoch."""
        kept, self._kept = self._kept, None
        if kept is not None:
            stop_in_background(kept[1], kept[0][0])

    def stop(self) -> None:
        """Ends all runs, and all threads with them. Any thread."""
        for run in list(self._runs):
            run.stop()
        self._kept = None

    def stats(self) -> dict[str, Any]:
        return {**self.epochs.stats(), **self.meter.figures()}

    def __del__(self) -> None:
        self.drop_core()
