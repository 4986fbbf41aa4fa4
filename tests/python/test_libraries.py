"""Libraries that build a loader anew from a loader's attributes, and read its sampler."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
import torch.utils.data
from torch.utils.data import (
    BatchSampler,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
)
from torch.utils.data.dataloader import _BaseDataLoaderIter

from ringfeed.loader import DataLoader
from small_images import PLAIN, make, order_of

Torch = torch.utils.data.DataLoader
COUNT = 24
READ = "is read by another than ringfeed"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make(tmp_path_factory.mktemp("images"), COUNT, PLAIN)


def warned(run):
    """What it gives, and the warnings that name the sampler's reader."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        given = run()
    return given, [w for w in found if READ in str(w.message)]


def rebuilt(loader, **options):
    """A torch loader of its attributes, as accelerate builds it."""
    names = ("num_workers", "collate_fn", "pin_memory", "timeout", "worker_init_fn", "generator")
    names += ("multiprocessing_context", "prefetch_factor", "persistent_workers", "in_order")
    kept = {name: getattr(loader, name) for name in names}
    return Torch(loader.dataset, **{**kept, "batch_sampler": loader.batch_sampler, **options})


class Shard(BatchSampler):
    """Every other batch for each of two processes, as accelerate's BatchSamplerShard deals them."""

    def __init__(self, batch_sampler, process_index):
        self.batch_sampler, self.process_index, self.num_processes = batch_sampler, process_index, 2

    def __iter__(self):
        for number, batch in enumerate(self.batch_sampler):
            if number % 2 == self.process_index:
                yield batch

    def __len__(self):
        return len(self.batch_sampler) // 2


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_built_elsewhere_warns_once_with_the_way_out(images, shuffle, workers):
    loader = DataLoader(images, 4, shuffle=shuffle, num_workers=workers)
    other = rebuilt(loader)
    found, told = warned(lambda: [order_of(other) for _ in range(2)])
    assert [sorted(order) for order in found] == [list(range(COUNT))] * 2
    assert len(told) == 1
    assert "accelerate's prepare()" in str(told[0].message)
    assert "rank= and world_size= instead" in str(told[0].message)


def test_a_script_that_reads_the_sampler_itself_is_told_once(images):
    loader = DataLoader(images, 4, shuffle=True)
    assert len(warned(lambda: [list(loader.sampler), list(loader.batch_sampler)])[1]) == 1


class Wrapped:
    """Batches of another's, as Lightning's predict wraps them and hands them back to ringfeed."""

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        yield from self.batches


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("shuffle", [False, True])
def test_ringfeed_s_own_reading_does_not_warn(images, workers, shuffle):
    loader = DataLoader(images, 4, shuffle=shuffle, num_workers=workers)
    again = DataLoader(images, batch_sampler=Wrapped(loader.batch_sampler), num_workers=workers)
    single = DataLoader(images, None, sampler=Wrapped(loader.sampler), num_workers=workers)

    def read():
        orders = [order_of(loader), order_of(again), order_of(copy.copy(again))]
        return orders, [label for _, label in single]

    (orders, labels), told = warned(read)
    assert not told
    assert [sorted(order) for order in (*orders, labels)] == [list(range(COUNT))] * 4


@pytest.mark.parametrize("shuffle", [False, True])
def test_an_order_that_is_dealt_is_not_dealt_again(images, shuffle):
    options = {"shuffle": shuffle, "seed": 3, "rank": 1, "world_size": 2}
    loader = DataLoader(images, 4, **options)
    sharded = rebuilt(loader, batch_sampler=Shard(loader.batch_sampler, 1))
    again = DataLoader(images, batch_sampler=Shard(loader.batch_sampler, 1))
    for other in (sharded, again):
        with pytest.raises(ValueError, match="sharded by rank=1 and world_size=2, and Shard deals"):
            list(other)
    # Dealt once, and read by another: a warning, and all samples of the rank.
    found, told = warned(lambda: order_of(rebuilt(DataLoader(images, 4, **options))))
    assert len(told) == 1 and len(found) == COUNT // 2


