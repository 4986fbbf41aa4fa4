"""Iterating a DataLoader: what torch's would do, with the same dataset."""

from __future__ import annotations

import contextlib
import copy
import gc
import pickle
import random
import subprocess
import sys
import threading
import warnings
import weakref
from pathlib import Path

import pytest
import torch
import torch.utils.data
import torchvision
from torch.utils.data import BatchSampler, Subset

from native import run_python
from ringfeed import _tensors
from ringfeed.datasets import ImageList
from ringfeed.errors import LoadError
from ringfeed.loader import DataLoader
from small_images import CROP, PLAIN, make, order_of

Torch = torch.utils.data.DataLoader
COUNT = 23


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("images")


@pytest.fixture
def images(folder):
    return make(folder, COUNT)


@pytest.fixture
def plain(folder):
    return make(folder, COUNT, PLAIN)


def equal(ours, theirs):
    assert type(ours) is type(theirs) is list
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)


@pytest.mark.parametrize("batch_size", [1, 5, 23, 40])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_are_torch_s(plain, batch_size, drop_last, reader):
    ours = DataLoader(plain, batch_size, drop_last=drop_last, reader=reader)
    theirs = Torch(plain, batch_size, drop_last=drop_last)
    assert len(ours) == len(iter(ours)) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        equal(mine, other)


def test_an_image_folder_of_torchvision_and_a_subset_of_it(sample):
    dataset = torchvision.datasets.ImageFolder(
        sample / "val", torchvision.transforms.Compose([PLAIN.transforms[0], PLAIN.transforms[1]])
    )
    part = Subset(Subset(dataset, range(0, len(dataset), 3)), [5, 3, 3, -1])
    equal(next(iter(DataLoader(part, 4))), next(iter(Torch(part, 4))))
    sampled = DataLoader(part, 2, sampler=[2, -1, 0])
    for mine, other in zip(sampled, Torch(part, 2, sampler=[2, -1, 0]), strict=True):
        equal(mine, other)


def test_without_batches_single_samples_come_as_torch_converts_them(plain):
    for mine, other in zip(DataLoader(plain, None), Torch(plain, None), strict=True):
        assert type(mine) is type(other) is list and type(mine[1]) is type(other[1]) is int
        assert torch.equal(mine[0], other[0]) and mine[1] == other[1]


@pytest.mark.parametrize(
    "target",
    [
        lambda label: label + 1,
        lambda label: label / 2,
        lambda label: torch.full((3,), label),
        lambda label: {"name": str(label), "pair": (label, -label)},
        str,
    ],
)
@pytest.mark.parametrize("batch_size", [4, None])
def test_target_transform_s_results_are_collated_as_torch_does(folder, target, batch_size):
    images = make(folder, COUNT, PLAIN, target_transform=target)
    for mine, other in zip(DataLoader(images, batch_size), Torch(images, batch_size), strict=True):
        assert type(mine[1]) is type(other[1]) and str(mine[1]) == str(other[1])


def test_channels_last_and_half_precision(plain):
    loader = DataLoader(plain, 4, channels_last=True, dtype=torch.bfloat16)
    images = next(iter(loader))[0]
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, next(iter(Torch(plain, 4)))[0].to(torch.bfloat16))


def test_nothing_starts_before_the_first_next(images):
    threads = set(Path("/proc/self/task").iterdir())
    loader = DataLoader(images, 4, shuffle=True, seed=1)
    discarded, batches = iter(loader), iter(loader)
    # Not their number: a thread of another test's may end meanwhile.
    assert set(Path("/proc/self/task").iterdir()) <= threads
    loader.set_epoch(3)
    expected = DataLoader(images, 4, shuffle=True, seed=1)
    expected.set_epoch(3)
    assert order_of(batches) == order_of(expected)
    assert discarded is not batches


