"""What one file may ask for, and that every message names an option which is there."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import re
import warnings
from pathlib import Path

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


def assert_names_arguments(message, *expected):
    """That `message` names what a caller of DataLoader can set, `expected` and nothing else."""
    arguments = inspect.signature(DataLoader).parameters
    named = re.findall(r"limits=ringfeed\.DecodeLimits\((\w+)=\.\.\.\)", message)
    rest = re.sub(r"limits=ringfeed\.DecodeLimits\(.*?\)", "", message)
    named += [word for word in re.findall(r"\w+", rest) if "_" in word or word in arguments]
    assert named == list(expected)
    fields = {field.name for field in dataclasses.fields(DecodeLimits)}
    assert set(named) <= arguments.keys() | fields
    assert not re.search("Options|::|--", message)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"batch_size": 0}, ["batch_size"]),
        ({"num_workers": 1025}, ["num_workers"]),
        ({"prefetch_factor": -1}, ["prefetch_factor"]),
        ({"world_size": 0}, ["world_size"]),
        ({"rank": 1}, ["rank", "world_size"]),
        ({"timeout": -1}, ["timeout"]),
        ({"depth": -1}, ["depth"]),
        ({"read_ahead_bytes": 1}, ["read_ahead_bytes"]),
        ({"max_file_bytes": 0}, ["max_file_bytes"]),
        ({"max_pixels": 0}, ["max_pixels"]),
        ({"max_scans": 0}, ["max_scans"]),
        ({"max_decoder_bytes": 0}, ["max_decoder_bytes"]),
    ],
)
def test_what_the_core_refuses_is_named_as_the_loaders_argument(photos, options, named):
    with pytest.raises(ValueError) as raised:
        Native(photos, **options)
    assert_names_arguments(str(raised.value), *named)


@pytest.mark.parametrize("ahead", [None, 1 << 20])
def test_too_small_a_memory_limit_names_what_to_lower_and_the_least_that_works(photos, ahead):
    dataset = ringfeed.ImageFolder(photos, RECIPE, use_cache=False)
    options = {"num_workers": 1, "read_ahead_bytes": ahead}
    with pytest.raises(ValueError, match="^memory_limit = 1000 is too small") as raised:
        DataLoader(dataset, 4, memory_limit=1000, **options)
    limits = ["max_pixels", "max_file_bytes", "max_decoder_bytes"]
    plain = ["read_ahead_bytes"] * (ahead is not None)
    plain += ["num_workers", "batch_size", "prefetch_factor"]
    assert_names_arguments(str(raised.value), *limits, "memory_limit", *plain)
    least = int(re.search(r"at least (\d+) bytes", str(raised.value))[1])
    loader = DataLoader(dataset, 4, memory_limit=least, **options)
    list(loader)
    assert loader.stats()["memory_bound"] == least
    with pytest.raises(ValueError, match="too small"):
        DataLoader(dataset, 4, memory_limit=least - 1, **options)


def test_a_class_without_images_names_the_folders_argument(tmp_path):
    (tmp_path / "c0").mkdir()
    with pytest.raises(LoadError, match=r"; ringfeed.ImageFolder\(allow_empty=True\) accepts such"):
        ringfeed.ImageFolder(tmp_path, RECIPE, use_cache=False)
    assert not ringfeed.ImageFolder(tmp_path, RECIPE, use_cache=False, allow_empty=True).samples


@pytest.mark.parametrize(
    ("name", "enough", "missing"),
    [
        ("max_pixels", 64 * 48, 1),
        ("max_file_bytes", None, 1),
        ("max_scans", 10, 1),
        # The coefficients, two bytes each.
        ("max_decoder_bytes", 64 * 48 * 3 // 2 * 2, 1),
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
    is_bomb = isinstance(raised.value, Image.DecompressionBombError)
    assert is_bomb == (name == "max_pixels")
    assert load(photos, limits=DecodeLimits(**{name: enough})).equal(load(photos))


def test_the_pages_name_every_limit_and_its_default():
    units = {None: "None", **{n << 20: f"{n} MiB" for n in (64, 128)}}
    for page in ("README.md", "docs/python.md"):
        text = (Path(__file__).parents[2] / page).read_text()
        for limit in dataclasses.fields(DecodeLimits):
            default = units.get(limit.default, str(limit.default))
            assert re.search(rf"`{limit.name}`[^`]*?\b{default}\b", text), (page, limit.name)


def test_the_message_for_a_truncated_file_names_pillows_switch(photos, tmp_path, monkeypatch):
    (tmp_path / "c0").mkdir()
    whole = (photos / "c0" / "0.jpg").read_bytes()
    (tmp_path / "c0" / "0.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LoadError, match=r"or set PIL\.ImageFile\.LOAD_TRUNCATED_IMAGES to accept"):
        load(tmp_path)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    load(tmp_path)


def accepted(photos, **options):
    """Whether ringfeed loads the photo; and whether Pillow does, by its settings alone."""
    try:
        ours = load(photos, **options) is not None
    except LoadError as error:
        assert isinstance(error, Image.DecompressionBombError)
        ours = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.open(photos / "c0" / "0.jpg")
    except Image.DecompressionBombError:
        return ours, False
    return ours, True


PIXELS = 64 * 48


@pytest.mark.parametrize(
    "most", [PIXELS // 2, PIXELS // 2 - 1, PIXELS / 2 - 0.25, 1, 1e30, float("inf"), None]
)
def test_pillows_limit_of_pixels_is_followed(photos, monkeypatch, most):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    for limits in None, DecodeLimits(), DecodeLimits(max_scans=400):
        ours, pillows = accepted(photos, limits=limits)
        assert ours == pillows == (most is None or most >= PIXELS / 2)


@pytest.mark.parametrize("most", [1, None])
def test_a_limit_of_pixels_that_is_given_wins(photos, monkeypatch, most):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    assert accepted(photos, limits=DecodeLimits(max_pixels=PIXELS))[0]
    assert not accepted(photos, limits=DecodeLimits(max_pixels=PIXELS - 1))[0]


def test_pillows_limit_counts_as_it_stands_when_an_epoch_begins(photos, monkeypatch):
    dataset = ringfeed.ImageFolder(photos, RECIPE, use_cache=False)
    with DataLoader(dataset, 1, num_workers=1, persistent_workers=True) as loader:
        list(loader)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
        with pytest.raises(Image.DecompressionBombError):
            list(loader)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
        list(loader)


def test_a_filter_that_makes_pillows_warning_an_error_is_followed(photos, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", PIXELS - 1)
    assert accepted(photos) == (True, True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with pytest.raises(Image.DecompressionBombWarning):
            Image.open(photos / "c0" / "0.jpg")
        with pytest.raises(LoadError, match="3072 pixels, more than 3071"):
            load(photos)


def test_the_defaults_are_the_cores(photos):
    defaults = {**_ringfeed.default_limits, "max_pixels": None}
    assert dataclasses.asdict(DecodeLimits()) == defaults
    assert _ringfeed.default_limits["max_pixels"] == 2 * Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    "name", sorted(set(_ringfeed.largest) - {"side", "canvas_side", "boxes", "views"})
)
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
