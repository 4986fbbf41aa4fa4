"""A `batch_transform` as the rule by which batches are mixed; refused by name if it is none."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import torch

from ._collate import mixes
from ._mixing import CutMix, LabelSmoothing, MixUp, choice_of
from ._mixing_rules import (
    Choice,
    Rule,
    TimmRule,
    TorchvisionRule,
    check_alpha,
    check_choice,
    check_classes,
)
from ._numbers import check_share
from ._own_behaviour import own_behaviour
from ._resolved import Resolved
from .errors import UnsupportedTransform
from .transforms import ViewsRecipe

_TAKEN = (
    "batch_transform takes MixUp, CutMix and LabelSmoothing of ringfeed.transforms, MixUp and "
    "CutMix of torchvision.transforms.v2, RandomChoice of these, and timm.data.Mixup. Leave it "
    "out, and change the batch in the training step"
)

# What decides what they do to a batch; a subclass may override anything else.
_BEHAVIOUR = (
    "__call__",
    "forward",
    "transform",
    "_transform",
    "make_params",
    "_get_params",
    "_mixup_label",
    "_params_per_batch",
    "_params_per_elem",
    "_mix_batch",
    "_mix_pair",
    "_mix_elem",
    "_mix_batch_collate",
    "_mix_pair_collate",
    "_mix_elem_collate",
)


def compile_mixing(transform: Any) -> Rule | None:
    """What `transform` says at this moment; None for None. UnsupportedTransform for what is not
    known, ValueError and TypeError for values that make no sense."""
    if transform is None:
        return None
    if _is(transform, "timm.data.mixup", "FastCollateMixup"):
        return _timm_rule(transform, collates=True)
    if _is(transform, "timm.data.mixup", "Mixup"):
        return _timm_rule(transform)
    weighed = _choices(transform)
    return TorchvisionRule(tuple(c for _, c in weighed), tuple(w for w, _ in weighed))


def rule_of(batch_transform: Any, collate_fn: Any) -> Rule | None:
    """The rule of a loader with these: timm's FastCollateMixup is the one or the other."""
    if not mixes(collate_fn):
        return compile_mixing(batch_transform)
    if batch_transform is not None:
        raise ValueError(
            "collate_fn=FastCollateMixup and batch_transform would both mix: leave one out"
        )
    return compile_mixing(collate_fn)


def check_mixing(
    rule: Rule, resolved: Resolved, batch_size: int | None, samples: int | None, on_error: str
) -> None:
    """Raises ValueError where `rule` cannot mix such batches. `samples`: how many make up batches,
    the last, smaller one too; None: not known, or there is none smaller."""
    recipe, parts = resolved.recipe, resolved.parts
    if isinstance(recipe, ViewsRecipe):
        raise ValueError(
            "batch_transform mixes one image of each sample, and the dataset's transform gives "
            "several views: leave batch_transform out, and mix the views in the training step"
        )
    if recipe.dtype == torch.uint8 and rule.needs_floats:
        raise ValueError(
            "batch_transform multiplies pixels, and the transform yields uint8: end it with "
            "ToTensor, or with ToDtype(torch.float32, scale=True)"
        )
    if isinstance(rule, TimmRule) and rule.collates and recipe.dtype != torch.uint8:
        raise ValueError(
            f"FastCollateMixup mixes uint8 images, and the transform yields {recipe.dtype}: end it "
            "with PILToTensor, or use timm.data.Mixup"
        )
    rule.check_size(recipe.plan.height, recipe.plan.width)
    if rule.needs_even and on_error == "skip":
        raise ValueError(
            'timm\'s Mixup needs even batches, and on_error="skip" leaves odd ones: pass '
            'on_error="replace", or mix with ringfeed.transforms.MixUp and CutMix'
        )
    if rule.needs_even and batch_size is not None:
        last = 0 if samples is None else samples % batch_size
        if batch_size % 2 or last % 2:
            found = f"batch_size={batch_size}" if batch_size % 2 else f"a last batch of {last}"
            raise ValueError(
                f"timm's Mixup needs even batches, and this loader has {found}: pass an even "
                "batch_size and drop_last=True, or mix with ringfeed.transforms.MixUp and CutMix"
            )
    if parts.target_transform is None and resolved.length:
        labels = parts.index.labels()
        most = int((labels if parts.indices is None else labels[parts.indices]).max())
        if rule.num_classes is None:
            raise ValueError(
                "batch_transform needs num_classes, because labels are class numbers: pass "
                f"num_classes={most + 1}, or more where others have more classes"
            )
        if most >= rule.num_classes:
            raise ValueError(
                f"num_classes={rule.num_classes} of batch_transform is too small: the dataset has "
                f"the label {most}, so pass at least {most + 1}"
            )


