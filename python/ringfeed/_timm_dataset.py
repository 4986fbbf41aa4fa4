"""timm's ImageDataset over a folder, and what it does where a file cannot be loaded."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from . import _ringfeed
from ._failures import Failure, Failures
from .errors import not_native
from .transforms import Recipe, ViewsRecipe

Changes = Callable[[_ringfeed.Batch, Sequence[torch.Tensor], torch.Tensor], list[int]]
"""Changes a batch's images, of each view, and its labels; gives the indices that were asked for."""


def image_dataset() -> type | None:
    """timm's class; None where nobody has imported it."""
    found = getattr(sys.modules.get("timm.data.dataset"), "ImageDataset", None)
    return found if isinstance(found, type) else None


def is_timms(dataset: Any) -> bool:
    base = image_dataset()
    return base is not None and isinstance(dataset, base)


def check_reading(dataset: Any) -> None:
    """Refuses one that reads otherwise than a folder's files, as RGB images."""
    reader, name = dataset.reader, type(dataset).__qualname__
    module: Any = sys.modules.get("timm.data.readers.reader_image_folder")
    if type(reader) is not getattr(module, "ReaderImageFolder", None) or "__getitem__" in vars(
        reader
    ):
        not_native(
            f"{name} reads by timm's {type(reader).__qualname__}, which ringfeed never calls: of "
            "timm's readers it stands for ReaderImageFolder, that of folders"
        )
    for option, wanted in (("load_bytes", False), ("input_img_mode", "RGB")):
        found = getattr(dataset, option, wanted)
        if found != wanted:
            not_native(f"{name} has {option}={found!r}: leave it out, and it gives RGB images")
    if getattr(dataset, "additional_features", None) is not None:
        not_native(f"{name} has additional_features, which come from the reader: leave them out")


class TimmsOwn:
    """Makes the samples whose files have failed by timm's own code, which logs a warning and takes
    the file behind it. What its transform draws there follows from the pass's key and the position;
    the script's generators stay as they are."""

    def __init__(self, parts: Any, recipe: Recipe | ViewsRecipe, draws: int) -> None:
        """`parts`: of a dataset of timm's."""
        base = image_dataset()
        assert base is not None
        self._get: Any = vars(base)["__getitem__"]
        self._dataset = copy.copy(parts.base)
        self._dataset.transform = self._dataset.target_transform = None
        self._dataset.reader = self._reader = _Asked(parts.base.reader)
        self._transform = parts.transform
        self._recipe = recipe
        self._draws = draws
        self._taken: dict[int, int] = {}  # indices by their position

    def changes(self, epoch: _ringfeed.Epoch) -> Changes | None:
        """What it makes of a batch that `epoch` has given; None while no file has failed."""
        count, listed = epoch.failures()
        if count > len(listed):
            raise RuntimeError(
                f"more than {len(listed)} files of an epoch could not be loaded, and timm's "
                "ImageDataset goes on for ever: native=False has timm load them"
            )
        failed: dict[int, int] = {}
        for position, index, *_ in listed:
            failed.setdefault(position, index)
        return partial(self._put, failed) if failed else None

    def _put(
        self,
        failed: dict[int, int],
        found: _ringfeed.Batch,
        images: Sequence[torch.Tensor],
        labels: torch.Tensor,
    ) -> list[int]:
        """See Changes. `failed`: indices by their position."""
        indices = found.indices.tolist()
        for row, position in enumerate(found.positions.tolist()):
            if position not in failed:
                continue
            indices[row] = failed[position]
            image, labels[row] = self._get(self._dataset, indices[row])
            self._taken[position] = self._reader.latest
            with _seeded(self._draws, position):
                made = self._transform(image)
            views = made if isinstance(self._recipe, ViewsRecipe) else [made]
            for of_view, view in zip(images, views):
                of_view[row].copy_(_values(view))
        return indices

    def told(self, failures: Failures) -> Failures:
        """With the files that it has taken."""
        first: dict[int, Failure] = {}
        for failure in failures.first:
            taken = self._taken.get(failure.position)
            first.setdefault(failure.position, replace(failure, substitute=taken))
        return Failures(len(first), tuple(first.values()))


class _Asked:
    """A reader of timm's that knows which sample it was asked for last."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.latest = -1

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, index: int) -> Any:
        self.latest = index
        return self._reader[index]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


def _values(image: Any) -> torch.Tensor:
    """[3, height, width]"""
    if isinstance(image, torch.Tensor):
        return image
    pixels = torch.from_numpy(np.array(image))
    return pixels if isinstance(image, np.ndarray) else pixels.permute(2, 0, 1)


@contextmanager
def _seeded(*numbers: int) -> Iterator[None]:
    """The default generators begin with these numbers, and afterwards go on where they were."""
    seeds = np.random.SeedSequence(numbers).generate_state(3, np.uint32).tolist()
    before = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(seeds[0])
        np.random.seed(seeds[1])
        torch.manual_seed(seeds[2])
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])
