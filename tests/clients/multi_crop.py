"""Self-supervised training on large and small crops of an image."""

from __future__ import annotations

import itertools
import os
import random
import tempfile
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Sampler
from torchvision import datasets, transforms

from registry import client
from script_data import (
    BICUBIC,
    SometimesBlurred,
    SometimesSolarized,
    normalize,
    shared,
)
from views import epochs, jitter, loader_of

# DINO and iBOT


class DataAugmentationDINO:
    def __init__(self, size, small, global_crops_scale, local_crops_scale, local_crops_number):
        colors = [transforms.RandomHorizontalFlip(p=0.5), jitter(saturation=0.2)]
        colors = transforms.Compose([*colors, transforms.RandomGrayscale(p=0.2)])
        tail = transforms.Compose([transforms.ToTensor(), normalize()])

        def crop(size, scale, *steps):
            first = transforms.RandomResizedCrop(size, scale=scale, interpolation=BICUBIC)
            return transforms.Compose([first, colors, *steps, tail])

        self.global_transfo1 = crop(size, global_crops_scale, SometimesBlurred(1.0))
        self.global_transfo2 = crop(
            size, global_crops_scale, SometimesBlurred(0.1), SometimesSolarized(0.2)
        )
        self.local_crops_number = local_crops_number
        self.local_transfo = crop(small, local_crops_scale, SometimesBlurred(0.5))

    def __call__(self, image):
        crops = []
        crops.append(self.global_transfo1(image))
        crops.append(self.global_transfo2(image))
        for _ in range(self.local_crops_number):
            crops.append(self.local_transfo(image))
        return crops


def dino_views(run, number):
    return DataAugmentationDINO(run.size, run.scaled(96), (0.4, 1.0), (0.05, 0.4), number)


@client("facebookresearch/dino: main_dino.py")
def dino(run):
    dataset = datasets.ImageFolder(run.folder("train"), transform=dino_views(run, 8))
    loader = loader_of(run, dataset)
    for _ in epochs(run, loader):
        for images, _ in loader:
            images = [im.to("cpu", non_blocking=True) for im in images]
            run.train(images)


class FolderWithMasks(datasets.ImageFolder):
    """Adds a mask of blocks for each view; a set epoch says whether there are any."""

    def __init__(self, *args, patch_size, ratio, start_epoch=0, **kwargs):
        super().__init__(*args, **kwargs)
        self.patch_size, self.ratio, self.start_epoch = patch_size, ratio, start_epoch

    def set_epoch(self, epoch):
        self.epoch = epoch

    def share(self):
        if getattr(self, "epoch", 0) < self.start_epoch:
            return 0.0
        return random.uniform(0.1, self.ratio)

    def __getitem__(self, index):
        output = super().__getitem__(index)
        masks = []
        for img in output[0]:
            high, wide = (n // self.patch_size for n in img.shape[1:])
            wanted = self.share() * high * wide
            mask, count = np.zeros((high, wide), dtype=bool), 0
            while count < wanted:
                top, left = random.randint(0, high - 1), random.randint(0, wide - 1)
                mask[top : top + 3, left : left + 3] = True
                count = mask.sum()
            masks.append(mask)
        return (*output, masks)


@client("bytedance/ibot: main_ibot.py")
def ibot(run):
    dataset = FolderWithMasks(
        run.folder("train"),
        transform=dino_views(run, 10),
        patch_size=run.scaled(16),
        ratio=0.3,
        start_epoch=1,
    )
    loader = loader_of(run, dataset)
    for epoch in epochs(run, loader):
        loader.dataset.set_epoch(epoch)
        for images, labels, masks in loader:
            run.train(images, labels, masks)


class WithItsIndex(datasets.ImageFolder):
    def __getitem__(self, idx):
        img, _ = super().__getitem__(idx)
        return img, idx


@client("facebookresearch/dino: eval_knn.py")
def dino_eval_knn(run):
    steps = transforms.Compose(
        [
            transforms.Resize(run.scaled(256), interpolation=3),
            transforms.CenterCrop(run.size),
            transforms.ToTensor(),
            normalize(),
        ]
    )
    train_set = WithItsIndex(run.folder("train"), transform=steps)
    val_set = WithItsIndex(run.folder("val"), transform=steps)
    options = dict(
        batch_size=run.batch_size, num_workers=run.workers, pin_memory=True, drop_last=False
    )
    train_loader = DataLoader(train_set, sampler=shared(train_set, shuffle=False), **options)
    val_loader = DataLoader(val_set, **options)
    run.use(train=train_loader, val=val_loader)
    for samples, index in train_loader:
        run.train(samples, index)
    for samples, index in val_loader:
        run.validate(samples, index)


# DINOv2


class ViewsByName:
    """Crops in a dict. The blur is torchvision's."""

    def __init__(self, size, small):
        colors = transforms.Compose([jitter(saturation=0.2), transforms.RandomGrayscale(p=0.2)])
        flip = transforms.RandomHorizontalFlip(p=0.5)

        def blur(p):
            return transforms.RandomApply([transforms.GaussianBlur(9, sigma=(0.1, 2.0))], p=p)

        def crop(size, scale):
            return transforms.Compose(
                [transforms.RandomResizedCrop(size, scale=scale, interpolation=BICUBIC), flip]
            )

        tail = transforms.Compose([transforms.ToTensor(), normalize()])
        self.large, self.small = crop(size, (0.32, 1.0)), crop(small, (0.05, 0.32))
        solarize = transforms.RandomSolarize(threshold=128, p=0.2)
        self.first = transforms.Compose([colors, blur(1.0), tail])
        self.second = transforms.Compose([colors, blur(0.1), solarize, tail])
        self.local = transforms.Compose([colors, blur(0.5), tail])

    def __call__(self, image):
        crops = [self.first(self.large(image)), self.second(self.large(image))]
        return {
            "global_crops": crops,
            "global_crops_teacher": crops,
            "local_crops": [self.local(self.small(image)) for _ in range(8)],
            "offsets": (),
        }


class ByEntries(datasets.VisionDataset):
    """Files listed in an array on disk, whose images are decoded from bytes."""

    def __init__(self, root, entries, transform, target_transform):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.entries = np.load(entries, mmap_mode="r")

    def __len__(self):
        return len(self.entries)

    def __getitem__(self, index):
        entry = self.entries[index]
        data = Path(self.root, str(entry["path"])).read_bytes()
        image = Image.open(BytesIO(data)).convert(mode="RGB")
        return self.transforms(image, int(entry["class"]))


def write_entries(root, path):
    found = datasets.ImageFolder(root).samples
    rows = [(os.path.relpath(file, root), label) for file, label in found]
    np.save(path, np.array(rows, dtype=[("path", "U255"), ("class", "<u4")]))


class Endless(Sampler):
    """A rank's part of one order after the other."""

    def __init__(self, count, start=0, step=1, seed=0):
        self.count, self.start, self.step, self.seed = count, start, step, seed

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed)
        while True:
            order = torch.randperm(self.count, generator=generator)
            yield from itertools.islice(order.tolist(), self.start, None, self.step)


