"""Repeated augmentation: the order is torchvision's and timm's, every repetition its own crop."""

from __future__ import annotations

import collections
import itertools
import math

import numpy as np
import pytest
import torch

from ringfeed import DataLoader, RepeatedAugmentationSampler
from small_images import make, order_of

COUNT = 300


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make(tmp_path_factory.mktemp("images"), COUNT)


def torchvisions_rule(permutation, ranks, rank, repetitions):
    """What RASampler of torchvision's references gives of a permutation."""
    count = len(permutation)
    total = math.ceil(count * repetitions / ranks) * ranks
    repeated = [index for index in permutation for _ in range(repetitions)]
    repeated += repeated[: total - len(repeated)]
    return repeated[rank:total:ranks][: count // 256 * 256 // ranks]


@pytest.mark.parametrize("count", [256, 300, 1000])
@pytest.mark.parametrize("repeats", [1, 3, 4])
@pytest.mark.parametrize("ranks", [1, 2, 3, 8, 100])
def test_the_order_is_that_of_torchvisions_references(count, repeats, ranks):
    data = range(count)
    for rank, seed, epoch in itertools.product((0, ranks - 1), (0, 5), (0, 3)):
        sampler = RepeatedAugmentationSampler(data, ranks, rank, seed=seed, repeats=repeats)
        sampler.set_epoch(epoch)
        generator = torch.Generator().manual_seed(seed + epoch)
        permutation = torch.randperm(count, generator=generator).tolist()
        wanted = torchvisions_rule(permutation, ranks, rank, repeats)
        assert list(sampler) == wanted
        assert len(sampler) == len(wanted)
        sampler = RepeatedAugmentationSampler(data, ranks, rank, shuffle=False, repeats=repeats)
        assert list(sampler) == torchvisions_rule(list(data), ranks, rank, repeats)


@pytest.mark.parametrize("count", [3, 100, 255, 256, 1000])
@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
def test_the_order_is_timms(count, ranks):
    pytest.importorskip("timm", minversion="1.0.31")  # rounded otherwise before
    timm = pytest.importorskip("timm.data.distributed_sampler")
    for rank, repeats, epoch in itertools.product((0, ranks - 1), (2, 3), (0, 3)):
        theirs = timm.RepeatAugSampler(range(count), ranks, rank, num_repeats=repeats)
        ours = RepeatedAugmentationSampler(range(count), ranks, rank, repeats=repeats)
        theirs.set_epoch(epoch)
        ours.set_epoch(epoch)
        assert list(ours) == list(theirs)
        assert len(ours) == len(theirs)


def test_repetitions_come_in_one_global_batch_each_with_its_own_crop(images):
    ranks, repeats, size = 2, 4, 8
    crops = collections.defaultdict(set)
    batches = collections.defaultdict(set)
    pixels = collections.defaultdict(list)
    for rank in range(ranks):
        sampler = RepeatedAugmentationSampler(images, ranks, rank, seed=1, repeats=repeats)
        with DataLoader(images, size, sampler=sampler, num_workers=1) as loader:
            rows = loader.draws(0)
            samples = [image for images, _ in loader for image in images]
        assert (rows["position"] == np.arange(len(rows)) * ranks + rank).all()
        for k, (row, image) in enumerate(zip(rows, samples, strict=True)):
            index = int(row["index"])
            crops[index].add(tuple(row[["top", "left", "height", "width", "hflip"]]))
            batches[index].add(k // size)
            pixels[index].append(image)
    assert len(crops) == 256 // repeats
    # A handful of these few pixels may be cut alike.
    assert sum(len(found) == repeats for found in crops.values()) > 0.95 * len(crops)
    assert all(len(found) == 1 for found in batches.values())
    assert all(len(found) == repeats for found in pixels.values())
    alike = sum(torch.equal(a, b) for a, b, *_ in pixels.values())
    assert alike < 0.05 * len(pixels)


def test_an_epoch_goes_on_in_its_middle(images):
    def loader(repeats=3):
        sampler = RepeatedAugmentationSampler(images, 2, 1, seed=4, repeats=repeats)
        return DataLoader(images, 8, sampler=sampler, num_workers=2)

    first, second = loader(), loader()
    first.set_epoch(5)
    given = iter(first)
    for _ in range(7):
        next(given)
    state = first.state_dict()
    rest = list(given)
    assert len(rest) == 128 // 8 - 7
    second.load_state_dict(state)
    for (got, labels), (wanted, wanted_labels) in zip(second, rest, strict=True):
        assert torch.equal(got, wanted) and torch.equal(labels, wanted_labels)
    assert second.state_dict()["epoch"] == 6
    with pytest.raises(ValueError, match="repeats=3"):
        loader(repeats=4).load_state_dict(state)


def test_set_epoch_gives_other_images(images):
    sampler = RepeatedAugmentationSampler(images)
    assert (sampler.num_replicas, sampler.rank, sampler.repeats) == (1, 0, 3)
    with DataLoader(images, 8, sampler=sampler, num_workers=1) as loader:
        orders = [order_of(loader)]
        loader.set_epoch(1)
        orders.append(order_of(loader))
        sampler.set_epoch(0)
        orders.append(order_of(loader))
    assert orders[0] == orders[2] != orders[1]
    assert "RepeatedAugmentationSampler(shuffle=True, seed=0, repeats=3)" in repr(loader)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"repeats": 0}, ValueError, "repeats must be at least 1"),
        ({"repeats": 1.5}, TypeError, "repeats must be a whole number"),
        ({"num_replicas": 2, "rank": 2}, ValueError, "rank"),
        ({"num_replicas": 2}, ValueError, "num_replicas and rank go together"),
        ({"rank": 1}, ValueError, "num_replicas and rank go together"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        RepeatedAugmentationSampler(range(9), **options)
