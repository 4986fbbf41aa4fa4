"""The data module's options of mixing."""

from __future__ import annotations

from typing import Any

from ._mixing import CutMix, LabelSmoothing, MixUp
from ._mixing_rules import check_alpha, check_classes
from ._numbers import check_share


def check_mixing_options(
    *,
    mixup_alpha: float,
    cutmix_alpha: float,
    mix_prob: float,
    switch_prob: float,
    label_smoothing: float,
    num_classes: int | None,
) -> None:
    """Raises ValueError or TypeError, naming the option."""
    for option, alpha in (("mixup_alpha", mixup_alpha), ("cutmix_alpha", cutmix_alpha)):
        if alpha != 0:
            check_alpha(f"{option}, where it is not 0,", alpha)
    check_share("mix_prob", mix_prob)
    check_share("switch_prob", switch_prob)
    check_share("label_smoothing", label_smoothing)
    if mix_prob != 1 and mixup_alpha == cutmix_alpha == 0:
        raise ValueError(f"mix_prob={mix_prob} needs mixup_alpha or cutmix_alpha above 0")
    if num_classes is not None:
        check_classes("num_classes", num_classes)


def batch_transform_of(
    *,
    mixup_alpha: float,
    cutmix_alpha: float,
    mix_prob: float,
    switch_prob: float,
    label_smoothing: float,
    num_classes: int,
) -> Any:
    """What DataLoader takes; None where nothing is asked for."""
    if mixup_alpha == cutmix_alpha == label_smoothing == 0:
        return None
    cut = switch_prob if mixup_alpha and cutmix_alpha else float(cutmix_alpha > 0)
    mixed = mix_prob if mixup_alpha or cutmix_alpha else 0.0
    weights = mixed * (1 - cut), mixed * cut, 1 - mixed
    choices: list[Any] = [
        MixUp(num_classes, mixup_alpha or 1.0, label_smoothing),
        CutMix(num_classes, cutmix_alpha or 1.0, label_smoothing),
        LabelSmoothing(num_classes, label_smoothing),
    ]
    if 1.0 in weights:
        return choices[weights.index(1.0)]
    from torchvision.transforms import v2

    used = [(weight, choice) for weight, choice in zip(weights, choices) if weight > 0]
    return v2.RandomChoice([choice for _, choice in used], p=[weight for weight, _ in used])
