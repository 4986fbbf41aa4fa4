"""A transform of a script's own that gives the image with something beside it: native, with the
samples of torch's loader, which runs beside."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
import torch.utils.data
import torchvision
from torch.utils.data import Subset
from torchvision import transforms as v1

import ringfeed
import small_images
from ringfeed import DataLoader, UnsupportedTransform
from small_images import CROP, PLAIN
from test_access import WithIndex
from test_collate import Two, check_same
from torchvision_reference import load

Torch = torch.utils.data.DataLoader
COUNT = 10


pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return small_images.make_folder(tmp_path_factory.mktemp("photos"), COUNT)


class Mask:
    def __call__(self):
        return np.random.permutation(16).reshape(4, 4) + random.random()


class Adds:
    def __init__(self, transform=PLAIN):
        self.transform_img = transform
        self.mask_generator = Mask()
        self.count = 2


# As scripts write them.


class ImageAndMask(Adds):
    """SimMIM's."""

    def __call__(self, img):
        img = self.transform_img(img)
        mask = self.mask_generator()

        return img, mask


class AtOnce(Adds):
    def __call__(self, image):
        """Both."""
        return {"image": self.transform_img(image), "mask": self.mask_generator()}


class Several(Adds):
    def __call__(self, image):
        made = self.transform_img(image)
        masks = []
        for _ in range(self.count):
            masks.append(self.mask_generator())
        if self.count > 1:
            masks.reverse()
        return [masks, made, torch.rand(2)]


ADDING = {
    "a mask": ImageAndMask(),
    "a dict": AtOnce(),
    "several": Several(),
    "a mask beside views": ImageAndMask(Two(PLAIN, PLAIN)),
}


def folder(root, transform):
    return torchvision.datasets.ImageFolder(root, transform)


@pytest.mark.parametrize(
    "kind", [folder, WithIndex, lambda *given: Subset(folder(*given), [8, 1, 1])]
)
@pytest.mark.parametrize("options", [{}, {"batch_size": None}, {"collate_fn": list}], ids=str)
@pytest.mark.parametrize("name", ADDING)
def test_samples_and_what_they_draw_are_torch_s(root, name, options, kind):
    dataset = kind(root, ADDING[name])
    options = {"batch_size": 4, **options}
    found = []
    for loader in DataLoader(dataset, native=True, **options), Torch(dataset, **options):
        torch.manual_seed(3), np.random.seed(3), random.seed(3)
        found.append([*loader, *loader, torch.rand(2)])
    check_same(*found)


def test_crops_are_torchvision_s_for_their_draws(root, reader):
    dataset = folder(root, ImageAndMask(CROP))
    loader = DataLoader(dataset, 4, shuffle=True, seed=8, num_workers=2, reader=reader)
    for epoch in range(2):
        rows = iter(loader.draws(epoch))
        for (images, _), labels in loader:
            for image, label in zip(images, labels.tolist(), strict=True):
                row = next(rows)
                path, wanted = dataset.samples[row["index"]]
                assert torch.equal(image, ringfeed.replay(row, load(path), CROP))
                assert label == wanted


def test_it_is_left_as_it_was_and_what_changes_counts_from_the_next_iterator_on(root):
    transform = Several()
    loader = DataLoader(folder(root, transform), 4, native=True)
    before = {**vars(transform)}
    assert len(next(iter(loader))[0][0]) == 2
    assert vars(transform) == before
    kept = loader._cached
    transform.count = 3
    assert len(next(iter(loader))[0][0]) == 3 and loader._cached is kept
    transform.transform_img = CROP
    next(iter(loader))
    assert loader._cached is not kept


class OfTheImage(Adds):
    def __call__(self, img):
        made = self.transform_img(img)
        return made, img.size


class OfTheResult(Adds):
    def __call__(self, img):
        img = self.transform_img(img)
        return img, img.mean()


class Changed(Adds):
    def __call__(self, img):
        img = self.transform_img(img)
        img = img * 2
        return img, self.mask_generator()


class Later(Adds):
    def __call__(self, img):
        mask = self.mask_generator()
        img = self.transform_img(img)
        return img, mask


class Counts(Adds):
    def __call__(self, img):
        img = self.transform_img(img)
        self.count = 5
        return img, self.mask_generator()


class Method(Adds):
    def again(self):
        self.transform_img = CROP

    def __call__(self, img):
        img = self.transform_img(img)
        return img, self.again()


class HandsOn(Adds):
    def __call__(self, img):
        img = self.transform_img(img)
        return img, repr(self)


class Seeds(Adds):
    def __call__(self, img):
        img = self.transform_img(img)
        np.random.seed(3)
        return img, self.mask_generator()


class Perhaps(Adds):
    def __call__(self, img):
        img = self.transform_img(img)
        if self.count > random.random():
            return img, 1
        return img, 2


class LooksUp(ImageAndMask):
    def __getattribute__(self, name):
        return super().__getattribute__(name)


class Module(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.transform_img, self.mask_generator = PLAIN, Mask()

    def forward(self, img):
        img = self.transform_img(img)
        return img, self.mask_generator()


@pytest.mark.parametrize(
    "kind",
    [OfTheImage, OfTheResult, Changed, Later, Counts, Method, HandsOn, Seeds, Perhaps, LooksUp]
    + [Module],
)
def test_code_that_does_more_is_refused(root, kind):
    with pytest.raises(UnsupportedTransform, match=kind.__name__):
        DataLoader(folder(root, kind()), native=True)


def test_what_the_image_s_transform_cannot_is_what_is_named(root):
    with pytest.raises(UnsupportedTransform, match="step 1, FiveCrop"):
        DataLoader(folder(root, ImageAndMask(v1.Compose([v1.FiveCrop(8)]))), native=True)
