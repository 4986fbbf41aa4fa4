"""Training of classifiers on folders of images."""

from __future__ import annotations

import os
import queue
import threading

import torch
import torch.utils.data
from PIL import Image
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, Subset
from torchvision import datasets, transforms

from registry import client
from script_data import (
    normalize,
    shared,
    standard_train,
    standard_val,
)


@client("pytorch/examples: imagenet/main.py")
def pytorch_examples(run):
    train_set = datasets.ImageFolder(run.folder("train"), standard_train(run.size))
    val_set = datasets.ImageFolder(run.folder("val"), standard_val(run.size))
    options = dict(num_workers=run.workers, pin_memory=True)
    train_loader = torch.utils.data.DataLoader(
        train_set, batch_size=run.batch_size, shuffle=True, sampler=None, **options
    )
    val_loader = torch.utils.data.DataLoader(
        val_set, batch_size=run.batch_size, shuffle=False, sampler=None, **options
    )
    run.use(train=train_loader, val=val_loader)
    for _ in range(run.epochs):
        for _, (images, target) in enumerate(train_loader):
            run.train(images, target)
        for _, (images, target) in enumerate(val_loader):
            run.validate(images, target)


@client("pytorch/examples: imagenet/main.py")
def pytorch_examples_distributed(run):
    """With a sampler for each rank, and a Subset of what the last rank's leave over."""
    train_set = datasets.ImageFolder(run.folder("train"), standard_train(run.size))
    val_set = datasets.ImageFolder(run.folder("val"), standard_val(run.size))
    train_sampler = shared(train_set)
    val_sampler = shared(val_set, shuffle=False, drop_last=True)
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    train_loader = DataLoader(train_set, shuffle=False, sampler=train_sampler, **options)
    val_loader = DataLoader(val_set, shuffle=False, sampler=val_sampler, **options)
    run.use(train=train_loader, val=val_loader)
    for epoch in range(run.epochs):
        train_sampler.set_epoch(epoch)
        for images, target in train_loader:
            run.train(images, target)
        for images, target in val_loader:
            run.validate(images, target)
        rest = Subset(val_set, range(len(val_sampler) * 2, len(val_set)))
        for images, target in DataLoader(rest, shuffle=False, **options):
            run.validate(images, target)


@client("pytorch/tutorials: transfer_learning_tutorial.py", val_shuffled=True)
def pytorch_tutorial(run):
    steps = {
        "train": standard_train(run.size),
        "val": standard_val(run.size),
    }
    folders = {x: datasets.ImageFolder(os.path.join(run.data, x), steps[x]) for x in steps}
    loaders = {
        x: torch.utils.data.DataLoader(
            folders[x], batch_size=run.batch_size, shuffle=True, num_workers=run.workers
        )
        for x in steps
    }
    run.use(**loaders)
    inputs, classes = next(iter(loaders["train"]))
    run.train(inputs, [folders["train"].classes[x] for x in classes])
    for _ in range(run.epochs):
        for phase in ("train", "val"):
            for inputs, labels in loaders[phase]:
                (run.train if phase == "train" else run.validate)(inputs, labels)


@client("WZMIAOMIAO/deep-learning-for-image-processing: Test5_resnet/train.py")
def wz_resnet(run):
    steps = {"train": standard_train(run.size), "val": standard_val(run.size)}
    train_set = datasets.ImageFolder(root=run.folder("train"), transform=steps["train"])
    val_set = datasets.ImageFolder(root=run.folder("val"), transform=steps["val"])
    options = dict(batch_size=run.batch_size, num_workers=min(os.cpu_count() or 1, run.workers))
    train_loader = torch.utils.data.DataLoader(train_set, shuffle=True, **options)
    val_loader = torch.utils.data.DataLoader(val_set, shuffle=False, **options)
    run.use(train=train_loader, val=val_loader)
    for _ in range(run.epochs):
        for _, data in enumerate(train_loader):
            images, labels = data
            run.train(images, labels)
        with torch.no_grad():
            for val_images, val_labels in val_loader:
                run.validate(val_images, val_labels)


