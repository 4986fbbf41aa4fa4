"""A sample of a loader made again by torchvision, from its row of draws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from . import _ringfeed
from ._augmentation_compiler import HANDLERS as AUGMENTATIONS
from ._erasing import Erasing, erasing_of, timm_erasing_of
from ._head import head_of, interpolations_of
from ._replay_mix import ChainMix
from ._script_steps import without_wrappers
from ._transform_compiler import Compiler
from ._transform_steps import TIMM_ERASING, Step, steps
from ._views_reader import views_of

__all__ = ["replay"]


def replay(row: np.void, image: Any, transform: Any) -> Any:
    """What `transform` makes of `image` with the random choices that `row` says.

    `row` is one of `DataLoader.draws(epoch)`, `image` the PIL image of that sample (RGB), and
    `transform` the dataset's. torchvision and Pillow do all of it, so that the result tells what
    the loader yields without the loader's own code; only the noise of RandomErasing is ringfeed's,
    made of the row's key. Equal in every bit; a `dtype=` that the loader was given besides is left
    to the caller. Of several views it makes one: of `draws(epoch)[i, v]` and that view's transform.

    >>> from PIL import Image
    >>> from ringfeed import DataLoader, ImageFolder, replay
    >>> from torchvision.transforms import v2
    >>> transform = v2.Compose([v2.RandomResizedCrop(32), v2.RandAugment(), v2.PILToTensor()])
    >>> dataset = ImageFolder("imagenet/train", transform)
    >>> loader = DataLoader(dataset, batch_size=2, shuffle=True, num_workers=1, seed=1)
    >>> row = loader.draws(0)[0]
    >>> image = Image.open(dataset.samples[row["index"]][0]).convert("RGB")
    >>> images, labels = next(iter(loader))
    >>> bool((replay(row, image, transform) == images[0]).all())
    True
    """
    transform = without_wrappers(transform)
    if views_of(transform) is not None:
        raise ValueError(
            "the transform gives several views, and replay() makes one: pass a view's row, such as "
            "draws(0)[0, 1], and that view's transform"
        )
    all_steps = list(steps(transform, Compiler.HANDLERS))
    on_images = [step for step in all_steps if step.kind in AUGMENTATIONS]
    head = head_of(on_images)
    for step in all_steps:
        if step.changed:
            step.refuse_unknown()
        if any(step is one for one in head.steps):
            image = _head_step(row, image, step)
        elif head.rest and step is head.rest[0]:  # all that the row holds, of it and those behind
            image = _operations(row, image)
        elif step.kind == "RandomErasing":
            image = _erased(row, image, erasing_of(step))
        elif step.kind == TIMM_ERASING:
            image = _erased(row, image, timm_erasing_of(step))
        elif step.kind not in AUGMENTATIONS:
            image = step.transform(image)
    return image


def _head_step(row: np.void, image: Any, step: Step) -> Any:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as f

    box = (int(row[name]) for name in ("top", "left", "height", "width"))
    match step.kind:
        case "RandomHorizontalFlip":
            return f.hflip(image) if row["hflip"] else image
        case "RandomCrop":
            return f.crop(image, *box)
        case "RandomResizedCrop" | "RandomResizedCropAndInterpolation":
            image = f.crop(image, *box)
            several = "interpolation" in (row.dtype.names or ())
            if several:
                return _resized(image, step.pair(), int(row["interpolation"]))
            mode = InterpolationMode(interpolations_of(step)[0])
            return f.resize(image, list(step.pair()), mode, antialias=True)
        case _:
            return step.transform(image)


def _operations(row: np.void, image: Any) -> Any:
    mix = None
    for operation in row["operations"] if "operations" in (row.dtype.names or ()) else ():
        kind = str(operation["kind"])
        if kind in ("affine", "perspective"):
            image = _transformed(operation, image)
        elif kind == "mix_begin":
            mix = ChainMix(image, blended=operation["values"][0] != 0)
        elif kind.startswith("mix_"):
            assert mix is not None
            image = mix.take(kind, float(operation["values"][0]), image)
        elif kind == "resize":
            height, width = operation["values"][:2].astype(int).tolist()
            image = _resized(image, (height, width), int(operation["interpolation"]))
        elif kind == "crop":
            image = _cropped(operation, image)
        elif kind:
            image = _apply(kind, float(operation["values"][0]), image)
    return image


def _erased(row: np.void, image: Any, erasing: Erasing) -> Any:
    from torchvision.transforms import functional as f

    for number, (top, left, height, width) in enumerate(row["erased"].tolist()):
        if height == 0:
            break
        shape = (3, height, width) if erasing.fill == "noise" else (3, 1, 1)
        if erasing.fill == "value":
            value = torch.tensor(erasing.value, dtype=image.dtype).reshape(shape)
        else:
            key, count = int(row["noise_key"]), math.prod(shape)
            noise = bytearray(_ringfeed.erasing_noise(key, number, count))
            value = torch.frombuffer(noise, dtype=torch.float32).reshape(shape)
        image = f.erase(image, top, left, height, width, value)
    return image


def _apply(kind: str, value: float, image: Any) -> Any:
    """torchvision's function of the kind, or Pillow's."""
    from torchvision.transforms import functional as f

    match kind:
        case "hflip" | "vflip" | "invert" | "autocontrast" | "equalize":
            return getattr(f, kind)(image)
        case "grayscale":
            return f.rgb_to_grayscale(image, num_output_channels=3)
        case "posterize" if value == 0:
            return image.point([0] * 768)  # Pillow's own from version 13 on raises
        case "posterize":
            return f.posterize(image, int(value))
        case "solarize_add":
            brighter = [min(255, v + int(value)) if v < 128 else v for v in range(256)]
            return image.point(brighter * 3)
        case "solarize":
            return f.solarize(image, value)
        case "gaussian_blur":
            from PIL import ImageFilter

            return image.filter(ImageFilter.GaussianBlur(value))
        case _:
            return getattr(f, f"adjust_{kind}")(image, value)


def _transformed(operation: np.void, image: Any) -> Any:
    from PIL import Image

    affine = operation["kind"] == "affine"
    return image.transform(
        image.size,
        Image.Transform.AFFINE if affine else Image.Transform.PERSPECTIVE,
        operation["values"][: 6 if affine else 8].tolist(),
        Image.Resampling(int(operation["interpolation"])),
        fillcolor=tuple(operation["fill"].tolist()),
    )


def _resized(image: Any, size: tuple[int, int], filter_number: int) -> Any:
    from PIL import Image

    return image.resize((size[1], size[0]), Image.Resampling(filter_number))


def _cropped(operation: np.void, image: Any) -> Any:
    from torchvision.transforms import functional as f

    top, left, height, width, mode = operation["values"][:5].astype(int).tolist()
    padding = [
        max(0, -left),
        max(0, -top),
        max(0, left + width - image.width),
        max(0, top + height - image.height),
    ]
    if any(padding):
        name = ("constant", "edge", "reflect", "symmetric")[mode]
        image = f.pad(image, padding, tuple(operation["fill"].tolist()), name)
    return f.crop(image, top + padding[1], left + padding[0], height, width)
