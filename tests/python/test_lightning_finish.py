"""Finishing on the device under real Trainers: the batches of those that finish on the CPU."""

import copy
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_imagenet

pl = pytest.importorskip("lightning.pytorch")
pytest.importorskip("pytorch_lightning")

from lightning_runs import PACKAGES, QUIET, data_module, fit, recorder
from ringfeed import UnfinishedBatch
from ringfeed.lightning import ImageNetDataModule

RECIPE = {"mixup_alpha": 0.2, "cutmix_alpha": 1.0, "random_erasing": 0.5, "seed": 11}
THERE = {**RECIPE, "finish_on": "device"}


def trainer_of(**options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pl.Trainer(
            **{**QUIET, "max_epochs": 1, "enable_checkpointing": False, **options}
        )  # fmt: skip


@pytest.mark.parametrize("package", PACKAGES)
def test_training_and_validation_get_the_cpu_s_batches(root: Path, package: str) -> None:
    options: dict[str, Any] = {"limit_val_batches": 1.0, "num_sanity_val_steps": 1}
    here = fit(root, package, data=RECIPE, **options)
    there = fit(root, package, data=THERE, **options)
    assert there.train_batches == here.train_batches and here.train_batches
    assert there.val_batches == here.val_batches and here.val_batches


def test_validate_and_predict_alone_get_the_cpu_s_batches(root: Path) -> None:
    found = []
    for options in RECIPE, THERE:
        model, trainer = recorder(pl), trainer_of()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.validate(model, data_module(root, **options), verbose=False)
            predicted = trainer.predict(model, data_module(root, **options))
        found.append((model.val_batches, predicted))
    assert found[0] == found[1]


def test_a_run_may_go_on_with_the_other(root: Path, tmp_path: Path) -> None:
    whole = fit(root, data=RECIPE, save_to=tmp_path)
    rest = fit(root, data=THERE, ckpt_path=tmp_path / "step=3.ckpt")
    assert rest.train_batches == whole.train_batches[3:]


def test_the_module_s_hook_gets_finished_batches_without_a_warning(root: Path) -> None:
    seen: list[str] = []

    class Module(type(recorder(pl))):  # type: ignore[misc]
        def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            images, targets = batch
            if self.trainer.training:
                seen.append(tiny_imagenet.digest(batch))
            return [images + 1, targets]

    model = Module()
    trainer = trainer_of(max_epochs=2, limit_val_batches=0)
    data = data_module(root, **THERE)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*on_after_batch_transfer")
        warnings.filterwarnings("ignore", message=".*in both")
        trainer.fit(model, data)
    expected = fit(root, data=RECIPE)
    assert seen == [batch[2] for batch in expected.train_batches]
    assert [batch[2] for batch in model.train_batches] != seen


def test_the_data_module_s_own_hook_gets_finished_batches(root: Path) -> None:
    seen: list[str] = []

    class Data(ImageNetDataModule):
        def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            seen.append(tiny_imagenet.digest(batch))
            return super().on_after_batch_transfer(batch, dataloader_idx)

    trainer = trainer_of(max_epochs=2, limit_val_batches=0)
    trainer.fit(recorder(pl), Data(root, batch_size=6, num_workers=2, **THERE))
    assert seen == [batch[2] for batch in fit(root, data=RECIPE).train_batches]


def test_a_copy_calls_its_own_hook(root: Path) -> None:
    data = data_module(root, **THERE)
    for other in copy.copy(data), copy.deepcopy(data), pickle.loads(pickle.dumps(data)):
        assert other.on_after_batch_transfer.__self__ is other


def test_nothing_is_hooked_unless_it_is_asked_for(root: Path) -> None:
    assert "on_after_batch_transfer" not in vars(data_module(root, **RECIPE))


@pytest.mark.parametrize("mixing", [{}, {"mixup_alpha": 1.0}])
def test_the_trainer_s_precision_is_the_batches(root: Path, mixing: dict[str, Any]) -> None:
    found: list[list[Any]] = []
    for finish_on in ("cpu", "device"):
        model, seen = recorder(pl), []
        model.training_step = lambda batch, batch_idx, seen=seen: seen.append(batch)
        trainer = trainer_of(precision="bf16-true", limit_train_batches=3, limit_val_batches=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.fit(model, data_module(root, seed=1, finish_on=finish_on, **mixing))
        found.append(seen)
    for here, there in zip(*found, strict=True):
        for mine, other in zip(here, there, strict=True):
            assert mine.dtype == other.dtype and torch.equal(mine, other)
        assert there[0].dtype == torch.bfloat16
    assert len(found[0]) == 3


def test_without_a_trainer_its_loaders_yield_what_is_unfinished(root: Path) -> None:
    data = data_module(root, **THERE)
    data.setup("fit")
    for loader in data.train_dataloader(), data.val_dataloader():
        assert isinstance(next(iter(loader)), UnfinishedBatch)
    with pytest.raises(ValueError, match="finish_on must be"):
        data_module(root, finish_on="gpu")
