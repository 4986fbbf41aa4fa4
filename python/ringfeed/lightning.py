"""ImageNet for Lightning: `ringfeed.lightning.ImageNetDataModule`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal

import torch

from ._imagenet_folders import check_classes, check_ranks, split_folder
from ._imagenet_recipes import train_recipe, val_recipe
from ._lightning_classes import lightning_classes
from ._lightning_finish import FinishHook
from ._lightning_options import batch_transform, check_options, loader_options
from ._lightning_place import BeginTraining, TrainPlace
from ._limits import DecodeLimits
from ._numbers import global_seed
from ._repeats import RepeatedAugmentationSampler
from .datasets import ImageFolder
from .errors import NotNative
from .loader import DataLoader
from .prefetch import DevicePrefetcher

__all__ = ["ImageNetDataModule"]


class ImageNetDataModule(FinishHook, *lightning_classes("LightningDataModule")):  # type: ignore[misc]
    """ImageNet, or any set of that layout, read by ringfeed.

    >>> from ringfeed.lightning import ImageNetDataModule
    >>> data = ImageNetDataModule("imagenet", batch_size=4, num_workers=2)
    >>> data.setup("validate")
    >>> images, labels = next(iter(data.val_dataloader()))
    >>> images.shape
    torch.Size([4, 3, 224, 224])

    `data_root/train` and `data_root/val` hold one folder per class. Batches are
    `[images, labels]`: float32 (or `dtype`) [N, 3, 224, 224], int64 [N]. Training takes a random
    resized crop (scale 0.08 to 1) and a flip; validation resizes the short side to 256 and cuts
    the centre; both normalise with ImageNet's mean and standard deviation. Testing and prediction
    read `val` too: ImageNet's test images have no labels.

    The Trainer adds its DistributedSampler where there are several processes, and its checkpoints
    hold the train loader's position, so that a run goes on with the batch it was killed at.

    Args:
        data_root: The folder that holds `train` and `val`.
        batch_size: Per process, as in torch's DataLoader.
        num_workers: Decode threads of each loader (no processes); 0: this rank's part of the
            cores.
        pin_memory: Build batches in page-locked memory; without CUDA it means nothing.
        persistent_workers: Keep threads and buffers from one epoch to the next.
        prefetch_factor: Batches ready ahead, in all (not per worker); None: 2, or 1 where memory is
            short.
        train_transform, val_transform: torchvision transforms in place of the standard ones. They
            are not saved as hyperparameters: checkpoints keep to plain values. With a step that
            ringfeed's threads do not know, that loader is on the worker rung, with DataLoader's
            warning, or refused where an option needs the threads, `seed` too. Its order and crops
            follow from torch's generators, not from the module's own seed; a resumed epoch goes on
            with its order and new crops, and later ones have another order.
        drop_last: Leave out the last, smaller training batch. False, as in torchvision's
            references: no image is left out, and the length of an epoch stays what scripts expect.
        in_order: False lets training batches come as they are ready (never those of validation).
        seed: Of the training order, the crops and the flips; None: seed_everything's, else drawn
            once, on rank 0 for all, and kept in checkpoints. The order among several processes is
            that of Lightning's DistributedSampler, which knows seed_everything's alone.
        timeout: Seconds to wait for a batch before a LoadTimeout names the files; 0: for ever.
        memory_limit: Bytes that each loader may hold at most; None: what its options come to.
        reader: "ring" (io_uring), "pool" (threads), or "auto": what $RINGFEED_READER names, else
            the ring where it is allowed.
        limits: What one file may ask for: ringfeed.DecodeLimits or a dict of its fields.
        read_ahead_bytes: Encoded bytes read ahead; None: 128 KiB a file of `depth`, without which
            no more than the larger of 4 MiB a worker and 32 MiB; less where memory is short.
        depth: Files read at once; None: 320 a worker, within 64 and 1024.
        dtype: "float32", "float16", "bfloat16", or "uint8" with a transform that yields it; None:
            what the transform yields.
        channels_last: Images with channels_last strides.
        pillow: The Pillow version whose pixels to give, such as "12"; None: the installed one's.
        auto_augment: torchvision's AutoAugment with this policy, for training.
        rand_augment: The magnitude of torchvision's RandAugment (2 operations), 0 to 30; it has 9.
        trivial_augment: torchvision's TrivialAugmentWide.
        random_erasing: Probability of torchvision's RandomErasing.
        random_erasing_value: What its box becomes: a number, or "random" for noise.
        interpolation: "bilinear", "bicubic" or another of torchvision's: of the resize in training
            and validation, and of what the three policies rotate, shear and move.
        train_size, val_size: Sides of the images.
        val_resize_size: The shorter side before validation's crop. torchvision's newer recipe has
            176, 224 and 232.
        mixup_alpha, cutmix_alpha: Above 0 training batches are mixed as by MixUp or CutMix of
            ringfeed.transforms; with both, by one of them. Their targets are float32
            [N, num_classes], which cross_entropy takes.
        mix_prob: Probability that a batch is mixed.
        switch_prob: Probability that a mixed batch takes CutMix, with both alphas above 0.
        label_smoothing: In the targets of training, mixed or not; 0 where the loss smooths.
        num_classes: Columns of the targets; None: the number of folders in `train`.
        repeats: Above 1 a training epoch gives each of its images this often, as
            ringfeed.RepeatedAugmentationSampler says, and fewer images for it.
        finish_on: "device": batches travel as 8-bit images, and are normalised, erased and mixed
            where the Trainer has put them, to the same bits, before `on_after_batch_transfer` of
            the LightningModule sees them. Its loaders then yield ringfeed.UnfinishedBatch.
        strict_state: False begins an epoch anew, with a warning, where a checkpoint of mid-epoch
            does not fit, as after files were removed; else that is an error.
        on_error: "raise", "skip" or "replace": what becomes of a training sample whose file cannot
            be loaded, as DataLoader's on_error says. Validation always raises.
        max_failures: How many times files may fail in a training epoch, or as a float the share of
            its samples, as DataLoader counts.
        retries: Times that a file is opened again after an error that may pass, such as EIO.
        use_cache: Whether a manifest keeps the folders' listings; "always": also where folder times
            do not tell that one is old (ImageFolder's use_cache).

    Raises FileNotFoundError (in setup) where a folder is missing, LoadError where it cannot be
    listed, ValueError where the classes of `train` and `val` differ, and RuntimeError where the
    processes of a distributed run do not see the same files.
    """

    def __init__(
        self,
        data_root: str | os.PathLike[str],
        batch_size: int = 256,
        num_workers: int = 8,
        pin_memory: bool = True,
        persistent_workers: bool = True,
        prefetch_factor: int | None = None,
        *,
        train_transform: Callable[[Any], Any] | None = None,
        val_transform: Callable[[Any], Any] | None = None,
        drop_last: bool = False,
        in_order: bool = True,
        seed: int | None = None,
        timeout: float = 0,
        memory_limit: int | None = None,
        reader: Literal["auto", "ring", "pool"] = "auto",
        limits: DecodeLimits | dict[str, Any] | None = None,
        read_ahead_bytes: int | None = None,
        depth: int | None = None,
        dtype: Literal["float32", "float16", "bfloat16", "uint8"] | None = None,
        channels_last: bool = False,
        pillow: str | None = None,
        auto_augment: Literal["imagenet", "cifar10", "svhn"] | None = None,
        rand_augment: int | None = None,
        trivial_augment: bool = False,
        random_erasing: float = 0.0,
        random_erasing_value: float | Literal["random"] = 0.0,
        interpolation: str = "bilinear",
        train_size: int = 224,
        val_size: int = 224,
        val_resize_size: int = 256,
        mixup_alpha: float = 0.0,
        cutmix_alpha: float = 0.0,
        mix_prob: float = 1.0,
        switch_prob: float = 0.5,
        label_smoothing: float = 0.0,
        num_classes: int | None = None,
        repeats: int = 1,
        finish_on: Literal["cpu", "device"] = "cpu",
        strict_state: bool = True,
        on_error: Literal["raise", "skip", "replace"] = "raise",
        max_failures: int | float | None = None,
        retries: int = 0,
        use_cache: bool | Literal["always"] = True,
    ) -> None:
        super().__init__()
        # A Path among the hyperparameters would make the checkpoint one that torch.load refuses.
        data_root = os.fspath(data_root)
        # Under its own name, by which save_hyperparameters() finds it.
        dtype = None if dtype is None else str(dtype).removeprefix("torch.")  # type: ignore[assignment]
        # Plain values for the same reason; a wrong one is refused now.
        if limits is not None:
            limits = asdict(limits if isinstance(limits, DecodeLimits) else DecodeLimits(**limits))
        self.save_hyperparameters(ignore=["train_transform", "val_transform"])
        check_options(self.hparams, train_transform, val_transform)
        self.train_transform = train_transform
        self.val_transform = val_transform
        self.train_dataset: ImageFolder | None = None
        self.val_dataset: ImageFolder | None = None
        self._drawn_seed: int | None = None
        self._train_place = TrainPlace(DataLoader, DevicePrefetcher)
        if finish_on == "device":
            self._set_hook()
            self._silence_hook()

    @property
    def hparams_initial(self) -> Any:
        """What Lightning logs: it refuses a name that the LightningModule's hyperparameters have
        too, with another value, and these two are often there (in the loss, in the network)."""
        logged = super().hparams_initial
        module = None if self.trainer is None else self.trainer.lightning_module
        others = {} if module is None else module.hparams_initial
        for name in ("label_smoothing", "num_classes"):
            if name in others and others[name] != logged.get(name):
                logged.pop(name, None)
        return logged

    def setup(self, stage: str | None = None) -> None:
        """Lists the folders that `stage` needs: "fit" both, None both, others `val` alone.

        What is already there is kept. In a distributed run every process must call it: they
        compare what they found.
        """
        splits = ("train", "val") if stage in (None, "fit") else ("val",)
        datasets: dict[str, ImageFolder] = {}
        failure: Exception | None = None
        try:
            for split in splits:
                datasets[split] = self._open(split)
            if "train" in datasets:
                check_classes(datasets["train"].classes, datasets["val"].classes)
        except (OSError, ValueError) as error:
            failure = error
        BeginTraining.attach(self.trainer)
        seed = self._seed()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            seed = check_ranks(datasets, failure, seed)
            if self.hparams.seed is None:
                self._drawn_seed = seed
        if failure is not None:
            raise failure

    def train_dataloader(self) -> DataLoader:
        sampler = self._repeating_sampler()
        loader = self._loader(
            "train",
            shuffle=sampler is None,
            sampler=sampler,
            drop_last=self.hparams.drop_last,
            in_order=self.hparams.in_order,
            batch_transform=self._batch_transform(),
            on_error=self.hparams.on_error,
            max_failures=self.hparams.max_failures,
        )
        self._train_place.made(loader, self._seed(), self.trainer, self.hparams.strict_state)
        return loader

    def val_dataloader(self) -> DataLoader:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        return self._loader("val")

    def predict_dataloader(self) -> DataLoader:
        return self._loader("val")

    def state_dict(self) -> dict[str, Any]:
        """The train loader's state, and the seed where no argument gave it."""
        place = self._train_place.state(self.trainer)
        found = {"seed": self._drawn_seed, "loader": place}
        return {name: value for name, value in found.items() if value is not None}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Training goes on from there, with the train loader that is there or with the next.

        What a Trainer loads to validate, test or predict moves no loader.
        """
        if "seed" in state_dict:  # not so in checkpoints of several ranks of ringfeed 0.1's
            self._drawn_seed = state_dict["seed"]
        if "loader" in state_dict:
            place, strict = state_dict["loader"], self.hparams.strict_state
            self._train_place.load(place, self.trainer, strict)

    def on_exception(self, exception: BaseException) -> None:
        self._train_place.drop()

    def _begin_training(self) -> None:
        self._train_place.begin(self.trainer, self._seed(), self.hparams.strict_state)

    def _open(self, split: str) -> ImageFolder:
        dataset = getattr(self, f"{split}_dataset")
        if dataset is None:
            # A shell does not see what a YAML file says.
            folder = split_folder(os.path.expanduser(self.hparams.data_root), split)
            transform = getattr(self, f"{split}_transform")
            if transform is None:
                recipe = train_recipe if split == "train" else val_recipe
                transform = recipe(self.hparams)
            dataset = ImageFolder(folder, transform, use_cache=self.hparams.use_cache)
            setattr(self, f"{split}_dataset", dataset)
        return dataset

    def _batch_transform(self) -> Any:
        dataset = self.train_dataset
        # Without one it is for _loader() to refuse.
        return None if dataset is None else batch_transform(self.hparams, len(dataset.classes))

    def _repeating_sampler(self) -> RepeatedAugmentationSampler | None:
        dataset, repeats = self.train_dataset, self.hparams.repeats
        if dataset is None or repeats == 1:
            return None
        trainer = self.trainer
        return RepeatedAugmentationSampler(
            dataset,
            None if trainer is None else trainer.world_size,
            None if trainer is None else trainer.global_rank,
            seed=self._seed(),
            repeats=repeats,
        )

    def _seed(self) -> int:
        if self.hparams.seed is not None:
            return self.hparams.seed
        if self._drawn_seed is None:
            given = global_seed()
            drawn = int(torch.empty((), dtype=torch.int64).random_()) if given is None else given
            self._drawn_seed = drawn
        return self._drawn_seed

    def _loader(self, split: str, **options: Any) -> DataLoader:
        dataset = getattr(self, f"{split}_dataset")
        if dataset is None:
            raise RuntimeError(
                f"there is no {split}_dataset yet: call"
                f" setup({'fit' if split == 'train' else 'validate'!r}) first"
            )
        hparams = self.hparams
        options.update(loader_options(hparams))
        try:
            return DataLoader(dataset, seed=self._seed(), **options)
        except NotNative:
            if hparams.seed is not None:
                raise
            # The seed is nobody's wish. torch's loader does without, or names what it cannot do.
            return DataLoader(dataset, **options)
