"""Formats that torchvision lists and ringfeed does not decode: the worker rung, and their names."""

import pickle
import warnings

import pytest
import torch
from PIL import Image

torchvision = pytest.importorskip("torchvision")

import ringfeed
from ringfeed import DataLoader

TRANSFORM = torchvision.transforms.Compose(
    [torchvision.transforms.Resize((8, 8)), torchvision.transforms.PILToTensor()]
)
FORMATS = ["bmp", "pgm", "ppm", "tif", "TIFF", "webp", "webp"]
ENDINGS = tuple(f".{ending.lower()}" for ending in FORMATS)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A JPEG, a PNG, and one of each other format that ImageFolder lists."""
    folder = tmp_path_factory.mktemp("mixed") / "c0"
    folder.mkdir()
    for number, ending in enumerate(["JPEG", "PNG", *FORMATS]):
        mode = "L" if ending == "pgm" else "RGB"
        Image.new(mode, (8, 8)).save(folder / f"{number}.{ending}")
    return folder.parent


def datasets(root):
    yield torchvision.datasets.ImageFolder(root, TRANSFORM)
    yield ringfeed.ImageFolder(root, TRANSFORM, use_cache=False)
    paths = [path for path, _ in torchvision.datasets.ImageFolder(root).samples]
    yield ringfeed.ImageList(paths, [0] * len(paths), TRANSFORM)


COUNTS = "1 .bmp, 1 .pgm, 1 .ppm, 1 .tif, 1 .tiff, 2 .webp"


def test_a_folder_of_them_is_the_worker_rung_s_and_the_first_is_named(mixed):
    for dataset in datasets(mixed):
        with pytest.warns(RuntimeWarning) as warned:
            loader = DataLoader(dataset, 3)
        (text,) = [str(warning.message) for warning in warned]
        first = next(path for path, _ in dataset.samples if path.lower().endswith(ENDINGS))
        assert f"not native, because by their names {COUNTS} files are of formats that" in text
        assert f"the first of them is {first}" in text
        assert warned[0].filename == __file__
        assert loader.rung == "worker"
        expected = torch.utils.data.DataLoader(dataset, 3)
        for ours, theirs in zip(loader, expected, strict=True):
            assert torch.equal(ours[0], theirs[0]) and torch.equal(ours[1], theirs[1])


@pytest.mark.parametrize("options", [{"native": True}, {"seed": 0}, {"reader": "pool"}], ids=str)
def test_what_insists_on_the_threads_is_refused_as_the_loader_is_made(mixed, options):
    for dataset in datasets(mixed):
        with pytest.raises(ringfeed.errors.NotNative, match=COUNTS):
            DataLoader(dataset, **options)


def test_on_error_says_what_becomes_of_them(mixed):
    dataset = next(datasets(mixed))
    with pytest.warns(RuntimeWarning, match=f"{COUNTS}.*on_error='skip' is what becomes of these"):
        loader = DataLoader(dataset, 9, on_error="skip", num_workers=1)
    with pytest.warns(RuntimeWarning, match="7 files of epoch 0 could not be loaded"):
        assert [len(labels) for _, labels in loader] == [2]


def test_each_file_named_is_one_that_fails_and_no_other(mixed):
    dataset = next(datasets(mixed))
    for index, (path, _) in enumerate(dataset.samples):
        part = torch.utils.data.Subset(dataset, [index])
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            loader = DataLoader(part, num_workers=1, on_error="skip")
            named = bool(warned)
            try:
                next(iter(loader))
                loaded = True
            except ringfeed.LoadError:
                loaded = False
        assert loaded == (not named) == path.endswith(("JPEG", "PNG")), path


def test_a_file_that_is_added_takes_the_next_pass_to_the_worker_rung(mixed):
    dataset = next(datasets(mixed))
    others = dataset.samples[:]
    dataset.samples[:] = [s for s in others if s[0].endswith(("JPEG", "PNG"))]
    loader = DataLoader(dataset, 9)
    assert loader.rung == "native" and len(next(iter(loader))[1]) == 2
    dataset.samples[:] = others
    with pytest.warns(RuntimeWarning, match=COUNTS):
        assert len(next(iter(loader))[1]) == 9 and loader.rung == "worker"


def test_what_is_not_read_is_not_named(mixed):
    dataset = next(datasets(mixed))
    decoded = [i for i, (path, _) in enumerate(dataset.samples) if path.endswith(("JPEG", "PNG"))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader = DataLoader(torch.utils.data.Subset(dataset, decoded), 2, num_workers=1)
        assert len(list(loader)) == 1
        list(loader)  # nor is it asked again while nothing changes
        pickle.loads(pickle.dumps(loader))
