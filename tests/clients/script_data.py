"""What many a repository has in a data.py or utils.py."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Iterator

import torch.distributed as dist
from PIL import ImageFilter, ImageOps
from torch.utils.data import DistributedSampler
from torchvision import transforms
from torchvision.transforms import InterpolationMode

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BICUBIC = InterpolationMode.BICUBIC


def normalize():
    return transforms.Normalize(mean=list(MEAN), std=list(STD))


def standard_train(size, **crop):
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, **crop),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            normalize(),
        ]
    )


def standard_val(size, **resize):
    return transforms.Compose(
        [
            transforms.Resize(size * 256 // 224, **resize),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            normalize(),
        ]
    )


def shared(dataset, shuffle=True, **options):
    """The second of two ranks' share, where the original asks its launcher."""
    return DistributedSampler(dataset, num_replicas=2, rank=1, shuffle=shuffle, **options)


@contextlib.contextmanager
def process_group() -> Iterator[None]:
    """A group of one process, as torchrun makes it."""
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("gloo", f"file://{folder}/store", rank=0, world_size=1)
        try:
            yield
        finally:
            dist.destroy_process_group()


# What scripts of self-supervised training write around Pillow.


class SometimesBlurred:
    """Of a probability of its own and a radius between two."""

    def __init__(self, p=0.5, least=0.1, most=2.0):
        self.p, self.least, self.most = p, least, most

    def __call__(self, image):
        if random.random() > self.p:
            return image
        radius = random.uniform(self.least, self.most)
        return image.filter(ImageFilter.GaussianBlur(radius=radius))


class SometimesSolarized:
    def __init__(self, p):
        self.p = p

    def __call__(self, image):
        return ImageOps.solarize(image) if random.random() < self.p else image


class Blurred:
    """Always; RandomApply says how often."""

    def __init__(self, sigma=(0.1, 2.0)):
        self.sigma = sigma

    def __call__(self, x):
        sigma = random.uniform(self.sigma[0], self.sigma[1])
        return x.filter(ImageFilter.GaussianBlur(radius=sigma))


class Solarized:
    def __call__(self, x):
        return ImageOps.solarize(x)
