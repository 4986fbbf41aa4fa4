"""The transforms of ImageNetDataModule, of torchvision's own classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _ringfeed
from ._numbers import check_number, check_share, whole

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
    random_erasing_value: float | str,
    interpolation: str,
    train_size: int,
    val_size: int,
    val_resize_size: int,
) -> None:
    """ValueError or TypeError naming the argument that makes no sense."""
    from torchvision.transforms import InterpolationMode

    if auto_augment is not None and auto_augment not in _POLICIES:
        raise ValueError(f"auto_augment must be one of {_POLICIES} or None, not {auto_augment!r}")
    if rand_augment is not None and (
        isinstance(rand_augment, bool) or not 0 <= whole("rand_augment", rand_augment) < 31
    ):
        raise ValueError(f"rand_augment must be a magnitude in [0, 30] or None, not {rand_augment}")
    if (auto_augment is not None) + (rand_augment is not None) + bool(trivial_augment) > 1:
        raise ValueError("auto_augment, rand_augment and trivial_augment exclude one another")
    check_share("random_erasing", random_erasing)
    if isinstance(random_erasing_value, str) and random_erasing_value != "random":
        raise ValueError(
            f'random_erasing_value must be a number or "random", not {random_erasing_value!r}'
        )
    if random_erasing_value != "random":
        check_number("random_erasing_value", random_erasing_value)
    if random_erasing_value != 0 and not random_erasing and train_transform is None:
        raise ValueError("random_erasing_value needs a random_erasing above 0")
    modes = [mode.value for mode in InterpolationMode if mode.value != "nearest-exact"]
    if interpolation not in modes:
        raise ValueError(f"interpolation must be one of {modes}, not {interpolation!r}")
    policy = auto_augment is not None or rand_augment is not None or trivial_augment
    if policy and interpolation not in ("nearest", "bilinear", "bicubic"):
        raise ValueError(
            f"interpolation={interpolation!r} cannot rotate: with a policy it must be nearest, "
            "bilinear or bicubic"
        )
    longest = _ringfeed.largest["side"]
    for name, size in (
        ("train_size", train_size),
        ("val_size", val_size),
        ("val_resize_size", val_resize_size),
    ):
        if not 1 <= whole(name, size) <= longest:
            raise ValueError(f"{name} must be in [1, {longest}], not {size}")
    if val_transform is None and val_size > val_resize_size:
        raise ValueError(
            f"val_size={val_size} is above val_resize_size={val_resize_size}, which would pad the "
            "images with black: pass a larger val_resize_size"
        )
    for name, changed, transform, replaced in (
        ("auto_augment", auto_augment is not None, train_transform, "train_transform"),
        ("rand_augment", rand_augment is not None, train_transform, "train_transform"),
        ("trivial_augment", bool(trivial_augment), train_transform, "train_transform"),
        ("random_erasing", random_erasing != 0, train_transform, "train_transform"),
        ("random_erasing_value", random_erasing_value != 0, train_transform, "train_transform"),
        ("train_size", train_size != 224, train_transform, "train_transform"),
        ("val_size", val_size != 224, val_transform, "val_transform"),
        ("val_resize_size", val_resize_size != 256, val_transform, "val_transform"),
    ):
        if changed and transform is not None:
            raise ValueError(f"{replaced} takes the place of {name}: say it in the transform")
    if interpolation != "bilinear" and None not in (train_transform, val_transform):
        raise ValueError("the transforms take the place of interpolation: say it in them")


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
        value = hparams.random_erasing_value
        steps.append(t.RandomErasing(hparams.random_erasing, value=value))
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
