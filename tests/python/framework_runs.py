"""Libraries that make loaders, or make them anew, as a script uses them.

python framework_runs.py LIBRARY FOLDER RESULTS writes what each rank was given to RESULTS.rankN.
Nothing here knows ringfeed but for the line that INSTALL=line asks for.
"""

import contextlib
import hashlib
import json
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

if os.environ.get("INSTALL") == "line":
    import ringfeed

    ringfeed.install()

import numpy as np
import torch
import torch.distributed as dist
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

BATCH_SIZE = 3
RANK, RANKS = (int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("RANKS", 1)))

EXACT = [transforms.Resize(9), transforms.CenterCrop(8), transforms.ToTensor()]
"""The same tensors whoever draws."""
DRAWN = [transforms.RandomResizedCrop(8), transforms.RandomHorizontalFlip(), transforms.ToTensor()]


def as_it_is(image: torch.Tensor) -> torch.Tensor:
    return image.clone()


# By the rung that it gets; each image has a class of its own, so that the label tells which it is.
STEPS = {"native": EXACT, "worker": [*DRAWN, transforms.Lambda(as_it_is)]}


def dataset_of(root: Path, rung: str) -> datasets.ImageFolder:
    return datasets.ImageFolder(str(root), transforms.Compose(STEPS[rung]))


def seed_all(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def shuffled(root: Path, rung: str) -> Any:
    seed_all(1)
    return DataLoader(dataset_of(root, rung), BATCH_SIZE, shuffle=True, num_workers=2)


def taken(batches: Iterable[Any]) -> list[Any]:
    """Label and digest of the pixels of every sample, batch by batch."""
    return [[[int(label), digest(image)] for image, label in zip(*batch)] for batch in batches]


def digest(image: torch.Tensor) -> str:
    return hashlib.sha256(image.contiguous().numpy().tobytes()).hexdigest()[:12]


def described(loader: Any, given: Any = None) -> dict[str, Any]:
    """Class and rung of `loader`, and two epochs of `given`, which is made around it."""
    given = loader if given is None else given
    seed_all(2)
    return {
        "class": f"{type(loader).__module__}.{type(loader).__qualname__}",
        "rung": getattr(loader, "rung", None),
        "length": len(given),
        "epochs": [taken(given) for _ in range(2)],
    }


def accelerate(root: Path, results: str) -> Any:
    from accelerate import Accelerator, DataLoaderConfiguration

    def prepared(rung: str, seedable: bool) -> Any:
        configuration = DataLoaderConfiguration(use_seedable_sampler=seedable)
        accelerator = Accelerator(cpu=True, dataloader_config=configuration)
        return accelerator.prepare(shuffled(root, rung))

    found = {}
    for rung in STEPS:
        for name, seedable in {rung: False, f"{rung}, seedable": True}.items():
            loader = prepared(rung, seedable)
            found[name] = described(loader.base_dataloader, loader)
            loader = prepared(rung, seedable)
            seed_all(2)
            whole = taken(loader)
            loader = prepared(rung, seedable)
            seed_all(2)
            rest = Accelerator(cpu=True).skip_first_batches(loader, 1)
            resumed = taken(rest)
            found[f"{name}, skipped"] = described(rest.base_dataloader, rest)
            if seedable or RANKS == 1:  # one rank's generator is synchronised with the other's
                found[f"{name}, skipped"].update(left=whole[1:], resumed=resumed)
    return found


def fabric(root: Path, results: str) -> Any:
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator="cpu", devices=RANKS, strategy="ddp")
    fabric.launch()
    found = {}
    for rung in STEPS:
        loader = fabric.setup_dataloaders(shuffled(root, rung))
        made = loader._dataloader
        found[rung] = described(made, loader)
        if found[rung]["rung"] is not None:
            seed_all(2)
            batches = iter(loader)
            head = taken(islice(batches, 1))
            fabric.save(f"{results}.{rung}", {"loader": made.state_dict()})
            left = taken(batches)
            again = fabric.setup_dataloaders(shuffled(root, rung))
            again._dataloader.load_state_dict(fabric.load(f"{results}.{rung}")["loader"])
            found[rung].update(head=head, left=left, resumed=taken(again))
    return found


