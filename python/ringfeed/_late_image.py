"""Images that decode late: Pillow's own objects, whose pixels come once something reads them.

An image is late while its __dict__ lacks what holds pixels (`_im`; of an opened one also `tile` and
`fp`). Pillow's code reaches pixels through these alone, so that __getattr__ is asked, loads, and
gives the object Pillow's own class again. So every other attribute and method is right without
being known here.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from PIL import Image, JpegImagePlugin, PngImagePlugin

from ._late_window import Size, Window, inside, resized

# Where Pillow's code finds the pixels of an image that it has opened, or the way to them.
_HELD = ("_im", "tile", "fp")


def make_late(image: Any, data: bytes) -> None:
    """Of an image that Pillow has opened, and not loaded, from these bytes; nothing happens where
    its class is not Pillow's own of JPEG or PNG."""
    late_class = _LATE_CLASSES.get(type(image))
    if late_class is not None:
        image._late = _File(data, image)
        image.__class__ = late_class


def is_late(image: object) -> bool:
    return type(image) in _PLAIN_CLASSES


class _Part:
    """What a late image of convert() or crop() knows."""

    __slots__ = ("asked", "lock", "window")

    def __init__(self, window: Window) -> None:
        self.window = window
        self.asked = False
        self.lock = threading.RLock()


class _File:
    """What a late image of open() knows: its bytes, and how open() has left it."""

    __slots__ = ("data", "fp", "held", "lock", "size", "tile")

    def __init__(self, data: bytes, image: Any) -> None:
        self.data = data
        self.size: Size = image.size
        self.tile, self.fp = image.tile, image.fp
        # The image's attributes of _HELD, once something has been derived from it: Pillow would
        # have loaded it there.
        self.held: dict[str, Any] | None = None
        self.lock = threading.RLock()

    def untouched(self, image: Any) -> bool:
        """Not loaded, drafted, verified or closed."""
        state = image.__dict__
        return (
            state["_im"] is None
            and state["tile"] is self.tile
            and state["fp"] is self.fp
            and image.size == self.size
            and not image.decoderconfig
            and "transparency" not in image.info
        )


class _Derived(Image.Image):
    """Of mode RGB, from convert(), crop() or transpose() of a late image."""

    _late: _Part

    def __getattr__(self, name: str) -> Any:
        if name == "_im":
            _settle(self)
            return self.__dict__["_im"]
        return _missing(Image.Image, self, name)

    def convert(self, mode: Any = None, *args: Any, **options: Any) -> Image.Image:
        if mode == "RGB" and not args and not options:
            window = _ask(self)
            if window is not None:
                return _derive(self, window, self._size)
        return Image.Image.convert(self, mode, *args, **options)

    def copy(self) -> Image.Image:
        window = _ask(self)
        return Image.Image.copy(self) if window is None else _derive(self, window, self._size)

    def crop(self, box: Any = None) -> Image.Image:
        pixels = inside(box, self._size)
        window = None if pixels is None else _ask(self)
        if pixels is None or window is None:
            return Image.Image.crop(self, box)
        size = pixels[2] - pixels[0], pixels[3] - pixels[1]
        Image._decompression_bomb_check(size)
        return _derive(self, window.crop(*pixels), size)

    def resize(
        self,
        size: Any,
        resample: int | None = None,
        box: Any = None,
        reducing_gap: float | None = None,
    ) -> Image.Image:
        wanted = resized(self._size, size, resample, box, reducing_gap)
        window = None if wanted is None else _ask(self)
        if wanted is None or window is None:
            return Image.Image.resize(self, size, resample, box, reducing_gap)
        image = window.decode(*wanted)
        image.info = _copied_info(self)
        return image

    def transpose(self, method: Any) -> Image.Image:
        flips = isinstance(method, int) and method == Image.Transpose.FLIP_LEFT_RIGHT
        window = _ask(self) if flips else None
        if window is None:
            return Image.Image.transpose(self, method)
        return _derive(self, window.mirror(), self._size)

    def __eq__(self, other: object) -> bool:
        return _equal(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: Any) -> Any:
        _settle(self)
        return self.__reduce_ex__(protocol)


def _by_way_of_rgb(method: Callable[..., Any]) -> Callable[..., Any]:
    """Of an opened image of mode RGB what the method gives is what convert("RGB") would give."""

    @functools.wraps(method)
    def late_method(image: Any, *args: Any, **options: Any) -> Any:
        whole = _whole(image) if image.mode == "RGB" else None
        if whole is None:
            return method(image, *args, **options)
        return getattr(whole, method.__name__)(*args, **options)

    return late_method


