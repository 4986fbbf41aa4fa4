"""What a loader's batches take: memory for what they hold, whatever batch_size says."""

from __future__ import annotations

import pytest
import torch
import torch.utils.data
from torch.utils.data import BatchSampler, DistributedSampler, RandomSampler, SequentialSampler

from native import run_python
from ringfeed import DataLoader
from small_images import make, order_of

COUNT = 10


class Endless(torch.utils.data.Sampler):
    """Without a length."""

    def __iter__(self):
        return iter(range(COUNT))


@pytest.fixture
def images(tmp_path):
    return make(tmp_path / "images", COUNT)


def bound(dataset, batch_size, **options) -> int:
    loader = DataLoader(dataset, batch_size, num_workers=1, **options)
    assert next(iter(loader), None) is not None
    return loader.stats()["memory_bound"]


@pytest.mark.parametrize("size", [COUNT, COUNT + 1, 1_000_000, 10**12], ids=str)
@pytest.mark.parametrize("drop_last", [False, True])
def test_a_batch_size_beyond_the_dataset_is_as_in_torch(images, size, drop_last):
    samplers = (
        lambda: None,
        lambda: DistributedSampler(images, num_replicas=3, rank=1, shuffle=False),
        lambda: SequentialSampler(images),
        Endless,
    )
    if drop_last:
        size = min(size, 1_000_000)  # for torch makes a list of that many
    for make_sampler in samplers:
        found = [
            order_of(kind(images, size, sampler=make_sampler(), drop_last=drop_last))
            for kind in (DataLoader, torch.utils.data.DataLoader)
        ]
        assert found[0] == found[1]
        whole = [
            order_of(kind(images, batch_sampler=BatchSampler(sampler, size, drop_last)))
            for kind in (DataLoader, torch.utils.data.DataLoader)
            for sampler in [make_sampler() or SequentialSampler(images)]
        ]
        assert whole[0] == whole[1]


@pytest.mark.parametrize("size", [COUNT + 1, 1_000_000, 10**12], ids=str)
def test_a_batch_size_beyond_the_dataset_takes_memory_for_what_there_is(images, size):
    for options, samples in (
        ({"shuffle": True}, COUNT),
        ({"rank": 1, "world_size": 3}, 4),
        ({"sampler": DistributedSampler(images, num_replicas=3, rank=1)}, 4),
        ({"sampler": RandomSampler(images)}, COUNT),
        ({"sampler": Endless()}, COUNT),
    ):
        least = bound(images, samples, **options)
        assert bound(images, size, **options) == least
        if "sampler" not in options:  # and is checked for no more in the constructor
            DataLoader(images, size, num_workers=1, memory_limit=least, **options)


# Keeps every batch of one image of 32 x 32, and prints how much the process has grown.
KEPT = """
import sys
from pathlib import Path
import torch, torch.utils.data
from torchvision import transforms
from ringfeed import DataLoader
from ringfeed.datasets import ImageList

folder, kind, batches = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
paths = sorted(folder.iterdir())
paths = [paths[k % len(paths)] for k in range(batches)]
recipe = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])
dataset = ImageList(paths, range(batches), recipe)

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

kinds = {"torch": torch.utils.data.DataLoader, "ringfeed": DataLoader}
loader = kinds[kind](dataset, batch_size=1)
iterator = iter(loader)
kept = [next(iterator) for _ in range(500)]
before = resident()
kept += iterator
print((resident() - before) // (batches - 500))
assert [int(labels[0]) for _, labels in kept] == list(range(batches))
"""


def test_ten_thousand_kept_batches_cost_what_torch_s_do(tmp_path):
    make(tmp_path, 50)
    cost = int(run_python(KEPT, tmp_path, "ringfeed", 10_000))
    assert cost < 1.3 * int(run_python(KEPT, tmp_path, "torch", 1500))
