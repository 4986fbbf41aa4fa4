"""Self-supervised training with masks."""

from __future__ import annotations

import math
import random
from multiprocessing import Value

import numpy as np
import torch
from torch.utils.data import DataLoader, default_collate
from torchvision import datasets, transforms
from torchvision.datasets.folder import default_loader

from registry import client
from script_data import MEAN, STD, normalize, shared
from views import epochs, loader_of


class ImageNet(datasets.ImageFolder):
    """A constructor of its own, and no more."""

    def __init__(self, root, image_folder="", transform=None, train=True):
        suffix = "train/" if train else "val/"
        super().__init__(root=f"{root}/{image_folder}{suffix}", transform=transform)


class MaskCollator:
    """Collates, and chooses the patches that encoder and predictors see, by a counter that all
    workers share."""

    def __init__(self, grid, predictors=4, keep=10):
        self.grid, self.predictors, self.keep = grid, predictors, keep
        self.counter = Value("i", -1)

    def step(self):
        with self.counter.get_lock():
            self.counter.value += 1
            return self.counter.value

    def block(self, generator, scale, aspect):
        share = scale[0] + torch.rand(1, generator=generator).item() * (scale[1] - scale[0])
        ratio = aspect[0] + torch.rand(1, generator=generator).item() * (aspect[1] - aspect[0])
        area = share * self.grid**2
        sides = math.sqrt(area * ratio), math.sqrt(area / ratio)
        return [min(self.grid - 1, max(2, round(side))) for side in sides]

    def positions(self, block):
        high, wide = block
        top = int(torch.randint(0, self.grid - high, (1,)))
        left = int(torch.randint(0, self.grid - wide, (1,)))
        mask = torch.zeros((self.grid, self.grid), dtype=torch.int32)
        mask[top : top + high, left : left + wide] = 1
        return mask.flatten().nonzero().flatten()

    def __call__(self, batch):
        collated = default_collate(batch)
        generator = torch.Generator()
        generator.manual_seed(self.step())
        small = self.block(generator, (0.15, 0.2), (0.75, 1.5))
        large = self.block(generator, (0.85, 1.0), (1.0, 1.0))
        predicted = [[self.positions(small) for _ in range(self.predictors)] for _ in batch]
        encoded = [[self.positions(large)] for _ in batch]
        return collated, default_collate(encoded), default_collate(predicted)


@client("facebookresearch/ijepa: src/train.py")
def ijepa(run):
    steps = transforms.Compose(
        [
            transforms.RandomResizedCrop(run.size, scale=(0.3, 1.0)),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    dataset = ImageNet(run.data, transform=steps)
    sampler = shared(dataset)
    loader = DataLoader(
        dataset,
        collate_fn=MaskCollator(run.size // run.scaled(16)),
        sampler=sampler,
        batch_size=run.batch_size,
        drop_last=True,
        pin_memory=True,
        num_workers=min(1, run.workers),  # of several, which is first to count is a race
        persistent_workers=False,
    )
    run.use(train=loader)
    for epoch in range(run.epochs):
        sampler.set_epoch(epoch)
        for udata, masks_enc, masks_pred in loader:
            run.train(udata[0], masks_enc, masks_pred)


class RandomMask:
    def __init__(self, side, scale, ratio):
        self.side, self.scale = side, scale
        self.count = math.ceil(side * side * ratio)

    def __call__(self):
        mask = np.zeros(self.side**2, dtype=int)
        mask[np.random.permutation(self.side**2)[: self.count]] = 1
        mask = mask.reshape(self.side, self.side)
        return mask.repeat(self.scale, axis=0).repeat(self.scale, axis=1)


class ImageAndMask:
    def __init__(self, size):
        self.transform_img = transforms.Compose(
            [
                transforms.Lambda(lambda img: img.convert("RGB") if img.mode != "RGB" else img),
                transforms.RandomResizedCrop(size, scale=(0.67, 1.0), ratio=(3.0 / 4, 4.0 / 3)),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(mean=torch.tensor(MEAN), std=torch.tensor(STD)),
            ]
        )
        self.mask_generator = RandomMask(4, 4, 0.6)

    def __call__(self, img):
        img = self.transform_img(img)
        mask = self.mask_generator()
        return img, mask


def collate_fn(batch):
    if not isinstance(batch[0][0], tuple):
        return default_collate(batch)
    found = [default_collate([sample[0][at] for sample in batch]) for at in range(len(batch[0][0]))]
    return [*found, default_collate([sample[1] for sample in batch])]


@client("microsoft/SimMIM: main_simmim.py; microsoft/Swin-Transformer: main_simmim_pt.py")
def simmim(run):
    dataset = datasets.ImageFolder(run.folder("train"), ImageAndMask(run.size))
    loader = loader_of(run, dataset, collate_fn=collate_fn)
    for _ in epochs(run, loader):
        for img, mask, _ in loader:
            run.train(img, mask)


# BEiT


class TwoSizes(transforms.RandomResizedCrop):
    """One crop, resized twice."""

    def __init__(self, size, second_size):
        super().__init__(size)
        self.second_size = (second_size, second_size)

    def forward(self, img):
        box = self.get_params(img, self.scale, self.ratio)
        crop = transforms.functional.resized_crop
        return (
            crop(img, *box, self.size, transforms.InterpolationMode.BICUBIC),
            crop(img, *box, self.second_size, transforms.InterpolationMode.LANCZOS),
        )


class DataAugmentationForBEiT:
    def __init__(self, size, second_size, grid):
        self.common_transform = transforms.Compose(
            [
                transforms.ColorJitter(0.4, 0.4, 0.4),
                transforms.RandomHorizontalFlip(p=0.5),
                TwoSizes(size, second_size),
            ]
        )
        self.patch_transform = transforms.Compose([transforms.ToTensor(), normalize()])
        self.visual_token_transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Lambda(lambda x: (1 - 2 * 0.1) * x + 0.1)]
        )
        self.grid = grid

    def masked_positions(self):
        mask = np.zeros((self.grid, self.grid), dtype=int)
        while mask.sum() < self.grid**2 // 3:
            top, left = random.randint(0, self.grid - 2), random.randint(0, self.grid - 2)
            mask[top : top + 2, left : left + 2] = 1
        return mask

    def __call__(self, image):
        for_patches, for_visual_tokens = self.common_transform(image)
        return (
            self.patch_transform(for_patches),
            self.visual_token_transform(for_visual_tokens),
            self.masked_positions(),
        )


class OtherOnError(torch.utils.data.Dataset):
    """A copy of torchvision's folder that takes some other sample where one cannot be loaded."""

    def __init__(self, root, transform):
        self.samples = datasets.ImageFolder(root).samples
        self.loader, self.transform = default_loader, transform

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        while True:
            try:
                path, target = self.samples[index]
                sample = self.loader(path)
                break
            except Exception:
                index = random.randint(0, len(self.samples) - 1)
        return self.transform(sample), target


@client("microsoft/unilm: beit/run_beit_pretraining.py")
def beit(run):
    views = DataAugmentationForBEiT(run.size, run.size // 2, 14)
    loader = loader_of(run, OtherOnError(run.damaged, views))
    for _ in epochs(run, loader):
        for (samples, images, masked), _ in loader:
            run.train(samples, images, masked.flatten(1).to(torch.bool))
