"""What the datasets of image files share: samples to look at, and how one is made."""

from __future__ import annotations

import array
import operator
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from inspect import getattr_static
from typing import Any, Generic, TypeVar, Union, overload

import numpy as np
import torch.utils.data

from . import _ringfeed

T = TypeVar("T")
Transform = Callable[[Any], Any]
Path = Union[str, "os.PathLike[str]"]

READ_ONLY = (
    "samples, imgs and targets are what was listed, and read only. For a part of them use "
    "torch.utils.data.Subset, for others ringfeed.ImageList(paths, labels, transform) or "
    "torchvision's ImageFolder"
)


class Column(Sequence[T], Generic[T]):
    """One value a sample, made when asked for: a list of ImageNet's samples takes 300 MB.

    Read only: a change would not reach the index. Of a list's other methods it says so.
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

    def __setitem__(self, index: object, value: object) -> None:
        raise TypeError(f"an item cannot be set: {READ_ONLY}")

    def __delitem__(self, index: object) -> None:
        raise TypeError(f"an item cannot be deleted: {READ_ONLY}")

    def __getattr__(self, name: str) -> Any:
        if hasattr(list, name):
            raise AttributeError(f"there is no {name}(): {READ_ONLY}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

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


def holds_its_items(sequence: Any) -> bool:
    """Whether what `sequence[i]` gives stands in it, as a list's items do, so that it may be read
    beforehand and all at once without a script's code. What an item does is another matter."""
    kind = type(sequence)
    if kind in _HOLDERS:  # asked for each sample of a ConcatDataset
        return True
    base = next((base for base in kind.__mro__ if base in _HOLDERS), None)
    return base is not None and all(
        getattr_static(kind, name, None) is getattr_static(base, name, None)
        for name in (
            "__getitem__",
            "__iter__",
            "__len__",
            "__array__",
            "__getattribute__",
            "__torch_function__",
        )
    )


_HOLDERS = (list, tuple, range, array.array, np.ndarray, np.memmap, torch.Tensor, Column)


def load_image(path: Path) -> Any:
    """The PIL image in RGB, as torchvision's default_loader gives it. A loader decodes that."""
    from PIL import Image

    with open(path, "rb") as file:
        return Image.open(file).convert("RGB")


class FileDataset(torch.utils.data.Dataset[tuple[Any, Any]]):
    """A map-style dataset over an index of the core; what ImageFolder and ImageList share."""

    loader: Callable[[str], Any] = staticmethod(load_image)

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

        return Column(len(index), lambda i: (index.path(i), index.label(i)), every)

    @samples.setter
    def samples(self, value: object) -> None:
        raise AttributeError(READ_ONLY)

    @property
    def targets(self) -> Sequence[int]:
        """The label of every sample; read only."""
        index = self._index
        return Column(len(index), index.label, lambda: index.labels().tolist())

    @targets.setter
    def targets(self, value: object) -> None:
        raise AttributeError(READ_ONLY)

    @property
    def transforms(self) -> Any:
        """torchvision's StandardTransform of both transforms; None without."""
        if self.transform is None and self.target_transform is None:
            return None
        from torchvision.datasets.vision import StandardTransform

        return StandardTransform(self.transform, self.target_transform)

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The sample as torchvision gives it: the PIL image in RGB, transformed, and its label."""
        path, target = self.samples[index]
        sample = self.loader(path)
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
