"""Which samples a loader reads, and in which order: what its arguments say."""

from __future__ import annotations

import copy
import operator
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch.distributed as dist
from torch.utils.data import BatchSampler, DistributedSampler, RandomSampler, SequentialSampler

from ._numbers import global_seed, whole
from ._repeats import RepeatedAugmentationSampler
from ._samplers import OwnOrder, ShuffledOrder


class NoSeed(ValueError):
    """Several processes deal one shuffled order without a seed."""


@dataclass(frozen=True)
class Order:
    """A loader's order, as its attributes state it at this moment."""

    sampler: Any
    batch_sampler: Any
    given: bool
    """Whether the caller gave a sampler or batch_sampler."""
    rank: int | None
    """As given to the loader; so is `world_size`."""
    world_size: int | None

    @property
    def own(self) -> bool:
        """Whether the core makes the order; `sampler` then only stands for it. Not where a script
        has put something else in its place since: then that is read, as torch reads it."""
        if self.given or not isinstance(self.sampler, OwnOrder):
            return False
        batches = self.batch_sampler
        return batches is None or (
            type(batches) is BatchSampler and batches.sampler is self.sampler
        )

    @property
    def batching(self) -> tuple[int | None, bool]:
        """Size of the batches of torch's BatchSampler, and whether a last one that is not full is
        left out, as it says at this moment; other samplers' size is None."""
        if type(self.batch_sampler) is not BatchSampler:
            return None, False
        size, drop_last = self.batch_sampler.batch_size, self.batch_sampler.drop_last
        if whole("batch_sampler.batch_size", size) < 1:
            raise ValueError(f"batch_sampler.batch_size must be at least 1, not {size}")
        return operator.index(size), bool(drop_last)

    @property
    def index_sampler(self) -> Any:
        """The one whose indices are read: of a batch_sampler the one within, if that says so."""
        return getattr(self.batch_sampler, "sampler", self.sampler)

    @property
    def shuffled(self) -> bool:
        """Whether the core draws the order."""
        return self.own and isinstance(self.sampler, ShuffledOrder)

    @property
    def custom_batches(self) -> bool:
        """Whether a batch_sampler makes the batches that is not torch's own."""
        return self.batch_sampler is not None and type(self.batch_sampler) is not BatchSampler

    @property
    def samplers(self) -> list[Any]:
        """The samplers whose set_epoch() counts; Lightning looks at these two."""
        found = [self.sampler, getattr(self.batch_sampler, "sampler", None)]
        return [
            s for i, s in enumerate(found) if s is not None and all(s is not t for t in found[:i])
        ]

    @property
    def distributed(self) -> DistributedSampler | None:
        """The DistributedSampler beneath, or None."""
        for sampler in self.samplers:
            if isinstance(sampler, DistributedSampler):
                return sampler
        return None

    @property
    def shares(self) -> tuple[int, int]:
        """rank and world size: of the core's order, or of the positions that a sampler's samples
        take."""
        if self.rank is not None and self.world_size is not None:
            return self.rank, self.world_size
        if self.own:
            return 0, 1
        sampler = self.distributed
        if sampler is not None:
            return sampler.rank, sampler.num_replicas
        return _rank_in_group()

    @property
    def process_rank(self) -> int:
        """Of this process, also where each has an order of its own."""
        alone = self.rank is None and self.own
        return _rank_in_group()[0] if alone else self.shares[0]

    def shared_seed(self, given: Any) -> Any:
        """`given`, or what the processes that the core's order is dealt to find by themselves.
        NoSeed where they need one and there is none."""
        if given is not None or not self.own or (self.world_size or 1) == 1:
            return given
        found = global_seed()
        if found is None and self.shuffled:
            raise NoSeed(
                "rank= and world_size= deal one order to several processes, which need one seed "
                "for it: pass seed=, or set $PL_GLOBAL_SEED as Lightning's seed_everything() does"
            )
        return found

    def check_seed(self, given: Any, has_key: bool, stacklevel: int) -> None:
        """NoSeed as from shared_seed(), before any file is read. `has_key`: the next pass has a
        loaded one, and a warning says that those after it will fail."""
        try:
            self.shared_seed(given)
        except NoSeed as error:
            if not has_key:
                raise
            warnings.warn(
                f"{error}. The pass that a state goes on with has its key, later ones will fail",
                stacklevel=stacklevel,
            )

    def warn_if_unshared(self, stacklevel: int) -> bool:
        """Warns where each of several processes shuffles all samples for itself; whether."""
        if not self.shuffled or self.rank is not None or _rank_in_group()[1] == 1:
            return False
        warnings.warn(
            "shuffle=True in a process group of several ranks gives every rank all samples, in an "
            "order of its own if it is seeded differently, as torch does. To share them out pass "
            "sampler=DistributedSampler(dataset), or rank= and world_size= with seed=",
            stacklevel=stacklevel,
        )
        return True

    @property
    def read(self) -> tuple[Any, Any]:
        """What an iterator of torch's would read."""
        return self.sampler, self.batch_sampler

    @property
    def sampler_epoch(self) -> int | None:
        """The epoch of the caller's sampler, if there is one that has an epoch."""
        epochs = [getattr(sampler, "epoch", None) for sampler in self.samplers]
        known = [epoch for epoch in epochs if isinstance(epoch, int)]
        return None if self.own or not known else known[-1]

    @property
    def dealt_sampler(self) -> DistributedSampler | None:
        """The DistributedSampler whose order is known without iterating it; None: another sampler.
        Subclasses may have another order."""
        if self.own or self.custom_batches:
            return None
        sampler = self.index_sampler
        return sampler if type(sampler) is DistributedSampler else None

    @property
    def can_reshard(self) -> bool:
        """Whether what is left of an epoch can be dealt to another number of ranks."""
        return self.own or self.dealt_sampler is not None

    def samples_of(self, length: int) -> int | None:
        """In an epoch of all ranks, without padding, of `length` images. None: only the end of the
        caller's sampler tells, whatever its len() says."""
        if self.own or self.dealt_sampler is not None:
            return length
        sampler = getattr(self.batch_sampler, "sampler", self.sampler)
        if self.custom_batches or type(sampler) not in _FINITE:
            return None
        return len(sampler) * self.shares[1]

    def __str__(self) -> str:
        """For states and people."""
        if self.own:
            return "shuffled" if isinstance(self.sampler, RandomSampler) else "sequential"
        inner = self.index_sampler
        if isinstance(inner, DistributedSampler):
            repeats = getattr(inner, "repeats", None)
            more = "" if repeats is None else f", repeats={repeats}"
            name = f"{type(inner).__name__}(shuffle={inner.shuffle}, seed={inner.seed}{more})"
        else:
            name = type(inner).__name__
        if not self.custom_batches:
            return name
        outer = type(self.batch_sampler).__name__
        return outer if inner is self.sampler else f"{outer} of {name}"

    def indices_of(self, epoch: int) -> Iterable[int]:
        """The dataset's indices in `epoch`, for a sampler that need not begin an epoch to tell.
        ValueError for others."""
        if not self.custom_batches:
            sampler = self.index_sampler
            if type(sampler) in (DistributedSampler, RepeatedAugmentationSampler):
                sampler = copy.copy(sampler)  # the caller's keeps its epoch
                sampler.set_epoch(epoch)
                return sampler
            if type(sampler) is SequentialSampler:
                return sampler
        raise ValueError(
            f"draws() cannot know the order of {self}: to "
            "ask it would begin one of its epochs and use up its random numbers. It knows "
            "ringfeed's own order, a DistributedSampler's, a RepeatedAugmentationSampler's and a "
            "SequentialSampler's"
        )