class PathsAndClasses(torch.utils.data.Dataset):
    def __init__(self, paths, classes, transform):
        self.paths, self.classes, self.transform = paths, classes, transform

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, item):
        image = Image.open(self.paths[item])
        if image.mode != "RGB":
            raise ValueError(f"{self.paths[item]} is not RGB")
        return self.transform(image), self.classes[item]

    @staticmethod
    def collate_fn(batch):
        images, labels = tuple(zip(*batch))
        return torch.stack(images, dim=0), torch.as_tensor(labels)


@client("WZMIAOMIAO/deep-learning-for-image-processing: vision_transformer/train.py")
def wz_vision_transformer(run):
    loaders = {}
    for split, steps in (
        ("train", standard_train(run.size)),
        ("val", standard_val(run.size)),
    ):
        found = datasets.ImageFolder(run.folder(split)).samples
        dataset = PathsAndClasses([p for p, _ in found], [c for _, c in found], steps)
        loaders[split] = DataLoader(
            dataset,
            batch_size=run.batch_size,
            shuffle=split == "train",
            pin_memory=True,
            num_workers=run.workers,
            collate_fn=dataset.collate_fn,
        )
    run.use(**loaders)
    for _ in range(run.epochs):
        for images, labels in loaders["train"]:
            run.train(images, labels)
        for images, labels in loaders["val"]:
            run.validate(images, labels)


class OnAThread:
    """Batches that a thread takes from a loader and puts into a queue, as xla's MpDeviceLoader."""

    def __init__(self, loader):
        self.loader = loader

    def __iter__(self):
        batches, stop = queue.Queue(maxsize=4), threading.Event()

        def work():
            try:
                for batch in self.loader:
                    if stop.is_set():
                        return
                    batches.put(batch)
            finally:
                batches.put(None)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            while (batch := batches.get()) is not None:
                yield batch
        finally:
            stop.set()
            while thread.is_alive():
                with batches.mutex:
                    batches.queue.clear()
                    batches.not_full.notify_all()
                thread.join(0.1)


@client("pytorch/xla: test_train_mp_imagenet.py")
def pytorch_xla(run):
    size = run.size
    train_set = datasets.ImageFolder(run.folder("train"), standard_train(size))
    resize = max(size, run.scaled(256))
    test_set = datasets.ImageFolder(
        run.folder("val"),
        transforms.Compose(
            [
                transforms.Resize(resize),
                transforms.CenterCrop(size),
                transforms.ToTensor(),
                normalize(),
            ]
        ),
    )
    train_sampler, test_sampler = shared(train_set), shared(test_set, shuffle=False)
    options = dict(
        batch_size=run.batch_size,
        num_workers=run.workers,
        persistent_workers=True,
        prefetch_factor=16,
        shuffle=False,
    )
    train_loader = DataLoader(train_set, sampler=train_sampler, drop_last=True, **options)
    test_loader = DataLoader(test_set, sampler=test_sampler, drop_last=False, **options)
    run.use(train=train_loader, val=test_loader)
    for epoch in range(run.epochs):
        train_sampler.set_epoch(epoch)
        for data, target in OnAThread(train_loader):
            run.train(data, target)
        for data, target in OnAThread(test_loader):
            run.validate(data, target)


@client("lukemelas/EfficientNet-PyTorch: examples/imagenet/main.py")
def efficientnet_pytorch(run):
    train_set = datasets.ImageFolder(run.folder("train"), standard_train(run.size))
    val_steps = transforms.Compose(
        [
            transforms.Resize(run.size, interpolation=Image.BICUBIC),
            transforms.CenterCrop(run.size),
            transforms.ToTensor(),
            normalize(),
        ]
    )
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    train_loader = DataLoader(train_set, shuffle=True, sampler=None, **options)
    val_set = datasets.ImageFolder(run.folder("val"), val_steps)
    val_loader = DataLoader(val_set, shuffle=False, **options)
    run.use(train=train_loader, val=val_loader)
    for _ in range(run.epochs):
        for images, target in train_loader:
            run.train(images, target)
        for images, target in val_loader:
            run.validate(images, target)


# algorithmic-efficiency: a wrapper that moves batches, and an endless generator over it.


