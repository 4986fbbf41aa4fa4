"""Linear probes of self-supervised repositories: the standard crops."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch.utils.data
from torchvision import datasets, transforms

from registry import client
from script_data import normalize, process_group, shared, standard_train, standard_val
from with_lightning import fit, lightning_module


def loop(run, train_loader, val_loader, sampler=None):
    run.use(train=train_loader, val=val_loader)
    for epoch in range(run.epochs):
        if sampler is not None:
            sampler.set_epoch(epoch)
        for _, (images, target) in enumerate(train_loader):
            run.train(images, target)
        with torch.no_grad():
            for images, target in val_loader:
                run.validate(images, target)


@client("facebookresearch/moco: main_lincls.py", name="moco_lincls")
@client("facebookresearch/moco-v3: main_lincls.py", name="moco_v3_lincls")
@client("facebookresearch/simsiam: main_lincls.py", name="simsiam_lincls")
def lincls(run):
    train_set = datasets.ImageFolder(run.folder("train"), standard_train(run.size))
    sampler = shared(train_set)
    options = dict(num_workers=run.workers, pin_memory=True)
    train_loader = torch.utils.data.DataLoader(
        train_set,
        batch_size=run.batch_size,
        shuffle=(sampler is None),
        sampler=sampler,
        **options,
    )
    val_loader = torch.utils.data.DataLoader(
        datasets.ImageFolder(run.folder("val"), standard_val(run.size)),
        batch_size=2 * run.batch_size,
        shuffle=False,
        **options,
    )
    loop(run, train_loader, val_loader, sampler)


@client("facebookresearch/barlowtwins: evaluate.py", name="barlow_twins_evaluate")
@client("facebookresearch/vicreg: evaluate.py", name="vicreg_evaluate")
def few_labels(run):
    """--train-percent 10: samples replaced by those of a list, as Paths."""
    folder = Path(run.data) / "train"
    train_set = datasets.ImageFolder(folder, standard_train(run.size))
    listed = [os.path.relpath(path, folder) for path, _ in train_set.samples[::2]]
    train_set.samples = []
    for name in listed:
        kind = name.split(os.sep)[0]
        train_set.samples.append((folder / name, train_set.class_to_idx[kind]))
    val_set = datasets.ImageFolder(Path(run.data) / "val", standard_val(run.size))
    sampler = shared(train_set)
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    train_loader = torch.utils.data.DataLoader(train_set, sampler=sampler, **options)
    val_loader = torch.utils.data.DataLoader(val_set, **options)
    loop(run, train_loader, val_loader, sampler)


@client("facebookresearch/swav: eval_linear.py")
def swav_eval_linear(run):
    """Transforms that the datasets get after they were made."""
    train_set = datasets.ImageFolder(os.path.join(run.data, "train"))
    val_set = datasets.ImageFolder(os.path.join(run.data, "val"))
    tail = [
        transforms.ToTensor(),
        transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.228, 0.224, 0.225]),
    ]
    train_set.transform = transforms.Compose(
        [transforms.RandomResizedCrop(run.size), transforms.RandomHorizontalFlip(), *tail]
    )
    val_set.transform = transforms.Compose(
        [transforms.Resize(run.scaled(256)), transforms.CenterCrop(run.size), *tail]
    )
    sampler = shared(train_set)
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    train_loader = torch.utils.data.DataLoader(train_set, sampler=sampler, **options)
    val_loader = torch.utils.data.DataLoader(val_set, **options)
    loop(run, train_loader, val_loader, sampler)


@client("vturrisi/solo-learn: main_linear.py", needs=("lightning",))
def solo_learn_linear(run):
    pipelines = {"train": standard_train(run.size), "val": standard_val(run.size)}
    loaders = {
        split: torch.utils.data.DataLoader(
            datasets.ImageFolder(run.folder(split), steps),
            batch_size=run.batch_size,
            num_workers=run.workers,
            pin_memory=True,
            drop_last=split == "train",
            shuffle=split == "train",
        )
        for split, steps in pipelines.items()
    }
    model = lightning_module(run)()
    model.train_dataloader = lambda: loaders["train"]
    model.val_dataloader = lambda: loaders["val"]
    fit(run, model)


@client("facebookresearch/dino: eval_linear.py")
def dino_eval_linear(run):
    val_steps = transforms.Compose(
        [
            transforms.Resize(run.scaled(256), interpolation=3),
            transforms.CenterCrop(run.size),
            transforms.ToTensor(),
            normalize(),
        ]
    )
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    with process_group():
        val_set = datasets.ImageFolder(run.folder("val"), transform=val_steps)
        val_loader = torch.utils.data.DataLoader(val_set, **options)
        train_set = datasets.ImageFolder(run.folder("train"), transform=standard_train(run.size))
        sampler = torch.utils.data.distributed.DistributedSampler(train_set)
        train_loader = torch.utils.data.DataLoader(train_set, sampler=sampler, **options)
        loop(run, train_loader, val_loader, sampler)
