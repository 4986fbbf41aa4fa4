"""Which rung a loader is on: settled at each iterator, to torch's loader and back."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
import torch.utils.data
from torch.utils.data import BatchSampler, RandomSampler

from ._arguments import LeftOpen, resolve_workers
from ._native_parts import NativeParts
from ._obstacles import with_others
from ._reading import Reading
from ._samplers import SequentialOrder, ShuffledOrder
from ._torch_rung import NATIVE, TORCH, WORKER
from ._worker_rung import may_read_images
from .datasets import warn_user
from .errors import NotNative, not_native, with_own_options

T = TypeVar("T", covariant=True)

NOT_WANTED = "native=False asks for torch's own loader"
_PLACE_STANDS = (
    "a state has been loaded that stands within an epoch, and the dataset, its transform or the "
    "loader has changed since, so that another rung would go on from it: the orders of rungs "
    "differ. Change it back, or drop the state with load_state_dict(None)"
)

_FOR_WORKERS = ("timeout", "prefetch_factor", "persistent_workers")
"""What torch refuses, or has no use for, without worker processes."""

_OF_SHARES = ("rank", "world_size")

_warned: weakref.WeakSet[Rungs[Any]] = weakref.WeakSet()
"""Loaders whose rung a warning has told."""


def own_options_of(constructor: Callable[..., None]) -> dict[str, Any]:
    """A loader's options that are not torch's, and what they are where they are not given."""
    # Of torch's function, not of its class, which may have a __new__ that install() has put there.
    theirs = inspect.signature(torch.utils.data.DataLoader.__init__).parameters
    return {
        name: argument.default
        for name, argument in inspect.signature(constructor).parameters.items()
        if name not in theirs and name != "native"
    }


class Rungs(NativeParts[T]):
    """Goes to torch's loader where ringfeed's threads cannot serve, and back."""

    _own_options: Mapping[str, Any]

    def _settle_rung(self) -> Reading | None:
        """What the next iterator reads on the native rung; None: it is torch's. What the dataset
        and its transform are now counts."""
        try:
            if self.native is False:
                not_native(NOT_WANTED)
            reading = self._reading()
            reading.resolved.check_default_dtype(iterating=True)
        except NotNative as obstacle:
            before = self.rung
            self._go_to_torch(obstacle, self.multiprocessing_context)
            if before == NATIVE:
                self._warn_of_rung()
            return None
        if self.rung != NATIVE:
            if self._place.batches:
                raise ValueError(_PLACE_STANDS)
            self._end_workers()
            if not self._sampler_given:
                self._replace_sampler(isinstance(self.sampler, RandomSampler))
            if self._workers_left_open:
                ahead = self.prefetch_factor
                left = isinstance(ahead, LeftOpen)
                self._set(num_workers=0, prefetch_factor=None if left else ahead)
            self._set(_rung=NATIVE, _why_not_native="", _latest=None)
            self._session.epochs.see(self._order.samplers)
        return reading

    def _go_to_torch(self, obstacle: NotNative, context: Any) -> None:
        """Raises `obstacle`, with all others, where ringfeed's threads are insisted on. Called
        before torch's constructor too, which sets `context`."""
        if self.native is not False:
            obstacle = with_others(obstacle, self.dataset, context)
        own = self._own_given()
        if self.native or own:
            raise with_own_options(obstacle, own)
        if self.rung == NATIVE:
            self._leave_native()
        images = may_read_images(self.dataset)
        self._set(_rung=WORKER if images else TORCH, _why_not_native=str(obstacle))

    def _own_given(self) -> list[str]:
        defaults = self._own_options
        return [name for name in defaults if getattr(self, name) != defaults[name]]

    def _leave_native(self) -> None:
        epochs = self._up_to_date_epochs()
        if epochs.stands_within:
            raise ValueError(_PLACE_STANDS)
        epochs.leave_native()
        self._session.drop_core()
        if self._workers_left_open:
            ahead = self.prefetch_factor
            self._set(num_workers=resolve_workers(None), prefetch_factor=ahead or LeftOpen(2))
        if not self._sampler_given:
            size, drop_last = self._order.batching
            self._use_torchs_samplers(isinstance(self.sampler, RandomSampler), size, drop_last)

    def _warn_of_new_loader(self) -> None:
        """Unless another has been warned of for the same: libraries build loaders anew."""
        for other in _warned:
            if other.dataset is self.dataset and other.why_not_native == self.why_not_native:
                return
        self._warn_of_rung()

    def _warn_of_rung(self) -> None:
        if self.native is not None:
            return
        _warned.add(self)
        images = self.rung == WORKER
        how = "with files and images of ringfeed's" if images else "as without ringfeed"
        idle = [name for name in _FOR_WORKERS if getattr(self, name) and not self.num_workers]
        but = f". With num_workers=0 {' and '.join(idle)} means nothing there" if idle else ""
        warn_user(
            f"torch's own loader makes these batches, {how}: {self.why_not_native}{but}. "
            "native=True makes an error of this, native=False says that it is wanted"
        )

    def _replace_sampler(self, shuffle: bool) -> None:
        """Puts a sampler that passes set_epoch() on in the place of the one that torch made.

        Also where there is a batch_sampler: Lightning looks for set_epoch() here. By object's
        __setattr__, because torch and Lightning each watch their own.
        """
        dataset: Any = self.dataset  # which has a length, though torch's Dataset need not
        own: Any = (
            ShuffledOrder(dataset, self.generator, self.rank, self.world_size)
            if shuffle
            else SequentialOrder(dataset, self.rank, self.world_size)
        )
        own.options = tuple(name for name in self._own_given() if name not in _OF_SHARES)
        object.__setattr__(self, "sampler", own)
        if not self._sampler_given and self.batch_size is not None:
            batches = BatchSampler(own, self.batch_size, self.drop_last)
            object.__setattr__(self, "batch_sampler", batches)
