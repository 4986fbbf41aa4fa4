"""Which rung a loader is on: settled at each iterator, to torch's loader and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from torch.utils.data import BatchSampler, RandomSampler

from ._epochs import Epochs
from ._native_parts import NativeParts
from ._reading import Reading
from ._samplers import SequentialOrder, ShuffledOrder
from ._torch_rung import NATIVE, TORCH, WORKER
from ._worker_rung import reads_images
from .datasets import warn_user
from .errors import NotNative, not_native, with_own_options

T = TypeVar("T", covariant=True)

NOT_WANTED = "native=False asks for torch's own loader"
_PLACE_STANDS = (
    "a state has been loaded that stands within an epoch, and the dataset, its transform or the "
    "loader has changed since, so that another rung would go on from it: the orders of rungs "
    "differ. Change it back, or drop the state with load_state_dict(None)"
)


class Rungs(NativeParts[T]):
    """Goes to torch's loader where ringfeed's threads cannot serve, and back."""

    _own_options: ClassVar[Mapping[str, Any]] = {}
    """Options of ringfeed's own, and what they are where they are not given."""

    def _settle_rung(self) -> Reading | None:
        """What the next iterator reads on the native rung; None: it is torch's. What the dataset
        and its transform are now counts."""
        try:
            if self.native is False:
                not_native(NOT_WANTED)
            reading = self._reading()
            reading.resolved.check_default_dtype(iterating=True)
        except NotNative as obstacle:
            self._go_to_torch(obstacle)
            return None
        if self.rung != NATIVE:
            if self._to_skip:
                raise ValueError(_PLACE_STANDS)
            self._end_workers()
            if not self._sampler_given:
                self._replace_sampler(isinstance(self.sampler, RandomSampler))
            self._set(_rung=NATIVE, _why_not_native="", _to_skip=0, _latest=None)
            self._session.epochs = Epochs(self._order.samplers)
        return reading

    def _go_to_torch(self, obstacle: NotNative) -> None:
        """Raises `obstacle` where ringfeed's threads are insisted on."""
        own = [
            name for name, default in self._own_options.items() if getattr(self, name) != default
        ]
        if self.native or own:
            raise with_own_options(obstacle, own)
        if self.rung == NATIVE:
            if self._session.epochs.stands_within:
                raise ValueError(_PLACE_STANDS)
            self._session.drop_core()
            if not self._sampler_given:
                size, drop_last = self._order.batching
                self._use_torchs_samplers(
                    isinstance(self.sampler, RandomSampler), size, bool(drop_last)
                )
        why, before = str(obstacle), self.why_not_native
        images = reads_images(self.dataset)
        self._set(_rung=WORKER if images else TORCH, _why_not_native=why)
        if self.native is None and not before:
            how = "with files and images of ringfeed's" if images else "as without ringfeed"
            what = f"torch's own loader makes these batches, {how}"
            warn_user(
                f"{what}: {why}. native=True makes an error of this, native=False says that it is "
                "wanted"
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
        object.__setattr__(self, "sampler", own)
        if not self._sampler_given and self.batch_size is not None:
            batches = BatchSampler(own, self.batch_size, self.drop_last)
            object.__setattr__(self, "batch_sampler", batches)
