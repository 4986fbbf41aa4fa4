"""Lightning runs that record what they were fed; for the tests, and as a script for those that need
a process of their own."""

import importlib
import itertools
import json
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import tiny_imagenet

PACKAGES = ("lightning.pytorch", "pytorch_lightning")
QUIET = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def recorder(pl: Any) -> Any:
    """A LightningModule of that package. Its `train` and `val` hold a tuple per batch: the epoch,
    the batch's index, digest and files."""

    class Recorder(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)
            self.train_batches: list[tuple[Any, ...]] = []
            self.val_batches: list[tuple[Any, ...]] = []
            self.kill_after: int | None = None
            self.estimates = False

        def _record(self, into: list[tuple[Any, ...]], batch: Any, batch_idx: int) -> torch.Tensor:
            into.append(
                (
                    self.current_epoch,
                    batch_idx,
                    tiny_imagenet.digest(batch),
                    tiny_imagenet.files(batch[0]),
                )
            )
            return self.layer(batch[0].mean((2, 3))).mean()

        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            if len(self.train_batches) == self.kill_after:
                os.kill(os.getpid(), signal.SIGKILL)
            return self._record(self.train_batches, batch, batch_idx)

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self._record(self.val_batches, batch, batch_idx)

        def test_step(self, batch: Any, batch_idx: int) -> None:
            self._record(self.val_batches, batch, batch_idx)

        def predict_step(self, batch: Any, batch_idx: int) -> list[int]:
            return tiny_imagenet.files(batch[0])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            if self.estimates:
                assert self.trainer.estimated_stepping_batches > 0
            return torch.optim.SGD(self.parameters(), 0.1)

    return Recorder()


def data_module(root: Path, **options: Any) -> Any:
    from ringfeed.lightning import ImageNetDataModule

    return ImageNetDataModule(root, **{"batch_size": 6, "num_workers": 2, **options})


def fit(
    root: Path,
    package: str = PACKAGES[0],
    *,
    ckpt_path: Path | None = None,
    save_to: Path | None = None,
    data: dict[str, Any] | None = None,
    kill_after: int | None = None,
    estimates: bool = False,
    feed: Any = None,
    quiet: bool = True,
    callbacks: Sequence[Any] = (),
    **trainer: Any,
) -> Any:
    """Trains 2 epochs and returns the Recorder; with `save_to`, a checkpoint after every batch
    (step=N.ckpt), epoch (epoch=N.ckpt) and validation (val-step=N.ckpt) lies there. `estimates`:
    configure_optimizers() asks for the number of steps. `feed`: in place of the data module.
    `quiet`: hides warnings."""
    pl = importlib.import_module(package)
    callbacks = list(callbacks)

    def save_after_validation(trainer: Any, module: Any) -> None:
        if not trainer.sanity_checking:
            trainer.save_checkpoint(save_to / f"val-step={trainer.global_step}.ckpt")

    if save_to is not None:
        every: dict[str, Any] = {"dirpath": save_to, "save_top_k": -1}
        callbacks += [
            pl.callbacks.ModelCheckpoint(filename=name, **when, **every)
            for name, when in (
                ("{step}", {"every_n_train_steps": 1}),
                ("{epoch}", {"every_n_epochs": 1, "save_on_train_epoch_end": True}),
            )
        ]
        callbacks.append(pl.callbacks.LambdaCallback(on_validation_end=save_after_validation))
    options = {"max_epochs": 2, "enable_checkpointing": save_to is not None, "limit_val_batches": 0}
    model = recorder(pl)
    model.kill_after, model.estimates = kill_after, estimates
    source = {"datamodule": data_module(root, **(data or {}))}
    if feed is not None:
        source = {"train_dataloaders": feed}
    with warnings.catch_warnings():
        if quiet:
            warnings.simplefilter("ignore")
        runner = pl.Trainer(**{**QUIET, **options, **trainer}, callbacks=callbacks)
        runner.fit(model, **source, ckpt_path=ckpt_path)
    return model


def on_two_ranks(root: Path, other: Path, results: Path) -> None:
    """What only a distributed run can show. Lightning starts the second process; each writes
    rank=N.json. `other` is a set that differs from `root`."""
    import lightning.pytorch as pl
    from torch.distributed import destroy_process_group, get_rank

    two: dict[str, Any] = {"devices": 2, "strategy": "ddp"}
    saved = results / "checkpoints"
    found: dict[str, Any] = {"fit": fit(root, save_to=saved, **two).train_batches}
    for name in ("step=2", "epoch=0"):
        torch.manual_seed(get_rank() + 2)
        found[name] = fit(root, ckpt_path=saved / f"{name}.ckpt", **two).train_batches
    for name, seed in (("step=2", None), ("step=3", None), ("step=2", 4), ("step=3", 4)):
        data = {"seed": seed}
        if name == "step=2":
            torch.manual_seed(get_rank())
            saved = results / f"estimated {seed}"
            found[f"{seed}"] = fit(root, data=data, save_to=saved, **two).train_batches
        torch.manual_seed(get_rank() + 9)
        there: dict[str, Any] = {"ckpt_path": saved / f"{name}.ckpt", "estimates": True}
        found[f"{seed} {name}"] = fit(root, data=data, **there, **two).train_batches
    found["mixed"] = fit(root, data={"mixup_alpha": 1.0, "seed": 4}, **two).train_batches
    found["repeated"] = fit(root, data={"repeats": 2, "seed": 4}, **two).train_batches
    there = {"mixup_alpha": 1.0, "seed": 4, "finish_on": "device"}
    found["finished"] = fit(root, data=there, **two).train_batches
    model = recorder(pl)
    trainer = pl.Trainer(**{**QUIET, **two}, enable_checkpointing=False)
    trainer.validate(model, data_module(root), verbose=False)
    found["validate"] = model.val_batches
    found["predict"] = list(itertools.chain(*trainer.predict(model, data_module(root))))
    torch.manual_seed(get_rank())
    data = data_module(root)
    data.setup("fit")
    found["seeds"] = [data.train_dataloader().seed, data.val_dataloader().seed]
    found["drawn alone"] = int(
        torch.empty((), dtype=torch.int64).random_(generator=torch.Generator().manual_seed(0))
    )
    for name, there in (("other", other), ("missing", other / "nowhere")):
        try:
            data_module(there if get_rank() else root).setup("fit")
        except (RuntimeError, OSError) as error:
            found[name] = f"{type(error).__name__}: {error}"
    (results / f"rank={get_rank()}.json").write_text(json.dumps(found))
    # A gloo thread that still holds a tensor of the last collective asks Python for its GIL; where
    # the interpreter is ending by then, that ends the process by SIGABRT.
    destroy_process_group()


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "killed":  # ROOT CHECKPOINTS N: dies by SIGKILL in batch N
        fit(Path(arguments[0]), save_to=Path(arguments[1]), kill_after=int(arguments[2]))
    else:  # ROOT OTHER RESULTS
        on_two_ranks(*map(Path, arguments))
