"""Training with steps of a script's own."""

from __future__ import annotations

import numpy as np
import torch
import torch.utils.data
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from registry import client
from script_data import (
    BICUBIC,
    MEAN,
    STD,
    normalize,
    shared,
    standard_val,
)

# CutMix: steps of its own on the tensor, and a mixture made in the loop.


class TensorColors:
    """Brightness, contrast and saturation of a tensor, in an order that is drawn."""

    def __init__(self, most):
        self.most = most

    def __call__(self, x):
        gray = (x * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(0, keepdim=True)
        others = [torch.zeros_like(x), gray.mean().expand_as(x), gray.expand_as(x)]
        for at in torch.randperm(3).tolist():
            amount = float(np.random.uniform(-self.most, self.most))
            x = torch.lerp(x, others[at], amount)
        return x


class Lighting:
    """Noise along the principal components of ImageNet's colours."""

    values = torch.tensor([0.2175, 0.0188, 0.0045])
    vectors = torch.tensor(
        [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
    )

    def __init__(self, std):
        self.std = std

    def __call__(self, x):
        alpha = x.new().resize_(3).normal_(0, self.std)
        return x.add((self.vectors * alpha * self.values).sum(1).view(3, 1, 1))


@client("clovaai/CutMix-PyTorch: train.py")
def cutmix(run):
    train_steps = transforms.Compose(
        [
            transforms.RandomResizedCrop(run.size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            TensorColors(0.4),
            Lighting(0.1),
            normalize(),
        ]
    )
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    train_set = datasets.ImageFolder(run.folder("train"), train_steps)
    train_loader = DataLoader(train_set, shuffle=True, sampler=None, **options)
    val_set = datasets.ImageFolder(run.folder("val"), standard_val(run.size))
    val_loader = DataLoader(val_set, shuffle=False, **options)
    run.use(train=train_loader, val=val_loader)
    for _ in range(run.epochs):
        for images, target in train_loader:
            share = np.random.beta(1.0, 1.0)
            if np.random.rand() < 0.7:
                partners = torch.randperm(images.size(0))
                side = int(run.size * np.sqrt(1 - share))
                top, left = np.random.randint(run.size - side + 1, size=2)
                box = np.s_[:, :, top : top + side, left : left + side]
                images[box] = images[partners][box]
                run.train(images, target, target[partners])
            else:
                run.train(images, target)
        for images, target in val_loader:
            run.validate(images, target)


# DiT: images scaled by halves, in a function of its own.


def centre_by_halves(image, size):
    while min(*image.size) >= 2 * size:
        image = image.resize(tuple(x // 2 for x in image.size), resample=Image.BOX)
    scale = size / min(*image.size)
    image = image.resize(tuple(round(x * scale) for x in image.size), resample=Image.BICUBIC)
    pixels = np.array(image)
    top, left = (pixels.shape[0] - size) // 2, (pixels.shape[1] - size) // 2
    return Image.fromarray(pixels[top : top + size, left : left + size])


@client("facebookresearch/DiT: train.py")
def dit(run):
    steps = transforms.Compose(
        [
            transforms.Lambda(lambda image: centre_by_halves(image, run.size)),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5], inplace=True),
        ]
    )
    dataset = datasets.ImageFolder(run.folder("train"), transform=steps)
    sampler = shared(dataset, seed=3)
    loader = DataLoader(
        dataset,
        batch_size=run.batch_size,
        shuffle=False,
        sampler=sampler,
        num_workers=run.workers,
        pin_memory=True,
        drop_last=True,
    )
    run.use(train=loader)
    for epoch in range(run.epochs):
        sampler.set_epoch(epoch)
        for x, y in loader:
            run.train(x, y)


# open_clip: steps that let pass what is a tensor already.


class ToRGB:
    def __init__(self, mode="RGB"):
        self.mode = mode

    def __call__(self, image):
        return image.convert(self.mode) if isinstance(image, Image.Image) else image


class ToTensorOnce(transforms.ToTensor):
    def __call__(self, pic):
        if isinstance(pic, torch.Tensor):
            return pic
        return transforms.functional.to_tensor(pic)


@client("mlfoundations/open_clip: open_clip_train/data.py, get_imagenet(val)")
def open_clip(run):
    steps = transforms.Compose(
        [
            transforms.Resize(run.size, interpolation=BICUBIC),
            transforms.CenterCrop(run.size),
            ToRGB(),
            ToTensorOnce(),
            transforms.Normalize(mean=MEAN, std=STD),
        ]
    )
    dataset = datasets.ImageFolder(run.folder("val"), transform=steps)
    loader = DataLoader(dataset, batch_size=run.batch_size, num_workers=run.workers, sampler=None)
    run.use(val=loader)
    for images, target in loader:
        run.validate(images.to("cpu", dtype=torch.float32), target)
