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
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.utils.data
from torch.utils.data import ConcatDataset, IterableDataset, Subset, TensorDataset
from torch.utils.data._utils import fetch as torch_fetch
from torch.utils.data._utils.fetch import _MapDatasetFetcher

from . import _code, _open, _read_ahead
from ._dataset_parts import check_loader, defined_in
from ._file_dataset import FileDataset, holds_its_items, load_image
from ._index_queue import IndexQueue, index_queue_of
from ._own_behaviour import computed
from .errors import NotNative


def may_read_images(dataset: Any) -> bool:
    """Whether it is worth looking: of any class that is not known to hold its samples in memory.
    Where none of them opens an image, nothing else is done in a worker than torch does."""
    if isinstance(dataset, IterableDataset):
        return False
    return any(type(base) not in _IN_MEMORY for base in bases(dataset))


_IN_MEMORY = (TensorDataset, torch.Tensor, np.ndarray, list, tuple, dict, str, range)


def bases(dataset: Any) -> Iterator[Any]:
    """The datasets beneath Subsets and ConcatDatasets."""
    if isinstance(dataset, Subset) and not computed(dataset, "dataset"):
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
    """Any other loader opens its files itself. What a script computes is for its own code to ask
    for."""
    if not _is_folder(dataset) or computed(dataset, "samples", "loader"):
        return False
    return _opens_here(getattr(dataset, "loader", None))


def paths_of(dataset: Any, indices: Sequence[Any]) -> list[str]:
    """The files that these samples are made of, as far as that is known without asking for one."""
    if isinstance(dataset, Subset):
        if computed(dataset, "dataset", "indices"):
            return []
        if type(dataset).__getitem__ is not Subset.__getitem__:
            return []
        if not holds_its_items(dataset.indices):
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
    if not holds_its_items(samples):
        return []
    return [path for path, *_ in (samples[i] for i in indices) if isinstance(path, str)]


class InWorker:
    """The worker_init_fn that torch's workers get: the script's own, then what this module does."""

    def __init__(self, own: Callable[[int], None] | None) -> None:
        self.own = own

    def __call__(self, worker: int) -> None:
        if self.own is not None:
            self.own(worker)
        info = torch.utils.data.get_worker_info()
        if info is None:
            return
        _serve(info.dataset)
        index_queue = index_queue_of(sys._getframe(1))
        if index_queue is None or _served is None or _served.dataset is not info.dataset:
            return
        if any(map(_is_read_ahead, bases(info.dataset))):
            _read_ahead.look_by(IndexQueue(index_queue, _served.files.announce).look)


def _opens_here(loader: Any) -> bool:
    folder = sys.modules.get("torchvision.datasets.folder")
    if folder is not None and loader is folder.default_loader:
        loader = folder.pil_loader
    return loader is _open.pil_loader or _code.runs_instead(loader)


def _serve(dataset: Any) -> None:
    """In a worker process, whose copy of the dataset this is. What a script may hold of it, of
    torchvision and of Pillow stays the object that it is."""
    global _served
    _code.does.update(fetch=fetch_in_worker, open=open_as_pillow, pil_loader=_open.pil_loader)
    fetch = _MapDatasetFetcher.fetch
    if defined_in(torch_fetch, "fetch", fetch) and not _code.runs_instead(fetch):
        _served = _Served(dataset, _code.run_instead(fetch, _code.fetch), _Files(dataset))
    image = sys.modules.get("PIL.Image")
    if image is None:
        return
    if defined_in(image, "open", image.open) and not _code.runs_instead(image.open):
        from . import _late_open  # noqa: F401  (which keeps Pillow's)

        _code.run_instead(image.open, _code.open)
        _code.run_instead(load_image, _code.load_image)
        folder: Any = sys.modules.get("torchvision.datasets.folder")
        if (
            folder is not None
            and folder.Image is image
            and defined_in(folder, "pil_loader", folder.pil_loader)
        ):
            _code.run_instead(folder.pil_loader, _code.pil_loader)
    from . import _tensor_steps

    _tensor_steps.shorten()


class _Served(NamedTuple):
    dataset: Any
    fetch: Callable[[Any, Any], Any]
    """Of torch's fetcher."""
    files: _Files


_served: Any = None
"""In a worker process."""


def fetch_in_worker(fetcher: Any, index: Any) -> Any:
    """A batch, whose files are read at once. Of a loader that the script has within the worker
    nothing is: what is announced stays."""
    if fetcher.dataset is not _served.dataset or not fetcher.auto_collation:
        return _served.fetch(fetcher, index)
    with _served.files.read_at_once(index):
        return _served.fetch(fetcher, index)


def open_as_pillow(fp: Any, mode: Any = "r", formats: Any = None) -> Any:
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
    as of a dataset that keeps its images, until one does. Those of the next batches too, while all
    of a batch's are opened."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._in_vain = 0  # batches in a row
        self._looks_ahead = True
        # Of batches that have not begun: their indices, and how many files are announced.
        self._next: deque[tuple[Any, int]] = deque()

    @contextlib.contextmanager
    def read_at_once(self, indices: Any) -> Iterator[None]:
        known = self._begin(indices)
        try:
            yield
            if known:
                self._in_vain = 0 if _read_ahead.taken() else self._in_vain + 1
        finally:
            if known:
                self._looks_ahead = _read_ahead.all_taken()
                if not self._looks_ahead:
                    self._forget()

    def announce(self, indices: Any) -> None:
        """The batch comes after those that are announced already."""
        if self._looks_ahead and self._in_vain < _MOST_IN_VAIN:
            self._next.append((indices, self._announce(self._paths(indices))))

    def _begin(self, indices: Any) -> int:
        """How many files of the batch are announced or watched."""
        if self._next and self._next[0][0] is indices:
            announced = self._next.popleft()[1]
            _read_ahead.begin(announced)
            return announced
        if self._next:
            self._forget()
        paths = self._paths(indices)
        if self._in_vain < _MOST_IN_VAIN:
            _read_ahead.begin(self._announce(paths))
        else:
            _read_ahead.begin(0, watched=paths)
        return len(paths)

    def _forget(self) -> None:
        self._next.clear()
        _read_ahead.forget()

    def _paths(self, indices: Any) -> list[str]:
        """Its files; none of a batch of one."""
        if not isinstance(indices, list | tuple):  # what may be read only once
            return []
        try:
            paths = paths_of(self._dataset, indices)
        except Exception:  # what is wrong with an index is told where the script uses it
            return []
        return paths if len(paths) > 1 else []

    def _announce(self, paths: Sequence[str]) -> int:
        """How many there are."""
        try:
            if paths:
                _read_ahead.announce(paths)
        except Exception:  # and so is what is wrong with a file
            return 0
        return len(paths)


def _decodes_as_torchvision(dataset: Any) -> bool:
    """Whether it is a folder whose images are what Pillow makes of their files."""
    if not _is_folder(dataset) or computed(dataset, "loader") or not hasattr(dataset, "loader"):
        return False
    try:
        check_loader(dataset)
    except NotNative:
        return False
    return True
