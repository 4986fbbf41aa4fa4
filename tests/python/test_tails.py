"""What follows the image in a file, such as a phone's video, is not read."""

import os
import random
import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

import compare_pillow
import odd_files
from odd_files import save

import ringfeed
from test_damage import TRANSFORM, pillow, ringfeeds

RNG = random.Random(3)
PHOTO = compare_pillow.picture(RNG, 500, 400)
TAIL = RNG.randbytes(5_000_000)
IMAGES = {
    "photo": save(PHOTO, format="JPEG", quality=97),
    "progressive": save(PHOTO, format="JPEG", quality=97, progressive=True),
    "png": save(PHOTO, format="PNG"),
    "animation": odd_files.animation(PHOTO, frames=12),
    "several": save(PHOTO, format="MPO", save_all=True, append_images=[PHOTO] * 12),
}


@pytest.fixture(scope="module")
def tailed(tmp_path_factory):
    """Of each kind three files, with 5 MB behind the image."""
    folder, paths = tmp_path_factory.mktemp("tailed"), []
    for name, data in IMAGES.items():
        for number in range(3):
            paths.append(str(folder / f"{name}{number}.jpg"))
            Path(paths[-1]).write_bytes(data + TAIL)
    return paths


def test_such_files_are_pillows(tailed, reader):
    for path, ours in zip(tailed, ringfeeds(tailed, reader=reader), strict=True):
        assert torch.equal(ours, pillow(path)), path


def bytes_read():
    """By this process, with read() and its kin."""
    return int(re.search(r"rchar: (\d+)", Path("/proc/self/io").read_text())[1])


def test_of_the_bytes_behind_the_image_few_are_read(tailed):
    dataset = ringfeed.ImageList(tailed, [0] * len(tailed), TRANSFORM)
    # The pool: what io_uring reads is not counted.
    with ringfeed.DataLoader(
        dataset, num_workers=1, reader="pool", persistent_workers=True
    ) as loader:
        before = bytes_read()
        assert len(list(loader)) == len(tailed)
        read = bytes_read() - before
    # What a read asks for is what other files have needed: up to 1 MB here, of 5 to 11 MB each.
    assert read < sum(map(os.path.getsize, tailed)) / 4
