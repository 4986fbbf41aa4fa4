"""MixUp, CutMix and label smoothing, as `batch_transform=` of a DataLoader takes them."""

from __future__ import annotations

from dataclasses import dataclass

from ._mixing_rules import Choice, Kind, check_choice

__all__ = ["CutMix", "LabelSmoothing", "MixUp"]


@dataclass(frozen=True)
class MixUp:
    """torchvision's v2.MixUp on the batches of a DataLoader, with ringfeed's draws.

    >>> from torchvision.transforms import CenterCrop, Compose, ToTensor
    >>> from ringfeed import DataLoader, ImageFolder
    >>> from ringfeed.transforms import MixUp
    >>> dataset = ImageFolder("imagenet/train", Compose([CenterCrop(224), ToTensor()]))
    >>> mixup = MixUp(num_classes=len(dataset.classes), alpha=0.2)
    >>> images, targets = next(iter(DataLoader(dataset, batch_size=4, batch_transform=mixup)))
    >>> images.shape, targets.shape, targets.dtype
    (torch.Size([4, 3, 224, 224]), torch.Size([4, 2]), torch.float32)

    Each image becomes lam times itself plus 1 - lam times the one before it in the batch, the first
    of them the last; the targets are mixed alike. lam is drawn once a batch, from
    Beta(alpha, alpha).

    Args:
        num_classes: Columns of the targets; labels are below it.
        alpha: Of the Beta distribution, from 1e-6 to 1e6.
        label_smoothing: In the target, before it is mixed: 1 - s + s / num_classes for the class,
            s / num_classes for the others. With a loss that smooths too it would count twice.
    """

    num_classes: int
    alpha: float = 1.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        check_choice(choice_of(self), f"{type(self).__name__}()")


@dataclass(frozen=True)
class CutMix:
    """torchvision's v2.CutMix on the batches of a DataLoader, with ringfeed's draws.

    >>> from torchvision.transforms import v2
    >>> from ringfeed.transforms import CutMix, MixUp
    >>> either = v2.RandomChoice([MixUp(1000, alpha=0.2), CutMix(1000)])  # for batch_transform=

    A box of each image is replaced by that of the one before it in the batch, and the targets are
    mixed by the box's area. Its place, and its size by way of Beta(alpha, alpha), are drawn once a
    batch.

    Args:
        num_classes, alpha, label_smoothing: As of MixUp.
    """

    num_classes: int
    alpha: float = 1.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        check_choice(choice_of(self), f"{type(self).__name__}()")


@dataclass(frozen=True)
class LabelSmoothing:
    """Labels as smoothed float targets, and images as they are: for a DataLoader's batches, alone
    or among the choices of v2.RandomChoice.

    >>> from ringfeed.transforms import LabelSmoothing
    >>> smoothing = LabelSmoothing(1000, 0.1)  # for batch_transform=

    Args:
        num_classes: Columns of the targets; labels are below it.
        label_smoothing: s of 1 - s + s / num_classes for the class and s / num_classes for the
            others, in [0, 1]. With 0 the targets are one-hot.
    """

    num_classes: int
    label_smoothing: float = 0.1

    def __post_init__(self) -> None:
        check_choice(choice_of(self), f"{type(self).__name__}()")


def choice_of(transform: MixUp | CutMix | LabelSmoothing) -> Choice:
    """For the compiler: as floats, so that 1 and 1.0 are one recipe; what is no number is left for
    the check."""
    alpha = 0.0 if isinstance(transform, LabelSmoothing) else transform.alpha
    alpha, smoothing = (
        float(n) if type(n) is int else n for n in (alpha, transform.label_smoothing)
    )
    return Choice(_KINDS[type(transform)], alpha, transform.num_classes, smoothing)


_KINDS: dict[type, Kind] = {MixUp: "mixup", CutMix: "cutmix", LabelSmoothing: "none"}
