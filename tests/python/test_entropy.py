"""Whose code reads the scans of JPEG files shows in the figures, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

SCRIPT = """
import hashlib, sys
from torchvision import transforms
from ringfeed import DataLoader, ImageFolder

recipe = transforms.Compose([transforms.RandomResizedCrop(64), transforms.ToTensor()])
loader = DataLoader(ImageFolder(sys.argv[1], recipe), batch_size=4, seed=1)
digest = hashlib.sha256(b"".join(images.numpy().tobytes() for images, _ in loader))
stats = loader.stats()
print(digest.hexdigest(), stats["entropy"], stats["entropy_note"], sep="|")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    (root / "class").mkdir()
    rng = np.random.default_rng(1)
    for number in range(8):
        pixels = rng.integers(0, 256, (150 + number, 200, 3), np.uint8)
        Image.fromarray(pixels).save(root / "class" / f"{number}.jpg")
    return root


def run(folder, entropy):
    env = {**os.environ, "RINGFEED_ENTROPY": entropy}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)], env=env, capture_output=True, text=True
    )


def figures(folder, entropy):
    done = run(folder, entropy)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split("|")


def test_every_decoder_gives_the_same_tensors_and_is_named(folder):
    given = {name: figures(folder, name) for name in ("libjpeg", "streams")}
    assert given["libjpeg"] == [given["streams"][0], "libjpeg", "$RINGFEED_ENTROPY"]
    assert given["streams"][1:] == ["streams", "$RINGFEED_ENTROPY"]


def test_the_streams_pass_their_own_test(folder):
    assert figures(folder, "")[1:] == [
        "streams",
        "equals libjpeg in a test picture",
    ]


def test_a_name_of_none_is_refused_with_the_names_there_are(folder):
    done = run(folder, "gpu")
    assert done.returncode != 0
    assert "RINGFEED_ENTROPY=gpu: must be one of libjpeg, streams" in done.stderr
