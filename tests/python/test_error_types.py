"""A file that cannot be loaded raises what torch's DataLoader over torchvision's dataset raises."""

import os
import struct
import zlib
from pathlib import Path

import pytest
import torch.utils.data
from PIL import Image
from torch._utils import ExceptionWrapper

datasets = pytest.importorskip("torchvision.datasets")

from torchvision import transforms

import ringfeed

TRANSFORM = transforms.Compose([transforms.Resize((8, 8)), transforms.PILToTensor()])


def small_jpeg(path):
    Image.radial_gradient("L").convert("RGB").save(path, format="JPEG")
    return path.read_bytes()


def chunk(name, data):
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum


def huge_png():
    side = int((2 * Image.MAX_IMAGE_PIXELS) ** 0.5) + 1
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def missing(path):
    path.unlink()


def directory(path):
    path.unlink()
    path.mkdir()


def link_to_itself(path):
    path.unlink()
    path.symlink_to(path.name)


def link_through_a_file(path):
    path.rename(path.with_suffix(".other"))
    path.symlink_to(path.with_suffix(".other") / "below")


def unreadable(path):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path.chmod(0)


FAULTS = {
    "missing": missing,
    "directory": directory,
    "link to itself": link_to_itself,
    "link through a file": link_through_a_file,
    "unreadable": unreadable,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"not an image at all"),
    "no frame": lambda path: path.write_bytes(b"\xff\xd8\xff\xd9"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-300]),
    "bomb": lambda path: path.write_bytes(huge_png()),
}


@pytest.fixture
def dataset(tmp_path):
    """torchvision's, of one file that was there when it was listed."""
    (tmp_path / "c0").mkdir()
    small_jpeg(tmp_path / "c0" / "0.jpg")
    return datasets.ImageFolder(tmp_path, TRANSFORM)


def raised_by(loader):
    with pytest.raises(Exception) as raised:  # whatever it is: that is the question
        next(iter(loader))
    return raised.value


@pytest.mark.parametrize("fault", FAULTS)
def test_it_is_what_torchs_loader_raises(dataset, fault, reader):
    path = Path(dataset.samples[0][0])
    FAULTS[fault](path)
    theirs = raised_by(torch.utils.data.DataLoader(dataset))
    with ringfeed.DataLoader(dataset, num_workers=1, reader=reader) as loader:
        ours = raised_by(loader)
    assert isinstance(ours, ringfeed.LoadError)
    assert isinstance(ours, type(theirs)), (type(theirs), type(ours).__mro__)
    assert ours.errno == getattr(theirs, "errno", None)
    assert ours.filename == str(path)


@pytest.mark.parametrize("fault", ["missing", "text", "cut", "bomb"])
def test_it_is_what_torchs_worker_processes_raise(dataset, fault):
    """They send class and text apart; so do those who put ringfeed's loader into one."""
    path = Path(dataset.samples[0][0])
    FAULTS[fault](path)
    theirs = raised_by(torch.utils.data.DataLoader(dataset, num_workers=1, timeout=60))
    with ringfeed.DataLoader(dataset, num_workers=1) as loader:
        ours = raised_by(loader)
    try:
        raise ours
    except ringfeed.LoadError:
        sent = ExceptionWrapper(where="in a worker")
    with pytest.raises(type(theirs), match="(?s)Caught LoadError in a worker.*" + str(path)) as got:
        sent.reraise()
    assert type(got.value) is type(ours)
