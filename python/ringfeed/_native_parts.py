"""What a loader is on the native rung, as its attributes say at this moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch

from ._collate import is_called
from ._epochs import Epochs
from ._limits import DecodeLimits
from ._mixing_compiler import rule_of
from ._order import Order
from ._reading import Reading
from ._resolved import Resolved, resolve_dataset
from ._session import Session
from ._torch_rung import TorchRung
from .datasets import warn_user

T = TypeVar("T", covariant=True)


class NativeParts(TorchRung[T]):
    """The options of ringfeed's own, and what is made of them and of torch's."""

    native: bool | None
    seed: int | Sequence[int] | None
    rank: int | None
    world_size: int | None
    memory_limit: int | None
    reader: str
    limits: DecodeLimits | None
    read_ahead_bytes: int | None
    depth: int | None
    dtype: torch.dtype | None
    channels_last: bool
    pillow: str | None
    batch_transform: Any
    finish_on: str
    on_error: str
    max_failures: int | float | None
    retries: int

    _sampler_given: bool
    _workers_left_open: bool
    """Whether num_workers was given as None: the cores, on each rung."""
    _session: Session
    _cached: Resolved | None = None
    _read: Resolved | None = None
    """What the pass that began last reads."""

    @property
    def _order(self) -> Order:
        given = self._sampler_given
        return Order(self.sampler, self.batch_sampler, given, self.rank, self.world_size)

    def _reading(self) -> Reading:
        return Reading(self, self._order, self._resolved())

    def _resolved(self) -> Resolved:
        before = self._cached
        found = resolve_dataset(
            self.dataset,
            before,
            dtype=self.dtype,
            channels_last=self.channels_last,
            pillow=self.pillow,
            finish_on=self.finish_on,
            asks_samples=is_called(self.collate_fn, not self._one_by_one),
        )
        vars(self)["_cached"] = found  # not by __setattr__, which Lightning records
        if self.on_error == "raise":
            found.refuse_other_formats()
        elif found.other_formats and (before is None or before.seen is not found.seen):
            warn_user(f"{found.other_formats}: on_error={self.on_error!r} is what becomes of these")
        return found

    @property
    def _one_by_one(self) -> bool:
        return self.batch_size is None and self.batch_sampler is None

    def _recipe_text(self, resolved: Resolved) -> str:
        mixing, text = rule_of(self.batch_transform, self.collate_fn), resolved.recipe.text
        return text if mixing is None else f"{text}; batches: {mixing.text}"

    def _up_to_date_epochs(self) -> Epochs:
        """The session's, after a look for set_epoch() calls on the samplers."""
        self._session.epochs.notice_set_epoch(self._order.samplers)
        return self._session.epochs
