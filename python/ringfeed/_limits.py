"""What one image file may ask for."""

from __future__ import annotations

from dataclasses import dataclass, fields

from . import _ringfeed
from ._numbers import whole

_DEFAULT = _ringfeed.default_limits
_LARGEST = _ringfeed.largest


@dataclass(frozen=True)
class DecodeLimits:
    """What one image file may ask for before it is an error, so that no file takes the machine
    down. The defaults suit photos of any camera.

    >>> from ringfeed import DecodeLimits
    >>> DecodeLimits(max_pixels=50_000_000).max_pixels
    50000000

    - `max_pixels`: of an image. The default is where Pillow's DecompressionBombError begins.
    - `max_file_bytes`: of an encoded file; the loader keeps this much memory for one large file.
    - `max_scans`: of a progressive JPEG.
    - `max_decoder_bytes`: what decoding one image may take, which is memory of each worker.
    - `max_canvas_bytes`: an image in memory as a whole, at 3 bytes a pixel, where the transform
      does something to it before its first crop; some 6 times that is then memory of each worker
      and view.

    Raises ValueError or TypeError naming the argument.
    """

    max_pixels: int = _DEFAULT["max_pixels"]
    max_file_bytes: int = _DEFAULT["max_file_bytes"]
    max_scans: int = _DEFAULT["max_scans"]
    max_decoder_bytes: int = _DEFAULT["max_decoder_bytes"]
    max_canvas_bytes: int = _DEFAULT["max_canvas_bytes"]

    def __post_init__(self) -> None:
        for field in fields(self):
            name = field.name
            value = whole(name, getattr(self, name))
            if not 1 <= value <= _LARGEST[name]:
                raise ValueError(f"{name} must be in [1, {_LARGEST[name]}], not {value}")
            object.__setattr__(self, name, value)


# Where users import it from, which pickles then name too.
DecodeLimits.__module__ = __package__
