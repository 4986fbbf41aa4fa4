"""What a loader reads of its dataset, kept while that stays the same."""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Subset

from . import _ringfeed
from ._dataset_parts import DatasetParts, resolve
from .datasets import warn_user
from .errors import UnsupportedTransform
from .transforms import Recipe, ViewsRecipe, compile_transform, why_not_now


@dataclass(frozen=True, eq=False)
class Resolved:
    """A dataset as the core reads it. Replacing `transform`, `target_transform` or `samples` of the
    dataset, or `indices` of a Subset, is noticed at the next iterator's first next(); changing them
    in place is not."""

    stamp: tuple[Any, ...]
    parts: DatasetParts
    recipe: Recipe | ViewsRecipe

    @property
    def length(self) -> int:
        """How many samples there are: of a Subset its own."""
        indices = self.parts.indices
        return len(self.parts.index) if indices is None else len(indices)

    def entries(self, indices: NDArray[np.int64]) -> NDArray[np.uint32]:
        """The entries of the whole dataset that these indices name; none may be negative."""
        chosen = self.parts.indices
        return indices.astype(np.uint32) if chosen is None else chosen[indices]

    def check_default_dtype(self, iterating: bool) -> None:
        """torch's default dtype counts while images are made: UnsupportedTransform then, and before
        it a warning."""
        why = why_not_now(self.recipe)
        if why and iterating:
            raise UnsupportedTransform(why)
        if why:
            warnings.warn(why, stacklevel=3)

    @cached_property
    def fingerprint(self) -> str:
        """Of classes, names and order; of a Subset its indices too."""
        whole = f"{self.parts.index.fingerprint:016x}"
        indices = self.parts.indices
        return whole if indices is None else f"{whole}-{zlib.crc32(indices.data):08x}"

    @cached_property
    def description(self) -> str:
        index = self.parts.index
        part = "" if self.parts.indices is None else f"{self.length} of "
        place = _ringfeed.printable(index.root) or "a list"
        return f"{part}{len(index)} images in {place}"


def resolve_dataset(
    dataset: Any,
    before: Resolved | None,
    *,
    dtype: torch.dtype | None,
    channels_last: bool,
    pillow: str | None,
    finish_on: str,
) -> Resolved:
    """`before` where nothing has changed: torchvision's lists of ImageNet take seconds to read."""
    base: Any = dataset
    nested: list[Any] = []
    while isinstance(base, Subset):
        nested += base.dataset, base.indices
        base = base.dataset
    names = ("transform", "target_transform", "samples")
    try:
        attributes = (vars(base).get(name) for name in names)
        # The default dtype is in the tables that torchvision's policies compute.
        options = dtype, channels_last, pillow, finish_on, torch.get_default_dtype()
        stamp = (dataset, len(dataset), *nested, *attributes, *options)
    except TypeError:  # no attributes or no length: for resolve() to refuse
        stamp = ()
    if before is not None and stamp and _same(before.stamp, stamp):
        return before
    parts = resolve(dataset)
    _warn_of_other_formats(parts)
    recipe = compile_transform(
        parts.transform,
        dtype=dtype,
        channels_last=channels_last,
        pillow=pillow,
        finish_on=finish_on,
    )
    return Resolved(stamp, parts, recipe)


def _warn_of_other_formats(parts: DatasetParts) -> None:
    """Before the first epoch, and not where it stops at such a file."""
    formats = parts.index.other_formats(parts.indices)
    if formats:
        warn_user(
            f"by their names {formats} files are of formats that ringfeed does not decode: a file "
            "that is neither a JPEG nor a PNG ends its batch with a LoadError. Convert these or "
            "leave them out, or use torch.utils.data.DataLoader"
        )


def _same(before: tuple[Any, ...], now: tuple[Any, ...]) -> bool:
    plain = (int, str, torch.dtype)
    return len(before) == len(now) and all(
        b is n or (isinstance(n, plain) and b == n) for b, n in zip(before, now)
    )
