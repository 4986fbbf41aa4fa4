"""What ringfeed does where torch's own loader calls a script's code for each image: a batch's files
are read at once, and images decode late. The script's code runs as written and in its order, and
what it draws is its own: nothing here draws."""

from __future__ import annotations

import bisect
import contextlib
import os
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.utils.data
from torch.utils.data import ConcatDataset, IterableDataset, Subset, TensorDataset

from . import _open, _read_ahead
from ._dataset_parts import check_loader, defined_in
from ._file_dataset import FileDataset
from ._index_queue import IndexQueue, index_queue_of
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


def _is_read_ahead(dataset: Any) -> bool:
    """Any other loader opens its files itself."""
    return _is_folder(dataset) and dataset.loader is _open.pil_loader


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
    if not _is_read_ahead(dataset):
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
            files = _serve(info.dataset)
            index_queue = index_queue_of(sys._getframe(1))
            if index_queue is not None and any(map(_is_read_ahead, bases(info.dataset))):
                _read_ahead.look_by(IndexQueue(index_queue, files.announce).look)


class _GetItems:
    """__getitems__ of a worker's copy of the dataset, whose files are read at once."""

    def __init__(self, dataset: Any, files: _Files) -> None:
        self._dataset = dataset
        self._own = getattr(dataset, "__getitems__", None)
        self._files = files

    def __call__(self, indices: Any) -> list[Any]:
        with self._files.read_at_once(indices):
            if self._own is not None:
                found: list[Any] = self._own(indices)
                return found
            return [self._dataset[i] for i in indices]


def _serve(dataset: Any) -> _Files:
    """In a worker process, whose copy of the dataset this is."""
    for base in bases(dataset):
        if _decodes_as_torchvision(base):
            _set(base, loader=_open.pil_loader)
    files = _Files(dataset)
    _set(dataset, __getitems__=_GetItems(dataset, files))
    image = sys.modules.get("PIL.Image")
    if image is not None and defined_in(image, "open", image.open):
        from . import _late_open  # noqa: F401  (which keeps Pillow's, once that is replaced)

        image.open = _open_as_pillow  # type: ignore[attr-defined]
    if image is not None:
        from . import _tensor_steps

        _tensor_steps.shorten()
    return files


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


class _Files:
    """Reads the files of a batch at once, as long as that serves its dataset: one that keeps its
    images opens none. Those of the next batches too, where all of a batch's are opened."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._serves = self._looks_ahead = True
        # Of batches that have not begun: their indices, and how many files are announced.
        self._next: deque[tuple[Any, int]] = deque()

    @contextlib.contextmanager
    def read_at_once(self, indices: Any) -> Iterator[None]:
        announced = self._serves and self._begin(indices)
        try:
            yield
            if announced and not _read_ahead.taken():
                self._serves = False
        finally:
            if announced and not _read_ahead.all_taken():
                self._forget()

    def announce(self, indices: Any) -> None:
        """The batch comes after those that are announced already."""
        if self._serves and self._looks_ahead:
            self._next.append((indices, self._announce(indices)))

    def _begin(self, indices: Any) -> int:
        if self._next and self._next[0][0] is indices:
            announced = self._next.popleft()[1]
        else:
            if self._next:
                self._forget()
            announced = self._announce(indices)
        if announced:
            _read_ahead.begin(announced)
        return announced

    def _forget(self) -> None:
        if self._next:
            self._looks_ahead = False
            self._next.clear()
        _read_ahead.forget()

    def _announce(self, indices: Any) -> int:
        """How many files are; none of a batch of one."""
        if not isinstance(indices, list | tuple):  # what may be read only once
            return 0
        try:
            paths = paths_of(self._dataset, indices)
            if len(paths) > 1:
                _read_ahead.announce(paths)
                return len(paths)
        except Exception:  # what is wrong with an index or a file is told where the script uses it
            pass
        return 0


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
