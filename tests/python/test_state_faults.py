"""load_state_dict() with what does not fit: it is refused and nothing changes, or the epoch begins
anew."""

from __future__ import annotations

import itertools
import random
import warnings

import numpy as np
import pytest
import torch
from torch.utils.data import DistributedSampler, RandomSampler, Subset

from ringfeed import RepeatedAugmentationSampler
from ringfeed.loader import DataLoader
from small_images import make, order_of

COUNT = 23


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make(tmp_path_factory.mktemp("images"), COUNT)


def begun(images, taken=2, **options):
    loader = DataLoader(images, 4, **options)
    list(itertools.islice(loader, taken))
    return loader


def test_between_epochs_another_dataset_is_a_warning(images):
    loader = begun(images, 6, shuffle=True, seed=3)
    left = DataLoader(Subset(images, range(COUNT - 1)), 4, shuffle=True, seed=3)
    with pytest.warns(
        UserWarning, match="another dataset.*the next epoch is the new one's"
    ) as told:
        left.load_state_dict(loader.state_dict())
    assert told[0].filename == __file__
    assert left.state_dict()["epoch"] == 1
    assert order_of(left) == left.draws(1)["index"].tolist()


def test_not_strict_a_run_goes_on_after_a_bad_file_was_removed(images):
    state = begun(images, shuffle=True, seed=3).state_dict()
    left = DataLoader(Subset(images, range(COUNT - 1)), 4, shuffle=True, seed=3)
    anew = rf"begins epoch 0 anew, with the key \[{state['key'][0]}, {state['key'][1]}\]"
    with pytest.raises(ValueError, match=rf"another dataset.*strict=False\) {anew}.*strict_state"):
        left.load_state_dict(state)
    assert left.state_dict()["positions"] == 0
    with pytest.warns(UserWarning, match=f"another dataset.*{anew}") as told:
        left.load_state_dict(state, strict=False)
    assert told[0].filename == __file__
    assert left.state_dict()["key"] == state["key"]
    assert sorted(order_of(left)) == list(range(COUNT - 1))
    assert left.state_dict()["epoch"] == 1


def test_not_strict_whatever_does_not_fit_within_an_epoch_begins_it_anew(images):
    def sampler():
        return RandomSampler(images, generator=torch.Generator().manual_seed(1))

    state = begun(images, shuffle=True, seed=3).state_dict()
    cases = [
        (state, {"sampler": sampler()}),
        ({**state, "positions": 99}, {"shuffle": True}),
        ({**state, "beyond": [3], "batch_size": 5}, {"shuffle": True}),
        ({**state, "beyond": [6]}, {"shuffle": True}),
        (begun(images, sampler=sampler()).state_dict() | {"world_size": 2}, {"sampler": sampler()}),
    ]
    for case, options in cases:
        loader = DataLoader(images, 4, seed=3, **options)
        with pytest.raises(
            ValueError, match=r"load_state_dict\(state, strict=False\) begins epoch"
        ):
            loader.load_state_dict(case)
        with pytest.warns(UserWarning, match="begins epoch 0 anew"):
            loader.load_state_dict(case, strict=False)
        assert sorted(order_of(loader)) == list(range(COUNT))


def test_positions_beyond_the_end_are_refused_for_every_order_whose_end_is_known(images):
    for options in (
        {},
        {"sampler": DistributedSampler(images, 2, 0)},
        {"sampler": RandomSampler(images, generator=torch.Generator().manual_seed(1))},
    ):
        loader = begun(images, **options)
        state = loader.state_dict()
        with pytest.raises(ValueError, match="consumed 26 samples of an epoch, which has"):
            loader.load_state_dict({**state, "positions": 26})
        assert loader.state_dict() == state


def test_an_epoch_that_no_state_could_hold_is_refused(images):
    loader = DataLoader(images, 4, shuffle=True, seed=1)
    for epoch in (-1, 2**62, 2**64):
        with pytest.raises(ValueError, match=r"epoch must be in \[0, 2\*\*62\), not"):
            loader.set_epoch(epoch)
    loader.set_epoch(2**62 - 1)
    assert len(order_of(loader)) == COUNT


NUMBERS = [-(2**63), -1, 0, 1, 7, 22, 24, 2**31, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**90]
OTHERS = [None, True, 0.5, float("nan"), "", "x", "AAAA", b"", [], {}, (), object(), np.int64(3)]
OTHERS += [torch.tensor(1), torch.zeros(3), np.zeros(3), "ü" * 300, float("inf")]


def nasty(rng):
    if rng.random() < 0.3:
        return [nasty(rng) for _ in range(rng.randrange(4))]
    return rng.choice(NUMBERS if rng.random() < 0.5 else OTHERS)


