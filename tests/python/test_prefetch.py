"""DevicePrefetcher, with streams that only note what is asked of them: no GPU is needed."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections import namedtuple
from typing import ClassVar

import pytest
import torch

from ringfeed import prefetch
from ringfeed.loader import DataLoader
from ringfeed.prefetch import DevicePrefetcher, Side
from small_images import PLAIN, make


class FakeSide:
    """Stands for a CUDA stream: says in which order copies and hand-overs come."""

    ahead = 1
    log: ClassVar[list[str]] = []

    def __init__(self, device):
        FakeSide.log = []

    def copy(self, batch):
        number = int(batch[-1].flatten()[0])
        self.log.append(f"copy {number}")
        return prefetch.map_tensors(lambda t: t.clone(), batch), number

    def hand_over(self, batch, done):
        assert int(batch[-1].flatten()[0]) == done
        self.log.append(f"hand over {done}")


class Numbers:
    """A loader of `count` batches with a state; batch `bad` raises."""

    def __init__(self, count, bad=None, interrupted=None):
        self.count, self.bad, self.interrupted = count, bad, interrupted
        self.taken = self.began = 0

    def __len__(self):
        return self.count

    def __iter__(self):
        return Numbers.Iterator(self)

    class Iterator:
        def __init__(self, owner):
            self.owner, self.at = owner, 0

        def __iter__(self):
            return self

        def __next__(self):
            owner = self.owner
            if self.at == owner.interrupted:
                owner.interrupted = None
                raise KeyboardInterrupt
            if self.at == 0:
                owner.began += 1
            if self.at == owner.count:
                raise StopIteration
            self.at += 1
            owner.taken = self.at
            if self.at - 1 == owner.bad:
                raise OSError("bad file")
            return [torch.tensor([self.at - 1])]

    def set_epoch(self, epoch):
        self.taken = 0

    def state_dict(self):
        return {"taken": self.taken}

    def load_state_dict(self, state):
        self.taken = state["taken"]


@pytest.fixture(autouse=True)
def fake_side(monkeypatch):
    monkeypatch.setattr(prefetch, "Side", FakeSide)


def numbers(batches):
    return [int(batch[0]) for batch in batches]


def test_one_batch_is_copied_ahead_of_the_one_handed_over():
    batches = iter(DevicePrefetcher(Numbers(3), "cuda"))
    assert int(next(batches)[0]) == 0
    assert FakeSide.log == ["copy 0", "copy 1", "hand over 0"]
    assert numbers(batches) == [1, 2]
    assert FakeSide.log[3:] == ["copy 2", "hand over 1", "hand over 2"]
    with pytest.raises(StopIteration):
        next(batches)


def test_iter_alone_begins_nothing():
    loader = Numbers(3)
    iter(DevicePrefetcher(loader, "cuda"))
    assert loader.began == 0


def test_state_counts_what_was_given_and_not_what_is_ahead():
    loader = Numbers(3)
    ahead = DevicePrefetcher(loader, "cuda")
    states = [ahead.state_dict()["taken"]]
    for _ in ahead:
        states.append(ahead.state_dict()["taken"])
    assert states == [0, 1, 2, 3]


def test_state_counts_what_was_given_while_others_draw_from_torchs_generator(tmp_path):
    loader = DataLoader(make(tmp_path, 7, PLAIN), 4, shuffle=True)
    ahead, states = DevicePrefetcher(loader, "cuda"), []
    for _ in ahead:
        torch.rand(3)
        state = ahead.state_dict()
        states.append((state["epoch"], state["positions"]))
    assert states == [(0, 4), (1, 0)]


def test_state_of_an_abandoned_iterator_stays_until_the_loader_moves():
    loader = Numbers(5)
    ahead = DevicePrefetcher(loader, "cuda")
    batches = iter(ahead)
    next(batches), next(batches)
    del batches
    iter(ahead)
    assert ahead.state_dict() == {"taken": 2} and loader.state_dict() == {"taken": 3}
    loader.taken = 0  # as a sampler's set_epoch() does
    assert ahead.state_dict() == {"taken": 0}
    ahead.load_state_dict({"taken": 4})
    assert ahead.state_dict() == {"taken": 4}


def test_state_counts_what_was_given_also_after_set_epoch_within_the_epoch(monkeypatch):
    loader = Numbers(5)
    monkeypatch.setattr(loader, "set_epoch", lambda epoch: None)  # the epoch that it is in
    ahead = DevicePrefetcher(loader, "cuda")
    states = []
    for _ in ahead:
        ahead.set_epoch(0)
        states.append(ahead.state_dict()["taken"])
    assert states == [1, 2, 3, 4, 5]


def test_an_error_comes_at_its_batch_and_the_rest_follows():
    ahead = DevicePrefetcher(Numbers(4, bad=2), "cuda")
    batches = iter(ahead)
    assert [int(next(batches)[0]), int(next(batches)[0])] == [0, 1]
    with pytest.raises(OSError, match="bad file"):
        next(batches)
    assert ahead.state_dict() == {"taken": 3}
    assert numbers(batches) == [3]


def test_an_error_leaves_no_cycle_behind():
    loader = Numbers(2, bad=0)
    gone = weakref.ref(loader)
    gc.disable()
    try:
        batches = iter(DevicePrefetcher(loader, "cuda"))
        with contextlib.suppress(OSError):
            next(batches)
        del loader, batches
        assert gone() is None
    finally:
        gc.enable()


def test_an_interrupt_loses_no_batch():
    ahead = DevicePrefetcher(Numbers(4, interrupted=2), "cuda")
    batches = iter(ahead)
    seen = [int(next(batches)[0])]
    with pytest.raises(KeyboardInterrupt):
        next(batches)
    assert ahead.state_dict() == {"taken": 1}
    assert seen + numbers(batches) == [0, 1, 2, 3]


def interrupted_after(calls, function):
    """`function` that takes one of `calls` each time; the last raises KeyboardInterrupt."""

    def call(*arguments):
        result = function(*arguments)
        calls.pop()
        if not calls:
            raise KeyboardInterrupt
        return result

    return call


@pytest.mark.parametrize("step", range(1, 12))
def test_an_interrupt_between_any_two_steps_loses_no_batch(monkeypatch, step):
    loader = Numbers(3)
    ahead = DevicePrefetcher(loader, "cuda")
    calls = list(range(step))
    for owner, name in ((FakeSide, "copy"), (FakeSide, "hand_over"), (loader, "state_dict")):
        monkeypatch.setattr(owner, name, interrupted_after(calls, getattr(owner, name)))
    batches, seen, interrupts = iter(ahead), [], 0
    while True:
        try:
            for batch in batches:
                seen.append(int(batch[0]))
            break
        except KeyboardInterrupt:
            interrupts += 1
            calls.extend(range(1000))
            assert ahead.state_dict() == {"taken": len(seen)}
    assert (seen, interrupts) == ([0, 1, 2], 1)


def test_an_iterator_that_begins_anew_at_iter_is_read_once():
    class Rewinding(Numbers.Iterator):
        def __iter__(self):
            self.at = 0
            return self

    loader = Numbers(3)
    loader.__class__ = type("Loader", (Numbers,), {"__iter__": lambda self: Rewinding(self)})
    assert numbers(DevicePrefetcher(loader, "cuda")) == [0, 1, 2]


def test_an_empty_loader_ends_at_once():
    assert numbers(DevicePrefetcher(Numbers(0), "cuda")) == []


def test_on_the_cpu_the_loader_s_own_batches_pass_through():
    loader = Numbers(2)
    ahead = DevicePrefetcher(loader, "cpu")
    assert len(ahead) == 2
    assert numbers(ahead) == [0, 1]
    assert ahead.state_dict() == {"taken": 2}
    ahead.set_epoch(3)
    assert ahead.state_dict() == {"taken": 0}


def test_nested_batches_keep_their_shape():
    Pair = namedtuple("Pair", "a b")
    t = torch.ones(1)
    batch = {"x": [t, (t, "name")], "y": Pair(t, 3)}
    doubled = prefetch.map_tensors(lambda v: v * 2, batch)
    assert int(doubled["x"][1][0]) == 2 and doubled["x"][1][1] == "name"
    assert int(doubled["y"].a) == 2 and doubled["y"].b == 3


def test_a_device_that_cannot_be_used_is_named():
    with pytest.raises(ValueError, match="not 'meta'"):
        DevicePrefetcher([], "meta")
    if not torch.cuda.is_available():
        with pytest.raises(
            RuntimeError, match="cannot copy to 'cuda:1': torch sees no CUDA device"
        ):
            Side(torch.device("cuda:1"))
