"""timm's AugMixAugment made again with NumPy and Pillow, from the weights of a row."""

from __future__ import annotations

from typing import Any

import numpy as np


class ChainMix:
    """The image that the chains begin with, and what they have added up to so far."""

    def __init__(self, original: Any, blended: bool) -> None:
        self.original = original
        self.mixed: Any = original if blended else np.zeros_like(original, dtype=np.float32)

    def take(self, kind: str, weight: float, image: Any) -> Any:
        """The image after this operation."""
        from PIL import Image

        match kind:
            case "mix_add":
                self.mixed += np.float32(weight) * np.asarray(image, dtype=np.float32)
            case "mix_blend":
                self.mixed = Image.blend(self.mixed, image, weight)
            case "mix_end":
                mixed = self.mixed
                if not isinstance(mixed, Image.Image):
                    mixed = Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))
                return Image.blend(self.original, mixed, weight)
        return self.original
