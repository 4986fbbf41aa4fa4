"""A file that another process holds is waited for, though it is opened with O_NONBLOCK."""

import fcntl
import os
import signal

import pytest
import torch
from PIL import Image

transforms = pytest.importorskip("torchvision.transforms")

import ringfeed

RECIPE = transforms.Compose([transforms.CenterCrop(8), transforms.PILToTensor()])


@pytest.fixture
def held(tmp_path):
    """A folder with one file under a lease, let go when somebody asks for the file."""
    (tmp_path / "c0").mkdir()
    path = tmp_path / "c0" / "0.jpg"
    Image.radial_gradient("L").save(path)
    file = os.open(path, os.O_RDWR)
    asked = []

    def let_go(*_):
        asked.append(fcntl.fcntl(file, fcntl.F_GETLEASE))
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    before = signal.signal(signal.SIGIO, let_go)
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError as error:
        pytest.skip(f"no leases in {tmp_path}: {error}")
    yield tmp_path, asked
    signal.signal(signal.SIGIO, before)
    os.close(file)


def test_a_held_file_is_loaded_once_it_is_let_go(held, reader):
    root, asked = held
    dataset = ringfeed.ImageFolder(root, RECIPE, use_cache=False)
    with ringfeed.DataLoader(dataset, num_workers=1, reader=reader, timeout=40) as loader:
        images, _ = next(iter(loader))
    assert len(asked) == 1
    assert torch.equal(images[0], dataset[0][0])


def test_draws_wait_for_a_held_file_too(held):
    root, asked = held
    dataset = ringfeed.ImageFolder(root, RECIPE, use_cache=False)
    rows = ringfeed.DataLoader(dataset, num_workers=1).draws(0)
    assert len(asked) == 1
    assert len(rows) == 1
