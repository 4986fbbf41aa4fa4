"""When a loader's collate_fn is called, and which ones the core stands for."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch.utils.data import default_collate


def is_called(collate_fn: Any, auto_collation: bool) -> bool:
    """Whether a collate_fn is called with samples. Else it would make of them what the core's batch
    is already. None: torch's default."""
    if not auto_collation:
        return True
    known = collate_fn is None or collate_fn is default_collate
    return not (known or collates_fast(collate_fn) or mixes(collate_fn))


def check_collated(collate_fn: Any, dtype: torch.dtype | None) -> None:
    """ValueError where timm's fast_collate would not take images of `dtype`; None: of several
    views."""
    if dtype == torch.uint8 or not collates_fast(collate_fn):
        return
    if dtype is None:
        raise ValueError(
            "collate_fn=fast_collate collates one image of each sample, and the transform gives "
            "several views: leave it None"
        )
    raise ValueError(
        f"collate_fn=fast_collate collates uint8 images, and the transform yields {dtype}: end it "
        "with PILToTensor, or leave collate_fn None"
    )


def check_called(batch_transform: Any, finish_on: str) -> None:
    """ValueError for options of ringfeed's that make the batch, where a script's code makes it."""
    what = "a collate_fn, or a dataset's own __getitem__, is given finished samples and makes "
    if batch_transform is not None:
        raise ValueError(
            f"batch_transform mixes the batches that ringfeed makes, and {what}others: mix in "
            "collate_fn, or in the training step"
        )
    if finish_on != "cpu":
        raise ValueError(
            f'finish_on="device" gives batches that ringfeed makes, and {what}others: leave it at '
            '"cpu", or leave collate_fn None'
        )


def collates_fast(collate_fn: Any) -> bool:
    """Whether it is timm's fast_collate, which makes the core's batches of uint8 images."""
    known = getattr(sys.modules.get("timm.data.loader"), "fast_collate", None)
    return known is not None and collate_fn is known


def mixes(collate_fn: Any) -> bool:
    """Whether it is a FastCollateMixup of timm's, that is, a batch_transform."""
    known = getattr(sys.modules.get("timm.data.mixup"), "FastCollateMixup", None)
    return isinstance(known, type) and isinstance(collate_fn, known)
