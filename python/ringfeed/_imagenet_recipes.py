"""The transforms of ImageNetDataModule, of torchvision's own classes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_POLICIES = ("imagenet", "cifar10", "svhn")


def check_recipe_options(
    *,
    train_transform: Any,
    val_transform: Any,
    auto_augment: str | None,
    rand_augment: int | None,
    trivial_augment: bool,
    random_erasing: float,
    interpolation: str,
    train_size: int,
    val_size: int,
    val_resize_size: int,
) -> None:
    """ValueError or TypeError naming the argument that makes no sense."""
    from torchvision.transforms import InterpolationMode

    if auto_augment is not None and auto_augment not in _POLICIES:
        raise ValueError(f"auto_augment must be one of {_POLICIES} or None, not {auto_augment!r}")
    if rand_augment is not None and not 0 <= operator.index(rand_augment) < 31:
        raise ValueError(f"rand_augment must be a magnitude in [0, 30] or None, not {rand_augment}")
    if (auto_augment is not None) + (rand_augment is not None) + bool(trivial_augment) > 1:
        raise ValueError("auto_augment, rand_augment and trivial_augment exclude one another")
    if not 0 <= random_erasing <= 1:
        raise ValueError(f"random_erasing must be a probability, not {random_erasing}")
    if interpolation not in [mode.value for mode in InterpolationMode]:
        raise ValueError(f"interpolation must be one of torchvision's, not {interpolation!r}")
    for name, changed, transform, replaced in (
        ("auto_augment", auto_augment is not None, train_transform, "train_transform"),
        ("rand_augment", rand_augment is not None, train_transform, "train_transform"),
        ("trivial_augment", bool(trivial_augment), train_transform, "train_transform"),
        ("random_erasing", random_erasing != 0, train_transform, "train_transform"),
        ("train_size", train_size != 224, train_transform, "train_transform"),
        ("val_size", val_size != 224, val_transform, "val_transform"),
        ("val_resize_size", val_resize_size != 256, val_transform, "val_transform"),
    ):
        if changed and transform is not None:
            raise ValueError(f"{replaced} takes the place of {name}: say it in the transform")


def train_recipe(hparams: Any) -> Callable[[Any], Any]:
    """torchvision's references' order: crop, flip, policy, tensor, erasing."""
    from torchvision import transforms as t

    mode = t.InterpolationMode(hparams.interpolation)
    steps: list[Any] = [
        t.RandomResizedCrop(hparams.train_size, scale=(0.08, 1.0), interpolation=mode),
        t.RandomHorizontalFlip(0.5),
    ]
    if hparams.auto_augment is not None:
        policy = t.AutoAugmentPolicy(hparams.auto_augment)
        steps.append(t.AutoAugment(policy, interpolation=mode))
    if hparams.rand_augment is not None:
        steps.append(t.RandAugment(magnitude=hparams.rand_augment, interpolation=mode))
    if hparams.trivial_augment:
        steps.append(t.TrivialAugmentWide(interpolation=mode))
    steps += [t.ToTensor(), t.Normalize(_MEAN, _STD)]
    if hparams.random_erasing:
        steps.append(t.RandomErasing(hparams.random_erasing))
    return t.Compose(steps)


def val_recipe(hparams: Any) -> Callable[[Any], Any]:
    from torchvision import transforms as t

    mode = t.InterpolationMode(hparams.interpolation)
    return t.Compose(
        [
            t.Resize(hparams.val_resize_size, interpolation=mode),
            t.CenterCrop(hparams.val_size),
            t.ToTensor(),
            t.Normalize(_MEAN, _STD),
        ]
    )
