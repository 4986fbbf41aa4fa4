"""DataLoader's arguments against torch's own."""

from __future__ import annotations

import copy
import inspect
import itertools
import random
import warnings

import lightning.pytorch.utilities.data as lightning_data
import pytest
import torch
import torch.utils.data
from lightning.pytorch.overrides.distributed import _IndexBatchSamplerWrapper
from lightning.pytorch.trainer.states import RunningStage
from torch.utils.data import (
    BatchSampler,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
)

from ringfeed import _ringfeed
from ringfeed.loader import DataLoader
from small_images import make, order_of

Torch = torch.utils.data.DataLoader


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make(tmp_path_factory.mktemp("images"), 11)


def outcome(kind, *args, **kwargs):
    """What the constructor says: a length, or an error."""
    try:
        return len(kind(*args, **kwargs))
    except Exception as error:
        return type(error), str(error)


def test_names_order_and_defaults_are_torch_s():
    ours = list(inspect.signature(DataLoader.__init__).parameters.values())
    theirs = list(inspect.signature(Torch.__init__).parameters.values())
    assert [(p.name, p.default, p.kind) for p in ours[: len(theirs)]] == [
        (p.name, p.default, p.kind) for p in theirs
    ]
    assert [p.name for p in ours[len(theirs) :]] == [
        *("seed", "rank", "world_size", "memory_limit", "reader"),
        *("limits", "read_ahead_bytes", "depth", "dtype", "channels_last", "pillow"),
        "batch_transform",
        "finish_on",
        *("on_error", "max_failures", "retries"),
        "native",
    ]
    assert all(p.kind is p.KEYWORD_ONLY for p in ours[len(theirs) :])


def test_lengths_and_errors_are_torch_s(images):
    values = {
        "batch_size": [1, 4, 0, -1, None, True, 2.5],
        "shuffle": [None, False, True],
        "sampler": [None, SequentialSampler(images), [3, 1, 2]],
        "batch_sampler": [None, BatchSampler([5, 4, 3], 2, False), [[1, 2], [3]]],
        "drop_last": [False, True, "yes"],
        "timeout": [0, 5, -1],
        "prefetch_factor": [None, 3, -1],
        "num_workers": [2],
        "persistent_workers": [False, True],
    }
    seed = random.randrange(1 << 32)
    print("seed", seed)
    grid = list(itertools.product(*values.values()))
    seen = set()
    for chosen in random.Random(seed).sample(grid, 3000):
        kwargs = dict(zip(values, chosen))
        expected = outcome(Torch, images, **kwargs)
        assert outcome(DataLoader, images, **kwargs) == expected, kwargs
        seen.add(expected if isinstance(expected, tuple) else "length")
    assert len(seen) > 8


@pytest.mark.parametrize(
    "kwargs",
    [
        {"in_order": 3},
        {"in_order": None, "num_workers": 1},
        {"pin_memory": ""},
        {"generator": 3},
        {"generator": "cpu", "num_workers": 1},
        {"sampler": {1, 2}},
        {"sampler": {4: "a", 2: "b"}},
        {"sampler": [True, False]},
        {"sampler": torch.tensor([3, 1])},
        {"sampler": [-1, 11]},
        {"sampler": ["a"]},
        {"sampler": [1.0]},
        {"sampler": [None]},
        {"sampler": [[1, 2]]},
        {"batch_sampler": [(1, 2), torch.tensor([3])]},
    ],
    ids=str,
)
def test_what_iterating_gives_or_raises_is_torch_s(images, kwargs):
    def iterated(kind):
        try:
            return order_of(kind(images, **kwargs))
        except Exception as error:
            return type(error)

    assert iterated(DataLoader) == iterated(Torch)


def test_shuffling_nothing_raises_as_in_torch(tmp_path):
    empty = make(tmp_path, 0)
    assert outcome(DataLoader, empty, shuffle=True) == outcome(Torch, empty, shuffle=True)
    assert list(DataLoader(empty, 4)) == list(Torch(empty, 4)) == []


def test_errors_that_need_worker_processes_are_not_raised(images):
    loader = DataLoader(images, 4, num_workers=0, prefetch_factor=3, persistent_workers=True)
    assert (loader.num_workers, loader.prefetch_factor) == (0, 3)
    assert loader.persistent_workers and order_of(loader) == list(range(11))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DataLoader(images, num_workers=500)


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        ({"prefetch_factor": 0}, ValueError, "prefetch_factor must be at least 1"),
        ({"multiprocessing_context": "spawn"}, ValueError, "starts no process"),
        ({"rank": 1}, ValueError, "without world_size="),
        ({"world_size": 2}, ValueError, "without rank="),
        ({"rank": 2, "world_size": 2}, ValueError, r"not in \[0, 2\)"),
        ({"rank": 0, "world_size": 0}, ValueError, "at least 1"),
        ({"channels_last": "yes"}, TypeError, "channels_last must be True or False, not .yes."),
        ({"limits": {"max_scans": 3}}, TypeError, "limits must be a ringfeed.DecodeLimits"),
        ({"read_ahead_bytes": 0}, ValueError, "read_ahead_bytes must be in"),
        ({"read_ahead_bytes": 1 << 64}, ValueError, "read_ahead_bytes must be in"),
        ({"read_ahead_bytes": (1 << 40) + 1}, ValueError, "read_ahead_bytes must be in"),
        ({"read_ahead_bytes": 1}, ValueError, "^read_ahead_bytes must be in .262144, "),
        ({"read_ahead_bytes": "1M"}, TypeError, "read_ahead_bytes, in bytes, must be a whole"),
        ({"depth": 0}, ValueError, r"depth must be in \[1, 16384\]"),
        ({"depth": 16385}, ValueError, r"depth must be in \[1, 16384\]"),
        ({"depth": 1.5}, TypeError, "depth must be a whole number"),
        ({"reader": "mmap"}, ValueError, 'reader must be "auto", "ring" or "pool", not \'mmap\''),
        ({"memory_limit": 0}, ValueError, "memory_limit must be in"),
        ({"memory_limit": 1 << 64}, ValueError, "memory_limit must be in"),
        ({"seed": -1}, ValueError, "seed must be in"),
        ({"seed": "1"}, TypeError, "seed must be a whole number, not '1'"),
        ({"memory_limit": "1GB"}, TypeError, "memory_limit, in bytes, must be a whole number"),
        ({"rank": 0.5, "world_size": 2}, TypeError, "rank must be a whole number"),
        ({"num_workers": 1025}, ValueError, r"num_workers must be in \[0, 1024\].* 0 means the"),
        ({"num_workers": -1}, ValueError, r"in \[0, 1024\], not -1: it counts decode threads"),
        ({"num_workers": "4"}, TypeError, "num_workers must be a whole number, not '4'"),
        ({"batch_size": "8"}, ValueError, "batch_size must be a positive whole number.*, not '8'"),
    ],
)
def test_what_cannot_apply_is_refused_with_the_reason(images, kwargs, error, text):
    with pytest.raises(error, match=text):
        DataLoader(images, native=True, **kwargs)


