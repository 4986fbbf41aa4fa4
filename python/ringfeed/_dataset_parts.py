"""What a loader needs of a dataset: ringfeed's, torchvision's, or a Subset of them."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.utils.data
from numpy.typing import NDArray

from . import _ringfeed
from ._access import Access, OwnLoading, access_of
from ._adding import Adding
from ._file_dataset import FileDataset, holds_its_items, index_of, load_image
from ._open import pil_loader
from ._own_behaviour import computed
from ._timm_dataset import check_reading, image_dataset, is_timms
from .datasets import index_of_samples
from .errors import NotNativeType, not_native

_ACCEPTED = (
    "It reads torchvision.datasets.ImageFolder and ImageNet, ringfeed.ImageFolder and ImageList, "
    "timm's ImageDataset of a folder, and torch.utils.data.Subset of these"
)


@dataclass(frozen=True)
class DatasetParts:
    """What a loader needs of a dataset."""

    index: _ringfeed.Dataset
    indices: NDArray[np.uint32] | None
    """Entries of `index` to use, in this order, shape [n]; None: all."""
    transform: Any
    target_transform: Callable[[int], Any] | None
    base: Any
    """The dataset beneath the Subsets."""
    access: Access | OwnLoading | None = None
    """How samples are asked for by a class of a script's own; None: they are what `base`'s
    class gives."""
    adding: Adding | None = None
    """A transform of a script's own around `transform`."""


def resolve(dataset: Any) -> DatasetParts:
    """What `dataset` reads, as it is at this moment: changed samples and transforms count.

    Raises TypeError for a dataset that ringfeed cannot read, ValueError for one that loads or
    transforms otherwise than by path, IndexError for a Subset that reaches beyond its dataset.
    """
    base, chosen = checked(dataset)
    index = index_of(base) if isinstance(base, FileDataset) else _of_others(base)
    indices = None
    for some in reversed(chosen):
        within = np.arange(len(index), dtype=np.uint32) if indices is None else indices
        indices = within[_subset_entries(some, len(within))]
    access = own_access(base)
    return DatasetParts(index, indices, base.transform, base.target_transform, base, access)


def checked(dataset: Any) -> tuple[Any, list[Any]]:
    """The dataset beneath its Subsets, and their indices, the outermost first. Raises what
    resolve() does for a dataset that ringfeed cannot read; reads none of its samples."""
    chosen = []
    while isinstance(dataset, torch.utils.data.Subset):
        _check_unpatched_methods(torch.utils.data.Subset, "__getitem__", "__getitems__")
        _check_own_methods(
            dataset, torch.utils.data.Subset, "__getitem__", "__getitems__", "__len__"
        )
        _check_attributes(dataset, "dataset", "indices")
        _check_items(dataset, "indices", dataset.indices)
        chosen.append(dataset.indices)
        dataset = dataset.dataset
    base = _base_of(dataset)
    if base is not None:
        _check_unpatched_methods(base, "__getitem__")
        own = ("samples",) if base is FileDataset else ()
        _check_own_methods(dataset, base, "__getitems__", "__len__", *own)
        _check_attributes(dataset, *(_READ_OF_TIMMS if is_timms(dataset) else _READ))
        _check_decoding(dataset)
        if base is not FileDataset:
            reader = dataset.reader if is_timms(dataset) else dataset
            _check_items(dataset, "samples", getattr(reader, "samples", ()))
        return dataset, chosen
    not_native(
        f"ringfeed cannot read {_name(dataset)}. {_ACCEPTED}; ringfeed.ImageList(paths, labels) "
        "takes any files",
        NotNativeType,
    )


def _base_of(dataset: Any) -> type | None:
    """The class whose files are read; None: it is no such dataset."""
    if isinstance(dataset, FileDataset):
        return FileDataset
    if is_timms(dataset):
        return image_dataset()
    # Whoever has such a dataset has imported torchvision.
    if "torchvision" in sys.modules:
        from torchvision.datasets import DatasetFolder

        if isinstance(dataset, DatasetFolder):
            return DatasetFolder
    return None


def own_access(dataset: Any) -> Access | OwnLoading | None:
    """See access_of(); of a dataset that checked() has found."""
    base = _base_of(dataset)
    assert base is not None
    return access_of(dataset, base)


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


def _of_others(dataset: Any) -> _ringfeed.Dataset:
    if is_timms(dataset):
        return index_of_samples(dataset.reader.root, (), dataset.reader.samples)
    from torchvision.datasets import ImageNet

    # A subclass that never calls DatasetFolder's constructor may have the samples alone.
    root, classes = getattr(dataset, "root", ""), getattr(dataset, "classes", ())
    if isinstance(dataset, ImageNet):
        root, classes = dataset.split_folder, dataset.wnids
    _check_label(next(iter(dataset.samples), (None, 0))[1])
    return index_of_samples(root, classes, dataset.samples)


def _check_label(first: Any) -> None:
    """torch keeps the dtype of a label that has one, as a column of a data frame may, by the first
    of each batch."""
    dtype = str(getattr(first, "dtype", "int64")).removeprefix("torch.")
    if dtype != "int64":
        not_native(
            f"the labels in samples are {dtype}, and ringfeed gives int64: put int(label) there",
            NotNativeType,
        )


def _check_decoding(dataset: Any) -> None:
    """Refuses a dataset whose images are not what Pillow makes of their files."""
    if is_timms(dataset):
        check_reading(dataset)
        _check_pillow(sys.modules["timm.data.dataset"])
        return
    joint = None if isinstance(dataset, FileDataset) else getattr(dataset, "transforms", None)
    if joint is not None:
        from torchvision.datasets import vision

        if type(joint) is not vision.StandardTransform:
            not_native(
                f"{_name(dataset)} has transforms={joint!r}, which takes image and label "
                "together: use transform= and target_transform="
            )
    check_loader(dataset)


