"""What a pass draws and follows from: torch's DataLoader runs beside, where it is the reference."""

from __future__ import annotations

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
    SubsetRandomSampler,
)

from ringfeed import RepeatedAugmentationSampler
from ringfeed._pass_counts import PassCounts
from ringfeed.loader import DataLoader
from ringfeed.transforms import MixUp, Views
from small_images import CROP, PLAIN, make, order_of

Torch = torch.utils.data.DataLoader
COUNT = 23


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def images(folder):
    return make(folder, COUNT)


@pytest.fixture(scope="module")
def plain(folder):
    return make(folder, COUNT, PLAIN)


def content(batches):
    return [
        (int(i), pixels.numpy().tobytes())
        for images, labels in batches
        for pixels, i in zip(images, labels)
    ]


def crops(batches):
    """By image, whatever the order."""
    return dict(content(batches))


class Counted:
    """A sampler or batch_sampler that draws at iter(), and counts these."""

    def __init__(self, batch_size=None):
        self.batch_size, self.calls = batch_size, 0

    def __len__(self):
        return COUNT if self.batch_size is None else -(-COUNT // self.batch_size)

    def __iter__(self):
        self.calls += 1
        order = torch.randperm(COUNT)
        parts = order if self.batch_size is None else order.split(self.batch_size)
        return iter([part.tolist() for part in parts])


# Consumption


FED = {
    "sequential": lambda d: {"batch_size": 4},
    "shuffled": lambda d: {"batch_size": 4, "shuffle": True},
    "single samples, shuffled": lambda d: {"batch_size": None, "shuffle": True},
    "RandomSampler": lambda d: {"batch_size": 4, "sampler": RandomSampler(d)},
    "SubsetRandomSampler": lambda d: {"batch_size": 2, "sampler": SubsetRandomSampler([3, 5])},
    "a sampler that draws at iter()": lambda d: {"batch_size": 4, "sampler": Counted()},
    "the same without batches": lambda d: {"batch_size": None, "sampler": Counted()},
    "a batch_sampler that draws at iter()": lambda d: {"batch_sampler": Counted(4)},
    "BatchSampler": lambda d: {"batch_sampler": BatchSampler(RandomSampler(d), 4, True)},
    "DistributedSampler": lambda d: {"batch_size": 4, "sampler": DistributedSampler(d, 2, 1)},
}


def consumed(kind, dataset, fed, with_generator, **options):
    """The generators' states and the calls of a sampler's iter() at every step of three passes, of
    which the second is broken off; with iterators between that nobody asks for a batch."""
    generator = torch.Generator().manual_seed(6) if with_generator else None
    torch.manual_seed(5)
    sources = FED[fed](dataset)
    loader = kind(dataset, generator=generator, **sources, **options)
    counted = [s for s in sources.values() if isinstance(s, Counted)]
    found = []

    def note():
        states = [torch.get_rng_state()] + ([] if generator is None else [generator.get_state()])
        if with_generator and "shuffled" in fed:
            states.pop()  # of which torch makes a permutation
        found.append([[hash(s.numpy().tobytes()) for s in states], [s.calls for s in counted]])

    note()
    for number in range(3):
        iter(loader)
        note()
        batches = iter(loader)
        note()
        next(batches)
        note()
        if number != 1:
            list(batches)
        note()
        del batches
    return found


@pytest.mark.parametrize("fed", FED)
@pytest.mark.parametrize("workers", [(0, False), (1, False), (1, True)])
@pytest.mark.parametrize("with_generator", [False, True])
def test_what_is_consumed_is_what_torch_consumes(plain, fed, workers, with_generator):
    options = {"num_workers": workers[0], "persistent_workers": workers[1]}
    theirs = consumed(Torch, plain, fed, with_generator, **options)
    for seed in (None, 7):
        assert consumed(DataLoader, plain, fed, with_generator, seed=seed, **options) == theirs


@pytest.mark.parametrize("workers", [0, 1])
def test_a_generator_gives_one_number_for_the_crops_and_one_for_the_order(plain, workers):
    def after(draws):
        generator = torch.Generator().manual_seed(6)
        for _ in range(draws):
            torch.empty((), dtype=torch.int64).random_(generator=generator)
        return generator.get_state()

    before = torch.get_rng_state()
    generator = torch.Generator().manual_seed(6)
    batches = iter(DataLoader(plain, 4, True, num_workers=workers, generator=generator))
    assert torch.equal(generator.get_state(), after(2 if workers else 1))
    next(batches)
    assert torch.equal(generator.get_state(), after(2))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_base_seed_is_kept_by_the_loader_and_forgotten_with_its_workers(plain):
    states = []
    for kind in (Torch, DataLoader):
        torch.manual_seed(5)
        loader = kind(plain, 4, num_workers=1, persistent_workers=True)
        for _ in range(2):
            iter(loader)
        loader._iterator = None
        iter(loader)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


def test_a_loaded_key_and_a_state_consume_nothing_else(images):
    def numbers(load):
        torch.manual_seed(5)
        loader = DataLoader(images, 4, shuffle=True)
        if load is not None:
            loader.load_state_dict(load)
        batches = iter(loader)
        found = [torch.get_rng_state()]
        next(batches)
        loader.state_dict()
        found.append(torch.get_rng_state())
        return found, loader.state_dict()

    free, state = numbers(None)
    for before, after in zip(free, numbers(state)[0], strict=True):
        assert torch.equal(before, after)


# Keys


@pytest.mark.parametrize("by_generator", [False, True])
def test_seeding_before_each_epoch_repeats_order_and_crops(images, by_generator):
    generator = torch.Generator() if by_generator else None
    loader = DataLoader(images, 4, shuffle=True, generator=generator)
    passes = []
    for epoch, seed in enumerate((5, 5, 6)):
        (torch if generator is None else generator).manual_seed(seed)
        loader.set_epoch(epoch)
        passes.append(content(loader))
    assert passes[0] == passes[1] != passes[2]
    assert [i for i, _ in passes[1]] != [i for i, _ in passes[2]]


def test_persistent_workers_repeat_the_order_and_not_the_crops(images):
    loader = DataLoader(images, 4, shuffle=True, num_workers=1, persistent_workers=True)
    next(iter(loader))  # which draws the base seed
    passes = []
    for _ in range(2):
        torch.manual_seed(5)
        passes.append(content(loader))
    assert [i for i, _ in passes[0]] == [i for i, _ in passes[1]]
    assert not set(passes[0]) & set(passes[1])


def test_persistent_workers_keep_threads_and_buffers_from_pass_to_pass(images):
    loader = DataLoader(images, 4, shuffle=True, num_workers=1, persistent_workers=True)
    kept = []
    for _ in range(2):
        order_of(loader)
        kept.append(loader._session._kept[1])
    assert kept[0] is kept[1]


@pytest.mark.parametrize("options", [{"shuffle": True}, {}, {"distributed": True}])
def test_seeding_before_the_loader_varies_the_crops(images, options):
    def first_pass(seed):
        torch.manual_seed(seed)
        given = (
            {"sampler": DistributedSampler(images, 2, 0)} if "distributed" in options else options
        )
        return crops(DataLoader(images, 4, **given))

    first, second = first_pass(1), first_pass(2)
    assert first == first_pass(1)
    assert all(first[i] != second[i] for i in {*first} & {*second})


def test_two_loaders_over_one_dataset_share_no_crops(images):
    first, second = (crops(DataLoader(images, 4)) for _ in range(2))
    assert all(first[i] != second[i] for i in range(COUNT))


@pytest.mark.parametrize("kind", ["own", "distributed", "batches"])
def test_passes_within_one_epoch_number_never_repeat(images, kind):
    def make_loader():
        return DataLoader(
            images,
            **{
                "own": {"batch_size": 4, "shuffle": True},
                "distributed": {"batch_size": 4, "sampler": DistributedSampler(images, 1, 0)},
                "batches": {"batch_sampler": [[0, 1, 2], [3, 4]]},
            }[kind],
            seed=3,
        )

    loader = make_loader()
    passes = []
    for epoch in (0, 0, None, 0, 1):  # None: the number that follows, as where loaders are cycled
        if epoch is not None:
            loader.set_epoch(epoch)
        passes.append(content(loader))
    for first, second in itertools.combinations(passes, 2):
        assert not set(first) & set(second)
    again = make_loader()
    if kind != "distributed":  # whose order is of another epoch, where only the loader counts on
        again.set_epoch(1)
        assert content(again) == passes[2]


def test_repeats_go_on_from_a_state(images):
    loader = DataLoader(images, 4, shuffle=True, seed=3)
    for epoch in (0, 1, 2, 1):
        loader.set_epoch(epoch)
        batches = iter(loader)
        next(batches)
    state, rest = loader.state_dict(), content(batches)
    assert (state["epoch"], state["repeat"], state["begun"]) == (
        1,
        1,
        [[0, 0, 1], [1, 1, 2], [2, 2, 1]],
    )
    resumed = DataLoader(images, 4, shuffle=True, seed=3)
    resumed.load_state_dict(state)
    assert content(resumed) == rest
    assert content(resumed) == content(loader)  # of epoch 2, for the second time
    assert (resumed.draws(1) == loader.draws(1)).all()
    for epoch in (1, 0):
        for each in (loader, resumed):
            each.set_epoch(epoch)
        assert content(resumed) == content(loader)


def test_counts_of_passes_are_runs_of_epochs():
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chosen, counts, plain = random.Random(seed), PassCounts(), {}
    for _ in range(300):
        epoch = chosen.randrange(20)
        plain[epoch] = plain.get(epoch, 0) + 1
        counts = counts.with_count(epoch, plain[epoch])
        runs = counts.runs()
        assert all(a[1] + 1 < b[0] or a[2] != b[2] for a, b in itertools.pairwise(runs))
        assert {e: n for first, last, n in runs for e in range(first, last + 1)} == plain
        assert [counts[e] for e in range(-1, 21)] == [plain.get(e, 0) for e in range(-1, 21)]


def test_a_loader_keeps_no_more_for_more_passes(plain):
    loader = DataLoader(plain, 4, shuffle=True, seed=3)
    for _ in range(150):
        next(iter(loader))
    assert loader.state_dict()["begun"] == [[0, 149, 1]]
    assert len(loader._session.epochs._keys) <= 100
    assert (loader.draws(3) == DataLoader(plain, 4, shuffle=True, seed=3).draws(3)).all()


@pytest.mark.parametrize("options", [{}, {"seed": 3}])
def test_a_state_names_the_key_and_a_loader_given_it_repeats_the_pass(images, options):
    loader = DataLoader(images, 4, shuffle=True, **options)
    loader.set_epoch(6)
    order_of(loader)
    batches = iter(loader)
    found = content(itertools.islice(batches, 1))
    key = loader.state_dict()["key"]
    found += content(batches)
    again = DataLoader(images, 4, shuffle=True, seed=key)
    assert content(again) == content(again) == found
    assert again.state_dict()["key"] == key
    with pytest.raises(ValueError, match="a state's key, which is two of them, not .1."):
        DataLoader(images, seed=[1])


# States


@pytest.mark.parametrize("workers", [(0, False), (1, False), (1, True)])
@pytest.mark.parametrize("with_generator", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_state_at_an_end_has_the_next_pass_s_key_and_advances_nothing(
    images, workers, with_generator, shuffle
):
    def make_loader(seed):
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed) if with_generator else None
        options = {"num_workers": workers[0], "persistent_workers": workers[1]}
        return DataLoader(images, 4, shuffle=shuffle, generator=generator, **options)

    loader = make_loader(1)
    for begun in (0, 1, 2):
        ahead = iter(loader) if begun == 2 else None  # which has drawn already
        before = torch.get_rng_state(), None if not with_generator else loader.generator.get_state()
        state = loader.state_dict()
        assert loader.state_dict() == state and state["epoch"] == begun
        assert torch.equal(before[0], torch.get_rng_state())
        if with_generator:
            assert torch.equal(before[1], loader.generator.get_state())
        expected = content(loader if ahead is None else ahead)
        resumed = make_loader(9)
        resumed.load_state_dict(state)
        assert resumed.state_dict()["key"] == state["key"]
        assert content(resumed) == expected
        if with_generator and not workers[1]:  # its state is in the loader's
            assert torch.equal(resumed.generator.get_state(), loader.generator.get_state())


def test_a_loaded_key_serves_one_pass_and_later_ones_draw(images):
    torch.manual_seed(1)
    loader = DataLoader(images, 4, shuffle=True)
    batches = iter(loader)
    next(batches)
    state, rest = loader.state_dict(), content(batches)
    resumed = DataLoader(images, 4, shuffle=True)
    resumed.load_state_dict(state)
    assert content(resumed) == rest
    torch.manual_seed(2)
    later = content(resumed)
    torch.manual_seed(2)
    assert content(DataLoader(images, 4, shuffle=True)) == later


def test_with_a_seed_all_passes_after_a_resume_are_the_same(images):
    loader = DataLoader(images, 4, shuffle=True, seed=5)
    batches = iter(loader)
    next(batches)
    state, rest = loader.state_dict(), content(batches)
    resumed = DataLoader(images, 4, shuffle=True, seed=5)
    resumed.load_state_dict(state)
    assert content(resumed) == rest
    assert content(resumed) == content(loader)


def test_none_drops_a_loaded_state(images):
    loader = DataLoader(images, 4, shuffle=True, seed=3)
    loader.set_epoch(5)
    next(iter(loader))
    state = loader.state_dict()
    other = DataLoader(images, 4, shuffle=True, seed=3)
    other.set_epoch(2)
    fresh = other.state_dict()
    other.load_state_dict(state)
    other.load_state_dict(None)
    assert other.state_dict() == fresh
    other.load_state_dict(None)
    assert other.state_dict() == fresh
    other.load_state_dict(state)
    other.set_epoch(4)
    other.load_state_dict(None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (
            order_of(other)
            == DataLoader(images, 4, shuffle=True, seed=3).draws(4)["index"].tolist()
        )


def test_a_sampler_of_a_dropped_state_follows_set_epoch(plain):
    def make_loader():
        sampler = DistributedSampler(plain, 2, 0)
        return DataLoader(plain, 4, sampler=sampler, seed=3), sampler

    loader, sampler = make_loader()
    sampler.set_epoch(5)
    next(iter(loader))
    other, sampler = make_loader()
    other.load_state_dict(loader.state_dict())
    other.load_state_dict(None)
    assert sampler.epoch == 0
    sampler.set_epoch(5)
    assert order_of(other) == list(sampler)


@pytest.mark.parametrize("workers", [0, 1])
def test_set_epoch_after_iter_begins_no_sampler_again(plain, workers):
    def calls(kind):
        sampler = Counted()
        sampler.epoch = 0
        sampler.set_epoch = lambda epoch: setattr(sampler, "epoch", epoch)
        torch.manual_seed(1)
        batches = iter(kind(plain, batch_size=None, sampler=sampler, num_workers=workers))
        sampler.set_epoch(3)
        first = next(batches)[1]
        return sampler.calls, int(first), torch.get_rng_state().tolist()

    assert calls(DataLoader) == calls(Torch)


def restored(plain, workers):
    """A loader with a generator; another's state at an epoch's end, and what that goes on with."""

    def make_loader(seed):
        generator = torch.Generator().manual_seed(seed)
        return DataLoader(plain, 4, shuffle=True, num_workers=workers, generator=generator)

    saved, loader = make_loader(1), make_loader(5)
    order_of(saved)
    state = saved.state_dict()
    return loader, state, [order_of(saved), order_of(saved)]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_iterator_that_waits_draws_anew_from_a_restored_generator(plain, workers):
    loader, state, expected = restored(plain, workers)
    waiting = iter(loader)
    loader.load_state_dict(state)
    assert [order_of(waiting), order_of(loader)] == expected


def test_none_gives_a_generator_back_what_it_was(plain):
    loader, state, _ = restored(plain, 1)
    before = loader.state_dict()
    loader.load_state_dict(state)
    loader.load_state_dict(None)
    assert loader.state_dict() == before
    loader.load_state_dict(state)
    order_of(loader)
    used = loader.generator.get_state()
    loader.load_state_dict(None)
    assert torch.equal(loader.generator.get_state(), used)


def test_a_state_s_generator_of_another_kind_is_refused_and_changes_nothing(plain):
    loader, state, _ = restored(plain, 1)
    before = loader.state_dict()
    with pytest.raises(ValueError, match="state's generator does not fit this loader's on cpu"):
        loader.load_state_dict({**state, "generator": "AAAA"})
    assert loader.state_dict() == before


def test_a_state_under_another_default_device_has_no_key_to_look_ahead_at(plain):
    loader = DataLoader(plain, 4, shuffle=True)
    with torch.device("meta"):
        state = loader.state_dict()
    assert state["key"] is None
    loader.load_state_dict(state)
    assert sorted(order_of(loader)) == list(range(COUNT))


def test_a_missing_seed_is_named_at_iter_whatever_was_loaded(plain, monkeypatch):
    saved = DataLoader(plain, 4, shuffle=True, rank=0, world_size=2, seed=1)
    loader = DataLoader(plain, 4, shuffle=True, rank=0, world_size=2)
    loader.load_state_dict(saved.state_dict())
    missing = r"need one seed for it: pass seed=, or set \$PL_GLOBAL"
    with pytest.warns(UserWarning, match=missing + ".*later ones will fail") as told:
        batches = iter(loader)
    assert told[0].filename == __file__
    assert order_of(batches) == order_of(saved)  # the state's own pass needs none
    with pytest.raises(ValueError, match=missing):
        iter(loader)
    for wrong in ("x", "-1", str(2**64)):
        monkeypatch.setenv("PL_GLOBAL_SEED", wrong)
        with pytest.raises(ValueError, match=r"\$PL_GLOBAL_SEED must be a whole number in "):
            iter(loader)
    monkeypatch.setenv("PL_GLOBAL_SEED", "1")
    assert order_of(loader) == order_of(saved)


@pytest.mark.parametrize("kind", [np.int64, np.uint64])
def test_a_seed_may_be_numpys(plain, kind):
    loader, own = (DataLoader(plain, 4, shuffle=True, seed=s) for s in (kind(3), 3))
    assert order_of(loader) == order_of(own)
    assert loader.state_dict() == own.state_dict()
    assert all(type(n) is int for n in [loader.state_dict()["seed"], *loader.state_dict()["key"]])


@pytest.mark.parametrize("own_batches", [False, True])
@pytest.mark.parametrize("when", ["before iter()", "after iter()"])
def test_a_sampler_has_the_place_s_epoch_and_then_what_set_epoch_said(images, own_batches, when):
    def make_loader():
        sampler = RepeatedAugmentationSampler(images, 1, 0, repeats=2)
        batches = BatchSampler(sampler, 4, False)
        options = (
            {"batch_sampler": batches} if own_batches else {"batch_size": 4, "sampler": sampler}
        )
        return DataLoader(images, seed=3, num_workers=1, **options), sampler

    loader, sampler = make_loader()
    sampler.set_epoch(5)
    batches = iter(loader)
    next(batches)
    state, left = loader.state_dict(), content(batches)
    resumed, sampler = make_loader()
    batches = iter(resumed) if when == "after iter()" else resumed
    resumed.load_state_dict(state)
    sampler.set_epoch(1)
    with pytest.warns(UserWarning, match=r"set_epoch\(1\) does not agree"):
        assert content(batches) == left
    expected, other = make_loader()
    other.set_epoch(1)
    assert content(resumed) == content(expected)
    assert sampler.epoch == 1


@pytest.mark.parametrize("kind", [DistributedSampler, RepeatedAugmentationSampler])
def test_a_state_of_a_resumed_pass_has_the_epoch_that_it_reads(images, kind):
    def make_loader():
        return DataLoader(images, 4, sampler=kind(images, 1, 0), seed=3)

    loader = make_loader()
    loader.set_epoch(3)
    batches = iter(loader)
    next(batches)
    state, left = loader.state_dict(), content(batches)
    resumed = make_loader()
    resumed.load_state_dict(state)
    resumed.set_epoch(0)  # as Fabric says in a new process
    assert resumed.state_dict() == state
    batches = iter(resumed)
    with pytest.warns(UserWarning, match="does not agree"):
        next(batches)
    again = make_loader()
    again.load_state_dict(resumed.state_dict())
    assert content(again) == content(batches) == left[4:]
    state = resumed.state_dict()
    assert (state["epoch"], state["sampler_epoch"]) == (0, 0)


# Ranks


def ranks_of(images, rank, ranks, **options):
    sampler = DistributedSampler(images, ranks, rank, seed=2)
    return DataLoader(images, 3, sampler=sampler, **options)


@pytest.mark.parametrize("taken", [0, 2])
@pytest.mark.parametrize("ranks", [2, 3])
def test_another_rank_keeps_the_order_takes_new_crops_and_says_so_once(images, taken, ranks):
    loader = ranks_of(images, 0, 2)
    batches = iter(loader)
    list(itertools.islice(batches, taken))
    state = loader.state_dict()
    same = ranks_of(images, 0, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same.load_state_dict(state)
    rest = content(same)
    other = ranks_of(images, 1, ranks)
    with pytest.warns(UserWarning, match="crops on this rank are new; give seed= on all") as told:
        other.load_state_dict(state)
        found = content(other)
    assert len(told) == 1 and told[0].filename == __file__
    whole = list(DistributedSampler(images, 1, 0, seed=2))
    left = whole[state["positions"] :] + whole[: state["positions"] + ranks]  # padded
    assert [i for i, _ in found] == left[1::ranks][: len(found)]
    assert len(found) == -(-(COUNT - state["positions"]) // ranks)
    assert not set(found) & set(rest)
    seeded = ranks_of(images, 1, ranks, seed=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = ranks_of(images, 0, 2, seed=4).state_dict()
        seeded.load_state_dict(state)


# What else follows from the key


def test_draws_and_mixing_are_those_of_the_pass(folder):
    images = make(folder, COUNT, CROP)
    torch.manual_seed(1)
    loader = DataLoader(images, 4, shuffle=True, batch_transform=MixUp(COUNT))
    coming = loader.draws(0), loader.mixing(0)
    targets = torch.cat([labels for _, labels in loader])
    after = loader.draws(0), loader.mixing(0)
    assert (coming[0] == after[0]).all() and coming[1] == after[1]
    shares = torch.cat(
        [
            labels
            for _, labels in DataLoader(
                images,
                4,
                shuffle=True,
                batch_transform=MixUp(COUNT),
                seed=loader.state_dict()["key"],
            )
        ]
    )
    assert not torch.equal(shares, targets)  # of the next pass
    lams = [mix.mixes[0].lam for mix in after[1]]
    own = [float(row[i]) for row, i in zip(targets, after[0]["index"].tolist())]
    assert own[::4] == pytest.approx(lams, abs=1e-6)
    with pytest.raises(ValueError, match="epoch 7 draws is not known: without seed="):
        loader.draws(7)
    repeats = DataLoader(images, 4, shuffle=True, batch_transform=MixUp(COUNT), seed=1)
    first = repeats.mixing(0)
    order_of([(None, labels.argmax(1)) for _, labels in repeats])
    repeats.set_epoch(0)
    assert repeats.mixing(0) != first


def test_views_follow_the_key(folder):
    images = make(folder, COUNT, Views([CROP, CROP]))

    def views(**options):
        return torch.stack(next(iter(DataLoader(images, COUNT, **options)))[0])

    torch.manual_seed(1)
    first = views()
    torch.manual_seed(1)
    assert torch.equal(first, views())
    assert not torch.equal(first, views())
    assert not torch.equal(first[0], first[1])
