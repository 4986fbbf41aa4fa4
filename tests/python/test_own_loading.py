"""A dataset class of a script's own whose __getitem__ loads by itself: native, with the samples of
torch's loader, which runs beside; and steps of a known class whose own method does as much."""

from __future__ import annotations

import array
import collections.abc
import functools
import random

import numpy as np
import pytest
import torch
import torch.utils.data
import torchvision
from PIL import Image
from torch.utils.data import Subset
from torchvision import transforms as v1
from torchvision.transforms import functional as f

import ringfeed
import small_images
from ringfeed import DataLoader
from ringfeed.errors import NotNativeType, UnsupportedTransform
from ringfeed.transforms import compile_transform
from small_images import CROP, PLAIN
from test_collate import Two, check_same
from torchvision_reference import load

Torch = torch.utils.data.DataLoader
ImageFolder = torchvision.datasets.ImageFolder
COUNT = 10
SMALL = v1.Compose([v1.CenterCrop(4), v1.ToTensor()])


pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return small_images.make_folder(tmp_path_factory.mktemp("photos"), COUNT)


# As scripts write them.


class MultiCrop(ImageFolder):
    """SwAV's."""

    def __init__(self, root, trans, return_index=False):
        super().__init__(root)
        self.trans = trans
        self.return_index = return_index

    def __getitem__(self, index):
        path, _ = self.samples[index]
        image = self.loader(path)
        multi_crops = list(map(lambda trans: trans(image), self.trans))  # noqa: C417
        if self.return_index:
            return index, multi_crops
        return multi_crops


class Copied(ImageFolder):
    """torchvision's own code."""

    def __getitem__(self, index: int):
        path, target = self.samples[index]
        sample = self.loader(path)
        if self.transform is not None:
            sample = self.transform(sample)
        if self.target_transform is not None:
            target = self.target_transform(target)

        return sample, target


class WithoutTarget(ImageFolder):
    def __getitem__(self, index):
        image = self.loader(self.samples[index][0])
        return (self.transform(image), index), self.samples[index][1], "photo"


class Nested(ImageFolder):
    def __getitem__(self, i):
        path, label = self.samples[i]
        image = self.loader(path)
        one, two = self.transform(image), SMALL(image)
        return [[one, label], (two, i, label)]


LOADING = {
    "views": lambda root: MultiCrop(root, [PLAIN, SMALL, PLAIN]),
    "views and an index": lambda root: MultiCrop(root, [PLAIN, SMALL], True),
    "a single view": lambda root: MultiCrop(root, [PLAIN]),
    "torchvision's": lambda root: Copied(root, PLAIN),
    "torchvision's with targets": lambda root: Copied(root, PLAIN, lambda label: label + 7),
    "with views of its transform": lambda root: Copied(root, Two(PLAIN, SMALL)),
    "nested": lambda root: Nested(root, PLAIN, lambda label: label + 7),
    "a constant": lambda root: WithoutTarget(root, PLAIN),
    "a subset": lambda root: Subset(MultiCrop(root, [PLAIN, SMALL], True), [9, 2, 2, 0]),
}


def native(dataset, *args, **options):
    return DataLoader(dataset, *args, native=True, **options)


@pytest.mark.parametrize("options", [{}, {"batch_size": None}, {"collate_fn": list}], ids=str)
@pytest.mark.parametrize("name", LOADING)
def test_samples_are_torch_s(root, name, options):
    dataset = LOADING[name](root)
    options = {"batch_size": 4, **options}
    found = []
    for loader in native(dataset, **options), Torch(dataset, **options):
        torch.manual_seed(3), np.random.seed(3), random.seed(3)
        found.append([*loader, *loader, torch.rand(2), random.random()])
    check_same(*found)


def test_crops_are_torchvision_s_for_their_draws(root, reader):
    dataset = MultiCrop(root, [CROP, SMALL, CROP], True)
    loader = native(dataset, 4, shuffle=True, seed=8, num_workers=2, reader=reader)
    for epoch in range(2):
        rows = iter(loader.draws(epoch))
        for indices, views in loader:
            for index, *images in zip(indices.tolist(), *views, strict=True):
                row = next(rows)
                image = load(dataset.samples[index][0])
                for number, (got, transform) in enumerate(zip(images, dataset.trans)):
                    assert row[number]["index"] == index
                    assert torch.equal(got, ringfeed.replay(row[number], image, transform))
        assert next(rows, None) is None


def test_what_changes_between_epochs_counts(root):
    dataset = MultiCrop(root, [PLAIN, SMALL])
    loader = native(dataset, 4)
    assert len(next(iter(loader))) == 2
    threads = loader._cached
    assert len(next(iter(loader))) == 2 and loader._cached is threads
    dataset.return_index = True
    indices, views = next(iter(loader))
    assert (indices.tolist(), len(views)) == ([0, 1, 2, 3], 2)
    dataset.trans.append(CROP)
    assert len(next(iter(loader))[1]) == 3


