"""state_dict() and load_state_dict(): what is left of an epoch is what it would have been."""

from __future__ import annotations

import io
import itertools
import random
import warnings

import numpy as np
import pytest
import torch
import torch.utils.data
from torch.utils.data import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    Subset,
)

from ringfeed import _state
from ringfeed.loader import DataLoader
from small_images import PLAIN, make, order_of

COUNT = 23


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def images(folder):
    return make(folder, COUNT)


def content(batches):
    """Labels and pixels, sample by sample, whatever the batches."""
    return [
        (int(i), pixels.numpy().tobytes())
        for images, labels in batches
        for pixels, i in zip(images, labels)
    ]


def distributed(images, ranks=1, rank=0, **options):
    return {"sampler": DistributedSampler(images, ranks, rank, seed=2, **options)}


def seeded(images):
    return {"sampler": RandomSampler(images, generator=torch.Generator().manual_seed(8))}


KINDS = {
    "own": lambda d: {"shuffle": True},
    "sequential": lambda d: {},
    "distributed": distributed,
    "seeded": seeded,
    "sequential sampler": lambda d: {"sampler": SequentialSampler(d)},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("drop_last", [False, True])
def test_what_is_left_is_the_same_bytes_from_every_place(images, kind, drop_last):
    def make_loader():
        return DataLoader(images, batch_size=4, seed=3, drop_last=drop_last, **KINDS[kind](images))

    loader = make_loader()
    epochs, states = [], []
    for _ in range(2):
        states.append([loader.state_dict()])
        batches = []
        for batch in loader:
            batches.append(batch)
            states[-1].append(loader.state_dict())
        epochs.append(batches)
    for epoch in range(2 if kind != "seeded" else 1):
        for taken, state in enumerate(states[epoch]):
            resumed = make_loader()
            resumed.load_state_dict(state)
            if taken < len(epochs[epoch]):
                assert state["epoch"] == epoch and bool(state["positions"]) == (taken > 0)
                assert content(resumed) == content(epochs[epoch][taken:])
            else:
                assert (state["epoch"], state["positions"]) == (epoch + 1, 0)
            assert resumed.state_dict()["epoch"] == epoch + 1
            if epoch == 0 and kind != "seeded":
                assert content(resumed) == content(epochs[1])


def test_a_state_is_plain_and_survives_torch_save(images):
    loader = DataLoader(images, 4, shuffle=True)
    next(iter(loader))
    file = io.BytesIO()
    torch.save(loader.state_dict(), file)
    file.seek(0)
    assert torch.load(file, weights_only=True) == loader.state_dict()


def test_a_state_taken_before_the_first_next_fixes_the_seed(images):
    loader = DataLoader(images, 4, shuffle=True)
    state = loader.state_dict()
    resumed = DataLoader(images, 4, shuffle=True)
    resumed.load_state_dict(state)
    assert content(loader) == content(resumed)


def test_a_loaded_place_stands_whatever_set_epoch_says_which_counts_from_the_pass_after(images):
    for kind in ("own", "distributed"):
        loader = DataLoader(images, batch_size=4, seed=3, **KINDS[kind](images))
        loader.set_epoch(5)
        batches = iter(loader)
        next(batches)
        state = loader.state_dict()
        left = order_of(batches)
        resumed = DataLoader(images, batch_size=4, seed=3, **KINDS[kind](images))
        fresh = DataLoader(images, batch_size=4, seed=3, **KINDS[kind](images))
        for setter in (resumed.set_epoch, resumed.sampler.set_epoch):
            resumed.load_state_dict(state)
            setter(5)
            assert order_of(resumed) == left
            resumed.load_state_dict(state)
            setter(6)
            assert resumed.state_dict()["positions"] == 4
            with pytest.warns(UserWarning, match=r"set_epoch\(6\) does not agree.*in epoch 5"):
                assert order_of(resumed) == left
            assert order_of(resumed) == fresh.draws(6)["index"].tolist()


def test_set_epoch_before_the_first_next_shows_in_the_state(images):
    loader = DataLoader(images, 4, shuffle=True, seed=1)
    next(iter(loader))
    loader.sampler.set_epoch(7)
    assert (loader.state_dict()["epoch"], loader.state_dict()["positions"]) == (7, 0)


def test_load_applies_to_an_iterator_made_before(images):
    loader = DataLoader(images, 4, shuffle=True, seed=1)
    batches = iter(loader)
    next(batches)
    state, left = loader.state_dict(), order_of(batches)
    resumed = DataLoader(images, 4, shuffle=True, seed=1)
    batches = iter(resumed)
    resumed.load_state_dict(state)
    assert order_of(batches) == left


@pytest.mark.parametrize("kind", ["own", "sequential", "distributed", "seeded"])
def test_another_batch_size_resumes_the_same_samples(images, kind):
    loader = DataLoader(images, batch_size=4, seed=3, **KINDS[kind](images))
    batches = iter(loader)
    next(batches), next(batches)
    state, left = loader.state_dict(), content(batches)
    other = DataLoader(images, batch_size=5, seed=3, **KINDS[kind](images))
    other.load_state_dict(state)
    assert content(other) == left
    assert other.state_dict()["epoch"] == 1


@pytest.mark.parametrize("kind", ["own", "distributed"])
def test_another_number_of_ranks_deals_what_is_left_once(images, kind):
    def share(rank, ranks):
        options = {"shuffle": True, "rank": rank, "world_size": ranks}
        if kind == "distributed":
            options = distributed(images, ranks, rank)
        return DataLoader(images, batch_size=2, seed=3, **options)

    whole = content(share(0, 1))
    loaders = [share(rank, 2) for rank in range(2)]
    for batches in [iter(loader) for loader in loaders] * 2:
        next(batches)
    state = loaders[0].state_dict()
    assert state == {**loaders[1].state_dict(), "rank": 0}
    assert state["positions"] == 8
    for ranks in (1, 3):
        parts = []
        for rank in range(ranks):
            resumed = share(rank, ranks)
            resumed.load_state_dict(state)
            parts.append(content(resumed))
        dealt = [sample for k in itertools.zip_longest(*parts) for sample in k]
        assert dealt[:15] == whole[8:]


def test_under_lightning_other_ranks_are_refused_in_mid_epoch_only(images):
    loader = DataLoader(images, 2, rank=0, world_size=2)
    next(iter(loader))
    middle = loader.state_dict()
    beginning = DataLoader(images, 2, rank=0, world_size=2).state_dict()
    caller = {"__name__": "lightning.pytorch.utilities.combined_loader"}
    exec("def load(loader, state): loader.load_state_dict(state)", caller)
    alone = DataLoader(images, 2)
    with pytest.raises(ValueError, match="saved within an epoch on 2 ranks, and now there is 1"):
        caller["load"](alone, middle)
    caller["load"](alone, beginning)
    alone.load_state_dict(middle)


def test_a_sampler_that_does_not_repeat_itself_is_told(images):
    loader = DataLoader(images, 4, sampler=RandomSampler(images))
    next(iter(loader))
    state = loader.state_dict()
    resumed = DataLoader(images, 4, sampler=RandomSampler(images))
    resumed.load_state_dict(state)
    with pytest.raises(ValueError, match="does not repeat the order.*Give the sampler a generator"):
        next(iter(resumed))


def test_a_batch_sampler_resumes_at_its_batches(images):
    batches = [[1, 2, 3], [4], [5, 6], [7, 8, 9, 10]]
    loader = DataLoader(images, batch_sampler=batches, seed=1)
    found = iter(loader)
    next(found), next(found)
    state, left = loader.state_dict(), content(found)
    resumed = DataLoader(images, batch_sampler=batches, seed=1)
    resumed.load_state_dict(state)
    assert content(resumed) == left
    assert resumed.state_dict()["epoch"] == 1
    resumed = DataLoader(images, batch_sampler=[[1, 2, 3, 4, 5]], seed=1)
    resumed.load_state_dict(state)
    with pytest.raises(ValueError, match="within a batch"):
        next(iter(resumed))


def test_close_within_an_epoch_keeps_its_place(images):
    for options in ({"batch_size": 2}, {"batch_sampler": [[0, 1], [2, 3], [4, 5]]}):
        loader = DataLoader(images, **options)
        batches = iter(loader)
        next(batches)
        loader.close()
        assert list(batches) == []
        state = loader.state_dict()
        assert (state["epoch"], state["positions"]) == (0, 2)


@pytest.mark.parametrize("kind", ["own", "seeded"])
def test_out_of_order_nothing_is_lost_or_repeated(images, kind):
    def make_loader(**options):
        return DataLoader(
            images, batch_size=2, seed=3, in_order=False, prefetch_factor=4, **options
        )

    loader = make_loader(**KINDS[kind](images))
    batches = iter(loader)
    taken = order_of(itertools.islice(batches, 5))
    state = loader.state_dict()
    resumed = make_loader(**KINDS[kind](images))
    resumed.load_state_dict(state)
    assert sorted(taken + order_of(resumed)) == list(range(COUNT))
    assert resumed.state_dict()["epoch"] == 1
    beyond = {**state, "positions": 4, "beyond": [1, 3]}
    if kind == "own":
        resumed.load_state_dict(beyond)
        assert len(list(resumed)) == 12 - 4
        with pytest.raises(ValueError, match="out of order"):
            DataLoader(images, 3, shuffle=True).load_state_dict(beyond)


def test_what_does_not_fit_is_refused_by_name(images, folder):
    loader = DataLoader(images, 4, shuffle=True, seed=1)
    next(iter(loader))
    state = loader.state_dict()
    fewer = make(folder, 20)
    with pytest.raises(ValueError, match="saved with 23 images.*this loader reads 20 images"):
        DataLoader(fewer, 4, shuffle=True).load_state_dict(state)
    many = {**state, "positions": COUNT - 1}
    with pytest.raises(ValueError, match="another dataset"):
        DataLoader(Subset(images, range(3)), 4, shuffle=True).load_state_dict(many)
    with pytest.raises(ValueError, match="another dataset"):
        DataLoader(Subset(images, range(COUNT)), 4, shuffle=True).load_state_dict(state)
    with pytest.raises(ValueError, match="order was shuffled, and this loader's is sequential"):
        DataLoader(images, 4).load_state_dict(state)
    with pytest.raises(ValueError, match="version 99"):
        loader.load_state_dict({**state, "version": 99})
    with pytest.raises(ValueError, match="not a state"):
        loader.load_state_dict({})
    with pytest.raises(ValueError, match="lacks seed"):
        loader.load_state_dict({k: v for k, v in state.items() if k != "seed"})
    with pytest.warns(UserWarning, match="other transforms") as warned:
        DataLoader(make(folder, COUNT, PLAIN), 4, shuffle=True).load_state_dict(state)
    assert warned[0].filename == __file__
    with pytest.warns(UserWarning, match="seed 1 is used, not seed=2"):
        DataLoader(images, 4, shuffle=True, seed=2).load_state_dict(state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DataLoader(images, 4, shuffle=True).load_state_dict(state)


WRONG_VALUES = {
    "seed": [-1, 2**64, 1.0, "1", True],
    "key": [[1], [1, 2, 3], [1, -1], [1, 2**64], [1, 2.0], 7, "12"],
    "epoch": [-1, 2**63, None, 1.0, "1"],
    "repeat": [-1, None, 1.0],
    "begun": [
        None,
        3,
        [1],
        [[1, 2]],
        [[1, 1, -1]],
        [[1, 1, "2"]],
        [[2, 1, 1]],
        [[1, 2, 1], [2, 2, 1]],
    ],
    "generator": [3, "not base64", [1]],
    "positions": [-1, 2**63, None, 4.0],
    "beyond": [None, 3, [-1], [2, 1], [1, 1], [1.0], "12"],
    "rank": [-1, None, "0"],
    "checksum": [-1, 1.5, "0"],
    "sampler_epoch": [-1, 0.5, "0"],
    "batch_size": [-1, 4.0, "4"],
    "world_size": [0, -1, None, 1.0],
    "fingerprint": [None, 7, b""],
    "dataset": [None],
    "recipe": [None, 0],
    "order": [None, []],
}


def test_a_value_that_makes_no_sense_is_refused_by_name_and_changes_nothing(images):
    loader = DataLoader(images, 4, shuffle=True, seed=1)
    next(iter(loader))
    state = loader.state_dict()
    assert set(WRONG_VALUES) == set(state) - {"version"}
    for name, values in WRONG_VALUES.items():
        for value in values:
            with pytest.raises(ValueError, match=f"the state's {name} must be .*, not "):
                loader.load_state_dict({**state, name: value})
    with pytest.raises(ValueError, match="consumed 24 samples of an epoch, which has 23"):
        loader.load_state_dict({**state, "positions": COUNT + 1})
    assert loader.state_dict() == state


def test_a_batch_sampler_s_batch_size_may_be_numpy_s(images):
    batches = BatchSampler(range(COUNT), 4, False)
    batches.batch_size = np.int64(4)
    loader = DataLoader(images, batch_sampler=batches)
    loader.load_state_dict(loader.state_dict())


def test_lightning_is_seen_on_the_stack_only_there():
    assert not _state.called_by_lightning()


def test_many_places_and_loaders_at_random(images):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(15):
        options = {"shuffle": rng.random() < 0.5, "seed": rng.randrange(9)}
        loader = DataLoader(images, rng.randint(1, 9), **options)
        loader.set_epoch(epoch := rng.randrange(3))
        whole = content(DataLoader(images, 23, **options)) if epoch == 0 else None
        batches = iter(loader)
        taken = content(itertools.islice(batches, rng.randint(0, len(loader) - 1)))
        resumed = DataLoader(images, rng.randint(1, 9), **options)
        resumed.load_state_dict(loader.state_dict())
        rest = content(resumed)
        assert rest == content(batches)
        assert whole is None or taken + rest == whole
