"""Foreign samplers and several ranks: the order is theirs, the crops follow the position."""

from __future__ import annotations

import itertools
import random

import pytest
import torch
import torch.utils.data
from torch.utils.data import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from ringfeed import _order
from ringfeed.loader import DataLoader
from small_images import PLAIN, make, order_of

Torch = torch.utils.data.DataLoader
COUNT = 23


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make(tmp_path_factory.mktemp("images"), COUNT)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return make(tmp_path_factory.mktemp("images"), COUNT, PLAIN)


class Restarting:
    """Its own iterator, beginning anew at every iter(), as Lightning's wrappers do."""

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        self.left = list(self.batches)
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        return self.left.pop(0)


def generator():
    return torch.Generator().manual_seed(11)


SAMPLERS = {
    "random": lambda d: {"sampler": RandomSampler(d, generator=generator()), "batch_size": 4},
    "random from torch's stream": lambda d: {"sampler": RandomSampler(d), "batch_size": 4},
    "replacement": lambda d: {"sampler": RandomSampler(d, True, 50), "batch_size": 7},
    "weighted": lambda d: {
        "sampler": WeightedRandomSampler(range(1, COUNT + 1), 40, generator=generator()),
        "batch_size": 6,
    },
    "subset": lambda d: {"sampler": SubsetRandomSampler([3, 5, 8], generator()), "batch_size": 2},
    "list": lambda d: {"sampler": [5, 5, -1, 0], "batch_size": 3},
    "tensors": lambda d: {"sampler": torch.tensor([4, 1, 9]), "batch_size": 2},
    "no batches": lambda d: {"sampler": [5, 2, 8], "batch_size": None},
    "drop_last": lambda d: {"sampler": SequentialSampler(d), "batch_size": 4, "drop_last": True},
    "batches": lambda d: {"batch_sampler": [[1, 2, 3], [4], [5, 6, 7, 8, 9], [0, 0]]},
    "restarting": lambda d: {"batch_sampler": Restarting([[1, 2, 3], [4]])},
    "batch sampler": lambda d: {
        "batch_sampler": BatchSampler(RandomSampler(d, generator=generator()), 5, True)
    },
    "distributed": lambda d: {
        "sampler": DistributedSampler(d, num_replicas=3, rank=2, seed=5),
        "batch_size": 4,
    },
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("in_subset", [False, True])
def test_the_order_is_the_sampler_s_as_with_torch(plain, name, in_subset):
    dataset = Subset(plain, list(range(COUNT - 1, -1, -1))) if in_subset else plain
    orders = []
    for kind in (Torch, DataLoader):
        torch.manual_seed(3)
        loader = kind(dataset, **SAMPLERS[name](dataset))
        length = len(loader)
        epochs = []
        for _ in range(2):
            labels = [labels for _, labels in loader]
            assert len(labels) == length
            epochs.append([x if isinstance(x, int) else x.tolist() for x in labels])
        orders.append((epochs, torch.random.get_rng_state().tolist()))
    assert orders[0] == orders[1]


def test_a_sampler_is_read_in_next_and_no_further_than_a_window(images):
    asked = []

    class Watched(Sampler):
        def __len__(self):
            return 10**6

        def __iter__(self):
            for number in range(10**6):
                asked.append(number)
                yield number % COUNT

    batches = iter(DataLoader(images, 4, sampler=Watched()))
    assert not asked
    assert next(batches)[1].tolist() == [0, 1, 2, 3]
    assert 4 <= len(asked) < 10**4


@pytest.mark.parametrize(
    ("batches", "error", "text"),
    [
        ([[0], [COUNT]], IndexError, f"index {COUNT}"),
        ([[0], [-COUNT - 1]], IndexError, f"index {-COUNT - 1}"),
        ([[0], []], ValueError, "empty batch"),
        ([[0], ["a"]], TypeError, "str"),
    ],
)
def test_a_wrong_index_raises_after_the_batches_before_it(images, batches, error, text):
    found = iter(DataLoader(images, batch_sampler=batches))
    assert next(found)[1].tolist() == [0]
    with pytest.raises(error, match=text):
        next(found)


def test_what_a_sampler_raises_comes_through_once(images):
    def failing():
        yield from range(4)
        raise KeyError("sampler")

    class Failing(Sampler):
        def __iter__(self):
            return failing()

        def __len__(self):
            return 8

    found = iter(DataLoader(images, 2, sampler=Failing()))
    assert [next(found)[1].tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(KeyError, match="sampler"):
        next(found)


def test_a_distributed_sampler_nobody_sets_repeats_its_order_with_new_crops(images):
    loader = DataLoader(images, COUNT, sampler=DistributedSampler(images, 1, 0))
    (first, labels), (second, again) = next(iter(loader)), next(iter(loader))
    assert labels.tolist() == again.tolist() and not torch.equal(first, second)


def test_set_epoch_reaches_a_distributed_sampler_from_either_side(images):
    sampler = DistributedSampler(images, 1, 0)
    loader = DataLoader(images, COUNT, sampler=sampler)
    loader.set_epoch(3)
    assert sampler.epoch == 3
    by_loader = order_of(loader)
    sampler.set_epoch(2)
    assert loader.state_dict()["epoch"] == 2 and order_of(loader) != by_loader
    sampler.set_epoch(3)
    assert loader.state_dict()["epoch"] == 3 and order_of(loader) == by_loader


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_the_order_and_the_pixels_of_one_process(images, shuffle, world_size):
    whole = DataLoader(images, 1, shuffle=shuffle, seed=4)
    whole.set_epoch(2)
    one = [(int(labels), pixels) for pixels, labels in whole]
    padded = one + one[: -COUNT % world_size]
    for rank in range(world_size):
        part = DataLoader(images, 1, shuffle=shuffle, seed=4, rank=rank, world_size=world_size)
        part.sampler.set_epoch(2)
        mine = [(int(labels), pixels) for pixels, labels in part]
        assert len(part) == len(mine) == -(-COUNT // world_size)
        for position, (label, pixels) in enumerate(mine):
            at = position * world_size + rank
            assert label == padded[at][0]
            if at < COUNT:
                assert torch.equal(pixels, padded[at][1])


def test_the_sampler_of_a_loader_with_other_shares_is_one_like_any_other(images):
    sampler = DataLoader(images, 4).sampler
    loader = DataLoader(images, 4, sampler=sampler, rank=1, world_size=2)
    assert order_of(loader) == list(range(COUNT)) and len(loader) == 6


def test_seeds_of_several_processes(images, monkeypatch):
    def seed(**kwargs):
        return DataLoader(images, **kwargs).state_dict()["seed"]

    shared = {"rank": 0, "world_size": 2}
    assert seed(**shared) is None  # whose order needs none
    assert seed(seed=3, **shared, shuffle=True) == 3
    loader = DataLoader(images, shuffle=True, **shared)
    assert loader.state_dict()["key"] is None
    for ask in (lambda: next(iter(loader)), lambda: loader.draws(0)):
        with pytest.raises(ValueError, match="one seed for it: pass seed=, or set .PL_GLOBAL_SEED"):
            ask()
    monkeypatch.setenv("PL_GLOBAL_SEED", "12")
    assert seed(**shared) == seed(**shared, shuffle=True) == 12
    assert order_of(loader) == order_of(DataLoader(images, shuffle=True, seed=12, **shared))
    assert seed(sampler=DistributedSampler(images, 2, 0, seed=8)) is None
    assert seed() is seed(shuffle=True) is None


def test_draws_do_not_disturb_a_distributed_sampler(images):
    sampler = DistributedSampler(images, 2, 1, seed=6)
    loader = DataLoader(images, 5, sampler=sampler, drop_last=True, seed=1)
    rows = loader.draws(3)
    assert sampler.epoch == 0
    loader.set_epoch(3)
    assert rows["index"].tolist() == order_of(loader)
    assert rows["position"].tolist() == list(range(1, 20, 2))
    with pytest.raises(ValueError, match="order of RandomSampler"):
        DataLoader(images, sampler=RandomSampler(images)).draws(0)


def test_draws_list_the_order_that_a_sampler_had_in_its_pass(images):
    sampler = DistributedSampler(images, 2, 1)
    loader = DataLoader(images, 5, sampler=sampler)
    for epoch in range(2):  # which nobody tells the sampler
        assert order_of(loader) == loader.draws(epoch)["index"].tolist()
    sampler.set_epoch(1)
    coming = loader.draws(1)["index"].tolist()
    assert order_of(loader) == coming == loader.draws(1)["index"].tolist()
    assert coming != loader.draws(0)["index"].tolist()


def test_dealing_anew_agrees_with_the_distributed_sampler():
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(300):
        length, ranks = rng.randint(1, 40), rng.randint(1, 7)
        options = {"shuffle": rng.random() < 0.5, "drop_last": rng.random() < 0.5, "seed": 3}
        begun = rng.randint(0, 50 // ranks) * ranks
        for rank in range(ranks):
            sampler = DistributedSampler(range(length), ranks, rank, **options)
            assert _order.dealt_from(sampler, begun) == list(sampler)[begun // ranks :]


def test_dealing_to_another_number_of_ranks_repeats_nothing():
    for ranks, begun in itertools.product([1, 2, 3, 5], [0, 4, 9, 20]):
        samplers = [DistributedSampler(range(23), ranks, rank) for rank in range(ranks)]
        parts = [_order.dealt_from(sampler, begun) for sampler in samplers]
        dealt = [part[k] for k in range(len(parts[0])) for part in parts]
        assert dealt[: 23 - begun] == list(DistributedSampler(range(23), 1, 0))[begun:]
