"""A run resumed from a checkpoint gets the batches that the uninterrupted one would have had."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("lightning.pytorch")
pytest.importorskip("pytorch_lightning")

from lightning_runs import PACKAGES, fit

BATCHES = 7  # an epoch: 42 images, 6 at a time


def resume_all(root: Path, folder: Path, points: dict[str, int], package: str, **trainer) -> None:
    """Goes on from each checkpoint `points` names; its value says how many batches came before.

    No seed is given, and torch's generator stands elsewhere each time: the checkpoint alone can
    tell which order the first run had.
    """
    torch.manual_seed(1)
    whole = fit(root, package, save_to=folder, **trainer).train_batches
    assert len({batch[2] for batch in whole}) == len(whole)
    for name, done in points.items():
        torch.manual_seed(done + 2)
        rest = fit(root, package, ckpt_path=folder / f"{name}.ckpt", **trainer).train_batches
        assert rest == whole[done:], f"from {name}"


@pytest.mark.parametrize("package", PACKAGES)
def test_from_mid_epoch_last_batch_and_epoch_end(root: Path, tmp_path: Path, package: str) -> None:
    points = {"step=3": 3, f"step={BATCHES}": BATCHES, "epoch=0": BATCHES, "step=11": 11}
    resume_all(root, tmp_path, points, package)


def test_with_limit_train_batches_epochs_begin_at_their_beginning(
    root: Path, tmp_path: Path
) -> None:
    points = {"step=2": 2, "step=3": 3, "epoch=0": 3, "step=4": 4}
    resume_all(root, tmp_path, points, PACKAGES[0], limit_train_batches=3)


def test_with_max_steps_in_place_of_epochs(root: Path, tmp_path: Path) -> None:
    # Not from an epoch's end: with max_steps Lightning 2.6 then ends the next epoch after a batch.
    points = {"step=3": 3, f"step={BATCHES}": BATCHES, "step=9": 9}
    resume_all(root, tmp_path, points, PACKAGES[0], max_epochs=-1, max_steps=12)


def test_with_validation_within_the_epoch(root: Path, tmp_path: Path) -> None:
    points = {"step=3": 3, "val-step=3": 3, "step=4": 4, "val-step=6": 6, "epoch=0": BATCHES}
    resume_all(root, tmp_path, points, PACKAGES[0], limit_val_batches=1.0, val_check_interval=0.5)


def test_with_reloaded_loaders(root: Path, tmp_path: Path) -> None:
    points = {"step=3": 3, "epoch=0": BATCHES}
    resume_all(root, tmp_path, points, PACKAGES[0], reload_dataloaders_every_n_epochs=1)


def test_out_of_order_batches_are_neither_lost_nor_repeated(root: Path, tmp_path: Path) -> None:
    options = {"data": {"in_order": False, "seed": 5}}
    whole = fit(root, save_to=tmp_path, **options).train_batches
    rest = fit(root, ckpt_path=tmp_path / "step=3.ckpt", **options).train_batches
    first = [batch[2] for batch in whole[:3]] + [batch[2] for batch in rest if batch[0] == 0]
    assert sorted(first) == sorted(batch[2] for batch in whole if batch[0] == 0)


def test_after_a_kill_in_mid_epoch(root: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("lightning_runs.py")
    died = subprocess.run([sys.executable, script, "killed", root, tmp_path, "10"], timeout=300)
    assert died.returncode == -9
    saved = max(tmp_path.glob("step=*.ckpt"), key=lambda path: int(path.stem[5:]))
    seed = torch.load(saved, weights_only=True)["ImageNetDataModule"]["seed"]
    whole = fit(root, data={"seed": seed}).train_batches
    torch.manual_seed(77)
    assert fit(root, ckpt_path=saved).train_batches == whole[10:]
