"""Datasets of image files."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _ringfeed
from ._file_dataset import FileDataset, Path, Transform, load_image
from .errors import LoadError, NotNativeType, not_native

__all__ = ["ImageFolder", "ImageList"]


def warn_user(text: str) -> None:
    """A RuntimeWarning at the line outside of ringfeed that led here: Lightning's data module, a
    subclass and pickle each put frames of their own between."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, RuntimeWarning, stacklevel=level)


def check_use_cache(use_cache: Any) -> None:
    if use_cache not in (True, False, "always"):
        raise ValueError(f'use_cache must be True, False or "always", not {use_cache!r}')


_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""torchvision's IMG_EXTENSIONS."""


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
    serves while no directory has changed, which their times tell. Where times tell nothing (on
    FUSE, by which most object stores are mounted; in the future; one and the same for all) the
    folder is listed at every start, and `ringfeed scan ROOT` says so; `use_cache="always"` keeps a
    manifest there too, and believes it until you remove it.

    It also works in torch's own DataLoader; a worker process that is not forked opens the folder
    again, and raises RuntimeError if it has changed.

    `is_valid_file` says by a path whether a file belongs to the dataset, in the place of its
    extension. With it, or in a subclass with its own find_classes() or make_dataset(), the folder
    is listed by torchvision, without a manifest. `loader` makes the image of a path, as in
    torchvision; ringfeed's DataLoader takes its default and torchvision's alone.

    Attributes: `root`, `classes`, `class_to_idx`, `samples`, `targets`, `imgs`, `transform`,
    `target_transform`, `transforms`, `loader`, `extensions`. `samples`, `imgs` and `targets` are
    sequences made when asked for, and read only: use Subset or ImageList for a part.

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
        loader: Callable[[str], Any] = load_image,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
        *,
        use_cache: bool | Literal["always"] = True,
        cache_dir: Path | None = None,
    ) -> None:
        self.root = os.path.expanduser(root) if isinstance(root, str) else root
        check_use_cache(use_cache)
        self.loader = loader
        self.is_valid_file = is_valid_file
        self.extensions = _EXTENSIONS if is_valid_file is None else None
        self.allow_empty = allow_empty
        self.use_cache = use_cache
        self.cache_dir = cache_dir
        self.classes: list[str] = []
        self.class_to_idx: dict[str, int] = {}
        super().__init__(transform, target_transform)

    def find_classes(self, directory: Path) -> tuple[list[str], dict[str, int]]:
        """torchvision's: the class folders of `directory`, and their numbers."""
        from torchvision.datasets.folder import find_classes

        return find_classes(os.fspath(directory))

    @staticmethod
    def make_dataset(
        directory: Path,
        class_to_idx: dict[str, int],
        extensions: tuple[str, ...] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> list[tuple[str, int]]:
        """torchvision's: (path, label) of the files that belong to a class."""
        from torchvision.datasets.folder import make_dataset

        path = os.fspath(directory)
        return make_dataset(path, class_to_idx, extensions, is_valid_file, allow_empty)

    def _make_index(self) -> _ringfeed.Dataset:
        names = ("find_classes", "make_dataset")
        own = any(getattr(type(self), name) is not getattr(ImageFolder, name) for name in names)
        if own or self.is_valid_file is not None:
            return self._list_by_methods()
        index = self._list_natively()
        self.classes = index.classes
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        return index

    def _list_by_methods(self) -> _ringfeed.Dataset:
        try:
            self.classes, self.class_to_idx = self.find_classes(self.root)
            samples = self.make_dataset(
                self.root,
                class_to_idx=self.class_to_idx,
                extensions=self.extensions,
                is_valid_file=self.is_valid_file,
                allow_empty=self.allow_empty,
            )
        except OSError as error:
            if isinstance(error, LoadError):
                raise
            text, path = str(error), error.filename or os.fspath(self.root)
            raise LoadError(text, "scan", error.errno, path, text, type(error)) from None
        return index_of_samples(self.root, self.classes, samples)

    def _list_natively(self) -> _ringfeed.Dataset:
        try:
            index = _ringfeed.Dataset.open(
                os.fspath(self.root),
                allow_empty=self.allow_empty,
                use_cache=bool(self.use_cache),
                always_use_cache=self.use_cache == "always",
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
        names, numbers = [os.fsdecode(path) for path in paths], checked_labels(labels)
        if len(names) != len(numbers):
            raise ValueError(
                f"a label is due for each path: {len(names)} paths, but {len(numbers)} labels"
            )
        self._packed = names, numbers
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
            f"{array.shape}. Number them, and let target_transform make of a number what is wanted"
        )
    return np.ascontiguousarray(array.ravel(), dtype=np.int64)


def index_of_samples(
    root: Path, classes: Sequence[Any], samples: Iterable[tuple[Path, Any]]
) -> _ringfeed.Dataset:
    """Of (path, label) of every sample."""
    rows = list(samples)
    paths = [path if type(path) is str else os.fsdecode(path) for path, _ in rows]
    try:
        labels = checked_labels([label for _, label in rows])
    except TypeError as error:
        not_native(str(error), NotNativeType)
    # They only serve the fingerprint, so that a state fits ringfeed.ImageFolder of the same root.
    named = all(isinstance(name, str) for name in classes)
    if not named or np.any((labels < 0) | (labels >= len(classes))):
        classes = []
    return _ringfeed.Dataset.from_samples(os.fspath(root), classes, paths, labels)
