"""Pillow's own Gaussian blur as a transform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ._numbers import check_number, check_share

if TYPE_CHECKING:
    from PIL import Image


class PILGaussianBlur:
    """With probability `p`, `ImageFilter.GaussianBlur` of a radius drawn from (low, high).

    The blur of many self-supervised recipes: MoCo v2 has `PILGaussianBlur((0.1, 2.0), p=0.5)`.
    torchvision's GaussianBlur is another: it computes on tensors, and its bits depend on the
    processor. A plain transform of a PIL image too, with torch's random numbers. ValueError or
    TypeError for numbers that make no sense.

    >>> from PIL import Image
    >>> from ringfeed.transforms import PILGaussianBlur
    >>> PILGaussianBlur(radius=(0.1, 2.0), p=0.5)(Image.new("RGB", (8, 8))).size
    (8, 8)
    """

    def __init__(self, radius: tuple[float, float], p: float = 1.0) -> None:
        if not isinstance(radius, list | tuple) or len(radius) != 2:
            raise TypeError(f"radius must be (low, high), not {radius!r}")
        for number in radius:
            check_number("radius", number)
        if not 0 <= radius[0] <= radius[1] <= 1000:
            raise ValueError(f"radius must be (low, high) in [0, 1000], not {radius!r}")
        check_share("p", p)
        self.radius = float(radius[0]), float(radius[1])
        self.p = p

    def __call__(self, image: Image.Image) -> Image.Image:
        from PIL import ImageFilter

        if torch.rand(1).item() >= self.p:
            return image
        radius = torch.empty(1).uniform_(*self.radius).item()
        return image.filter(ImageFilter.GaussianBlur(radius))

    def __repr__(self) -> str:
        return f"PILGaussianBlur(radius={self.radius}, p={self.p})"
