"""A dataset class of a script's own whose __getitem__ adds to its base's: native, with the samples
of torch's loader, which runs beside."""

from __future__ import annotations

import contextlib
import random
import types
import warnings

import numpy as np
import pytest
import torch
import torch.utils.data
import torchvision
from torch.utils.data import Subset
from torchvision import transforms as v1
from torchvision.transforms import v2

import ringfeed
import small_images
from ringfeed import DataLoader
from ringfeed.errors import NotNativeType
from small_images import CROP, PLAIN
from test_collate import Two, as_it_is, check_same
from torchvision_reference import load

Torch = torch.utils.data.DataLoader
ImageFolder = torchvision.datasets.ImageFolder
COUNT = 12
IMAGES = v1.CenterCrop(8)


pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return small_images.make_folder(tmp_path_factory.mktemp("photos"), COUNT)


# As scripts write them.


class WithIndex(ImageFolder):
    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return image, label, index


class IndexOnly(ImageFolder):
    def __getitem__(self, idx: int):
        """The neighbours' index, and no label."""
        img, _lab = super(IndexOnly, self).__getitem__(idx)  # noqa: UP008
        return img, idx


def indexed(base):
    class DatasetWithIndex(base):
        def __getitem__(self, index):
            data = super().__getitem__(index)
            return (index, *data)

    return DatasetWithIndex


class WithPath(ImageFolder):
    def __getitem__(self, index):
        path = self.imgs[index][0]
        return super().__getitem__(index) + (path,)


class Dictionary(ImageFolder):
    names: tuple[str, ...] = ("cat", "dog")

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        found = {"image": sample[0], "label": torch.tensor(sample[1]), "of": len(self)}
        if self.targets[index] == 0:
            found["label"] += 5
        found["name"] = self.names[sample[1]]
        return found


class Masked(ImageFolder):
    """With masks that are drawn, as iBOT's."""

    def __init__(self, *args, ratio, **kwargs):
        super().__init__(*args, **kwargs)
        self.ratio = ratio
        self.shape = "block"

    @property
    def patches(self):
        return self.size // 2

    @staticmethod
    def draw(count):
        return np.random.rand(count, count) + random.random()

    def get_ratio(self):
        if hasattr(self, "epoch") and self.epoch < 1:
            return 0.0
        low = getattr(self, "low", 0.1)
        return random.uniform(low, self.ratio)

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __getitem__(self, index):
        output = super(Masked, self).__getitem__(index)  # noqa: UP008
        masks = []
        for image in output[0] if type(output[0]) is list else [output[0]]:
            try:
                self.count(image)
            except ValueError:
                continue
            masks.append(self.draw(self.patches) > self.get_ratio())
        return output + (masks,)

    size = 4

    def count(self, image):
        if image.ndim != 3:
            raise ValueError("no image")


class Adds:
    def __getitem__(self, index):
        return (*super().__getitem__(index), torch.rand(2))


class Mixed(Adds, WithIndex):
    pass


class Twice(WithIndex):
    def __getitem__(self, index):
        image, label, index = super().__getitem__(index)
        others = [index for index in range(2)]  # noqa: C416
        return {"image": image, "label": label, "place": index, "others": others}


