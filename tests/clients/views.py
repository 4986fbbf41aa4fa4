"""Self-supervised training on several views of an image."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from PIL import Image, ImageFilter
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from registry import client
from script_data import (
    MEAN,
    STD,
    Blurred,
    Solarized,
    SometimesSolarized,
    normalize,
    shared,
)
from with_lightning import fit, lightning_module


def loader_of(run, dataset, sampler=None, **options):
    sampler = shared(dataset) if sampler is None else sampler
    loader = DataLoader(
        dataset,
        sampler=sampler,
        batch_size=run.batch_size,
        num_workers=run.workers,
        pin_memory=True,
        drop_last=True,
        **options,
    )
    run.use(train=loader)
    return loader


def epochs(run, loader):
    """Their numbers, told to the sampler."""
    for epoch in range(run.epochs):
        loader.sampler.set_epoch(epoch)
        yield epoch


# MoCo, SimSiam, MoCo v3


class TwoCropsTransform:
    """Two random crops of one image, for query and key."""

    def __init__(self, base_transform):
        self.base_transform = base_transform

    def __call__(self, x):
        q = self.base_transform(x)
        k = self.base_transform(x)
        return [q, k]


def pairs(run, transform):
    dataset = datasets.ImageFolder(run.folder("train"), transform)
    loader = loader_of(run, dataset)
    for _ in epochs(run, loader):
        for _, (images, _) in enumerate(loader):
            run.train(images[0], images[1])


def jitter(strength=0.4, hue=0.1, p=0.8, saturation=None):
    saturation = strength if saturation is None else saturation
    colors = transforms.ColorJitter(strength, strength, saturation, hue)
    return transforms.RandomApply([colors], p=p)


MOCO = "facebookresearch/moco: main_moco.py"


@client(MOCO)
def moco(run):
    steps = [
        transforms.RandomResizedCrop(run.size, scale=(0.2, 1.0)),
        transforms.RandomGrayscale(p=0.2),
        transforms.ColorJitter(0.4, 0.4, 0.4, 0.4),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        normalize(),
    ]
    pairs(run, TwoCropsTransform(transforms.Compose(steps)))


def moco_v2_steps(run):
    return [
        transforms.RandomResizedCrop(run.size, scale=(0.2, 1.0)),
        jitter(),
        transforms.RandomGrayscale(p=0.2),
        transforms.RandomApply([Blurred([0.1, 2.0])], p=0.5),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        normalize(),
    ]


@client(MOCO)
def moco_aug_plus(run):
    """--aug-plus"""
    pairs(run, TwoCropsTransform(transforms.Compose(moco_v2_steps(run))))


@client("facebookresearch/simsiam: main_simsiam.py")
def simsiam(run):
    pairs(run, TwoCropsTransform(transforms.Compose(moco_v2_steps(run))))


class TwoDifferentCrops:
    """Two random crops of one image, each by its own steps."""

    def __init__(self, base_transform1, base_transform2):
        self.base_transform1 = base_transform1
        self.base_transform2 = base_transform2

    def __call__(self, x):
        im1 = self.base_transform1(x)
        im2 = self.base_transform2(x)
        return [im1, im2]


@client("facebookresearch/moco-v3: main_moco.py")
def moco_v3(run):
    def steps(blur, solarize):
        return transforms.Compose(
            [
                transforms.RandomResizedCrop(run.size, scale=(0.08, 1.0)),
                jitter(saturation=0.2),
                transforms.RandomGrayscale(p=0.2),
                transforms.RandomApply([Blurred([0.1, 2.0])], p=blur),
                *([transforms.RandomApply([Solarized()], p=solarize)] if solarize else []),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                normalize(),
            ]
        )

    pairs(run, TwoDifferentCrops(steps(1.0, 0), steps(0.1, 0.2)))


# Barlow Twins and VICReg


class BlurredByChance:
    def __init__(self, p):
        self.p = p

    def __call__(self, img):
        if random.random() < self.p:
            sigma = random.random() * 1.9 + 0.1
            return img.filter(ImageFilter.GaussianBlur(sigma))
        else:
            return img


class TwoTransforms:
    def __init__(self, size):
        def steps(blur, solarize):
            return transforms.Compose(
                [
                    transforms.RandomResizedCrop(size, interpolation=Image.BICUBIC),
                    transforms.RandomHorizontalFlip(p=0.5),
                    jitter(saturation=0.2),
                    transforms.RandomGrayscale(p=0.2),
                    BlurredByChance(p=blur),
                    SometimesSolarized(p=solarize),
                    transforms.ToTensor(),
                    normalize(),
                ]
            )

        self.transform, self.transform_prime = steps(1.0, 0.0), steps(0.1, 0.2)

    def __call__(self, x):
        y1 = self.transform(x)
        y2 = self.transform_prime(x)
        return y1, y2


@client("facebookresearch/barlowtwins: main.py", name="barlow_twins")
@client("facebookresearch/vicreg: main_vicreg.py", name="vicreg")
def two_transforms(run):
    dataset = datasets.ImageFolder(Path(run.data) / "train", TwoTransforms(run.size))
    loader = loader_of(run, dataset)
    for epoch in epochs(run, loader):
        for _, ((y1, y2), _) in enumerate(loader, start=epoch * len(loader)):
            run.train(y1, y2)


# SupContrast and solo-learn


class TwoCropTransform:
    def __init__(self, transform):
        self.transform = transform

    def __call__(self, x):
        return [self.transform(x), self.transform(x)]


@client("HobbitLong/SupContrast: main_supcon.py, --dataset path")
def sup_contrast(run):
    steps = transforms.Compose(
        [
            transforms.RandomResizedCrop(size=run.size, scale=(0.2, 1.0)),
            transforms.RandomHorizontalFlip(),
            jitter(),
            transforms.RandomGrayscale(p=0.2),
            transforms.ToTensor(),
            transforms.Normalize(mean=MEAN, std=STD),
        ]
    )
    dataset = datasets.ImageFolder(root=run.folder("train"), transform=TwoCropTransform(steps))
    loader = DataLoader(
        dataset,
        batch_size=run.batch_size,
        shuffle=True,
        num_workers=run.workers,
        pin_memory=True,
        sampler=None,
    )
    run.use(train=loader)
    for _ in range(run.epochs):
        for images, labels in loader:
            run.train(torch.cat([images[0], images[1]], dim=0), labels)


def with_index(kind):
    """solo-learn's factory of a dataset that tells the index first."""

    class WithIndex(kind):
        def __getitem__(self, index):
            return (index, *super().__getitem__(index))

    return WithIndex


