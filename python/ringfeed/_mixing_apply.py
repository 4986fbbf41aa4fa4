"""A batch mixed as its draws say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from . import _ringfeed
from ._mixing_rules import BatchMix, Rule


@dataclass(frozen=True)
class Mixer:
    """Mixes the batches of an epoch: one of the same position always in the same way."""

    rule: Rule
    seed: int
    epoch: int

    def draw(self, position: int, size: int, height: int, width: int) -> BatchMix:
        stream = _ringfeed.MixingStream(self.seed, self.epoch, position)
        return self.rule.draw(stream, position, size, height, width)

    def __call__(
        self,
        images: torch.Tensor,
        labels: object,
        position: int,
        make_empty: Callable[[torch.Tensor], torch.Tensor] = torch.empty_like,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Images and targets, mixed. The given ones stay as they are, because after a
        KeyboardInterrupt they are mixed again. `make_empty` gives the memory of the images."""
        draw, targets = self.targets(images, labels, position, images.dtype)
        return mix_images(images, draw, make_empty), targets

    def targets(
        self, images: torch.Tensor, labels: object, position: int, dtype: torch.dtype
    ) -> tuple[BatchMix, torch.Tensor]:
        """What is drawn for a batch, and its targets, mixed; the images, which will have `dtype`
        when their turn comes, are only measured."""
        size, _, height, width = images.shape
        if self.rule.needs_even and size % 2:
            raise ValueError(
                f"timm's Mixup needs an even batch, and this one has {size} samples: pass an even "
                "batch_size and drop_last=True, or mix with ringfeed.transforms.MixUp and CutMix"
            )
        draw = self.draw(position, size, height, width)
        return draw, mix_targets(targets_of(labels, draw), draw, dtype)


