"""What is left to do with 8-bit images, on the device where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from . import _ringfeed
from ._mixing_apply import mix_on_device
from ._mixing_rules import BatchMix

Flavour = Literal["none", "to_tensor", "to_dtype"]


class Erased(NamedTuple):
    """A box of a batch's image, in pixels."""

    image: int
    top: int
    left: int
    height: int
    width: int


class Finish:
    """A recipe's normalisation, dtype and erasing. Plain values, which travel in every batch; what
    they become on a device is made once in a process. Any thread, but one at a time."""

    def __init__(
        self,
        plan: _ringfeed.Plan,
        dtype: torch.dtype,
        flavour: Flavour,
        mean_std: tuple[list[float], list[float]] | None,
        erase_value: Sequence[float],
    ) -> None:
        self.dtype = dtype
        self.flavour = flavour
        self.mean_std = mean_std
        self.erase_value = tuple(erase_value)
        self.table = plan.value_table().reshape(3, 256)
        """What the CPU makes of each byte in each channel, as bits: the reference."""
        means = None if mean_std is None else tuple(map(tuple, mean_std))
        self._values = (dtype, flavour, means, self.erase_value, self.table.tobytes())

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(
        self, images: torch.Tensor, erased: Sequence[Erased], mix: BatchMix | None
    ) -> torch.Tensor:
        key = self._values, images.device
        rule = _on_devices.get(key)
        if rule is None:
            rule = _on_devices[key] = _OnDevice(self, images.device)
        finished = rule.convert(images)
        for image, top, left, height, width in erased:
            finished[image, :, top : top + height, left : left + width] = rule.erase_value
        return finished if mix is None else mix_on_device(finished, mix)


class _OnDevice:
    """The rule with its numbers on one device: the arithmetic, if that gives the CPU's bits there,
    else the CPU's table."""

    def __init__(self, rule: Finish, device: torch.device) -> None:
        self.erase_value = (
            torch.tensor(rule.erase_value, dtype=torch.float32, device="cpu")
            .to(rule.dtype)
            .to(device)[:, None, None]
        )
        values = torch.arange(256, dtype=torch.uint8, device=device)
        values = values[:, None, None, None].repeat(1, 3, 1, 1)
        # Tensors, because CUDA's division by a number multiplies by its reciprocal.
        # float32, whatever torch's default dtype is.
        scale = 1 / 255 if rule.flavour == "to_dtype" else 255.0
        self._scale = torch.tensor(scale, dtype=torch.float32, device=device)
        mean, std = rule.mean_std or ([0.0] * 3, [1.0] * 3)
        self._mean = torch.tensor(mean, dtype=torch.float32, device=device).reshape(1, 3, 1, 1)
        self._std = torch.tensor(std, dtype=torch.float32, device=device).reshape(1, 3, 1, 1)
        self._rule = rule
        self._table: torch.Tensor | None = None
        if rule.dtype != torch.uint8 and not np.array_equal(
            _bits(self.convert(values).cpu()), rule.table.T.astype(np.int64)
        ):
            self._table = _values(rule.table, rule.dtype).to(device)

    def convert(self, images: torch.Tensor) -> torch.Tensor:
        """New memory, in the same memory format. No call of it is fused with another: each rounds
        to float32, as on the CPU."""
        rule = self._rule
        if rule.dtype == torch.uint8:
            return images.clone()
        if self._table is not None:
            return self._look_up(images, self._table)
        values = images.to(torch.float32)
        if rule.flavour == "to_tensor":
            values.div_(self._scale)
        elif rule.flavour == "to_dtype":
            values.mul_(self._scale)
        if rule.mean_std is not None:
            values.sub_(self._mean).div_(self._std)
        return values.to(rule.dtype)

    def _look_up(self, images: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        values = torch.empty_like(images, dtype=table.dtype)
        for channel, entries in enumerate(table):
            plane = images[:, channel]
            # torch takes bytes for a mask, and no smaller integers than these for an index.
            index = plane.to(torch.int32).reshape(-1)
            values[:, channel] = entries.index_select(0, index).reshape(plane.shape)
        return values


_on_devices: dict[Any, _OnDevice] = {}
"""By a rule's values and the device: a batch from another process brings a rule of its own."""


def _bits(values: torch.Tensor) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Of [256, 3, 1, 1] floats, as whole numbers: [256, 3]."""
    signed = values.view(torch.int32 if values.itemsize == 4 else torch.int16)
    return signed[:, :, 0, 0].numpy().astype(np.int64) & (2 ** (8 * values.itemsize) - 1)


def _values(bits: np.ndarray[Any, np.dtype[np.uint32]], dtype: torch.dtype) -> torch.Tensor:
    signed = bits.astype(np.uint32).view(np.int32)
    if dtype.itemsize == 2:
        signed = bits.astype(np.uint16).view(np.int16)
    return torch.from_numpy(signed).view(dtype)
