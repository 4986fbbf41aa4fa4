"""A sample of a loader made again by torchvision, from its row of draws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from . import _ringfeed
from ._augmentation_compiler import HANDLERS as AUGMENTATIONS
from ._erasing import Erasing, erasing_of, timm_erasing_of
from ._replay_mix import ChainMix
from ._transform_compiler import Compiler
from ._transform_steps import TIMM_ERASING, Step, interpolation_of, steps
from ._views_reader import views_of, without_wrappers

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
    augmented = flipped = False
    for step in steps(transform, Compiler.HANDLERS):
        if step.kind == "RandomResizedCrop":
            image = _resized_crop(row, image, step)
        elif step.kind == "RandomHorizontalFlip" and not (flipped or augmented):
            flipped = step.transform.p > 0  # the loader's flip is the first that can be
            image = _apply("hflip", 0.0, image) if flipped and row["hflip"] else image
        elif step.kind in AUGMENTATIONS:
            if not augmented:  # all that the row holds, of this step and those behind it
                image = _operations(row, image)
            augmented = True
        elif step.kind == "RandomErasing":
            image = _erased(row, image, erasing_of(step))
        elif step.kind == TIMM_ERASING:
            image = _erased(row, image, timm_erasing_of(step))
        else:
            image = step.transform(image)
    return image


def _resized_crop(row: np.void, image: Any, step: Step) -> Any:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as f

    box = (int(row[name]) for name in ("top", "left", "height", "width"))
    mode = InterpolationMode(interpolation_of(step))
    return f.resized_crop(image, *box, list(step.pair()), mode, antialias=True)


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
