"""A collate_fn of a script's own is called with the samples that torch's would give it, on the
native rung too; torch's loader runs beside."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch
import torch.utils.data
from PIL import Image
from torch.utils.data import DistributedSampler, default_collate, default_convert
from torchvision import transforms as v1
from torchvision import tv_tensors
from torchvision.transforms import v2

import ringfeed
import small_images
from ringfeed import DataLoader, _samples, _tensors
from torchvision_reference import load

Torch = torch.utils.data.DataLoader
COUNT = 11
TO_TENSOR, TO_IMAGE = v1.ToTensor(), [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
MEAN_STD = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]


class Two:
    def __init__(self, one, other):
        self.one, self.other = one, other

    def __call__(self, image):
        return [self.one(image), self.other(image)]


class TwoInATuple(Two):
    def __call__(self, image):
        return self.one(image), self.other(image)


def crop(*rest):
    return v1.Compose([v1.CenterCrop((8, 6)), *rest])


TRANSFORMS = {
    "a tensor": crop(TO_TENSOR),
    "bytes": crop(v1.PILToTensor()),
    "torchvision's type": crop(*TO_IMAGE, v2.Normalize(*MEAN_STD)),
    "its type lost by v1": crop(*TO_IMAGE, v1.Normalize(*MEAN_STD)),
    "its type taken off": crop(*TO_IMAGE, v2.ToPureTensor()),
    "PIL images": crop(),
    "views": Two(crop(TO_TENSOR), crop()),
    "views in a tuple": TwoInATuple(crop(v1.PILToTensor()), v1.Compose([v1.Resize(5), crop()])),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("images")


def check_same(ours, theirs):
    """Of one type each, with the same values."""
    assert type(ours) is type(theirs)
    if isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs):
            check_same(one, other)
    elif isinstance(ours, dict):
        check_same([*ours], [*theirs])
        check_same([*ours.values()], [*theirs.values()])
    elif isinstance(ours, Image.Image):
        assert (ours.mode, ours.size) == (theirs.mode, theirs.size)
        assert ours.tobytes() == theirs.tobytes()
    elif isinstance(ours, torch.Tensor):
        assert ours.dtype == theirs.dtype and torch.equal(ours, theirs)
    elif isinstance(ours, np.ndarray):
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
    else:
        assert ours == theirs


def native_and_torch(dataset, *args, **options):
    """Both loaders; ringfeed's is native, and says nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = DataLoader(dataset, *args, **options)
    assert ours.rung == "native"
    return ours, Torch(dataset, *args, **options)


def as_it_is(samples):
    return samples


@pytest.mark.parametrize("batch_size", [4, None])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_samples_are_those_of_torch(folder, name, batch_size):
    dataset = small_images.make(folder, COUNT, TRANSFORMS[name])
    ours, theirs = native_and_torch(dataset, batch_size, collate_fn=as_it_is)
    check_same(list(ours), list(theirs))


def test_arrays_of_timm_s_transforms_stay_arrays(folder):
    timm = pytest.importorskip("timm.data.transforms")
    dataset = small_images.make(folder, COUNT, crop(timm.ToNumpy()))
    check_same(*map(list, native_and_torch(dataset, 4, collate_fn=as_it_is)))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_single_samples_without_a_collate_fn_are_those_of_torch(folder, name):
    dataset = small_images.make(folder, COUNT, TRANSFORMS[name])
    check_same(*map(list, native_and_torch(dataset, None)))


def stacked(samples):
    images, labels = zip(*samples)
    return {"pixel_values": torch.stack(images), "labels": torch.tensor(labels)}


class Masks:
    """With a state of its own, as I-JEPA's."""

    def __init__(self):
        self.count = 0

    def __call__(self, samples):
        self.count += 1
        generator = torch.Generator().manual_seed(self.count)
        return default_collate(samples), torch.rand(len(samples), 3, generator=generator)


def fast_collate(samples):
    """As apex's: bytes of PIL images, channels first."""
    images = [image for image, _ in samples]
    width, height = images[0].size
    batch = torch.zeros((len(images), 3, height, width), dtype=torch.uint8)
    for number, image in enumerate(images):
        batch[number] += torch.from_numpy(np.rollaxis(np.array(image, dtype=np.uint8), 2).copy())
    return batch, torch.tensor([label for _, label in samples], dtype=torch.int64)


COLLATES = {
    "a dict": ("a tensor", lambda: stacked),
    "an object": ("a tensor", Masks),
    "a lambda": ("bytes", lambda: lambda samples: default_collate(samples)[::-1]),
    "of PIL images": ("PIL images", lambda: fast_collate),
    "default_convert": ("torchvision's type", lambda: default_convert),
    "columns": ("views", lambda: lambda samples: list(zip(*samples))),
}