def ignite(root: Path, results: str) -> Any:
    import ignite.distributed as idist
    from ignite.engine import DeterministicEngine, Engine, Events

    def made(rung: str) -> Any:
        seed_all(1)
        options = {"batch_size": BATCH_SIZE * RANKS, "shuffle": True, "num_workers": 2}
        return idist.auto_dataloader(dataset_of(root, rung), **options)

    def run(kind: Callable[[Any], Any], loader: Any) -> list[Any]:
        given: list[Any] = []
        engine = kind(lambda _, batch: given.append(batch))
        if RANKS > 1:
            engine.add_event_handler(
                Events.EPOCH_STARTED, lambda: loader.sampler.set_epoch(engine.state.epoch)
            )
        seed_all(2)
        engine.run(loader, max_epochs=2)
        return taken(given)

    found = {}
    with contextlib.ExitStack() as stack:
        if RANKS > 1:
            stack.enter_context(idist.Parallel(backend="gloo"))
        for rung in STEPS:
            loader = made(rung)
            found[rung] = described(loader)
            given = run(Engine, loader)
            found[rung]["epochs"] = [given[: len(loader)], given[len(loader) :]]
            found[rung]["in torch's order"] = run(DeterministicEngine, made(rung))
    return found


class Reader:
    """Around one of timm's."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> Any:
        return self.reader[index]


def timm(root: Path, results: str) -> Any:
    from timm.data import create_dataset, create_loader

    if RANKS > 1:
        dist.init_process_group("gloo")
    common = {"input_size": 8, "batch_size": BATCH_SIZE, "num_workers": 2}
    common.update(use_prefetcher=False, distributed=RANKS > 1, device=torch.device("cpu"))
    found = {}
    for rung in ("native", "native, timm's reader", "worker"):
        for what, options in {
            "train": {"is_training": True, "no_aug": True},
            "drawn": {"is_training": True, "re_prob": 0.5},
            "val": {},
            "prefetched": {"use_prefetcher": True},
            "multi": {"use_multi_epochs_loader": True},
        }.items():
            seed_all(1)
            name = "torch/image_folder" if rung == "native" else ""
            dataset = create_dataset(name, str(root), class_map="")
            if rung == "worker":
                dataset.reader = Reader(dataset.reader)
            loader = create_loader(dataset, **{**common, **options})
            found[f"{rung}, {what}"] = described(getattr(loader, "loader", loader), loader)
    return found


def torchdata(root: Path, results: str) -> Any:
    from torchdata.stateful_dataloader import StatefulDataLoader

    def made() -> Any:
        seed_all(1)
        return StatefulDataLoader(
            dataset_of(root, "worker"), BATCH_SIZE, shuffle=True, num_workers=2
        )

    loader, again = made(), made()
    part = described(loader)
    batches = iter(loader)
    head, state = taken(islice(batches, 2)), loader.state_dict()
    again.load_state_dict(state)
    return {"torch": {**part, "head": head, "left": taken(batches), "resumed": taken(again)}}


def fastai(root: Path, results: str) -> Any:
    from fastai.vision.all import (
        Callback,
        CrossEntropyLossFlat,
        DataLoaders,
        ImageDataLoaders,
        Learner,
        RandomResizedCrop,
        RegressionBlock,
    )

    paths = sorted(root.rglob("*.jpg"))
    seed_all(1)
    own = ImageDataLoaders.from_lists(
        root,
        paths,
        list(range(len(paths))),
        y_block=RegressionBlock,
        valid_pct=0.3,
        seed=1,
        bs=BATCH_SIZE,
        num_workers=2,
        item_tfms=RandomResizedCrop(8),
        device=torch.device("cpu"),
    )

    class Plain:
        """fastai's batches, without its subclasses of Tensor."""

        def __init__(self, loader: Any) -> None:
            self.loader = loader

        def __len__(self) -> int:
            return len(self.loader)

        def __iter__(self) -> Iterator[Any]:
            return ([part.as_subclass(torch.Tensor) for part in batch] for batch in self.loader)

    noted: list[Any] = []

    class Noting(Callback):
        def before_batch(self) -> None:
            if self.training:
                noted.append((self.x, self.y))

    loader = shuffled(root, "worker")
    found = {
        "torch, train": described(own.train, Plain(own.train)),
        "torch, val": described(own.valid, Plain(own.valid)),
        "worker, learner": described(loader),
    }
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, len(paths)))
    learner = Learner(DataLoaders(loader, loader), model, loss_func=CrossEntropyLossFlat())
    seed_all(2)
    with learner.no_logging(), learner.no_bar():
        learner.fit(2, cbs=Noting())
    given = taken(noted)
    found["worker, learner"]["epochs"] = [given[: len(loader)], given[len(loader) :]]
    return found


