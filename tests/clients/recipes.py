"""Transformers' recipes on folders, most of them by timm's create_transform()."""

from __future__ import annotations

import json
import os
import random

import torch
from torch.utils.data import DataLoader, SequentialSampler
from torchvision import datasets, transforms
from torchvision.datasets.folder import default_loader

from references import Repeated
from registry import client
from script_data import (
    BICUBIC,
    MEAN,
    STD,
    SometimesBlurred,
    SometimesSolarized,
    normalize,
    shared,
)


def train_steps(size):
    from timm.data import create_transform

    return create_transform(
        input_size=size,
        is_training=True,
        color_jitter=0.4,
        auto_augment="rand-m9-mstd0.5-inc1",
        interpolation="bicubic",
        re_prob=0.25,
        re_mode="pixel",
        re_count=1,
        mean=MEAN,
        std=STD,
    )


def val_steps(size, resize):
    return transforms.Compose(
        [
            transforms.Resize(resize, interpolation=BICUBIC),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )


def mixup(**options):
    from timm.data import Mixup

    return Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, label_smoothing=0.1, num_classes=10, **options)


def train_and_validate(run, train_loader, val_loader, mix=None):
    run.use(train=train_loader, val=val_loader)
    for epoch in range(run.epochs):
        if hasattr(train_loader.sampler, "set_epoch"):
            train_loader.sampler.set_epoch(epoch)
        for images, targets in train_loader:
            run.train(*((images, targets) if mix is None else mix(images, targets)))
        for batch in val_loader:
            images, targets = batch[0], batch[-1]
            run.validate(images, targets)


@client("microsoft/Swin-Transformer: data/build.py", needs=("timm",))
def swin(run):
    train_set = datasets.ImageFolder(run.folder("train"), transform=train_steps(run.size))
    val_set = datasets.ImageFolder(
        run.folder("val"), transform=val_steps(run.size, run.scaled(256))
    )
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    train_loader = DataLoader(train_set, sampler=shared(train_set), drop_last=True, **options)
    val_sampler = shared(val_set, shuffle=False)
    val_loader = DataLoader(val_set, sampler=val_sampler, shuffle=False, drop_last=False, **options)
    train_and_validate(run, train_loader, val_loader, mixup())


def deit_loaders(run, train_set, val_set):
    options = dict(num_workers=run.workers, pin_memory=True)
    sampler = Repeated(train_set, replicas=2, rank=1)
    train_loader = DataLoader(
        train_set, sampler=sampler, batch_size=run.batch_size, drop_last=True, **options
    )
    val_loader = DataLoader(
        val_set,
        sampler=SequentialSampler(val_set),
        batch_size=int(1.5 * run.batch_size),
        drop_last=False,
        **options,
    )
    return train_loader, val_loader


DEIT = "facebookresearch/deit: main.py"


@client(DEIT, needs=("timm",))
def deit(run):
    train_set = datasets.ImageFolder(run.folder("train"), transform=train_steps(run.size))
    resize = int(run.size / 0.875)
    val_set = datasets.ImageFolder(run.folder("val"), transform=val_steps(run.size, resize))
    train_and_validate(run, *deit_loaders(run, train_set, val_set), mixup())


class Listed(datasets.ImageFolder):
    """INatDataset: samples by a list, without ImageFolder's constructor."""

    def __init__(self, root, files, transform=None):
        self.transform, self.loader, self.target_transform = transform, default_loader, None
        self.samples = [(os.path.join(root, f["file"]), f["category"]) for f in json.loads(files)]


def listing(root):
    samples = datasets.ImageFolder(root).samples
    return json.dumps([{"file": os.path.relpath(p, root), "category": c} for p, c in samples])


@client(DEIT, needs=("timm",))
def deit_inat(run):
    """--data-set INAT"""
    folders = run.folder("train"), run.folder("val")
    train_set = Listed(folders[0], listing(folders[0]), train_steps(run.size))
    resize = int(run.size / 0.875)
    val_set = Listed(folders[1], listing(folders[1]), val_steps(run.size, resize))
    train_and_validate(run, *deit_loaders(run, train_set, val_set))


class SometimesGray:
    def __init__(self, p):
        self.p, self.step = p, transforms.Grayscale(3)

    def __call__(self, image):
        if random.random() < self.p:
            return self.step(image)
        else:
            return image


@client(DEIT, needs=("timm",))
def deit_three_augment(run):
    """--ThreeAugment: the dataset's transform is replaced once the loader is made."""
    from timm.data.transforms import RandomResizedCropAndInterpolation

    train_set = datasets.ImageFolder(run.folder("train"), transform=train_steps(run.size))
    resize = int(run.size / 0.875)
    val_set = datasets.ImageFolder(run.folder("val"), transform=val_steps(run.size, resize))
    train_loader, val_loader = deit_loaders(run, train_set, val_set)
    three = [SometimesGray(1.0), SometimesSolarized(1.0), SometimesBlurred(1.0)]
    train_loader.dataset.transform = transforms.Compose(
        [
            RandomResizedCropAndInterpolation(run.size, scale=(0.08, 1), interpolation="bicubic"),
            transforms.RandomHorizontalFlip(),
            transforms.RandomChoice(three),
            transforms.ColorJitter(0.3, 0.3, 0.3),
            transforms.ToTensor(),
            normalize(),
        ]
    )
    train_and_validate(run, train_loader, val_loader)


