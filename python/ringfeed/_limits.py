"""What one image file may ask for."""

from __future__ import annotations

import sys
import warnings
from dataclasses import asdict, dataclass, fields
from typing import Any

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

    - `max_pixels`: of an image. None: what Pillow accepts, which is twice
      PIL.Image.MAX_IMAGE_PIXELS, as it stands when an epoch begins, and any size where that is
      None.
    - `max_file_bytes`: of an encoded file; the loader keeps this much memory for one large file.
    - `max_scans`: of a JPEG of at most 1.6 megapixels; fewer the larger it is, and a tenth of them
      from 16 megapixels on; a quarter of these in arithmetic coding. So no file takes much longer
      than a second for 16 megapixels.
    - `max_decoder_bytes`: what decoding one image may take; the workers share memory for it.
    - `max_canvas_bytes`: an image in memory as a whole, at 3 bytes a pixel, where the transform
      does something to it before its first crop; some 6 times that is then memory of each worker
      and view.

    Raises ValueError or TypeError naming the argument.
    """

    max_pixels: int | None = None
    max_file_bytes: int = _DEFAULT["max_file_bytes"]
    max_scans: int = _DEFAULT["max_scans"]
    max_decoder_bytes: int = _DEFAULT["max_decoder_bytes"]
    max_canvas_bytes: int = _DEFAULT["max_canvas_bytes"]

    def __post_init__(self) -> None:
        for field in fields(self):
            name = field.name
            if name == "max_pixels" and self.max_pixels is None:
                continue
            value = whole(name, getattr(self, name))
            if not 1 <= value <= _LARGEST[name]:
                raise ValueError(f"{name} must be in [1, {_LARGEST[name]}], not {value}")
            object.__setattr__(self, name, value)


# Where users import it from, which pickles then name too.
DecodeLimits.__module__ = __package__


def decode_options(limits: DecodeLimits | None) -> dict[str, Any]:
    """The core's options of these limits and, where they leave it open, of Pillow's settings."""
    options = asdict(limits or DecodeLimits())
    if options["max_pixels"] is None:
        options["max_pixels"] = _most_for_pillow()
    # What scripts set where a dataset has damaged files.
    image_file = sys.modules.get("PIL.ImageFile")
    truncated = image_file is not None and bool(image_file.LOAD_TRUNCATED_IMAGES)
    return {**options, "load_truncated": truncated}


def _most_for_pillow() -> int:
    """The pixels up to which Pillow opens an image: above MAX_IMAGE_PIXELS it warns, which a filter
    may turn into an error, and above twice as many it raises."""
    image = sys.modules.get("PIL.Image")
    if image is None:
        return _DEFAULT["max_pixels"]
    most = image.MAX_IMAGE_PIXELS
    if most is None:
        return _LARGEST["max_pixels"]
    if not _warns_by_error(image.DecompressionBombWarning):
        most *= 2
    # Some scripts set a float, an infinite one too.
    return max(1, int(most)) if most < _LARGEST["max_pixels"] else _LARGEST["max_pixels"]


def _warns_by_error(category: type[Warning]) -> bool:
    for action, message, wanted, module, line in warnings.filters:
        if issubclass(category, wanted) and not (message or module or line):
            return action == "error"
    return False
