"""Opening one image, wherever a script does it by itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image


def open(
    fp: str | os.PathLike[Any] | bytes | IO[bytes],
    mode: str = "r",
    formats: Sequence[str] | None = None,
) -> Image.Image:
    """`PIL.Image.open`, whose JPEG and PNG images decode late: where a script crops and resizes,
    only that window is decoded, without the GIL, to the same pixels.

    >>> import io, PIL.Image, ringfeed
    >>> file = io.BytesIO()
    >>> PIL.Image.linear_gradient("L").convert("RGB").save(file, "JPEG")
    >>> image = ringfeed.open(file)
    >>> image.format, image.size, isinstance(image, PIL.Image.Image)
    ('JPEG', (256, 256), True)
    >>> image.convert("RGB").crop((20, 30, 120, 90)).resize((50, 30)).getpixel((0, 0))
    (30, 30, 30)

    - `fp`: a path, an open binary file, or the encoded bytes themselves. All of the file is read
      here, so that it may be closed or removed afterwards.
    - `mode`, `formats`: Pillow's.

    What comes back is the object that Pillow makes, its class replaced by a subclass of the same
    name that knows its bytes. `convert("RGB")`, `crop`, `transpose(FLIP_LEFT_RIGHT)` and `copy`
    wait; `resize`, or whatever needs pixels, decodes, and what it gives is a plain image. Whatever
    else is done with an image is Pillow's own code. The second window that is asked of one image
    decodes all of it, once. An image whose bytes could fail later on (cut or damaged), a
    progressive JPEG, any mode but RGB and L is Pillow's object as it is; so is every image with
    Pillow before 11. Threads may share what `convert` and `crop` give.

    Raises what `PIL.Image.open` raises, and where it does.
    """
    from ._late_open import open_late

    return open_late(fp, mode, formats)


def pil_loader(path: str | os.PathLike[Any]) -> Image.Image:
    """torchvision's default loader with `ringfeed.open`: for `ImageFolder(root, loader=...)`.

    >>> from torchvision.datasets import ImageFolder
    >>> import ringfeed
    >>> dataset = ImageFolder(root, loader=ringfeed.pil_loader)  # doctest: +SKIP

    Gives an image of mode RGB. Raises what `PIL.Image.open` raises, and OSError for a file that is
    cut or damaged.
    """
    return open(path).convert("RGB")


# Where users import them from, which pickles then name too.
open.__module__ = pil_loader.__module__ = __package__
