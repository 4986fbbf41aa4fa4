"""What ringfeed does where torch's own loader calls a script's code for each image: a batch's files
are read at once, and images decode late. The script's code runs as written and in its order, and
what it draws is its own: nothing here draws."""

from __future__ import annotations

import bisect
import contextlib
import os
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.utils.data
from torch.utils.data import ConcatDataset, IterableDataset, Subset, TensorDataset

from . import _open, _read_ahead
from ._dataset_parts import check_loader, defined_in
from ._file_dataset import FileDataset
from .errors import NotNative


def may_read_images(dataset: Any) -> bool:
    """Whether it is worth looking: of any class that is not known to hold its samples in memory.
    Where none of them opens an image, a worker's `__getitems__` is a list of `__getitem__`s, as
    torch's own fetcher has it, and nothing else is done."""
    if isinstance(dataset, IterableDataset):
        return False
    return any(type(base) not in _IN_MEMORY for base in bases(dataset))


_IN_MEMORY = (TensorDataset, torch.Tensor, np.ndarray, list, tuple, dict, str, range)


def bases(dataset: Any) -> Iterator[Any]:
    """The datasets beneath Subsets and ConcatDatasets."""
    if isinstance(dataset, Subset):
        yield from bases(dataset.dataset)
    elif isinstance(dataset, ConcatDataset):
        for part in dataset.datasets:
            yield from bases(part)
    else:
        yield dataset


def _is_folder(dataset: Any) -> bool:
    if isinstance(dataset, FileDataset):
        return True
    folder = sys.modules.get("torchvision.datasets.folder")
    return folder is not None and isinstance(dataset, folder.DatasetFolder)


def paths_of(dataset: Any, indices: Sequence[Any]) -> list[str]:
    """The files that these samples are made of, as far as that is known without asking for one."""
    if isinstance(dataset, Subset):
        if type(dataset).__getitem__ is not Subset.__getitem__:
            return []
        return paths_of(dataset.dataset, [dataset.indices[i] for i in indices])
    if isinstance(dataset, ConcatDataset):
        found = []
        for i in indices:
            at = i + len(dataset) if i < 0 else i
            part = bisect.bisect_right(dataset.cumulative_sizes, at)
            before = dataset.cumulative_sizes[part - 1] if part else 0
            found += paths_of(dataset.datasets[part], [at - before])
        return found
    # Another loader opens them itself.
    if not _is_folder(dataset) or dataset.loader is not _open.pil_loader:
        return []
    samples = dataset.samples
    return [path for path, *_ in (samples[i] for i in indices) if isinstance(path, str)]


class InWorker:
    """The worker_init_fn that torch's workers get: the script's own, then what this module does."""

    def __init__(self, own: Callable[[int], None] | None) -> None:
        self.own = own

    def __call__(self, worker: int) -> None:
        if self.own is not None:
            self.own(worker)
        info = torch.utils.data.get_worker_info()
        if info is not None:
            _serve(info.dataset)


class _GetItems:
    """__getitems__ of a worker's copy of the dataset, whose files are read at once."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._own = getattr(dataset, "__getitems__", None)
        self._files = _Files(dataset)

    def __call__(self, indices: Any) -> list[Any]:
        with self._files.read_at_once(indices):
            if self._own is not None:
                found: list[Any] = self._own(indices)
                return found
            return [self._dataset[i] for i in indices]


def _serve(dataset: Any) -> None:
    """In a worker process, whose copy of the dataset this is."""
    for base in bases(dataset):
        if _decodes_as_torchvision(base):
            _set(base, loader=_open.pil_loader)
    _set(dataset, __getitems__=_GetItems(dataset))
    image = sys.modules.get("PIL.Image")
    if image is not None and defined_in(image, "open", image.open):
        from . import _late_open  # noqa: F401  (which keeps Pillow's, once that is replaced)

        image.open = _open_as_pillow  # type: ignore[attr-defined]
    if image is not None:
        from . import _tensor_steps

        _tensor_steps.shorten()


def _open_as_pillow(fp: Any, mode: Any = "r", formats: Any = None) -> Any:
    """In the place of PIL.Image.open, to which bytes are a path."""
    return _open.open(os.fsdecode(fp) if isinstance(fp, bytes) else fp, mode, formats)


class Fetch:
    """`fetch` of torch's fetcher where there is no worker: what the dataset has is put back."""

    def __init__(self, dataset: Any, fetcher: Any, batched: bool) -> None:
        # Weakly: the fetcher holds this.
        self._dataset, self._fetcher, self._batched = dataset, weakref.ref(fetcher), batched
        self._fetch = type(fetcher).fetch
        self._files = _Files(dataset)

    def __call__(self, index: Any) -> Any:
        before = []
        try:
            for base in bases(self._dataset):
                # Unless it is there: a dataset may stand twice in a ConcatDataset.
                if _decodes_as_torchvision(base) and base.loader is not _open.pil_loader:
                    held = vars(base)
                    before.append((held, held.get("loader", _ABSENT)))
                    held["loader"] = _open.pil_loader
            with self._files.read_at_once(index if self._batched else None):
                return self._fetch(self._fetcher(), index)
        finally:
            for held, loader in before:
                if loader is _ABSENT:
                    held.pop("loader", None)
                else:
                    held["loader"] = loader


_ABSENT = object()


_MOST_IN_VAIN = 3


class _Files:
    """Reads the files of a batch at once, but not after several batches that opened none of theirs,
    as of a dataset that keeps its images, until one does."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._in_vain = 0  # batches in a row

    @contextlib.contextmanager
    def read_at_once(self, indices: Any) -> Iterator[None]:
        announced = self._announce(indices)
        try:
            yield
            if announced:
                self._in_vain = 0 if _read_ahead.taken() else self._in_vain + 1
        finally:
            if announced:
                _read_ahead.drop()

    def _announce(self, indices: Any) -> bool:
        if not isinstance(indices, list | tuple):  # what may be read only once
            return False
        try:
            paths = paths_of(self._dataset, indices)
            if len(paths) > 1:
                serves = self._in_vain < _MOST_IN_VAIN
                (_read_ahead.announce if serves else _read_ahead.watch)(paths)
            return len(paths) > 1
        except Exception:  # what is wrong with an index or a file is told where the script uses it
            return False


def _set(owner: Any, **values: Any) -> None:
    """Attributes of the instance. One without a dict goes without."""
    held = getattr(owner, "__dict__", None)
    if held is not None:
        held.update(values)


def _decodes_as_torchvision(dataset: Any) -> bool:
    """Whether it is a folder whose images are what Pillow makes of their files."""
    if not _is_folder(dataset) or not hasattr(dataset, "loader"):
        return False
    try:
        check_loader(dataset)
    except NotNative:
        return False
    return True
