"""Scripts whose loop is Lightning's."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.utils.data
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from registry import client
from script_data import (
    normalize,
    standard_train,
    standard_val,
)


def lightning_module(run):
    import lightning

    class Model(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch, index):
            run.train(*batch)
            return self.layer(torch.ones(1, 1)).sum()

        def validation_step(self, batch, index):
            if not self.trainer.sanity_checking:
                run.validate(*batch)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    return Model


def fit(run, model, data=None, **options):
    import lightning

    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=run.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    try:
        trainer.fit(model, data)
    finally:
        validated = trainer.val_dataloaders
        run.use(train=trainer.train_dataloader, **({"val": validated} if validated else {}))


@client(
    "Lightning-AI/pytorch-lightning: examples/pytorch/domain_templates/imagenet.py",
    needs=("lightning",),
)
def lightning_imagenet(run):
    class ImageNet(lightning_module(run)):
        def train_dataloader(self):
            dataset = datasets.ImageFolder(run.folder("train"), standard_train(run.size))
            return torch.utils.data.DataLoader(
                dataset=dataset, batch_size=run.batch_size, shuffle=True, num_workers=run.workers
            )

        def val_dataloader(self):
            dataset = datasets.ImageFolder(run.folder("val"), standard_val(run.size))
            return torch.utils.data.DataLoader(
                dataset=dataset,
                batch_size=run.batch_size,
                shuffle=False,
                num_workers=run.workers,
                pin_memory=True,
            )

    fit(run, ImageNet())


@client("Lightning-AI/pytorch-lightning: computer_vision_fine_tuning.py", needs=("lightning",))
def lightning_fine_tuning(run):
    import lightning

    class CatsAndDogs(lightning.LightningDataModule):
        def _loader(self, split, train):
            size = (run.size, run.size)
            steps = [transforms.Resize(size)]
            steps += [transforms.RandomHorizontalFlip()] if train else []
            steps += [transforms.ToTensor(), normalize()]
            dataset = datasets.ImageFolder(Path(run.data) / split, transforms.Compose(steps))
            return DataLoader(
                dataset=dataset, batch_size=run.batch_size, num_workers=0, shuffle=train
            )

        def train_dataloader(self):
            return self._loader("train", True)

        def val_dataloader(self):
            return self._loader("val", False)

    fit(run, lightning_module(run)(), CatsAndDogs(), num_sanity_val_steps=0)
