"""What ringfeed.open does: Pillow's object of the whole file, made late where that is safe."""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Sequence
from typing import Any

import PIL
from PIL import Image

from ._late_image import is_late, make_late
from ._late_window import PILLOW_MAJOR, pillow_open
from ._read_ahead import take
from ._ringfeed import inspect_image

_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


def open_late(fp: Any, mode: Any = "r", formats: Any = None) -> Image.Image:
    """See ringfeed.open."""
    if isinstance(fp, (bytes, bytearray, memoryview)):
        fp = io.BytesIO(fp)
    wrong = mode != "r" or isinstance(fp, io.StringIO)  # which Pillow says
    if wrong or not (formats is None or isinstance(formats, (list, tuple))) or not _ENABLED:
        return pillow_open(fp, mode, formats)
    filename: Any = ""
    if isinstance(fp, (str, os.PathLike)):
        filename = os.fspath(fp)
        announced = take(filename)
        if announced is None:
            with builtins.open(filename, "rb") as file:
                data = _image_bytes(file)
        else:
            data = announced
    else:
        try:
            fp.seek(0)
        except (AttributeError, io.UnsupportedOperation):
            fp = io.BytesIO(fp.read())
        data = _image_bytes(fp)
    if not data.startswith(_STARTS):
        return pillow_open(fp, mode, formats)
    try:
        image = pillow_open(io.BytesIO(data), mode, formats)
    except PIL.UnidentifiedImageError:
        message = f"cannot identify image file {filename or fp!r}"
        raise PIL.UnidentifiedImageError(message) from None
    if filename:
        image.filename = filename
        image._exclusive_fp = True
    _make_late_if_sound(image, data)
    return image


def _image_bytes(file: Any) -> bytes:
    """All of the file if it is a JPEG or PNG, else its beginning."""
    start = file.read(16)
    return start + file.read() if start.startswith(_STARTS) else start


def _make_late_if_sound(image: Any, data: bytes) -> None:
    """Where nothing in the bytes can raise later what Pillow would raise now, and the conversion to
    RGB is one that the core does as Pillow."""
    if image.mode not in ("RGB", "L") or "transparency" in image.info:
        return
    if inspect_image(data) == (*image.size, image.mode, True):
        make_late(image, data)


def _test_uses(image: Any) -> Sequence[Any]:
    flip = Image.Transpose.FLIP_LEFT_RIGHT
    rgb = image.convert("RGB")
    return [
        rgb.crop((3, 2, 17, 11)).resize((9, 5), Image.Resampling.BILINEAR),
        rgb.transpose(flip).crop((1, 0, 12, 9)),
        rgb,
        image.crop((2, 2, 9, 9)),
        image.resize((7, 4)),
        image,
    ]


def _agrees_with_pillow() -> bool:
    """Whether every override gives what this Pillow gives, for a small image of each kind."""
    if PILLOW_MAJOR < 11:
        return False
    ramp = Image.linear_gradient("L").resize((19, 13))
    coloured = Image.merge("RGB", [ramp, ramp.transpose(Image.Transpose.ROTATE_180), ramp])
    try:
        for format in ("JPEG", "PNG"):
            for picture in (ramp, coloured):
                file = io.BytesIO()
                picture.save(file, format)
                late = pillow_open(io.BytesIO(file.getvalue()))
                _make_late_if_sound(late, file.getvalue())
                if not is_late(late):
                    return False
                theirs = _test_uses(pillow_open(file))
                for one, other in zip(_test_uses(late), theirs, strict=True):
                    if repr(one).split(" at ")[0] != repr(other).split(" at ")[0] or one != other:
                        return False
    except Exception:
        return False
    return True


_ENABLED = _agrees_with_pillow()
