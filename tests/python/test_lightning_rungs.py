"""The data module with transforms that ringfeed's threads do not know: the worker rung."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torchvision import transforms

import tiny_imagenet
from tiny_imagenet import MEAN, STD, VAL

pytest.importorskip("lightning.pytorch")
pytest.importorskip("pytorch_lightning")

import ringfeed
from lightning_runs import data_module, fit

BATCHES = 7  # an epoch: 42 images, 6 at a time


def unknown(image: Any) -> Any:
    return image.copy()


def recipe(*before: Any) -> Any:
    tail = [transforms.ToTensor(), transforms.Normalize(MEAN.tolist(), STD.tolist())]
    return transforms.Compose([*before, unknown, *tail])


DATA = {
    "train_transform": recipe(transforms.RandomResizedCrop(224)),
    "val_transform": recipe(transforms.Resize(256), transforms.CenterCrop(224)),
}


def test_unknown_steps_take_its_loaders_to_the_worker_rung_with_a_warning_each(root: Path) -> None:
    data = data_module(root, **DATA)
    data.setup("fit")
    loaders = []
    for make in (data.train_dataloader, data.val_dataloader):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loaders.append(make())
        (text,) = [str(each.message) for each in caught]
        assert "not native, because" in text and "<function unknown" in text
    assert [loader.rung for loader in loaders] == ["worker", "worker"]
    images = torch.cat([images for images, _ in loaders[1]])
    paths = sorted((root / "val").rglob("*.png"))
    expected = [DATA["val_transform"](Image.open(path).convert("RGB")) for path in paths]
    assert torch.equal(images, torch.stack(expected)) and len(images) == VAL


@pytest.mark.parametrize("option", [{"seed": 3}, {"reader": "pool"}, {"mixup_alpha": 0.2}], ids=str)
def test_options_that_need_the_threads_are_named_then(root: Path, option: dict[str, Any]) -> None:
    data = data_module(root, **DATA, **option)
    data.setup("fit")
    name = "batch_transform" if "mixup_alpha" in option else next(iter(option))
    with pytest.raises(ringfeed.errors.NotNative, match=rf"Without .*{name}= torch's own"):
        data.train_dataloader()


@pytest.mark.parametrize("estimates", [False, True])
def test_a_resumed_epoch_goes_on_with_its_files(
    root: Path, tmp_path: Path, estimates: bool
) -> None:
    torch.manual_seed(1)
    whole = fit(root, data=DATA, save_to=tmp_path, estimates=estimates).train_batches
    every = list(range(tiny_imagenet.TRAIN))
    for done in (3, BATCHES, 9):
        torch.manual_seed(done + 5)
        there = {"ckpt_path": tmp_path / f"step={done}.ckpt", "estimates": estimates}
        rest = fit(root, data=DATA, **there).train_batches
        assert [batch[:2] for batch in rest] == [batch[:2] for batch in whole[done:]]
        # All but the digests, which tell the crops; later epochs have an order of their own.
        until = BATCHES if done < BATCHES else 2 * BATCHES
        if done != BATCHES:
            end = until - done
            assert [batch[3] for batch in rest[:end]] == [batch[3] for batch in whole[done:until]]
        if done <= BATCHES:
            assert sorted(index for batch in rest[-BATCHES:] for index in batch[3]) == every