def mix_images(
    images: torch.Tensor, draw: BatchMix, make_empty: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Multiplies and adds in steps that round each to the images' dtype, as torchvision and timm
    do: torch.lerp and fused kernels give other bits."""
    if all(mix.kind == "none" for mix in draw.mixes):
        return images
    mixed = make_empty(images)
    pieces, mixed_pieces = _pieces(images), _pieces(mixed)
    products = _pieces(torch.empty_like(images[:1]))[0]
    bytes_ = images.dtype == torch.uint8
    half = images.dtype in (torch.float16, torch.bfloat16)
    multiply: Any = torch.mul if half else np.multiply
    add: Any = torch.add if half else np.add
    single = len(draw.mixes) > 1
    for i, own in enumerate(pieces):
        mix = draw.mixes[i if single else 0]
        partner = _partner(draw, i)
        if mix.kind == "mixup":
            for out, theirs, ours, product in zip(mixed_pieces[i], pieces[partner], own, products):
                if bytes_:
                    out[:] = _mixed_bytes(ours, theirs, mix.lam)
                    continue
                multiply(theirs, 1.0 - mix.lam, out=out)
                add(out, multiply(ours, mix.lam, out=product), out=out)
            continue
        for out, ours in zip(mixed_pieces[i], own):
            out[:] = ours
        if mix.box is not None:
            left, top, right, bottom = mix.box
            rows = max(1, _SERIAL // max(1, 3 * (right - left)))
            for first in range(top, bottom, rows):
                box = slice(None), slice(first, min(first + rows, bottom)), slice(left, right)
                mixed[i][box] = images[partner][box]
    return mixed


def _mixed_bytes(ours: Any, theirs: Any, lam: float) -> Any:
    """timm's FastCollateMixup: in float32, rounded to even."""
    mixed = ours.astype(np.float32) * lam + theirs.astype(np.float32) * (1.0 - lam)
    return np.rint(mixed, out=mixed)


def mix_on_device(images: torch.Tensor, draw: BatchMix) -> torch.Tensor:
    """As mix_images(), with few kernels of torch's, on any device; `images` is used up. Each kernel
    multiplies or adds: fused ones give other bits. The draw is read here, so that nothing waits for
    the device."""
    mix = draw.mixes[0]
    if all(mix.kind == "none" for mix in draw.mixes):
        return images
    if images.dtype == torch.uint8:
        return mix_on_device(images.float(), draw).round_().to(torch.uint8)
    if len(draw.mixes) > 1:
        return _mix_each(images, draw)
    if mix.kind == "cutmix":
        if mix.box is not None:
            left, top, right, bottom = mix.box
            box = images[:, :, top:bottom, left:right]
            box.copy_(box.flip(0) if draw.partner == "mirrored" else box.roll(1, 0))
        return images
    # Not by roll() or flip(), which would lose the memory format on some devices.
    mixed = torch.empty_like(images)
    if draw.partner == "mirrored":
        mixed.copy_(images.flip(0)).mul_(1.0 - mix.lam)
    else:
        torch.mul(images[:-1], 1.0 - mix.lam, out=mixed[1:])
        torch.mul(images[-1:], 1.0 - mix.lam, out=mixed[:1])
    return mixed.add_(images.mul_(mix.lam))


def _mix_each(images: torch.Tensor, draw: BatchMix) -> torch.Tensor:
    mixed = images.clone()
    for i, mix in enumerate(draw.mixes):
        theirs = images[_partner(draw, i)]
        if mix.kind == "mixup":
            mixed[i].mul_(mix.lam).add_(theirs.mul(1.0 - mix.lam))
        elif mix.kind == "cutmix" and mix.box is not None:
            left, top, right, bottom = mix.box
            mixed[i, :, top:bottom, left:right] = theirs[:, top:bottom, left:right]
    return mixed


_SERIAL = 32767
"""More elements than these torch would share out to threads of its own. They wait by spinning, on
the cores that decode: with 2 cores mixing took 1.2 ms of CPU an image in place of 0.2."""


def _pieces(images: torch.Tensor) -> list[Any]:
    """Each image's memory, whatever its layout, in pieces that one thread works on and that stay in
    the cache: NumPy's whole images, which cost the least calls; torch's parts of them in the types
    that NumPy cannot round."""
    size = images[0].numel()
    flat = images.as_strided((len(images), size), (size, 1))
    if images.dtype in (torch.float16, torch.bfloat16):
        return [image.split(_SERIAL) for image in flat]
    return [[image] for image in flat.numpy()]


def targets_of(labels: object, draw: BatchMix) -> torch.Tensor:
    """Float targets [size, classes], not mixed yet, of labels or of targets that are."""
    classes, smoothing = draw.num_classes, draw.label_smoothing
    if not isinstance(labels, torch.Tensor) or labels.ndim not in (1, 2):
        found = tuple(labels.shape) if isinstance(labels, torch.Tensor) else type(labels).__name__
        raise ValueError(
            "batch_transform mixes labels of shape [batch] or targets of shape [batch, classes], "
            f"and target_transform makes {found}"
        )
    if labels.ndim == 2:
        if classes not in (None, labels.shape[1]) or smoothing:
            raise ValueError(
                f"target_transform makes targets of {labels.shape[1]} classes, and batch_transform "
                f"has num_classes={classes}, label_smoothing={smoothing}: they must be the same "
                "classes, without smoothing"
            )
        return labels if labels.is_floating_point() else labels.float()
    if classes is None:
        raise ValueError("batch_transform needs num_classes, because labels are class numbers")
    if labels.is_floating_point():
        raise ValueError(
            "batch_transform mixes whole class numbers, and target_transform makes labels of "
            f"{labels.dtype}"
        )
    labels = labels.long()
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise ValueError(
            f"num_classes={classes} of batch_transform leaves no column for the label "
            f"{low if low < 0 else high}"
        )
    off = smoothing / classes
    targets = torch.empty((len(labels), classes), dtype=torch.float32, device=labels.device)
    for row, label in zip(targets, labels.tolist()):
        row.fill_(off)[label] = 1.0 - smoothing + off
    return targets


def mix_targets(targets: torch.Tensor, draw: BatchMix, dtype: torch.dtype) -> torch.Tensor:
    """`dtype`: the images', to which timm rounds the shares of single samples; of 8-bit ones, which
    it mixes as it collates, they stay float32."""
    if all(mix.kind == "none" for mix in draw.mixes):
        return targets
    shares = torch.tensor([mix.lam for mix in draw.mixes], dtype=torch.float64, device="cpu")
    if len(draw.mixes) > 1:
        shares = shares.to(torch.float32 if dtype == torch.uint8 else dtype)
    lams, rests = shares.tolist(), (1.0 - shares).tolist()
    mixed = torch.empty_like(targets)
    for i, own in enumerate(targets):
        mix = i if len(draw.mixes) > 1 else 0
        partner = targets[_partner(draw, i)]
        torch.mul(partner, rests[mix], out=mixed[i]).add_(own.mul(lams[mix]))
    return mixed


def _partner(draw: BatchMix, i: int) -> int:
    return i - 1 if draw.partner == "before" else -1 - i
