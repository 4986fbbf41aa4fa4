"""Training of classifiers on folders of images."""

from __future__ import annotations

import os
import queue
import threading
from pathlib import Path

import numpy as np
import torch
import torch.utils.data
from PIL import Image
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, Subset
from torchvision import datasets, transforms

from data import (
    BICUBIC,
    MEAN,
    STD,
    normalize,
    process_group,
    shared,
    standard_train,
    standard_val,
)
from registry import client


@client("pytorch/examples: imagenet/main.py")
def pytorch_examples(run):
    train_set = datasets.ImageFolder(run.folder("train"), standard_train(run.size))
    val_set = datasets.ImageFolder(run.folder("val"), standard_val(run.size))
    options = dict(num_workers=run.workers, pin_memory=True)
    train_loader = torch.utils.data.DataLoader(
        train_set, batch_size=run.batch_size, shuffle=True, sampler=None, **options
    )
    val_loader = torch.utils.data.DataLoader(
        val_set, batch_size=run.batch_size, shuffle=False, sampler=None, **options
    )
    run.use(train=train_loader, val=val_loader)
    for _ in range(run.epochs):
        for _, (images, target) in enumerate(train_loader):
            run.train(images, target)
        for _, (images, target) in enumerate(val_loader):
            run.validate(images, target)


@client("pytorch/examples: imagenet/main.py")
def pytorch_examples_distributed(run):
    """With a sampler for each rank, and a Subset of what the last rank's leave over."""
    train_set = datasets.ImageFolder(run.folder("train"), standard_train(run.size))
    val_set = datasets.ImageFolder(run.folder("val"), standard_val(run.size))
    train_sampler = shared(train_set)
    val_sampler = shared(val_set, shuffle=False, drop_last=True)
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    train_loader = DataLoader(train_set, shuffle=False, sampler=train_sampler, **options)
    val_loader = DataLoader(val_set, shuffle=False, sampler=val_sampler, **options)
    run.use(train=train_loader, val=val_loader)
    for epoch in range(run.epochs):
        train_sampler.set_epoch(epoch)
        for images, target in train_loader:
            run.train(images, target)
        for images, target in val_loader:
            run.validate(images, target)
        rest = Subset(val_set, range(len(val_sampler) * 2, len(val_set)))
        for images, target in DataLoader(rest, shuffle=False, **options):
            run.validate(images, target)


@client("pytorch/tutorials: transfer_learning_tutorial.py", val_shuffled=True)
def pytorch_tutorial(run):
    steps = {
        "train": standard_train(run.size),
        "val": standard_val(run.size),
    }
    folders = {x: datasets.ImageFolder(os.path.join(run.data, x), steps[x]) for x in steps}
    loaders = {
        x: torch.utils.data.DataLoader(
            folders[x], batch_size=run.batch_size, shuffle=True, num_workers=run.workers
        )
        for x in steps
    }
    run.use(**loaders)
    inputs, classes = next(iter(loaders["train"]))
    run.train(inputs, [folders["train"].classes[x] for x in classes])
    for _ in range(run.epochs):
        for phase in ("train", "val"):
            for inputs, labels in loaders[phase]:
                (run.train if phase == "train" else run.validate)(inputs, labels)


@client("WZMIAOMIAO/deep-learning-for-image-processing: Test5_resnet/train.py")
def wz_resnet(run):
    steps = {"train": standard_train(run.size), "val": standard_val(run.size)}
    train_set = datasets.ImageFolder(root=run.folder("train"), transform=steps["train"])
    val_set = datasets.ImageFolder(root=run.folder("val"), transform=steps["val"])
    options = dict(batch_size=run.batch_size, num_workers=min(os.cpu_count() or 1, run.workers))
    train_loader = torch.utils.data.DataLoader(train_set, shuffle=True, **options)
    val_loader = torch.utils.data.DataLoader(val_set, shuffle=False, **options)
    run.use(train=train_loader, val=val_loader)
    for _ in range(run.epochs):
        for _, data in enumerate(train_loader):
            images, labels = data
            run.train(images, labels)
        with torch.no_grad():
            for val_images, val_labels in val_loader:
                run.validate(val_images, val_labels)