def test_wrappers_that_deal_a_list_of_the_order_again_are_refused(images):
    class ListOf(DistributedSampler):
        """catalyst's and others' DistributedSamplerWrapper."""

        def __init__(self, sampler, **options):
            super().__init__(sampler, **options)

        def __iter__(self):
            order = list(self.dataset)
            return iter([order[i] for i in super().__iter__()])

    loader = DataLoader(images, 4, rank=0, world_size=2)
    with pytest.raises(ValueError, match="already sharded by rank=0 .*ListOf deals it"):
        list(Torch(images, 4, sampler=ListOf(loader.sampler, num_replicas=2, rank=0)))


# accelerate


@pytest.fixture
def accelerator(monkeypatch):
    accelerate = pytest.importorskip("accelerate")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    return accelerate.Accelerator(cpu=True)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("workers", [0, 1])
def test_accelerate_s_prepare_gives_a_torch_loader_and_a_warning(
    images, accelerator, shuffle, workers
):
    loader = DataLoader(images, 4, shuffle=shuffle, num_workers=workers)
    prepared = accelerator.prepare(loader)
    assert not isinstance(prepared, DataLoader)
    assert (prepared.num_workers, prepared.prefetch_factor) == (workers, 2 if workers else None)
    order, told = warned(lambda: order_of(prepared))
    assert sorted(order) == list(range(COUNT)) and len(told) == 1


def test_accelerate_does_not_deal_twice(images, accelerator):
    data_loader = pytest.importorskip("accelerate.data_loader")
    dealt = DataLoader(images, 4, rank=1, world_size=2)
    prepared = data_loader.prepare_data_loader(dealt, num_processes=2, process_index=1)
    with pytest.raises(ValueError, match="already sharded by rank=1 .* BatchSamplerShard deals"):
        list(prepared)
    loader = DataLoader(images, 4)
    prepared = data_loader.prepare_data_loader(loader, num_processes=2, process_index=1)
    order, told = warned(lambda: order_of(prepared))
    assert len(order) == COUNT // 2 and len(told) == 1


def test_accelerate_leaves_alone_what_it_is_not_given(images, accelerator):
    model = accelerator.prepare(torch.nn.Linear(2, 2))
    loader = DataLoader(
        images,
        4,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        shuffle=True,
        seed=1,
    )
    assert isinstance(model, torch.nn.Module)
    order, told = warned(lambda: order_of(loader))
    assert sorted(order) == list(range(COUNT)) and not told


# Ray


def prepare_data_loader(data_loader, add_dist_sampler=True, world_size=2, rank=1):
    """Ray Train's rule, in words of its own: another sampler means another torch loader."""
    if (
        world_size > 1
        and add_dist_sampler
        and not isinstance(data_loader.sampler, DistributedSampler)
        and not isinstance(data_loader.dataset, IterableDataset)
    ):
        shuffle = not isinstance(data_loader.sampler, SequentialSampler)
        names = ("batch_size", "num_workers", "collate_fn", "pin_memory", "drop_last", "timeout")
        names += ("worker_init_fn", "generator")
        sampler = DistributedSampler(data_loader.dataset, world_size, rank, shuffle)
        kept = {name: getattr(data_loader, name) for name in names}
        data_loader = Torch(data_loader.dataset, shuffle=False, sampler=sampler, **kept)
    return data_loader


@pytest.mark.parametrize("shuffle", [False, True])
def test_ray_builds_a_torch_loader_of_no_processes_unless_told_not_to(images, shuffle):
    loader = DataLoader(images, 4, shuffle=shuffle, drop_last=True)
    assert isinstance(loader.sampler, RandomSampler) == shuffle
    prepared = prepare_data_loader(loader)
    assert type(prepared) is Torch and prepared.num_workers == 0
    assert prepared.sampler.shuffle == shuffle and prepared.drop_last
    assert order_of(prepared) == list(prepared.sampler)

    dealt = DataLoader(images, 4, shuffle=shuffle, seed=1, rank=1, world_size=2)
    kept = prepare_data_loader(dealt, add_dist_sampler=False)
    assert kept is dealt and len(order_of(kept)) == COUNT // 2
    given = DataLoader(images, 4, sampler=DistributedSampler(images, 2, 1, shuffle))
    assert prepare_data_loader(given) is given and order_of(given) == list(given.sampler)