@pytest.mark.parametrize("given", [0, None])
def test_workers_and_prefetching_that_were_left_open_read_as_torch_s_do(images, given):
    theirs = Torch(images, num_workers=0)
    for loader in (ours := DataLoader(images, num_workers=given)), copy.copy(ours):
        assert loader.num_workers == theirs.num_workers == 0
        assert loader.prefetch_factor is theirs.prefetch_factor is None
        assert f"num_workers=0 ({_ringfeed.usable_cores()} here)" in repr(loader)
    for kind in (Torch, DataLoader):
        loader = kind(images, num_workers=3)
        assert (loader.num_workers, loader.prefetch_factor) == (3, 2)


def test_an_iterable_dataset_is_refused_by_name():
    class Endless(IterableDataset):
        def __iter__(self):
            return iter(())

    with pytest.raises(TypeError, match="Endless, an IterableDataset"):
        DataLoader(Endless(), native=True)


def test_two_shardings_are_refused(images):
    sampler = DistributedSampler(images, num_replicas=2, rank=0)
    text = "already sharded by rank=; drop it or pass Trainer(use_distributed_sampler=False)"
    for kwargs in {"sampler": sampler}, {"batch_sampler": BatchSampler(sampler, 2, False)}:
        with pytest.raises(ValueError) as error:
            DataLoader(images, rank=0, world_size=2, **kwargs)
        assert str(error.value) == text


def test_it_can_be_subscripted(images):
    assert issubclass(DataLoader, Torch)
    assert len(DataLoader[int](images, 4)) == 3


OWN = {"seed": 7, "memory_limit": 1 << 40, "reader": "pool", "dtype": torch.float16}
OWN |= {"channels_last": True, "pillow": "12"}


def batches_of_four(order):
    return sorted(order[k : k + 4] for k in range(0, len(order), 4))


@pytest.mark.parametrize("shuffle", [False, True])
def test_lightning_makes_the_loader_again_from_its_attributes(images, shuffle):
    loader = DataLoader(
        images, 4, shuffle=shuffle, num_workers=2, timeout=9, drop_last=True, in_order=False, **OWN
    )
    # Handed back as Fabric does: still no sampler of the caller's.
    again = lightning_data._update_dataloader(loader, loader.sampler)
    for name in (*OWN, "batch_size", "num_workers", "timeout", "drop_last", "in_order"):
        assert getattr(again, name) == getattr(loader, name), name
    in_order = DataLoader(images, 4, shuffle=shuffle, drop_last=True, **OWN)
    # Batches come as they are ready: the same ones, in any order.
    assert batches_of_four(order_of(again)) == batches_of_four(order_of(in_order))
    assert isinstance(again.sampler, RandomSampler) == shuffle


def test_lightning_injects_a_distributed_sampler(images):
    loader = DataLoader(images, 4, shuffle=True, **OWN)
    sampler = DistributedSampler(images, num_replicas=2, rank=1, seed=3)
    again = lightning_data._update_dataloader(loader, sampler)
    assert again.sampler is sampler and again.seed == 7
    assert order_of(again) == list(sampler)
    with pytest.raises(ValueError, match="already sharded"):
        lightning_data._update_dataloader(DataLoader(images, rank=0, world_size=2), sampler)


def test_lightning_overfits_in_sequential_order(images):
    loader = DataLoader(images, 4, shuffle=True)
    again = lightning_data._update_dataloader(loader, SequentialSampler(images))
    assert order_of(again) == list(range(11))


@pytest.mark.parametrize("within_hook", [False, True])
def test_lightning_sees_the_indices_that_it_predicts(images, within_hook):
    def make_loader():
        return DataLoader(images, batch_size=4, drop_last=True, num_workers=2)

    if within_hook:
        from lightning.fabric.utilities.data import _replace_dunder_methods

        with _replace_dunder_methods(Torch, "dataset"), _replace_dunder_methods(BatchSampler):
            loader = make_loader()
    else:
        loader = make_loader()
    again = lightning_data._update_dataloader(loader, loader.sampler, RunningStage.PREDICTING)
    assert isinstance(again.batch_sampler, _IndexBatchSamplerWrapper)
    assert order_of(again) == list(range(11))
    assert again.batch_sampler.seen_batch_indices == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
