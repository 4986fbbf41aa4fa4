"""Lightning runs that record what they were fed; for the tests, and as a script for those that need
a process of their own."""

import importlib
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import tiny_imagenet
import torch

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
    **trainer: Any,
) -> Any:
    """Trains 2 epochs and returns the Recorder; with `save_to`, a checkpoint after every batch
    (step=N.ckpt), epoch (epoch=N.ckpt) and validation (val-step=N.ckpt) lies there."""
    pl = importlib.import_module(package)
    callbacks = []

    def save_after_validation(trainer: Any, module: Any) -> None:
        if not trainer.sanity_checking:
            trainer.save_checkpoint(save_to / f"val-step={trainer.global_step}.ckpt")

    if save_to is not None:
        every: dict[str, Any] = {"dirpath": save_to, "save_top_k": -1}
        callbacks = [
            pl.callbacks.ModelCheckpoint(filename=name, **when, **every)
            for name, when in (
                ("{step}", {"every_n_train_steps": 1}),
                ("{epoch}", {"every_n_epochs": 1, "save_on_train_epoch_end": True}),
            )
        ]
        callbacks.append(pl.callbacks.LambdaCallback(on_validation_end=save_after_validation))
    options = {"max_epochs": 2, "enable_checkpointing": bool(callbacks), "limit_val_batches": 0}
    model = recorder(pl)
    model.kill_after = kill_after
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runner = pl.Trainer(**{**QUIET, **options, **trainer}, callbacks=callbacks)
        runner.fit(model, datamodule=data_module(root, **(data or {})), ckpt_path=ckpt_path)
    return model


if __name__ == "__main__":
    # ROOT CHECKPOINTS N: trains, saving after every batch, and dies by SIGKILL in batch N.
    fit(Path(sys.argv[1]), save_to=Path(sys.argv[2]), kill_after=int(sys.argv[3]))
