"""The LibTorch layer's tensors against Python's, and the C++ training example.

Drives the programs that the build folder $RINGFEED_BUILD has under tests/torch; skipped where it
was built without torch.
"""

from __future__ import annotations

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

import ringfeed

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


class Batch(NamedTuple):
    shape: list[int]
    strides: list[int]
    dtype: str
    images: bytes  # as they lie in memory
    labels: list[int]


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


def cpp_batches(*args: object, reader: str) -> list[Batch]:
    stream = run("epoch_tensors", *args, RINGFEED_READER=reader)
    batches = []
    while stream:
        line, _, stream = stream.partition(b"\n")
        shape, strides, dtype = re.fullmatch(r"\[(.*?)\] \[(.*?)\] (.*)", line.decode()).groups()
        shape = numbers(shape)
        item = DTYPES[next(k for k, v in DTYPES.items() if v[0] == dtype)][1].itemsize
        images = int(np.prod(shape)) * item
        labels = np.frombuffer(stream, np.int64, shape[0], images).tolist()
        batches.append(Batch(shape, numbers(strides), dtype, stream[:images], labels))
        stream = stream[images + 8 * shape[0] :]
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
            assert labels.tolist() == cpp.labels
            assert in_memory(images) == cpp.images


@pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="C++ follows Pillow 13")
def test_validation_tensors_equal_torchvisions(sample, reader):
    dataset = torchvision.datasets.ImageFolder(sample / "val", python_transform("val", "float32"))
    batches = cpp_batches(sample / "val", "val", "float32", "nchw", 16, 0, 0, reader=reader)
    assert [label for batch in batches for label in batch.labels] == dataset.targets
    ours = [np.frombuffer(batch.images, np.float32).reshape(batch.shape) for batch in batches]
    for image, (theirs, _), source in zip(
        np.concatenate(ours), dataset, dataset.samples, strict=True
    ):
        assert np.array_equal(image, theirs.numpy()), source


def test_the_training_example_learns(sample):
    lines = run("cpp_train", sample, 3).decode()
    losses = [float(loss) for loss in re.findall(r"loss ([0-9.]+)  images/s \d+", lines)]
    assert len(losses) == 3
    assert losses[-1] < 0.8 * losses[0], lines


def test_the_training_example_names_a_missing_folder(tmp_path):
    done = subprocess.run([PROGRAMS / "cpp_train", tmp_path], capture_output=True, timeout=300)
    assert done.returncode == 1
    assert str(tmp_path / "train") in done.stderr.decode()