class OtherIndex(ImageFolder):
    def __getitem__(self, index):
        path, label = self.samples[index - 1]
        return self.transform(self.loader(path)), label


class FirstAlone(ImageFolder):
    def __getitem__(self, index):
        path, label = self.samples[0]
        return self.transform(self.loader(path)), label


class Retries(ImageFolder):
    def __getitem__(self, index):
        try:
            path, label = self.samples[index]
            return self.transform(self.loader(path)), label
        except OSError:
            return self[index + 1]


class OtherPath(ImageFolder):
    def __getitem__(self, index):
        path, label = self.samples[index]
        return self.transform(self.loader(path + "")), label


class Untransformed(ImageFolder):
    def __getitem__(self, index):
        path, label = self.samples[index]
        return self.loader(path), label


class LabelAlone(ImageFolder):
    def __getitem__(self, index):
        return self.samples[index][1]


class ByChance(ImageFolder):
    def __getitem__(self, index):
        path, label = self.samples[index]
        transform = PLAIN if random.random() < 0.5 else SMALL
        return transform(self.loader(path)), label


class Dropped(ImageFolder):
    def __getitem__(self, index):
        path, label = self.samples[index]
        image = self.loader(path)
        self.transform(image)
        return self.transform(image), label


class OtherTarget(ImageFolder):
    def __getitem__(self, index):
        path, label = self.samples[index]
        return self.transform(self.loader(path)), str(label)


class OtherSamples(ImageFolder):
    samples = property(lambda self: self.kept[::-1], lambda self, rows: setattr(self, "kept", rows))

    def __getitem__(self, index):
        path, label = self.samples[index]
        return self.transform(self.loader(path)), label


def computing(base, name):
    """A class whose `name` is what is put there, and that counts how often it is read."""

    def read(self):
        self.reads += 1
        return self.kept[name]

    def put(self, value):
        vars(self).setdefault("kept", {})[name] = value

    return type("Computing", (base,), {name: property(read, put), "reads": 0})


@pytest.mark.parametrize(
    "name", ["samples", "loader", "transform", "target_transform", "indices", "dataset"]
)
@pytest.mark.filterwarnings("ignore:torch's own loader makes")
def test_an_attribute_that_a_class_computes_is_read_as_often_as_torch_reads_it(root, name):
    found = []
    for kind in (DataLoader, Torch):
        if name in ("indices", "dataset"):
            dataset = computing(Subset, name)(ImageFolder(root, PLAIN), [3, 1])
        else:
            dataset = computing(ImageFolder, name)(root, PLAIN)
        loader = kind(dataset, 4)
        if kind is DataLoader:
            assert loader.rung == "worker" and f"has its own {name}, " in loader.why_not_native
        iterator = iter(loader)
        before = dataset.reads
        images = next(iterator)[0]
        found.append((dataset.reads - before, images))
    assert found[0][0] == found[1][0] > 0
    assert torch.equal(found[0][1], found[1][1])


@pytest.mark.parametrize("name", ["samples", "loader", "transform"])
@pytest.mark.filterwarnings("ignore:torch's own loader makes")
def test_an_attribute_that_is_made_by_getattr_is_made_as_often_as_torch_has_it_made(root, name):
    class Making(ImageFolder):
        def __getattr__(self, asked):
            if asked != name:
                raise AttributeError(asked)
            self.__dict__["drawn"].append(random.random())
            return self.__dict__["kept"]

    found = []
    for kind in (DataLoader, Torch):
        dataset = Making(root, lambda image: (PLAIN(image), random.random()))
        dataset.drawn, dataset.kept = [], vars(dataset).pop(name)
        random.seed(3)
        loader = kind(dataset, 4)
        if kind is DataLoader:
            assert loader.rung == "worker" and f"has its own {name}, " in loader.why_not_native
        (images, drawn), labels = next(iter(loader))
        found.append((images, drawn, labels, dataset.drawn))
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(torch.as_tensor(ours), torch.as_tensor(theirs))


@pytest.mark.parametrize("base", [ImageFolder, ringfeed.ImageFolder])
def test_a_getattr_that_makes_none_of_what_is_read_is_native(root, base):
    class Making(base):
        def __getattr__(self, asked):
            if asked.startswith("_"):
                raise AttributeError(asked)
            return {"note": 1}[asked]

    dataset = Making(root, PLAIN)
    assert dataset.note == 1 and DataLoader(dataset, 4).rung == "native"


def test_samples_of_ones_own_in_a_subclass_of_ringfeed_s_folder_are_not_lost(root):
    kept = [(path, 1) for path, _ in ImageFolder(root).samples]
    dataset = type("Kept", (ringfeed.ImageFolder,), {"samples": kept})(root, PLAIN)
    with pytest.raises(NotNativeType, match="has its own samples"):
        DataLoader(dataset, 4, native=True)


