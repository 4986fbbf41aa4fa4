"""Datasets of image files."""

from __future__ import annotations

import operator
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, Union, overload

import numpy as np
import torch.utils.data
from numpy.typing import ArrayLike, NDArray

from . import _ringfeed
from .errors import LoadError

__all__ = ["ImageFolder", "ImageList"]

T = TypeVar("T")
Transform = Callable[[Any], Any]
Path = Union[str, "os.PathLike[str]"]


def warn_user(text: str) -> None:
    """A RuntimeWarning at the line outside of ringfeed that led here: Lightning's data module, a
    subclass and pickle each put frames of their own between."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, RuntimeWarning, stacklevel=level)


class _Column(Sequence[T], Generic[T]):
    """One value a sample, made when asked for: a list of ImageNet's samples takes 300 MB.

    Read only: a change would not reach the index.
    """

    def __init__(self, length: int, at: Callable[[int], T], every: Callable[[], Iterable[T]]):
        self._length, self._at, self._every = length, at, every

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        entries = range(self._length)[index]  # a list's rules for negative and wrong indices
        if isinstance(entries, range):
            return [self._at(entry) for entry in entries]
        return self._at(entries)

    def __iter__(self) -> Iterator[T]:
        return iter(self._every())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, (str, bytes)):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:3]))
        return f"[{shown}{', ...' if len(self) > 3 else ''}]"


class FileDataset(torch.utils.data.Dataset[tuple[Any, Any]]):
    """A map-style dataset over an index of the core; what ImageFolder and ImageList share."""

    def __init__(
        self, transform: Transform | None, target_transform: Callable[[int], Any] | None
    ) -> None:
        self.transform = transform
        self.target_transform = target_transform
        self._index = self._make_index()

    def _make_index(self) -> _ringfeed.Dataset:
        raise NotImplementedError

    @property
    def samples(self) -> Sequence[tuple[str, int]]:
        """(path, label) of every sample; read only."""
        index = self._index
        labels = index.labels

        def every() -> Iterator[tuple[str, int]]:
            return zip(map(index.path, range(len(index))), labels().tolist())

        return _Column(len(index), lambda i: (index.path(i), index.label(i)), every)

    @property
    def targets(self) -> Sequence[int]:
        """The label of every sample; read only."""
        index = self._index
        return _Column(len(index), index.label, lambda: index.labels().tolist())

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The sample as torchvision gives it: the PIL image in RGB, transformed, and its label."""
        from PIL import Image

        path, target = self.samples[index]
        with open(path, "rb") as file:
            sample: Any = Image.open(file).convert("RGB")
        if self.transform is not None:
            sample = self.transform(sample)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return sample, target

    def _repr_body(self) -> list[str]:
        return [f"Number of datapoints: {len(self)}"]

    def __repr__(self) -> str:
        # Word for word torchvision's, odd indentation included.
        lines = [f"Dataset {type(self).__name__}", *("    " + s for s in self._repr_body())]
        if self.transform is not None or self.target_transform is not None:
            lines.append("    StandardTransform")
            for head, transform in (
                ("Transform: ", self.transform),
                ("Target transform: ", self.target_transform),
            ):
                if transform is not None:
                    first, *others = repr(transform).splitlines()
                    lines += [head + first, *(" " * len(head) + line for line in others)]
        return "\n".join(lines)


def index_of(dataset: FileDataset) -> _ringfeed.Dataset:
    return dataset._index


