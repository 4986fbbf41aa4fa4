"""What ImageNetDataModule demands of the folders it finds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch.distributed

from ._dataset_parts import resolve
from .datasets import ImageFolder


def _listing(folder: str) -> str:
    """What a message says of a folder's contents."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name + "/" * entry.is_dir() for entry in entries)
    shown = ", ".join(names[:8]) or "nothing"
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def split_folder(root: str, split: str) -> str:
    """The folder of `split`. Raises an OSError that says what was looked for and what is there."""
    folder = os.path.join(root, split)
    expected = "expected are data_root/train/CLASS/IMAGE and data_root/val/CLASS/IMAGE"
    if not os.path.isdir(root):
        parent = os.path.abspath(root)
        while not os.path.isdir(parent):
            parent = os.path.dirname(parent)
        raise FileNotFoundError(
            f"data_root {root!r} is not a folder; the nearest one above it, {parent!r}, holds"
            f" {_listing(parent)}; {expected}"
        )
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"looked for the folder {folder!r}; {root!r} holds {_listing(root)}; {expected}"
        )
    with os.scandir(folder) as entries:
        if not any(entry.is_dir() for entry in entries):
            raise FileNotFoundError(
                f"looked for a folder per class in {folder!r}, which holds {_listing(folder)};"
                f" {expected}"
            )
    return folder


def check_classes(train: Sequence[str], val: Sequence[str]) -> None:
    """Labels are places in the list of classes: a class more or less shifts them."""
    differing = sorted({*train} ^ {*val})
    if differing:
        name = differing[0]
        raise ValueError(
            f"the labels of train and val do not agree: {len(train)} and {len(val)} classes,"
            f" {len(differing)} in one alone, such as {name!r} in"
            f" {'train' if name in train else 'val'}"
        )


def check_ranks(datasets: Mapping[str, ImageFolder], failure: Exception | None, seed: int) -> int:
    """Raises on every rank where ranks differ, and where another rank found no dataset.

    `datasets`: this rank's, by split. `failure`: why this rank has none. `seed`: what this rank
    would take; gives that of rank 0.
    """
    mine = {
        split: (resolve(dataset).index.fingerprint, len(dataset))
        for split, dataset in datasets.items()
    }
    ranks: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(
        ranks, (mine, None if failure is None else str(failure), seed)
    )
    agreed: int = ranks[0][2]
    if failure is not None:
        return agreed
    for rank, (_, its_failure, _) in enumerate(ranks):
        if its_failure is not None:
            raise RuntimeError(f"rank {rank} has no dataset: {its_failure}")
    for split, dataset in datasets.items():
        fingerprint, count = ranks[0][0][split]
        for rank, (found, _, _) in enumerate(ranks):
            if found[split] != (fingerprint, count):
                raise RuntimeError(
                    f"the ranks do not see the same files in {dataset.root!r}: {count} images on"
                    f" rank 0, {found[split][1]} on rank {rank}"
                    + (" under other names" if found[split][1] == count else "")
                )
    return agreed