def check_loader(dataset: Any) -> None:
    """Refuses one whose loader is not torchvision's or ringfeed's, or decodes by another function
    than Pillow's."""
    loader = dataset.loader
    if loader is load_image or loader is pil_loader:
        _check_pillow()
        return
    folder: Any = sys.modules.get("torchvision.datasets.folder")
    default = defined_in(folder, "default_loader", loader)
    if not default and not defined_in(folder, "pil_loader", loader):
        not_native(
            f"{_name(dataset)} has loader={loader!r}, which ringfeed cannot call: it decodes as "
            "torchvision's default_loader does. Leave loader= out"
        )
    if default:
        import torchvision

        backend = torchvision.get_image_backend()
        if backend != "PIL":
            not_native(
                f"torchvision's image backend is {backend!r}, and ringfeed gives the pixels of "
                'PIL: call torchvision.set_image_backend("PIL")'
            )
        _check_unpatched(folder, "pil_loader")
    _check_pillow(folder)


def _check_pillow(user: Any = None) -> None:
    """`user`: the module that opens images by its name Image; None: it imports PIL.Image."""
    image = sys.modules.get("PIL.Image")
    used = image if user is None else user.Image
    if used is not image:
        not_native(
            f"{user.__name__}.Image is {used!r} and not PIL.Image: ringfeed decodes "
            "files itself and never calls it. Put PIL.Image back"
        )
    if image is not None:
        _check_unpatched(image, "open")


def _check_unpatched(module: Any, name: str) -> None:
    now = getattr(module, name)
    if not defined_in(module, name, now):
        not_native(
            f"{module.__name__}.{name} has been replaced by {now!r}, which ringfeed never calls: "
            "it decodes files itself, as Pillow does. Put the original back, or move what it does "
            "into the transform"
        )


def _check_unpatched_methods(kind: Any, *names: str) -> None:
    for name in names:
        now = getattr(kind, name)
        if not defined_in(sys.modules[kind.__module__], name, now):
            not_native(
                f"{kind.__qualname__}.{name} has been replaced by {now!r}, which ringfeed never "
                "calls. Put the original back, and what it does into a subclass",
                NotNativeType,
            )


def defined_in(module: Any, name: str, function: Any) -> bool:
    """Whether `function` is the one that `module`'s source calls `name`, whatever stands there
    now."""
    return (
        module is not None
        and type(function) is types.FunctionType
        and function.__globals__ is vars(module)
        and function.__code__.co_name == name
    )


def _check_own_methods(dataset: Any, base: type, *names: str) -> None:
    for name in names:
        own = getattr(type(dataset), name, None) is not getattr(base, name, None)
        # torch looks for __getitems__ in the object, Python for the others in the class.
        if own or (name == "__getitems__" and name in getattr(dataset, "__dict__", ())):
            not_native(
                f"{_name(dataset)} has its own {name}, which ringfeed never calls: it reads the "
                f"files of {base.__name__}'s samples. Put what it does into the transform, the "
                "target_transform or the samples",
                NotNativeType,
            )


_READ = ("samples", "loader", "transform", "transforms", "target_transform")
_READ_OF_TIMMS = ("reader", "transform", "target_transform")


def _check_attributes(dataset: Any, *names: str) -> None:
    name = computed(dataset, *names)
    if name is not None:
        not_native(
            f"{_name(dataset)} has its own {name}, which torch's loader would call for each sample "
            "and ringfeed calls once for an iterator: make it an attribute whose value stands",
            NotNativeType,
        )


def _check_items(dataset: Any, name: str, sequence: Any) -> None:
    if not holds_its_items(sequence):
        not_native(
            f"the {name} of {_name(dataset)} are of {_name(sequence)}, whose items torch's loader "
            "would ask for one by one and ringfeed reads once for an iterator: make them a list",
            NotNativeType,
        )


def _name(dataset: Any) -> str:
    return f"{type(dataset).__module__}.{type(dataset).__qualname__}"


class AsItWas:
    """A dataset's samples and its Subsets' indices as they were, to tell whether they have changed.

    Lists are compared with a copy: by identity of their items first, 2 ms for ImageNet's samples.
    """

    def __init__(self, base: Any, chosen: Sequence[Any]) -> None:
        self._base = base
        self._parts = [_Copied(part) for part in _changeable(base, chosen)]

    def holds(self, base: Any, chosen: Sequence[Any]) -> bool:
        parts = _changeable(base, chosen)
        return (
            base is self._base
            and len(parts) == len(self._parts)
            and all(before.equals(part) for before, part in zip(self._parts, parts))
        )


def _changeable(base: Any, chosen: Sequence[Any]) -> list[Any]:
    if isinstance(base, FileDataset):
        return [index_of(base), *chosen]
    return [base.reader.samples if is_timms(base) else base.samples, *chosen]


class _Copied:
    def __init__(self, value: Any) -> None:
        self._value = value
        self._copy = _copy_of(value)

    def equals(self, value: Any) -> bool:
        if value is not self._value:
            return False
        copy = self._copy
        try:
            if copy is None:
                return True
            if isinstance(copy, np.ndarray):
                return np.array_equal(value, copy)
            return bool((value if type(value) is list else list(value)) == copy)
        except Exception:  # of items that cannot be compared
            return False


def _copy_of(value: Any) -> Any:
    """What `value` can be compared with after a change; None: it cannot change."""
    if isinstance(value, (_ringfeed.Dataset, range)):
        return None
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return np.asarray(value).copy()
    # A tuple stays what it is, a list within may change.
    return [list(row) if type(row) is list else row for row in value]