class ImageFolder(FileDataset):
    """torchvision.datasets.ImageFolder, listed natively and cached.

    >>> from ringfeed import ImageFolder
    >>> dataset = ImageFolder("imagenet/train")
    >>> dataset.classes
    ['n01440764', 'n01443537']
    >>> len(dataset), dataset.samples[0]
    (8, ('imagenet/train/n01440764/0.jpg', 0))

    Classes, labels, order and errors are torchvision's. With `use_cache` a manifest keeps the
    listing in `cache_dir`, $RINGFEED_CACHE_DIR, $XDG_CACHE_HOME/ringfeed or ~/.cache/ringfeed, and
    serves while no directory has changed. It also works in torch's own DataLoader; a worker process
    that is not forked opens the folder again, and raises RuntimeError if it has changed.

    Attributes: `root`, `classes`, `class_to_idx`, `samples`, `targets`, `imgs`, `transform`,
    `target_transform`. `samples`, `imgs` and `targets` are sequences made when asked for, and read
    only: use Subset or ImageList for a part.

    Warns (RuntimeWarning) of a manifest that is damaged, that another user could have written, that
    is locked for long, or that cannot be written. Raises FileNotFoundError, NotADirectoryError or
    PermissionError, each also a LoadError of stage "scan", where there is no such folder, no class
    folder in it, or, unless `allow_empty`, a class without images.
    """

    def __init__(
        self,
        root: Path,
        transform: Transform | None = None,
        target_transform: Callable[[int], Any] | None = None,
        *,
        allow_empty: bool = False,
        use_cache: bool = True,
        cache_dir: Path | None = None,
    ) -> None:
        self.root = os.path.expanduser(root) if isinstance(root, str) else root
        self.allow_empty = allow_empty
        self.use_cache = use_cache
        self.cache_dir = cache_dir
        super().__init__(transform, target_transform)
        self.classes: list[str] = self._index.classes
        self.class_to_idx: dict[str, int] = {name: i for i, name in enumerate(self.classes)}

    def _make_index(self) -> _ringfeed.Dataset:
        try:
            index = _ringfeed.Dataset.open(
                os.fspath(self.root),
                allow_empty=self.allow_empty,
                use_cache=self.use_cache,
                cache_dir=None if self.cache_dir is None else os.fspath(self.cache_dir),
            )
        except LoadError as error:
            if error.errno is not None:
                raise
            # torchvision's where there is no class in the folder, or no image in a class.
            arguments = str(error), error.stage, None, error.filename, error.detail
            raise LoadError(*arguments, FileNotFoundError) from None
        for warning in index.warnings:
            warn_user(warning)
        return index

    @property
    def imgs(self) -> Sequence[tuple[str, int]]:
        """`samples` under torchvision's other name."""
        return self.samples

    def _repr_body(self) -> list[str]:
        return [*super()._repr_body(), f"Root location: {self.root}"]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_index": self._index.fingerprint}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._index = self._make_index()
        if self._index.fingerprint != state["_index"]:
            root = _ringfeed.printable(os.fspath(self.root))
            raise RuntimeError(f"{root} has changed since the dataset was made; make it anew")


class ImageList(FileDataset):
    """Images named one by one.

    >>> from ringfeed import ImageList
    >>> dataset = ImageList(["cats/tom.jpg", "dogs/rex.jpg"], labels=[0, 1])
    >>> dataset.samples[1]
    ('dogs/rex.jpg', 1)

    `paths` are opened as they stand; `labels` are whole numbers, one a path, of any value. Like
    ImageFolder it also works in torch's own DataLoader. Raises ValueError for lists of unequal
    length, TypeError for labels that are not whole numbers.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        labels: ArrayLike,
        transform: Transform | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ) -> None:
        self._packed = [os.fsdecode(path) for path in paths], checked_labels(labels)
        super().__init__(transform, target_transform)
        del self._packed

    def _make_index(self) -> _ringfeed.Dataset:
        paths, labels = self._packed
        return _ringfeed.Dataset.from_samples("", [], paths, labels)

    def __getstate__(self) -> dict[str, Any]:
        # One string and one array: half a million small objects would take seconds to pickle.
        names = map(self._index.path, range(len(self)))
        return {**vars(self), "_index": ("\0".join(names), self._index.labels())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        names, labels = state["_index"]
        vars(self).update(state)
        paths = names.split("\0") if len(labels) else []
        self._index = _ringfeed.Dataset.from_samples("", [], paths, labels)


def checked_labels(labels: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(labels)
    if array.size and (array.ndim != 1 or array.dtype.kind not in "iu"):
        raise TypeError(
            f"labels must be whole numbers, one a path; these are {array.dtype} of shape "
            f"{array.shape}"
        )
    return np.ascontiguousarray(array.ravel(), dtype=np.int64)
