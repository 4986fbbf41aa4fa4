"""What DataLoader's arguments may be, beyond what torch's own checks say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch.utils.data import (
    DistributedSampler,
    IterableDataset,
)

from . import _ringfeed
from ._limits import DecodeLimits
from ._numbers import whole
from ._state_values import is_key
from .errors import NotNativeType, not_native

# The core refuses more, but not before the first next().
_MOST_WORKERS = _ringfeed.largest["num_workers"]
_MOST_FILES = _ringfeed.largest["depth"]


class LeftOpen(int):
    """A prefetch_factor that the caller did not give. It reads as torch's default, and stays open
    where a library builds a loader anew from the attributes."""


def resolve_workers(num_workers: int | None) -> int:
    """Decode threads; None or 0: the cores this process may use."""
    if num_workers is not None and not 0 <= whole("num_workers", num_workers) <= _MOST_WORKERS:
        raise ValueError(
            f"num_workers must be in [0, {_MOST_WORKERS}], not {num_workers}: it counts decode "
            f"threads, of which more than cores serve nothing, and 0 means the {_cores()} cores "
            "that this process may use"
        )
    return num_workers or _cores()


def _cores() -> int:
    return _ringfeed.usable_cores(ranks_on_this_host())


def ranks_on_this_host() -> int:
    """Processes of this job that share the cores: by the launcher's variables, else by the process
    group, as after mp.spawn. That does not say who is where. All are here where they meet at an
    address that no other machine reaches; else there is one for each GPU, or there are no GPUs."""
    if launched := _ringfeed.launched_ranks():
        return launched
    if not (dist.is_available() and dist.is_initialized()):
        return 1
    ranks, devices = dist.get_world_size(), torch.cuda.device_count()
    return ranks if _ringfeed.meets_on_this_host() or not devices else min(ranks, devices)


def check_batch_size(batch_size: Any) -> None:
    """What torch does not say clearly: it quotes no text."""
    if isinstance(batch_size, str):
        raise ValueError(f"batch_size must be a positive whole number or None, not {batch_size!r}")


def check_generator(generator: Any) -> None:
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator or None, not {generator!r}")


def refuse_multiprocessing(context: Any) -> None:
    if context is not None:
        not_native(
            "multiprocessing_context cannot be used: ringfeed decodes on threads and starts no "
            "process. Leave it None"
        )


def refuse_iterable(dataset: Any) -> None:
    if isinstance(dataset, IterableDataset):
        not_native(
            f"ringfeed cannot read {type(dataset).__name__}, an IterableDataset: it needs a list "
            "of files, as ringfeed.ImageFolder and ringfeed.ImageList have",
            NotNativeType,
        )


def check_own(
    *,
    prefetch_factor: int | None,
    seed: int | Sequence[int] | None,
    rank: int | None,
    world_size: int | None,
    memory_limit: int | None,
    reader: str,
    limits: DecodeLimits | None,
    read_ahead_bytes: int | None,
    depth: int | None,
) -> None:
    """Raises ValueError or TypeError, naming the argument."""
    if prefetch_factor is not None and whole("prefetch_factor", prefetch_factor) < 1:
        raise ValueError(
            f"prefetch_factor must be at least 1, not {prefetch_factor}: it counts the batches "
            "that may be ready ahead"
        )
    if isinstance(seed, list | tuple):
        if not is_key(seed):
            raise ValueError(
                "seed must be a whole number in [0, 2**64), or a state's key, which is two of "
                f"them, not {seed!r}"
            )
    elif seed is not None and not 0 <= whole("seed", seed) < 2**64:
        raise ValueError(f"seed must be in [0, 2**64), not {seed}")
    check_shares(rank, world_size)
    for name, size, most in (
        ("memory_limit", memory_limit, 2**64 - 1),
        ("read_ahead_bytes", read_ahead_bytes, _ringfeed.largest["read_ahead_bytes"]),
    ):
        if size is not None and not 1 <= whole(f"{name}, in bytes,", size) <= most:
            raise ValueError(f"{name} must be in [1, {most}] bytes, or None, not {size}")
    if reader not in _ringfeed.reader_names:
        *names, last = (f'"{name}"' for name in _ringfeed.reader_names)
        raise ValueError(f"reader must be {', '.join(names)} or {last}, not {reader!r}")
    if limits is not None and not isinstance(limits, DecodeLimits):
        raise TypeError(f"limits must be a ringfeed.DecodeLimits or None, not {limits!r}")
    if depth is not None and not 1 <= whole("depth", depth) <= _MOST_FILES:
        raise ValueError(f"depth must be in [1, {_MOST_FILES}], or None, not {depth}")


def check_shares(rank: int | None, world_size: int | None) -> None:
    if (rank is None) != (world_size is None):
        given, missing = ("rank", "world_size") if world_size is None else ("world_size", "rank")
        raise ValueError(f"{given}= is given without {missing}=: give both or neither")
    if rank is None or world_size is None:
        return
    if whole("world_size", world_size) < 1:
        raise ValueError(f"world_size must be at least 1, not {world_size}")
    if not 0 <= whole("rank", rank) < world_size:
        raise ValueError(f"rank must be in [0, world_size), and {rank} is not in [0, {world_size})")


def check_finish_on(finish_on: str, auto_collation: bool = True) -> None:
    if finish_on not in ("cpu", "device"):
        raise ValueError(f'finish_on must be "cpu" or "device", not {finish_on!r}')
    if finish_on == "device" and not auto_collation:
        raise ValueError(
            'finish_on="device" finishes batches, and batch_size=None gives single samples: pass a '
            "batch_size"
        )


def refuse_two_shardings(rank: int | None, sampler: DistributedSampler | None) -> None:
    if rank is not None and sampler is not None:
        raise ValueError(
            "already sharded by rank=; drop it or pass Trainer(use_distributed_sampler=False)"
        )
