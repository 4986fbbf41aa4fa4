"""What a loader needs of a dataset: ringfeed's, torchvision's, or a Subset of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.utils.data
from numpy.typing import NDArray

from . import _ringfeed
from .datasets import FileDataset, checked_labels, index_of

_ACCEPTED = (
    "It reads torchvision.datasets.ImageFolder and ImageNet, ringfeed.ImageFolder and ImageList, "
    "and torch.utils.data.Subset of these"
)


@dataclass(frozen=True)
class DatasetParts:
    """What a loader needs of a dataset."""

    index: _ringfeed.Dataset
    indices: NDArray[np.uint32] | None
    """Entries of `index` to use, in this order, shape [n]; None: all."""
    transform: Any
    target_transform: Callable[[int], Any] | None


def resolve(dataset: Any) -> DatasetParts:
    """What `dataset` reads, as it is at this moment: changed samples and transforms count.

    Raises TypeError for a dataset that ringfeed cannot read, ValueError for one that loads or
    transforms otherwise than by path, IndexError for a Subset that reaches beyond its dataset.
    """
    subsets = []
    while isinstance(dataset, torch.utils.data.Subset):
        _check_own_methods(dataset, torch.utils.data.Subset)
        subsets.append(dataset.indices)
        dataset = dataset.dataset
    index = _checked_index(dataset)
    indices = None
    for chosen in reversed(subsets):
        within = np.arange(len(index), dtype=np.uint32) if indices is None else indices
        indices = within[_subset_entries(chosen, len(within))]
    return DatasetParts(index, indices, dataset.transform, dataset.target_transform)


def _subset_entries(indices: Any, length: int) -> NDArray[np.int64]:
    """A Subset's indices, negative ones resolved as a list does."""
    array = np.asarray(indices)
    if array.size == 0:
        return np.empty(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(
            f"a Subset's indices must be whole numbers; these are {array.dtype} of shape "
            f"{array.shape}"
        )
    found = array.astype(np.int64)
    wrong = found[(found < -length) | (found >= length)]
    if len(wrong):
        raise IndexError(f"a Subset has index {wrong[0]}, its dataset {length} samples")
    return found % length


def _checked_index(dataset: Any) -> _ringfeed.Dataset:
    if isinstance(dataset, FileDataset):
        _check_own_methods(dataset, FileDataset)
        return index_of(dataset)
    # Whoever has such a dataset has imported torchvision.
    if "torchvision" in sys.modules:
        from torchvision.datasets import DatasetFolder

        if isinstance(dataset, DatasetFolder):
            return _of_torchvision(dataset)
    raise TypeError(
        f"ringfeed cannot read {_name(dataset)}. {_ACCEPTED}; ringfeed.ImageList(paths, labels) "
        "takes any files. For others use torch.utils.data.DataLoader"
    )


def _of_torchvision(dataset: Any) -> _ringfeed.Dataset:
    import torchvision
    from torchvision.datasets import DatasetFolder, ImageNet, folder, vision

    _check_own_methods(dataset, DatasetFolder)
    transforms = getattr(dataset, "transforms", None)
    if transforms is not None and type(transforms) is not vision.StandardTransform:
        raise ValueError(
            f"{_name(dataset)} has transforms={transforms!r}, which takes image and label "
            "together: use transform= and target_transform="
        )
    if dataset.loader not in (folder.default_loader, folder.pil_loader):
        raise ValueError(
            f"{_name(dataset)} has loader={dataset.loader!r}, which ringfeed cannot call: it "
            "decodes as torchvision's default_loader does. Leave loader= out, or use "
            "torch.utils.data.DataLoader"
        )
    backend = torchvision.get_image_backend()
    if dataset.loader is folder.default_loader and backend != "PIL":
        raise ValueError(
            f"torchvision's image backend is {backend!r}, and ringfeed gives the pixels of PIL: "
            'call torchvision.set_image_backend("PIL")'
        )
    root, classes = dataset.root, dataset.classes
    if isinstance(dataset, ImageNet):
        root, classes = dataset.split_folder, dataset.wnids
    paths = [p if type(p) is str else os.fsdecode(p) for p, _ in dataset.samples]
    labels = checked_labels([label for _, label in dataset.samples])
    # They only serve the fingerprint, so that a state fits ringfeed.ImageFolder of the same root.
    named = all(isinstance(name, str) for name in classes)
    if not named or np.any((labels < 0) | (labels >= len(classes))):
        classes = []
    return _ringfeed.Dataset.from_samples(os.fspath(root), classes, paths, labels)


def _check_own_methods(dataset: Any, base: type) -> None:
    for name in ("__getitem__", "__getitems__", "__len__"):
        if getattr(type(dataset), name, None) is not getattr(base, name, None):
            raise TypeError(
                f"{_name(dataset)} has its own {name}, which ringfeed never calls: it reads the "
                f"files of {base.__name__}'s samples. Put what it does into the transform, the "
                "target_transform or the samples, or use torch.utils.data.DataLoader"
            )


def _name(dataset: Any) -> str:
    return f"{type(dataset).__module__}.{type(dataset).__qualname__}"
