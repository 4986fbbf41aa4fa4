"""ringfeed.open against PIL.Image.open: whatever a script does with the image, in any order."""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path

import numpy as np
import PIL
import pytest
import torch
from PIL import Image, ImageFile
from torchvision.datasets.folder import pil_loader

import late_files
import ringfeed
from late_uses import FLIP, USES
from native import run_python
from ringfeed import _late_open
from ringfeed._late_image import is_late

LATE = late_files.late()
LEFT = late_files.left_to_pillow()
PILLOW11 = int(PIL.__version__.split(".")[0]) >= 11
needs_late = pytest.mark.skipif(not PILLOW11, reason="no late images before Pillow 11")

# What may have happened to an image before.
BEFORE = {
    "opened": lambda image: image,
    "opened and used": lambda image: (image.convert("RGB"), image)[1],
    "opened and loaded": lambda image: (image.load(), image)[1],
    "converted": lambda image: image.convert("RGB"),
    "converted and used": lambda image: (c := image.convert("RGB"), c.crop((0, 0, 2, 2)), c)[2],
    "converted within": lambda image: image.__enter__().convert("RGB"),
    "cropped": lambda image: image.convert("RGB").crop((1, 0, 60, 50)),
    "flipped": lambda image: image.convert("RGB").transpose(FLIP).crop((2, 1, 70, 55)),
    "resized": lambda image: image.convert("RGB").resize((70, 50)),
}


def plain(value):
    """For comparison: what an image shows of itself, and its pixels."""
    if isinstance(value, Image.Image):
        shown = type(value).__name__, value.mode, value.size, value.format, value.info
        try:
            return (*shown, value.tobytes())
        except Exception as error:
            return (*shown, plain(error))
    if isinstance(value, (tuple, list)):
        return [plain(one) for one in value]
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return type(value).__name__, str(value.dtype), np.asarray(value).tolist()
    if isinstance(value, BaseException):
        message = str(value).split(" at 0x")[0]
        # A file on disk says otherwise than BytesIO what cannot be done with it.
        return type(value), "closed file" if "closed file" in message else message
    return value


def outcome(opener, path, before, use):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ResourceWarning)  # Pillow's file may be open still
        try:
            found = plain(use(before(opener(path))))
        except Exception as error:
            found = plain(error)
    return found, [(w.category, str(w.message)) for w in warned]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("late")
    for name, data in {**LATE, **LEFT}.items():
        (path / name).write_bytes(data)
    return path


@pytest.mark.parametrize("name", [*LATE, *LEFT])
def test_every_use_gives_what_it_gives_with_pillow(folder, name):
    path = str(folder / name)
    few = ("opened", "converted", "cropped")
    differing = [
        (stage, use)
        for stage, before in BEFORE.items()
        for use, do in USES.items()
        if (stage in few or name in ("420.jpg", "grey.jpg", "turned.jpg", "rgb.png"))
        and outcome(ringfeed.open, path, before, do) != outcome(Image.open, path, before, do)
    ]
    assert not differing


@needs_late
def test_just_the_files_that_cannot_fail_later_are_late(folder):
    assert _late_open._ENABLED
    for name in LATE:
        assert is_late(ringfeed.open(folder / name)), name
    for name in LEFT:
        try:
            assert not is_late(ringfeed.open(folder / name)), name
        except (OSError, SyntaxError):
            assert name in ("nothing.jpg", "no image.jpg")


def test_errors_come_where_pillow_raises_them(folder):
    """A dataset that takes another sample on error, as scripts do: with the same draws."""

    def sample(opener, path):
        try:
            image = opener(path).convert("RGB")
        except (OSError, SyntaxError):
            return torch.rand(1)
        return torch.as_tensor(image.crop((0, 0, 20, 20)).getpixel((1, 1))) + torch.rand(3)

    for name in LEFT:
        drawn = []
        for opener in (Image.open, ringfeed.open):
            torch.manual_seed(1)
            drawn.append((sample(opener, folder / name).tolist(), torch.rand(1).item()))
        assert drawn[0] == drawn[1], name


