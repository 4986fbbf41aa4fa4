"""What a loader reads of its dataset, kept while that stays the same."""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from . import _ringfeed
from ._access import OwnLoading
from ._adding import compile_added
from ._dataset_parts import AsItWas, DatasetParts, checked, own_access, resolve
from .errors import UnsupportedTransform, not_native
from .transforms import Recipe, ViewsRecipe, why_not_now


@dataclass(frozen=True, eq=False)
class Resolved:
    """A dataset as the core reads it, as it was when an iterator was made. The next iterator sees
    what has changed since, by replacing or in place."""

    parts: DatasetParts
    recipe: Recipe | ViewsRecipe
    seen: AsItWas
    """What `parts` was made of."""
    other_formats: str = ""
    """Which of its files are named as formats that are not decoded, and how many; empty: none."""

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

    def refuse_other_formats(self) -> None:
        if self.other_formats:
            not_native(f"{self.other_formats}. Convert these, or leave them out by a Subset")

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
    asks_samples: bool,
) -> Resolved:
    """`before` where nothing has changed: a loader's threads and buffers belong to it. Samples are
    read again only where they have changed; the transform is compiled each time, in a millisecond
    or a few. `asks_samples`: whether a collate_fn is given the samples, be they PIL images."""
    base, chosen = checked(dataset)
    access = own_access(base)
    transform, target_transform = base.transform, base.target_transform
    if isinstance(access, OwnLoading):
        transform, target_transform = access.transform, access.target_transform_of(base)
    # First what takes a moment and may fail: of a million samples the rest takes a second.
    recipe, adding = compile_added(
        transform,
        dtype=dtype,
        channels_last=channels_last,
        pillow=pillow,
        finish_on=finish_on,
        images=asks_samples or access is not None,
    )
    if adding is not None:
        transform = adding.transform
    if before is not None and before.seen.holds(base, chosen):
        seen, parts, other_formats = before.seen, before.parts, before.other_formats
    else:
        seen, parts = AsItWas(base, chosen), resolve(dataset)
        other_formats = _other_formats(parts)
    if (
        before is not None
        and seen is before.seen
        and parts.target_transform is target_transform
        and (parts.access, parts.adding) == (access, adding)
        and _equal(recipe, before.recipe)
    ):
        return before
    parts = replace(
        parts, transform=transform, target_transform=target_transform, access=access, adding=adding
    )
    return Resolved(parts, recipe, seen, other_formats)


def _other_formats(parts: DatasetParts) -> str:
    found = parts.index.other_formats(parts.indices)
    if found is None:
        return ""
    counts, first = found
    return (
        f"by their names {counts} files are of formats that ringfeed does not decode, and the "
        f"first of them is {_ringfeed.printable(first)}"
    )


def _equal(one: Recipe | ViewsRecipe, other: Recipe | ViewsRecipe) -> bool:
    def told(recipe: Recipe | ViewsRecipe) -> tuple[Any, ...]:
        views = [(view.of_default_dtype, view.gives) for view in recipe.views]
        container = recipe.container if isinstance(recipe, ViewsRecipe) else None
        return recipe.text, recipe.finish is None, views, container

    return told(one) == told(other)
