"""Batches of 8-bit images, which become the transform's on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from ._mixing_rules import BatchMix

if TYPE_CHECKING:  # importing it costs what torch.compile costs
    from ._finish import Erased, Finish


class UnfinishedBatch:
    """A batch of `DataLoader(finish_on="device")`: 8-bit images, and what is left to do with them.

    >>> from torchvision.transforms import CenterCrop, Compose, ToTensor
    >>> from ringfeed import DataLoader, ImageFolder
    >>> dataset = ImageFolder("imagenet/train", Compose([CenterCrop(224), ToTensor()]))
    >>> loader = DataLoader(dataset, batch_size=4, num_workers=2, finish_on="device")
    >>> for batch in loader:
    ...     images, labels = batch.to("cpu").finish()
    >>> batch.images.dtype, images.dtype
    (torch.uint8, torch.float32)

    DevicePrefetcher and ImageNetDataModule do this by themselves. What is erased and how the batch
    is mixed was drawn when the loader gave it, and travels in it. It has to(), pin_memory() and
    pickling, which is what Lightning, accelerate and torch ask of a batch; it is no sequence, so
    that nobody takes 8-bit images for finished ones.

    Attributes:
        images: uint8 [B, 3, H, W], in the loader's memory format.
        labels: int64 [B]; with `batch_transform` float targets [B, num_classes], mixed already.
    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: Any,
        rule: Finish,
        erased: tuple[Erased, ...],
        mix: BatchMix | None,
    ) -> None:
        self.images = images
        self.labels = labels
        self._rule = rule
        self._erased = erased
        self._mix = mix

    def finish(self) -> list[Any]:
        """[images, labels] as the loader gives them with finish_on="cpu", equal in every bit, on
        the device where the 8-bit images are: normalised, in the dtype asked for, then erased, then
        mixed. This batch stays as it is.

        It enqueues kernels on the current stream and waits for nothing, but for the first batch on
        a device, where the arithmetic is compared with the CPU's for all values. The memory of the
        8-bit images must live until the kernels have run, as with any tensor of another stream.
        Never part of a graph of torch.compile, which would round otherwise.
        """
        return [self._rule(self.images, self._erased, self._mix), self.labels]

    def to(self, device: Any, non_blocking: bool | None = None) -> UnfinishedBatch:
        """The batch with its tensors on `device`. `non_blocking` None: where a copy can be, unless
        the target is the CPU or MPS, which Lightning does for tensors and for nothing else."""
        device = torch.device(device)
        if non_blocking is None:
            non_blocking = device.type not in ("cpu", "mps")
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self, device: Any = None) -> UnfinishedBatch:
        """The batch in page-locked memory. `device` is ignored, as by torch's newer versions."""
        return self._map(torch.Tensor.pin_memory)

    def _map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> UnfinishedBatch:
        images, labels = map_tensors(function, [self.images, self.labels])
        return UnfinishedBatch(images, labels, self._rule, self._erased, self._mix)

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(
            'a batch of DataLoader(finish_on="device") holds 8-bit images: take images and labels '
            "from batch.to(device).finish(), or from DevicePrefetcher(loader, device)"
        )

    def __getitem__(self, _: object) -> Any:
        return iter(self)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"ringfeed.UnfinishedBatch({list(self.images.shape)} on {self.images.device})"


def map_tensors(function: Callable[[torch.Tensor], Any], batch: Any) -> Any:
    """`batch` with `function` of each of its tensors."""
    return _map(torch.Tensor, function, batch)


def finish_all(batch: Any, then: Callable[[Any], Any] = lambda finished: finished) -> Any:
    """`batch` with what is unfinished in it finished, and given to `then`. What holds no such batch
    stays the same object."""
    if not _holds_unfinished(batch):
        return batch
    return _map(UnfinishedBatch, lambda unfinished: then(unfinished.finish()), batch)


def _holds_unfinished(batch: Any) -> bool:
    if isinstance(batch, UnfinishedBatch):
        return True
    values: Iterable[Any] = ()
    if isinstance(batch, Mapping):
        values = batch.values()
    elif isinstance(batch, (list, tuple)):
        values = batch
    return any(map(_holds_unfinished, values))


def _map(kind: type, function: Callable[[Any], Any], batch: Any) -> Any:
    if isinstance(batch, kind):
        return function(batch)
    if kind is UnfinishedBatch and not _holds_unfinished(batch):
        return batch
    if isinstance(batch, UnfinishedBatch):
        return batch._map(function)
    if isinstance(batch, Mapping):
        return {key: _map(kind, function, value) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_map(kind, function, value) for value in batch))
    if isinstance(batch, (list, tuple)):
        return type(batch)(_map(kind, function, value) for value in batch)
    return batch
