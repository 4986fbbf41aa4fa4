"""What an iterator of a loader reads: as the loader's attributes, its dataset and the transform say
it at that moment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from . import _arguments, _ringfeed, _tensors
from ._collate import check_called, check_collated, is_called
from ._epochs import Epochs, Progress
from ._failures import failure_options
from ._limits import decode_options
from ._mixing_compiler import check_mixing, rule_of
from ._mixing_rules import Rule
from ._order import Order
from ._passes import Numbers, Passes, PassKey, PassStart
from ._request import EpochRequest, begin_items, epoch_batches
from ._resolved import Resolved
from ._sampler_batches import size_of
from ._samplers import share_of
from ._timm_dataset import is_timms
from ._training import follow_trainer
from .transforms import ViewsRecipe


class Reading:
    """What counts from iter() on, whatever becomes of the dataset and the transform afterwards."""

    def __init__(self, loader: Any, order: Order, resolved: Resolved) -> None:
        """Raises what cannot be, for the constructor and for iter(). Of `loader`, a DataLoader of
        ringfeed's, here and below the public attributes are read."""
        _arguments.refuse_multiprocessing(loader.multiprocessing_context)
        self.resolved = resolved
        called = is_called(loader.collate_fn, loader.batch_sampler is not None)
        parts = resolved.parts
        called = called or parts.access is not None or parts.adding is not None
        self.collate_fn = loader.collate_fn if called else None
        self.mixing = self._mixing_of(loader, order)

    def _mixing_of(self, loader: Any, order: Order) -> Rule | None:
        """How batches are mixed."""
        if self.collate_fn is not None and loader.batch_sampler is not None:
            check_called(loader.batch_transform, loader.finish_on)
            return None
        recipe = self.resolved.recipe
        check_collated(loader.collate_fn, None if isinstance(recipe, ViewsRecipe) else recipe.dtype)
        size, drop_last = order.batching
        rule = rule_of(loader.batch_transform, loader.collate_fn)
        if rule is None:
            return None
        if loader.batch_sampler is None:
            raise ValueError(
                "batch_transform mixes the samples of a batch, and batch_size=None gives single "
                "samples: pass a batch_size"
            )
        share = share_of(self.resolved.length, order.shares[1])
        samples = share if order.own else size_of(order.index_sampler)
        last = None if drop_last or not size or samples is None else samples
        check_mixing(rule, self.resolved, size, last, loader.on_error)
        return rule


def start_pass(loader: Any, order: Order, epochs: Epochs, passes: Passes) -> PassStart:
    """What torch's iter() draws and begins, whatever is made of it. (Of a given generator torch's
    RandomSampler takes a permutation, and this a number.)"""
    _arguments.check_generator(loader.generator)
    order.check_seed(loader.seed, epochs.next.key is not None, stacklevel=8)
    epochs.tell_samplers(order)
    return passes.start(
        loader.generator,
        workers=bool(loader.num_workers),
        persistent=loader.persistent_workers,
        shuffled=order.shuffled,
        begin_items=partial(begin_items, order),
        read=order.read,
        loads=epochs.loads,
    )


def read_next(
    loader: Any,
    order: Order,
    epochs: Epochs,
    reading: Reading,
    started: PassStart,
    key_of: Callable[[Progress, Numbers], PassKey | None],
) -> EpochRequest:
    """What the next epoch reads, as it is known at the first next()."""
    reading.resolved.check_default_dtype(iterating=True)
    follow_trainer(epochs, order)
    epochs.tell_samplers(order)
    start = epochs.next
    pinned = _tensors.should_pin(loader.pin_memory, loader.pin_memory_device)
    key = key_of(start, started.numbers(order.shuffled))  # which are drawn, whatever the key
    assert key is not None
    items = started.items(order.read, epochs.loads)
    if start.within:
        started.drop_items()
    options = core_options(loader, order, pinned)
    timms_own = _is_left_to_timm(loader, reading.resolved)
    if timms_own:
        options["on_error"] = "replace"
    return EpochRequest(
        start,
        reading.resolved,
        epoch_batches(order, reading.resolved, start, items),
        order.shares[1],
        key,
        core_options=options,
        pinned=pinned,
        one_by_one=loader.batch_sampler is None,
        keep_core=loader.persistent_workers,
        mixing=reading.mixing,
        collate_fn=reading.collate_fn,
        timms_own=timms_own,
    )


def _is_left_to_timm(loader: Any, resolved: Resolved) -> bool:
    """Whether files that fail are, as in timm's dataset without ringfeed. Its code makes finished
    images."""
    finished = loader.finish_on == "cpu"
    return finished and loader.on_error == "raise" and is_timms(resolved.parts.base)


def core_options(loader: Any, order: Order, pinned: bool) -> dict[str, Any]:
    """All of core_loader()'s, of which some hold for the core's own order alone. The seed is 0: an
    epoch's number stands for a pass's key."""
    rank, world_size = order.shares
    threads, ahead = _arguments.resolve_workers(loader.num_workers), loader.prefetch_factor or 2
    left_open = isinstance(loader.prefetch_factor, _arguments.LeftOpen | None)
    if loader.batch_sampler is None:
        # Samples then, not batches: as many as torch's workers would have ready.
        ahead = min(_ringfeed.largest["prefetch_factor"], ahead * threads)
    elif left_open:
        ahead = 0  # the core chooses
    return dict(
        num_workers=threads,
        prefetch_factor=ahead,
        own_order=order.own,
        shuffle=order.shuffled,
        drop_last=order.own and order.batching[1],
        in_order=bool(loader.in_order),
        seed=0,
        rank=rank,
        world_size=world_size,
        reader=loader.reader,
        memory_limit=loader.memory_limit or 0,
        timeout=loader.timeout,
        read_ahead_bytes=loader.read_ahead_bytes or 0,
        depth=loader.depth or 0,
        **failure_options(loader.on_error, loader.max_failures, loader.retries),
        **decode_options(loader.limits),
        pinned=_tensors.page_locked if pinned else None,
    )
