"""ringfeed raises for exactly the files that Pillow refuses, and names them."""

import errno
import importlib
import os
import random
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from PIL import Image, ImageFile, UnidentifiedImageError
from torchvision import transforms as v1
from torchvision.datasets.folder import pil_loader

import ringfeed
from torchvision_reference import PILLOW13

SEED = 77
TRANSFORM = v1.Compose([v1.Resize((32, 32)), v1.PILToTensor()])


def compare_pillow():
    """tests/decode/compare_pillow.py, for its files and the ways it damages them."""
    with warnings.catch_warnings():
        return importlib.import_module("compare_pillow")


def pillow(path):
    """torchvision's tensor, or the exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return TRANSFORM(pil_loader(path))
        except Exception as error:  # whatever it is, Pillow refuses the file
            return error


def ringfeeds(paths, **options):
    """A tensor or a LoadError for each path."""
    dataset, results = ringfeed.ImageList(paths, range(len(paths)), TRANSFORM), []
    with ringfeed.DataLoader(dataset, batch_size=1, num_workers=2, **options) as loader:
        assert len(loader) == len(paths)
        batches = iter(loader)
        while True:
            try:
                images, labels = next(batches)
                assert labels.tolist() == [len(results)]
                results.append(images[0])
            except ringfeed.LoadError as error:
                results.append(error)
            except StopIteration:
                return results


# What a script for Pillow's loader may tell apart.
KINDS = (
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    UnidentifiedImageError,
    Image.DecompressionBombError,
)


def kinds_of(error):
    return [kind.__name__ for kind in KINDS if isinstance(error, kind)]


def assert_refused(error, path, stage, code=None):
    """As OSError names a file, so that a script for Pillow's errors needs no change."""
    assert isinstance(error, ringfeed.LoadError) and isinstance(error, OSError)
    assert (error.stage, error.errno) == (stage, code)
    assert error.filename == error.path == str(path)
    assert str(path) in str(error) and error.detail and "\n" not in str(error)
    assert repr(error) == f"LoadError({str(error)!r})"


def test_ringfeed_refuses_what_pillow_refuses(tmp_path, reader):
    make = compare_pillow()
    rng, paths, kinds = random.Random(SEED), [], []
    for name, data in make.images(rng):
        for _ in range(20):
            kind, damaged = make.damage(rng, data)
            paths.append(str(tmp_path / f"{len(paths)}.JPEG"))
            kinds.append((name, kind))
            Path(paths[-1]).write_bytes(damaged)
    wrong, counts = [], {True: 0, False: 0}
    for path, kind, ours in zip(paths, kinds, ringfeeds(paths, reader=reader), strict=True):
        theirs = pillow(path)
        refused = isinstance(theirs, Exception)
        counts[refused] += 1
        if isinstance(ours, Exception):
            assert_refused(ours, path, "decode" if os.path.getsize(path) else "read")
        # An animation without IDAT, of which Pillow shows a later frame (docs/python.md).
        if kind[0].startswith("apng") and not refused and "no image data" in str(ours):
            continue
        if refused != isinstance(ours, Exception):
            wrong.append(f"{path}, {kind}: Pillow {theirs}, ringfeed {ours}")
        # Pillow 12 identifies no file whose headers are cut; Pillow 13 opens it.
        elif refused and PILLOW13 and kinds_of(ours) != kinds_of(theirs):
            wrong.append(f"{path}, {kind}: Pillow {theirs!r}, ringfeed {kinds_of(ours)} {ours}")
        # A progressive file that lacks scans looks otherwise in older libjpeg-turbo.
        elif not refused and "progressive" not in kind[0] and not torch.equal(ours, theirs):
            wrong.append(f"{path}, {kind}: other pixels")
    assert not wrong, f"seed {SEED}, {len(wrong)} of {len(paths)}:\n" + "\n".join(wrong[:9])
    assert min(counts.values()) > len(paths) / 5, counts


@pytest.fixture
def whole(tmp_path):
    rng = np.random.default_rng(SEED)
    path = tmp_path / "whole.JPEG"
    Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(path, format="JPEG")
    return path


