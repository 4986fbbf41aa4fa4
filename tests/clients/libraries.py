"""Datasets of a script's own, and loaders that a library makes or makes anew."""

from __future__ import annotations

import os
import random
from pathlib import Path

import PIL.Image
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets, transforms

from registry import client
from script_data import MEAN, STD, standard_train, standard_val


class Pets(Dataset):
    """Files whose names tell the label; samples are dicts."""

    def __init__(self, files, transform, label_to_id):
        self.files, self.transform, self.label_to_id = files, transform, label_to_id

    def __len__(self):
        return len(self.files)

    def __getitem__(self, idx):
        name = self.files[idx]
        image = self.transform(PIL.Image.open(name).convert("RGB"))
        return {"image": image, "label": self.label_to_id[Path(name).parent.name]}


@client("huggingface/accelerate: examples/cv_example.py", needs=("accelerate",))
def accelerate_cv_example(run):
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    labels = {name: i for i, name in enumerate(sorted(os.listdir(run.folder("train"))))}
    crop = [transforms.RandomResizedCrop(run.size, scale=(0.5, 1.0)), transforms.ToTensor()]
    squash = [transforms.Resize((run.size, run.size)), transforms.ToTensor()]
    loaders = []
    for split, steps in (("train", crop), ("val", squash)):
        files = sorted(str(path) for path in Path(run.folder(split)).glob("*/*"))
        loaders.append(
            DataLoader(
                Pets(files, transforms.Compose(steps), labels),
                shuffle=split == "train",
                batch_size=run.batch_size,
                num_workers=run.workers,
            )
        )
    train_loader, val_loader = accelerator.prepare(*loaders)
    run.use(train=train_loader.base_dataloader, val=val_loader.base_dataloader)
    mean, std = (torch.tensor(x)[None, :, None, None] for x in (MEAN, STD))
    for _ in range(run.epochs):
        for batch in train_loader:
            batch = {k: v.to(accelerator.device) for k, v in batch.items()}
            run.train((batch["image"] - mean) / std, batch["label"])
        for batch in val_loader:
            run.validate((batch["image"] - mean) / std, batch["label"])


HF = "huggingface/transformers: run_image_classification.py and _no_trainer.py"


def hugging_face_sets(run, cache):
    from datasets import disable_caching, disable_progress_bars, load_dataset

    disable_caching()
    disable_progress_bars()
    files = {split: os.path.join(run.data, split, "**") for split in ("train", "val")}
    found = load_dataset("imagefolder", data_files=files, cache_dir=cache)
    for split, steps in (("train", standard_train(run.size)), ("val", standard_val(run.size))):

        def apply(examples, steps=steps):
            images = [steps(image.convert("RGB")) for image in examples["image"]]
            return {"pixel_values": images, "label": examples["label"]}

        found[split].set_transform(apply)
    return found


def collate_examples(examples):
    pixel_values = torch.stack([example["pixel_values"] for example in examples])
    return {"pixel_values": pixel_values, "labels": torch.tensor([e["label"] for e in examples])}


@client(HF, needs=("datasets", "transformers", "accelerate"))
def hugging_face_trainer(run):
    from transformers import Trainer, TrainingArguments

    found = hugging_face_sets(run, run.scratch)
    arguments = TrainingArguments(
        output_dir=run.scratch,
        per_device_train_batch_size=run.batch_size,
        per_device_eval_batch_size=run.batch_size,
        dataloader_num_workers=run.workers,
        remove_unused_columns=False,
        use_cpu=True,
        report_to=[],
    )
    trainer = Trainer(
        model=torch.nn.Linear(1, 1),
        args=arguments,
        data_collator=collate_examples,
        train_dataset=found["train"],
        eval_dataset=found["val"],
    )
    train_loader, val_loader = trainer.get_train_dataloader(), trainer.get_eval_dataloader()
    run.use(train=train_loader.base_dataloader, val=val_loader.base_dataloader)
    for _ in range(run.epochs):
        for batch in train_loader:
            run.train(batch)
        for batch in val_loader:
            run.validate(batch)


@client(HF, needs=("datasets",))
def hugging_face_no_trainer(run):
    found = hugging_face_sets(run, run.scratch)
    options = dict(batch_size=run.batch_size, collate_fn=collate_examples)
    train_loader = DataLoader(found["train"], shuffle=True, **options)
    val_loader = DataLoader(found["val"], **options)
    run.use(train=train_loader, val=val_loader)
    for _ in range(run.epochs):
        for batch in train_loader:
            run.train(batch)
        for batch in val_loader:
            run.validate(batch)


