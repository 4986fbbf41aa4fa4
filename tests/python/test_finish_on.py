"""Batches that are finished on the device: the bits of those that are finished on the CPU."""

from __future__ import annotations

import copy
import pickle
import random
import re

import numpy as np
import pytest
import torch
from torchvision import transforms as v1
from torchvision.transforms import v2
from torchvision.transforms.functional import erase

from native import run_python, val_plan
from ringfeed import (
    DataLoader,
    DevicePrefetcher,
    UnfinishedBatch,
    UnsupportedTransform,
    _finish,
    _ringfeed,
    _tensors,
    _unfinished,
)
from ringfeed._mixing_apply import Mixer, mix_images, mix_on_device
from ringfeed._mixing_compiler import compile_mixing
from ringfeed._mixing_rules import TimmRule
from ringfeed.transforms import CutMix, LabelSmoothing, MixUp
from small_images import make

COUNT = 23
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
EITHER = v2.RandomChoice([MixUp(COUNT, 0.4), CutMix(COUNT)])
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device"))]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("images")


@pytest.fixture
def seed():
    """Another one each time, and printed where a test fails."""
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    return seed


def recipe(flavour, seed, erase=0.0):
    """With a random mean and standard deviation."""
    numbers = random.Random(seed)
    geometry = [v1.RandomResizedCrop(9), v1.RandomHorizontalFlip()]
    if flavour == "uint8":
        return v1.Compose([*geometry, v1.PILToTensor()])
    steps = [v1.ToTensor()] if flavour == "v1" else [v2.ToImage(), v2.ToDtype(torch.float32, True)]
    mean = [numbers.uniform(0, 1) for _ in range(3)]
    std = [numbers.uniform(0.1, 1) for _ in range(3)]
    value = [numbers.uniform(-1, 1) for _ in range(3)]
    return v1.Compose(
        [*geometry, *steps, v1.Normalize(mean, std), v1.RandomErasing(erase, value=value)]
    )


def plain_recipe():
    return v1.Compose([v1.RandomResizedCrop(9), v1.ToTensor()])


def same_bits(ours, theirs):
    """Dtype, memory format and every bit, also of zeros."""
    assert type(ours) is type(theirs) is list and len(ours) == len(theirs) == 2
    for mine, other in zip(ours, theirs):
        mine = mine.cpu()
        assert (mine.dtype, mine.shape, mine.stride()) == (other.dtype, other.shape, other.stride())
        bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[mine.itemsize]
        assert torch.equal(mine.view(bits), other.view(bits))