def _late_class(plain: Any) -> type:
    """A subclass of one of Pillow's classes for files: of an image that open() made late."""

    class Opened(plain):  # type: ignore[misc]
        def __getattr__(self, name: str) -> Any:
            if name in _HELD:
                _settle(self)
                return self.__dict__[name]
            return _missing(plain, self, name)

        def convert(self, mode: Any = None, *args: Any, **options: Any) -> Image.Image:
            if mode == "RGB" and not args and not options:
                whole = _whole(self)
                if whole is not None:
                    return whole
            return plain.convert(self, mode, *args, **options)

        def load(self) -> Any:
            file = self.__dict__.get("_late")
            if file is None:
                return plain.load(self)
            with file.lock:
                pixels = plain.load(self)
                _settle(self)
                return pixels

        def close(self) -> None:
            file = self.__dict__.get("_late")
            if file is not None:
                with file.lock:
                    if file.held is not None:
                        self.__dict__.update(_im=None, tile=[], fp=None)
                    _become_plain(self)
            plain.close(self)

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *args: object) -> None:
            file = self.__dict__.get("_late")
            # Of a loaded one Pillow has closed the file already.
            if file is None or file.held is None:
                plain.__exit__(self, *args)

        def __eq__(self, other: object) -> bool:
            return _equal(self, other)

        __hash__ = None  # type: ignore[assignment]

        def __reduce_ex__(self, protocol: Any) -> Any:
            _settle(self)
            return self.__reduce_ex__(protocol)

    for name in ("copy", "crop", "resize", "transpose"):
        setattr(Opened, name, _by_way_of_rgb(getattr(plain, name)))
    Opened.__name__, Opened.__qualname__ = plain.__name__, plain.__qualname__
    Opened.__module__ = plain.__module__
    return Opened


_LATE_CLASSES: dict[type, type] = {
    plain: _late_class(plain)
    for plain in (JpegImagePlugin.JpegImageFile, PngImagePlugin.PngImageFile)
}
_PLAIN_CLASSES: dict[type, type] = {late: plain for plain, late in _LATE_CLASSES.items()}
_PLAIN_CLASSES[_Derived] = Image.Image
_Derived.__name__ = _Derived.__qualname__ = Image.Image.__name__
_Derived.__module__ = Image.Image.__module__


def _plain_class(image: object) -> Any:
    """Pillow's own class of an image, which another thread may have given it already."""
    return _PLAIN_CLASSES.get(type(image), type(image))


def _missing(plain: Any, image: object, name: str) -> Any:
    if hasattr(plain, "__getattr__"):
        return plain.__getattr__(image, name)
    message = f"{type(image).__name__!r} object has no attribute {name!r}"
    raise AttributeError(message, name=name, obj=image)


def _settle(image: Any) -> None:
    """Makes a late image the one that Pillow would have by now. Threads that come meanwhile wait;
    the class changes last, when all attributes are there."""
    late = image.__dict__.get("_late")
    if late is None:
        image.__class__ = _plain_class(image)
        return
    with late.lock:
        state = image.__dict__
        if "_late" not in state:
            return
        if isinstance(late, _Part):
            if "_im" not in state:
                width, height = image._size
                state["_im"] = late.window.decode((width, height), Image.Resampling.NEAREST).im
        elif late.held is not None:
            _load_held(image, late.held)
        _become_plain(image)


def _load_held(image: Any, held: dict[str, Any]) -> None:
    """Pillow loads a twin, so that no other thread sees the image half loaded."""
    state = image.__dict__
    if "_im" in state:  # assigned since
        state.update(tile=[], fp=None)
        return
    plain = _plain_class(image)
    twin = plain.__new__(plain)
    twin.__dict__.update(state, **held)
    del twin.__dict__["_late"]
    twin.load()
    state.update(twin.__dict__)


def _become_plain(image: Any) -> None:
    image.__dict__.pop("_late", None)
    image.__class__ = _plain_class(image)


def _ask(image: _Derived) -> Window | None:
    """The window of a late image, the first time. None: it is loaded, and goes on as Pillow's."""
    part = image.__dict__.get("_late")
    if part is None:
        return None
    with part.lock:
        if "_im" not in image.__dict__ and not part.asked:
            part.asked = True
            return part.window
        _settle(image)
        return None


def _whole(image: Any) -> Image.Image | None:
    """All of an opened image in RGB, late, the first time. None: Pillow shall go on with it."""
    file = image.__dict__.get("_late")
    if file is None:
        return None
    with file.lock:
        if file.held is not None:
            _settle(image)
            return None
        if "_late" not in image.__dict__ or not file.untouched(image):
            return None
        whole = _derive(image, Window(file.data, (0, 0, *file.size), False), file.size)
        file.held = {name: image.__dict__.pop(name) for name in _HELD}
        return whole


def _derive(origin: Any, window: Window, size: Size) -> Image.Image:
    image = _Derived()
    del image.__dict__["_im"]
    image._mode = "RGB"
    image._size = size
    image.info = _copied_info(origin)
    image._late = _Part(window)
    return image


def _copied_info(image: Any) -> Any:
    # Pillow 11.3 copies the dict alone.
    return image._copy_info() if hasattr(image, "_copy_info") else image.info.copy()


def _equal(image: object, other: object) -> bool:
    if not isinstance(other, Image.Image):
        return False
    for one in (image, other):
        if is_late(one):
            _settle(one)
    return image == other