class NCrops:
    def __init__(self, transform, num_crops):
        self.transform, self.num_crops = transform, num_crops

    def __call__(self, x):
        return [self.transform(x) for _ in range(self.num_crops)]


class AllPipelines:
    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, x):
        out = []
        for transform in self.transforms:
            out.extend(transform(x))
        return out


@client("vturrisi/solo-learn: main_pretrain.py", needs=("lightning",))
def solo_learn(run):
    def steps(blur, solarize):
        return transforms.Compose(
            [
                transforms.RandomResizedCrop(
                    run.size, scale=(0.08, 1.0), interpolation=transforms.InterpolationMode.BICUBIC
                ),
                jitter(saturation=0.2),
                transforms.RandomGrayscale(p=0.2),
                transforms.RandomApply([Blurred()], p=blur),
                transforms.RandomApply([Solarized()], p=solarize),
                transforms.RandomHorizontalFlip(p=0.5),
                transforms.ToTensor(),
                normalize(),
            ]
        )

    pipelines = AllPipelines([NCrops(steps(1.0, 0.0), 1), NCrops(steps(0.1, 0.2), 1)])
    dataset = with_index(datasets.ImageFolder)(run.folder("train"), pipelines)
    loader = DataLoader(
        dataset,
        batch_size=run.batch_size,
        shuffle=True,
        num_workers=run.workers,
        pin_memory=True,
        drop_last=True,
    )
    fit(run, lightning_module(run)(), loader)
