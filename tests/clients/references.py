"""torchvision's references: presets, and samplers of their own."""

from __future__ import annotations

import os

import torch
import torch.utils.data
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler
from torchvision import datasets, transforms

from registry import client
from script_data import (
    normalize,
)


class PresetTrain:
    def __init__(self, *, size, auto_augment=None, erase=0.0):
        steps = [transforms.RandomResizedCrop(size, antialias=True)]
        steps.append(transforms.RandomHorizontalFlip(0.5))
        if auto_augment is not None:
            steps.append(auto_augment)
        steps.append(transforms.PILToTensor())
        steps.extend([transforms.ConvertImageDtype(torch.float), normalize()])
        if erase > 0:
            steps.append(transforms.RandomErasing(p=erase))
        self.transforms = transforms.Compose(steps)

    def __call__(self, img):
        return self.transforms(img)


class PresetEval:
    def __init__(self, *, size, resize):
        self.transforms = transforms.Compose(
            [
                transforms.Resize(resize, antialias=True),
                transforms.CenterCrop(size),
                transforms.PILToTensor(),
                transforms.ConvertImageDtype(torch.float),
                normalize(),
            ]
        )

    def __call__(self, img):
        return self.transforms(img)


def references(run, train_steps, val_steps, sampler=None, collate_fn=None):
    train_set = datasets.ImageFolder(run.folder("train"), train_steps)
    val_set = datasets.ImageFolder(run.folder("val"), val_steps)
    sampler = sampler(train_set) if sampler else RandomSampler(train_set)
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    train_loader = DataLoader(train_set, sampler=sampler, collate_fn=collate_fn, **options)
    val_loader = DataLoader(val_set, sampler=SequentialSampler(val_set), **options)
    run.use(train=train_loader, val=val_loader)
    for epoch in range(run.epochs):
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)
        for _, (image, target) in enumerate(train_loader):
            run.train(image, target)
        with torch.inference_mode():
            for image, target in val_loader:
                run.validate(image, target)


@client("pytorch/vision: references/classification/train.py, default flags")
def vision_references(run):
    collate = torch.utils.data.default_collate
    val_steps = PresetEval(size=run.size, resize=run.scaled(256))
    references(run, PresetTrain(size=run.size), val_steps, collate_fn=collate)


@client("pytorch/vision: references/classification/train.py, default flags")
def vision_references_weights(run):
    """--weights: the validation's transform is that of the weights."""
    from torchvision.models import get_weight

    val_steps = get_weight("ResNet50_Weights.IMAGENET1K_V1").transforms(antialias=True)
    references(run, PresetTrain(size=run.size), val_steps)


class Repeated(torch.utils.data.Sampler):
    """Each image several times, one after the other, of which a rank takes every so manieth."""

    def __init__(self, dataset, replicas=1, rank=0, repeats=3, seed=0):
        self.count, self.replicas, self.rank = len(dataset), replicas, rank
        self.repeats, self.seed, self.epoch = repeats, seed, 0

    def __len__(self):
        return self.count // self.replicas

    def __iter__(self):
        generator = torch.Generator()
        generator.manual_seed(self.seed + self.epoch)
        order = torch.randperm(self.count, generator=generator)
        order = order.repeat_interleave(self.repeats).tolist()
        return iter(order[self.rank :: self.replicas][: len(self)])

    def set_epoch(self, epoch):
        self.epoch = epoch


@client("pytorch/vision: references/classification/train.py, the new recipe")
def vision_references_new_recipe(run):
    from torchvision.transforms import v2

    classes = len(os.listdir(run.folder("train")))
    mix = v2.RandomChoice(
        [v2.MixUp(alpha=0.2, num_classes=classes), v2.CutMix(alpha=1.0, num_classes=classes)]
    )

    def collate_fn(batch):
        return mix(*torch.utils.data.default_collate(batch))

    augment = transforms.TrivialAugmentWide()
    steps = PresetTrain(size=run.size, auto_augment=augment, erase=0.1)
    val_steps = PresetEval(size=run.size, resize=run.scaled(232))
    references(run, steps, val_steps, Repeated, collate_fn)