def test_each_iterator_that_yields_takes_the_next_epoch(images):
    loader = DataLoader(images, 4, shuffle=True, seed=1)
    seen = [order_of(loader)]
    iter(loader)
    next(iter(loader))  # abandoned
    seen.append(order_of(loader))
    for epoch, order in zip((0, 2), seen):
        assert order == loader.draws(epoch)["index"].tolist()
        assert sorted(order) == list(range(COUNT))
    again = DataLoader(images, 4, shuffle=True, seed=1)
    again.set_epoch(2)
    assert order_of(again) == seen[1]
    again.sampler.set_epoch(0)
    assert order_of(again) == seen[0]


@pytest.mark.parametrize("persistent", [False, True])
def test_an_abandoned_iterator_disturbs_nothing(images, persistent):
    loader = DataLoader(images, 2, seed=1, shuffle=True, persistent_workers=persistent)
    for _ in range(5):
        next(iter(loader))
    assert order_of(loader) == loader.draws(5)["index"].tolist()


def test_two_iterators_at_once_read_independently(images):
    loader = DataLoader(images, 4, seed=1, shuffle=True)
    older, newer = iter(loader), iter(loader)
    orders = [], []
    for first, second in zip(older, newer, strict=True):
        orders[0].extend(first[1].tolist())
        orders[1].extend(second[1].tolist())
    assert [list(loader.draws(e)["index"]) for e in (0, 1)] == [orders[0], orders[1]]


def test_persistent_workers_give_the_same_iterator_reset(images):
    for kind in (Torch, DataLoader):
        workers = {"num_workers": 1, "persistent_workers": True}
        loader = kind(images, 4, **workers)
        first = iter(loader)
        before = next(first)[1].tolist()
        again = iter(loader)
        assert again is first
        assert next(again)[1].tolist() == before
        assert order_of(loader) == list(range(COUNT))
        del first, again
    other = DataLoader(images, 4)
    assert iter(other) is not iter(other)


@pytest.mark.parametrize("persistent", [False, True])
def test_a_loader_is_gone_with_its_last_name(images, persistent):
    gc.disable()
    try:
        loader = DataLoader(images, 4, persistent_workers=persistent)
        next(iter(loader))
        gone = weakref.ref(loader)
        del loader
        assert gone() is None
    finally:
        gc.enable()
    # And an iterator outlives the name of its loader.
    assert order_of(iter(DataLoader(images, 4, persistent_workers=persistent))) == list(range(23))


def test_an_exhausted_iterator_stays_exhausted(images):
    batches = iter(DataLoader(images, 23))
    next(batches)
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(batches)


def test_out_of_order_gives_the_same_batches(images):
    ours = DataLoader(images, 3, in_order=False, seed=1, shuffle=True)
    batches = sorted(labels.tolist() for _, labels in ours)
    ordered = DataLoader(images, 3, seed=1, shuffle=True)
    assert batches == sorted(labels.tolist() for _, labels in ordered)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("workers", [{}, {"num_workers": 1, "persistent_workers": True}])
def test_torch_s_random_stream_is_what_it_is_with_torch_s_loader(plain, shuffle, workers):
    states = []
    for kind in (Torch, DataLoader):
        torch.manual_seed(5)
        loader = kind(plain, 4, shuffle=shuffle, **workers)
        for _ in range(2):
            list(loader)
        next(iter(loader))
        states.append((torch.initial_seed(), torch.random.get_rng_state()))
    assert states[0][0] == states[1][0] and torch.equal(states[0][1], states[1][1])


def test_a_generator_gives_the_seed_and_the_default_is_left_alone(images):
    def with_seed(seed):
        before = torch.random.get_rng_state()
        loader = DataLoader(images, 4, True, generator=torch.Generator().manual_seed(seed))
        order = order_of(loader)
        assert torch.equal(before, torch.random.get_rng_state())
        return order

    assert with_seed(1) == with_seed(1) != with_seed(2)


def test_a_bad_file_raises_at_its_batch_and_the_rest_follows(tmp_path, reader):
    images = make(tmp_path, 6)
    (tmp_path / "002.jpg").write_bytes(b"no picture")
    batches = iter(DataLoader(images, 2, reader=reader))
    assert next(batches)[1].tolist() == [0, 1]
    with pytest.raises(LoadError, match="002.jpg"):
        next(batches)
    assert next(batches)[1].tolist() == [4, 5]


