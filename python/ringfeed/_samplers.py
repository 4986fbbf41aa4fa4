"""The samplers that stand for the core's own order."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import torch
from torch.utils.data import DistributedSampler, RandomSampler, SequentialSampler


class OwnOrder:
    """Says that ringfeed's core makes the order, and carries set_epoch() to the loader.

    It is what `loader.sampler` holds when the caller gave no sampler: Lightning looks at its type
    and length, and calls its set_epoch(). It refers to no loader: the loader looks for calls
    (`set_epoch_calls`). So pickles and loaders made again from a loader's attributes need nothing
    done to them.
    """

    def _init_share(self, rank: int | None, world_size: int | None) -> None:
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.set_epoch_calls = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch that the next iterator begins, unless it is the one it would begin anyway."""
        self.epoch = epoch
        self.set_epoch_calls += 1

    def __len__(self) -> int:
        total = super().__len__()  # type: ignore[misc]
        return total if self.world_size is None else share_of(total, self.world_size)

    def __iter__(self) -> Iterator[int]:
        # For callers that read it themselves, as Lightning does when it predicts. No loader does.
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
