"""The samplers that stand for the core's own order."""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Iterator, Sized
from typing import Any

import torch
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)
from torch.utils.data.dataloader import _BaseDataLoaderIter


class OwnOrder:
    """Says that ringfeed's core makes the order, and carries set_epoch() to the loader.

    It is what `loader.sampler` holds when the caller gave no sampler: Lightning looks at its type
    and length, and calls its set_epoch(). It refers to no loader: the loader looks for calls
    (`set_epoch_calls`). So pickles and loaders made again from a loader's attributes need nothing
    done to them.
    """

    options: tuple[str, ...] = ()
    """Those of ringfeed's own that its loader has."""

    def _init_share(self, rank: int | None, world_size: int | None) -> None:
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.set_epoch_calls = 0
        self._warned_of_reader = False

    def set_epoch(self, epoch: int) -> None:
        """The epoch that the next iterator begins, unless it is the one it would begin anyway."""
        self.epoch = epoch
        self.set_epoch_calls += 1

    def __len__(self) -> int:
        total = super().__len__()  # type: ignore[misc]
        return total if self.world_size is None else share_of(total, self.world_size)

    def __iter__(self) -> Iterator[int]:
        # A loader reads it where something stands around it, as in Lightning when it predicts.
        self._notice_reader(sys._getframe(1))
        if self.world_size is None:
            return super().__iter__()  # type: ignore[misc]
        dealt: DistributedSampler[Any] = DistributedSampler(
            self.data_source,  # type: ignore[attr-defined]
            num_replicas=self.world_size,
            rank=self.rank,
            shuffle=isinstance(self, RandomSampler),
        )
        dealt.set_epoch(self.epoch)
        return iter(dealt)

    def _notice_reader(self, frame: types.FrameType) -> None:
        """ValueError where what is dealt is dealt a second time, whoever reads it. Warns once where
        that is another than a loader of ringfeed's."""
        dealer = None if (self.world_size or 1) == 1 else _dealer(frame)
        if dealer is not None:
            raise ValueError(
                f"already sharded by rank={self.rank} and world_size={self.world_size}, and "
                f"{type(dealer).__name__} deals it to the processes again: {_WAY_OUT}, or drop "
                "rank= and world_size="
            )
        if not self._warned_of_reader and not _reads_for_ringfeed(frame):
            self._warned_of_reader = True
            warnings.warn(
                "the sampler of a ringfeed loader is read by another than ringfeed: a torch loader "
                "that was built from its attributes loads without ringfeed's threads, dtype and "
                f"draws. {_WAY_OUT[0].upper()}{_WAY_OUT[1:]}",
                stacklevel=3,
            )


_WAY_OUT = (
    "keep the loader out of what rebuilds loaders, as accelerate's prepare() does, and give it "
    "rank= and world_size= instead"
)


def _reads_for_ringfeed(frame: types.FrameType | None) -> bool:
    """Whether, from `frame` outwards, ringfeed's code comes before another loader's iterator."""
    while frame is not None:
        if frame.f_globals.get("__package__") == __package__:
            return True
        if isinstance(frame.f_locals.get("self"), _BaseDataLoaderIter):
            return False
        frame = frame.f_back
    return False


def _dealer(frame: types.FrameType | None) -> Any:
    """The sampler or loader on the way that deals to several processes; None: there is none."""
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, (Sampler, DataLoader)):
            for holder in (owner, getattr(owner, "state", None)):
                counts = (getattr(holder, name, 1) for name in ("num_replicas", "num_processes"))
                if any(isinstance(count, int) and count > 1 for count in counts):
                    return owner
        frame = frame.f_back
    return None


class ShuffledOrder(OwnOrder, RandomSampler):
    """A RandomSampler by type and length. The core draws the order."""

    def __init__(
        self,
        data_source: Sized,
        generator: torch.Generator | None,
        rank: int | None,
        world_size: int | None,
    ) -> None:
        self._init_share(rank, world_size)
        RandomSampler.__init__(self, data_source, generator=generator)

    @property
    def num_samples(self) -> int:
        """Of all ranks; 0 is refused, as by RandomSampler."""
        return len(self.data_source)


class SequentialOrder(OwnOrder, SequentialSampler):
    """A SequentialSampler by type and length. The core reads the entries in their order."""

    def __init__(self, data_source: Sized, rank: int | None, world_size: int | None) -> None:
        self._init_share(rank, world_size)
        SequentialSampler.__init__(self, data_source)


def stands_for_own_order(
    sampler: object, dataset: object, rank: int | None, world_size: int | None
) -> bool:
    """Whether `sampler` is a loader's own, of these shares of `dataset`. Lightning hands it back
    to the loader that it makes anew."""
    if not isinstance(sampler, OwnOrder):
        return False
    if (sampler.rank, sampler.world_size) != (rank, world_size):
        return False
    return sampler.data_source is dataset  # type: ignore[attr-defined]


def share_of(samples: int, world_size: int) -> int:
    """Samples of each rank, padded to be equal."""
    return -(-max(0, samples) // world_size)
