"""The LibTorch layer's tensors against Python's, and the C++ training example.

Drives the programs that the build folder $RINGFEED_BUILD has under tests/torch; skipped where it
was built without torch.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
import pytest
import torch
import torchvision
from torchvision import transforms
from torchvision.transforms import v2

import ringfeed
from ringfeed._mixing_apply import Mixer
from ringfeed._mixing_rules import TimmRule
from ringfeed.transforms import CutMix, LabelSmoothing, MixUp

PROGRAMS = Path(os.environ.get("RINGFEED_BUILD", ".")) / "tests" / "torch"
if not (PROGRAMS / "epoch_tensors").exists():
    pytest.skip(f"no LibTorch layer was built in {PROGRAMS}", allow_module_level=True)

NORMALIZE = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CROPS = {
    "train": [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()],
    "val": [transforms.Resize(256), transforms.CenterCrop(224)],
}
DTYPES = {
    # What LibTorch calls them, after C++.
    "float32": ("float", torch.float32),
    "float16": ("c10::Half", torch.float16),
    "bfloat16": ("c10::BFloat16", torch.bfloat16),
    "uint8": ("unsigned char", torch.uint8),
}
TARGETS = {"long int": np.int64, "float": np.float32}


class Batch(NamedTuple):
    shape: list[int]
    strides: list[int]
    dtype: str
    images: bytes  # as they lie in memory
    target: torch.Tensor


def run(program: str, *args: object, **environment: str) -> bytes:
    """Standard output of one of the build's programs."""
    done = subprocess.run(
        [PROGRAMS / program, *map(str, args)],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def numbers(text: str) -> list[int]:
    return [int(n) for n in text.split(",")]


def cpp_batches(*args: object, reader: str, **options: object) -> list[Batch]:
    given = [f"{key}={value}" for key, value in options.items()]
    stream = run("epoch_tensors", *args, *given, RINGFEED_READER=reader)
    batches = []
    while stream:
        line, _, stream = stream.partition(b"\n")
        form = r"\[(.*?)\] \[(.*?)\] (.*); \[(.*?)\] (.*)"
        shape, strides, dtype, target, kind = re.fullmatch(form, line.decode()).groups()
        shape, target = numbers(shape), numbers(target)
        item = DTYPES[next(k for k, v in DTYPES.items() if v[0] == dtype)][1].itemsize
        images = int(np.prod(shape)) * item
        values = np.frombuffer(stream, TARGETS[kind], int(np.prod(target)), images).copy()
        target = torch.from_numpy(values).reshape(target)
        batches.append(Batch(shape, numbers(strides), dtype, stream[:images], target))
        stream = stream[images + values.nbytes :]
    return batches


def in_memory(images: torch.Tensor) -> bytes:
    """The bytes of a dense tensor in the order of its memory."""
    flat = images.as_strided((images.numel(),), (1,))
    return flat.contiguous().view(torch.uint8).numpy().tobytes()


def python_transform(split: str, dtype: str) -> transforms.Compose:
    last = [transforms.PILToTensor()] if dtype == "uint8" else [transforms.ToTensor(), NORMALIZE]
    return transforms.Compose(CROPS[split] + last)


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["nchw", "channels_last"])
def test_tensors_equal_pythons(sample, split, dtype, layout, reader):
    seed, epoch, batch_size = 7, 2, 48
    name, torch_dtype = DTYPES[dtype]
    options: dict[str, Any] = {} if dtype == "uint8" else {"dtype": torch_dtype}
    dataset = ringfeed.ImageFolder(sample / split, python_transform(split, dtype))
    with ringfeed.DataLoader(
        dataset,
        batch_size=batch_size,
        shuffle=split == "train",
        num_workers=2,
        seed=seed,
        channels_last=layout == "channels_last",
        pillow="13",
        reader=reader,
        **options,
    ) as loader:
        loader.set_epoch(epoch)
        args = (sample / split, split, dtype, layout, batch_size, seed, epoch)
        ours = cpp_batches(*args, reader=reader)
        assert len(ours) == len(loader)
        for (images, labels), cpp in zip(loader, ours, strict=True):
            assert images.dtype == torch_dtype and cpp.dtype == name
            assert list(images.shape) == cpp.shape
            assert list(images.stride()) == cpp.strides
            assert torch.equal(labels, cpp.target)
            assert in_memory(images) == cpp.images