def test_each_bad_file_costs_its_own_batch_only(whole, tmp_path, reader):
    data, bad = whole.read_bytes(), {}

    def add(name, stage, code=None, content=None):
        bad[str(tmp_path / name)] = stage, code
        if content is not None:
            (tmp_path / name).write_bytes(content)

    add("cut.JPEG", "decode", content=data[:-300])
    add("no end.JPEG", "decode", content=data[:-2])
    add("text.JPEG", "decode", content=b"not an image at all")
    add("empty.JPEG", "read", content=b"")
    add("header.JPEG", "decode", content=data[:20])
    add("missing.JPEG", "open", errno.ENOENT)
    add("dangling.JPEG", "open", errno.ENOENT)
    (tmp_path / "dangling.JPEG").symlink_to("nowhere")
    add("loop.JPEG", "open", errno.ELOOP)
    (tmp_path / "loop.JPEG").symlink_to("loop.JPEG")
    add("line\nbreak.JPEG", "decode", content=data[:-300])
    add(os.fsdecode(b"\xff.JPEG"), "decode", content=data[:-300])
    paths = [path for name in bad for path in (str(whole), name)] + [str(whole)]
    results, good = ringfeeds(paths, reader=reader), pillow(str(whole))
    assert len(results) == len(paths)
    for path, result in zip(paths, results):
        if path == str(whole):
            assert torch.equal(result, good)
            continue
        theirs = pillow(path)
        assert isinstance(theirs, Exception) and kinds_of(result) == kinds_of(theirs)
        assert isinstance(result, ringfeed.LoadError)
        assert (result.stage, result.errno) == bad[path]
        assert result.filename == path and path.replace("\n", "\\n") in str(result)


def test_a_directory_in_a_list_is_refused(tmp_path, reader):
    folder = tmp_path / "folder.JPEG"
    folder.mkdir()
    assert isinstance(pillow(str(folder)), IsADirectoryError)
    (error,) = ringfeeds([str(folder)], reader=reader)
    assert isinstance(error, ringfeed.LoadError) and error.errno == errno.EISDIR
    assert isinstance(error, IsADirectoryError)
    assert error.filename == str(folder)


@pytest.mark.parametrize("format", ["BMP", "GIF", "TIFF", "PPM", "WEBP"])
def test_other_formats_are_refused_by_name_whatever_pillow_does(whole, tmp_path, format):
    path = tmp_path / "image.jpg"
    Image.open(whole).save(path, format=format)
    (error,) = ringfeeds([str(path)])
    assert_refused(error, path, "decode")


def test_an_image_that_pillow_takes_for_a_bomb_is_refused(tmp_path):
    path = tmp_path / "bomb.png"
    side = int((2 * Image.MAX_IMAGE_PIXELS) ** 0.5) + 1
    Image.new("1", (side, side)).save(path)
    assert isinstance(pillow(str(path)), Image.DecompressionBombError)
    (error,) = ringfeeds([str(path)])
    assert_refused(error, path, "decode")


def test_the_first_bad_file_of_a_batch_is_named_and_the_next_batch_is_whole(whole, tmp_path):
    for name in ("a.JPEG", "b.JPEG"):
        (tmp_path / name).write_bytes(b"no image")
    paths = [str(whole), str(tmp_path / "a.JPEG"), str(tmp_path / "b.JPEG"), *[str(whole)] * 3]
    dataset = ringfeed.ImageList(paths, [0] * 6, TRANSFORM)
    with ringfeed.DataLoader(dataset, batch_size=3, num_workers=2) as loader:
        batches = iter(loader)
        with pytest.raises(OSError, match="a.JPEG") as raised:
            next(batches)
        assert_refused(raised.value, tmp_path / "a.JPEG", "decode")
        images, _ = next(batches)
        assert torch.equal(images, torch.stack([pillow(str(whole))] * 3))
        with pytest.raises(StopIteration):
            next(batches)


def test_pillow_s_switch_for_truncated_images_is_honoured(whole, tmp_path, monkeypatch, reader):
    cut = tmp_path / "cut.JPEG"
    cut.write_bytes(whole.read_bytes()[:-300])
    assert isinstance(ringfeeds([str(cut)], reader=reader)[0], ringfeed.LoadError)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert torch.equal(ringfeeds([str(cut)], reader=reader)[0], pillow(str(cut)))
