"""What is changed after a loader was made counts at the next iterator: torch's DataLoader runs
beside."""

from __future__ import annotations

import copy
import itertools
import random

import numpy as np
import PIL.Image
import pytest
import torch
import torch.utils.data
import torchvision
from torch.utils.data import BatchSampler, DistributedSampler, RandomSampler, Subset
from torchvision import transforms as v1
from torchvision.datasets import folder as tv_folder

import ringfeed
from ringfeed import _resolved
from ringfeed._dataset_parts import AsItWas
from ringfeed.errors import UnsupportedTransform
from ringfeed.loader import DataLoader
from ringfeed.transforms import Views
from small_images import make_folder, order_of

Torch = torch.utils.data.DataLoader
COUNT = 12
WORKERS = [{}, {"num_workers": 1, "persistent_workers": True}]


@pytest.fixture
def root(tmp_path, own_cache):
    return make_folder(tmp_path / "photos", COUNT)


@pytest.fixture
def dataset(root):
    return torchvision.datasets.ImageFolder(root, plain())


def plain():
    return v1.Compose([v1.CenterCrop(8), v1.ToTensor()])


def check_equal(ours, theirs):
    """The same batches, and as many as len() says."""
    mine, other = list(ours), list(theirs)
    assert len(mine) == len(ours) == len(theirs) == len(other)
    for (images, labels), (their_images, their_labels) in zip(mine, other, strict=True):
        assert torch.equal(images, their_images) and torch.equal(labels, their_labels)


# The dataset and its transform


def replace_transform(dataset):
    dataset.transform = v1.Compose([v1.CenterCrop(6), v1.ToTensor()])


def replace_step(dataset):
    dataset.transform.transforms[0] = v1.Resize((5, 7))


def append_step(dataset):
    dataset.transform.transforms.append(v1.Normalize([0.5] * 3, [0.25] * 3))


def insert_step(dataset):
    dataset.transform.transforms.insert(1, v1.Grayscale(3))


def delete_step(dataset):
    dataset.transform.transforms[:1] = [v1.Resize(10), v1.CenterCrop(10)]


def resize_step(dataset):
    dataset.transform.transforms[0].size = (6, 6)


def turn_labels(dataset):
    dataset.target_transform = lambda label: label + 100


def replace_sample(dataset):
    dataset.samples[3] = (dataset.samples[-1][0], 55)


def relabel_sample(dataset):
    dataset.samples[0] = (dataset.samples[0][0], 7)


def append_sample(dataset):
    dataset.samples.append(dataset.samples[0])


def delete_samples(dataset):
    del dataset.samples[2:4]


def reverse_samples(dataset):
    dataset.samples.reverse()


def replace_samples(dataset):
    dataset.samples = [(path, 3) for path, _ in dataset.samples[::2]]


CHANGES = [replace_transform, replace_step, append_step, insert_step, delete_step, resize_step]
CHANGES += [turn_labels, replace_sample, relabel_sample, append_sample, delete_samples]
CHANGES += [reverse_samples, replace_samples]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("workers", WORKERS)
def test_a_changed_dataset_is_followed(dataset, change, workers):
    ours, theirs = DataLoader(dataset, 5, **workers), Torch(dataset, 5)
    check_equal(ours, theirs)
    change(dataset)
    check_equal(ours, theirs)
    check_equal(ours, theirs)


def test_several_changes_in_a_row_are_followed(dataset):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    ours, theirs = DataLoader(dataset, 5), Torch(dataset, 5)
    for _ in range(15):
        for change in rng.choices(CHANGES, k=2):
            change(dataset)
        if dataset.target_transform is not None and rng.random() < 0.5:
            dataset.target_transform = None
        dataset.transform = plain()
        dataset.samples = [dataset.samples[i % len(dataset.samples)] for i in range(9)]
        check_equal(ours, theirs)


