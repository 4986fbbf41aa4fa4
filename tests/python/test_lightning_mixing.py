"""Mixing under real Trainers: training alone, and before the module's own hooks."""

import importlib
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_imagenet

pl = pytest.importorskip("lightning.pytorch")
pytest.importorskip("pytorch_lightning")

from lightning_runs import PACKAGES, QUIET, data_module, fit, recorder
from ringfeed import DataLoader
from ringfeed.lightning import ImageNetDataModule

MIXING = {"mixup_alpha": 0.2, "cutmix_alpha": 1.0, "label_smoothing": 0.1, "seed": 11}


def loader_of(root: Path, **options: Any) -> DataLoader:
    module = data_module(root, **options)
    module.setup("fit")
    return module.train_dataloader()


def digests(run: Any) -> list[str]:
    return [batch[2] for batch in run.train_batches]


def test_nothing_is_mixed_unless_it_is_asked_for(root: Path) -> None:
    loader = loader_of(root)
    assert loader.batch_transform is None
    assert next(iter(loader))[1].dtype == torch.int64


@pytest.mark.parametrize("package", PACKAGES)
def test_training_gets_the_loader_s_mixed_batches_and_validation_its_own(
    root: Path, package: str
) -> None:
    loader = loader_of(root, **MIXING)
    expected = [tiny_imagenet.digest(batch) for _ in range(2) for batch in loader]
    validation: dict[str, Any] = {"limit_val_batches": 1.0, "num_sanity_val_steps": 1}
    mixed = fit(root, package, data=MIXING, **validation)
    plain = fit(root, package, data={"seed": 11}, **validation)
    assert digests(mixed) == expected
    assert not set(digests(mixed)) & set(digests(plain))
    assert mixed.val_batches == plain.val_batches and mixed.val_batches


def test_accumulation_sanity_checks_and_prefetching_shift_nothing(root: Path) -> None:
    expected = digests(fit(root, data=MIXING))
    for data, trainer in (
        ({"prefetch_factor": 4, "num_workers": 1}, {"accumulate_grad_batches": 2}),
        ({"persistent_workers": False}, {"limit_val_batches": 1.0, "val_check_interval": 2}),
    ):
        assert digests(fit(root, data={**MIXING, **data}, **trainer)) == expected


def test_a_resumed_run_is_mixed_as_the_whole_one(root: Path, tmp_path: Path) -> None:
    whole = fit(root, data=MIXING, save_to=tmp_path)
    for name, done in {"step=3": 3, "epoch=0": 7, "step=11": 11}.items():
        rest = fit(root, data=MIXING, ckpt_path=tmp_path / f"{name}.ckpt")
        assert rest.train_batches == whole.train_batches[done:]


def test_the_module_s_own_hooks_are_called_with_mixed_batches(root: Path) -> None:
    seen: list[str] = []
    model = recorder(pl)

    def on_after_batch_transfer(batch: Any, dataloader_idx: int) -> Any:
        if model.trainer.training:
            seen.append(tiny_imagenet.digest(batch))
        return batch

    model.on_after_batch_transfer = on_after_batch_transfer
    trainer = pl.Trainer(**QUIET, max_epochs=2, enable_checkpointing=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=".*implementation from `LightningDataModule`")
        trainer.fit(model, data_module(root, **MIXING))
    assert seen == digests(fit(root, data=MIXING))


def test_the_trainer_s_precision_is_applied_to_what_is_mixed(root: Path) -> None:
    seen: list[list[torch.Tensor]] = []
    model = recorder(pl)
    model.training_step = lambda batch, batch_idx: seen.append(batch)
    trainer = pl.Trainer(
        **QUIET,
        max_epochs=1,
        limit_train_batches=3,
        limit_val_batches=0,
        precision="bf16-true",
        enable_checkpointing=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(model, data_module(root, **MIXING))
    for batch, expected in zip(seen, loader_of(root, **MIXING)):
        for tensor, single in zip(batch, expected, strict=True):
            assert tensor.dtype == torch.bfloat16
            assert torch.equal(tensor, single.to(torch.bfloat16))
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"mixup_alpha": 0.2}, "mixup(2, alpha=0.2)"),
        ({"cutmix_alpha": 1.0, "num_classes": 5}, "cutmix(5, alpha=1.0)"),
        ({"label_smoothing": 0.1}, "none(2, label_smoothing=0.1)"),
        (
            {"mixup_alpha": 0.2, "cutmix_alpha": 1.0},
            "0.5 mixup(2, alpha=0.2) or 0.5 cutmix(2, alpha=1.0)",
        ),
        (
            {"mixup_alpha": 0.2, "cutmix_alpha": 1.0, "mix_prob": 0.5, "switch_prob": 0.25},
            "0.375 mixup(2, alpha=0.2) or 0.125 cutmix(2, alpha=1.0) or 0.5 none(2)",
        ),
        ({"mixup_alpha": 0.2, "mix_prob": 0.0, "label_smoothing": 0.1}, "none(2, label_smoothing"),
        ({"mixup_alpha": 0.2, "cutmix_alpha": 1.0, "switch_prob": 1.0}, "cutmix(2, alpha=1.0)"),
    ],
)
def test_the_options_choose_what_happens_to_a_batch(
    root: Path, options: dict[str, Any], expected: str
) -> None:
    recipe = loader_of(root, **options).state_dict()["recipe"]
    assert recipe.partition("; batches: ")[2].startswith(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixup_alpha": -0.2}, "mixup_alpha, where it is not 0, must be in"),
        ({"cutmix_alpha": 1e9}, "cutmix_alpha, where it is not 0, must be in"),
        ({"mix_prob": 1.5}, "mix_prob must be in"),
        ({"switch_prob": -1}, "switch_prob must be in"),
        ({"label_smoothing": 2}, "label_smoothing must be in"),
        ({"num_classes": 0}, "num_classes must be at least 1"),
    ],
)
def test_wrong_options_are_refused_by_the_constructor(
    root: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ImageNetDataModule(root, **options)


def test_too_few_classes_are_refused_by_name(root: Path) -> None:
    with pytest.raises(ValueError, match="num_classes=1 of batch_transform is too small"):
        loader_of(root, mixup_alpha=0.2, num_classes=1)


def test_the_options_are_saved_as_plain_values(root: Path) -> None:
    saved = data_module(root, **MIXING).hparams
    assert {name: saved[name] for name in MIXING} == MIXING
    assert importlib.import_module("json").dumps(dict(saved, data_root=str(root)))


def test_a_module_may_have_a_label_smoothing_and_a_num_classes_of_its_own(
    root: Path, tmp_path: Path
) -> None:
    model = recorder(pl)
    model.save_hyperparameters({"label_smoothing": 0.3, "num_classes": 1000})
    options = {**QUIET, "logger": pl.loggers.CSVLogger(tmp_path), "enable_checkpointing": False}
    trainer = pl.Trainer(**options, max_epochs=1, limit_train_batches=1, limit_val_batches=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(model, data_module(root, **MIXING))
    path = tmp_path / "run.ckpt"
    trainer.save_checkpoint(path)
    again = ImageNetDataModule.load_from_checkpoint(path)
    assert again.hparams.label_smoothing == 0.1 and again.hparams.num_classes is None