MIXED = {
    "mixup": (dict(mixup_alpha=0.2, label_smoothing=0.1), MixUp(10, 0.2, 0.1)),
    "cutmix": (dict(cutmix_alpha=1.0), CutMix(10)),
    "smoothing": (dict(label_smoothing=0.1), LabelSmoothing(10, 0.1)),
    "one-hot": (dict(num_classes=12), LabelSmoothing(12, 0)),
    "either": (
        dict(mixup_alpha=0.2, cutmix_alpha=1.0, prob=0.75, switch_prob=0.6),
        v2.RandomChoice(
            [MixUp(10, 0.2), CutMix(10), LabelSmoothing(10, 0)], p=[0.75 * 0.4, 0.75 * 0.6, 0.25]
        ),
    ),
    "batch": (
        dict(timm="batch", mixup_alpha=0.8, cutmix_alpha=1.0, label_smoothing=0.1),
        TimmRule(0.8, 1.0, None, 1.0, 0.5, "batch", True, 0.1, 10),
    ),
    "pair": (
        dict(timm="pair", mixup_alpha=0.2, cutmix_alpha=0.5, prob=0.8, switch_prob=0.3),
        TimmRule(0.2, 0.5, None, 0.8, 0.3, "pair", True, 0.0, 10),
    ),
    "elem": (
        dict(timm="elem", mixup_alpha=0.8, cutmix_alpha=1.0, correct_lam=0),
        TimmRule(0.8, 1.0, None, 1.0, 0.5, "elem", False, 0.0, 10),
    ),
    "minmax": (
        dict(timm="elem", mixup_alpha=0.8, cutmix_max=0.9),
        TimmRule(0.8, 1.0, (0.2, 0.9), 1.0, 0.5, "elem", True, 0.0, 10),
    ),
}
"""Options of C++, and what they are in Python; without timm its rule, which compiles from it."""


def python_mixed(sample, mixing, dtype, reader, **options):
    """[images, targets] of epoch 2, mixed."""
    transform = python_transform("train", dtype)
    if dtype != "uint8":
        options["dtype"] = DTYPES[dtype][1]
    of_timm = isinstance(mixing, TimmRule)
    loader = ringfeed.DataLoader(
        ringfeed.ImageFolder(sample / "train", transform),
        batch_size=48,
        shuffle=True,
        num_workers=2,
        seed=7,
        pillow="13",
        reader=reader,
        batch_transform=None if of_timm else mixing,
        **options,
    )
    with loader:
        loader.set_epoch(2)
        batches = list(loader)
    if of_timm:
        ranks, rank = options.get("world_size", 1), options.get("rank", 0)
        mixer = Mixer(mixing, 7, 2)
        batches = [
            mixer(*batch, number * 48 * ranks + rank) for number, batch in enumerate(batches)
        ]
    return batches


def cpp_mixed(sample, options, dtype="float32", layout="nchw", *, reader, **more):
    where = sample / "train", "train", dtype, layout, 48, 7, 2
    return cpp_batches(*where, reader=reader, **options, **more)


def all_equal(theirs, ours):
    for (images, targets), cpp in zip(theirs, ours, strict=True):
        assert list(images.shape) == cpp.shape and list(images.stride()) == cpp.strides
        assert targets.dtype == cpp.target.dtype and torch.equal(targets, cpp.target)
        assert in_memory(images) == cpp.images