class Kept(BatchSampler):
    """Reads a whole epoch of another before it gives the first batch, as ignite's
    ReproducibleBatchSampler does."""

    def __init__(self, batch_sampler):
        self.batch_sampler, self.sampler = batch_sampler, batch_sampler.sampler

    def __iter__(self):
        yield from list(self.batch_sampler)

    def __len__(self):
        return len(self.batch_sampler)


def made_anew(loader):
    """As ignite's DeterministicEngine makes it: of all public attributes."""
    replaced = ("batch_size", "sampler", "drop_last", "batch_sampler")
    names = [n for n in vars(loader) if not n.startswith("_") and n not in replaced]
    kept = {name: getattr(loader, name) for name in names}
    return type(loader)(**kept, batch_sampler=Kept(loader.batch_sampler))


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("rung", ["native", "worker"])
def test_a_loader_made_anew_of_its_attributes_has_torch_s_order(images, rung, shuffle, workers):
    orders = []
    for kind, own in (DataLoader, {"native": rung == "native"}), (Torch, {}):
        torch.manual_seed(3)
        loader = kind(images, 5, shuffle, num_workers=workers, **own)
        again, found = warned(lambda loader=loader: made_anew(loader))
        assert type(again) is kind and getattr(again, "rung", rung) == rung and not found
        orders.append([order_of(again) for _ in range(2)])
    assert orders[0] == orders[1]
    assert (orders[0][0] == orders[0][1]) is not shuffle


def test_a_dealt_order_in_a_loader_made_anew_follows_set_epoch_of_the_sampler(images):
    def epochs(rank):
        loader = DataLoader(images, 4, shuffle=True, seed=1, rank=rank, world_size=2)
        again, given = made_anew(loader), []
        for epoch in range(2):
            loader.sampler.set_epoch(epoch)
            given.append(order_of(again))
        return given

    (first, second), (first_of_1, second_of_1) = epochs(0), epochs(1)
    assert sorted(first + first_of_1) == sorted(second + second_of_1) == list(range(COUNT))
    assert first != second


# What libraries read of an iterator


@pytest.mark.parametrize("options", [{}, {"num_workers": 1, "persistent_workers": True}])
def test_an_iterator_is_one_of_torch_s(images, options):
    ours, theirs = (kind(images, 5, **options) for kind in (DataLoader, Torch))
    mine, other = iter(ours), iter(theirs)
    assert isinstance(mine, _BaseDataLoaderIter) and iter(mine) is mine
    same = ("_dataset", "_dataset_kind", "_auto_collation", "_drop_last", "_num_workers")
    same += ("_timeout", "_collate_fn", "_persistent_workers", "_IterableDataset_len_called")
    for name in same:
        assert getattr(mine, name) == getattr(other, name), name
    assert mine._index_sampler is ours.batch_sampler
    assert isinstance(mine._base_seed, int)
    for taken in range(3):
        assert mine._num_yielded == other._num_yielded == taken
        next(mine), next(other)
    assert len(mine) == len(other)
    for iterator in (mine, other):
        with pytest.raises(NotImplementedError, match="cannot be pickled"):
            copy.copy(iterator)
        with pytest.raises(AttributeError, match="_no_such_thing"):
            _ = iterator._no_such_thing


def test_the_base_seed_is_the_number_that_torch_draws(images):
    seeds = []
    for kind in (DataLoader, Torch):
        torch.manual_seed(9)
        seeds.append(iter(kind(images))._base_seed)
    assert seeds[0] == seeds[1]


def test_torch_s_reset_begins_the_next_epoch(images):
    loader = DataLoader(images, 5)
    batches = iter(loader)
    next(batches)
    batches._reset(loader)
    assert batches._num_yielded == 0 and order_of(batches) == list(range(COUNT))


@pytest.mark.parametrize("kind", [Torch, DataLoader])
def test_a_subclass_s_own_iterator_is_reset_as_torch_resets_it(images, kind):
    class Own:
        def __init__(self):
            self.resets = []

        def __next__(self):
            raise StopIteration

        def _reset(self, loader, first_iter=False):
            self.resets.append(loader)

    class Loader(kind):
        def _get_iterator(self):
            return Own()

    loader = Loader(images, 5, num_workers=1, persistent_workers=True)
    first = iter(loader)
    assert iter(loader) is first and first.resets == [loader]
