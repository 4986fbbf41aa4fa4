"""What a loader says of its epochs: draws, failures, figures."""

from __future__ import annotations

import contextlib
import operator
import os
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import _arguments, _ringfeed
from ._core import core_loader
from ._failures import Failure
from ._loader_state import LoaderState
from ._mixing_apply import Mixer
from ._mixing_rules import BatchMix
from ._random_orders import ShuffledByTorch
from ._reading import core_options
from ._request import delivered_entries
from ._sampler_batches import batch_size_of
from ._torch_rung import NATIVE
from .errors import NotNativeValue
from .stats import Stats, no_figures
from .transforms import ViewsRecipe

T = TypeVar("T", covariant=True)


class LoaderFigures(LoaderState[T]):
    """draws(), mixing(), failures(), stats() and the text of a loader."""

    def draws(self, epoch: int) -> NDArray[np.void]:
        """Crops and flips of this rank's samples in `epoch`, in the order of delivery: shape [n],
        or [n, views] where the transform gives several; fields position u8, index u4 (of the whole
        dataset), top, left, height, width i4 (pixels), hflip bool. Reads the beginning of every
        file. ValueError for samplers whose order only iterating tells; a DistributedSampler is not
        disturbed: it is taken as it was in the epoch's pass, else as set to `epoch`. Of an epoch
        that had several passes, the latest. ValueError without `seed` for an epoch that is neither
        the next nor among the last 100 that had one. Of the epoch that began last, what failures()
        lists is as in the batches: with on_error="replace" the substitute's row, with "skip" none.
        Which files fail is not known before: a row is then that of the order's own sample, and
        LoadError where its beginning cannot be read."""
        self._need_threads("draws()")
        epoch, resolved, order = operator.index(epoch), self._resolved(), self._order
        place = self._up_to_date_epochs().pass_of(epoch)
        read = None if place is None else place.sampler_epoch
        entries, _ = delivered_entries(order, resolved, epoch if read is None else read)
        key, options = self._key_in(epoch), core_options(self, order, pinned=False)
        options["memory_limit"] = 0  # no batch is made
        size = min(order.batching[0] or 1, max(1, resolved.length))
        failed = [
            (failure.position, failure.substitute)
            for failure in self._session.epochs.failures(key).first
        ]
        core = core_loader(resolved, size, options, [view.plan for view in resolved.recipe.views])
        assert key.draws is not None
        rows = core.draws(key.draws, entries, key.order, failed)
        if isinstance(resolved.recipe, ViewsRecipe):
            rows = rows.reshape(-1, len(resolved.recipe.views))
        return rows

    def mixing(self, epoch: int) -> list[BatchMix]:
        """What `batch_transform` draws for this rank's batches in `epoch`, in the order of the
        epoch; empty without one. Reads no file. ValueError as from draws()."""
        self._need_threads("mixing()")
        epoch, order, reading = operator.index(epoch), self._order, self._reading()
        resolved, rule = reading.resolved, reading.mixing
        if rule is None:
            return []
        count = delivered_entries(order, resolved, epoch)[1]
        size, (rank, ranks) = getattr(self.batch_sampler, "batch_size", 1), order.shares
        draws, plan = self._key_in(epoch).draws, resolved.recipe.views[0].plan
        assert draws is not None
        mixer = Mixer(rule, 0, draws)
        return [
            mixer.draw(first * ranks + rank, min(size, count - first), plan.height, plan.width)
            for first in range(0, count, size)
        ]

    def failures(self) -> list[Failure]:
        """The files that could not be loaded in the epoch that began last, and what came in their
        places: the first thousand. At its end a RuntimeWarning names ten. Of this process, since
        the epoch was begun or gone on with; `max_failures` counts those before a state too. Any
        thread."""
        return list(self._session.epochs.failures().first)

    def stats(self) -> Stats:
        """Figures of the iterator that began last; print them. Any thread."""
        count, size = _ringfeed.held_bytes()
        held = {"held_batches": count, "held_bytes": size}
        rung = {"rung": self.rung, "why_not_native": self.why_not_native}
        return Stats({**no_figures(), **self._session.stats(), **held, **rung})

    def __repr__(self) -> str:
        epochs, order, here = self._session.epochs, self._order, ""
        description = self._description()
        own = [f"epoch={epochs.progress().epoch}"]
        if self.rung == NATIVE:
            here = "" if self.num_workers else f" ({_arguments.resolve_workers(0)} here)"
            own = [f"seed={self.seed}", *own, f"reader={self.reader!r}"]
            if self._cached is not None and self._cached.recipe.decodes_whole:
                own.append("decodes whole images")
        else:
            own = [f"epoch={self._torch_epoch(epochs)}"]
        batched = f"batch_size={batch_size_of(self.batch_sampler)}"
        parts = [
            description,
            batched if self._auto_collation else "no batches",
            f"num_workers={self.num_workers}{here}",
            "shuffled" if isinstance(self.sampler, ShuffledByTorch) else str(order),
            *own,
            f"rung={self.rung!r}",
        ]
        return f"ringfeed.DataLoader({', '.join(parts)})"

    def _description(self) -> str:
        if self.rung == NATIVE:
            with contextlib.suppress(Exception):  # of what has changed since: iter() says it
                return self._resolved().description
        dataset: Any = self.dataset
        text, root = type(dataset).__qualname__, getattr(dataset, "root", None)
        with contextlib.suppress(TypeError):  # without a length
            text += f" of {len(dataset)} samples"
        if isinstance(root, str | os.PathLike):
            text += f" in {_ringfeed.printable(os.fsdecode(root))}"
        return text

    def _need_threads(self, what: str) -> None:
        if self.rung != NATIVE:
            raise NotNativeValue(f"{what} is of the native rung, and {self.why_not_native}")