@pytest.mark.parametrize("workers", [{}, {"num_workers": 2, "persistent_workers": True}])
@pytest.mark.parametrize("name", COLLATES)
def test_what_a_collate_fn_returns_is_given(folder, name, workers):
    transform, make = COLLATES[name]
    dataset = small_images.make(folder, COUNT, TRANSFORMS[transform], target_transform=lambda k: -k)
    sampler = DistributedSampler(dataset, 2, 1, seed=3)
    ours = DataLoader(dataset, 4, sampler=sampler, collate_fn=make(), native=True, **workers)
    theirs = Torch(dataset, 4, sampler=sampler, collate_fn=make())
    check_same([*ours, *ours], [*theirs, *theirs])


@pytest.mark.parametrize("tail", [[], [v1.ColorJitter(0.4, 0.4)]], ids=["cropped", "coloured"])
def test_random_pil_images_are_torchvision_s_for_their_draws(folder, tail, reader):
    transform = v1.Compose([v1.RandomResizedCrop(9), v1.RandomHorizontalFlip(), *tail])
    dataset = small_images.make(folder, COUNT, transform)
    options = {"shuffle": True, "num_workers": 2, "seed": 5, "reader": reader}
    loader = DataLoader(dataset, 4, collate_fn=as_it_is, **options)
    rows, bytes_ = loader.draws(0), DataLoader(dataset, 4, collate_fn=fast_collate, **options)
    given = [sample for batch in loader for sample in batch]
    collated = torch.cat([images for images, _ in bytes_])
    assert len(given) == len(rows) == len(collated) == COUNT
    for (image, label), pixels, row in zip(given, collated, rows, strict=True):
        path, wanted = dataset.samples[row["index"]]
        check_same((image, label), (ringfeed.replay(row, load(path), transform), wanted))
        assert np.array_equal(pixels.permute(1, 2, 0), np.asarray(image))


def test_torch_s_default_collates_no_pil_images(folder):
    dataset = small_images.make(folder, COUNT, TRANSFORMS["PIL images"])
    with pytest.warns(RuntimeWarning, match="PIL image.*give a collate_fn that takes PIL images"):
        ours = DataLoader(dataset, 4)
    errors = []
    for loader in ours, Torch(dataset, 4):
        with pytest.raises(TypeError, match="batch must contain tensors") as error:
            next(iter(loader))
        errors.append(str(error.value))
    assert errors[0] == errors[1]


class Bad(Exception):
    pass


def test_an_error_of_a_collate_fn_is_its_batch_s(folder):
    def collate(samples):
        if samples[0][1] == 4:
            raise Bad(len(samples))
        return [label for _, label in samples]

    dataset = small_images.make(folder, COUNT, TRANSFORMS["a tensor"])
    ours, theirs = native_and_torch(dataset, 4, collate_fn=collate)
    for loader in ours, theirs:
        batches = iter(loader)
        assert next(batches) == [0, 1, 2, 3]
        with pytest.raises(Bad, match="^4$"):
            next(batches)
        if loader is ours:
            assert loader.state_dict()["positions"] == 8
        assert list(batches) == [[8, 9, 10]]


@pytest.mark.parametrize("collate", ["no function", lambda: None])
def test_what_cannot_be_called_is_python_s_error(folder, collate):
    dataset = small_images.make(folder, COUNT, TRANSFORMS["a tensor"])
    errors = []
    for loader in native_and_torch(dataset, 4, collate_fn=collate):
        with pytest.raises(TypeError) as error:
            next(iter(loader))
        errors.append(str(error.value))
    assert errors[0] == errors[1]


@pytest.mark.parametrize("workers", [0, 1])
def test_what_it_draws_is_drawn_in_this_process_in_torch_s_order(folder, workers):
    dataset = small_images.make(folder, COUNT, TRANSFORMS["a tensor"])
    mix = v2.RandomChoice([v2.MixUp(num_classes=COUNT), v2.CutMix(num_classes=COUNT)])

    def mixed(samples):
        return mix(*default_collate(samples))

    found = []
    loader = DataLoader(dataset, 4, collate_fn=mixed, num_workers=workers, native=True)
    for each in loader, Torch(dataset, 4, collate_fn=mixed):
        torch.manual_seed(6)
        found.append([*each, torch.rand(2)])
    check_same(*found)