def collate_and_cast(samples, dtype, tokens, ratio):
    large = [s[0]["global_crops"][i] for i in range(2) for s in samples]
    small = [
        s[0]["local_crops"][i] for i in range(len(samples[0][0]["local_crops"])) for s in samples
    ]
    masks = []
    for share in np.linspace(0.0, ratio, len(large)):
        mask = torch.zeros(tokens, dtype=torch.bool)
        mask[torch.randperm(tokens)[: int(tokens * random.uniform(0, share))]] = True
        masks.append(mask)
    random.shuffle(masks)
    masks = torch.stack(masks)
    return {
        "collated_global_crops": torch.stack(large).to(dtype),
        "collated_local_crops": torch.stack(small).to(dtype),
        "collated_masks": masks,
        "mask_indices_list": masks.flatten().nonzero().flatten(),
        "upperbound": int(tokens * ratio),
        "n_masked_patches": torch.full((1,), int(masks.sum()), dtype=torch.long),
    }


@client("facebookresearch/dinov2: dinov2/train/train.py")
def dinov2(run):
    with tempfile.TemporaryDirectory() as folder:
        write_entries(run.folder("train"), f"{folder}/entries.npy")
        dataset = ByEntries(
            run.folder("train"),
            f"{folder}/entries.npy",
            ViewsByName(run.size, run.scaled(98)),
            lambda _: (),
        )
        collate = partial(
            collate_and_cast, dtype=torch.half, tokens=(run.size // run.scaled(16)) ** 2, ratio=0.5
        )
        loader = loader_of(
            run,
            dataset,
            Endless(len(dataset), start=0, step=2),
            persistent_workers=True,
            collate_fn=collate,
        )
        per_epoch = max(2, len(dataset) // 2 // run.batch_size)
        for data in itertools.islice(loader, run.epochs * per_epoch):
            run.train(data)


# SwAV


class MultiCropDataset(datasets.ImageFolder):
    """Loads by itself, and gives crops without a label."""

    def __init__(self, root, sizes, counts, least, most, size_dataset=-1):
        super().__init__(root)
        if size_dataset >= 0:
            self.samples = self.samples[:size_dataset]
        colors = [jitter(0.8, 0.2), transforms.RandomGrayscale(p=0.2), SometimesBlurred(0.5)]
        mean, std = [0.485, 0.456, 0.406], [0.228, 0.224, 0.225]
        self.trans = []
        for size, count, low, high in zip(sizes, counts, least, most):
            steps = transforms.Compose(
                [
                    transforms.RandomResizedCrop(size, scale=(low, high)),
                    transforms.RandomHorizontalFlip(p=0.5),
                    transforms.Compose(colors),
                    transforms.ToTensor(),
                    transforms.Normalize(mean=mean, std=std),
                ]
            )
            self.trans.extend([steps] * count)

    def __getitem__(self, index):
        path, _ = self.samples[index]
        image = self.loader(path)
        return list(map(lambda trans: trans(image), self.trans))  # noqa: C417


@client("facebookresearch/swav: main_swav.py")
def swav(run):
    sizes = [run.size, run.scaled(96)]
    dataset = MultiCropDataset(run.folder("train"), sizes, [2, 6], [0.14, 0.05], [1.0, 0.14])
    loader = loader_of(run, dataset)
    for _ in epochs(run, loader):
        for inputs in loader:
            run.train(inputs)
