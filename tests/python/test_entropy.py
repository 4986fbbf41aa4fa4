"""Whose code decodes JPEG files shows in the figures, and nowhere else."""

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
names = ("entropy", "entropy_note", "pixels", "pixels_note")
print(digest.hexdigest(), *(stats[name] for name in names), sep="|")
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


def run(folder, entropy, pixels=""):
    env = {**os.environ, "RINGFEED_ENTROPY": entropy, "RINGFEED_PIXELS": pixels}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)], env=env, capture_output=True, text=True
    )


def figures(folder, entropy, pixels=""):
    done = run(folder, entropy, pixels)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split("|")


def test_every_decoder_gives_the_same_tensors_and_is_named(folder):
    kinds = [("libjpeg", "libjpeg"), ("streams", "libjpeg"), ("streams", "vectors")]
    given = [figures(folder, *kind) for kind in kinds]
    for (entropy, pixels), figure in zip(kinds, given, strict=True):
        assert figure == [
            *(given[0][0], entropy, "$RINGFEED_ENTROPY"),
            *(pixels, "$RINGFEED_PIXELS"),
        ]


def test_ringfeeds_own_pass_their_tests(folder):
    assert figures(folder, "")[1:] == [
        *("streams", "equals libjpeg in a test picture"),
        *("vectors", "equal libjpeg's in test pictures"),
    ]


def test_pixels_are_libjpegs_where_the_scans_are(folder):
    assert figures(folder, "libjpeg")[3:] == ["libjpeg", "libjpeg reads the scans"]
    done = run(folder, "libjpeg", "vectors")
    assert done.returncode != 0
    assert "RINGFEED_PIXELS=vectors: libjpeg reads the scans; unset it" in done.stderr


def test_a_name_of_none_is_refused_with_the_names_there_are(folder):
    done = run(folder, "gpu")
    assert done.returncode != 0
    assert "RINGFEED_ENTROPY=gpu: must be one of libjpeg, streams" in done.stderr
    done = run(folder, "", "gpu")
    assert done.returncode != 0
    assert "RINGFEED_PIXELS=gpu: must be one of libjpeg, vectors" in done.stderr
