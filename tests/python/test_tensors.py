"""Who owns a batch's memory, and when it goes back."""

from __future__ import annotations

import gc
import io
import threading
import weakref

import numpy as np
import pytest
import torch

from native import Native, run_python, tensors, val_plan
from ringfeed import _ringfeed

HELD = _ringfeed.held_bytes


@pytest.fixture(autouse=True)
def nothing_held():
    gc.collect()
    before = HELD()
    yield
    gc.collect()
    assert HELD() == before


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_tensors_of_a_whole_epoch_may_be_kept(sample, reader):
    native = Native(sample / "val", batch_size=16, reader=reader)
    kept = native.batches()
    checksums = [images.sum().item() for images, _ in kept]
    for _ in range(2):
        native.batches()
    assert [images.sum().item() for images, _ in kept] == checksums
    addresses = {images.data_ptr() for images, _ in kept}
    assert len(addresses) == len(kept) and all(address % 64 == 0 for address in addresses)


def test_held_bytes_counts_what_is_handed_out(sample):
    count, size = HELD()
    epoch = Native(sample / "val", batch_size=16).loader.epoch(0)
    batch = epoch.next()
    assert HELD() == (count, size)
    (capsule,) = batch.images()
    assert HELD()[0] == count + 1 and HELD()[1] >= size + 16 * 3 * 32 * 32 * 4
    images = torch.from_dlpack(capsule)
    del capsule, batch
    gc.collect()
    part = images[3]
    del images
    assert HELD()[0] == count + 1
    del part
    assert HELD() == (count, size)


def test_a_capsule_that_nobody_takes_gives_its_memory_back(sample):
    count, size = HELD()
    batch = Native(sample / "val").loader.epoch(0).next()
    capsules, labels = batch.images(), batch.labels()
    assert HELD()[0] == count + 1
    del capsules, labels
    assert HELD() == (count, size)


def test_a_tensor_outlives_the_loader(sample):
    native = Native(sample / "val")
    images, labels = tensors(native.loader.epoch(0).next())
    expected = images.clone()
    native.loader.stop()
    del native
    gc.collect()
    assert torch.equal(images, expected) and labels.tolist() == [0] * 4


def test_a_tensor_may_be_dropped_on_another_thread_while_the_loader_stops(sample):
    native = Native(sample / "val")
    held = [tensors(native.loader.epoch(0).next())]
    stopper = threading.Thread(target=native.loader.stop)
    stopper.start()
    in_thread(held.clear)
    stopper.join()


def test_a_tensor_may_be_saved_and_written_to(sample):
    images, _ = tensors(Native(sample / "val").loader.epoch(0).next())
    images.add_(1)
    file = io.BytesIO()
    torch.save(images[1].clone(), file)
    assert file.tell() < 2 * images[1].nbytes
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=True), images[1])


def test_numpy_and_torch_may_share_a_batch(sample):
    images, _ = tensors(Native(sample / "val").loader.epoch(0).next())
    array = images.numpy()
    address = images.data_ptr()
    del images
    gc.collect()
    assert array.ctypes.data == address and np.isfinite(array).all()


def test_a_tensor_outlives_the_interpreters_modules(sample):
    """Held by a builtin, it is dropped, if at all, when ringfeed and torch are gone."""
    run_python(
        "import builtins, sys; from native import *\n"
        "builtins.kept = tensors(Native(sys.argv[1]).loader.epoch(0).next())",
        sample / "val",
    )


class Pinned:
    """Stands in for torch.empty(pin_memory=True), and counts what lives."""

    def __init__(self):
        self.sizes = []
        self.alive = weakref.WeakSet()

    def __call__(self, size):
        self.sizes.append(size)
        block = torch.empty(size, dtype=torch.uint8)
        self.alive.add(block)
        return block, block.data_ptr()


def as_images(block, batch):
    count = batch.size * 3 * 32 * 32
    return block[: 4 * count].view(torch.float32).view(batch.size, 3, 32, 32)


def test_pinned_memory_holds_the_same_batches(sample, reader):
    pinned = Pinned()
    epoch = Native(sample / "val", pinned=pinned, reader=reader).loader.epoch(0)
    for expected, _ in Native(sample / "val").batches():
        batch = epoch.next()
        block = batch.images()
        assert any(block is other for other in pinned.alive)
        assert torch.equal(as_images(block, batch), expected)
    assert set(pinned.sizes) == {4 * 3 * 32 * 32 * 4}


def test_pinned_memory_goes_back_when_its_last_user_drops_it(sample):
    pinned = Pinned()
    native = Native(sample / "val", pinned=pinned)
    epoch = native.loader.epoch(0)
    taken, dropped = epoch.next(), epoch.next()
    block = taken.images()
    assert HELD()[0] == 0  # it is the caller's
    gone = weakref.ref(block)
    before = len(pinned.alive)
    in_thread(lambda: None)
    del taken
    in_thread([block].clear)
    del block
    assert gone() is None
    del dropped
    HELD()
    assert len(pinned.alive) == before - 2
    native.loader.stop()
    del native, epoch
    gc.collect()
    HELD()
    assert not pinned.alive


def test_pinned_memory_is_bounded_by_the_window(sample):
    pinned = Pinned()
    native = Native(sample / "val", batch_size=2, pinned=pinned)
    most = 0
    for batch in iter(native.loader.epoch(0).next, None):
        block = batch.images()
        most = max(most, len(pinned.alive))
        del block, batch
    assert most <= 4  # prefetch_factor, the one in hand and the one before


def test_memory_bound_counts_what_pinning_rounds_up(sample):
    plan = val_plan(224)
    plain = Native(sample / "val", plan, batch_size=48).loader.memory_bound
    pinned = Native(sample / "val", plan, batch_size=48, pinned=Pinned()).loader.memory_bound
    batch = 48 * 224 * 224 * 3 * 4
    assert pinned - plain == 4 * ((1 << 25) - (batch + (-batch) % 4096))


def test_what_pinned_raises_comes_out_and_no_batch_is_lost(sample):
    pinned = Pinned()
    failing = MemoryError("no page-locked memory")
    # What is asked for before a batch is given is asked for again: the second refusal is thrown.
    calls = iter([True, False, False, True, True, False])

    def allocate(size):
        if not next(calls, True):
            raise failing
        return pinned(size)

    epoch = Native(sample / "val", pinned=allocate).loader.epoch(0)
    labels, raised = [], 0
    while True:
        try:
            batch = epoch.next()
        except MemoryError as error:
            assert error is failing
            raised += 1
            continue
        if batch is None:
            break
        labels += torch.from_dlpack(batch.labels()).tolist()
    expected = [label for _, labels in Native(sample / "val").batches() for label in labels]
    assert labels == expected and raised >= 1


@pytest.mark.parametrize(
    ("result", "error"), [(None, TypeError), ((1, 2, 3), TypeError), ((None, 8), ValueError)]
)
def test_what_pinned_may_not_return_is_named(sample, result, error):
    epoch = Native(sample / "val", pinned=lambda size: result).loader.epoch(0)
    with pytest.raises(error, match="pinned"):
        epoch.next()


def test_an_abandoned_epoch_gives_its_memory_back(sample):
    pinned = Pinned()
    native = Native(sample / "val", pinned=pinned)
    epoch = native.loader.epoch(0)
    epoch.next()
    del epoch
    again = native.loader.epoch(1)
    assert sum(batch.size for batch in iter(again.next, None)) == len(native.dataset)
    native.loader.stop()
    del again
    HELD()
    assert not pinned.alive
