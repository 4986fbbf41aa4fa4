"""Formats that torchvision lists and ringfeed does not decode are named before the first epoch."""

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


def test_the_constructor_names_the_formats_and_how_many(mixed):
    for dataset in datasets(mixed):
        with pytest.warns(RuntimeWarning) as warned:
            DataLoader(dataset)
        (text,) = [str(warning.message) for warning in warned]
        counts = "1 .bmp, 1 .pgm, 1 .ppm, 1 .tif, 1 .tiff, 2 .webp"
        assert text.startswith(f"by their names {counts} files are of formats that ringfeed")
        assert warned[0].filename == __file__


def test_each_file_named_is_one_that_fails_and_no_other(mixed):
    dataset = next(datasets(mixed))
    for index, (path, _) in enumerate(dataset.samples):
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            loader = DataLoader(torch.utils.data.Subset(dataset, [index]), num_workers=1)
        try:
            next(iter(loader))
            loaded = True
        except ringfeed.LoadError:
            loaded = False
        assert loaded == (not warned) == path.endswith(("JPEG", "PNG")), path


def test_what_is_not_read_is_not_named(mixed):
    dataset = next(datasets(mixed))
    decoded = [i for i, (path, _) in enumerate(dataset.samples) if path.endswith(("JPEG", "PNG"))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader = DataLoader(torch.utils.data.Subset(dataset, decoded), 2, num_workers=1)
        assert len(list(loader)) == 1
        list(loader)  # nor is it asked again while nothing changes
        pickle.loads(pickle.dumps(loader))
