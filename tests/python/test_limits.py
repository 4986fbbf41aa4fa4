"""What one file may ask for, and that every message names an option which is there."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle

import numpy as np
import pytest
from PIL import Image, ImageFile

import ringfeed
from native import Native
from ringfeed import DataLoader, DecodeLimits, LoadError, _ringfeed

transforms = pytest.importorskip("torchvision.transforms")
RECIPE = transforms.Compose([transforms.CenterCrop(8), transforms.ToTensor()])


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """One progressive JPEG of 64 x 48."""
    root = tmp_path_factory.mktemp("photos")
    (root / "c0").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(pixels).save(root / "c0" / "0.jpg", progressive=True)
    return root


def load(photos, **options):
    dataset = ringfeed.ImageFolder(photos, RECIPE, use_cache=False)
    with DataLoader(dataset, 1, num_workers=1, **options) as loader:
        return next(iter(loader))[0]


def test_every_option_that_a_message_can_name_is_there(photos):
    options = inspect.signature(DataLoader).parameters
    assert len(_ringfeed.argument_names) >= 8
    for name in _ringfeed.argument_names:
        if name.startswith("limits="):
            assert "limits" in options
            limits = eval(name.removeprefix("limits=").replace("...", "7"), {"ringfeed": ringfeed})
            assert limits != DecodeLimits()
        elif name.startswith("PIL.ImageFile."):
            assert hasattr(ImageFile, name.rpartition(".")[2])
        else:
            assert name in options


@pytest.mark.parametrize(
    ("name", "enough", "missing"),
    [
        ("max_pixels", 64 * 48, 1),
        ("max_file_bytes", None, 1),
        ("max_scans", 10, 1),
        # The coefficients, two bytes each, and what libjpeg takes before it asks for them.
        ("max_decoder_bytes", 64 * 48 * 3 // 2 * 2 + 200_000, 200_001),
    ],
)
def test_a_file_over_a_limit_is_an_error_that_names_it_and_raising_it_helps(
    photos, name, enough, missing
):
    enough = enough or (photos / "c0" / "0.jpg").stat().st_size
    with pytest.raises(LoadError) as raised:
        load(photos, limits=DecodeLimits(**{name: enough - missing}))
    advice = f"; raise limits=ringfeed.DecodeLimits({name}=...) to accept it, or remove the file"
    assert str(raised.value).endswith(advice) and raised.value.detail.endswith(advice)
    assert load(photos, limits=DecodeLimits(**{name: enough})).equal(load(photos))


def test_the_message_for_a_truncated_file_names_pillows_switch(photos, tmp_path, monkeypatch):
    (tmp_path / "c0").mkdir()
    whole = (photos / "c0" / "0.jpg").read_bytes()
    (tmp_path / "c0" / "0.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LoadError, match=r"or set PIL\.ImageFile\.LOAD_TRUNCATED_IMAGES to accept"):
        load(tmp_path)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    load(tmp_path)


def test_the_defaults_are_the_cores(photos):
    assert dataclasses.asdict(DecodeLimits()) == _ringfeed.default_limits


@pytest.mark.parametrize("name", sorted(set(_ringfeed.largest) - {"side"}))
def test_the_largest_values_are_the_cores(photos, name):
    Native(photos, **{name: _ringfeed.largest[name]})
    with pytest.raises((ValueError, TypeError)):
        Native(photos, **{name: _ringfeed.largest[name] + 1})


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(DecodeLimits)])
def test_what_is_no_limit_is_refused_by_name(name):
    for wrong in 0, -1, 1 << 70:
        with pytest.raises(ValueError, match=rf"^{name} must be in \[1, "):
            DecodeLimits(**{name: wrong})
    with pytest.raises(TypeError, match=f"^{name} must be a whole number, not 1.5"):
        DecodeLimits(**{name: 1.5})
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(DecodeLimits(), name, 1)
    limits = DecodeLimits(**{name: np.int64(12)})
    assert type(getattr(limits, name)) is int


def test_read_ahead_and_depth_reach_the_core(photos):
    dataset = ringfeed.ImageFolder(photos, RECIPE, use_cache=False)
    plain = DataLoader(dataset, 1, num_workers=1)
    chosen = DataLoader(dataset, 1, num_workers=1, depth=5, read_ahead_bytes=1 << 20)
    for loader in plain, chosen:
        list(loader)
    assert chosen.stats()["depth"] == 5 != plain.stats()["depth"]
    assert chosen.stats()["memory_bound"] < plain.stats()["memory_bound"]


def test_copies_and_pickles_keep_the_options_and_a_state_does_not_ask_for_them(photos):
    dataset = ringfeed.ImageFolder(photos, RECIPE, use_cache=False)
    options = {"limits": DecodeLimits(max_pixels=5000), "depth": 3, "read_ahead_bytes": 1 << 20}
    loader = DataLoader(dataset, 1, num_workers=1, seed=0, **options)
    for other in copy.copy(loader), pickle.loads(pickle.dumps(loader)):
        assert {name: getattr(other, name) for name in options} == options
    assert b"ringfeed._" not in pickle.dumps(options)  # private modules may move
    plain = DataLoader(dataset, 1, num_workers=1, seed=0)
    plain.load_state_dict(loader.state_dict())
    assert plain.state_dict() == loader.state_dict()


def test_the_verdict_names_arguments_of_the_loader(slow_folder):
    """slow_folder is bound by decoding, and that verdict names an option."""
    loader = DataLoader(ringfeed.ImageFolder(slow_folder, RECIPE, use_cache=False), num_workers=1)
    list(loader)
    assert loader.stats()["verdict_line"].endswith("; more cores (num_workers) would help")