_FINITE = (RandomSampler, SequentialSampler, RepeatedAugmentationSampler)


def _rank_in_group() -> tuple[int, int]:
    """Rank and world size in torch's process group; 0 and 1 without one."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def dealt_from(sampler: DistributedSampler, start: int, epoch: int | None = None) -> list[int]:
    """What is left for this rank of the sampler's epoch, or `epoch`, after `start` positions.

    Sample k stands at position start + k * num_replicas + rank of the whole order, whatever number
    of ranks consumed the positions before. From 0 on it is the sampler's own list.
    """
    whole = copy.copy(sampler)
    whole.epoch = sampler.epoch if epoch is None else epoch
    if start == 0:
        return list(whole)  # or its error: its dataset may have grown since it was made
    whole.num_replicas, whole.rank = 1, 0
    whole.num_samples = whole.total_size = len(whole.dataset)  # type: ignore[arg-type]
    order = list(whole)
    left = max(0, len(order) - start)
    ranks = sampler.num_replicas
    share = left // ranks if sampler.drop_last else -(-left // ranks)
    first = start + sampler.rank
    dealt = order[first::ranks][:share]
    padding = range(first + len(dealt) * ranks, first + share * ranks, ranks)
    return dealt + [order[p % len(order)] for p in padding]


def count_batches(samples: int, batch_size: int, drop_last: bool) -> int:
    """How many batches `samples` make."""
    return samples // batch_size if drop_last else -(-samples // batch_size)
