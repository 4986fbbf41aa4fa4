"""The examples in the package's docstrings, run where a small ImageNet lies."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ringfeed
from ringfeed import (
    DataLoader,
    DecodeLimits,
    DevicePrefetcher,
    ImageFolder,
    ImageList,
    RepeatedAugmentationSampler,
)
from ringfeed.transforms import CutMix, LabelSmoothing, MixUp

pytest.importorskip("torchvision")

MODULES = ["ringfeed", *(f"ringfeed.{m.name}" for m in pkgutil.iter_modules(ringfeed.__path__))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds imagenet/train and imagenet/val, each with two classes of four images."""
    folder = tmp_path_factory.mktemp("examples")
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("n01440764", "n01443537"):
            (folder / "imagenet" / split / name).mkdir(parents=True)
            for number in range(4):
                pixels = rng.integers(0, 256, (240, 260, 3), np.uint8)
                Image.fromarray(pixels).save(folder / "imagenet" / split / name / f"{number}.jpg")
    return folder


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_say(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    if name == "ringfeed.lightning":
        pytest.importorskip("lightning")
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def has_example(kind: type) -> bool:
    return bool(doctest.DocTestFinder(recurse=False).find(kind)[0].examples)


@pytest.mark.parametrize(
    "kind",
    [
        *(DataLoader, DecodeLimits, DevicePrefetcher, ImageFolder, ImageList),
        *(CutMix, LabelSmoothing, MixUp, RepeatedAugmentationSampler),
    ],
)
def test_what_a_user_constructs_has_an_example(kind):
    assert has_example(kind)


def test_the_data_module_has_an_example():
    pytest.importorskip("lightning")
    assert has_example(importlib.import_module("ringfeed.lightning").ImageNetDataModule)
