"""next() among signals, threads, forks and the interpreter's end."""

from __future__ import annotations

import _thread
import dis
import fcntl
import itertools
import operator
import os
import random
import shutil
import signal
import sys
import threading

import numpy as np
import pytest
import torch
from torch.utils.data import DistributedSampler

from native import Native, run_python, tensors
from ringfeed import DataLoader, DevicePrefetcher, LoadError, LoadTimeout, _ringfeed, prefetch
from small_images import PLAIN, make, order_of

SLOW = {"batch_size": 2, "num_workers": 1}


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """A shell's background job begins with SIGINT ignored, and Python leaves it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_the_wait_and_loses_no_batch(slow_folder, reader):
    native = Native(slow_folder, reader=reader, **SLOW)
    epoch = native.loader.epoch(0)

    def interrupt():
        native.wait_until_consumed()
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        epoch.next()
    thread.join()
    assert native.loader.stats()["deliver"]["count"] == 0  # it did not wait for the batch
    assert [b.indices.tolist() for b in iter(epoch.next, None)] == [[0, 1], [2, 3]]


def test_ctrl_c_ends_a_scan(sample, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(sample / "val", folder)
    scan = {"cache_dir": os.fspath(tmp_path / "cache")}
    _ringfeed.Dataset.open(os.fspath(folder), **scan)
    (folder / "another").mkdir()  # the manifest is out of date
    (lock,) = (tmp_path / "cache").glob("*.lock")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as a process that scans; it is waited for
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            timer.start()
            _ringfeed.Dataset.open(os.fspath(folder), **scan)
        timer.join()


def test_the_interpreter_ends_while_a_thread_scans(sample, tmp_path):
    run_python(
        """
import fcntl, os, sys, threading, time
from pathlib import Path
from ringfeed import _ringfeed
folder, cache = sys.argv[1:]
_ringfeed.Dataset.open(folder, cache_dir=cache)
for manifest in Path(cache).glob("*.manifest"):
    manifest.unlink()