def _choices(transform: Any) -> list[tuple[float, Choice]]:
    """With their probabilities."""
    if type(transform) in (MixUp, CutMix, LabelSmoothing):
        return [(1.0, choice_of(transform))]
    for module in ("torchvision.transforms.v2", "torchvision.transforms"):
        if _is(transform, module, "RandomChoice"):
            return _all_choices(transform)
    for kind in ("MixUp", "CutMix"):
        if _is(transform, "torchvision.transforms.v2", kind):
            return [(1.0, _torchvision_choice(transform, kind))]
    if isinstance(transform, _timm_mixup()):
        _refuse(transform, "it can be no choice of others; its switch_prob chooses")
    if isinstance(transform, list | tuple) or type(transform).__name__ == "Compose":
        _refuse(
            transform,
            "one thing is done to a batch: RandomChoice([MixUp(...), CutMix(...)]), each with the "
            "label_smoothing= of ringfeed.transforms, or LabelSmoothing alone",
        )
    _refuse(transform, _TAKEN)


def _all_choices(transform: Any) -> list[tuple[float, Choice]]:
    children, given = list(transform.transforms), transform.p
    weights = [1.0] * len(children) if given is None else [float(p) for p in given]
    total = sum(weights)
    if len(weights) != len(children) or not total > 0 or min(weights) < 0:
        _refuse(transform, f"p must be a probability for each of its transforms, not {given}")
    return [
        (weight / total * inner, choice)
        for weight, child in zip(weights, children)
        for inner, choice in _choices(child)
    ]


def _torchvision_choice(transform: Any, kind: str) -> Choice:
    from torchvision.transforms import v2

    with torch.device("cpu"):  # whatever device is torch's default
        default = vars(v2.MixUp(num_classes=1))["_labels_getter"]
    if vars(transform)["_labels_getter"] is not default:
        _refuse(transform, 'its labels_getter is called by nobody: leave it "default"')
    beta = transform._dist
    concentrations = {beta.concentration0.item(), beta.concentration1.item()}
    alpha = torch.tensor(float(transform.alpha), dtype=beta.concentration0.dtype, device="cpu")
    if type(beta) is not torch.distributions.Beta or concentrations != {alpha.item()}:
        _refuse(transform, "its distribution is not that of its alpha: make it anew with alpha=")
    name = "mixup" if kind == "MixUp" else "cutmix"
    choice = Choice(name, float(transform.alpha), transform.num_classes)  # type: ignore[arg-type]
    check_choice(choice, kind)
    return choice


def _timm_rule(transform: Any, collates: bool = False) -> TimmRule:
    name = "timm's FastCollateMixup" if collates else "timm's Mixup"
    if transform.multi_label:
        _refuse(transform, "multi_label=True is not done here. Mix in the training step")
    if transform.mode not in ("batch", "pair", "elem"):
        raise ValueError(
            f'mode of {name} must be "batch", "pair" or "elem" here, not {transform.mode!r}'
        )
    minmax = transform.cutmix_minmax
    rule = TimmRule(
        mixup_alpha=float(transform.mixup_alpha),
        cutmix_alpha=float(transform.cutmix_alpha),
        cutmix_minmax=None if minmax is None else (float(minmax[0]), float(minmax[1])),
        mix_prob=float(transform.mix_prob),
        switch_prob=float(transform.switch_prob),
        mode=transform.mode,
        correct_lam=bool(transform.correct_lam),
        label_smoothing=float(transform.label_smoothing),
        num_classes=transform.num_classes,
        mixup_enabled=bool(transform.mixup_enabled),
        collates=collates,
    )
    for option in ("mixup_alpha", "cutmix_alpha"):
        if getattr(rule, option) != 0:
            check_alpha(f"{option} of {name}", getattr(rule, option))
    if rule.mixup_alpha == rule.cutmix_alpha == 0:
        raise ValueError(
            f"{name} needs mixup_alpha, cutmix_alpha or cutmix_minmax; for smoothing alone use "
            "ringfeed.transforms.LabelSmoothing"
        )
    for option in ("mix_prob", "switch_prob", "label_smoothing"):
        check_share(f"{option} of {name}", getattr(rule, option))
    check_classes(f"num_classes of {name}", rule.num_classes)
    return rule


def _timm_mixup() -> type | tuple[()]:
    base = getattr(sys.modules.get("timm.data.mixup"), "Mixup", ())
    return base if isinstance(base, type) else ()


def _is(transform: Any, module: str, name: str) -> bool:
    """Whether it is of that class, or of a subclass that behaves alike; UnsupportedTransform for
    one that does not. Imports nothing: whoever has the object has imported its module."""
    base = getattr(sys.modules.get(module), name, None)
    if not isinstance(base, type) or not isinstance(transform, base):
        return False
    if own := own_behaviour(transform, base, _BEHAVIOUR):
        _refuse(transform, f"it has {own}, which nothing calls here. {_TAKEN}")
    return True


def _refuse(transform: Any, why: str) -> NoReturn:
    shown = " ".join(repr(transform).split())
    raise UnsupportedTransform(f"batch_transform={shown}: {why}")
