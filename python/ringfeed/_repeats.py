"""Repeated augmentation: every image several times in a row, each time another one."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import torch
import torch.distributed as dist
from torch.utils.data import DistributedSampler

from ._numbers import whole

_ROUND = 256


class RepeatedAugmentationSampler(DistributedSampler[Any]):
    """Repeated augmentation, in the order of torchvision's RASampler and timm's RepeatAugSampler.

    The order holds every index `repeats` times in a row, and the ranks take its places in turn: the
    repetitions of an image come in the same batch of all ranks together, each with a crop of its
    own. An epoch gives as many samples as one without repetitions, rounded down to a multiple of
    256 where there are that many: 1 / `repeats` of the images.

    >>> from ringfeed import DataLoader, ImageFolder, RepeatedAugmentationSampler
    >>> from torchvision.transforms import v2
    >>> transform = v2.Compose([v2.RandomResizedCrop(32), v2.PILToTensor()])
    >>> dataset = ImageFolder("imagenet/train", transform)
    >>> sampler = RepeatedAugmentationSampler(dataset, repeats=2)
    >>> loader = DataLoader(dataset, batch_size=4, sampler=sampler, num_workers=1)
    >>> for epoch in range(2):
    ...     sampler.set_epoch(epoch)
    ...     for images, labels in loader:
    ...         pass

    Args:
        dataset: What has the images: its length counts.
        num_replicas, rank: How many processes there are, and which this is; None: those of
            torch.distributed, or one process where that is not initialised.
        shuffle: Whether a permutation is drawn of `seed` and the epoch; else the dataset's order.
        seed: The same on every rank.
        repeats: How often each image comes.

    Lightning's Trainer takes it for the DistributedSampler that it is, and leaves it in its place.
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        repeats: int = 3,
    ) -> None:
        if whole("repeats", repeats) < 1:
            raise ValueError(f"repeats must be at least 1, not {repeats}")
        if not (dist.is_available() and dist.is_initialized()):
            if (num_replicas is None) != (rank is None):
                raise ValueError(
                    "num_replicas and rank go together: pass both, or call "
                    "torch.distributed.init_process_group() first"
                )
            if rank is None:
                num_replicas, rank = 1, 0
        super().__init__(dataset, num_replicas, rank, shuffle, seed)  # type: ignore[arg-type]
        self.repeats = repeats
        images = len(dataset)
        # torchvision's gives fewer than 256 images no sample at all; this is timm's.
        samples = images // _ROUND * _ROUND // self.num_replicas
        self.num_samples = samples if images >= _ROUND else -(-images // self.num_replicas)
        self.total_size = self.num_samples * self.num_replicas

    def __iter__(self) -> Iterator[int]:
        images = len(self.dataset)  # type: ignore[arg-type]
        if self.shuffle:
            generator = torch.Generator().manual_seed((self.seed + self.epoch) % (1 << 64))
            order = torch.randperm(images, generator=generator, device="cpu")
        else:
            order = torch.arange(images, device="cpu")
        places = torch.arange(self.rank, self.total_size, self.num_replicas, device="cpu")
        return iter(order[places // self.repeats % max(1, images)].tolist())