(lock,) = Path(cache).glob("*.lock")
fcntl.flock(os.open(lock, os.O_RDWR), fcntl.LOCK_EX)
scan = lambda: _ringfeed.Dataset.open(folder, cache_dir=cache)
threading.excepthook = lambda _: None
threading.Thread(target=scan, daemon=True).start()
time.sleep(0.2)
""",
        sample / "val",
        tmp_path / "cache",
    )


def test_a_signal_that_comes_with_the_batch_loses_none(sample, reader):
    wanted = [[0], [1, 2], [3]]
    # Signals and gives a batch without one byte code between, where Python would look for signals.
    signals = map(_thread.interrupt_main, itertools.repeat(signal.SIGINT))
    batches = [np.array(batch, np.uint32) for batch in wanted]
    batches = itertools.chain(batches, itertools.repeat(None))
    source = map(operator.itemgetter(1), zip(signals, batches)).__next__
    epoch = Native(sample / "val", reader=reader).loader.epoch(0, source=source)
    found, progress, interrupts = [], [0], 0
    while True:
        try:
            batch = epoch.next()
        except KeyboardInterrupt:
            interrupts += 1
            assert epoch.progress()[0] == progress[-1]  # what the caller lacks is no progress
            continue
        if batch is None:
            break
        found.append(batch.indices.tolist())
        progress.append(epoch.progress()[0])
    assert found == wanted and interrupts >= 1
    assert progress == [0, 1, 3, 4]


def test_a_batch_is_offered_until_it_is_accepted(sample, reader):
    epoch = Native(sample / "val", batch_size=2, reader=reader).loader.epoch(0)
    first, again = epoch.next(keep=True), epoch.next(keep=True)
    assert first.indices.tolist() == again.indices.tolist() == [0, 1]
    assert torch.equal(tensors(first)[0], tensors(again)[0])
    assert epoch.progress()[0] == 0
    epoch.accept()
    epoch.accept()
    assert epoch.progress()[0] == 2
    assert epoch.next().indices.tolist() == [2, 3] and epoch.progress()[0] == 4


class Interrupt:
    """A profiler that raises KeyboardInterrupt at the `step`th moment at which Python may: when
    a function begins, and when one returns to Python. Frames of this file do not count."""

    def __init__(self, step):
        self.left = step

    def __call__(self, frame, event, argument):
        if frame.f_code.co_filename == __file__:
            return
        if event in ("call", "c_return") or (event == "return" and returns_to_python(frame)):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt  # Python takes the profiler away


def returns_to_python(frame):
    """Not to a loop's step or to the core, nor by an exception. (Python 3.11 and later look for
    signals when a function written in C returns, 3.10 for any.)"""
    code = frame.f_code
    if code.co_name in ("__next__", "__call__"):
        return False
    return dis.opname[code.co_code[frame.f_lasti]].startswith("RETURN")


class CopyNothing:
    """Stands for a CUDA stream."""

    ahead = 1

    def __init__(self, device):
        pass

    def copy(self, batch):
        return batch, None

    def hand_over(self, batch, done):
        pass


def refuse_two(label):
    if label == 2:
        raise ValueError("not this one")
    return label


class BrokenSampler(Exception):
    pass


def broken():
    yield [0, 1]
    yield [2, 3]
    raise BrokenSampler


BATCHES = {"batch_size": 1, "batch_sampler": [[0, 1], [5, 4], [2, 3]]}
MOMENTS = {
    "shuffled": {"shuffle": True},
    "one by one": {"batch_size": None},
    "out of order": {"in_order": False},
    "persistent workers": {"persistent_workers": True},
    "distributed": {},
    "a list for sampler": {"sampler": [5, 4, 3, 2, 1, 0]},
    "a list for sampler, one by one": {"sampler": [5, 4, 3, 2, 1, 0], "batch_size": None},
    "a batch_sampler that can be read once": BATCHES,
    "a broken batch_sampler": BATCHES,
    "a missing file": {},
    "target_transform fails": {},
    "prefetched": {},
    "prefetched, a missing file": {},
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # within __del__
@pytest.mark.parametrize("case", MOMENTS)
def test_an_interrupt_at_any_moment_of_next_loses_no_batch(tmp_path, monkeypatch, case):
    """The same run again and again, interrupted a step later each time."""
    monkeypatch.setattr(prefetch, "Side", CopyNothing)
    change = {"target_transform": refuse_two} if case == "target_transform fails" else {}
    images = make(tmp_path, 6, PLAIN, **change)
    if "a missing file" in case:
        (tmp_path / "003.jpg").unlink()
    options = {"batch_size": 2, "num_workers": 1, "seed": 0, **MOMENTS[case]}
    samples = 2 if options["batch_size"] else 1

    def run(profiler):
        """What comes out, and how often it was interrupted."""
        if case == "distributed":
            options["sampler"] = DistributedSampler(images, 1, 0)
        elif case == "a batch_sampler that can be read once":
            options["batch_sampler"] = iter(BATCHES["batch_sampler"])
        elif case == "a broken batch_sampler":
            options["batch_sampler"] = broken()
        loader = DataLoader(images, **options)
        if "prefetched" in case:
            loader = DevicePrefetcher(loader, "cuda")
        batches, seen, interrupts, ended = iter(loader), [], 0, False
        sys.setprofile(profiler)
        while not ended:
            try:
                for batch in batches:
                    seen.append(batch)
                ended = True
            except KeyboardInterrupt:
                interrupts += 1
                state = loader.state_dict()
                place = state["epoch"], state["positions"] + samples * len(state["beyond"])
                taken = samples * sum(s is not BrokenSampler for s in seen)
                assert place == (0, taken) or (taken == 6 and place == (1, 0))
            except (LoadError, ValueError, BrokenSampler) as error:
                seen.append(type(error))
        sys.setprofile(None)
        return [s if isinstance(s, type) else s[1] for s in seen], interrupts

    expected, _ = run(None)
    assert len(expected) == 6 // samples
    unheard = 0
    # A prefetcher's states have the transform compiled, which is a thousand moments each: there
    # every third is tried.
    stride = 3 if "prefetched" in case else 1
    first = random.randint(1, stride)
    print("first step", first)
    for step in itertools.count(first, stride):
        profiler = Interrupt(step)
        found, interrupts = run(profiler)
        if profiler.left > 0:
            break
        assert interrupts <= 1
        unheard += interrupts == 0
        if options.get("in_order", True):
            assert [str(f) for f in found] == [str(e) for e in expected], step
        else:
            assert sorted(map(str, found)) == sorted(map(str, expected)), step
    assert step > 100 * stride and unheard < step // stride // 20  # those that end within a __del__


def test_an_interrupted_target_transform_is_called_again(tmp_path):
    calls = []

    def interrupt_once(label):
        calls.append(label)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return label

    images = make(tmp_path, 6, PLAIN, target_transform=interrupt_once)
    loader = DataLoader(images, 2, num_workers=1)
    batches = iter(loader)
    seen = [next(batches)]
    with pytest.raises(KeyboardInterrupt):
        next(batches)
    assert loader.state_dict()["positions"] == 2
    assert order_of([*seen, *batches]) == list(range(6)) and calls == [0, 1, 2, 2, 3, 4, 5]


def test_a_keyboard_interrupt_in_the_source_is_raised_at_once(sample, reader):
    def order():
        yield np.array([0], np.uint32)
        yield np.array([1], np.uint32)
        raise KeyboardInterrupt

    epoch = Native(sample / "val", prefetch_factor=4, reader=reader).loader.epoch(
        0, source=order().__next__
    )
    with pytest.raises(KeyboardInterrupt):
        epoch.next()
    assert epoch.next().indices.tolist() == [0]
    assert epoch.next().indices.tolist() == [1]
    with pytest.raises(KeyboardInterrupt):
        epoch.next()
    assert epoch.next() is None


def test_a_signal_handlers_own_exception_comes_out(slow_folder):
    class Preempted(Exception):
        pass

    def handler(number, frame):
        raise Preempted

    native = Native(slow_folder, **SLOW)
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        thread = threading.Thread(
            target=lambda: (native.wait_until_consumed(), os.kill(os.getpid(), signal.SIGUSR1))
        )
        thread.start()
        with pytest.raises(Preempted):
            native.loader.epoch(0).next()
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_signal_handler_learns_the_progress_before_the_batch_waited_for(slow_folder):
    native = Native(slow_folder, **SLOW)
    epoch = native.loader.epoch(0)
    told = []
    before = signal.signal(signal.SIGUSR1, lambda *_: told.append(epoch.progress()))
    try:
        thread = threading.Thread(
            target=lambda: (native.wait_until_consumed(), os.kill(os.getpid(), signal.SIGUSR1))
        )
        thread.start()
        epoch.next()
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert told == [(0, [], 0)] and epoch.progress() == (2, [], 0)


def test_a_timeout_loses_no_batch(slow_folder, reader):
    epoch = Native(slow_folder, timeout=0.01, reader=reader, **SLOW).loader.epoch(0)
    found = []
    with pytest.raises(LoadTimeout, match=r"no batch within the timeout of 0\.01 s; "):
        epoch.next()
    while len(found) < 2:
        try:
            found.append(epoch.next().indices.tolist())
        except LoadTimeout:
            pass
    assert found == [[0, 1], [2, 3]] and epoch.next() is None


def test_other_threads_run_while_next_waits(slow_folder):
    """The batch is there only after this thread has said so."""
    native = Native(slow_folder, **SLOW)
    epoch = native.loader.epoch(0)
    batches = []
    thread = threading.Thread(target=lambda: batches.append(epoch.next()))
    thread.start()
    native.wait_until_consumed()
    assert native.loader.stats()["deliver"]["count"] == 0 and not batches
    thread.join()
    assert batches[0].size == 2


def test_a_second_consumer_is_refused(slow_folder):
    native = Native(slow_folder, **SLOW)
    epoch, other = native.loader.epoch(0), native.loader.epoch(1)
    thread = threading.Thread(target=epoch.next)
    thread.start()
    native.wait_until_consumed()
    for call in (epoch.next, other.next, lambda: native.loader.epoch(2)):
        with pytest.raises(RuntimeError, match="one thread at a time"):
            call()
    assert epoch.progress() == other.progress() == (0, [], 0)
    thread.join()
    assert epoch.next().indices.tolist() == [2, 3]


def test_stop_ends_the_wait_of_another_thread(slow_folder, reader):
    native = Native(slow_folder, reader=reader, **SLOW)
    epoch = native.loader.epoch(0)
    found = []
    thread = threading.Thread(target=lambda: found.append(epoch.next()))
    thread.start()
    native.wait_until_consumed()
    native.loader.stop()
    thread.join()
    assert found == [None] and epoch.next() is None


def test_the_consumer_may_be_another_thread_each_time(sample):
    epoch = Native(sample / "val", batch_size=16).loader.epoch(0)
    found = []
    while not found or found[-1] is not None:
        thread = threading.Thread(target=lambda: found.append(epoch.next()))
        thread.start()
        thread.join()
    whole = Native(sample / "val", batch_size=16).batches()
    for batch, (expected, _) in zip(found[:-1], whole, strict=True):
        assert torch.equal(tensors(batch)[0], expected)


def test_the_interpreter_ends_while_a_thread_is_in_next(slow_folder, reader):
    """A daemon's wait ends with None, before there is no interpreter to return to."""
    printed = run_python(
        """
import sys, threading
from native import *
native = Native(sys.argv[1], reader=sys.argv[2], batch_size=2, num_workers=1)
epoch = native.loader.epoch(0)
def consume():
    batch = epoch.next()
    sys.stdout.write(f"{batch}, {epoch.next()}\\n")
    sys.stdout.flush()
threading.Thread(target=consume, daemon=True).start()
native.wait_until_consumed()
""",
        slow_folder,
        reader,
    )
    assert printed == "None, None\n"


