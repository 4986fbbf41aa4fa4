"""A loader that goes from one rung to another: what is kept, what is said."""

from __future__ import annotations

import contextlib
import copy
import pickle
import warnings

import pytest
import torch
import torch.utils.data
from torch.utils.data import BatchSampler, DistributedSampler, TensorDataset
from torchvision import datasets
from torchvision import transforms as v1

import ringfeed
from ringfeed import DataLoader
from small_images import CROP, make, order_of

Torch = torch.utils.data.DataLoader
COUNT = 23
WORKERS = [
    {"num_workers": 0},
    {"num_workers": 2},
    {"num_workers": 2, "persistent_workers": True},
]


def noisy(image):
    return image.rotate(float(torch.rand(()) * 90))


def other(image):
    return image.rotate(int(torch.randint(9, ())))


class MyTurn:
    def __call__(self, image):
        return other(image)


class Flipped(v1.RandomHorizontalFlip):
    def forward(self, image):
        return image.rotate(9)


UNKNOWN = v1.Compose([v1.RandomResizedCrop(8), noisy, v1.ToTensor()])


@pytest.fixture
def images(tmp_path):
    return make(tmp_path / "images", COUNT, CROP)


@contextlib.contextmanager
def rung_warning():
    """The text of the one warning that names the reasons."""
    found = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield found
    found += [str(each.message) for each in caught if "not native, because" in str(each.message)]
    assert len(found) == 1, found


def lower(images, **options):
    return DataLoader(images, 4, native=False, **options)


# States


def given_by(loader, batches):
    """A loader's state within an epoch."""
    iterator = iter(loader)
    for _ in range(batches):
        next(iterator)
    return loader.state_dict()


@pytest.mark.parametrize("native", [True, False])
def test_an_epoch_of_another_rung_begins_anew_where_strict_is_false(images, native):
    saved = DataLoader(images, 4, shuffle=True, native=native)
    assert len(order_of(saved)) == COUNT
    state = given_by(saved, 2)
    assert state["epoch"] == 1
    loader = DataLoader(images, 4, shuffle=True, native=not native)
    before = loader.state_dict()["epoch"]
    with pytest.raises(ValueError, match=r"load_state_dict\(state, strict=False\) begins it anew"):
        loader.load_state_dict(state)
    assert loader.state_dict()["epoch"] == before == 0
    with pytest.warns(RuntimeWarning, match="As strict=False asks, it begins anew"):
        loader.load_state_dict(state, strict=False)
    assert loader.state_dict()["epoch"] == 1
    assert sorted(order_of(loader)) == list(range(COUNT))
    assert loader.state_dict()["epoch"] == 2


@pytest.mark.parametrize("native", [True, False])
def test_between_epochs_the_number_goes_with_the_state_to_another_rung(images, native):
    saved = DataLoader(images, 4, native=native)
    order_of(saved)
    loader = DataLoader(images, 4, native=not native)
    with pytest.warns(RuntimeWarning, match="the next epoch has another order"):
        loader.load_state_dict(saved.state_dict())
    assert loader.state_dict()["epoch"] == 1
    loader.load_state_dict(None)
    assert loader.state_dict()["epoch"] == 0


def test_a_loader_counts_its_epochs_on_all_rungs_together(images):
    images.transform = UNKNOWN
    with rung_warning():
        loader = DataLoader(images, 4)
        order_of(loader)
    images.transform = CROP
    order_of(loader)
    assert loader.rung == "native" and loader.state_dict()["epoch"] == 2
    images.transform = UNKNOWN
    with rung_warning():
        next(iter(loader))
    assert loader.rung == "worker" and loader.state_dict()["epoch"] == 2
    loader.set_epoch(7)
    order_of(loader)
    assert loader.state_dict()["epoch"] == 8 and "epoch=8" in repr(loader)


