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
    give images that wait in turn. `resize`, or whatever else needs pixels, decodes; the rest is
    Pillow's own code, and a loaded image is of Pillow's own class. The second time that something
    is derived from an image, all of it is decoded, and kept as Pillow keeps it. Threads may share
    an image wherever they may share Pillow's.

    An image that could fail later (cut, damaged, a progressive JPEG), or is of another mode than
    RGB and L, is Pillow's object as it is; so is every one with Pillow before 11.

    Raises what `PIL.Image.open` raises, and where it does.
    """
    from ._late_open import open_late

    return open_late(fp, mode, formats)


def pil_loader(path: str | os.PathLike[Any]) -> Image.Image:
    """torchvision's default loader with `ringfeed.open`: for `ImageFolder(root, loader=...)`.

    >>> from torchvision.datasets import ImageFolder
    >>> import ringfeed
    >>> dataset = ImageFolder("imagenet/train", loader=ringfeed.pil_loader)
    >>> image, label = dataset[0]
    >>> image.mode, image.size
    ('RGB', (260, 240))

    ringfeed.DataLoader never calls it, and reads such a dataset itself. Gives an image of mode RGB.
    Raises what `PIL.Image.open` raises, and OSError for a file that is cut or damaged.
    """
    return open(path).convert("RGB")


# Where users import them from, which pickles then name too.
open.__module__ = pil_loader.__module__ = __package__