@pytest.mark.parametrize("left", ["epoch", "everything"])
def test_whatever_is_left_at_the_end_is_no_trouble(sample, reader, left):
    run_python(
        """
import builtins, sys
from native import *
native = Native(sys.argv[1], reader=sys.argv[2])
epoch = native.loader.epoch(0)
batch = epoch.next()
images, labels = tensors(epoch.next())
if sys.argv[3] == "everything":
    builtins.left = native, epoch, batch, images
else:
    builtins.left = globals()[sys.argv[3]]
""",
        sample / "val",
        reader,
        left,
    )


def test_a_forked_child_is_told(sample, reader):
    printed = run_python(
        """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of fork() itself
from native import *
native = Native(sys.argv[1], reader=sys.argv[2])
epoch = native.loader.epoch(0)
images, _ = tensors(epoch.next())
batch = epoch.next()
child = os.fork()
if child == 0:
    try:
        epoch.next()
    except RuntimeError as error:
        print("child:", error)
    native.loader.stop()
    del epoch, native, batch, images
    fresh = Native(sys.argv[1], reader=sys.argv[2])
    print("fresh:", len(fresh.batches()))
    sys.exit(0)  # with all exit hooks
assert os.waitpid(child, 0)[1] == 0
print("parent:", len(list(drain(epoch))))
""",
        sample / "val",
        reader,
    )
    lines = dict(line.split(": ", 1) for line in printed.splitlines())
    assert "fork" in lines["child"]
    whole = len(Native(sample / "val").batches())
    assert (int(lines["fresh"]), int(lines["parent"])) == (whole, whole - 2)


def test_a_fork_during_a_wait_leaves_the_child_free(slow_folder):
    run_python(
        """
import os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from native import *
native = Native(sys.argv[1], batch_size=2, num_workers=1)
epoch = native.loader.epoch(0)
thread = threading.Thread(target=epoch.next)
thread.start()
native.wait_until_consumed()
child = os.fork()
if child == 0:
    try:
        epoch.next()
    except RuntimeError as error:
        sys.exit("fork" not in str(error))
    sys.exit(2)
assert os.waitpid(child, 0)[1] == 0
thread.join()
""",
        slow_folder,
    )
