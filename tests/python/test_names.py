"""No name of a file reaches a terminal as a command; the exact one is an attribute."""

import re

import pytest
from PIL import Image

import ringfeed
from ringfeed import DataLoader, LoadError, _ringfeed

transforms = pytest.importorskip("torchvision.transforms")
RECIPE = transforms.Compose([transforms.CenterCrop(8), transforms.ToTensor()])
NAME = "a\x1b[2J\r\n\x7f\x9b31m"  # U+009B is ESC [ in one character
SHOWN = r"a\x1b[2J\r\n\x7f\x9b31m"


def assert_harmless(text):
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", text), repr(text)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / NAME / "c0"
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "0.jpg")
    return tmp_path / NAME


def test_an_errors_text_writes_controls_out_and_its_filename_has_them(root, reader):
    bad = root / "c0" / f"{NAME}.jpg"
    bad.write_bytes(b"no image")
    dataset = ringfeed.ImageFolder(root, RECIPE, use_cache=False)
    with DataLoader(dataset, 2, num_workers=1, reader=reader) as loader:
        assert SHOWN in repr(loader)
        assert_harmless(repr(loader))
        with pytest.raises(LoadError) as raised:
            next(iter(loader))
    error = raised.value
    assert error.filename == error.path == str(bad)
    assert f"{SHOWN}.jpg: neither a JPEG nor a PNG" in str(error)
    for text in str(error), repr(error), error.detail:
        assert_harmless(text)


@pytest.mark.parametrize("missing", ["gone", "c0"])
def test_an_error_of_a_listing_does_so_too(root, missing):
    with pytest.raises(FileNotFoundError) as raised:
        ringfeed.ImageFolder(root / missing, use_cache=False)
    assert raised.value.filename == str(root / missing)
    assert SHOWN in str(raised.value)
    assert_harmless(str(raised.value))
    assert_harmless(raised.value.detail)


def test_a_warning_of_the_cache_does_so_too(root):
    (root / "file").write_bytes(b"")
    with pytest.warns(RuntimeWarning, match="listed at every start") as warned:
        ringfeed.ImageFolder(root, cache_dir=root / "file" / "cache")
    assert SHOWN in str(warned[0].message)
    assert_harmless(str(warned[0].message))


def test_undecodable_names_stay_readable():
    assert _ringfeed.printable("caf\xe9/\udcff.jpg") == "caf\xe9/\udcff.jpg"
    assert _ringfeed.printable("\udc9b31m") == r"\x9b31m"