def test_an_epoch_that_the_native_sampler_was_told_holds_on_the_next_rung(images):
    loader = DataLoader(images, 4, shuffle=True)
    loader.sampler.set_epoch(4)
    images.transform = UNKNOWN
    with rung_warning():
        next(iter(loader))
    assert loader.rung == "worker" and loader.state_dict()["epoch"] == 4


def test_the_epoch_is_a_distributed_sampler_s_and_is_told_to_it(images):
    def make_loader():
        sampler = DistributedSampler(images, 2, 0, shuffle=True)
        return lower(images, sampler=sampler)

    loader = make_loader()
    loader.sampler.set_epoch(5)
    iterator = iter(loader)
    next(iterator)
    state = loader.state_dict()
    rest = [label for _, labels in iterator for label in labels.tolist()]
    assert state["epoch"] == 5 and loader.state_dict()["epoch"] == 6
    again = make_loader()
    again.load_state_dict(state)
    assert order_of(again) == rest and again.sampler.epoch == 5


ORDERS = {
    "shuffle": lambda images: {"batch_size": 4, "shuffle": True},
    "generator": lambda images: {
        "batch_size": 4,
        "shuffle": True,
        "generator": torch.Generator().manual_seed(3),
    },
    "in order": lambda images: {"batch_size": 4},
    "single": lambda images: {"batch_size": None, "shuffle": True},
    "batch_sampler": lambda images: {"batch_sampler": BatchSampler(range(COUNT), 4, True)},
}


@pytest.mark.parametrize("workers", WORKERS, ids=["0", "2", "persistent"])
@pytest.mark.parametrize("name", ORDERS)
def test_a_state_taken_before_the_first_batch_says_the_epoch_that_begins(images, name, workers):
    def make_loader():
        return DataLoader(images, native=False, **ORDERS[name](images), **workers)

    first = make_loader()
    for epoch in range(2):
        iterator = iter(first)
        state = pickle.loads(pickle.dumps(first.state_dict()))
        assert (state["epoch"], state["batches"]) == (epoch, 0)
        expected = [labels.tolist() if name != "single" else labels for _, labels in iterator]
        torch.manual_seed(99 + epoch)
        second = make_loader()
        second.load_state_dict(state)
        assert second.state_dict() == state
        found = [labels.tolist() if name != "single" else labels for _, labels in second]
        assert found == expected


@pytest.mark.parametrize("workers", WORKERS, ids=["0", "2", "persistent"])
def test_an_iterator_that_is_thrown_away_uses_up_no_place(images, workers):
    def make_loader():
        return lower(images, shuffle=True, **workers)

    first = make_loader()
    iterator = iter(first)
    next(iterator)
    state = first.state_dict()
    rest = [label for _, labels in iterator for label in labels.tolist()]
    second = make_loader()
    second.load_state_dict(state)
    for _ in range(2):  # as Lightning does
        iter(second)
        assert second.state_dict() == state
    assert order_of(second) == rest
    assert sorted(order_of(second)) == list(range(COUNT))
    assert second.state_dict()["epoch"] == 2


@pytest.mark.parametrize("workers", WORKERS, ids=["0", "2", "persistent"])
@pytest.mark.parametrize("name", ["shuffle", "generator", "in order"])
def test_an_iterator_that_waits_goes_on_from_a_state_that_is_loaded_meanwhile(
    images, name, workers
):
    def make_loader():
        return DataLoader(images, native=False, **ORDERS[name](images), **workers)

    first = make_loader()
    iterator = iter(first)
    next(iterator), next(iterator)
    state = first.state_dict()
    rest = [label for _, labels in iterator for label in labels.tolist()]
    second = make_loader()
    order_of(second)
    waiting = iter(second)  # as Lightning has it when it loads
    second.load_state_dict(state)
    assert second.state_dict() == state
    first_one = next(waiting)[1].tolist()
    now = second.state_dict()
    assert (now["epoch"], now["batches"]) == (0, 3)
    assert first_one + [label for _, labels in waiting for label in labels.tolist()] == rest
    assert sorted(order_of(second)) == list(range(COUNT))


