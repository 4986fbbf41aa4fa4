"""Loaders of the core, as a DataLoader's attributes ask for them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import BatchSampler, DistributedSampler, SequentialSampler

from . import _order, _ringfeed, _tensors
from ._order import ShuffledOrder
from ._resolved import Resolved

if TYPE_CHECKING:
    from .loader import DataLoader


def core_options(loader: DataLoader, *, batch_size: int, seed: int, pinned: bool) -> dict[str, Any]:
    rank, world_size = loader._shares()
    prefetch = loader.prefetch_factor or 2
    if not loader._auto_collation:
        # Samples then, not batches: as many as torch's workers would have ready.
        prefetch = min(1024, prefetch * loader.num_workers)
    return dict(
        batch_size=batch_size,
        num_workers=loader.num_workers,
        prefetch_factor=prefetch,
        shuffle=loader._own and isinstance(loader.sampler, ShuffledOrder),
        drop_last=loader._own and loader.drop_last,
        in_order=loader.in_order,
        seed=seed,
        rank=rank,
        world_size=world_size,
        # A foreign order is mapped through the Subset in Python, and gives entries of the whole.
        subset=loader._own,
        reader=loader.reader,
        memory_limit=loader.memory_limit or 0,
        timeout=loader.timeout,
        load_truncated=_load_truncated(),
        pinned=_tensors.page_locked if pinned else None,
    )


def _load_truncated() -> bool:
    """Pillow's switch, which scripts set where a dataset has damaged files."""
    image_file = sys.modules.get("PIL.ImageFile")
    return image_file is not None and bool(image_file.LOAD_TRUNCATED_IMAGES)


def core_loader(resolved: Resolved, options: dict[str, Any]) -> _ringfeed.Loader:
    """Starts nothing: threads are the first next()'s."""
    arguments = dict(options)
    indices = resolved.source.indices if arguments.pop("subset") else None
    return _ringfeed.Loader(
        resolved.source.native, resolved.recipe.plan, indices=indices, **arguments
    )


def draws_of(loader: DataLoader, epoch: int) -> NDArray[np.void]:
    """DataLoader.draws()."""
    resolved = loader._resolved()
    batch_size, drop_last = loader.batch_size or 1, loader.drop_last
    places: NDArray[np.int64] | None = None
    if not loader._own:
        sampler, batches = _plain_sampler(loader)
        if batches is not None:
            batch_size, drop_last = batches.batch_size, batches.drop_last
        if type(sampler) is DistributedSampler:
            sampler = _order.at_epoch(sampler, epoch)
        places = np.fromiter(sampler, np.int64)
    share = _order.share_of(resolved.length, loader._shares()[1]) if places is None else len(places)
    delivered = _order.count_batches(share, batch_size, drop_last) * batch_size
    seed = loader._settle_seed()
    native = core_loader(resolved, core_options(loader, batch_size=1, seed=seed, pinned=False))
    if delivered == 0:
        return native.draws(epoch, np.empty(0, np.uint32))
    if places is None:
        return native.draws(epoch)[:delivered]
    entries = resolved.source.indices
    chosen = places.astype(np.uint32) if entries is None else entries[places]
    return native.draws(epoch, chosen)[:delivered]


def _plain_sampler(loader: DataLoader) -> tuple[Any, BatchSampler | None]:
    """A sampler whose order can be told without asking it to begin an epoch."""
    batches = loader.batch_sampler
    if batches is None or type(batches) is BatchSampler:
        sampler = loader.sampler if batches is None else batches.sampler
        if type(sampler) in (DistributedSampler, SequentialSampler):
            return sampler, batches
    raise ValueError(
        f"draws() cannot know the order of {_order.describe(loader.sampler, batches, False)}: to "
        "ask it would begin one of its epochs and use up its random numbers. It knows ringfeed's "
        "own order, a DistributedSampler's and a SequentialSampler's"
    )