def test_rows_that_are_lists_are_compared_by_what_they_hold(dataset):
    dataset.samples = [list(row) for row in dataset.samples]
    ours, theirs = DataLoader(dataset, 5), Torch(dataset, 5)
    check_equal(ours, theirs)
    dataset.samples[3][1] = 9
    check_equal(ours, theirs)
    dataset.samples[4][0] = dataset.samples[0][0]
    check_equal(ours, theirs)


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_a_subset_s_indices_changed_in_place_are_followed(dataset, kind):
    part = Subset(Subset(dataset, kind(list(range(9)))), kind([0, 1, 2, 5]))
    ours, theirs = DataLoader(part, 3), Torch(part, 3)
    check_equal(ours, theirs)
    part.indices[1] = 7
    check_equal(ours, theirs)
    part.dataset.indices[7] = 11
    check_equal(ours, theirs)
    if kind is list:
        part.indices.append(3)
        part.indices.append(8)
        check_equal(ours, theirs)


def test_a_script_s_views_are_read_anew(root):
    class Two:
        def __init__(self, one, other):
            self.one, self.other = one, other

        def __call__(self, image):
            return [self.one(image), self.other(image)]

    dataset = torchvision.datasets.ImageFolder(root, Two(plain(), plain()))
    ours, theirs = DataLoader(dataset, 5), Torch(dataset, 5)
    for size in (8, 8), (7, 5):
        dataset.transform.one.transforms[0].size = size
        for (mine, labels), (other, their_labels) in zip(ours, theirs, strict=True):
            assert torch.equal(labels, their_labels)
            assert all(torch.equal(a, b) for a, b in zip(mine, other, strict=True))
    views = Views([plain(), plain()])
    dataset.transform = views
    views.transforms[1].transforms[0].size = (4, 4)
    assert next(iter(ours))[0][1].shape == (5, 3, 4, 4)


def test_threads_and_buffers_stay_where_nothing_has_changed(dataset):
    loader = DataLoader(dataset, 5, num_workers=1, persistent_workers=True)
    list(loader)
    kept = loader._session._kept[1]
    dataset.transform = plain()  # another object that does the same
    list(loader)
    assert loader._session._kept[1] is kept
    dataset.transform.transforms[0].size = (4, 4)
    list(loader)
    assert loader._session._kept[1] is not kept


def test_a_state_within_a_pass_tells_what_the_pass_reads_and_compiles_nothing(dataset, monkeypatch):
    loader = DataLoader(dataset, 5)
    batches = iter(loader)
    next(batches)
    state = loader.state_dict()
    dataset.transform = v1.Compose([v1.CenterCrop(4), v1.ToTensor()])
    with monkeypatch.context() as patch:
        patch.setattr(_resolved, "compile_added", None)
        assert loader.state_dict() == state
        other = copy.copy(batches._loader)
    list(batches)
    assert loader.state_dict()["recipe"] != state["recipe"]
    with pytest.warns(UserWarning, match="transform"):
        other.load_state_dict(state)


def test_one_sample_of_many_is_noticed():
    samples = [(f"/train/n{i % 1000:08d}/n_{i}.jpg", i % 1000) for i in range(200_000)]

    class Folder:
        pass

    base = Folder()
    base.samples = samples
    seen = AsItWas(base, [])
    assert seen.holds(base, [])
    samples[-1] = (samples[-1][0], -1)
    assert not seen.holds(base, [])


def unknown_step(dataset):
    dataset.transform.transforms.append(v1.Lambda(lambda x: x * 2))


def own_loader(dataset):
    dataset.loader = lambda path: PIL.Image.new("RGB", (9, 9))


def own_access(dataset):
    dataset.__class__ = type("Own", (type(dataset),), {"__getitem__": lambda self, i: None})


def own_batch_access(dataset):
    dataset.__getitems__ = lambda indices: [None]