class Shifted(list):
    """Item i is the one after it."""

    def __getitem__(self, at):
        return super().__getitem__((at + 1) % len(self))


class OfItsOwn(collections.abc.Sequence):
    def __init__(self, items):
        self.items = Shifted(items)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, at):
        return self.items[at]


class Raised(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        made = super().__torch_function__(function, types, args, kwargs or {})
        return made + 1 if function is torch.Tensor.__getitem__ else made


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        *((name, kind) for name in ("samples", "indices") for kind in (Shifted, OfItsOwn)),
        ("indices", lambda rows: torch.tensor(rows).as_subclass(Raised)),
    ],
)
@pytest.mark.filterwarnings("ignore:torch's own loader makes")
def test_a_sequence_that_makes_its_items_is_asked_as_torch_asks(root, name, sequence):
    folder = ImageFolder(root, PLAIN)
    if name == "samples":
        folder.samples = sequence(folder.samples)
        dataset = folder
    else:
        dataset = Subset(folder, sequence([5, 3, 1]))
    loader = DataLoader(dataset, 3)
    assert loader.rung == "worker" and f"the {name} of" in loader.why_not_native
    for found, expected in zip(loader, Torch(dataset, 3), strict=True):
        assert torch.equal(found[0], expected[0]) and torch.equal(found[1], expected[1])


@pytest.mark.parametrize(
    "sequence",
    [tuple, np.array, torch.tensor, lambda rows: array.array("q", rows), type("L", (list,), {})],
)
def test_indices_that_stand_are_native(root, sequence):
    dataset = Subset(ImageFolder(root, PLAIN), sequence([5, 3, 1]))
    loader = DataLoader(dataset, 3)
    assert loader.rung == "native"
    assert torch.equal(next(iter(loader))[1], next(iter(Torch(dataset, 3)))[1])


def test_values_that_stand_in_a_class_are_native(root):
    class Standing(ImageFolder):
        loader = staticmethod(torchvision.datasets.folder.default_loader)

        @functools.cached_property
        def target_transform(self):
            return None

    dataset = Standing(root, PLAIN)
    del dataset.loader, dataset.target_transform
    assert DataLoader(dataset, 4).rung == "native"


REFUSED = {
    OtherIndex: r"`self\.samples\[index - 1\]`|`index - 1`",
    FirstAlone: r"`self\.samples\[0\]`",
    Retries: "`try: ",
    OtherPath: r"`path \+ ''`",
    Untransformed: "it returns something else than images, label and index",
    LabelAlone: "it returns no image",
    ByChance: r"random\.random\(\) < 0\.5",
    Dropped: "its result is not returned",
    OtherTarget: r"`str\(label\)`",
    OtherSamples: "OtherSamples has its own samples, which torch's loader would call",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_code_is_refused_by_what_is_not_understood(root, kind):
    with pytest.raises(NotNativeType, match=REFUSED[kind]):
        native(kind(root, PLAIN))


# Steps of a known class


class ToTensorOnce(v1.ToTensor):
    """open_clip's."""

    def __call__(self, pic):
        if isinstance(pic, torch.Tensor):
            return pic
        return f.to_tensor(pic)


class ToRGB:
    def __init__(self, mode="RGB"):
        self.mode = mode

    def __call__(self, image):
        return image.convert(self.mode) if isinstance(image, Image.Image) else image


class Twice(v1.Compose):
    def __call__(self, image):
        for step in self.transforms:
            image = step(step(image))
        return image


class OfAnother(v1.ToTensor):
    def __call__(self, pic):
        return f.to_tensor(pic) if isinstance(pic, np.ndarray) else f.pil_to_tensor(pic)


def text_of(*steps):
    transform = v1.Compose([v1.CenterCrop(8), *steps])
    return compile_transform(transform, dtype=None, channels_last=False, pillow="13").text


@pytest.mark.parametrize(
    "steps",
    [
        [ToRGB(), ToTensorOnce()],
        [f.to_tensor],
        [Twice([v1.RandomHorizontalFlip(0)]), v1.ToTensor()],
    ],
    ids=str,
)
def test_a_step_whose_own_method_applies_known_ones_is_these(root, steps):
    assert text_of(*steps) == text_of(v1.ToTensor())
    dataset = ImageFolder(root, v1.Compose([v1.CenterCrop(8), *steps]))
    check_same(list(native(dataset, 4)), list(Torch(dataset, 4)))


@pytest.mark.parametrize(
    "steps", [[OfAnother()], [ToRGB("L"), v1.ToTensor()], [v1.ToTensor(), ToTensorOnce()]], ids=str
)
def test_one_whose_method_does_more_is_refused(steps):
    with pytest.raises(UnsupportedTransform):
        text_of(*steps)
