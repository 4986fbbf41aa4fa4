"""Steps that a script makes of Pillow's operations: native, and distributed as the script's."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter, ImageOps
from torchvision import transforms as v1

import odd_images
import small_images
from drawn import furthest_apart, rows_of
from replayed import assert_replayed, kinds
from ringfeed import DataLoader
from ringfeed.transforms import PILGaussianBlur, UnsupportedTransform, compile_transform

CROP, TAIL = v1.RandomResizedCrop(12), v1.ToTensor()
SEED = 5


# As scripts write them.


class Blur:
    def __init__(self, sigma=[0.1, 2.0]):  # noqa: B006
        self.sigma = sigma

    def __call__(self, x):
        sigma = random.uniform(self.sigma[0], self.sigma[1])
        x = x.filter(ImageFilter.GaussianBlur(radius=sigma))
        return x


class BlurByChance:
    def __init__(self, p=0.5, radius_min=0.1, radius_max=2.0):
        self.prob = p
        self.radius_min = radius_min
        self.radius_max = radius_max

    def __call__(self, img):
        do_it = random.random() <= self.prob
        if not do_it:
            return img

        return img.filter(
            ImageFilter.GaussianBlur(radius=random.uniform(self.radius_min, self.radius_max))
        )


class BlurElse:
    def __init__(self, p):
        self.p = p

    def __call__(self, img):
        if random.random() < self.p:
            sigma = random.random() * 1.9 + 0.1
            return img.filter(ImageFilter.GaussianBlur(sigma))
        else:
            return img


class BlurOfNumpy(torch.nn.Module):
    def __init__(self, p, limits):
        super().__init__()
        self.p, self.limits = p, limits

    def forward(self, image):
        if self.p < np.random.rand():
            return image
        return image.filter(ImageFilter.GaussianBlur(np.random.uniform(*self.limits)))


class Solarize:
    def __call__(self, x):
        return ImageOps.solarize(x)


class SolarizeByChance:
    def __init__(self, p, threshold=128):
        self.p, self.threshold = p, threshold

    def __call__(self, img):
        if random.random() < self.p:
            return ImageOps.solarize(img, threshold=self.threshold)
        return img


def equalize_by_chance(image):
    return ImageOps.equalize(image) if 0.75 > random.random() else image  # noqa: SIM300


def blurred(low, high, p=None):
    blur = PILGaussianBlur((low, high))
    return blur if p is None else v1.RandomApply([blur], p)


READ = {
    "blur": (Blur(), blurred(0.1, 2.0)),
    "blur in RandomApply": (v1.RandomApply([Blur([2, 0.5])], p=0.3), blurred(0.5, 2.0, 0.3)),
    "blur by chance": (BlurByChance(0.4), blurred(0.1, 2.0, 0.4)),
    "blur, or else": (BlurElse(0.2), blurred(0.1, 2.0, 0.2)),
    "blur always": (BlurElse(1.0), blurred(0.1, 2.0, 1.0)),
    "blur by NumPy": (BlurOfNumpy(0.25, (0.5, 1)), blurred(0.5, 1.0, 0.25)),
    "blur by a constant": (
        lambda image: image.filter(ImageFilter.GaussianBlur(radius=1.5)),
        blurred(1.5, 1.5),
    ),
    "solarize": (Solarize(), v1.RandomSolarize(128, p=1.0)),
    "solarize by chance": (
        SolarizeByChance(0.2, 100),
        v1.RandomApply([v1.RandomSolarize(100, p=1.0)], 0.2),
    ),
    "never": (SolarizeByChance(0.0), v1.RandomApply([v1.RandomSolarize(128, p=1.0)], 0.0)),
    "equalize by chance": (equalize_by_chance, v1.RandomApply([v1.RandomEqualize(1.0)], 0.75)),
}


def recipe(step):
    return v1.Compose([CROP, step, TAIL])


def text_of(step):
    return compile_transform(recipe(step), dtype=None, channels_last=False, pillow="13").text


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    return odd_images.make(tmp_path_factory.mktemp("odd"))


@pytest.mark.parametrize("name", READ)
def test_steps_are_read_from_the_code(name):
    step, wanted = READ[name]
    assert text_of(step) == text_of(wanted)


@pytest.mark.parametrize("name", ["blur by chance", "solarize by chance", "equalize by chance"])
def test_pixels_are_pillow_s_for_the_draws(odd, reader, name):
    rows = assert_replayed(odd, recipe(READ[name][0]), epochs=3, reader=reader)
    assert 0 < sum(kinds(rows).values()) < len(rows)


def test_what_is_done_always_gives_torch_s_tensors(tmp_path):
    steps = [v1.CenterCrop(9), Solarize(), lambda i: i.filter(ImageFilter.GaussianBlur(0.7)), TAIL]
    dataset = small_images.make(tmp_path, 9, v1.Compose(steps))
    loader = DataLoader(dataset, 4, native=True)
    for (ours, _), (theirs, _) in zip(loader, torch.utils.data.DataLoader(dataset, 4), strict=True):
        assert torch.equal(ours, theirs)


class Watched:
    """In the place of an image: what a step does to it."""

    def __init__(self):
        self.radii = []

    def filter(self, blur):
        self.radii.append(blur.radius)
        return self


@pytest.mark.parametrize("name", ["blur by chance", "blur, or else", "blur by NumPy", "blur"])
def test_how_often_and_how_much_is_drawn_is_distributed_as_the_script_s(tmp_path, name):
    count, step = 8000, READ[name][0]
    random.seed(SEED), np.random.seed(SEED)
    theirs = Watched()
    for _ in range(count):
        step(theirs)
    operations = rows_of(tmp_path, recipe(step), count, SEED)["operations"][:, 0]
    ours = operations["values"][operations["kind"] == "gaussian_blur", 0]
    # 4 standard deviations of a difference, and the 0.1 % point of the distance.
    assert abs(len(ours) - len(theirs.radii)) < 4 * np.sqrt(count / 2) + 1
    few = min(len(ours), len(theirs.radii))
    assert furthest_apart(ours, np.array(theirs.radii)) < 1.95 * np.sqrt(2 / few)


# What is not understood


def reused_number(image):
    number = random.random()
    if number < 0.5:
        return image.filter(ImageFilter.GaussianBlur(number))
    return image


def reused_chance(image):
    chance = random.random() < 0.5
    if chance:
        return image if not chance else ImageOps.solarize(image)
    return image


def one_of_two(image):
    if random.random() < 0.5:
        return ImageOps.solarize(image)
    return ImageOps.equalize(image)


def another_filter(image):
    return image.filter(ImageFilter.BoxBlur(random.uniform(1, 2)))


def another_distribution(image):
    return image.filter(ImageFilter.GaussianBlur(random.gauss(1, 2)))


def uneven(image):
    return image.filter(ImageFilter.GaussianBlur(random.random() * random.random()))


def two_blurs(image):
    return image.filter(ImageFilter.GaussianBlur(1)).filter(ImageFilter.GaussianBlur(2))


def two_radii(image):
    return image.filter(ImageFilter.GaussianBlur((1, 2)))


def masked(image):
    return ImageOps.equalize(image, mask=None)


def below_zero(image):
    return image.filter(ImageFilter.GaussianBlur(random.uniform(-1, 1)))


def by_size(image):
    return ImageOps.solarize(image) if image.width < 9 else image


def of_another(image):
    return ImageOps.solarize(Image.new("RGB", (3, 3)))


def dropped(image):
    ImageOps.equalize(image)
    return ImageOps.solarize(image)


def rounded(image):
    return ImageOps.solarize(image, int(random.random() * 256))


REFUSED = [reused_number, reused_chance, one_of_two, another_filter, another_distribution, uneven]
REFUSED += [two_blurs, two_radii, masked, below_zero, by_size, of_another, dropped, rounded]


@pytest.mark.parametrize("step", REFUSED, ids=lambda step: step.__name__)
def test_other_steps_are_refused(step):
    with pytest.raises(
        UnsupportedTransform, match=f"not native, because step 2, .*{step.__name__}"
    ):
        text_of(step)