def lost_label(dataset):
    dataset.samples[0] = (dataset.samples[0][0], "cat")


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (unknown_step, UnsupportedTransform, "not native, because .*Lambda"),
        (own_loader, ValueError, "not native, because .*loader="),
        (own_access, TypeError, "not native, because .*Own has its own __getitem__"),
        (own_batch_access, TypeError, "not native, because .*has its own __getitems__"),
        (lost_label, TypeError, "labels must be whole numbers"),
    ],
)
@pytest.mark.parametrize("workers", WORKERS)
def test_what_cannot_be_followed_is_refused_by_iter(dataset, change, error, text, workers):
    loader = DataLoader(dataset, 5, native=True, **workers)
    list(loader)
    change(dataset)
    with pytest.raises(error, match=text):
        iter(loader)


def new_open(path, *_, **__):
    return PIL.Image.new("RGB", (9, 9))


PATCHES = {
    "pil_loader": (tv_folder, "pil_loader", "torchvision.datasets.folder.pil_loader"),
    "Image.open": (PIL.Image, "open", "PIL.Image.open"),
    "folder.Image": (tv_folder, "Image", "torchvision.datasets.folder.Image"),
}


@pytest.mark.parametrize(
    ("kind", "name"),
    [(tv_folder.DatasetFolder, "__getitem__"), (Subset, "__getitem__"), (Subset, "__getitems__")],
)
def test_a_patched_class_of_the_dataset_is_noticed(root, monkeypatch, kind, name):
    theirs = getattr(kind, name)
    monkeypatch.setattr(kind, name, lambda self, at: theirs(self, at)[:1])
    dataset = Subset(torchvision.datasets.ImageFolder(root, plain()), range(COUNT))
    with pytest.raises(TypeError, match=f"{kind.__name__}.{name} has been replaced by"):
        DataLoader(dataset, native=True)
    with pytest.warns(RuntimeWarning, match="has been replaced by"):
        ours = DataLoader(dataset, 4)
    for mine, other in zip(ours, torch.utils.data.DataLoader(dataset, 4), strict=True):
        assert len(mine) == len(other) and all(map(torch.equal, mine, other))


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, torch.int32])
def test_labels_of_another_dtype_keep_it(root, dtype):
    made = torch.tensor if isinstance(dtype, torch.dtype) else np.asarray
    dataset = torchvision.datasets.ImageFolder(root, plain())
    dataset.samples = [(path, made(label, dtype=dtype)[()]) for path, label in dataset.samples]
    with pytest.warns(RuntimeWarning, match="the labels in samples are u?int"):
        ours = DataLoader(dataset, 4)
    theirs = torch.utils.data.DataLoader(dataset, 4)
    assert next(iter(ours))[1].dtype == next(iter(theirs))[1].dtype != torch.int64


@pytest.mark.parametrize("name", PATCHES)
def test_a_patched_function_that_decodes_is_noticed(dataset, monkeypatch, name):
    loader = DataLoader(dataset, 5, native=True)
    place, attribute, text = PATCHES[name]
    monkeypatch.setattr(place, attribute, new_open)
    with pytest.raises(ValueError, match=f"not native, because {text}"):
        iter(loader)
    with pytest.raises(ValueError, match=f"not native, because {text}"):
        DataLoader(dataset, native=True)
    monkeypatch.undo()
    assert len(order_of(loader)) == COUNT


def test_a_patched_loader_that_is_handed_over_is_noticed(root, monkeypatch):
    monkeypatch.setattr(tv_folder, "default_loader", new_open)
    with pytest.raises(ValueError, match="loader=<function new_open"):
        DataLoader(
            torchvision.datasets.ImageFolder(root, plain(), loader=tv_folder.default_loader),
            native=True,
        )


def test_ringfeed_s_datasets_notice_pillow_s_open(root, monkeypatch):
    dataset = ringfeed.ImageFolder(root, plain())
    loader = DataLoader(dataset, 5, native=True)
    check_equal(loader, Torch(dataset, 5))
    monkeypatch.setattr(PIL.Image, "open", new_open)
    with pytest.raises(ValueError, match=r"PIL\.Image\.open has been replaced"):
        iter(loader)


# The loader