@client("fastai/fastai: nbs/examples/train_imagenette.py", needs=("fastai",))
def fastai_imagenette(run):
    from fastai.vision.all import (
        CategoryBlock,
        DataBlock,
        FlipItem,
        GrandparentSplitter,
        ImageBlock,
        Normalize,
        RandomResizedCrop,
        get_image_files,
        imagenet_stats,
        parent_label,
    )

    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        splitter=GrandparentSplitter(valid_name="val"),
        get_items=lambda path: get_image_files(path, folders=["train", "val"]).sorted(),
        get_y=parent_label,
        item_tfms=[RandomResizedCrop(run.size, min_scale=0.35), FlipItem(0.5)],
        batch_tfms=Normalize.from_stats(*imagenet_stats),
    )
    path = Path(run.data)
    loaders = block.dataloaders(
        path, path=path, bs=run.batch_size, num_workers=run.workers, device=torch.device("cpu")
    )
    run.use(train=loaders.train, val=loaders.valid)
    for _ in range(run.epochs):
        for xb, yb in loaders.train:
            run.train(torch.Tensor(xb), torch.as_tensor(yb))
        for xb, yb in loaders.valid:
            run.validate(torch.Tensor(xb), torch.as_tensor(yb))


# ml-cvnets: an index says the size as well.


class CropOf(transforms.RandomResizedCrop):
    """Calls its crop by itself, with a size that the sample asks for."""

    def __call__(self, data):
        top, left, height, width = self.get_params(data["image"], self.scale, self.ratio)
        image = transforms.functional.resized_crop(
            data["image"], top, left, height, width, self.size, self.interpolation
        )
        return {**data, "image": image}


class SizedFolder(datasets.ImageFolder):
    def __init__(self, root, training):
        super().__init__(root)
        self.training = training

    def steps(self, size):
        return CropOf(size), transforms.RandomHorizontalFlip(), transforms.ToTensor()

    def __getitem__(self, size_and_index):
        height, width, index = size_and_index
        path, target = self.samples[index]
        try:
            image = PIL.Image.open(path).convert("RGB")
            image.load()
        except Exception:
            image = None
        if image is None:
            return {"image": torch.zeros(3, height, width), "label": -1, "sample_id": index}
        if self.training:
            crop, flip, to_tensor = self.steps((height, width))
            image = to_tensor(flip(crop({"image": image})["image"]))
        else:
            squash = transforms.functional.resize(image, (height, width))
            image = transforms.functional.to_tensor(squash)
        return {"image": image, "label": target, "sample_id": index}


class SizedBatches(torch.utils.data.Sampler):
    """Batches whose images have one of several sizes, fewer where they are larger."""

    def __init__(self, count, sizes, batch_size, shuffle):
        self.count, self.sizes, self.batch_size = count, sizes, batch_size
        self.shuffle, self.epoch = shuffle, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return -(-self.count // self.batch_size)

    def __iter__(self):
        order, draws = list(range(self.count)), random.Random(self.epoch)
        if self.shuffle:
            draws.shuffle(order)
        at = 0
        while at < len(order):
            size = draws.choice(self.sizes)
            count = max(1, self.batch_size * self.sizes[0] ** 2 // size**2)
            yield [(size, size, index) for index in order[at : at + count]]
            at += count


def cvnets_collate(batch):
    return {
        "samples": torch.stack([sample["image"] for sample in batch]),
        "targets": torch.tensor([sample["label"] for sample in batch]),
        "sample_id": torch.tensor([sample["sample_id"] for sample in batch]),
    }


class CVNetsLoader(DataLoader):
    def __init__(self, dataset, batch_sampler, num_workers, pin_memory, collate_fn, **options):
        super().__init__(
            dataset=dataset,
            batch_sampler=batch_sampler,
            num_workers=num_workers,
            pin_memory=pin_memory,
            collate_fn=collate_fn,
            **options,
        )


@client("apple/ml-cvnets: data/data_loaders.py, data/loader/dataloader.py")
def ml_cvnets(run):
    loaders = {}
    for split, sizes in (("train", [run.size, run.size + 32]), ("val", [run.size])):
        dataset = SizedFolder(
            run.damaged if split == "train" else run.folder("val"), split == "train"
        )
        loaders[split] = CVNetsLoader(
            dataset,
            SizedBatches(len(dataset), sizes, run.batch_size, split == "train"),
            run.workers,
            True,
            cvnets_collate,
            persistent_workers=False,
            prefetch_factor=2,
        )
    run.use(**loaders)
    for epoch in range(run.epochs):
        loaders["train"].batch_sampler.set_epoch(epoch)
        for batch in loaders["train"]:
            run.train(batch)
        for batch in loaders["val"]:
            run.validate(batch)
