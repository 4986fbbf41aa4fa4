"""Whose code decodes JPEG files shows in the figures, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


def has_lanes():
    """AVX-512 with VBMI2, as Linux names them."""
    words = Path("/proc/cpuinfo").read_text().split()
    return {"avx512f", "avx512bw", "avx512vl", "avx512_vbmi2"} <= set(words)


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
    if has_lanes():
        kinds += [("lanes", "libjpeg"), ("lanes", "vectors")]
    given = [figures(folder, *kind) for kind in kinds]
    for (entropy, pixels), figure in zip(kinds, given, strict=True):
        assert figure == [
            *(given[0][0], entropy, "$RINGFEED_ENTROPY"),
            *(pixels, "$RINGFEED_PIXELS"),
        ]


def test_ringfeeds_own_pass_their_tests(folder):
    entropy, why, *pixels = figures(folder, "")[1:]
    assert entropy == "streams" or (entropy == "lanes" and has_lanes())
    assert why.startswith("equals libjpeg in a test picture; ")
    assert pixels == ["vectors", "equal libjpeg's in test pictures"]


def test_lanes_are_refused_where_the_cpu_has_none(folder):
    if has_lanes():
        pytest.skip("this CPU has them")
    done = run(folder, "lanes")
    assert done.returncode != 0
    assert "RINGFEED_ENTROPY=lanes: this CPU has no AVX-512 with VBMI2" in done.stderr


def test_pixels_are_libjpegs_where_the_scans_are(folder):
    assert figures(folder, "libjpeg")[3:] == ["libjpeg", "libjpeg reads the scans"]
    done = run(folder, "libjpeg", "vectors")
    assert done.returncode != 0
    assert "RINGFEED_PIXELS=vectors: libjpeg reads the scans; unset it" in done.stderr


def test_a_name_of_none_is_refused_with_the_names_there_are(folder):
    done = run(folder, "gpu")
    assert done.returncode != 0
    assert "ValueError: RINGFEED_ENTROPY=gpu: must be one of libjpeg, streams, lanes" in done.stderr
    done = run(folder, "", "gpu")
    assert done.returncode != 0
    assert "ValueError: RINGFEED_PIXELS=gpu: must be one of libjpeg, vectors" in done.stderr