def test_another_start_of_processes_is_refused_by_iter(dataset):
    loader = DataLoader(dataset, 5, num_workers=1, native=True)
    loader.multiprocessing_context = "fork"
    with pytest.raises(ValueError, match="not native, because multiprocessing_context"):
        iter(loader)


@pytest.mark.parametrize(
    "name", ["batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"]
)
def test_what_torch_forbids_stays_forbidden(dataset, name):
    errors = []
    for kind in (Torch, DataLoader):
        with pytest.raises(ValueError) as error:
            setattr(kind(dataset, 5), name, None)
        errors.append(str(error.value))
    assert errors[0] == errors[1]


FED = {
    "in order": lambda d: {},
    "DistributedSampler": lambda d: {"sampler": DistributedSampler(d, 2, 1, seed=3)},
    "RandomSampler": lambda d: {
        "sampler": RandomSampler(d, generator=torch.Generator().manual_seed(4))
    },
}


@pytest.mark.parametrize("fed", FED)
def test_a_batch_sampler_s_attributes_are_read_live(dataset, fed):
    ours, theirs = (kind(dataset, 5, **FED[fed](dataset)) for kind in (DataLoader, Torch))
    check_equal(ours, theirs)
    for size, drop_last in ((2, False), (5, True), (100, False), (7, True)):
        for loader in (ours, theirs):
            loader.batch_sampler.batch_size = size
            loader.batch_sampler.drop_last = drop_last
        check_equal(ours, theirs)
    for loader in (ours, theirs):
        loader.batch_sampler.batch_size = 4
        loader.batch_sampler.sampler = [3, 1, 2, 2, 0]
    check_equal(ours, theirs)


def test_a_changed_batch_size_shows_wherever_the_loader_states_it(dataset):
    loader = DataLoader(dataset, 5, shuffle=True, seed=1)
    loader.batch_sampler.batch_size, loader.batch_sampler.drop_last = 7, True
    assert "batch_size=7" in repr(loader) and loader.state_dict()["batch_size"] == 7
    rows = loader.draws(0)
    assert [len(labels) for _, labels in loader] == [7] and len(rows) == 7
    other = copy.copy(loader)
    assert other.batch_sampler.sampler is other.sampler is not loader.sampler
    assert [len(labels) for _, labels in other] == [7]


def test_a_batch_size_that_makes_no_sense_is_refused_by_iter(dataset):
    loader = DataLoader(dataset, 5)
    loader.batch_sampler.batch_size = 0
    with pytest.raises(ValueError, match=r"batch_sampler\.batch_size must be at least 1, not 0"):
        iter(loader)


def test_a_dataset_that_outgrew_its_distributed_sampler_is_torch_s_error(dataset):
    for kind in (Torch, DataLoader):
        loader = kind(dataset, 5, sampler=DistributedSampler(dataset, 2, 1))
        dataset.samples.append(dataset.samples[0])
        dataset.samples.append(dataset.samples[0])
        with pytest.raises(AssertionError):
            list(loader)


# Epochs without end: MultiEpochsDataLoader of timm and others


class Repeating:
    """timm's _RepeatSampler, in words of its own."""

    def __init__(self, sampler):
        self.sampler = sampler

    def __iter__(self):
        while True:
            yield from iter(self.sampler)


def endless(kind):
    class MultiEpochs(kind):
        """One iterator for ever, over batches without end, put in place after construction."""

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self._DataLoader__initialized = False
            if self.batch_sampler is None:
                self.sampler = Repeating(self.sampler)
            else:
                self.batch_sampler = Repeating(self.batch_sampler)
            self._DataLoader__initialized = True
            self.iterator = super().__iter__()

        def __len__(self):
            if self.batch_sampler is None:
                return len(self.sampler.sampler)
            return len(self.batch_sampler.sampler)

        def __iter__(self):
            for _ in range(len(self)):
                yield next(self.iterator)

    return MultiEpochs