class Noting(torch.nn.Module):
    """A model that keeps what it is trained with."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
        self.given: list[Any] = []

    def forward(self, pixel_values: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
        if self.training:
            self.given.append((pixel_values, labels))
        output = self.layer(pixel_values.mean((2, 3)))
        return {"loss": output.mean(), "logits": output}


def as_named(samples: list[Any]) -> dict[str, Any]:
    images, labels = zip(*samples)
    return {"pixel_values": torch.stack(images), "labels": torch.tensor(labels)}


def transformers(root: Path, results: str) -> Any:
    """The Trainer, over an imagefolder of Hugging Face's and over torchvision's."""
    from datasets import load_dataset
    from transformers import Trainer, TrainingArguments

    folder = load_dataset("imagefolder", data_dir=str(root), cache_dir=f"{results}.cache")["train"]
    steps = transforms.Compose(DRAWN)

    def transformed(rows: dict[str, Any]) -> dict[str, Any]:
        images = [steps(image.convert("RGB")) for image in rows["image"]]
        return {"pixel_values": images, "labels": rows["label"]}

    def run(name: str, resume: str | None = None) -> tuple[Any, list[Any]]:
        arguments = TrainingArguments(
            output_dir=f"{results}.{name}",
            num_train_epochs=2,
            per_device_train_batch_size=BATCH_SIZE,
            per_device_eval_batch_size=BATCH_SIZE,
            save_strategy="steps",
            save_steps=2,
            dataloader_num_workers=2,
            remove_unused_columns=False,
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=3,
        )
        options: dict[str, Any] = {"data_collator": as_named}
        dataset: Any = dataset_of(root, "native" if name == "exact" else "worker")
        if name == "imagefolder":
            dataset, options = folder.with_transform(transformed), {}
        trainer = Trainer(
            Noting(), arguments, train_dataset=dataset, eval_dataset=dataset, **options
        )
        trainer.train(resume_from_checkpoint=resume and f"{arguments.output_dir}/{resume}")
        trainer.evaluate()
        return trainer, taken(trainer.model.given)

    found = {}
    for rung, name in (("worker", "imagefolder"), ("worker", "torchvision"), ("native", "exact")):
        trainer, given = run(name)
        part = described(trainer.get_train_dataloader().base_dataloader, [])
        length = part["length"] = len(given) // 2
        part["epochs"] = [given[:length], given[length:]]
        part.update(left=given[2:], resumed=run(name, "checkpoint-2")[1])
        found[f"{rung}, {name}"] = part
    return found


def ray(root: Path, results: str) -> Any:
    """Ray starts the ranks."""
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    line = os.environ.get("INSTALL") == "line"

    def train() -> None:
        import ray.train.torch

        if line:  # what a script does at its top does not reach Ray's processes
            import ringfeed

            ringfeed.install()
        found: dict[str, Any] = {}
        with noted_warnings() as told:
            for rung in STEPS:
                loader = ray.train.torch.prepare_data_loader(shuffled(root, rung))
                found[rung] = described(getattr(loader, "_dataloader", loader), loader)
        save(found, results, ray.train.get_context().get_world_rank(), told)

    ray.init(num_cpus=RANKS + 1, include_dashboard=False, log_to_driver=False)
    try:
        scaling = ScalingConfig(num_workers=RANKS, use_gpu=False)
        TorchTrainer(
            train, scaling_config=scaling, run_config=RunConfig(storage_path=f"{results}.ray")
        ).fit()
    finally:
        ray.shutdown()


def save(found: Any, results: str, rank: int, told: list[str]) -> None:
    Path(f"{results}.rank{rank}").write_text(json.dumps({"found": found, "warnings": told}))


@contextlib.contextmanager
def noted_warnings() -> Iterator[list[str]]:
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield told
    told += [f"{w.filename}: {w.message}" for w in caught]


if __name__ == "__main__":
    torch.set_num_threads(1)
    run = globals()[sys.argv[1]]
    with noted_warnings() as told:
        found = run(Path(sys.argv[2]), sys.argv[3])
    if found is not None:
        save(found, sys.argv[3], RANK, told)
    if dist.is_initialized():
        dist.destroy_process_group()
