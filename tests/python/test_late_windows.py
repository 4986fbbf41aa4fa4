"""The windows of late images: their pixels, which uses reach the decoder as windows, threads."""

from __future__ import annotations

import concurrent.futures
import io
import random
import threading

import numpy as np
import PIL
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torchvision import transforms as v1
from torchvision.transforms import v2

import late_files
import ringfeed
from ringfeed import _late_window, _ringfeed

pytestmark = pytest.mark.skipif(
    int(PIL.__version__.split(".")[0]) < 11, reason="no late images before Pillow 11"
)
FLIP = Image.Transpose.FLIP_LEFT_RIGHT
FILES = late_files.late()
FILTERS = [None, *range(6)]


@pytest.fixture
def windows(monkeypatch):
    """The boxes and sizes that reach the decoder."""
    reached = []
    decode = _late_window.decode_window

    def counted(data, box, size, *args, **options):
        reached.append((box, size))
        return decode(data, box, size, *args, **options)

    monkeypatch.setattr(_late_window, "decode_window", counted)
    return reached


def opened(name):
    return ringfeed.open(FILES[name]), Image.open(io.BytesIO(FILES[name]))


def bytes_of(image):
    return image.mode, image.size, image.tobytes()


boxes = st.tuples(*[st.floats(0, 1)] * 4)
sizes = st.tuples(st.integers(1, 130), st.integers(1, 130))


def box_within(size, shares):
    """A box of at least one pixel, in whole numbers or halves."""
    (left, right), (top, bottom) = (
        sorted(round(share * 2 * side) / 2 for share in pair)
        for side, pair in zip(size, (shares[:2], shares[2:]), strict=True)
    )
    return left, top, right, bottom


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(sorted(FILES)),
    mirrored=st.booleans(),
    box=boxes,
    inner=st.none() | boxes,
    size=sizes,
    resample=st.sampled_from(FILTERS),
)
def test_any_window_has_the_bits_that_pillow_gives(name, mirrored, box, inner, size, resample):
    results = []
    for image in opened(name):
        image = image.convert("RGB")
        for shares in (box, inner):
            image = image.transpose(FLIP) if mirrored else image
            if shares is not None:
                image = image.crop(box_within(image.size, shares))
        try:
            results.append(bytes_of(image.resize(size, resample)))
        except ValueError as error:  # of an empty box
            results.append(str(error))
    assert results[0] == results[1]


def test_convert_crop_and_resize_are_one_window(windows):
    image = opened("420.jpg")[0].convert("RGB").crop((3, 4, 70, 50)).resize((22, 20), 2)
    assert type(image) is Image.Image
    assert windows == [((3, 4, 70, 50), (22, 20))]


def test_a_window_of_a_mirrored_image_is_in_the_file_s_own_pixels(windows):
    opened("420.jpg")[0].transpose(FLIP).crop((3, 4, 73, 50)).crop((0, 0, 10, 10)).load()
    assert windows == [((83 - 13, 4, 83 - 3, 14), (10, 10))]


def test_copying_turning_nothing_and_converting_again_decode_nothing(windows):
    image = ImageOps.exif_transpose(opened("420.jpg")[0]).convert("RGB")
    assert image.copy().convert("RGB").size == (83, 61)
    assert not windows


def test_the_second_window_of_an_image_loads_it(windows):
    image, theirs = (one.convert("RGB") for one in opened("420.jpg"))
    for step in range(4):
        box = (step, 0, 30, 40)
        assert bytes_of(image.crop(box).resize((9, 9))) == bytes_of(theirs.crop(box).resize((9, 9)))
    assert windows == [((0, 0, 30, 40), (9, 9)), ((0, 0, 83, 61), (83, 61))]
    assert type(image) is Image.Image


def test_the_second_conversion_of_a_file_loads_it_by_pillow(windows):
    image, theirs = opened("420.jpg")
    for _ in range(3):
        assert bytes_of(image.convert("RGB").resize((9, 9))) == bytes_of(theirs.resize((9, 9)))
    assert windows == [((0, 0, 83, 61), (9, 9))]


def test_what_the_core_cannot_decode_pillow_decodes(monkeypatch):
    def fail(*args, **options):
        raise ValueError("cannot")

    monkeypatch.setattr(_late_window, "decode_window", fail)
    for mirrored in (False, True):
        results = []
        for image in opened("420.jpg"):
            image = image.transpose(FLIP) if mirrored else image
            results.append(bytes_of(image.crop((3, 4, 70, 50)).resize((22, 20))))
        assert results[0] == results[1]


