"""Where folder times tell nothing, a kept listing is not believed unless the user insists."""

import os
import pickle

import pytest
from PIL import Image

import ringfeed


@pytest.fixture
def timeless(tmp_path):
    """A folder whose times lie in the future, and a place for its manifest."""
    folder = tmp_path / "root" / "c0"
    folder.mkdir(parents=True)
    add(folder, "0.jpg")
    return tmp_path / "root", tmp_path / "cache"


def add(folder, name):
    Image.new("RGB", (8, 8)).save(folder / name)
    os.utime(folder, (1 << 32, 1 << 32))


def names(dataset):
    return [os.path.basename(path) for path, _ in dataset.samples]


def test_such_a_folder_is_listed_at_every_start(timeless):
    root, cache = timeless
    assert names(ringfeed.ImageFolder(root, cache_dir=cache)) == ["0.jpg"]
    add(root / "c0", "1.jpg")  # ctime changes, on a disk; the manifest is not even there
    assert not list(cache.glob("*.manifest"))
    assert names(ringfeed.ImageFolder(root, cache_dir=cache)) == ["0.jpg", "1.jpg"]


def test_who_insists_has_it_kept(timeless):
    root, cache = timeless
    dataset = ringfeed.ImageFolder(root, use_cache="always", cache_dir=cache)
    (manifest,) = cache.glob("*.manifest")
    before = manifest.stat().st_mtime_ns
    again = ringfeed.ImageFolder(root, use_cache="always", cache_dir=cache)
    assert manifest.stat().st_mtime_ns == before
    assert names(again) == names(dataset) == ["0.jpg"]
    assert names(pickle.loads(pickle.dumps(again))) == ["0.jpg"]


@pytest.mark.parametrize("wrong", ["never", "", None, 2])
def test_another_word_is_refused(timeless, wrong):
    with pytest.raises(ValueError, match='use_cache must be True, False or "always", not '):
        ringfeed.ImageFolder(timeless[0], use_cache=wrong)
