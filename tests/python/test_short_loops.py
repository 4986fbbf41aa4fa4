"""Loops that take a batch and leave, or keep many loaders: nothing grows by them."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter

import pytest
import torch.utils.data

from ringfeed import DataLoader
from small_images import make

COUNT = 64


@pytest.fixture
def images(tmp_path):
    return make(tmp_path / "images", COUNT)


def peek(images, reader):
    """next(iter()) of one loader."""
    loader = DataLoader(images, 4, shuffle=True, num_workers=2, reader=reader)
    while True:
        next(iter(loader))
        yield


def in_turn(images, reader):
    """A batch of each of many small loaders, again and again."""
    parts = [torch.utils.data.Subset(images, range(i, i + 8)) for i in range(30)]
    loaders = [DataLoader(part, 2, num_workers=2, reader=reader) for part in parts]
    while True:
        for loader in loaders:
            next(iter(loader))
        yield


def anew(images, reader):
    """A loader made for a single batch."""
    while True:
        next(iter(DataLoader(images, 4, num_workers=2, reader=reader)))
        yield


def running(images, reader):
    """Several epochs under way at once."""
    loaders = [DataLoader(images, 8, num_workers=2, reader=reader) for _ in range(10)]
    while True:
        for batches in zip(*loaders, strict=True):
            assert len(batches) == len(loaders)
        yield


def held(whole):
    """Threads and descriptors of this process; `whole` without those that come and go with reads:
    the pool's threads, the kernel's workers, open files."""
    names = []
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/comm") as comm:
            names.append(comm.read())
    links = []
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    if whole:
        return Counter(threads=len(names), descriptors=len(links))
    passing = ("rf-read-", "iou-")
    return Counter(
        threads=sum(not name.startswith(passing) for name in names),
        descriptors=sum(not link.endswith(".jpg") for link in links),
    )


def settles(condition):
    """Whether it comes to hold: threads that have ended are listed a moment longer."""
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


@pytest.mark.parametrize("loop", [peek, in_turn, anew, running])
def test_loops_that_take_little_leave_no_threads_and_no_descriptors(images, reader, loop):
    before = held(whole=True)
    rounds = loop(images, reader)
    for _ in range(3):
        next(rounds)
    early = held(whole=False)
    for _ in range(20):
        next(rounds)
    assert settles(lambda: held(whole=False) <= early), (held(whole=False), early)
    rounds.close()
    assert settles(lambda: held(whole=True) <= before), (held(whole=True), before)
