"""Several views of one image."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from . import _ringfeed

__all__ = ["Views"]


class Views:
    """Several views of one image, such as two crops: a list with what each transform makes of it.

    >>> from torchvision import transforms
    >>> from ringfeed import DataLoader, ImageFolder
    >>> from ringfeed.transforms import Views
    >>> large = transforms.Compose([transforms.RandomResizedCrop(224), transforms.ToTensor()])
    >>> small = transforms.Compose([transforms.RandomResizedCrop(96), transforms.ToTensor()])
    >>> dataset = ImageFolder("imagenet/train", Views([large, large, small]))
    >>> views, labels = next(iter(DataLoader(dataset, batch_size=4, num_workers=2)))
    >>> [tuple(images.shape) for images in views]
    [(4, 3, 224, 224), (4, 3, 224, 224), (4, 3, 96, 96)]

    A DataLoader decodes each file once for all of them, and draws for each view apart, also where
    the same transform is given twice. Called on a PIL image it is a transform like any other.
    """

    def __init__(self, transforms: Iterable[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)
        most = _ringfeed.largest["views"]
        if not 1 <= len(self.transforms) <= most:
            raise ValueError(
                f"Views takes 1 to {most} transforms, one for each view, not {len(self.transforms)}"
            )
        for number, transform in enumerate(self.transforms, start=1):
            if not callable(transform):
                raise TypeError(f"view {number} cannot be called: {transform!r}")

    def __call__(self, image: Any) -> list[Any]:
        return [transform(image) for transform in self.transforms]

    def __repr__(self) -> str:
        return "\n".join(["Views(", *(f"    {t!r}" for t in self.transforms), ")"])
