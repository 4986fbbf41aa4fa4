"""Whole images as tensors."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeAlias, overload

import torch
from torch.utils.data import get_worker_info

from . import _ringfeed
from ._limits import DecodeLimits, decode_options
from ._numbers import whole
from .errors import LoadError

_Image: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview"


def decode(image: _Image, *, limits: DecodeLimits | None = None) -> torch.Tensor:
    """An image file's pixels: a uint8 tensor [H, W, 3], equal to what Pillow's
    `Image.open(...).convert("RGB")` gives, bit for bit.

    >>> import ringfeed
    >>> pixels = ringfeed.decode("imagenet/train/n01440764/0.jpg")
    >>> pixels.shape, pixels.dtype
    (torch.Size([240, 260, 3]), torch.uint8)
    >>> from pathlib import Path
    >>> file = Path("imagenet/train/n01440764/0.jpg").read_bytes()
    >>> ringfeed.decode(file).equal(pixels)
    True

    - `image`: the path of a JPEG or PNG, or the encoded bytes themselves.
    - `limits`: see DecodeLimits, whose `max_canvas_bytes` does not matter here. An image between
      PIL.Image.MAX_IMAGE_PIXELS and twice as many is decoded without Pillow's warning.

    As with `convert("RGB")`, EXIF's orientation is not applied, CMYK is converted by Pillow's
    formula and without a colour profile, and alpha is dropped, not blended. A file that is cut is
    an error; where PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set, it is decoded as Pillow then does.
    Reads and decodes in the calling thread, without the GIL; any thread may.

    Raises LoadError, which is also a FileNotFoundError and so on, a PIL.UnidentifiedImageError or
    a PIL.Image.DecompressionBombError where Pillow raises that. Its message and `filename` name
    the path, or "<bytes>". Other formats are an error that names the format.
    """
    return _decode(image, "image", "<bytes>", _options(limits))


@overload
def decode_many(
    images: Iterable[_Image],
    *,
    num_threads: int | None = ...,
    limits: DecodeLimits | None = ...,
    on_error: Literal["raise"] = ...,
) -> list[torch.Tensor]: ...
@overload
def decode_many(
    images: Iterable[_Image],
    *,
    num_threads: int | None = ...,
    limits: DecodeLimits | None = ...,
    on_error: Literal["return"],
) -> list[torch.Tensor | LoadError]: ...
def decode_many(
    images: Iterable[_Image],
    *,
    num_threads: int | None = None,
    limits: DecodeLimits | None = None,
    on_error: str = "raise",
) -> Any:
    """`decode` of many images by several threads: a list of their tensors, in the same order.

    >>> import ringfeed
    >>> paths = [f"imagenet/train/n01440764/{number}.jpg" for number in range(4)]
    >>> [tuple(pixels.shape) for pixels in ringfeed.decode_many(paths, num_threads=2)]
    [(240, 260, 3), (240, 260, 3), (240, 260, 3), (240, 260, 3)]
    >>> results = ringfeed.decode_many([paths[0], b"no image"], on_error="return")
    >>> print(results[1])
    decode: <bytes at 1>: neither a JPEG nor a PNG; convert the file or remove it

    - `images`: paths and encoded bytes, also mixed. All their tensors are in memory at once.
    - `num_threads`: None: one for each core that this process may use; one in a worker process of
      torch's DataLoader, as of torch's own code.
    - `limits`: of each image; see `decode`.
    - `on_error`: "raise": the first failure in the order of `images` is raised, no further image is
      begun, and no tensor comes back. "return": the list has the LoadError in its place.

    A LoadError names the path, or for bytes their place in `images`. Raises it, and ValueError or
    TypeError for wrong arguments, also for an item that is neither path nor bytes, which they name.
    """
    if isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike)):
        raise TypeError("images is one image: pass a list of them, or use ringfeed.decode()")
    items = list(images)
    if num_threads is None:
        num_threads = _ringfeed.usable_cores() if get_worker_info() is None else 1
    elif (num_threads := whole("num_threads", num_threads)) < 1:
        raise ValueError(f"num_threads must be at least 1, not {num_threads}")
    if on_error not in ("raise", "return"):
        raise ValueError(f'on_error must be "raise" or "return", not {on_error!r}')
    options = _options(limits)

    failed = [len(items)]  # a place at which an image failed: none after it is begun

    def decode_one(at: int) -> torch.Tensor | LoadError | None:
        if at > failed[0]:
            return None
        try:
            return _decode(items[at], f"images[{at}]", f"<bytes at {at}>", options)
        except LoadError as error:
            if on_error == "return":
                return error.with_traceback(None)  # whose frames hold all the items
            failed[0] = min(failed[0], at)
            raise
        except BaseException:
            failed[0] = min(failed[0], at)
            raise

    threads = min(num_threads, len(items))
    if threads <= 1:
        return [decode_one(at) for at in range(len(items))]
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ringfeed.decode")
    try:
        return list(pool.map(decode_one, range(len(items))))
    finally:
        pool.shutdown(cancel_futures=True)


def _options(limits: DecodeLimits | None) -> dict[str, Any]:
    options = decode_options(limits)
    del options["max_canvas_bytes"]
    return options


def _decode(image: _Image, argument: str, label: str, options: dict[str, Any]) -> torch.Tensor:
    try:
        return torch.from_dlpack(_ringfeed.decode_image(image, label, **options))
    except (BufferError, TypeError, ValueError) as error:
        if isinstance(error, LoadError) or (wrong := _wrong(image, argument)) is None:
            raise
        raise wrong from None


def _wrong(image: Any, argument: str) -> Exception | None:
    """Why it names no file and holds none."""
    if isinstance(image, str | os.PathLike):
        path = os.fsencode(image)
        if b"\0" not in path:
            return None
        return ValueError(
            f"{argument} is a path with a null character, which no file's has: {image!r}. Encoded "
            "images are passed as bytes"
        )
    kind = type(image).__name__
    try:
        contiguous = memoryview(image).c_contiguous
    except TypeError:
        return TypeError(f"{argument} must be a path or the bytes of an image file, not {kind}")
    if contiguous:
        return None
    return ValueError(
        f"{argument} is a {kind} of bytes that are not side by side in memory: pass "
        f"bytes({argument})"
    )


# Where users import them from, which pickles then name too.
decode.__module__ = decode_many.__module__ = __package__
