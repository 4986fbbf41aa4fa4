"""The steps of timm that change an image's size, against timm itself."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm.data.transforms")

from PIL import Image
from torchvision import transforms as v1

import odd_images
import ringfeed
from ringfeed import UnsupportedTransform, _replay
from ringfeed.transforms import compile_transform

SEED = 12
SIZES = [(50, 70), (99, 40), (33, 33), (120, 91), (30, 200), (47, 101)]
if int(np.__version__.split(".")[0]) >= 2:  # NumPy 1 mirrors short lines otherwise
    SIZES.append((3, 5))
FILL = (1, 200, 30)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return odd_images.noise(tmp_path_factory.mktemp("images"), SIZES, SEED)


def loaded(paths, *steps, epochs=1):
    """Yields each sample of the epochs: image, row of draws, what the loader made of it, what
    replay makes of it."""
    transform = v1.Compose([*steps, v1.PILToTensor()])
    dataset = ringfeed.ImageList(paths, [0] * len(paths), transform)
    with ringfeed.DataLoader(
        dataset, batch_size=4, shuffle=True, num_workers=1, seed=SEED
    ) as loader:
        for epoch in range(epochs):
            rows = iter(loader.draws(epoch))
            loader.set_epoch(epoch)
            for got in itertools.chain.from_iterable(images for images, _ in loader):
                row = next(rows)
                image = Image.open(dataset.samples[row["index"]][0]).convert("RGB")
                yield image, row, got, ringfeed.replay(row, image, transform)


FIXED = {
    "CenterCropOrPad": [timm.CenterCropOrPad((44, 51), FILL)],
    "CenterCropOrPad by mirroring": [timm.CenterCropOrPad(60, padding_mode="reflect")],
    "TrimBorder": [timm.TrimBorder(1), timm.CenterCropOrPad(40)],
    "ResizeKeepRatio whose range is never drawn from": [
        timm.ResizeKeepRatio(48, random_scale_range=(1.05, 0.85)),
        timm.CenterCropOrPad(48),
    ],
    **{
        f"ResizeKeepRatio, {longest}, {name}": [
            timm.ResizeKeepRatio((48, 60), longest, name),
            timm.CenterCropOrPad((48, 60), FILL, "edge"),
        ]
        for longest, name in [(0, "bicubic"), (1, "bilinear"), (0.37, "lanczos"), (0.5, "nearest")]
    },
}


@pytest.mark.parametrize("steps", FIXED.values(), ids=FIXED)
def test_steps_without_a_draw_give_what_timm_gives(paths, steps):
    whole = v1.Compose([*steps, v1.PILToTensor()])
    for image, row, got, replayed in loaded(paths, *steps):
        assert (got == replayed).all(), f"{image.size}, {row}"
        assert (got == whole(image)).all(), f"{image.size}, {row}"


RANDOM = {
    "a filter in three": [
        timm.RandomResizedCropAndInterpolation((32, 40), interpolation="random"),
        v1.RandomHorizontalFlip(),
    ],
    "one filter": [timm.RandomResizedCropAndInterpolation(32, interpolation="bicubic")],
    "after colour": [
        v1.ColorJitter(0.4),
        timm.RandomResizedCropAndInterpolation(32, interpolation="random"),
    ],
    "RandomCropOrPad": [timm.RandomCropOrPad((44, 60), FILL)],
    "RandomCropOrPad by mirroring": [timm.RandomCropOrPad(70, padding_mode="symmetric")],
    "ResizeKeepRatio": [
        timm.ResizeKeepRatio(48, 0.2, "random", 0.5, (0.6, 1.4), False, 0.5, (0.7, 1.5)),
        timm.RandomCropOrPad(48, FILL),
    ],
    "ResizeKeepRatio by area": [
        timm.ResizeKeepRatio(48, 1, "bilinear", 1, (0.6, 1.4), True),
        timm.CenterCropOrPad(48),
    ],
}


@pytest.mark.parametrize("steps", RANDOM.values(), ids=RANDOM)
def test_steps_with_draws_are_replayed(paths, steps):
    for image, row, got, replayed in loaded(paths, *steps, epochs=6):
        assert (got == replayed).all(), f"seed {SEED}, {image.size}, {row}"


def test_a_random_crop_or_pad_is_timms_at_that_place(paths):
    step = timm.RandomCropOrPad((44, 60), FILL, "edge")
    for image, row, got, _ in loaded(paths, step, epochs=4):
        top, left = row["operations"]["values"][0, :2].astype(int).tolist()
        wanted = timm.crop_or_pad(image, top, left, 44, 60, FILL, "edge")
        assert (got == v1.PILToTensor()(wanted)).all(), f"seed {SEED}, {image.size}, {row}"


def drawn_sizes(paths, step, epochs):
    rows = [row for _, row, _, _ in loaded(paths, step, timm.CenterCropOrPad(4), epochs=epochs)]
    return np.array([row["operations"]["values"][0, :2] for row in rows])


def test_sizes_are_distributed_as_timms(paths):
    step = timm.ResizeKeepRatio(400, 0.3, "random", 0.7, (0.6, 1.4), True, 0.5, (0.5, 1.9))
    count = 2000
    ours = drawn_sizes([paths[0]] * count, step, 1)
    random.seed(SEED)
    image = Image.open(paths[0])
    theirs = np.array(
        [
            step.get_params(image, step.size, step.longest, 0.7, (0.6, 1.4), True, 0.5, (0.5, 1.9))
            for _ in range(count)
        ]
    )
    for ours_of, theirs_of in zip((ours.T), theirs.T, strict=True):
        # Two samples' Kolmogorov-Smirnov distance, which chance exceeds once in 10^8.
        both = np.concatenate([ours_of, theirs_of])
        below = [np.searchsorted(np.sort(s), both, "right") / count for s in (ours_of, theirs_of)]
        assert abs(below[0] - below[1]).max() < 3.1 * np.sqrt(2 / count)


def test_both_filters_are_drawn_as_often(paths):
    step = timm.RandomResizedCropAndInterpolation(8, interpolation="random")
    filters = [row["interpolation"] for _, row, _, _ in loaded([paths[0]] * 1000, step)]
    assert set(filters) == {2, 3}
    assert abs(filters.count(3) - 500) < 100


class OwnCrop(timm.RandomResizedCropAndInterpolation):
    @staticmethod
    def get_params(img, scale, ratio):
        return 0, 0, 10, 10


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([OwnCrop(40)], "its own get_params"),
        ([timm.ResizeKeepRatio(40)], "different shapes"),
        ([timm.TrimBorder(-1), v1.CenterCrop(4)], "border_size"),
        ([timm.RandomPad((40, 40))], "ringfeed cannot do this"),
    ],
)
def test_what_cannot_be_exact_is_refused_by_name(steps, message):
    transform = v1.Compose([*steps, v1.PILToTensor()])
    with pytest.raises(UnsupportedTransform, match=message):
        compile_transform(transform, dtype=None, channels_last=False, pillow=None)


def test_a_crop_of_timm_replays_at_its_place():
    """The crop that a row names, by timm's own function."""
    image = Image.fromarray(np.random.default_rng(SEED).integers(0, 256, (9, 11, 3), np.uint8))
    fields = [("fill", "u1", (3,)), ("values", "f8", (8,))]
    row = np.array([(FILL, [-2, 3, 8, 20, 2, 0, 0, 0])], fields)[0]
    wanted = timm.crop_or_pad(image, -2, 3, 8, 20, FILL, "reflect")
    assert _replay._cropped(row, image).tobytes() == wanted.tobytes()
