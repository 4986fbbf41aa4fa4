"""From the core's batches to tensors."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch.utils.data import default_collate
from torch.utils.data._utils.pin_memory import pin_memory as pin

from . import _ringfeed
from ._mixing_apply import Mixer
from ._unfinished import UnfinishedBatch
from .transforms import Recipe, ViewsRecipe


def page_locked(size: int) -> tuple[torch.Tensor, int]:
    """`size` bytes and their address. torch's caching allocator gives a block to the next batch
    only when the copies that were enqueued from it are done."""
    memory = torch.empty(size, dtype=torch.uint8, device="cpu", pin_memory=True)
    return memory, memory.data_ptr()


def should_pin(pin_memory: bool, pin_memory_device: str) -> bool:
    """Whether batches are made in page-locked memory; warns as torch's iterators do."""
    if not pin_memory:
        return False
    # This, read_next(), _make_request(), _begin(), _prepare(), __next__(), who called it.
    stacklevel = 7
    if pin_memory_device:
        warnings.warn(
            "pin_memory_device is deprecated, the current accelerator will be used as the device,"
            f"ignore pin_memory_device='{pin_memory_device}'.",
            stacklevel=stacklevel,
        )
    if not torch.accelerator.is_available():
        warnings.warn(
            "'pin_memory' argument is set as true but no accelerator is found, "
            "then device pinned memory won't be used.",
            stacklevel=stacklevel,
        )
        return False
    if torch.accelerator.current_accelerator().type == "mps":  # type: ignore[union-attr]
        warnings.warn(
            "'pin_memory' argument is set as true but not supported on MPS now, "
            "device pinned memory won't be used.",
            stacklevel=stacklevel,
        )
        return False
    return True


class Mixing:
    """A mixer with memory for what it mixes. Fresh memory for each batch would cost page faults
    that take longer than the mixing (64 images of 224 x 224 in float32: 31 ms against 16)."""

    def __init__(self, mixer: Mixer, pinned: bool) -> None:
        self._mixer = mixer
        # The caller's batch, the one that is made, and one that a prefetcher holds.
        self._pool = None if pinned else _ringfeed.BatchPool(3)

    def __call__(
        self, found: _ringfeed.Batch, images: torch.Tensor, labels: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        def make_empty(like: torch.Tensor) -> torch.Tensor:
            if self._pool is None:
                return torch.empty_like(like, pin_memory=True)
            return torch.from_dlpack(self._pool.empty_like(found))

        return self._mixer(images, labels, int(found.positions[0]), make_empty)


def batch(
    found: _ringfeed.Batch,
    recipe: Recipe | ViewsRecipe,
    target_transform: Any,
    pinned: bool,
    mixing: Mixing | None = None,
    changes: Any = None,
) -> list[Any]:
    """[images, labels], as torch's default_collate: images [size, 3, height, width], of a
    ViewsRecipe a list of such; labels int64 [size] or what target_transform's results make; mixed,
    with float targets, by `mixing`, after `changes` have been made. Once for each `found`, whose
    memory it shares unless it is mixed.
    """
    views = images_of(found, recipe)
    images: Any = views if isinstance(recipe, ViewsRecipe) else views[0]
    labels: Any = torch.from_dlpack(found.labels())
    if changes is not None:
        changes(found, views, labels)
    if target_transform is None:
        # On the default device, where torch makes them; images come from the PIL image, on the CPU.
        labels = labels.to(torch.empty(0).device)
    else:
        # A tuple, as torch has it: texts come back in what they came in.
        made: Any = tuple(map(target_transform, labels.tolist()))
        labels = default_collate(made)
    if mixing is not None:
        images, labels = mixing(found, images, labels)
    return [images, pin(labels) if pinned else labels]


def unfinished(
    found: _ringfeed.Batch,
    recipe: Recipe,
    target_transform: Any,
    pinned: bool,
    draws: int,
    mixer: Mixer | None,
) -> UnfinishedBatch:
    """What batch() gives, before it is finished. All that is drawn for it is drawn here, from the
    number `draws` of the pass's key."""
    from ._finish import Erased

    assert recipe.finish is not None
    images, labels = batch(found, recipe, target_transform, False)
    boxes = recipe.plan.erased(0, draws, found.positions).reshape(-1, 5).tolist()
    erased = tuple(Erased(*box) for box in boxes)
    mix = None
    if mixer is not None:
        mix, labels = mixer.targets(images, labels, int(found.positions[0]), recipe.dtype)
    labels = pin(labels) if pinned else labels
    return UnfinishedBatch(images, labels, recipe.finish, erased, mix)


def images_of(found: _ringfeed.Batch, recipe: Recipe | ViewsRecipe) -> list[torch.Tensor]:
    """[size, 3, height, width] of each view."""
    memory = found.images()
    if not isinstance(memory, torch.Tensor):
        return [torch.from_dlpack(capsule) for capsule in memory]
    images, size = [], found.size
    for view, offset in zip(recipe.views, found.offsets):
        plan = view.core_plan
        dtype = view.dtype if view.finish is None else torch.uint8
        values = memory[offset : offset + size * plan.sample_bytes].view(dtype)
        if view.channels_last:
            images.append(values.view(size, plan.height, plan.width, 3).permute(0, 3, 1, 2))
        else:
            images.append(values.view(size, 3, plan.height, plan.width))
    return images