@pytest.mark.parametrize("mixing", MIXED)
def test_mixed_batches_equal_pythons(sample, mixing, reader):
    options, python = MIXED[mixing]
    theirs = python_mixed(sample, python, "float32", reader)
    all_equal(theirs, cpp_mixed(sample, options, reader=reader))


@pytest.mark.parametrize(
    ("mixing", "dtype"),
    [
        *itertools.product(["mixup", "cutmix", "elem"], ["float16", "bfloat16"]),
        ("cutmix", "uint8"),
        ("batch", "uint8"),
        ("elem", "uint8"),
    ],
)
@pytest.mark.parametrize("layout", ["nchw", "channels_last"])
def test_mixed_batches_equal_pythons_in_every_dtype_and_layout(sample, mixing, dtype, layout):
    options, python = MIXED[mixing]
    last = layout == "channels_last"
    theirs = python_mixed(sample, python, dtype, "pool", channels_last=last)
    all_equal(theirs, cpp_mixed(sample, options, dtype, layout, reader="pool"))


@pytest.mark.parametrize("mixing", ["either", "batch", "elem"])
def test_mixed_batches_are_the_same_finished_on_a_device_and_by_other_threads(sample, mixing):
    options, python = MIXED[mixing]
    theirs = python_mixed(sample, python, "float32", "pool")
    for more in ({"finish_on": "cpu"}, {"num_workers": 1}, {"num_workers": 4}):
        all_equal(theirs, cpp_mixed(sample, options, reader="pool", **more))


@pytest.mark.parametrize("mixing", ["either", "pair"])
def test_a_resumed_epoch_is_mixed_as_the_whole_one(sample, mixing, reader):
    options, python = MIXED[mixing]
    theirs = python_mixed(sample, python, "float32", reader)
    for taken in (1, 3):
        ours = cpp_mixed(sample, options, reader=reader, resume_after=taken)
        all_equal(theirs[taken:], ours)


@pytest.mark.parametrize("mixing", ["either", "elem"])
def test_each_rank_mixes_as_pythons(sample, mixing, reader):
    options, python = MIXED[mixing]
    found = []
    for rank in range(2):
        theirs = python_mixed(sample, python, "float32", reader, rank=rank, world_size=2)
        ours = cpp_mixed(sample, options, reader=reader, rank=rank)
        all_equal(theirs, ours)
        found.append([batch.target for batch in ours])
    assert not any(torch.equal(a, b) for a, b in zip(*found))


@pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="C++ follows Pillow 13")
def test_validation_tensors_equal_torchvisions(sample, reader):
    dataset = torchvision.datasets.ImageFolder(sample / "val", python_transform("val", "float32"))
    batches = cpp_batches(sample / "val", "val", "float32", "nchw", 16, 0, 0, reader=reader)
    assert torch.cat([batch.target for batch in batches]).tolist() == dataset.targets
    ours = [np.frombuffer(batch.images, np.float32).reshape(batch.shape) for batch in batches]
    for image, (theirs, _), source in zip(
        np.concatenate(ours), dataset, dataset.samples, strict=True
    ):
        assert np.array_equal(image, theirs.numpy()), source


def test_the_training_example_takes_mixed_batches(sample):
    assert re.search(r"loss \d+\.\d+  images/s \d+", run("cpp_train", sample, 1, 0, 0.2).decode())


def test_the_training_example_learns(sample):
    lines = run("cpp_train", sample, 3).decode()
    losses = [float(loss) for loss in re.findall(r"loss ([0-9.]+)  images/s \d+", lines)]
    assert len(losses) == 3
    assert losses[-1] < 0.8 * losses[0], lines


def test_the_training_example_names_a_missing_folder(tmp_path):
    done = subprocess.run([PROGRAMS / "cpp_train", tmp_path], capture_output=True, timeout=300)
    assert done.returncode == 1
    assert str(tmp_path / "train") in done.stderr.decode()
