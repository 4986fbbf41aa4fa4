"""A part of an image file that nobody has decoded, and what of Pillow's crop() and resize() it can
serve."""

from __future__ import annotations

import io
import operator
from typing import Any, NamedTuple

import PIL
from PIL import Image

from ._code import copy_of
from ._ringfeed import decode_window

# PIL.Image.open may become ringfeed's.
pillow_open = copy_of(Image.open)
PILLOW_MAJOR = int(PIL.__version__.split(".")[0])
_FILTERS: dict[int, Any] = {
    Image.Resampling.NEAREST: "nearest",
    Image.Resampling.BOX: "box",
    Image.Resampling.BILINEAR: "bilinear",
    Image.Resampling.HAMMING: "hamming",
    Image.Resampling.BICUBIC: "bicubic",
    Image.Resampling.LANCZOS: "lanczos",
}
Box = tuple[int, int, int, int]
Size = tuple[int, int]


class Window(NamedTuple):
    """A box of a file's image in RGB, mirrored or not."""

    data: bytes
    box: Box
    mirrored: bool

    def crop(self, left: int, top: int, right: int, bottom: int) -> Window:
        if self.mirrored:
            left, right = self.box[2] - right, self.box[2] - left
        else:
            left, right = self.box[0] + left, self.box[0] + right
        return self._replace(box=(left, self.box[1] + top, right, self.box[1] + bottom))

    def mirror(self) -> Window:
        return self._replace(mirrored=not self.mirrored)

    def decode(self, size: Size, resample: int) -> Image.Image:
        try:
            pixels = decode_window(
                self.data,
                self.box,
                size,
                _FILTERS[resample],
                mirrored=self.mirrored,
                pillow13=PILLOW_MAJOR >= 13,
            )
        except ValueError:  # Pillow has the last word
            image = pillow_open(io.BytesIO(self.data)).convert("RGB").crop(self.box)
            if self.mirrored:
                image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            return image.resize(size, resample)
        return Image.frombytes("RGB", size, pixels)


def inside(box: Any, size: Size) -> Box | None:
    """The pixels that crop(box) takes, if there are some and all lie within the image, and not all
    of it is meant."""
    if not isinstance(box, (tuple, list)) or len(box) != 4 or box == (0, 0, *size):
        return None
    try:
        left, top, right, bottom = map(int, map(round, box))
    except (TypeError, ValueError, OverflowError):
        return None
    within = 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
    return (left, top, right, bottom) if within else None


def resized(
    size: Size, wanted: Any, resample: Any, box: Any, reducing_gap: Any
) -> tuple[Size, int] | None:
    """Size and filter of a resize() that decode_window() knows."""
    if resample is None:
        resample = Image.Resampling.BICUBIC
    if not isinstance(resample, int) or resample not in _FILTERS:
        return None
    whole = box is None or (isinstance(box, tuple) and box == (0, 0, *size))
    if not whole or reducing_gap is not None or not isinstance(wanted, (tuple, list)):
        return None
    try:
        width, height = map(operator.index, wanted)
    except (TypeError, ValueError):
        return None
    if not (0 < width <= 65535 and 0 < height <= 65535):
        return None
    return (width, height), resample
