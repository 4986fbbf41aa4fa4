"""The samples of a batch as its dataset gives them, for a script's own code: a collate_fn, or what
the dataset's class adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import torch
from torch.utils.data import default_collate
from torch.utils.data._utils.collate import collate, collate_tensor_fn, default_collate_fn_map
from torch.utils.data._utils.pin_memory import pin_memory as pin

from . import _ringfeed
from ._access import OwnLoading, StandIn
from ._adding import Added
from ._tensors import images_of
from .datasets import warn_user
from .transforms import Recipe, ViewsRecipe


class ByScript:
    """Makes the batches of one epoch by a script's own code."""

    def __init__(
        self,
        collate_fn: Callable[[Any], Any],
        stand_in: StandIn | OwnLoading | None,
        added: Added | None,
        one_by_one: bool,
    ) -> None:
        """`collate_fn` is called with the list of the samples or, with `one_by_one`, with the one
        there is. `stand_in`: makes the samples of what the dataset's base gives; None: they are
        that. `added`: the same of the images, and what their transform gives."""
        self._added = added
        self._collate_fn = collate_fn
        self._stand_in = stand_in
        self._one_by_one = one_by_one
        self._seconds = 0.0
        self._warned = False

    def __call__(
        self,
        found: _ringfeed.Batch,
        recipe: Recipe | ViewsRecipe,
        target_transform: Any,
        pinned: bool,
        changes: Any = None,
    ) -> Any:
        """What `collate_fn` makes of the samples. Their images are views of `found`, or PIL images
        with a copy."""
        batches, numbers = images_of(found, recipe), torch.from_dlpack(found.labels())
        indices = found.indices.tolist()
        if changes is not None:
            indices = changes(found, batches, numbers)
        views = [_each(images, view) for images, view in zip(batches, recipe.views)]
        images = views[0]
        if isinstance(recipe, ViewsRecipe):
            images = list(map(recipe.container, zip(*views)))
        stand_in, samples = self._stand_in, []
        begun = perf_counter()
        for image, label, index in zip(images, numbers.tolist(), indices):
            image = image if self._added is None else self._added(image)
            sample = image, label if target_transform is None else target_transform(label)
            samples.append(sample if stand_in is None else stand_in.ask(index, sample))
        if self._one_by_one:
            made = self._collate_fn(samples[0])
        elif self._collate_fn is default_collate:
            made = _default_collate(samples, batches)
        else:
            made = self._collate_fn(samples)
        self._seconds += perf_counter() - begun
        return pin(made) if pinned else made

    def warn_if_slow(self, decoding: float) -> None:
        """`decoding`: seconds that each decode thread was busy in the epoch."""
        if self._warned or self._seconds < max(decoding, _WORTH_A_WARNING):
            return
        self._warned = True
        warn_user(
            "a script's own collate_fn or __getitem__ took longer on the thread of next() than "
            "each thread that decodes, and held them back: native=False has worker processes do it"
        )


_WORTH_A_WARNING = 1.0
"""Seconds of an epoch."""


def _each(images: torch.Tensor, recipe: Recipe) -> Sequence[Any]:
    """The images of a batch one by one, each what the transform gives."""
    match recipe.gives:
        case "image":
            from PIL import Image

            return [Image.fromarray(pixels) for pixels in images.permute(0, 2, 3, 1).numpy()]
        case "array":
            return list(images.numpy())
        case "tv_tensor":
            from torchvision.tv_tensors import Image as TensorImage

            return [image.as_subclass(TensorImage) for image in images]
    return images.unbind(0)


def _default_collate(samples: Sequence[Any], batches: Sequence[torch.Tensor]) -> Any:
    """torch's, which copies no images that make up one of `batches`."""
    unused = list(batches)

    def stack(tensors: Sequence[torch.Tensor], *, collate_fn_map: Any = None) -> torch.Tensor:
        for number, batch in enumerate(unused):
            if _makes_up(tensors, batch):
                del unused[number]  # a second time they become a tensor of their own
                return batch
        return collate_tensor_fn(tensors, collate_fn_map=collate_fn_map)

    functions = dict(default_collate_fn_map)
    if functions.get(torch.Tensor) is collate_tensor_fn:
        functions[torch.Tensor] = stack
    return collate(samples, collate_fn_map=functions)


def _makes_up(tensors: Sequence[torch.Tensor], batch: torch.Tensor) -> bool:
    """Whether they are the batch's images in their order, changed in place or not."""
    first, step = batch.data_ptr(), batch.stride(0) * batch.itemsize
    row = batch.shape[1:], batch.stride()[1:], batch.dtype, batch.device
    return len(tensors) == len(batch) and all(
        tensor.data_ptr() == first + number * step
        and (tensor.shape, tensor.stride(), tensor.dtype, tensor.device) == row
        for number, tensor in enumerate(tensors)
    )