def test_close_ends_iterators_and_the_loader_can_begin_again(images):
    with DataLoader(images, 2, persistent_workers=True) as loader:
        batches = iter(loader)
        next(batches)
        loader.close()
        assert list(batches) == []
    assert order_of(loader) == list(range(COUNT))


def test_transforms_changed_meanwhile_count_from_the_next_iterator_on(folder):
    images = make(folder, COUNT, PLAIN)
    loader = DataLoader(images, 4, seed=1)
    before = next(iter(loader))[0]
    images.transform = torchvision.transforms.Compose(
        [*PLAIN.transforms, torchvision.transforms.Normalize(0.5, 0.5)]
    )
    assert not torch.equal(next(iter(loader))[0], before)
    equal(next(iter(loader)), next(iter(Torch(images, 4))))


def test_a_subset_changed_meanwhile_counts_from_the_next_iterator_on(images, folder):
    part = Subset(Subset(images, range(9)), [0, 1, 2])
    loader = DataLoader(part, 3)
    assert order_of(loader) == [0, 1, 2]
    part.indices = [5, 6, 7]
    assert order_of(loader) == [5, 6, 7]
    part.dataset.indices = range(9, 18)
    assert order_of(loader) == [14, 15, 16]
    part.dataset.dataset = ImageList([path for path, _ in images.samples], [9] * COUNT, CROP)
    assert order_of(loader) == [9, 9, 9]


def test_pin_memory_without_an_accelerator_warns_as_torch_at_the_first_next(images):
    options = {"pin_memory": True, "pin_memory_device": "cuda"}
    with warnings.catch_warnings(record=True) as theirs:
        warnings.simplefilter("always")
        iter(Torch(images, **options))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batches = iter(DataLoader(images, **options))
    with warnings.catch_warnings(record=True) as ours:
        warnings.simplefilter("always")
        next(batches)
    assert [str(w.message) for w in ours] == [str(w.message) for w in theirs]
    assert {w.filename for w in ours} == {__file__}


def test_an_error_leaves_no_cycle_behind(tmp_path):
    dataset = make(tmp_path, 4, PLAIN)
    (tmp_path / "001.jpg").unlink()
    loader = DataLoader(dataset, 2, num_workers=1)
    gone = weakref.ref(loader)
    gc.collect()
    gc.disable()
    try:
        batches = iter(loader)
        with contextlib.suppress(LoadError):
            next(batches)
        del loader, batches
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("channels_last", [False, True])
def test_batches_made_in_pinned_memory(plain, monkeypatch, channels_last):
    def page_locked(size):  # as _tensors.page_locked(), where nothing can be locked
        memory = torch.empty(size, dtype=torch.uint8)
        return memory, memory.data_ptr()

    monkeypatch.setattr(_tensors, "page_locked", page_locked)
    monkeypatch.setattr(_tensors, "should_pin", lambda *_: True)
    monkeypatch.setattr(_tensors, "pin", lambda labels: labels)
    ours = DataLoader(plain, 5, pin_memory=True, channels_last=channels_last, dtype=torch.float16)
    for mine, (images, labels) in zip(ours, Torch(plain, 5), strict=True):
        equal(mine, [images.to(torch.float16), labels])
        if channels_last:
            assert mine[0].is_contiguous(memory_format=torch.channels_last)


def test_stats_and_repr_say_what_there_is(images):
    loader = DataLoader(images, 4, seed=9, shuffle=True, num_workers=2)
    assert "nothing has been read" in str(loader.stats())
    batches = list(loader)
    stats = loader.stats()
    assert stats["batches"] == 6 and stats["held_batches"] >= len(batches)
    assert stats["read"]["count"] == stats["decode"]["count"] == COUNT
    assert stats["next_cpu_ms"] > 0 and stats["memory_bound"] > 0
    # Each line, with those below it, is of what it begins with.
    heads = [line.partition(":")[0] for line in str(stats).splitlines() if line[0] != " "]
    assert heads == ["all epochs", "all loaders of the process", "the present threads"]
    assert f"6 batches, {stats['next_cpu_ms']:.2f} ms CPU in next() each" in str(stats)
    assert "2 batches ahead" in str(stats)
    for part in ("23 images", "batch_size=4", "num_workers=2", "shuffled", "seed=9", "epoch=1"):
        assert part in repr(loader)