def all_same(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        same_bits(mine, other)


def both(dataset, **options):
    """The batches of the CPU's loader, and a loader whose batches are not finished."""
    options = {"batch_size": 4, "shuffle": True, "seed": 3, **options}
    return list(DataLoader(dataset, **options)), DataLoader(dataset, finish_on="device", **options)


# The same bits


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("flavour", ["v1", "v2"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
def test_finished_batches_are_the_cpu_s(folder, device, flavour, dtype, channels_last, mixed, seed):
    dataset = make(folder, COUNT, recipe(flavour, seed, erase=0.5))
    options = {"dtype": dtype, "channels_last": channels_last, "seed": seed}
    expected, loader = both(dataset, batch_transform=EITHER if mixed else None, **options)
    again = copy.copy(loader)
    batches = list(loader)
    all_same([batch.to(device).finish() for batch in batches], expected)
    all_same([batch.to(device).finish() for batch in batches], expected)  # nothing was used up
    all_same(DevicePrefetcher(again, device), expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("transform", [None, CutMix(COUNT)])
def test_uint8_images_are_finished_by_mixing_alone(folder, device, transform, seed):
    dataset = make(folder, COUNT, recipe("uint8", seed))
    expected, loader = both(dataset, batch_transform=transform)
    batches = list(loader)
    for _ in range(2):
        all_same([batch.to(device).finish() for batch in batches], expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_device_that_computes_otherwise_gets_the_cpu_s_table(
    folder, monkeypatch, device, dtype, channels_last, seed
):
    arithmetic = _finish._OnDevice.convert

    def other(self, images):
        values = arithmetic(self, images)
        return values if self._table is not None else values * 1.1

    monkeypatch.setattr(_finish._OnDevice, "convert", other)
    monkeypatch.setattr(_finish, "_on_devices", {})
    dataset = make(folder, COUNT, recipe("v1", seed, erase=0.5))
    expected, loader = both(dataset, dtype=dtype, channels_last=channels_last)
    looked_up = []
    monkeypatch.setattr(
        _finish._OnDevice, "_look_up", recorded(_finish._OnDevice._look_up, looked_up)
    )
    all_same([batch.to(device).finish() for batch in loader], expected)
    assert len(looked_up) == len(expected)


def recorded(function, calls):
    def call(*arguments):
        calls.append(arguments)
        return function(*arguments)

    return call


@pytest.mark.parametrize("flavour", ["v1", "v2"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_arithmetic_serves_on_the_cpu(folder, flavour, dtype, seed, monkeypatch):
    monkeypatch.setattr(_finish, "_on_devices", {})
    loader = DataLoader(make(folder, COUNT, recipe(flavour, seed)), 4, dtype=dtype, seed=1,
                        finish_on="device")  # fmt: skip
    next(iter(loader)).finish()
    (rule,) = _finish._on_devices.values()
    assert rule._table is None


def rules_of_every_kind():
    timm = dict(mix_prob=0.6, switch_prob=0.5, correct_lam=True, label_smoothing=0.1, num_classes=9)
    for mode in ("batch", "pair", "elem"):
        for minmax in (None, (0.2, 0.8)):
            yield TimmRule(0.8, 1.0, minmax, mode=mode, **timm)
    yield compile_mixing(v2.RandomChoice([MixUp(9), CutMix(9), LabelSmoothing(9)]))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
def test_mixing_on_the_device_is_the_cpu_s(device, dtype, channels_last, seed):
    generator = torch.Generator().manual_seed(seed)
    kinds = set()
    for number in range(40):
        for rule in rules_of_every_kind():
            size, height, width = 2 * (1 + number % 3), 5 + number, 44 - number
            images = torch.randn(size, 3, height, width, generator=generator).to(dtype)
            if channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            draw = Mixer(rule, seed, 0).draw(number, size, height, width)
            kinds |= {(draw.partner, len(draw.mixes) > 1, mix.kind) for mix in draw.mixes}
            theirs = mix_images(images, draw, torch.empty_like)
            ours = mix_on_device(images.clone().to(device), draw)
            same_bits([ours, ours], [theirs, theirs])
    assert len(kinds) == 9


def test_all_boxes_of_an_image_are_erased():
    """timm's RandomErasing has several."""
    erasing = _ringfeed.RandomErasing(1.0, (0.1, 0.3), (0.5, 2.0), (1.0, 2.0, 3.0), "value", (2, 4))
    plan = val_plan(16, erasing=erasing, mean=(0, 0, 0), std=(1, 1, 1))
    rows = plan.erased(5, 1, np.arange(9, dtype=np.uint64)).reshape(-1, 5)
    count = np.bincount(rows[:, 0])
    assert count.min() >= 2 and count.max() > 2
    finish = _finish.Finish(plan, torch.float32, "to_tensor", None, (1.0, 2.0, 3.0))
    images = finish(torch.zeros(9, 3, 16, 16, dtype=torch.uint8), rows.tolist(), None)
    expected = torch.zeros(9, 3, 16, 16)
    for image, top, left, height, width in rows.tolist():
        value = torch.tensor([1.0, 2.0, 3.0])[:, None, None]
        erase(expected[image], top, left, height, width, value, inplace=True)
    assert torch.equal(images, expected)


def test_a_batch_of_one_is_mixed_with_itself(folder, seed):
    expected, loader = both(make(folder, 3, recipe("v1", seed)), batch_size=1,
                            batch_transform=MixUp(COUNT))  # fmt: skip
    all_same(DevicePrefetcher(loader, "cpu"), expected)


def test_targets_of_any_shape_travel(folder):
    dataset = make(folder, 5, plain_recipe(), target_transform=lambda n: {"id": n, "half": n / 2})
    batch = next(iter(DataLoader(dataset, 5, finish_on="device")))
    labels = pickle.loads(pickle.dumps(batch.to("cpu"))).finish()[1]
    assert labels["id"].tolist() == [0, 1, 2, 3, 4] and labels["half"][3] == 1.5


# How a batch travels


def test_a_batch_survives_what_moves_batches(folder, seed):
    moved = pytest.importorskip("lightning.fabric.utilities").move_data_to_device
    expected, loader = both(make(folder, COUNT, recipe("v2", seed, 0.5)), batch_transform=EITHER)
    for batch, whole in zip(loader, expected, strict=True):
        assert isinstance(batch, UnfinishedBatch) and batch.images.dtype == torch.uint8
        nested = moved({"x": [batch]}, torch.device("cpu"))
        for other in (pickle.loads(pickle.dumps(batch)), nested["x"][0], batch.to("cpu", True)):
            same_bits(other.finish(), whole)
        (finished,) = _unfinished.finish_all({"x": (batch,)})["x"]
        same_bits(finished, whole)


def test_another_default_dtype_changes_nothing(folder, monkeypatch, seed):
    monkeypatch.setattr(_finish, "_on_devices", {})
    expected, loader = both(make(folder, COUNT, recipe("v2", seed, erase=1.0)))
    torch.set_default_dtype(torch.bfloat16)
    try:
        all_same([batch.finish() for batch in loader], expected)
    finally:
        torch.set_default_dtype(torch.float32)
    assert [rule._table for rule in _finish._on_devices.values()] == [None]


def test_a_batch_from_another_process_is_compared_with_the_cpu_s_bits_once(
    folder, monkeypatch, seed
):
    monkeypatch.setattr(_finish, "_on_devices", {})
    _, loader = both(make(folder, COUNT, recipe("v1", seed)))
    for batch in loader:
        pickle.loads(pickle.dumps(batch)).finish()
    assert len(_finish._on_devices) == 1


def test_lightning_s_transfer_waits_for_no_copy(folder, monkeypatch):
    """It says non_blocking=True for tensors alone."""
    moved = pytest.importorskip("lightning.fabric.utilities").move_data_to_device
    batch = next(iter(DataLoader(make(folder, 4, plain_recipe()), 4, finish_on="device")))
    asked = []
    monkeypatch.setattr(
        torch.Tensor, "to", lambda tensor, device, non_blocking=False: asked.append(non_blocking)
    )
    batch.to("cuda:0")
    moved({"x": batch}, torch.device("cuda:0"))
    assert asked == [True] * 4
    batch.to("cpu")
    assert asked[4:] == [False] * 2


def test_what_holds_nothing_unfinished_stays_the_same_object(folder):
    class Encoding(dict):
        """As tokenizers give."""

    batch = next(iter(DataLoader(make(folder, 4, plain_recipe()), 4, finish_on="device")))
    other = Encoding(ids=[1, 2])
    finished = _unfinished.finish_all({"x": batch, "y": other})
    assert finished["y"] is other and finished["x"][0].dtype == torch.float32


def test_on_the_cpu_the_prefetcher_finishes_what_wrappers_pass_on(folder, seed):
    expected, loader = both(make(folder, COUNT, recipe("v1", seed)))

    class Wrapper:
        def __iter__(self):
            return iter(loader)

    all_same(list(DevicePrefetcher(Wrapper(), "cpu")), expected)


def test_a_batch_cannot_be_taken_for_a_finished_one(folder):
    batch = next(iter(DataLoader(make(folder, 4, plain_recipe()), 4, finish_on="device")))
    for use in (lambda: [*batch], lambda: batch[0]):
        with pytest.raises(TypeError, match=r"take images and labels from batch.to\(device\)"):
            use()
    assert len(batch) == 4
    assert repr(batch) == "ringfeed.UnfinishedBatch([4, 3, 9, 9] on cpu)"


def test_a_compiled_caller_gets_the_same_bits_and_no_part_of_it_is_compiled(folder, seed):
    expected, loader = both(make(folder, COUNT, recipe("v1", seed, 0.5)), batch_transform=EITHER)
    graphs = []

    def backend(module, _):
        graphs.append([str(node.target) for node in module.graph.nodes])
        return module.forward

    @torch.compile(backend=backend)
    def step(batch):
        images, _ = batch.finish()
        return images.cos()

    for batch, (images, _) in zip(loader, expected, strict=True):
        assert torch.equal(step(batch), images.cos())
    names = {name for graph in graphs for name in graph}
    assert any("cos" in name for name in names)
    assert not any(op in name for name in names for op in ("div", "sub", "mul", "add", "roll"))


# States, draws and memory


def test_a_state_fits_a_loader_that_finishes_elsewhere(folder, recwarn, seed):
    dataset = make(folder, COUNT, recipe("v1", seed, 0.5))
    options = {"batch_size": 4, "shuffle": True, "seed": 9, "batch_transform": EITHER}
    expected = list(DataLoader(dataset, **options))
    for begins in ("here", "there"):
        here = DataLoader(dataset, **options)
        there = DevicePrefetcher(DataLoader(dataset, finish_on="device", **options), "cpu")
        first, second = (here, there) if begins == "here" else (there, here)
        begun = iter(first)
        for _ in range(2):
            next(begun)
        second.load_state_dict(first.state_dict())
        all_same(second, expected[2:])
    assert not recwarn.list


def test_the_prefetcher_s_state_counts_what_was_given(folder):
    loader = DataLoader(make(folder, COUNT, plain_recipe()), 4, seed=0, finish_on="device")
    ahead = DevicePrefetcher(loader, "cpu")
    positions = [ahead.state_dict()["positions"] for _ in ahead]
    assert positions == [4, 8, 12, 16, 20, 0]


def test_an_interrupt_while_a_batch_is_finished_loses_none(folder, monkeypatch, seed):
    expected, loader = both(make(folder, COUNT, recipe("v1", seed, 0.5)), batch_transform=EITHER)
    real, interrupts = _finish.mix_on_device, []

    def interrupt(*arguments):
        mixed = real(*arguments)
        if len(interrupts) < 3:
            interrupts.append(True)
            raise KeyboardInterrupt
        return mixed

    monkeypatch.setattr(_finish, "mix_on_device", interrupt)
    ahead, found = DevicePrefetcher(loader, "cpu"), []
    batches = iter(ahead)
    while len(found) < len(expected):
        try:
            for batch in batches:
                found.append(batch)
        except KeyboardInterrupt:
            assert ahead.state_dict()["positions"] == 4 * len(found)
    all_same(found, expected)
    assert len(interrupts) == 3


def test_draws_and_mixing_are_those_of_the_cpu_s_loader(folder, seed):
    dataset = make(folder, COUNT, recipe("v1", seed, 0.5))
    options = {"seed": seed, "shuffle": True, "batch_transform": EITHER}
    here = DataLoader(dataset, 4, **options)
    there = DataLoader(dataset, 4, finish_on="device", **options)
    assert (here.draws(1) == there.draws(1)).all() and here.draws(1)["erased"].any()
    assert here.mixing(1) == there.mixing(1)


@pytest.mark.parametrize("channels_last", [False, True])
def test_page_locked_batches_are_finished_too(folder, monkeypatch, channels_last, seed):
    dataset = make(folder, COUNT, recipe("v1", seed, 0.5))
    expected, loader = both(dataset, channels_last=channels_last)
    loader.pin_memory = True

    def page_locked(size):  # as _tensors.page_locked(), where nothing can be locked
        memory = torch.empty(size, dtype=torch.uint8)
        return memory, memory.data_ptr()

    monkeypatch.setattr(_tensors, "should_pin", lambda *_: True)
    monkeypatch.setattr(_tensors, "page_locked", page_locked)
    monkeypatch.setattr(_tensors, "pin", lambda labels: labels)
    all_same([batch.finish() for batch in loader], expected)


def test_a_loader_that_finishes_on_the_cpu_imports_no_compiler():
    program = "import sys, ringfeed; print({'torch._dynamo', 'ringfeed._finish'} & {*sys.modules})"
    assert run_python(program) == "set()\n"


def test_a_label_without_a_column_raises_at_its_batch(folder):
    dataset = make(folder, 8, plain_recipe(), target_transform=lambda label: 7 * label)
    loader = DataLoader(dataset, 4, finish_on="device", batch_transform=CutMix(22))
    batches = iter(loader)
    next(batches)
    with pytest.raises(ValueError, match="no column for the label 49"):
        next(batches)
    assert loader.state_dict()["positions"] == 0  # of the next epoch


@pytest.mark.parametrize(("dtype", "bytes_a_value"), [(torch.float32, 4), (torch.float16, 2)])
def test_memory_is_counted_as_it_travels(folder, dtype, bytes_a_value):
    dataset = make(folder, COUNT, v1.Compose([v1.CenterCrop(224), v1.ToTensor()]))
    bounds, least = [], []
    for finish_on in ("cpu", "device"):
        options = {"num_workers": 1, "dtype": dtype, "finish_on": finish_on}
        loader = DataLoader(dataset, 8, **options)
        next(iter(loader))
        bounds.append(loader.stats()["memory_bound"])
        with pytest.raises(ValueError, match="memory_limit") as refused:
            DataLoader(dataset, 8, memory_limit=1, **options)
        least.append(
            max(int(n.replace(",", "")) for n in re.findall(r"[\d,]*\d", str(refused.value)))
        )
    values = (2 + 2) * 8 * 3 * 224 * 224  # of two batches ahead, and two that the caller has
    page = 4096  # to which a batch's memory rounds up, or malloc's own words
    for here, there in (bounds, least):
        assert abs(here - there - values * (bytes_a_value - 1)) <= 4 * page


def test_what_makes_no_sense_is_named(folder):
    dataset = make(folder, 4, plain_recipe())
    with pytest.raises(ValueError, match='finish_on must be "cpu" or "device", not \'gpu\''):
        DataLoader(dataset, 4, finish_on="gpu")
    with pytest.raises(ValueError, match="batch_size=None gives single samples"):
        DataLoader(dataset, None, finish_on="device")
    noise = v1.Compose([*plain_recipe().transforms, v1.RandomErasing(value="random")])
    with pytest.raises(UnsupportedTransform, match='erases with constants.* finish_on at "cpu"'):
        DataLoader(make(folder, 4, noise), 4, finish_on="device")


# With a GPU alone


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_nothing_waits_for_the_gpu_but_the_first_batch(folder, seed):
    dataset = make(folder, COUNT, recipe("v1", seed, 0.5))
    loader = DataLoader(
        dataset, 4, seed=seed, batch_transform=EITHER, finish_on="device", pin_memory=True
    )
    batches = iter(DevicePrefetcher(loader, "cuda"))
    next(batches)
    torch.cuda.set_sync_debug_mode("error")
    try:
        list(batches)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_batches_hold_while_the_gpu_is_behind(folder, seed):
    """The memory of 8-bit images is used again only when it has been read."""
    dataset = make(folder, COUNT, recipe("v1", seed, 0.5))
    options = {"seed": seed, "batch_transform": EITHER, "shuffle": True}
    loader = DataLoader(dataset, 4, finish_on="device", pin_memory=True, **options)
    kept = []
    for _ in range(3):
        for batch in DevicePrefetcher(loader, "cuda"):
            torch.cuda._sleep(20_000_000)
            kept.append([tensor.clone() for tensor in batch])
    loader = DataLoader(dataset, 4, **options)
    expected = [batch for _ in range(3) for batch in loader]
    all_same(kept, expected)
