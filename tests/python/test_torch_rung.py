"""What ringfeed's threads cannot do, torch's own loader does: the same tensors, with a warning."""

from __future__ import annotations

import contextlib
import copy
import pickle
import warnings

import pytest
import torch
import torch.utils.data
from PIL import Image
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)
from torch.utils.data.dataloader import _BaseDataLoaderIter
from torch.utils.data.datapipes.iter import IterableWrapper
from torch.utils.data.distributed import DistributedSampler
from torchvision import datasets
from torchvision import transforms as v1

import ringfeed
from ringfeed import DataLoader
from ringfeed._iterator import LoaderIterator
from small_images import CROP, make, order_of

Torch = torch.utils.data.DataLoader
COUNT = 23


def noisy(image):
    """A step that nobody knows, with draws of its own."""
    return image.rotate(float(torch.rand(()) * 90))


def first_of(samples):
    return torch.stack([image for image, _ in samples]), [label for _, label in samples]


class Stream(IterableDataset):
    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        return iter(range(0 if info is None else info.id, COUNT, 1 if info is None else 2))


class Own(torch.utils.data.Dataset):
    """A dataset of a script's own."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        path, label = self.images.samples[index]
        with Image.open(path) as image:
            return UNKNOWN(image.convert("RGB")), label


UNKNOWN = v1.Compose([v1.RandomResizedCrop(8), noisy, v1.ToTensor()])


@pytest.fixture
def images(tmp_path):
    return make(tmp_path / "images", COUNT, UNKNOWN)


KINDS = {
    "an unknown step": lambda images: (images, {}),
    "a dataset of one's own": lambda images: (Own(images), {}),
    "several datasets": lambda images: (ConcatDataset([images, Subset(images, [3, 1])]), {}),
    "a collate_fn": lambda images: (images, {"collate_fn": first_of}),
    "tensors": lambda images: (TensorDataset(torch.arange(COUNT)), {}),
    "a list": lambda images: (list(range(COUNT)), {}),
}
WORKERS = [
    {"num_workers": 0},
    {"num_workers": 2},
    {"num_workers": 2, "persistent_workers": True, "prefetch_factor": 3},
]


@contextlib.contextmanager
def warned(count=1):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught
    found = [str(each.message) for each in caught if "not native, because" in str(each.message)]
    assert len(found) == count, found


def flat(batches):
    return [list(batch) if isinstance(batch, (list, tuple)) else [batch] for batch in batches]


def check_equal(found, expected):
    found, expected = flat(found), flat(expected)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.mark.parametrize("workers", WORKERS, ids=["0", "2", "persistent"])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_tensors_and_draws_are_torch_s_and_the_reason_is_named_once(images, name, shuffle, workers):
    dataset, options = KINDS[name](images)
    with warned():
        loader = DataLoader(dataset, 4, shuffle, **workers, **options)
        passes = []
        for kind in (loader, Torch(dataset, 4, shuffle, **workers, **options)):
            torch.manual_seed(7)
            passes.append([*kind, *kind, torch.rand(3)])
    check_equal(*passes)
    rung = "torch" if name in ("tensors", "a list") else "worker"
    assert loader.rung == loader.stats()["rung"] == rung and f"rung='{rung}'" in repr(loader)
    assert len(loader) == -(-len(dataset) // 4)
    assert loader.why_not_native in str(loader.stats())


def test_iterators_are_torch_s_own(images):
    with warned():
        loader = DataLoader(images, 4, num_workers=2, persistent_workers=True)
    iterator = iter(loader)
    assert type(iterator).__module__ == _BaseDataLoaderIter.__module__
    assert loader._iterator is iterator and iter(loader) is iterator
    assert len(iterator._workers) == 2
    loader.close()
    assert loader._iterator is None and not any(w.is_alive() for w in iterator._workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_iterable_dataset_is_torch_s(workers):
    with warned():
        loader = DataLoader(Stream(), 3, num_workers=workers)
    check_equal(loader, Torch(Stream(), 3, num_workers=workers))


@pytest.mark.parametrize("shuffle", [None, False, True])
def test_torch_shuffles_a_data_pipe_that_has_no_length(shuffle):
    passes = []
    for kind, own in ((DataLoader, {"native": False}), (Torch, {})):
        torch.manual_seed(2)
        pipe = IterableWrapper(iter(range(COUNT)), deepcopy=False).shuffle()
        passes.append(list(kind(pipe, 3, shuffle=shuffle, **own)))
    check_equal(*passes)


@pytest.mark.parametrize(
    "options",
    [
        {"prefetch_factor": 3},
        {"persistent_workers": True},
        {"num_workers": -1},
        {"timeout": -1},
        {"multiprocessing_context": "fork"},
        {"num_workers": 2, "multiprocessing_context": "none such"},
        {"batch_size": 0},
        {"shuffle": True, "sampler": [1, 2]},
    ],
    ids=str,
)
def test_arguments_that_torch_refuses_are_torch_s_errors(images, options):
    errors = []
    for kind in (DataLoader, Torch):
        with pytest.raises((ValueError, TypeError)) as error:
            kind(images, **options)
        errors.append((type(error.value), str(error.value)))
    assert errors[0] == errors[1]


def test_native_insists_or_forbids(images):
    with pytest.raises(TypeError, match="native must be True, False or None, not 'yes'"):
        DataLoader(images, native="yes")
    with pytest.raises(ringfeed.UnsupportedTransform, match="not native, because step 2"):
        DataLoader(images, native=True)
    images.transform = CROP
    with warned(0):
        loader = DataLoader(images, 4, native=False)
        assert order_of(loader) == list(range(COUNT)) and loader.rung == "worker"
        assert DataLoader(images, native=True).rung == DataLoader(images).rung == "native"


OWN_OPTIONS = {
    "seed": 0,
    "memory_limit": 1 << 30,
    "reader": "pool",
    "limits": ringfeed.DecodeLimits(),
    "read_ahead_bytes": 1 << 20,
    "depth": 3,
    "dtype": torch.float16,
    "channels_last": True,
    "pillow": "12",
    "on_error": "skip",
    "max_failures": 3,
    "retries": 1,
}


@pytest.mark.parametrize("name", OWN_OPTIONS)
def test_an_option_of_ringfeed_s_own_is_named_and_not_dropped(images, name):
    options = {name: OWN_OPTIONS[name]}
    if name == "max_failures":
        options["on_error"] = "skip"
    with pytest.raises(ringfeed.UnsupportedTransform, match=f"{name}=.*torch's own"):
        DataLoader(images, 4, **options)


def test_what_needs_the_threads_says_so(images):
    with warned():
        loader = DataLoader(images, 4)
    for call in (loader.draws, loader.mixing):
        with pytest.raises(
            ValueError, match=r"\(\) is of the native rung, and not native, because"
        ):
            call(0)
    assert loader.failures() == []


def test_the_rung_is_chosen_anew_by_each_iterator(images):
    with warned():
        loader = DataLoader(images, 4, shuffle=True, num_workers=2)
    images.transform = CROP
    assert isinstance(iter(loader), LoaderIterator) and loader.rung == "native"
    assert sorted(order_of(loader)) == list(range(COUNT)) and len(loader.draws(0)) == COUNT
    images.transform = UNKNOWN
    with warned():
        passes = []
        for kind in (loader, Torch(images, 4, shuffle=True, num_workers=2)):
            torch.manual_seed(5)
            passes.append(list(kind))
    check_equal(*passes)
    assert loader.rung == "worker"


@pytest.mark.parametrize("given", [2, 0])
@pytest.mark.parametrize("workers", WORKERS, ids=["0", "2", "persistent"])
@pytest.mark.parametrize(
    "order",
    [
        lambda images: {"shuffle": True},
        lambda images: {"shuffle": True, "generator": torch.Generator().manual_seed(3)},
        lambda images: {},
        lambda images: {"batch_sampler": BatchSampler(range(COUNT - 1, -1, -1), 4, True)},
    ],
    ids=["shuffle", "generator", "in order", "batch_sampler"],
)
def test_a_state_goes_on_with_the_next_batch_and_loads_none_before(images, order, workers, given):
    read = []
    images.target_transform = lambda label: read.append(label) or label

    def loader():
        options = order(images)
        size = {} if "batch_sampler" in options else {"batch_size": 4}
        return DataLoader(images, native=False, **size, **options, **workers)

    first = loader()
    for epoch in range(2):
        iterator = iter(first)
        done = [next(iterator)[1].tolist() for _ in range(given)]
        state = pickle.loads(pickle.dumps(first.state_dict()))
        rest = [labels.tolist() for _, labels in iterator]
        assert len(done) + len(rest) == len(first)
        torch.manual_seed(99 + epoch)
        read.clear()
        second = loader()
        second.load_state_dict(state)
        if given:  # a pass that has not begun follows from what is drawn then
            assert second.state_dict()["batches"] == given
            found = order_of(second)
            assert found == [label for batch in rest for label in batch]
            assert workers["num_workers"] or read == found
        assert len(order_of(second)) == len(order_of(first))
        assert second.state_dict()["batches"] == 0


def batches_of(sampler):
    return {"batch_sampler": BatchSampler(sampler, 4, False)}


ORDERS = {
    "shuffle": lambda g: {"shuffle": True},
    "random": lambda g: {"sampler": RandomSampler(range(COUNT), generator=g)},
    "replacing": lambda g: {"sampler": RandomSampler(range(COUNT), True, 90, generator=g)},
    "subset": lambda g: {"sampler": SubsetRandomSampler(range(7, COUNT), generator=g)},
    "weighted": lambda g: {"sampler": WeightedRandomSampler(range(1, COUNT), 30, generator=g)},
    "batches": lambda g: batches_of(RandomSampler(range(COUNT), generator=g)),
    "weighted batches": lambda g: batches_of(
        WeightedRandomSampler(range(1, COUNT), 30, generator=g)
    ),
}
GENERATORS = {
    "torch's": lambda: (None, None),
    "the sampler's": lambda: (torch.Generator().manual_seed(3), None),
    "the loader's": lambda: (None, torch.Generator().manual_seed(4)),
    "two": lambda: (torch.Generator().manual_seed(3), torch.Generator().manual_seed(4)),
    "one": lambda: (torch.Generator().manual_seed(3),) * 2,
}


FORKED = [{"num_workers": 0}, {"num_workers": 1}, {"num_workers": 1, "persistent_workers": True}]


def random_loader(order, generators, workers, data=range(COUNT)):
    of_sampler, of_loader = GENERATORS[generators]()
    options = ORDERS[order](of_sampler)
    size = {} if "batch_sampler" in options else {"batch_size": 4}
    return DataLoader(list(data), **options, **size, **workers, generator=of_loader, native=False)


@pytest.mark.parametrize("workers", FORKED, ids=["0", "1", "persistent"])
@pytest.mark.parametrize("generators", GENERATORS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.filterwarnings("error")
def test_what_is_left_of_a_random_order_is_what_it_would_have_been(order, generators, workers):
    torch.manual_seed(21)
    first = random_loader(order, generators, workers)
    assert len([*first]) == len(first)
    iterator = iter(first)
    next(iterator), next(iterator)
    state = pickle.loads(pickle.dumps(first.state_dict()))
    rest = [batch.tolist() for batch in iterator]
    torch.manual_seed(99)
    second = random_loader(order, generators, workers)
    second.load_state_dict(state)
    follows = ("batches", "shuffled_by", "generator")
    assert [second.state_dict()[name] for name in follows] == [state[name] for name in follows]
    iterator = iter(second)
    found = [next(iterator).tolist()]
    again = second.state_dict()
    assert again["batches"] == 3 and [again[n] for n in follows[1:]] == [
        state[n] for n in follows[1:]
    ]
    assert found + [batch.tolist() for batch in iterator] == rest


@pytest.mark.parametrize("workers", FORKED, ids=["0", "1", "persistent"])
@pytest.mark.parametrize("generators", ["the sampler's", "one"])
@pytest.mark.parametrize("order", ["random", "weighted batches"])
def test_later_epochs_of_a_sampler_s_generator_are_what_they_would_have_been(
    order, generators, workers
):
    first = random_loader(order, generators, workers)
    iterator = iter(first)
    next(iterator)
    within, _ = first.state_dict(), [*iterator]
    second, third = (random_loader(order, generators, workers) for _ in range(2))
    second.load_state_dict(within)
    assert len([*second]) == len(first) - 1
    third.load_state_dict(first.state_dict())
    following = torch.cat([*first])
    assert torch.equal(torch.cat([*second]), following)
    assert torch.equal(torch.cat([*third]), following)


@pytest.mark.parametrize("order", ORDERS)
def test_a_resumed_order_draws_of_torch_s_generator_what_a_fresh_one_draws(order):
    first = random_loader(order, "torch's", {})
    next(iter(first))
    drawn = []
    for state in (None, first.state_dict()):
        loader = random_loader(order, "torch's", {})
        loader.load_state_dict(state)
        torch.manual_seed(8)
        next(iter(loader))
        drawn.append(torch.rand(()))
    assert torch.equal(*drawn)


def test_a_state_that_does_not_say_a_random_order_is_named():
    first = random_loader("weighted", "the sampler's", {})
    next(iter(first))
    second = random_loader("weighted", "the sampler's", {})
    with pytest.warns(RuntimeWarning, match="what the order of WeightedRandomSampler follows from"):
        second.load_state_dict({**first.state_dict(), "generator": None})


@pytest.mark.parametrize("workers", WORKERS, ids=["0", "2", "persistent"])
def test_a_state_tells_the_place_though_the_loop_was_left(images, workers):
    def loader():
        return DataLoader(images, 4, shuffle=True, native=False, **workers)

    first, taken = loader(), []
    torch.manual_seed(5)
    for _, labels in first:
        taken += labels.tolist()
        if len(taken) == 8:
            break
    second = loader()
    second.load_state_dict(first.state_dict())
    assert sorted(taken + order_of(second)) == list(range(COUNT))
    with contextlib.suppress(KeyError):
        for _ in first:
            raise KeyError
    assert first.state_dict()["batches"] == 1


def test_workers_end_with_their_iterator(images):
    loader = DataLoader(images, 4, native=False, num_workers=1)
    iterator = iter(loader)
    next(iterator)
    (worker,) = iterator._workers
    del iterator
    assert not worker.is_alive()


def test_a_state_may_be_dropped_and_its_fields_are_checked(images):
    loader = DataLoader(images, 4, native=False)
    iterator = iter(loader)
    next(iterator)
    state = loader.state_dict()
    loader.load_state_dict(state)
    loader.load_state_dict(None)
    assert order_of(loader) == list(range(COUNT))
    for change in (
        {"reads": 3},
        {"batches": -1},
        {"batches": "2"},
        {"shuffled_by": 0.5},
        {"generator": 7},
    ):
        with pytest.raises(ValueError, match=f"the state's {next(iter(change))} must be"):
            loader.load_state_dict({**state, **change})
    with pytest.raises(ValueError, match="lacks batches"):
        loader.load_state_dict({"version": 2, "rung": "torch"})
    with pytest.raises(ValueError, match="not a state of a ringfeed"):
        loader.load_state_dict({})


def test_a_state_of_the_other_rung_is_refused_within_an_epoch_and_named_between(images):
    images.transform = CROP
    native, torchs = DataLoader(images, 4, seed=1), DataLoader(images, 4, native=False)
    for one, other in ((native, torchs), (torchs, native)):
        next(iterator := iter(one))
        with pytest.raises(ValueError, match=f"on the {one.rung} rung.*native={one is native}"):
            other.load_state_dict(one.state_dict())
        list(iterator)
        with pytest.warns(RuntimeWarning, match=f"on the {one.rung} rung"):
            other.load_state_dict(one.state_dict())
        assert order_of(other) == list(range(COUNT))


@pytest.mark.parametrize(
    "other",
    [
        {"batch_size": 2},
        {"shuffle": True},
        {"generator": torch.Generator()},
        {"sampler": [3, 2, 1]},
    ],
    ids=str,
)
def test_a_place_means_nothing_to_another_order(images, other):
    loader = DataLoader(images, 4, native=False)
    next(iter(loader))
    state = loader.state_dict()
    changed = DataLoader(images, **{"batch_size": 4, "native": False, **other})
    with pytest.raises(ValueError, match="saved within an epoch over"):
        changed.load_state_dict(state)
    with pytest.warns(RuntimeWarning, match="begins anew"):
        changed.load_state_dict(state, strict=False)
    assert len(order_of(changed)) == (3 if "sampler" in other else COUNT)


@pytest.mark.parametrize("first", [CROP, UNKNOWN], ids=["native", "worker"])
def test_a_loaded_place_does_not_vanish_with_its_rung(images, first):
    images.transform = first
    with warned(first is UNKNOWN):
        loader = DataLoader(images, 4)
        next(iter(loader))
        state = loader.state_dict()
    loader.load_state_dict(state)
    images.transform = UNKNOWN if first is CROP else CROP
    with pytest.raises(ValueError, match="another rung would go on from it"):
        iter(loader)
    loader.load_state_dict(None)
    with warned(first is CROP):
        assert sorted(order_of(loader)) == list(range(COUNT))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_that_failed_is_taken(workers):
    class Failing(torch.utils.data.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            if index == 1:
                raise OSError("damaged")
            return index

    loader = DataLoader(Failing(), None, num_workers=workers, native=False)
    iterator = iter(loader)
    assert next(iterator) == 0
    with pytest.raises(OSError):
        next(iterator)
    assert next(iterator) == 2
    state = loader.state_dict()
    other = DataLoader(Failing(), None, num_workers=workers, native=False)
    other.load_state_dict(state)
    assert list(other) == [3, 4, 5]


def test_out_of_order_a_state_within_an_epoch_says_its_beginning(images):
    loader = DataLoader(images, 4, num_workers=2, in_order=False, native=False)
    next(iter(loader))
    with pytest.warns(RuntimeWarning, match="in_order=False"):
        assert loader.state_dict()["batches"] == 0


def test_native_may_be_changed_and_so_may_the_batch_size(images):
    images.transform = CROP
    loader = DataLoader(images, 4)
    loader.batch_sampler.batch_size = 8
    loader.native = False
    assert len(next(iter(loader))[1]) == 8 and loader.rung == "worker"


def test_a_place_in_an_iterable_dataset_begins_anew_with_a_warning():
    loader = DataLoader(Stream(), 3, native=False)
    next(iterator := iter(loader))
    state = loader.state_dict()
    assert state["batches"] == 1 and next(iterator) is not None
    with pytest.warns(RuntimeWarning, match="IterableDataset, which cannot be entered"):
        loader.load_state_dict(state)
    assert len(list(loader)) == -(-COUNT // 3)
    assert loader.state_dict()["batches"] == 0


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_loader_is_copied_as_torch_s(images, copied):
    loader = DataLoader(images, 4, native=False, shuffle=True)
    next(iter(loader))
    other = copied(loader)
    assert other.rung == "worker" and sorted(order_of(other)) == list(range(COUNT))


def test_samplers_are_told_the_epoch(images):
    class Told(RandomSampler):
        epoch = None

        def set_epoch(self, epoch):
            self.epoch = epoch

    sampler = Told(images)
    loader = DataLoader(images, 4, sampler=sampler, native=False)
    loader.set_epoch(5)
    assert sampler.epoch == 5
    weighted = WeightedRandomSampler([1.0] * COUNT, 9)
    assert len(order_of(DataLoader(images, 4, sampler=weighted, native=False))) == 9


def dealt(images, workers):
    sampler = DistributedSampler(images, num_replicas=2, rank=1, seed=3)
    return DataLoader(images, 3, sampler=sampler, native=False, num_workers=workers)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_place_in_an_epoch_stands_whatever_set_epoch_says_meanwhile(images, workers):
    loader = dealt(images, workers)
    loader.set_epoch(4)
    whole = order_of(loader)
    loader.set_epoch(4)
    iterator = iter(loader)
    next(iterator)
    state = loader.state_dict()
    resumed = dealt(images, workers)
    resumed.load_state_dict(state)
    resumed.sampler.set_epoch(0)  # as Fabric does
    with pytest.warns(UserWarning, match=r"set_epoch\(0\) does not agree .* on in epoch 4"):
        assert order_of(resumed) == whole[3:]
    assert resumed.state_dict()["epoch"] == 0  # which that call said, of the pass after
    following = dealt(images, workers)
    following.set_epoch(0)
    assert order_of(resumed) == order_of(following)


@pytest.mark.parametrize("loaded_first", [False, True])
def test_a_place_stands_where_the_iterator_came_before_set_epoch(images, loaded_first):
    loader = dealt(images, 0)
    loader.set_epoch(4)
    whole = order_of(loader)
    loader.set_epoch(4)
    next(iterator := iter(loader))
    state = loader.state_dict()
    del iterator
    resumed = dealt(images, 0)
    if loaded_first:
        resumed.load_state_dict(state)
    iterator = iter(resumed)
    if not loaded_first:
        resumed.load_state_dict(state)
    resumed.sampler.set_epoch(0)
    with pytest.warns(UserWarning, match=r"set_epoch\(0\) does not agree"):
        assert [int(i) for batch in iterator for i in batch[1]] == whole[3:]


def test_at_an_epoch_s_beginning_set_epoch_says_which_it_is(images):
    loader = dealt(images, 0)
    loader.set_epoch(4)
    loader.load_state_dict(loader.state_dict())
    loader.set_epoch(0)
    expected = dealt(images, 0)
    expected.set_epoch(0)
    assert order_of(loader) == order_of(expected)


def test_torchvision_s_folders_with_a_loader_of_their_own_are_read_by_it(tmp_path):
    for name in "ab":
        make(tmp_path / name, 3)
    dataset = datasets.ImageFolder(
        tmp_path, v1.ToTensor(), loader=lambda path: Image.new("RGB", (4, 4), 77)
    )
    with warned():
        loader = DataLoader(dataset, 2)
    check_equal(loader, Torch(dataset, 2))


@pytest.mark.parametrize("later", [SequentialSampler, SubsetRandomSampler])
def test_a_place_in_a_batch_sampler_is_of_the_sampler_within(later):
    numbers = TensorDataset(torch.arange(24))

    def loader(kind):
        return DataLoader(numbers, batch_sampler=BatchSampler(kind(range(24)), 4, False))

    first = loader(RandomSampler)
    next(iter(first))
    state = first.state_dict()
    with pytest.raises(ValueError, match="RandomSampler"):
        loader(later).load_state_dict(state)
    loader(RandomSampler).load_state_dict(state)