class EvalSampler(torch.utils.data.Sampler):
    """A rank's share without padding."""

    def __init__(self, dataset, replicas, rank):
        self.indices = list(range(len(dataset)))[rank::replicas]

    def __len__(self):
        return len(self.indices)

    def __iter__(self):
        return iter(self.indices)


class Prefetched:
    """A batch ahead of the one in use."""

    def __init__(self, loader):
        self.loader, self.epoch = loader, 0

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        if isinstance(self.loader.sampler, torch.utils.data.DistributedSampler):
            self.loader.sampler.set_epoch(self.epoch)
        self.epoch += 1
        ahead = None
        for inputs, targets in self.loader:
            inputs, targets = inputs.to("cpu", non_blocking=True), targets.to("cpu")
            if ahead is not None:
                yield ahead
            ahead = inputs, targets
        yield ahead


def cycle(loader):
    batches = iter(loader)
    while True:
        try:
            yield next(batches)
        except StopIteration:
            batches = iter(loader)


@client("mlcommons/algorithmic-efficiency: imagenet_resnet/imagenet_pytorch/workload.py")
def algorithmic_efficiency(run):
    crop = standard_train(run.size, scale=(0.08, 1.0), ratio=(0.75, 4.0 / 3.0))
    dataset = datasets.ImageFolder(run.folder("train"), crop)
    part = Subset(dataset, range(3, len(dataset)))
    sampler = shared(part, seed=7)
    train_loader = DataLoader(
        part,
        batch_size=run.batch_size,
        shuffle=False,
        sampler=sampler,
        num_workers=run.workers,
        pin_memory=True,
        drop_last=True,
        persistent_workers=True,
    )
    held_out = datasets.ImageFolder(run.folder("val"), standard_val(run.size))
    val_loader = DataLoader(
        held_out,
        batch_size=run.batch_size,
        shuffle=False,
        sampler=EvalSampler(held_out, 2, 0),
        num_workers=run.workers,
        pin_memory=True,
        persistent_workers=False,
    )
    run.use(train=train_loader, val=val_loader)
    batches = cycle(Prefetched(train_loader))
    for _ in range(run.epochs * len(train_loader)):
        run.train(*next(batches))
    for inputs, targets in Prefetched(val_loader):
        run.validate(inputs, targets)


class WithIndex(datasets.ImageFolder):
    def __getitem__(self, index):
        image, target = super().__getitem__(index)
        return image, target, index


@client("megvii-research/mdistiller: mdistiller/dataset/imagenet.py")
def mdistiller(run):
    train_set = WithIndex(run.folder("train"), transform=standard_train(run.size))
    val_set = datasets.ImageFolder(run.folder("val"), transform=standard_val(run.size))
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    train_loader = DataLoader(train_set, shuffle=True, **options)
    val_loader = DataLoader(val_set, shuffle=False, **options)
    run.use(train=train_loader, val=val_loader)
    for _ in range(run.epochs):
        for _, data in enumerate(train_loader):
            image, target, index = data
            run.train(image.float(), target, index)
        for image, target in val_loader:
            run.validate(image.float(), target)


@client("yoshitomo-matsubara/torchdistill: ILSVRC 2012 KD sample configuration")
def torchdistill(run):
    """Loaders that a function makes of a configuration."""
    configuration = {
        "train": {"sampler": RandomSampler, "steps": standard_train(run.size)},
        "val": {"sampler": SequentialSampler, "steps": standard_val(run.size)},
    }
    loaders = {}
    for split, chosen in configuration.items():
        dataset = datasets.ImageFolder(root=run.folder(split), transform=chosen["steps"])
        loaders[split] = DataLoader(
            dataset,
            sampler=chosen["sampler"](dataset),
            collate_fn=None,
            batch_size=run.batch_size,
            num_workers=run.workers,
            pin_memory=True,
            drop_last=False,
        )
    run.use(**loaders)
    for _ in range(run.epochs):
        for sample_batch, targets in loaders["train"]:
            run.train(sample_batch, targets)
        for sample_batch, targets in loaders["val"]:
            run.validate(sample_batch, targets)