ENDLESS = {
    "in order": lambda d: {"batch_size": 5},
    "shuffled": lambda d: {"batch_size": 5, "shuffle": True, "drop_last": True},
    "single samples": lambda d: {"batch_size": None, "shuffle": True},
    "DistributedSampler": lambda d: {
        "batch_size": 5,
        "sampler": DistributedSampler(d, 2, 1, seed=3),
    },
    "batches": lambda d: {"batch_sampler": BatchSampler(RandomSampler(d), 5, True)},
}


@pytest.mark.parametrize("fed", ENDLESS)
@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_without_end_gives_len_batches_an_epoch_in_torch_s_order(dataset, fed, workers):
    found = []
    for kind in (Torch, DataLoader):
        torch.manual_seed(8)
        loader = endless(kind)(dataset, num_workers=workers, **ENDLESS[fed](dataset))
        epochs = []
        for _ in range(4):
            batches = [(images.numpy().tobytes(), labels) for images, labels in loader]
            assert len(batches) == len(loader)
            epochs.append([(i, x if isinstance(x, int) else x.tolist()) for i, x in batches])
        found.append(epochs)
    assert found[0] == found[1]


def test_a_loader_without_end_repeats_no_crops(root):
    dataset = torchvision.datasets.ImageFolder(
        root, v1.Compose([v1.RandomResizedCrop(8), v1.ToTensor()])
    )
    loader = endless(DataLoader)(dataset, 4)
    epochs = [torch.cat([images for images, _ in loader]) for _ in range(3)]
    assert len({epoch.numpy().tobytes() for epoch in epochs}) == 3


def infinite(kind):
    class Infinite(kind):
        """As YOLO's: the batch sampler is put in place past torch's check."""

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            object.__setattr__(self, "batch_sampler", Repeating(self.batch_sampler))
            self.iterator = super().__iter__()

        def __len__(self):
            return len(self.batch_sampler.sampler)

        def __iter__(self):
            for _ in range(len(self)):
                yield next(self.iterator)

        def reset(self):
            self.iterator = self._get_iterator()

    return Infinite


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_without_end_begins_anew_with_other_transforms(dataset, workers):
    found = []
    for kind in (Torch, DataLoader):
        torch.manual_seed(8)
        dataset.transform = plain()
        options = {"shuffle": True, "num_workers": workers, "collate_fn": lambda samples: samples}
        loader = infinite(kind)(dataset, 5, **options)
        epochs = [[*loader], [*loader]]
        dataset.transform.transforms.insert(1, v1.Grayscale(3))
        torch.manual_seed(9)  # what was read ahead has drawn
        loader.reset()
        epochs.append([*loader])
        found.append([[(i.sum(), k) for i, k in batch] for epoch in epochs for batch in epoch])
    assert found[0] == found[1]


class EndlessSampler:
    """Permutation after permutation, as recipes that count steps use it."""

    def __init__(self, count, seed):
        self.count, self.seed = count, seed

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed)
        while True:
            yield from torch.randperm(self.count, generator=generator).tolist()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sampler_without_end_is_read_as_far_as_batches_are_taken(dataset, workers):
    found = []
    for kind in (Torch, DataLoader):
        loader = kind(dataset, 5, sampler=EndlessSampler(COUNT, 3), num_workers=workers)
        found.append([labels.tolist() for _, (_, labels) in zip(range(9), loader)])
    assert found[0] == found[1]


def test_a_cycled_loader_gives_its_batches_again(dataset):
    batches = itertools.cycle(DataLoader(dataset, 5))
    wanted = itertools.cycle(Torch(dataset, 5))
    for _ in range(8):
        check_equal([next(batches)], [next(wanted)])


def test_timm_s_own_loader_without_end(dataset):
    timm = pytest.importorskip("timm.data.loader")
    found = []
    for base in (Torch, DataLoader):
        kind = type("MultiEpochs", (timm.MultiEpochsDataLoader, base), {})
        torch.manual_seed(8)
        loader = kind(dataset, 5, shuffle=True, num_workers=1)
        found.append([order_of(loader) for _ in range(3)])
    assert found[0] == found[1]