class PathsAndClasses(torch.utils.data.Dataset):
    def __init__(self, paths, classes, transform):
        self.paths, self.classes, self.transform = paths, classes, transform

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, item):
        image = Image.open(self.paths[item])
        if image.mode != "RGB":
            raise ValueError(f"{self.paths[item]} is not RGB")
        return self.transform(image), self.classes[item]

    @staticmethod
    def collate_fn(batch):
        images, labels = tuple(zip(*batch))
        return torch.stack(images, dim=0), torch.as_tensor(labels)


@client("WZMIAOMIAO/deep-learning-for-image-processing: vision_transformer/train.py")
def wz_vision_transformer(run):
    loaders = {}
    for split, steps in (
        ("train", standard_train(run.size)),
        ("val", standard_val(run.size)),
    ):
        found = datasets.ImageFolder(run.folder(split)).samples
        dataset = PathsAndClasses([p for p, _ in found], [c for _, c in found], steps)
        loaders[split] = DataLoader(
            dataset,
            batch_size=run.batch_size,
            shuffle=split == "train",
            pin_memory=True,
            num_workers=run.workers,
            collate_fn=dataset.collate_fn,
        )
    run.use(**loaders)
    for _ in range(run.epochs):
        for images, labels in loaders["train"]:
            run.train(images, labels)
        for images, labels in loaders["val"]:
            run.validate(images, labels)


class OnAThread:
    """Batches that a thread takes from a loader and puts into a queue, as xla's MpDeviceLoader."""

    def __init__(self, loader):
        self.loader = loader

    def __iter__(self):
        batches, stop = queue.Queue(maxsize=4), threading.Event()

        def work():
            for batch in self.loader:
                if stop.is_set():
                    return
                batches.put(batch)
            batches.put(None)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            while (batch := batches.get()) is not None:
                yield batch
        finally:
            stop.set()
            while thread.is_alive():
                with batches.mutex:
                    batches.queue.clear()
                    batches.not_full.notify_all()
                thread.join(0.1)


@client("pytorch/xla: test_train_mp_imagenet.py")
def pytorch_xla(run):
    size = run.size
    train_set = datasets.ImageFolder(run.folder("train"), standard_train(size))
    resize = max(size, run.scaled(256))
    test_set = datasets.ImageFolder(
        run.folder("val"),
        transforms.Compose(
            [
                transforms.Resize(resize),
                transforms.CenterCrop(size),
                transforms.ToTensor(),
                normalize(),
            ]
        ),
    )
    train_sampler, test_sampler = shared(train_set), shared(test_set, shuffle=False)
    options = dict(
        batch_size=run.batch_size,
        num_workers=run.workers,
        persistent_workers=True,
        prefetch_factor=16,
        shuffle=False,
    )
    train_loader = DataLoader(train_set, sampler=train_sampler, drop_last=True, **options)
    test_loader = DataLoader(test_set, sampler=test_sampler, drop_last=False, **options)
    run.use(train=train_loader, val=test_loader)
    for epoch in range(run.epochs):
        train_sampler.set_epoch(epoch)
        for data, target in OnAThread(train_loader):
            run.train(data, target)
        for data, target in OnAThread(test_loader):
            run.validate(data, target)


@client("lukemelas/EfficientNet-PyTorch: examples/imagenet/main.py")
def efficientnet_pytorch(run):
    train_set = datasets.ImageFolder(run.folder("train"), standard_train(run.size))
    val_steps = transforms.Compose(
        [
            transforms.Resize(run.size, interpolation=Image.BICUBIC),
            transforms.CenterCrop(run.size),
            transforms.ToTensor(),
            normalize(),
        ]
    )
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    train_loader = DataLoader(train_set, shuffle=True, sampler=None, **options)
    val_set = datasets.ImageFolder(run.folder("val"), val_steps)
    val_loader = DataLoader(val_set, shuffle=False, **options)
    run.use(train=train_loader, val=val_loader)
    for _ in range(run.epochs):
        for images, target in train_loader:
            run.train(images, target)
        for images, target in val_loader:
            run.validate(images, target)


# CutMix: steps of its own on the tensor, and a mixture made in the loop.