@pytest.mark.parametrize(
    "copier", [copy.copy, copy.deepcopy, lambda loader: pickle.loads(pickle.dumps(loader))]
)
def test_a_copy_goes_on_where_the_loader_stands(images, copier):
    for options in ({"generator": torch.Generator().manual_seed(3)}, {"seed": 3}):
        loader = DataLoader(images, 4, shuffle=True, **options)
        batches = iter(loader)
        next(batches), next(batches)
        other = copier(loader)
        rest = [labels.tolist() for _, labels in batches]
        assert [labels.tolist() for _, labels in other] == rest
    assert order_of(other) == order_of(loader)
    other.sampler.set_epoch(0)
    assert order_of(other) != order_of(loader)
    other.set_epoch(9)
    assert loader.state_dict()["epoch"] == 3 and other.state_dict()["epoch"] == 9
    assert other.batch_sampler.sampler is other.sampler


def test_a_copy_over_a_batch_sampler_keeps_its_own_epoch(images):
    loader = DataLoader(images, batch_sampler=BatchSampler(range(len(images)), 4, False))
    other = copy.copy(loader)
    other.sampler.set_epoch(9)
    assert loader.state_dict()["epoch"] == 0
    iter(loader)
    assert loader.state_dict()["epoch"] == 0


def test_it_goes_to_a_spawned_process(images):
    loader = DataLoader(images, 4, shuffle=True, seed=2, num_workers=0)
    next(batches := iter(loader))
    script = (
        "import pickle, sys; loader = pickle.load(sys.stdin.buffer);"
        "print([int(i) for _, labels in loader for i in labels])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=pickle.dumps(loader),
        stdout=subprocess.PIPE,
        check=True,
        cwd=Path(__file__).parent,
    )
    assert eval(done.stdout) == order_of(batches)


@pytest.mark.parametrize("persistent", [False, True])
def test_a_script_ends_with_loader_and_iterator_in_its_globals(images, folder, persistent):
    script = f"""
from pathlib import Path
from small_images import make
from ringfeed import DataLoader
loader = DataLoader(make(Path({str(folder)!r}), {COUNT}), 4, persistent_workers={persistent})
batches = iter(loader)
next(batches)
"""
    assert run_python(script) == ""


def test_stats_and_close_from_another_thread(images):
    loader = DataLoader(images, 1)
    batches = iter(loader)
    next(batches)
    thread = threading.Thread(target=lambda: (loader.stats(), loader.close()))
    thread.start()
    thread.join()
    assert list(batches) == []


def test_stats_may_be_asked_while_the_iterator_lets_go_of_the_core(images):
    batches = iter(DataLoader(images, 4))
    next(batches)
    run = batches._record

    class Core:
        memory_bound = 7

        def stats(self):
            run._core = None  # release() on the iterator's thread, between two steps of this one
            return {}

    run._core = Core()
    assert run.stats() == {"memory_bound": 7}


def test_draws_tell_every_crop_and_flip(folder):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    images = make(folder, COUNT, CROP)
    loader = DataLoader(images, 5, shuffle=True, drop_last=True, seed=seed)
    loader.set_epoch(4)
    rows = loader.draws(4)
    pictures = [image for batch, _ in loader for image in batch]
    assert len(rows) == len(pictures) == 20
    back = torchvision.transforms.functional
    for row, picture in zip(rows, pictures):
        with open(images.samples[row["index"]][0], "rb") as file:
            image = torchvision.datasets.folder.Image.open(file).convert("RGB")
        box = [int(row[name]) for name in ("top", "left", "height", "width")]
        image = back.resized_crop(image, *box, [8, 8])
        image = back.hflip(image) if row["hflip"] else image
        assert torch.equal(back.to_tensor(image), picture)
