"""Batches of 8-bit images: the collate_fn takes PIL images, and the batch is normalised later."""

from __future__ import annotations

import random
from functools import partial

import numpy as np
import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from registry import client
from script_data import MEAN, STD, shared


def bytes_of(batch, layout=torch.contiguous_format):
    """NVIDIA's: images as they are, added into zeros."""
    images = [sample[0] for sample in batch]
    targets = torch.tensor([sample[1] for sample in batch], dtype=torch.int64)
    width, height = images[0].size
    found = torch.zeros((len(images), 3, height, width), dtype=torch.uint8)
    found = found.contiguous(memory_format=layout)
    for i, image in enumerate(images):
        pixels = np.asarray(image, dtype=np.uint8)
        if pixels.ndim < 3:
            pixels = np.expand_dims(pixels, axis=-1)
        found[i] += torch.from_numpy(np.rollaxis(pixels, 2))
    return found, targets


def cropped(size):
    return transforms.Compose(
        [transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip()]
    )


def centred(size):
    return transforms.Compose([transforms.Resize(size * 256 // 224), transforms.CenterCrop(size)])


class Ahead:
    """apex's prefetcher, which is asked by next() and gives None at the end."""

    def __init__(self, loader):
        self.batches = iter(loader)
        self.mean = torch.tensor([255 * x for x in MEAN]).view(1, 3, 1, 1)
        self.std = torch.tensor([255 * x for x in STD]).view(1, 3, 1, 1)
        self.preload()

    def preload(self):
        try:
            self.input, self.target = next(self.batches)
        except StopIteration:
            self.input = self.target = None
            return
        self.input = self.input.float()
        self.input = self.input.sub_(self.mean).div_(self.std)

    def next(self):
        found = self.input, self.target
        self.preload()
        return found


@client("NVIDIA/apex: examples/imagenet/main_amp.py")
def apex(run):
    train_set = datasets.ImageFolder(run.folder("train"), cropped(run.size))
    val_set = datasets.ImageFolder(run.folder("val"), centred(run.size))
    train_sampler, val_sampler = shared(train_set), shared(val_set)
    collate_fn = lambda batch: bytes_of(batch, torch.contiguous_format)  # noqa: E731
    options = dict(
        batch_size=run.batch_size, num_workers=run.workers, pin_memory=True, collate_fn=collate_fn
    )
    train_loader = DataLoader(train_set, shuffle=False, sampler=train_sampler, **options)
    val_loader = DataLoader(val_set, shuffle=False, sampler=val_sampler, **options)
    run.use(train=train_loader, val=val_loader)
    for epoch in range(run.epochs):
        train_sampler.set_epoch(epoch)
        for loader, use in ((train_loader, run.train), (val_loader, run.validate)):
            ahead = Ahead(loader)
            images, target = ahead.next()
            while images is not None:
                use(images, target)
                images, target = ahead.next()


def seed_worker(worker, seed):
    np.random.seed(seed + worker)
    random.seed(seed + worker)


class Normalized:
    """Batches a step ahead, normalised in place after they became floats."""

    def __init__(self, loader, epoch=0):
        self.loader, self.epoch = loader, epoch

    def __iter__(self):
        if isinstance(self.loader.sampler, torch.utils.data.DistributedSampler):
            self.loader.sampler.set_epoch(self.epoch)
        self.epoch += 1
        mean = torch.tensor([255 * x for x in MEAN]).view(1, 3, 1, 1)
        std = torch.tensor([255 * x for x in STD]).view(1, 3, 1, 1)
        ahead = None
        for images, target in self.loader:
            images = images.to(torch.float).sub_(mean).div_(std)
            if ahead is not None:
                yield ahead
            ahead = images, target
        yield ahead


@client("NVIDIA/DeepLearningExamples: PyTorch/Classification/ConvNets, --data-backend pytorch")
def deep_learning_examples(run):
    loaders = {}
    for split, steps in (("train", cropped(run.size)), ("val", centred(run.size))):
        dataset = datasets.ImageFolder(run.folder(split), steps)
        loaders[split] = DataLoader(
            dataset,
            sampler=shared(dataset, shuffle=split == "train"),
            batch_size=run.batch_size,
            shuffle=False,
            num_workers=run.workers,
            worker_init_fn=partial(seed_worker, seed=17),
            pin_memory=True,
            collate_fn=partial(bytes_of, layout=torch.channels_last),
            drop_last=split == "train",
            persistent_workers=True,
            prefetch_factor=2,
        )
    run.use(**loaders)
    train, val = Normalized(loaders["train"]), Normalized(loaders["val"])
    for _ in range(run.epochs):
        for images, target in train:
            run.train(images, target)
        for images, target in val:
            run.validate(images, target)


def pil_image_collate(batch, layout=torch.contiguous_format):
    """Composer's: an array for each image, channels first by np.rollaxis."""
    images = [sample[0] for sample in batch]
    targets = torch.tensor([sample[1] for sample in batch], dtype=torch.int64)
    width, height = images[0].size
    found = torch.zeros((len(images), 3, height, width), dtype=torch.uint8)
    found = found.contiguous(memory_format=layout)
    for i, image in enumerate(images):
        pixels = np.asarray(image, dtype=np.uint8)
        pixels = np.rollaxis(pixels, 2).copy()
        if pixels.shape[0] != 3:
            pixels = np.resize(pixels, (3, height, width))
        found[i] += torch.from_numpy(pixels)
    return found, targets


@client("mosaicml/examples: resnet_imagenet/data.py")
def mosaicml_resnet(run):
    loaders = {}
    for split, steps in (("train", cropped(run.size)), ("val", centred(run.size))):
        dataset = datasets.ImageFolder(run.folder(split), steps)
        loaders[split] = DataLoader(
            dataset=dataset,
            batch_size=run.batch_size,
            sampler=shared(dataset, shuffle=split == "train", drop_last=split == "train"),
            drop_last=split == "train",
            collate_fn=pil_image_collate,
            num_workers=run.workers,
            pin_memory=True,
            prefetch_factor=2,
            persistent_workers=True,
        )
    run.use(**loaders)
    mean = torch.tensor([255 * x for x in MEAN]).view(1, 3, 1, 1)
    std = torch.tensor([255 * x for x in STD]).view(1, 3, 1, 1)
    for epoch in range(run.epochs):
        loaders["train"].sampler.set_epoch(epoch)
        for images, target in loaders["train"]:
            run.train((images.float() - mean) / std, target)
        for images, target in loaders["val"]:
            run.validate((images.float() - mean) / std, target)


def timm_loaders(run, **training):
    """As timm's train.py makes them: datasets of its own, and a loader that normalises behind."""
    from timm.data import create_dataset, create_loader

    cpu = torch.device("cpu")
    loaders = {}
    for split in ("train", "val"):
        own = dict(
            no_aug=False,
            re_prob=training.get("re_prob", 0.0),
            re_mode="pixel",
            scale=(0.08, 1.0),
            ratio=(3 / 4, 4 / 3),
            hflip=0.5,
            color_jitter=0.4,
            auto_augment=training.get("auto_augment"),
            interpolation="random",
            worker_seeding="all",
            collate_fn=training.get("collate_fn"),
        )
        other = dict(interpolation="bicubic", crop_pct=0.95)
        loaders[split] = create_loader(
            create_dataset("", root=run.data, split=split, is_training=split == "train"),
            input_size=(3, run.size, run.size),
            batch_size=run.batch_size,
            is_training=split == "train",
            mean=MEAN,
            std=STD,
            num_workers=run.workers,
            distributed=False,
            pin_memory=False,
            device=cpu,
            **(own if split == "train" else other),
        )
    run.use(train=loaders["train"].loader, val=loaders["val"].loader)
    return loaders


def timm_epochs(run, loaders):
    for _ in range(run.epochs):
        for images, target in loaders["train"]:
            run.train(images, target)
        for images, target in loaders["val"]:
            run.validate(images, target)


TIMM = "huggingface/pytorch-image-models: train.py; sail-sg/poolformer: train.py"


@client(TIMM, needs=("timm",))
def timm_train(run):
    timm_epochs(run, timm_loaders(run))


@client(TIMM, needs=("timm",))
def timm_train_mixup(run):
    """--mixup 0.8 --cutmix 1 --reprob 0.25 --aa …: a collate_fn that mixes 8-bit images."""
    from timm.data import FastCollateMixup

    mixup = FastCollateMixup(mixup_alpha=0.8, cutmix_alpha=1.0, label_smoothing=0.1, num_classes=10)
    augment = "rand-m9-mstd0.5-inc1"
    loaders = timm_loaders(run, re_prob=0.25, auto_augment=augment, collate_fn=mixup)
    timm_epochs(run, loaders)