@pytest.mark.parametrize("kind", [str, Path, bytes.fromhex, io.BytesIO, "file", "unseekable"])
@pytest.mark.parametrize("name", ["420.jpg", "rgb.png", "progressive.jpg", "gif.jpg"])
def test_paths_bytes_and_files_are_taken(folder, name, kind):
    class Unseekable(io.BytesIO):
        def seek(self, *args):
            raise io.UnsupportedOperation("seek")

    data = (folder / name).read_bytes()
    expected = Image.open(folder / name)
    makers = {"file": lambda: (folder / name).open("rb"), "unseekable": lambda: Unseekable(data)}
    makers |= {str: lambda: str(folder / name), Path: lambda: folder / name}
    makers |= {io.BytesIO: lambda: io.BytesIO(data), bytes.fromhex: lambda: data}
    image = ringfeed.open(makers[kind]())
    assert image == expected
    assert image.filename == (str(folder / name) if kind in (str, Path) else "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("missing.jpg",),
        (".",),
        (b"\xff\xd8\xff",),
        (3,),
        (None,),
        (io.StringIO("text"),),
        ("420.jpg", "w"),
        ("420.jpg", "r", "JPEG"),
        ("420.jpg", "r", ["PNG"]),
        ("nothing.jpg",),
        ("no image.jpg",),
    ],
    ids=str,
)
def test_what_cannot_be_opened_raises_what_pillow_raises(folder, arguments, monkeypatch):
    monkeypatch.chdir(folder)
    raised = []
    # Pillow takes bytes for a path, ringfeed for an image.
    theirs = (io.BytesIO(arguments[0]),) if isinstance(arguments[0], bytes) else arguments
    for opener, given in ((Image.open, theirs), (ringfeed.open, arguments)):
        with pytest.raises(Exception) as caught:
            opener(*given)
        raised.append((plain(caught.value), getattr(caught.value, "filename", None)))
    assert raised[0] == raised[1]


def test_formats_are_pillow_s(folder):
    assert ringfeed.open(folder / "420.jpg", formats=("JPEG",)).format == "JPEG"


@needs_late
@pytest.mark.parametrize("name", ["420.jpg", "progressive.jpg", "rgb.png"])
def test_a_file_may_be_closed_and_removed_after_it_was_opened(folder, tmp_path, name):
    path = tmp_path / name
    path.write_bytes((folder / name).read_bytes())
    with path.open("rb") as file:
        image = ringfeed.open(file)
    another = ringfeed.open(path)
    path.write_bytes(b"overwritten")
    path.unlink()
    expected = Image.open(folder / name)
    assert image.convert("RGB") == another.convert("RGB") == expected.convert("RGB")
    assert image == another == expected


@needs_late
def test_a_late_image_is_of_pillow_s_own_class_once_it_is_loaded(folder):
    opened = ringfeed.open(folder / "420.jpg")
    converted = opened.convert("RGB")
    crop = converted.crop((1, 2, 30, 40))
    for image, kind in ((opened, type(Image.open(folder / "420.jpg"))), (crop, Image.Image)):
        assert type(image) is not kind and isinstance(image, kind)
        image.load()
        assert type(image) is kind
        assert not hasattr(image, "_late")
    assert type(converted) is not Image.Image
    assert type(converted.resize((9, 9))) is Image.Image


@needs_late
def test_a_late_image_holds_its_bytes_and_no_pixels(folder):
    with ringfeed.open(folder / "420.jpg") as image:
        converted = image.convert("RGB")
    for one in (image, converted, converted.crop((1, 1, 9, 9))):
        assert "_im" not in one.__dict__ and not _pixels_within(one)
    assert converted._late.window.data == (folder / "420.jpg").read_bytes()
    assert converted._late.window.data is image._late.data  # held once
    converted.load()
    assert _pixels_within(converted)


def test_the_loader_gives_what_torchvision_s_gives(folder):
    for name in ("420.jpg", "grey.jpg", "palette.png", "rgba.png", "cmyk.jpg"):
        ours, theirs = ringfeed.pil_loader(folder / name), pil_loader(folder / name)
        assert plain(ours) == plain(theirs)
    assert pickle.loads(pickle.dumps(ringfeed.pil_loader)) is ringfeed.pil_loader


def test_importing_ringfeed_imports_nothing_of_pillow():
    script = """
import sys
sys.modules["PIL"] = None
import ringfeed
assert callable(ringfeed.open)
assert not [name for name in sys.modules if name.startswith("ringfeed._late")]
"""
    run_python(script)


def _pixels_within(image):
    return any(type(value).__name__ == "ImagingCore" for value in vars(image).values())


def test_the_settings_of_pillow_count_when_pillow_reads_them(folder, monkeypatch):
    def limited_crops(image):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
        try:
            return [image.crop(box) for box in ((0, 0, 40, 40), (0, 0, 83, 60))]
        finally:
            monkeypatch.undo()

    def limited_whole(image):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
        try:
            return image.crop((0, 0, *image.size))
        finally:
            monkeypatch.undo()

    path = folder / "420.jpg"
    for crops in (limited_crops, limited_whole):
        ours = outcome(ringfeed.open, path, BEFORE["converted"], crops)
        assert ours == outcome(Image.open, path, BEFORE["converted"], crops)
        assert bool(ours[1]) == (crops is limited_crops)  # it has warned
    for most in (100, 3000, None):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        use = USES["convert, crop, resize"]
        ours = outcome(ringfeed.open, path, BEFORE["opened"], use)
        assert ours == outcome(Image.open, path, BEFORE["opened"], use)
    monkeypatch.undo()
    for name in ("cut.jpg", "cut.png", "damaged.png", "wrong checksum.png", "420.jpg", "rgb.png"):
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        ours = outcome(ringfeed.open, folder / name, BEFORE["opened"], USES["convert"])
        assert ours == outcome(Image.open, folder / name, BEFORE["opened"], USES["convert"])
        monkeypatch.undo()
