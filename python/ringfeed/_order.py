"""Which samples, in which order: ringfeed's own samplers, and reading from those of others."""

from __future__ import annotations

import copy
import itertools
import operator
import os
import zlib
from collections import deque
from collections.abc import Iterator, Sized
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch.utils.data import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
)

_NOTHING = object()


class _OwnOrder:
    """Says that ringfeed's core makes the order, and carries set_epoch() to the loader.

    It is what `loader.sampler` holds when the caller gave no sampler: its type and length are what
    Lightning looks at, and its set_epoch() is what Lightning calls. The loader asks it for news
    (`calls`) instead of being told, so that it refers to no loader: copies, pickles and loaders
    made again from a loader's attributes need nothing done to them.
    """

    def _init_share(self, rank: int | None, world_size: int | None) -> None:
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.calls = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch that the next iterator begins, unless it is the one it would begin anyway."""
        self.epoch = epoch
        self.calls += 1

    def __len__(self) -> int:
        total = super().__len__()  # type: ignore[misc]
        return total if self.world_size is None else share_of(total, self.world_size)

    def __iter__(self) -> Iterator[int]:
        # Only for who pulls it himself, such as Lightning when it predicts: a loader does not.
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


class ShuffledOrder(_OwnOrder, RandomSampler):
    """A RandomSampler to look at. The core draws the order from (seed, epoch)."""

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


class SequentialOrder(_OwnOrder, SequentialSampler):
    """A SequentialSampler to look at."""

    def __init__(self, data_source: Sized, rank: int | None, world_size: int | None) -> None:
        self._init_share(rank, world_size)
        SequentialSampler.__init__(self, data_source)


def is_own(sampler: object, dataset: object, shares: tuple[int | None, int | None]) -> bool:
    """Whether `sampler` stands for the core's order of `dataset`, as Lightning hands it back.

    `shares`: rank and world size, which its length must be of.
    """
    if not isinstance(sampler, _OwnOrder) or (sampler.rank, sampler.world_size) != shares:
        return False
    return sampler.data_source is dataset  # type: ignore[attr-defined]


def samplers_of(sampler: Any, batch_sampler: Any) -> list[Any]:
    """Where Lightning, and therefore everybody, looks for set_epoch()."""
    found = [sampler, getattr(batch_sampler, "sampler", None)]
    return [s for i, s in enumerate(found) if s is not None and all(s is not t for t in found[:i])]


def distributed_sampler(sampler: Any, batch_sampler: Any) -> DistributedSampler | None:
    """The DistributedSampler beneath, or None."""
    for candidate in samplers_of(sampler, batch_sampler):
        if isinstance(candidate, DistributedSampler):
            return candidate
    return None


def at_epoch(sampler: DistributedSampler, epoch: int) -> DistributedSampler:
    """A copy that the caller's sampler knows nothing of."""
    other = copy.copy(sampler)
    other.set_epoch(epoch)
    return other


def dealt_from(sampler: DistributedSampler, start: int) -> list[int]:
    """What is left for this rank of the sampler's epoch after `start` positions.

    Sample k stands at position start + k * num_replicas + rank of the whole order, whatever number
    of ranks consumed the positions before. From 0 on it is the sampler's own list.
    """
    whole = copy.copy(sampler)
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


def can_deal(sampler: object) -> bool:
    """Whether dealt_from() knows its order: subclasses may have another."""
    return type(sampler) is DistributedSampler


def batches_of(indices: Iterator[Any], like: BatchSampler | None) -> Iterator[list[Any]]:
    """As the BatchSampler `like` makes them; None: one by one. In C alone: Python's code could be
    ended by a KeyboardInterrupt."""
    if like is None:
        return map(list, zip(indices))
    if like.drop_last:
        return map(list, zip(*[indices] * like.batch_size))
    parts = map(itertools.islice, itertools.repeat(indices), itertools.repeat(like.batch_size))
    return itertools.takewhile(len, map(list, parts))


def slices_of(samples: list[int], like: BatchSampler | None) -> Iterator[list[int]]:
    """The same of a list, without an iterator that could be interrupted halfway."""
    size, drop_last = (1, False) if like is None else (like.batch_size, like.drop_last)
    end = len(samples) - len(samples) % size if drop_last else len(samples)
    bounds = range(0, end, size), range(size, end + size, size)
    return map(samples.__getitem__, map(slice, *bounds))


def shares_of(sampler: DistributedSampler | None) -> tuple[int, int]:
    """rank and world size of the samples that a foreign sampler gives."""
    if sampler is not None:
        return sampler.rank, sampler.num_replicas
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def shared_seed(sampler: DistributedSampler | None, world_size: int | None) -> int | None:
    """The seed that several processes agree on without a word; None for one process."""
    if sampler is not None:
        return sampler.seed % (1 << 64)
    several = (world_size or 1) > 1 or (dist.is_available() and dist.is_initialized())
    return int(os.environ.get("PL_GLOBAL_SEED", 0)) if several else None