def test_any_damage_to_a_state_is_refused_with_a_reason_and_changes_nothing_or_a_pass_follows(
    images,
):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)

    def generator():
        return torch.Generator().manual_seed(5)

    kinds = [
        lambda: {"shuffle": True, "generator": generator()},
        lambda: {"in_order": False, "seed": 4},
        lambda: {"sampler": DistributedSampler(images, 2, 1), "seed": 4},
        lambda: {"sampler": RandomSampler(images, generator=generator()), "generator": generator()},
    ]
    refused = 0
    for _ in range(300):
        kind = rng.choice(kinds)
        taken = rng.choice([0, 2])
        saved = begun(images, taken, **kind()).state_dict()
        loader = begun(images, 1, **kind())
        before, given = loader.state_dict(), loader.generator
        stood = None if given is None else given.get_state()
        damaged = {**saved}
        for name in rng.sample(sorted(saved), rng.choice([1, 1, 2])):
            damaged[name] = nasty(rng)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                loader.load_state_dict(damaged, strict=rng.random() < 0.5)
        except ValueError as error:
            refused += 1
            assert "the state" in str(error) and len(str(error)) < 2000, damaged
            assert loader.state_dict() == before, damaged
            assert given is None or torch.equal(given.get_state(), stood), damaged
        else:
            try:
                order_of(loader)
            except ValueError as error:  # what only reading the sampler tells
                assert "sampler" in str(error), damaged
            else:
                loader.load_state_dict(loader.state_dict())
    assert refused > 100


class Endless(torch.utils.data.Sampler):
    """Shuffles anew for ever, and has the length of one epoch. It may end after `rounds`."""

    def __init__(self, images, batch_size=None, rounds=None):
        self.images, self.batch_size, self.rounds = images, batch_size, rounds

    def __len__(self):
        size = self.batch_size
        return len(self.images) if size is None else len(self.images) // size

    def __iter__(self):
        rng = random.Random(5)
        rounds = itertools.count() if self.rounds is None else range(self.rounds)
        indices = (i for _ in rounds for i in rng.sample(range(len(self.images)), len(self.images)))
        return indices if self.batch_size is None else iter(lambda: self.batch(indices), [])

    def batch(self, indices):
        return list(itertools.islice(indices, self.batch_size))


@pytest.mark.parametrize("rounds", [None, 3])
@pytest.mark.parametrize("batches", [False, True])
def test_a_place_in_a_sampler_longer_than_its_length_is_never_folded(images, rounds, batches):
    def make_loader():
        if batches:
            return DataLoader(images, batch_sampler=Endless(images, 4, rounds), seed=3)
        return DataLoader(images, 4, sampler=Endless(images, rounds=rounds), seed=3)

    loader = make_loader()
    iterator = iter(loader)
    taken = []
    for _ in range(13):
        taken.append(next(iterator))
        assert loader.state_dict()["epoch"] == 0
        assert loader.state_dict()["positions"] == 4 * len(taken)
        if len(taken) in (5, 6, 11):
            resumed = make_loader()
            resumed.load_state_dict(loader.state_dict())
            rest = list(itertools.islice(resumed, 3))
            assert resumed.state_dict()["positions"] == 4 * (len(taken) + 3)
            whole = list(itertools.islice(make_loader(), len(taken) + 3))
            for (found, _), (wanted, _) in zip(rest, whole[len(taken) :], strict=True):
                assert torch.equal(found, wanted)
    del iterator
    assert loader.state_dict()["positions"] == 4 * len(taken)
    if rounds is not None:
        assert len(list(make_loader())) == -(-3 * COUNT // 4)


def test_an_error_of_a_sampler_that_a_state_meets_is_raised_by_next(images):
    def indices():
        yield from range(8)
        raise KeyError("here")

    class Fails(torch.utils.data.Sampler):
        def __len__(self):
            return 8

        def __iter__(self):
            return indices()

    loader = DataLoader(images, 4, sampler=Fails())
    batches = iter(loader)
    next(batches), next(batches)
    assert loader.state_dict()["positions"] == 8
    with pytest.raises(KeyError, match="here"):
        next(batches)


@pytest.mark.parametrize("kind", [DistributedSampler, RepeatedAugmentationSampler])
def test_at_an_epoch_s_end_a_sampler_has_the_epoch_that_set_epoch_says_after_the_load(images, kind):
    def make_loader():
        return DataLoader(images, 4, sampler=kind(images, 1, 0), seed=3, num_workers=1)

    loader = make_loader()
    order_of(loader)
    state = loader.state_dict()
    loader.set_epoch(1)
    following = order_of(loader)
    for begins_first in (False, True):
        for call in ("set_epoch", "sampler.set_epoch"):
            resumed = make_loader()
            resumed.load_state_dict(state)
            batches = iter(resumed) if begins_first else resumed
            (resumed if call == "set_epoch" else resumed.sampler).set_epoch(1)
            assert order_of(batches) == following