def convnext_loaders(run, val):
    train_set = datasets.ImageFolder(run.folder("train"), transform=train_steps(run.size))
    val_set = datasets.ImageFolder(run.folder("val"), transform=val)
    options = dict(num_workers=run.workers, pin_memory=True)
    train_loader = DataLoader(
        train_set,
        sampler=shared(train_set, seed=5),
        batch_size=run.batch_size,
        drop_last=True,
        **options,
    )
    val_loader = DataLoader(
        val_set,
        sampler=SequentialSampler(val_set),
        batch_size=int(1.5 * run.batch_size),
        drop_last=False,
        **options,
    )
    return train_loader, val_loader


CONVNEXT = "facebookresearch/ConvNeXt: main.py"


@client(CONVNEXT, needs=("timm",))
def convnext(run):
    loaders = convnext_loaders(run, val_steps(run.size, int(run.size / 0.875)))
    train_and_validate(run, *loaders, mixup())


@client(CONVNEXT, needs=("timm",))
def convnext_384(run):
    """--input_size 384: validation squashes the whole image."""
    squash = transforms.Compose(
        [
            transforms.Resize((run.size, run.size), interpolation=BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    train_and_validate(run, *convnext_loaders(run, squash))


@client("facebookresearch/mae: main_finetune.py", needs=("timm",))
def mae_finetune(run):
    train_set = datasets.ImageFolder(run.folder("train"), transform=train_steps(run.size))
    resize = int(run.size / (224 / 256))
    val_set = datasets.ImageFolder(run.folder("val"), transform=val_steps(run.size, resize))
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    train_loader = DataLoader(train_set, sampler=shared(train_set), drop_last=True, **options)
    val_loader = DataLoader(val_set, sampler=SequentialSampler(val_set), **options)
    train_and_validate(run, train_loader, val_loader, mixup())


# Masked autoencoders: torchvision's steps alone.


def pretrain(run, **sampler_options):
    steps = transforms.Compose(
        [
            transforms.RandomResizedCrop(run.size, scale=(0.2, 1.0), interpolation=3),  # bicubic
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )
    dataset = datasets.ImageFolder(run.folder("train"), transform=steps)
    loader = DataLoader(
        dataset,
        sampler=shared(dataset, **sampler_options),
        batch_size=run.batch_size,
        num_workers=run.workers,
        pin_memory=True,
        drop_last=True,
    )
    run.use(train=loader)
    for epoch in range(run.epochs):
        loader.sampler.set_epoch(epoch)
        for samples, _ in loader:
            run.train(samples)


@client("facebookresearch/mae: main_pretrain.py")
def mae_pretrain(run):
    pretrain(run)


@client("facebookresearch/ConvNeXt-V2: main_pretrain.py")
def convnext_v2_pretrain(run):
    pretrain(run, seed=11)


class AreaCrop(transforms.RandomResizedCrop):
    """One draw, as TensorFlow's, and no fallback."""

    @staticmethod
    def get_params(img, scale, ratio):
        width, height = img.size
        area = width * height * torch.empty(1).uniform_(scale[0], scale[1]).item()
        low, high = torch.log(torch.tensor(ratio))
        aspect = torch.exp(torch.empty(1).uniform_(low.item(), high.item())).item()
        w = min(width, round((area * aspect) ** 0.5))
        h = min(height, round((area / aspect) ** 0.5))
        top = torch.randint(0, height - h + 1, size=(1,)).item()
        left = torch.randint(0, width - w + 1, size=(1,)).item()
        return top, left, h, w


@client("facebookresearch/mae: main_linprobe.py")
def mae_linprobe(run):
    steps = transforms.Compose(
        [
            AreaCrop(run.size, interpolation=3),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            normalize(),
        ]
    )
    val = transforms.Compose(
        [
            transforms.Resize(run.scaled(256), interpolation=3),
            transforms.CenterCrop(run.size),
            transforms.ToTensor(),
            normalize(),
        ]
    )
    train_set = datasets.ImageFolder(run.folder("train"), transform=steps)
    val_set = datasets.ImageFolder(run.folder("val"), transform=val)
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    train_loader = DataLoader(train_set, sampler=shared(train_set), drop_last=True, **options)
    val_sampler = shared(val_set, shuffle=False)
    val_loader = DataLoader(val_set, sampler=val_sampler, drop_last=False, **options)
    train_and_validate(run, train_loader, val_loader)
