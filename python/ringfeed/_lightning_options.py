"""What a data module's hyperparameters must be, and what its loaders have of them."""

from __future__ import annotations

from typing import Any

import torch

from ._arguments import check_finish_on, resolve_workers
from ._failures import check_failure_options
from ._imagenet_recipes import check_recipe_options
from ._limits import DecodeLimits
from ._mixing_options import batch_transform_of, check_mixing_options
from ._numbers import whole
from .datasets import check_use_cache

_RECIPES = (
    "auto_augment",
    "rand_augment",
    "trivial_augment",
    "random_erasing",
    "random_erasing_value",
    "interpolation",
    "train_size",
    "val_size",
    "val_resize_size",
)
_MIXING = (
    "mixup_alpha",
    "cutmix_alpha",
    "mix_prob",
    "switch_prob",
    "label_smoothing",
    "num_classes",
)
_AS_THEY_ARE = (
    "batch_size",
    "persistent_workers",
    "prefetch_factor",
    "timeout",
    "memory_limit",
    "reader",
    "read_ahead_bytes",
    "depth",
    "retries",
    "channels_last",
    "pillow",
    "finish_on",
)


def check_options(hparams: Any, train_transform: Any, val_transform: Any) -> None:
    """Raises ValueError or TypeError for what the loaders would refuse only later."""
    check_recipe_options(
        train_transform=train_transform,
        val_transform=val_transform,
        **{name: hparams[name] for name in _RECIPES},
    )
    check_mixing_options(**{name: hparams[name] for name in _MIXING})
    if whole("repeats", hparams.repeats) < 1:
        raise ValueError(f"repeats must be at least 1, not {hparams.repeats}")
    check_use_cache(hparams.use_cache)
    check_finish_on(hparams.finish_on)
    check_failure_options(
        hparams.on_error, hparams.max_failures, hparams.retries, hparams.batch_size
    )


def batch_transform(hparams: Any, folders: int) -> Any:
    """What mixes training batches of so many folders' images; None: nothing does."""
    options = {name: hparams[name] for name in _MIXING}
    if options["num_classes"] is None:
        options["num_classes"] = folders
    return batch_transform_of(**options)


def loader_options(hparams: Any) -> dict[str, Any]:
    """A DataLoader's arguments, of training and validation alike."""
    return {
        **{name: hparams[name] for name in _AS_THEY_ARE},
        "num_workers": resolve_workers(hparams.num_workers),  # of 0 Lightning warns
        "pin_memory": hparams.pin_memory and torch.cuda.is_available(),
        "limits": None if hparams.limits is None else DecodeLimits(**hparams.limits),
        "dtype": None if hparams.dtype is None else getattr(torch, hparams.dtype),
    }