class Counting(ImageFolder):
    """What it keeps for itself is its own affair."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen = []

    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        self.seen.append(index)
        return np.array(image), label


class OwnInit(ImageFolder):
    def __init__(self, folder, transform=None):
        super().__init__(root=folder, transform=transform)
        self.extra = 3


class OfRingfeeds(ringfeed.ImageFolder):
    def __getitem__(self, index):
        path, _ = self.samples[index]
        image, label = super().__getitem__(index)
        return path, image, label


def masked(transform):
    return lambda root, _: Masked(root, transform, ratio=0.9)


ADDING = {
    "an index": WithIndex,
    "an index alone": IndexOnly,
    "a class made by a function": indexed(ImageFolder),
    "such a class twice": indexed(indexed(WithIndex)),
    "a path": WithPath,
    "a dict": Dictionary,
    "masks": masked(PLAIN),
    "masks of views": masked(Two(PLAIN, v1.Compose([v1.Resize((4, 6)), v1.ToTensor()]))),
    "a class beside": Mixed,
    "a class above": Twice,
    "arrays of PIL images": lambda root, _: Counting(root, IMAGES),
    "a subset": lambda root, t: Subset(Subset(WithIndex(root, t), [7, 1, 5, 10, 0]), [3, 1, 4]),
    "a subclass of ringfeed's": OfRingfeeds,
}


@contextlib.contextmanager
def nothing_said():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("options", [{}, {"batch_size": None}, {"collate_fn": as_it_is}], ids=str)
@pytest.mark.parametrize("name", ADDING)
def test_samples_and_what_they_draw_are_torch_s(root, name, options):
    dataset = ADDING[name](root, PLAIN)
    options = {"batch_size": 5, **options}
    with nothing_said():
        ours = DataLoader(dataset, **options)
    assert ours.rung == "native"
    found = []
    for loader in ours, Torch(dataset, **options):
        torch.manual_seed(3), np.random.seed(3), random.seed(3)
        found.append([*loader, *loader, torch.rand(2)])
    check_same(*found)


def test_crops_are_torchvision_s_for_their_draws(root, reader):
    dataset = WithIndex(root, CROP)
    loader = DataLoader(dataset, 5, shuffle=True, seed=8, num_workers=2, reader=reader)
    for epoch in range(2):
        rows = iter(loader.draws(epoch))
        for images, labels, indices in loader:
            for image, label, index in zip(images, labels.tolist(), indices.tolist(), strict=True):
                row = next(rows)
                path, wanted = dataset.samples[index]
                assert (row["index"], label) == (index, wanted)
                assert torch.equal(image, ringfeed.replay(row, load(path), CROP))
        assert next(rows, None) is None


@pytest.mark.parametrize("on_error", ["skip", "replace"])
def test_the_index_is_that_of_the_sample_which_came(root, tmp_path, on_error):
    for name in ("cat", "dog"):
        small_images.make(tmp_path / "photos" / name, COUNT // 2)
    dataset = WithIndex(tmp_path / "photos", CROP)
    (tmp_path / "photos" / "cat" / "003.jpg").unlink()
    loader = DataLoader(dataset, 4, seed=1, on_error=on_error)
    with pytest.warns(RuntimeWarning, match=r"003\.jpg"):
        indices = torch.cat([indices for _, _, indices in loader]).tolist()
    assert indices == loader.draws(0)["index"].tolist()
    kept = [i for i in range(COUNT) if i != 3]
    assert (indices if on_error == "skip" else indices[:3] + indices[4:]) == kept
    assert 3 not in indices


def test_the_dataset_itself_is_what_it_was(root):
    dataset = Counting(root, IMAGES)
    before = {**vars(dataset)}
    list(DataLoader(dataset, 5, native=True, num_workers=2))
    assert type(dataset) is Counting and vars(dataset) == before
    assert dataset.seen == list(range(COUNT))
    assert isinstance(dataset[0][0], np.ndarray) and dataset[0][1] == 0


def test_what_a_script_sets_between_epochs_is_seen_at_once(root):
    dataset = Masked(root, PLAIN, ratio=0.9)
    loader = DataLoader(dataset, 5, native=True)
    dataset.set_epoch(0)
    batches = iter(loader)
    assert all(bool(mask.all()) for mask in next(batches)[2])
    dataset.set_epoch(1)
    dataset.low = dataset.ratio = 2.5
    assert not any(bool(mask.any()) for mask in next(batches)[2])


def test_a_changed_class_counts_from_the_next_iterator_on(root):
    dataset = ImageFolder(root, PLAIN)
    ours, theirs = DataLoader(dataset, 5, native=True), Torch(dataset, 5)
    for kind in ImageFolder, WithIndex, IndexOnly, ImageFolder:
        dataset.__class__ = kind
        check_same(list(ours), list(theirs))


def test_an_error_of_its_own_is_its_batch_s(root):
    class Fails(ImageFolder):
        def __getitem__(self, index):
            image, label = super().__getitem__(index)
            if index == 6:
                raise KeyError(index)
            return image, label

    dataset = Fails(root, PLAIN)
    for loader in DataLoader(dataset, 5, native=True), Torch(dataset, 5):
        batches = iter(loader)
        next(batches)
        with pytest.raises(KeyError, match="^6$"):
            next(batches)
        assert len(next(batches)[1]) == 2


# The batch's memory


def held():
    return ringfeed._ringfeed.held_bytes()[0]


def test_a_batch_of_the_images_as_they_came_is_not_copied(root):
    before = held()
    batch = next(iter(DataLoader(WithIndex(root, PLAIN), 5, native=True)))
    assert held() == before + 1
    image = batch[0]
    del batch
    assert held() == before + 1
    del image
    assert held() == before


def changed_in_place(image):
    image.mul_(2)
    return image


CHANGED = {
    "in place": changed_in_place,
    "by one more dimension": lambda image: image.unsqueeze_(0),
    "turned": lambda image: image.transpose_(1, 2),
    "copied": lambda image: image * 2,
    "given twice": lambda image: [image, image],
    "a part": lambda image: image[:1],
    "as integers": lambda image: image.view(torch.int32),
}


@pytest.mark.parametrize("name", CHANGED)
def test_images_that_were_changed_are_collated_as_torch_does(root, name):
    change = CHANGED[name]

    class Changes(ImageFolder):
        def __getitem__(self, index):
            image, label = super().__getitem__(index)
            return change(image), label

    dataset = Changes(root, PLAIN)
    ours, theirs = (list(kind(dataset, 5)) for kind in (DataLoader, Torch))
    check_same(ours, theirs)
    if name == "given twice":
        for one, other in [pair for pair, _ in ours]:
            assert one.data_ptr() != other.data_ptr()


# What is not understood


class Refused:
    """Methods that do more than to add."""

    def no_super(self, index):
        path, label = self.samples[index]
        return self.loader(path), label

    def other_index(self, index):
        return super().__getitem__(index + 1)

    def changed_index(self, index):
        index = len(self) - 1 - index
        return super().__getitem__(index)

    def twice(self, index):
        return super().__getitem__(index)[0], super().__getitem__(index)[0]

    def in_a_loop(self, index):
        for _ in range(2):
            sample = super().__getitem__(index)
        return sample

    def in_a_try(self, index):
        try:
            return super().__getitem__(index)
        except OSError:
            return None

    def as_a_loop_s_test(self, index):
        while super().__getitem__(index)[1] == 0:
            pass

    def perhaps(self, index):
        return super().__getitem__(index) if index else None

    def after_a_return(self, index):
        if index == 3:
            return None
        return super().__getitem__(index)

    def other_transform(self, index):
        self.transform = random.choice([PLAIN, CROP])
        return super().__getitem__(index)

    def deep_change(self, index):
        sample = super().__getitem__(index)
        self.transform.transforms[0].size = 4 + index
        return sample

    def relabel(self, index):
        sample = super().__getitem__(index)
        self.samples[0] = self.samples[1]
        return sample

    def kept_list(self, index):
        sample = super().__getitem__(index)
        rows = self.samples
        rows.reverse()
        return sample

    def handed_on(self, index):
        sample = super().__getitem__(index)
        np.asarray(self)
        return sample

    def by_setattr(self, index):
        sample = super().__getitem__(index)
        setattr(self, "transform", None)  # noqa: B010
        return sample

    def by_getattr(self, index):
        return super().__getitem__(index), getattr(self, "transform")  # noqa: B009

    def by_dict(self, index):
        self.__dict__["transform"] = None
        return super().__getitem__(index)

    def seeded_before(self, index):
        torch.manual_seed(index)
        return super().__getitem__(index)

    def seeded_after(self, index):
        sample = super().__getitem__(index)
        np.random.seed(index)
        return sample, np.random.rand()

    def of_a_worker(self, index):
        sample = super().__getitem__(index)
        return sample, torch.utils.data.get_worker_info().id

    def first_a_call(self, index):
        return {"mask": np.random.rand(2), "image": super().__getitem__(index)}

    def another_super(self, index):
        return super(ImageFolder, self).__getitem__(index)

    def generator(self, index):
        yield super().__getitem__(index)

    def by_another_name(self, index):
        this = self
        this.transform = None
        return super().__getitem__(index)

    def changed_self(self, index):
        sample = super().__getitem__(index)
        self = sample
        return self

    def through_a_method(self, index):
        sample = super().__getitem__(index)
        self.help()
        return sample

    def help(self):
        self.transforms = None

    def base_method(self, index):
        sample = super().__getitem__(index)
        return sample, self.find_classes(self.root)

    def by_an_import(self, index):
        import random as index

        return super().__getitem__(index)

    def in_the_same_statement(self, index):
        return [index := 0, super().__getitem__(index)]


WHY = {
    "no_super": "it does not call super",
    "other_index": "it does not call super",
    "changed_index": "it changes index",
    "twice": "more than once",
    "in_a_loop": "under a condition, in a loop or a try",
    "in_a_try": "under a condition, in a loop or a try",
    "as_a_loop_s_test": "under a condition, in a loop or a try",
    "perhaps": "under a condition, in a loop or a try",
    "after_a_return": "`return None` comes before the sample is loaded",
    "other_transform": r"`random.choice\(\[PLAIN, CROP\]\)` comes before",
    "deep_change": "it changes self.transform.transforms",
    "relabel": "it changes self.samples",
    "kept_list": "it uses self.samples otherwise than by an index",
    "handed_on": r"it hands itself on in `np.asarray\(self\)`",
    "by_setattr": "it hands itself on",
    "by_getattr": "it uses self.transform",
    "by_dict": "it changes self.__dict__",
    "seeded_before": "comes before the sample is loaded",
    "seeded_after": r"`np.random.seed\(index\)` seeds the script's random numbers",
    "of_a_worker": "it asks for its worker",
    "first_a_call": r"`np.random.rand\(2\)` comes before the sample is loaded",
    "another_super": "it does not call super",
    "generator": "a generator",
    "by_another_name": "it hands itself on in `this = self`",
    "by_an_import": "it changes index",
    "in_the_same_statement": "it changes index",
    "changed_self": "it changes self",
    "through_a_method": "it changes self.transforms",
    "base_method": "it uses find_classes of DatasetFolder",
}


def renamed(name):
    """The method as __getitem__ of a class, whose super() means that class."""
    function = vars(Refused)[name]
    made = type("Own", (ImageFolder,), {"help": Refused.help})
    cells = [
        types.CellType(made) if free == "__class__" else cell
        for free, cell in zip(function.__code__.co_freevars, function.__closure__ or ())
    ]
    parts = function.__globals__, name, function.__defaults__, tuple(cells)
    made.__getitem__ = types.FunctionType(function.__code__, *parts)
    return made


@pytest.mark.parametrize("name", WHY)
def test_code_that_does_more_is_refused_by_what_it_does(root, name):
    with pytest.raises(
        NotNativeType, match=rf"test_access\.Own has its own __getitem__, and .*{WHY[name]}"
    ):
        DataLoader(renamed(name)(root, PLAIN), native=True)


def test_every_case_is_one():
    assert {*WHY, "help"} == {name for name in vars(Refused) if not name.startswith("__")}


class Slotted(WithIndex):
    __slots__ = ("more",)


class Watched(WithIndex):
    def __init_subclass__(cls):
        raise AssertionError


class Asks(WithIndex):
    def __getattribute__(self, name):
        return super().__getattribute__(name)


class Cached(WithIndex):
    __getitem__ = dict.get


class Borrowed(WithIndex):
    __getitem__ = WithIndex.__getitem__  # whose super() is not this class's


@pytest.mark.parametrize("kind", [Slotted, Watched, Asks, Cached, Borrowed])
def test_classes_that_look_up_otherwise_are_refused(root, kind):
    with pytest.raises(NotNativeType, match="has its own __"):
        DataLoader(kind(root, PLAIN), native=True)


def test_code_without_its_source_is_refused(root):
    space = {"ImageFolder": ImageFolder}
    exec(
        "class Own(ImageFolder):\n"
        "    def __getitem__(self, index):\n"
        "        return super().__getitem__(index)\n",
        space,
    )
    with pytest.raises(NotNativeType, match="its source|the source of its __getitem__"):
        DataLoader(space["Own"](root, PLAIN), native=True)


def test_a_class_with_its_own_constructor_alone_is_its_base(root):
    with nothing_said():
        ours = DataLoader(OwnInit(root, PLAIN), 5)
    assert ours.rung == "native"
    check_same(list(ours), list(Torch(ImageFolder(root, PLAIN), 5)))


def test_mixing_and_finishing_on_the_device_are_refused(root):
    for options in ({"batch_transform": v2.MixUp(num_classes=2)}, {"finish_on": "device"}):
        with pytest.raises(ValueError, match="a dataset's own __getitem__"):
            DataLoader(WithIndex(root, PLAIN), 5, **options)