def recipes():
    bicubic = v1.InterpolationMode.BICUBIC
    normalize = v1.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    v2_tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    five = v1.Lambda(lambda crops: torch.stack([v1.functional.to_tensor(c) for c in crops]))
    return {
        # Each with the decodes that it takes.
        "train": (
            1,
            [v1.RandomResizedCrop(32), v1.RandomHorizontalFlip(), v1.ToTensor(), normalize],
        ),
        "validation": (1, [v1.Resize(40), v1.CenterCrop(32), v1.ToTensor()]),
        "bicubic": (
            1,
            [
                v1.RandomResizedCrop(32, interpolation=bicubic),
                v1.AutoAugment(),
                v1.ToTensor(),
                v1.RandomErasing(),
            ],
        ),
        "flip first": (1, [v1.RandomHorizontalFlip(), v1.RandomResizedCrop(32), v1.ToTensor()]),
        "random crop": (1, [v1.RandomCrop(32), v1.ToTensor()]),
        "padded crop": (1, [v1.RandomCrop(32, padding=4), v1.ToTensor()]),
        "five crops": (2, [v1.FiveCrop(20), five]),
        "jitter first": (
            1,
            [v1.ColorJitter(0.4, 0.4, 0.4), v1.RandomResizedCrop(32), v1.ToTensor()],
        ),
        "perspective": (1, [v1.RandomPerspective(p=1), v1.ToTensor()]),
        "grey": (1, [v1.Grayscale(3), v1.RandomResizedCrop(32), v1.ToTensor()]),
        "trivial": (1, [v1.RandomResizedCrop(32), v1.TrivialAugmentWide(), v1.PILToTensor()]),
        "array": (1, [v1.Lambda(lambda image: torch.tensor(np.array(image)[2:40, 3:50]))]),
        "v2": (1, [v2.RandomResizedCrop(32), v2.RandomHorizontalFlip(), *v2_tensor]),
        "v2 tensor first": (1, [*v2_tensor, v2.RandomResizedCrop(32, antialias=True)]),
        "v2 distort": (1, [v2.RandomPhotometricDistort(), v2.RandomZoomOut(), *v2_tensor]),
        "v2 resize": (1, [v2.RandomShortestSize(40), v2.RandAugment(), *v2_tensor]),
    }


def generators():
    return torch.rand(1).item(), random.random(), np.random.rand()


@pytest.mark.parametrize("name", recipes())
def test_pipelines_give_torchvision_s_tensors_and_draws(name, windows):
    decodes, steps = recipes()[name]
    recipe = v1.Compose(steps)
    for seed, file in enumerate(["420.jpg", "444.jpg", "grey.jpg", "rgb.png", "turned.jpg"] * 3):
        results = []
        for image in opened(file):
            windows.clear()
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)
            tensor = recipe(image.convert("RGB"))
            results.append((tensor, generators(), len(windows)))
        (ours, drawn, reached), (theirs, expected, _) = results
        assert torch.equal(ours, theirs) and ours.dtype == theirs.dtype
        assert drawn == expected
        assert reached == decodes


def test_most_pipelines_decode_a_part(windows):
    """Of those that crop before anything else no image is decoded whole."""
    for name in ("train", "bicubic", "flip first", "random crop", "trivial", "v2"):
        windows.clear()
        torch.manual_seed(2)
        for _ in range(10):
            v1.Compose(recipes()[name][1])(opened("420.jpg")[0].convert("RGB"))
        assert sum(box == (0, 0, 83, 61) for box, _ in windows) < 3


@pytest.mark.parametrize("use", [np.asarray, lambda i: np.asarray(i.crop((1, 2, 40, 50)))])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_threads_share_a_late_image(format, use, windows):
    data = late_files.encoded(late_files.picture(width=500, height=400), format)
    start = threading.Barrier(60)

    def together(image):
        start.wait()
        return use(image)

    with concurrent.futures.ThreadPoolExecutor(60) as threads:
        for again in range(5):
            windows.clear()
            opened, pillow_s = ringfeed.open(data), Image.open(io.BytesIO(data))
            shared, expected = opened.convert("RGB"), use(pillow_s.convert("RGB"))
            found = list(threads.map(together, [shared] * 60))
            # Pillow would have loaded the opened one by now.
            found += threads.map(together, [opened] * 60)
            assert all(np.array_equal(one, expected) for one in found), again
            assert len(windows) <= 2


def test_every_thread_has_a_decoder_of_its_own():
    boxes = [(x, y, x + 30, y + 20) for x in range(0, 50, 5) for y in range(0, 40, 5)]
    image = Image.open(io.BytesIO(FILES["444.jpg"]))
    expected = [image.crop(box).resize((17, 13), 3).tobytes() for box in boxes]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        found = threads.map(
            lambda box: ringfeed.open(FILES["444.jpg"]).crop(box).resize((17, 13), 3).tobytes(),
            boxes,
        )
        assert list(found) == expected


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_binding_takes_any_buffer(kind):
    data = FILES["420.jpg"]
    assert _ringfeed.inspect_image(kind(data)) == (83, 61, "RGB", True)
    pixels = _ringfeed.decode_window(kind(data), (0, 0, 83, 61), (83, 61))
    assert pixels == Image.open(io.BytesIO(data)).tobytes()


@pytest.mark.parametrize("pillow13", [False, True])
def test_both_orders_of_the_passes_are_there(pillow13):
    """A tall box into a wide one: Pillow 13 begins with the rows."""
    data = FILES["rgb.png"]
    pixels = _ringfeed.decode_window(data, (0, 0, 20, 60), (30, 9), "bicubic", pillow13=pillow13)
    image = Image.open(io.BytesIO(data)).crop((0, 0, 20, 60))
    expected = image.resize((30, 9), Image.Resampling.BICUBIC)
    assert (pixels == expected.tobytes()) == (pillow13 == (_late_window.PILLOW_MAJOR >= 13))


@pytest.mark.parametrize(
    "arguments",
    [
        ((0, 0, 84, 61), (9, 9)),
        ((-1, 0, 9, 9), (9, 9)),
        ((9, 0, 9, 9), (9, 9)),
        ((9, 0, 2, 9), (9, 9)),
        ((0, 0, 9, 9), (0, 9)),
        ((0, 0, 9, 9), (9, 65536)),
        ((0, 0, 9, 9), (9, 9), "mks2021"),
    ],
    ids=str,
)
def test_the_binding_refuses_what_makes_no_sense(arguments):
    with pytest.raises(ValueError, match=r"within the image|box|size|interpolation"):
        _ringfeed.decode_window(FILES["420.jpg"], *arguments)
    with pytest.raises(TypeError):
        _ringfeed.inspect_image("text")