@pytest.mark.parametrize("workers", [0, 2])
def test_of_two_iterators_at_once_the_state_is_the_later_made_one_s(images, workers):
    loader = lower(images, shuffle=True, num_workers=workers)
    earlier, later = iter(loader), iter(loader)
    next(later)
    next(earlier)
    state = loader.state_dict()
    rest = [label for _, labels in later for label in labels.tolist()]
    again = lower(images, shuffle=True, num_workers=workers)
    again.load_state_dict(state)
    assert order_of(again) == rest and len(rest) == COUNT - 4


def test_states_of_before_they_had_an_epoch_still_load(images):
    loader = lower(images)
    iterator = iter(loader)
    next(iterator)
    state = loader.state_dict()
    del state["epoch"], state["sampler_epoch"]
    again = lower(images)
    again.load_state_dict(state)
    assert order_of(again) == list(range(4, COUNT))


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_keeps_a_place_that_was_loaded_and_goes_its_own_way(images, copied):
    loader = lower(images, shuffle=True)
    iterator = iter(loader)
    next(iterator)
    state = loader.state_dict()
    rest = [label for _, labels in iterator for label in labels.tolist()]
    loader.load_state_dict(state)
    twin = copied(loader)
    assert order_of(twin) == rest
    assert order_of(loader) == rest  # the twin has used up its own


# What is said


def test_the_warning_names_every_obstacle(images, tmp_path):
    class Own(datasets.ImageFolder):
        def __getitem__(self, index):
            return self.loader(self.samples[index][0]), index

    steps = [v1.RandomResizedCrop(8), noisy, Flipped(), v1.RandomApply([MyTurn()]), v1.FiveCrop(4)]
    transform = v1.Compose([*steps, other, v1.ToTensor(), v1.Normalize([0], [1])])
    dataset = Own(tmp_path, transform)
    with rung_warning() as found:
        loader = DataLoader(dataset, 4)
    (text,) = found
    assert loader.why_not_native in text
    for reason in (
        "because test_rungs.test_the_warning_names_every_obstacle.<locals>.Own has its own __get",
        "because step 2, <function noisy",
        "because step 3, Flipped(p=0.5): it has its own forward",
        "because step 4.1, <function other",
        "because step 5, FiveCrop",
        "because step 6, <function other",
    ):
        assert text.count(reason) == 1, text
    assert "step 1," not in text and "step 7," not in text and text.count("Leave this step") == 1
    with pytest.raises(ringfeed.errors.NotNative, match=r"(?s)step 2.*step 6.*Without seed="):
        DataLoader(dataset, 4, seed=0)


def test_one_obstacle_is_named_once(images):
    images.transform = UNKNOWN
    with rung_warning() as found:
        DataLoader(images, 4)
    assert found[0].count("because") == 1


class Turn:
    def __call__(self, image):
        return image.rotate(9)


@pytest.mark.parametrize("step", [Turn(), noisy, object()])
def test_a_reason_names_the_class_of_what_it_speaks_of(images, step):
    images.transform = v1.Compose([v1.RandomResizedCrop(8), step, v1.ToTensor()])
    with rung_warning() as found:
        DataLoader(images, 4)
    with pytest.raises(ringfeed.UnsupportedTransform) as refusal:
        DataLoader(images, 4, native=True)
    for text in (found[0], str(refusal.value)):
        assert " at 0x" not in text
        assert getattr(step, "__name__", type(step).__qualname__) + ">: ringfeed" in text


def test_loaders_that_a_library_builds_of_another_s_parts_are_not_warned_of_again(images):
    images.transform = UNKNOWN
    with rung_warning():
        loader = DataLoader(images, 4)
        parts = {"batch_sampler": loader.batch_sampler, "collate_fn": loader.collate_fn}
        again = [DataLoader(images, **parts) for _ in range(2)]
        for each in (loader, *again):
            assert each.rung == "worker" and len(list(each)) == 6
    with rung_warning() as found:  # another reason
        images.transform = v1.Compose([v1.RandomResizedCrop(8), other, v1.ToTensor()])
        DataLoader(images, 4)
    assert "function other" in found[0]
    images.transform = UNKNOWN
    del loader, again, each
    with rung_warning():
        DataLoader(images, 4)


