"""A loader that persists follows what becomes of its root, and lets go of it between epochs."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("torchvision")

from ringfeed import DataLoader
from ringfeed.datasets import ImageList
from small_images import PLAIN

COUNT = 80


def fill(folder: Path, seed: int) -> None:
    """COUNT pictures, whose names are always the same and whose pixels are the seed's."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(COUNT):
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).save(
            folder / f"{number:03d}.jpg"
        )


def listed(root: Path) -> ImageList:
    return ImageList([root / f"{n:03d}.jpg" for n in range(COUNT)], list(range(COUNT)), PLAIN)


def images(batches) -> torch.Tensor:
    return torch.cat([batch for batch, _ in batches])


def both(root: Path, reader: str, **options) -> tuple[DataLoader, torch.utils.data.DataLoader]:
    """ringfeed's loader and torch's."""
    return (
        DataLoader(
            listed(root), 8, num_workers=2, persistent_workers=True, reader=reader, **options
        ),
        torch.utils.data.DataLoader(listed(root), 8),
    )


def unmount(root: Path) -> None:
    """Retried, since files are closed in the background; never by force."""
    deadline = time.monotonic() + 20
    while subprocess.run(["umount", root], capture_output=True).returncode != 0:
        assert time.monotonic() < deadline, f"{root} is busy"


def mount(root: Path) -> bool:
    return (
        subprocess.run(["mount", "-t", "tmpfs", "none", root], capture_output=True).returncode == 0
    )


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "root"
    root.mkdir()
    if not mount(root):
        pytest.skip("nothing can be mounted here")
    fill(root, 0)
    try:
        yield root
    finally:
        subprocess.run(["umount", "--lazy", root], capture_output=True)


def test_the_storage_can_be_unmounted_between_epochs_and_mounted_anew(mounted, reader) -> None:
    ours, torchs = both(mounted, reader)
    before = images(ours)
    assert torch.equal(before, images(torchs))
    unmount(mounted)
    with pytest.raises(FileNotFoundError):
        next(iter(ours))
    with pytest.raises(FileNotFoundError):
        next(iter(torchs))
    assert mount(mounted)
    fill(mounted, 1)
    after = images(ours)
    assert torch.equal(after, images(torchs))
    assert not torch.equal(after, before)


def test_the_storage_can_be_unmounted_after_an_epoch_that_was_broken_off(mounted, reader) -> None:
    ours, _ = both(mounted, reader)
    batches = iter(ours)
    next(batches)
    del batches
    unmount(mounted)


def move_away(root: Path) -> None:
    root.rename(root.with_name("old"))
    fill(root, 1)


def delete(root: Path) -> None:
    shutil.rmtree(root)
    fill(root, 1)


def turn_the_link(root: Path) -> None:
    fill(root.with_name("new"), 1)
    root.unlink()
    root.symlink_to("new")


@pytest.mark.parametrize("change", [move_away, delete, turn_the_link])
def test_a_root_is_looked_up_anew_by_each_epoch(
    change: Callable[[Path], None], tmp_path: Path, reader: str
) -> None:
    root = tmp_path / "root"
    if change is turn_the_link:
        root.symlink_to("first")
        fill(tmp_path / "first", 0)
    else:
        fill(root, 0)
    ours, torchs = both(root, reader)
    before = images(ours)
    assert torch.equal(before, images(torchs))
    change(root)
    after = images(ours)
    assert torch.equal(after, images(torchs))
    assert not torch.equal(after, before)


def test_an_epoch_goes_on_with_the_files_of_the_new_root(tmp_path: Path, reader: str) -> None:
    root, first, second = (tmp_path / name for name in ("root", "first", "second"))
    fill(first, 0)
    fill(second, 1)
    root.symlink_to(first)
    ours, torchs = both(root, reader, depth=1, prefetch_factor=1)
    old = images(torchs)
    batches = iter(ours)
    got = [next(batches)]
    (tmp_path / "link").symlink_to(second)
    (tmp_path / "link").replace(root)
    shutil.rmtree(first)
    got += batches
    pairs = list(zip(images(got), old, images(torchs), strict=True))
    is_old = [torch.equal(image, of_old) for image, of_old, _ in pairs]
    is_new = [torch.equal(image, of_new) for image, _, of_new in pairs]
    assert is_old == [not new for new in is_new]
    assert is_old[0]
    assert is_new[-1]
    assert is_new == sorted(is_new)
