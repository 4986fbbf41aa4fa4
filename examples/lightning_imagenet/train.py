"""Trains a torchvision ResNet on ImageNet with Lightning and ringfeed.

    python train.py fit --config configs/local.yaml --data.data_root /data/imagenet
    python train.py fit --data.data_root sample --data.batch_size 32 --data.num_workers 2 \\
        --model.arch resnet18 --model.num_classes 10 --model.lr 0.01 \\
        --trainer.max_epochs 1 --trainer.limit_train_batches 10
    python train.py validate --data.data_root /data/imagenet --ckpt_path last.ckpt
    python train.py fit --help
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import lightning.pytorch as pl
import torch
import torchvision
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from torch import Tensor, nn

from data.datamodule import ImageNetDataModule


class Classifier(pl.LightningModule):
    """A torchvision network with the recipe of torchvision's references: SGD, a tenth every
    `lr_step` epochs.

    Args:
        arch: Any classification model of torchvision, by name.
        num_classes: At least the number of folders in data_root/train. The mixed targets have as
            many columns.
        lr: For a batch of 256 images over all processes; the usual rule scales it with the batch.
        lr_step: Epochs.
        label_smoothing: In the loss, as in torchvision's newer recipes (0.1). The data module's
            smooths in the targets: use one of them.
    """

    def __init__(
        self,
        arch: str = "resnet50",
        num_classes: int = 1000,
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        lr_step: int = 30,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = torchvision.models.get_model(arch, weights=None, num_classes=num_classes)
        self.criterion = nn.CrossEntropyLoss(label_smoothing=label_smoothing)

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        images, targets = batch  # class numbers, or a row of probabilities where the data mixes
        loss = self.criterion(self(images), targets)
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self._evaluate(batch, "val")

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self._evaluate(batch, "test")

    def predict_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self(batch[0]).argmax(1)

    def _evaluate(self, batch: list[Tensor], name: str) -> None:
        images, labels = batch
        scores = self(images)
        best = scores.topk(min(5, scores.shape[1])).indices == labels[:, None]
        metrics = {
            f"{name}_loss": nn.functional.cross_entropy(scores, labels),
            f"{name}_acc1": best[:, 0].float().mean(),
            f"{name}_acc5": best.any(1).float().mean(),
        }
        self.log_dict(metrics, prog_bar=True, sync_dist=True, batch_size=len(labels))

    def configure_optimizers(self) -> dict[str, Any]:
        hparams = self.hparams
        optimizer = torch.optim.SGD(
            self.parameters(),
            lr=hparams.lr,
            momentum=hparams.momentum,
            weight_decay=hparams.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, hparams.lr_step, gamma=0.1)
        return {"optimizer": optimizer, "lr_scheduler": schedule}


class Throughput(pl.Callback):
    """Logs `images/s` of all processes and `data_ms`, the time from a step to the next batch.

    Both are means over the last `window` batches. The steps of a GPU run behind Python, which
    waits for them only where it must, so `data_ms` far below the time of a step means that the
    loader keeps up. What comes between two epochs, and validation, counts for neither.
    """

    def __init__(self, window: int = 50) -> None:
        self._batches: deque[tuple[int, float, float]] = deque(maxlen=window)
        self._step_end: float | None = None
        self._batch_start = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._step_end = None

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._step_end = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._batch_start = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        before, now = self._step_end, time.perf_counter()
        self._step_end = now
        if before is None:
            return
        self._batches.append((len(batch[1]), now - before, self._batch_start - before))
        images, seconds, waited = (sum(column) for column in zip(*self._batches))
        pl_module.log("images/s", images * trainer.world_size / seconds, prog_bar=True)
        pl_module.log("data_ms", 1000 * waited / len(self._batches), prog_bar=True)


class CLI(LightningCLI):
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.link_arguments("model.num_classes", "data.num_classes")


def main() -> None:
    CLI(
        Classifier,
        ImageNetDataModule,
        seed_everything_default=0,
        # Without a logger config.yaml is written here, and a second run would refuse to.
        save_config_kwargs={"overwrite": True},
        trainer_defaults={"callbacks": [Throughput()], "log_every_n_steps": 10},
    )


if __name__ == "__main__":
    main()