def describe(sampler: Any, batch_sampler: Any, own: bool) -> str:
    """The order, for states and people."""
    if own:
        return "shuffled" if isinstance(sampler, RandomSampler) else "sequential"
    custom = batch_sampler is not None and type(batch_sampler) is not BatchSampler
    inner = getattr(batch_sampler, "sampler", sampler)
    if isinstance(inner, DistributedSampler):
        name = f"{type(inner).__name__}(shuffle={inner.shuffle}, seed={inner.seed})"
    else:
        name = type(inner).__name__
    if not custom:
        return name
    outer = type(batch_sampler).__name__
    return outer if inner is sampler else f"{outer} of {name}"


def share_of(samples: int, world_size: int) -> int:
    """Of each rank: padded to be equal."""
    return -(-max(0, samples) // world_size)


def count_batches(samples: int, batch_size: int, drop_last: bool) -> int:
    return samples // batch_size if drop_last else -(-samples // batch_size)


def size_of(samples: Any) -> int | None:
    """len(), or None for what has none."""
    try:
        return len(samples)
    except (TypeError, NotImplementedError):
        return None


class Pull:
    """Reads a foreign order for the core, one batch a call, on the thread of next().

    It keeps a checksum of the indices, so that a resumed epoch can tell whether a sampler repeats
    itself. The checksum belongs to the samples, whatever the batches they came in.
    """

    def __init__(
        self, batches: Iterator[Any], length: int, entries: NDArray[np.uint32] | None
    ) -> None:
        """`length`: of the caller's dataset. `entries`: of a Subset, where its samples are."""
        # Never iter() of them: some samplers begin anew at that.
        self._batches = map(next, itertools.repeat(batches))
        self._fetched: Any = _NOTHING
        self._length = length
        self._entries = entries
        self._mark = 0, 0
        """How many samples have been given, and their checksum."""
        self._marks = deque([self._mark])  # after the batches not consumed
        self.ended = False
        self.failed = False

    def skip_batches(self, samples: int) -> int:
        """Goes past what an earlier run consumed: how many batches. ValueError within a batch."""
        skipped = 0
        while self._mark[0] < samples and self() is not None:
            skipped += 1
        if self._mark[0] > samples:
            raise ValueError(
                f"the state was taken after {samples} samples, which is within a batch of this "
                "batch_sampler: resume with the batch sizes that were saved"
            )
        self._check_skipped(samples)
        return skipped

    def skip_samples(self, samples: int, indices: Iterator[Any]) -> None:
        """The same for `indices` of which the batches have yet to be made."""
        if samples:
            skipped = _places(list(itertools.islice(indices, samples)), self._length)
            self._mark = self._mark_after(skipped)
        self._check_skipped(samples)

    def _check_skipped(self, samples: int) -> None:
        if self._mark[0] < samples:
            raise ValueError(
                f"the sampler ends after {self._mark[0]} samples, before the {samples} that "
                "the state counts: it is not the order that was saved"
            )

    def peek(self) -> int | None:
        """Size of the first batch, which stays the next; None: there is no batch."""
        self._fetch()
        return None if self.ended else len(_places(self._fetched, self._length))

    def __call__(self) -> NDArray[np.uint32] | None:
        """Where it raises KeyboardInterrupt and not `failed`, it can be called again."""
        self._keep_mark()
        self._fetch()
        if self.ended:
            return None
        places = _places(self._fetched, self._length)
        entries = places.astype(np.uint32) if self._entries is None else self._entries[places]
        mark = self._mark_after(places)
        # No call from here on, so that all of it is done or nothing.
        self._mark = mark
        self._fetched = _NOTHING
        return entries

    def _fetch(self) -> None:
        """The sampler's next batch to `_fetched`, if there is none."""
        if self._fetched is not _NOTHING:
            return
        try:
            # Not next(): a KeyboardInterrupt raised as it returns would lose what it gave.
            for self._fetched in self._batches:  # noqa: B020
                return
            self.ended = True
        except BaseException:
            self.failed = True
            raise

    def _mark_after(self, places: NDArray[np.int64]) -> tuple[int, int]:
        samples, checksum = self._mark
        return samples + len(places), zlib.crc32(places.data, checksum)

    def _keep_mark(self) -> None:
        if self._marks[-1] is not self._mark:
            self._marks.append(self._mark)

    def checksum_after(self, samples: int) -> int:
        """Of the first `samples` of them; earlier ones are forgotten."""
        self._keep_mark()
        while len(self._marks) > 1 and self._marks[1][0] <= samples:
            self._marks.popleft()
        return self._marks[0][1]


def _places(batch: Any, length: int) -> NDArray[np.int64]:
    """A batch's indices, negative ones resolved as a list does."""
    if isinstance(batch, torch.Tensor):
        batch = batch.tolist()
    places = np.fromiter(map(operator.index, batch), np.int64)
    if not len(places):
        raise ValueError("the sampler gave an empty batch")
    low, high = places.min(), places.max()
    if low < -length or high >= length:
        raise IndexError(
            f"the sampler gave index {high if high >= length else low}, and the dataset has "
            f"{length} samples"
        )
    if low < 0:
        places[places < 0] += length
    return places
