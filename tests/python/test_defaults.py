"""What torch's default device and default dtype change: what they change in torch's DataLoader."""

from __future__ import annotations

import contextlib
import itertools

import pytest
import torch
import torch.utils.data
from torchvision import datasets
from torchvision import transforms as v1
from torchvision.transforms import v2

from ringfeed import DataLoader, transforms
from ringfeed.errors import UnsupportedTransform
from small_images import make

TAIL = [v1.ToTensor(), v1.Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))]
BOTH = (torch.utils.data.DataLoader, DataLoader)


@contextlib.contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


META = {"set_default_device": lambda: default_device("meta"), "with": lambda: torch.device("meta")}
WIDER = {"float64": torch.float64, "bfloat16": torch.bfloat16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("defaults")
    make(root / "a", 6)
    make(root / "b", 2)
    return root


def dataset(folder, *steps):
    return datasets.ImageFolder(folder, v1.Compose([v1.Resize((8, 8)), *(steps or TAIL)]))


def same(batches, expected):
    for batch, other in itertools.zip_longest(batches, expected):
        for found, wanted in zip(batch, other, strict=True):
            assert found.dtype == wanted.dtype and found.device == wanted.device
            assert found.is_meta or torch.equal(found, wanted)


@pytest.mark.parametrize("context", [*META, *WIDER])
def test_a_loader_made_under_another_default_is_as_torch_s(folder, context):
    found = []
    for loader_type in BOTH:
        with META[context]() if context in META else default_dtype(WIDER[context]):
            warned = loader_type is DataLoader and context in WIDER
            with (
                pytest.warns(UserWarning, match="ToTensor") if warned else contextlib.nullcontext()
            ):
                loader = loader_type(dataset(folder), batch_size=3)
        found.append(list(loader))
    same(*found)


@pytest.mark.parametrize("context", META)
def test_labels_are_made_on_the_default_device_as_in_torch(folder, context):
    found = []
    for loader_type in BOTH:
        iterator = iter(loader_type(dataset(folder), batch_size=3))
        batches = [next(iterator)]
        with META[context]():
            batches.append(next(iterator))
        found.append([*batches, *iterator])
    assert [labels.device.type for _, labels in found[0]] == ["cpu", "meta", "cpu"]
    same(*found)


@pytest.mark.parametrize("context", META)
def test_an_epoch_cannot_begin_on_the_meta_device_as_in_torch(folder, context):
    for loader_type in BOTH:
        loader = loader_type(dataset(folder), batch_size=3)
        with META[context](), pytest.raises(RuntimeError, match="meta tensors"):
            next(iter(loader))


@pytest.mark.parametrize("dtype", WIDER.values(), ids=WIDER)
def test_another_default_dtype_is_refused_where_torch_would_yield_it(folder, dtype):
    loaders = [BOTH[0](dataset(folder), batch_size=3), DataLoader(dataset(folder), 3, native=True)]
    with default_dtype(dtype):
        assert next(iter(loaders[0]))[0].dtype == dtype
        assert next(iter(DataLoader(dataset(folder), 3)))[0].dtype == dtype  # torch's then
        with pytest.raises(UnsupportedTransform, match=rf"step 2, ToTensor.*yields {dtype}.*back"):
            next(iter(loaders[1]))
        assert "step 2" not in repr(loaders[1])
    same(*loaders[::-1])


@pytest.mark.parametrize("dtype", WIDER.values(), ids=WIDER)
def test_a_transform_that_says_its_dtype_does_not_ask_for_the_default(folder, dtype):
    with default_dtype(dtype):
        steps = v2.ToImage(), v2.ToDtype(torch.float32, scale=True)
        same(*(list(kind(dataset(folder, *steps), batch_size=3)) for kind in BOTH[::-1]))


@pytest.mark.parametrize("context", [*META, *WIDER])
def test_every_table_of_a_transform_is_read_under_any_default(folder, context):
    """Logarithms of ratios, tables of policies, means, distributions of mixing."""

    def recipe():
        return v2.Compose(
            [
                v2.RandomResizedCrop(8),
                v1.RandAugment(),
                v2.AutoAugment(),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize([0.5] * 3, [0.25] * 3),
                v2.RandomErasing(value=[0.5, 0.25, 0.125]),
            ]
        )

    kept, mixing, data = recipe(), v2.MixUp(alpha=0.2, num_classes=9), make(folder / "a", 6)
    with META[context]() if context in META else default_dtype(WIDER[context]):
        data.transform = kept if context in META else recipe()
        if context in WIDER:
            mixing = v2.MixUp(alpha=0.2, num_classes=9)
        loader = DataLoader(data, 3, seed=1, batch_transform=mixing)
    expected = DataLoader(data, 3, seed=1, batch_transform=transforms.MixUp(9, alpha=0.2))
    data.transform = recipe()
    same(loader, expected)


def test_numbers_on_the_meta_device_are_refused_by_name(folder):
    with torch.device("meta"):
        crop = v2.RandomResizedCrop(8)
        mean = v1.Normalize(torch.full((3,), 0.5), [0.5] * 3)
    for steps, place in ([crop, v1.ToTensor()], 2), ([v1.ToTensor(), mean], 3):
        with pytest.raises(UnsupportedTransform, match=f"step {place}, .*made on the meta device"):
            DataLoader(dataset(folder, *steps), native=True)
