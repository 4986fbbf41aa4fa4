"""What a loader's batches take: memory for what they hold, whatever batch_size says."""

from __future__ import annotations

import re
import subprocess

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


# Loads images of side x side in forked children that may have so many MiB of address space more.
WITHIN = """
import os, resource, sys
from pathlib import Path
from torchvision import transforms
from ringfeed import DataLoader, DecodeLimits
from ringfeed.datasets import ImageFolder

def within(mib, side, options):
    recipe = transforms.Compose([transforms.Resize((side, side)), transforms.ToTensor()])
    dataset = ImageFolder(sys.argv[1], recipe, use_cache=False)
    if os.fork():
        return os.wait()
    more = int(Path("/proc/self/statm").read_text().split()[0]) * 4096 + (mib << 20)
    resource.setrlimit(resource.RLIMIT_AS, (more, more))
    try:
        batches = list(DataLoader(dataset, **{"num_workers": 1, "reader": "pool", **options}))
        print(len(batches), "batches", flush=True)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
    os._exit(0)

little = {"read_ahead_bytes": 1 << 18}
least = {**little, "limits": DecodeLimits(max_file_bytes=1 << 16)}
within(4, 32, {"read_ahead_bytes": 1 << 30})
within(20, 32, little)
within(4, 32, {**least, "num_workers": 100})  # more than there are stacks of the parent's threads
within(44, 2000, least)
within(2000, 32, least)
"""


def test_what_a_limit_on_memory_leaves_no_room_for_is_named_with_what_to_lower(tmp_path):
    make(tmp_path / "folder" / "a", COUNT)
    limit = ", or raise the process's limit on memory (ulimit -v, the container's)"
    lines = run_python(WITHIN, tmp_path / "folder").splitlines()
    numbers = [re.sub(r"\d{4,}", "N", line).replace(limit, "") for line in lines]
    assert numbers == [
        "MemoryError: no address space for the N bytes that are read ahead; lower read_ahead_bytes",
        "MemoryError: no address space for the N bytes kept for one large file; lower "
        "limits=ringfeed.DecodeLimits(max_file_bytes=...)",
        "LoadError: setup: Resource temporarily unavailable: no thread can be started; raise the "
        "limit on threads (ulimit -u, the container's pids) or on memory (ulimit -v), or lower "
        "num_workers",
        "MemoryError: no memory for a batch of N bytes; lower batch_size or prefetch_factor",
        f"{COUNT} batches",
    ]
    assert sum(limit in line for line in lines) == 3


@pytest.fixture
def short_of_memory(tmp_path):
    """short_of_memory(mib): the command that runs another where the machine has so much left."""

    def prefix(mib):
        fake = tmp_path / "meminfo"
        fake.write_text(f"MemTotal: 8388608 kB\nMemAvailable: {mib << 10} kB\nSwapFree: 0 kB\n")
        mount = 'mount --bind "$0" /proc/meminfo && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", mount, str(fake)]

    if subprocess.run([*prefix(1), "true"], capture_output=True).returncode:
        pytest.skip("mounting needs privileges")
    return prefix


# Loads images of side x side, and prints what the loader has chosen or what it says.
SHORT = """
import sys
from torchvision import transforms
from ringfeed import DataLoader
from ringfeed.datasets import ImageFolder

folder, side, options = sys.argv[1], int(sys.argv[2]), eval(sys.argv[3])
again = options.pop("again", False)
recipe = transforms.Compose([transforms.Resize((side, side)), transforms.ToTensor()])
loader = DataLoader(ImageFolder(folder, recipe, use_cache=False), **{"num_workers": 1, **options})
if again:  # as a library does that builds a loader of its attributes
    names = ("dataset", "batch_size", "num_workers", "prefetch_factor")
    loader = DataLoader(**{name: vars(loader)[name] for name in names})
try:
    for batch in loader:
        pass
    stats = loader.stats()
    print(stats["prefetch_factor"], stats["read_ahead_bytes"], loader.prefetch_factor)
except MemoryError as error:
    print(error)
"""


@pytest.fixture
def short(tmp_path, short_of_memory):
    make(tmp_path / "folder" / "a", COUNT)

    def run(mib, side, **options):
        prefix = short_of_memory(mib)
        return run_python(SHORT, tmp_path / "folder", side, options, prefix=prefix).strip()

    return run


def test_defaults_take_a_part_of_the_memory_that_is_left(short):
    assert short(8000, 32) == f"2 {32 << 20} 2"
    assert short(4, 32) == f"2 {1 << 20} 2"
    assert short(4, 32, batch_size=COUNT, num_workers=0).startswith("2 ")
    assert short(4, 256, batch_size=2) == f"1 {1 << 20} 2"
    assert short(4, 256, batch_size=2, again=True) == f"1 {1 << 20} 2"
    assert short(4, 256, batch_size=2, prefetch_factor=2, again=True) == f"2 {1 << 20} 2"
    assert short(4, 256, batch_size=2, prefetch_factor=2, read_ahead_bytes=2 << 20) == (
        f"2 {2 << 20} 2"
    )
    assert short(4, 256, batch_size=2, memory_limit=1 << 30).startswith("2 ")


def test_batches_beyond_the_memory_are_an_error_that_names_what_to_lower(short):
    of_them = rf" bytes, and of the {8 << 30} bytes that this machine has, \d+ are left; lower "
    more = ", or make more memory available$"
    one = short(40, 2000)
    assert re.match(r"a batch takes \d+" + of_them + "batch_size" + more, one)
    three = short(130, 2000, prefetch_factor=3)
    assert re.match(
        r"3 batches are held at once, each of \d+"
        + of_them
        + "batch_size or prefetch_factor"
        + more,
        three,
    )
    assert short(160, 2000).startswith("1 "), "what fits is loaded"
    assert short(40, 2000, batch_size=1, memory_limit=1 << 40).startswith("2 ")