class TensorColors:
    """Brightness, contrast and saturation of a tensor, in an order that is drawn."""

    def __init__(self, most):
        self.most = most

    def __call__(self, x):
        gray = (x * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(0, keepdim=True)
        others = [torch.zeros_like(x), gray.mean().expand_as(x), gray.expand_as(x)]
        for at in torch.randperm(3).tolist():
            amount = float(np.random.uniform(-self.most, self.most))
            x = torch.lerp(x, others[at], amount)
        return x


class Lighting:
    """Noise along the principal components of ImageNet's colours."""

    values = torch.tensor([0.2175, 0.0188, 0.0045])
    vectors = torch.tensor(
        [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
    )

    def __init__(self, std):
        self.std = std

    def __call__(self, x):
        alpha = x.new().resize_(3).normal_(0, self.std)
        return x.add((self.vectors * alpha * self.values).sum(1).view(3, 1, 1))


@client("clovaai/CutMix-PyTorch: train.py")
def cutmix(run):
    train_steps = transforms.Compose(
        [
            transforms.RandomResizedCrop(run.size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            TensorColors(0.4),
            Lighting(0.1),
            normalize(),
        ]
    )
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    train_set = datasets.ImageFolder(run.folder("train"), train_steps)
    train_loader = DataLoader(train_set, shuffle=True, sampler=None, **options)
    val_set = datasets.ImageFolder(run.folder("val"), standard_val(run.size))
    val_loader = DataLoader(val_set, shuffle=False, **options)
    run.use(train=train_loader, val=val_loader)
    for _ in range(run.epochs):
        for images, target in train_loader:
            share = np.random.beta(1.0, 1.0)
            if np.random.rand() < 0.7:
                partners = torch.randperm(images.size(0))
                side = int(run.size * np.sqrt(1 - share))
                top, left = np.random.randint(run.size - side + 1, size=2)
                box = np.s_[:, :, top : top + side, left : left + side]
                images[box] = images[partners][box]
                run.train(images, target, target[partners])
            else:
                run.train(images, target)
        for images, target in val_loader:
            run.validate(images, target)


# algorithmic-efficiency: a wrapper that moves batches, and an endless generator over it.


class EvalSampler(torch.utils.data.Sampler):
    """A rank's share without padding."""

    def __init__(self, dataset, replicas, rank):
        self.indices = list(range(len(dataset)))[rank::replicas]

    def __len__(self):
        return len(self.indices)

    def __iter__(self):
        return iter(self.indices)


class Prefetched:
    """A batch ahead of the one in use."""

    def __init__(self, loader):
        self.loader, self.epoch = loader, 0

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        if isinstance(self.loader.sampler, torch.utils.data.DistributedSampler):
            self.loader.sampler.set_epoch(self.epoch)
        self.epoch += 1
        ahead = None
        for inputs, targets in self.loader:
            inputs, targets = inputs.to("cpu", non_blocking=True), targets.to("cpu")
            if ahead is not None:
                yield ahead
            ahead = inputs, targets
        yield ahead


def cycle(loader):
    batches = iter(loader)
    while True:
        try:
            yield next(batches)
        except StopIteration:
            batches = iter(loader)


@client("mlcommons/algorithmic-efficiency: imagenet_resnet/imagenet_pytorch/workload.py")
def algorithmic_efficiency(run):
    crop = standard_train(run.size, scale=(0.08, 1.0), ratio=(0.75, 4.0 / 3.0))
    dataset = datasets.ImageFolder(run.folder("train"), crop)
    part = Subset(dataset, range(3, len(dataset)))
    sampler = shared(part, seed=7)
    train_loader = DataLoader(
        part,
        batch_size=run.batch_size,
        shuffle=False,
        sampler=sampler,
        num_workers=run.workers,
        pin_memory=True,
        drop_last=True,
        persistent_workers=True,
    )
    held_out = datasets.ImageFolder(run.folder("val"), standard_val(run.size))
    val_loader = DataLoader(
        held_out,
        batch_size=run.batch_size,
        shuffle=False,
        sampler=EvalSampler(held_out, 2, 0),
        num_workers=run.workers,
        pin_memory=True,
        persistent_workers=False,
    )
    run.use(train=train_loader, val=val_loader)
    batches = cycle(Prefetched(train_loader))
    for _ in range(run.epochs * len(train_loader)):
        run.train(*next(batches))
    for inputs, targets in Prefetched(val_loader):
        run.validate(inputs, targets)


# DiT: images scaled by halves, in a function of its own.


def centre_by_halves(image, size):
    while min(*image.size) >= 2 * size:
        image = image.resize(tuple(x // 2 for x in image.size), resample=Image.BOX)
    scale = size / min(*image.size)
    image = image.resize(tuple(round(x * scale) for x in image.size), resample=Image.BICUBIC)
    pixels = np.array(image)
    top, left = (pixels.shape[0] - size) // 2, (pixels.shape[1] - size) // 2
    return Image.fromarray(pixels[top : top + size, left : left + size])


@client("facebookresearch/DiT: train.py")
def dit(run):
    steps = transforms.Compose(
        [
            transforms.Lambda(lambda image: centre_by_halves(image, run.size)),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5], inplace=True),
        ]
    )
    dataset = datasets.ImageFolder(run.folder("train"), transform=steps)
    sampler = shared(dataset, seed=3)
    loader = DataLoader(
        dataset,
        batch_size=run.batch_size,
        shuffle=False,
        sampler=sampler,
        num_workers=run.workers,
        pin_memory=True,
        drop_last=True,
    )
    run.use(train=loader)
    for epoch in range(run.epochs):
        sampler.set_epoch(epoch)
        for x, y in loader:
            run.train(x, y)


class WithIndex(datasets.ImageFolder):
    def __getitem__(self, index):
        image, target = super().__getitem__(index)
        return image, target, index


@client("megvii-research/mdistiller: mdistiller/dataset/imagenet.py")
def mdistiller(run):
    train_set = WithIndex(run.folder("train"), transform=standard_train(run.size))
    val_set = datasets.ImageFolder(run.folder("val"), transform=standard_val(run.size))
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    train_loader = DataLoader(train_set, shuffle=True, **options)
    val_loader = DataLoader(val_set, shuffle=False, **options)
    run.use(train=train_loader, val=val_loader)
    for _ in range(run.epochs):
        for _, data in enumerate(train_loader):
            image, target, index = data
            run.train(image.float(), target, index)
        for image, target in val_loader:
            run.validate(image.float(), target)


@client("yoshitomo-matsubara/torchdistill: ILSVRC 2012 KD sample configuration")
def torchdistill(run):
    """Loaders that a function makes of a configuration."""
    configuration = {
        "train": {"sampler": RandomSampler, "steps": standard_train(run.size)},
        "val": {"sampler": SequentialSampler, "steps": standard_val(run.size)},
    }
    loaders = {}
    for split, chosen in configuration.items():
        dataset = datasets.ImageFolder(root=run.folder(split), transform=chosen["steps"])
        loaders[split] = DataLoader(
            dataset,
            sampler=chosen["sampler"](dataset),
            collate_fn=None,
            batch_size=run.batch_size,
            num_workers=run.workers,
            pin_memory=True,
            drop_last=False,
        )
    run.use(**loaders)
    for _ in range(run.epochs):
        for sample_batch, targets in loaders["train"]:
            run.train(sample_batch, targets)
        for sample_batch, targets in loaders["val"]:
            run.validate(sample_batch, targets)


# open_clip: steps that let pass what is a tensor already.


class ToRGB:
    def __init__(self, mode="RGB"):
        self.mode = mode

    def __call__(self, image):
        return image.convert(self.mode) if isinstance(image, Image.Image) else image


class ToTensorOnce(transforms.ToTensor):
    def __call__(self, pic):
        if isinstance(pic, torch.Tensor):
            return pic
        return transforms.functional.to_tensor(pic)


@client("mlfoundations/open_clip: open_clip_train/data.py, get_imagenet(val)")
def open_clip(run):
    steps = transforms.Compose(
        [
            transforms.Resize(run.size, interpolation=BICUBIC),
            transforms.CenterCrop(run.size),
            ToRGB(),
            ToTensorOnce(),
            transforms.Normalize(mean=MEAN, std=STD),
        ]
    )
    dataset = datasets.ImageFolder(run.folder("val"), transform=steps)
    loader = DataLoader(dataset, batch_size=run.batch_size, num_workers=run.workers, sampler=None)
    run.use(val=loader)
    for images, target in loader:
        run.validate(images.to("cpu", dtype=torch.float32), target)


# torchvision's references.


class PresetTrain:
    def __init__(self, *, size, auto_augment=None, erase=0.0):
        steps = [transforms.RandomResizedCrop(size, antialias=True)]
        steps.append(transforms.RandomHorizontalFlip(0.5))
        if auto_augment is not None:
            steps.append(auto_augment)
        steps.append(transforms.PILToTensor())
        steps.extend([transforms.ConvertImageDtype(torch.float), normalize()])
        if erase > 0:
            steps.append(transforms.RandomErasing(p=erase))
        self.transforms = transforms.Compose(steps)

    def __call__(self, img):
        return self.transforms(img)


class PresetEval:
    def __init__(self, *, size, resize):
        self.transforms = transforms.Compose(
            [
                transforms.Resize(resize, antialias=True),
                transforms.CenterCrop(size),
                transforms.PILToTensor(),
                transforms.ConvertImageDtype(torch.float),
                normalize(),
            ]
        )

    def __call__(self, img):
        return self.transforms(img)


def references(run, train_steps, val_steps, sampler=None, collate_fn=None):
    train_set = datasets.ImageFolder(run.folder("train"), train_steps)
    val_set = datasets.ImageFolder(run.folder("val"), val_steps)
    sampler = sampler(train_set) if sampler else RandomSampler(train_set)
    options = dict(batch_size=run.batch_size, num_workers=run.workers, pin_memory=True)
    train_loader = DataLoader(train_set, sampler=sampler, collate_fn=collate_fn, **options)
    val_loader = DataLoader(val_set, sampler=SequentialSampler(val_set), **options)
    run.use(train=train_loader, val=val_loader)
    for epoch in range(run.epochs):
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)
        for _, (image, target) in enumerate(train_loader):
            run.train(image, target)
        with torch.inference_mode():
            for image, target in val_loader:
                run.validate(image, target)


@client("pytorch/vision: references/classification/train.py, default flags")
def vision_references(run):
    collate = torch.utils.data.default_collate
    val_steps = PresetEval(size=run.size, resize=run.scaled(256))
    references(run, PresetTrain(size=run.size), val_steps, collate_fn=collate)


@client("pytorch/vision: references/classification/train.py, default flags")
def vision_references_weights(run):
    """--weights: the validation's transform is that of the weights."""
    from torchvision.models import get_weight

    val_steps = get_weight("ResNet50_Weights.IMAGENET1K_V1").transforms(antialias=True)
    references(run, PresetTrain(size=run.size), val_steps)


class Repeated(torch.utils.data.Sampler):
    """Each image several times, one after the other, of which a rank takes every so manieth."""

    def __init__(self, dataset, replicas=1, rank=0, repeats=3, seed=0):
        self.count, self.replicas, self.rank = len(dataset), replicas, rank
        self.repeats, self.seed, self.epoch = repeats, seed, 0

    def __len__(self):
        return self.count // self.replicas

    def __iter__(self):
        generator = torch.Generator()
        generator.manual_seed(self.seed + self.epoch)
        order = torch.randperm(self.count, generator=generator)
        order = order.repeat_interleave(self.repeats).tolist()
        return iter(order[self.rank :: self.replicas][: len(self)])

    def set_epoch(self, epoch):
        self.epoch = epoch


@client("pytorch/vision: references/classification/train.py, the new recipe")
def vision_references_new_recipe(run):
    from torchvision.transforms import v2

    classes = len(os.listdir(run.folder("train")))
    mix = v2.RandomChoice(
        [v2.MixUp(alpha=0.2, num_classes=classes), v2.CutMix(alpha=1.0, num_classes=classes)]
    )

    def collate_fn(batch):
        return mix(*torch.utils.data.default_collate(batch))

    augment = transforms.TrivialAugmentWide()
    steps = PresetTrain(size=run.size, auto_augment=augment, erase=0.1)
    val_steps = PresetEval(size=run.size, resize=run.scaled(232))
    references(run, steps, val_steps, Repeated, collate_fn)


# Lightning


def lightning_module(run, on_step=None):
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
