"""Reading the batches of a caller's sampler for the core."""

from __future__ import annotations

import itertools
import operator
import zlib
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import BatchSampler

from ._handover import END, NOTHING, Pending, for_loop
from ._resolved import Resolved


class SamplerBatches(Pending):
    """Gives a sampler's batches to the core, one a call, on the thread of next().

    It keeps a checksum of the indices, so that a resumed epoch can tell whether a sampler repeats
    itself. The checksum belongs to the samples, whatever the batches they came in.
    """

    def __init__(self, batches: Iterator[Any], resolved: Resolved) -> None:
        """`batches`: lists of indices of `resolved`."""
        self._batches = for_loop(batches)
        self._resolved = resolved
        self._handed = 0, 0
        """How many samples have been handed on, and their checksum."""
        self._checksums = deque([self._handed])  # after each batch that is not consumed
        self._count = 0
        """How many batches have been handed on, those aside that were skipped."""
        self._error: Exception | None = None
        """What ends_after() has found in the place of a batch."""

    @property
    def ended(self) -> bool:
        """Whether the sampler has no more batches."""
        return self.item is END

    def skip_batches(self, samples: int) -> int:
        """Goes past what an earlier run consumed: how many batches. ValueError within a batch."""
        while self._handed[0] < samples and self() is not None:
            pass
        skipped, self._count = self._count, 0
        if self._handed[0] > samples:
            raise ValueError(
                f"the state was taken after {samples} samples, which is within a batch of this "
                "batch_sampler: resume with the batch sizes that were saved"
            )
        self._check_skipped(samples)
        return skipped

    def skip_samples(self, samples: int, indices: Iterator[Any]) -> None:
        """The same for `indices` of which the batches have yet to be made."""
        while left := samples - self._handed[0]:
            skipped = list(itertools.islice(indices, min(left, 1 << 16)))
            if not skipped:
                break
            self._handed = self._handed_with(indices_of_batch(skipped, self._resolved.length))
        self._check_skipped(samples)

    def _check_skipped(self, samples: int) -> None:
        if self._handed[0] < samples:
            raise ValueError(
                f"the sampler ends after {self._handed[0]} samples, before the {samples} that "
                "the state counts: it is not the order that was saved"
            )

    def peek(self) -> int | None:
        """Size of the first batch, which stays the next; None: there is no batch."""
        self.fill(self._batches)
        return None if self.ended else len(self._indices())

    def ends_after(self, batches: int) -> bool:
        """Whether the sampler has no more than these since what was skipped, whatever its len()
        says. Reads one further, which stays the next."""
        if self._count != batches or self.failed:
            return False
        try:
            self.fill(self._batches)
        except Exception as error:
            self._error = error  # for the next() that would have found it
        return self.ended

    def __call__(self) -> NDArray[np.uint32] | None:
        """The next batch's entries; None at the end. The core calls it again after a
        KeyboardInterrupt, unless the sampler has `failed`."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        self._note_checksum()
        self.fill(self._batches)
        if self.ended:
            return None
        indices = self._indices()
        entries = self._resolved.entries(indices)
        handed, count = self._handed_with(indices), self._count + 1
        # No call from here to the core's hands.
        self._handed, self._count = handed, count
        self.item = NOTHING
        return entries

    def _indices(self) -> NDArray[np.int64]:
        return indices_of_batch(self.item, self._resolved.length)

    def _handed_with(self, indices: NDArray[np.int64]) -> tuple[int, int]:
        samples, checksum = self._handed
        return samples + len(indices), zlib.crc32(indices.data, checksum)

    def _note_checksum(self) -> None:
        if self._checksums[-1] is not self._handed:
            self._checksums.append(self._handed)

    def checksum_after(self, samples: int) -> int:
        """Of the first `samples` of them; earlier ones are forgotten."""
        self._note_checksum()
        while len(self._checksums) > 1 and self._checksums[1][0] <= samples:
            self._checksums.popleft()
        return self._checksums[0][1]


def indices_of_batch(batch: Any, length: int) -> NDArray[np.int64]:
    """A batch's indices, negative ones resolved as a list does."""
    if isinstance(batch, torch.Tensor):
        batch = batch.tolist()
    indices = np.fromiter(map(operator.index, batch), np.int64)
    if not len(indices):
        raise ValueError("the sampler gave an empty batch")
    low, high = indices.min(), indices.max()
    if low < -length or high >= length:
        raise IndexError(
            f"the sampler gave index {high if high >= length else low}, and the dataset has "
            f"{length} samples"
        )
    if low < 0:
        indices[indices < 0] += length
    return indices


def batches_of(indices: Iterator[Any], like: BatchSampler | None) -> Iterator[list[Any]]:
    """Batches of `indices` as the BatchSampler `like` makes them; None: one index each. Built of C
    iterators alone, because an interrupt ends a Python generator for good."""
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


def size_of(samples: Any) -> int | None:
    """len(), or None for what has none."""
    try:
        return len(samples)
    except (TypeError, NotImplementedError):
        return None


def batch_size_of(batch_sampler: Any) -> int | None:
    """What it says; None where that is no whole number."""
    try:
        return operator.index(batch_sampler.batch_size)
    except (AttributeError, TypeError):
        return None
