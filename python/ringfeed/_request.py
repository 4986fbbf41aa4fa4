"""What an epoch reads: settled before it begins."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import BatchSampler

from ._epochs import Progress
from ._handover import for_loop
from ._mixing_rules import Rule
from ._order import Order, count_batches, dealt_from
from ._passes import PassKey
from ._resolved import Resolved
from ._sampler_batches import SamplerBatches, batch_size_of, batches_of, size_of, slices_of
from ._samplers import share_of


@dataclass(frozen=True)
class EpochBatches:
    """Where the batches of an epoch come from."""

    size: int | None
    """What memory is measured out for; None: the first batch's size. Larger ones take more."""
    count: int | None
    """How many are left from the start on; None: only the end tells."""
    of_sampler: SamplerBatches | None = None
    """None: the core makes the order."""
    checked: bool = False
    """Whether a state holds the checksum of the sampler's indices."""

    def first_size(self) -> int | None:
        """Size of the first batch, or a number like it; 0 or None: there is no batch. Reads the
        sampler. After a KeyboardInterrupt it can be called again."""
        return self.count if self.of_sampler is None else self.of_sampler.peek()


@dataclass(frozen=True)
class EpochRequest:
    """What an epoch reads. The loader makes it at an iterator's first next(), of what its
    attributes say at that moment; whoever runs the epoch asks the loader nothing."""

    start: Progress
    resolved: Resolved
    batches: EpochBatches
    world_size: int
    key: PassKey
    """What the order and the draws follow from: `start`'s, if it has one."""
    core_options: dict[str, Any]
    """Arguments of core_loader(): the threads, the window and so on."""
    pinned: bool
    """Whether batches are made in page-locked memory."""
    one_by_one: bool
    """Whether a batch is one sample, and given without the batch's dimension."""
    keep_core: bool
    """Whether the threads and buffers stay for the next epoch."""
    mixing: Rule | None = None
    """How batches are mixed."""
    collate_fn: Any = None
    """What is called with each batch's samples, or with the one sample; None: nothing is."""
    timms_own: bool = False
    """Whether timm's own code loads what ringfeed cannot."""


def begin_items(order: Order) -> Iterator[Any] | None:
    """The caller's batch_sampler's batches or sampler's indices; None where neither is iterated.

    iter() is called here of what torch's iterators call it of. A sampler beneath torch's
    BatchSampler, which is a generator, is begun with its first index.
    """
    if order.own or order.dealt_sampler is not None:
        return None
    if order.custom_batches:
        return for_loop(iter(order.batch_sampler))
    if order.batch_sampler is None:
        return for_loop(iter(order.sampler))
    return itertools.chain.from_iterable([order.batch_sampler.sampler])


def epoch_batches(
    order: Order,
    resolved: Resolved,
    start: Progress,
    items: Iterator[Any] | None,
) -> EpochBatches:
    """What is left of the epoch from `start` on.

    `items`: begin_items(), if that has been done. Reads a sampler past what has been consumed, if
    it has to; nothing else of it is read yet. Raises ValueError where the sampler does not repeat
    its order.
    """
    if order.own:
        given, drop_last = order.batching
        size, share = given or 1, share_of(resolved.length - start.positions, order.shares[1])
        room = _room(size, share_of(resolved.length, order.shares[1]))
        return EpochBatches(room, _undelivered(count_batches(share, size, drop_last), start))
    batch_sampler: Any = order.batch_sampler
    sampler: Any = order.sampler
    if batch_sampler is not None and not order.custom_batches:
        sampler = batch_sampler.sampler
    room = _room(1 if batch_sampler is None else batch_size_of(batch_sampler), size_of(sampler))
    if order.dealt_sampler is not None:
        left = dealt_from(order.dealt_sampler, start.positions, start.sampler_epoch)
        batches = SamplerBatches(slices_of(left, batch_sampler), resolved)
        count = _undelivered(_batches_in(len(left), batch_sampler), start)
        return EpochBatches(room, count, batches)
    items = begin_items(order) if items is None else items
    assert items is not None
    consumed = start.positions // order.shares[1]
    total: int | None
    if order.custom_batches:
        batches = SamplerBatches(items, resolved)
        skipped = batches.skip_batches(consumed)
        whole = size_of(batch_sampler)
        total = None if whole is None else max(0, whole - skipped)
    else:
        # torch's own BatchSampler can be made anew over what is left of its sampler.
        batches = SamplerBatches(batches_of(items, batch_sampler), resolved)
        batches.skip_samples(consumed, items)
        samples = size_of(sampler)
        total = None if samples is None else _batches_in(max(0, samples - consumed), batch_sampler)
    if start.checksum is not None:
        _check_repeated(batches.checksum_after(consumed), start.checksum)
    count_left = None if total is None else _undelivered(total, start)
    return EpochBatches(room, count_left, batches, checked=True)


def delivered_entries(
    order: Order, resolved: Resolved, epoch: int
) -> tuple[NDArray[np.uint32] | None, int]:
    """The entries that `epoch` delivers to this rank, None for those of the core's order, and how
    many they are. ValueError for samplers whose order only iterating tells."""
    size, drop_last = order.batching
    size, samples, entries = size or 1, share_of(resolved.length, order.shares[1]), None
    if not order.own:
        sampler = order.indices_of(epoch)
        entries = resolved.entries(np.fromiter(sampler, np.int64))
        samples = len(entries)
    delivered = min(count_batches(samples, size, drop_last) * size, samples)
    if entries is not None or delivered == 0:
        entries = np.empty(0, np.uint32) if entries is None else entries[:delivered]
    return entries, delivered


def _room(batch_size: int | None, samples: int | None) -> int | None:
    """EpochBatches.size of batches of an epoch that has so many `samples`, if that is known."""
    if batch_size is None or batch_size < 1 or samples is None:
        return None
    return min(batch_size, max(1, samples))


def _undelivered(batches: int, start: Progress) -> int:
    """How many of the `batches` after `start.positions` have not been delivered out of order."""
    return batches - sum(number < batches for number in start.beyond)


def _batches_in(samples: int, batch_sampler: BatchSampler | None) -> int:
    if batch_sampler is None:
        return samples
    return count_batches(samples, batch_sampler.batch_size, batch_sampler.drop_last)


def _check_repeated(found: int, saved: int) -> None:
    if found != saved:
        raise ValueError(
            "the sampler does not repeat the order that it had when the state was saved, so the "
            "state's progress means nothing. Give the sampler a generator, and its state before "
            "the epoch; or use shuffle=True or a DistributedSampler, whose orders can be resumed"
        )
