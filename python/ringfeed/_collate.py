"""What a loader's collate_fn may be: the core makes batches, so that none is called."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch.utils.data import default_collate, default_convert

from .errors import not_native


def check_collate(collate_fn: Any, auto_collation: bool) -> None:
    """ValueError for what would make other batches than the core's."""
    if collate_fn is (default_collate if auto_collation else default_convert):
        return
    if auto_collation and (collates_fast(collate_fn) or mixes(collate_fn)):
        return
    name = getattr(collate_fn, "__name__", repr(collate_fn))
    if collate_fn is default_collate or collate_fn is default_convert:
        fits = "a batch_size" if auto_collation else "batch_size=None"
        raise ValueError(f"collate_fn={name} does not go with {fits}: leave it None")
    not_native(
        f"collate_fn={name} cannot be called: the core writes samples straight into the batch. "
        "Leave it None. MixUp, CutMix and RandomChoice of them go into batch_transform=; for all "
        "else change the finished batch, for example in the training step"
    )


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


def collates_fast(collate_fn: Any) -> bool:
    """Whether it is timm's fast_collate, which makes the core's batches of uint8 images."""
    known = getattr(sys.modules.get("timm.data.loader"), "fast_collate", None)
    return known is not None and collate_fn is known


def mixes(collate_fn: Any) -> bool:
    """Whether it is a FastCollateMixup of timm's, that is, a batch_transform."""
    known = getattr(sys.modules.get("timm.data.mixup"), "FastCollateMixup", None)
    return isinstance(known, type) and isinstance(collate_fn, known)