def test_figures_have_the_same_keys_on_every_rung_and_at_every_time(images):
    with rung_warning():
        loaders = [
            DataLoader(images, 4),
            lower(images),
            DataLoader(TensorDataset(torch.arange(9)), 4),
        ]
    keys = {frozenset(loader.stats()) for loader in loaders}
    for loader in loaders:
        assert loader.stats()["batches"] == 0 and str(loader.stats())
        list(loader)
    assert [loader.stats()["batches"] for loader in loaders] == [6, 6, 3]
    keys |= {frozenset(loader.stats()) for loader in loaders}
    assert len(keys) == 1
    native = loaders[0].stats()
    for stats in (loader.stats() for loader in loaders[1:]):
        assert stats["next_cpu_ms"] > 0 and stats["verdict"] is None
        assert [stats[stage]["count"] for stage in ("read", "decode", "deliver")] == [0, 0, 0]
        assert set(stats["read"]) == set(native["read"])
    assert [loader.stats()["why_not_native"] == "" for loader in loaders] == [True, False, False]


def test_a_loader_s_text_says_its_rung_and_dataset(images, tmp_path):
    native = DataLoader(images, 4, num_workers=2)
    assert "rung='native'" in repr(native) and "23 images in" in repr(native)
    images.transform = UNKNOWN
    assert "rung='native'" in repr(native)  # iter() settles it, and not a look at it
    for dataset, said in (
        (images, "ImageList of 23 samples, "),
        (datasets.ImageFolder(tmp_path), f"ImageFolder of 23 samples in {tmp_path}, "),
        (TensorDataset(torch.arange(9)), "TensorDataset of 9 samples, "),
    ):
        text = repr(DataLoader(dataset, 4, shuffle=True, native=False))
        assert f"({said}batch_size=4, num_workers=0, shuffled, epoch=0, rung=" in text


# Arguments that are legal on the native rung, and that torch refuses without worker processes


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 5},
        {"prefetch_factor": 3},
        {"persistent_workers": True},
        {"in_order": False},
        {"num_workers": None},
        {"num_workers": None, "timeout": 50, "prefetch_factor": 1, "persistent_workers": True},
        {"timeout": 5, "prefetch_factor": 3, "persistent_workers": True},
        {"worker_init_fn": print},
    ],
    ids=str,
)
def test_what_needs_workers_is_left_out_without_them(images, options):
    loader = DataLoader(images, 4, shuffle=True, **options)
    before = {name: getattr(loader, name) for name in ("num_workers", *options)}
    assert loader.rung == "native" and len(list(loader)) == 6
    images.transform = UNKNOWN
    with rung_warning() as found:
        torch.manual_seed(3)
        batches = list(loader)
    assert loader.rung == "worker"
    workers = options.get("num_workers", 0) is None
    assert (loader.num_workers > 0) == workers
    for name in ("timeout", "prefetch_factor", "persistent_workers"):
        assert (name in found[0].partition("With num_workers=0 ")[2]) == (
            name in options and not workers
        )
    if not workers:
        torch.manual_seed(3)
        expected = list(Torch(images, 4, shuffle=True))
        for ours, theirs in zip(batches, expected, strict=True):
            assert torch.equal(ours[0], theirs[0]) and torch.equal(ours[1], theirs[1])
    images.transform = CROP
    assert len(list(loader)) == 6 and loader.rung == "native"
    assert {name: getattr(loader, name) for name in before} == before


def test_a_timeout_without_workers_is_no_error_on_the_lower_rungs(images):
    assert len(list(lower(images, timeout=5))) == 6
    images.transform = UNKNOWN
    with rung_warning() as found:
        assert len(list(DataLoader(images, 4, timeout=5))) == 6
    assert "With num_workers=0 timeout means nothing there" in found[0]