def test_pin_memory_is_of_what_it_returns(folder, monkeypatch):
    class Own(list):
        def pin_memory(self):
            return "pinned"

    pinned = []

    def page_locked(size):  # where nothing can be locked
        pinned.append(torch.empty(size, dtype=torch.uint8))
        return pinned[-1], pinned[-1].data_ptr()

    dataset = small_images.make(folder, COUNT, TRANSFORMS["views"])
    monkeypatch.setattr(_tensors, "page_locked", page_locked)
    monkeypatch.setattr(_tensors, "should_pin", lambda *_: True)
    loader = DataLoader(dataset, 4, pin_memory=True, collate_fn=Own, native=True)
    assert list(loader) == ["pinned"] * 3 and pinned
    monkeypatch.setattr(_samples, "pin", lambda made: ("all of", made))
    loader.collate_fn = as_it_is
    (text, samples), *_ = loader
    assert text == "all of"
    check_same(samples, list(map(dataset.__getitem__, range(4))))


@pytest.mark.parametrize("on_error", ["skip", "replace"])
def test_samples_that_fail_are_left_out_or_replaced(tmp_path, on_error):
    dataset = small_images.make(tmp_path, COUNT)
    (tmp_path / "005.jpg").unlink()
    loader = DataLoader(dataset, 4, collate_fn=as_it_is, on_error=on_error, seed=2)
    with pytest.warns(RuntimeWarning, match=r"005\.jpg"):
        batches = list(loader)
    sizes = [4, 3, 3] if on_error == "skip" else [4, 4, 3]
    assert [len(batch) for batch in batches] == sizes
    rows = loader.draws(0)
    samples = [sample for batch in batches for sample in batch]
    for row, (image, label) in zip(rows, samples, strict=True):
        path, wanted = dataset.samples[row["index"]]
        check_same((image, label), (ringfeed.replay(row, load(path), dataset.transform), wanted))


class Clock:
    """Each look at it takes some time."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


@pytest.mark.parametrize("seconds", [0.1, 2.0])
@pytest.mark.parametrize("persistent", [False, True])
def test_code_that_holds_the_threads_back_is_warned_of(folder, monkeypatch, seconds, persistent):
    monkeypatch.setattr(_samples, "perf_counter", Clock(seconds))
    dataset = small_images.make(folder, COUNT)
    options = {"collate_fn": as_it_is, "num_workers": 1, "persistent_workers": persistent}
    loader = DataLoader(dataset, 4, **options)
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            list(loader)
        found = [str(each.message) for each in caught]
        assert len(found) == (seconds > 1), found
        assert all("native=False has worker processes" in text for text in found)


def test_an_epoch_goes_on_with_its_next_samples(folder):
    dataset = small_images.make(folder, COUNT)

    def loader():
        return DataLoader(dataset, 4, shuffle=True, seed=4, collate_fn=as_it_is)

    first, second = loader(), loader()
    batches = iter(first)
    next(batches)
    second.load_state_dict(first.state_dict())
    check_same(list(second), list(batches))


def test_a_changed_collate_fn_counts_from_the_next_iterator_on(folder):
    dataset = small_images.make(folder, COUNT, TRANSFORMS["a tensor"])
    ours, theirs = native_and_torch(dataset, 4)
    begun = [iter(loader) for loader in (ours, theirs)]
    for collate in (as_it_is, stacked, default_collate):
        for loader in ours, theirs:
            loader.collate_fn = collate
        check_same(list(ours), list(theirs))
    check_same(*map(list, begun))
    for loader in ours, theirs:
        loader.collate_fn = fast_collate
    dataset.transform = TRANSFORMS["PIL images"]
    check_same(list(ours), list(theirs))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_transform": v2.MixUp(num_classes=COUNT)}, "batch_transform mixes the batches"),
        ({"finish_on": "device"}, 'finish_on="device" gives batches that ringfeed makes'),
    ],
)
def test_what_makes_batches_otherwise_is_refused(folder, options, words):
    dataset = small_images.make(folder, COUNT)
    with pytest.raises(ValueError, match=re.escape(words)):
        DataLoader(dataset, 4, collate_fn=as_it_is, **options)


def test_images_of_torchvision_s_type_share_the_batch_s_memory(folder):
    dataset = small_images.make(folder, COUNT, TRANSFORMS["torchvision's type"])
    samples = next(iter(DataLoader(dataset, 4, collate_fn=as_it_is)))
    images = [image for image, _ in samples]
    assert {type(image) for image in images} == {tv_tensors.Image}
    assert len({image.untyped_storage().data_ptr() for image in images}) == 1
