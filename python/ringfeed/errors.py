"""What ringfeed raises besides ValueError and TypeError. Free of torch."""

from __future__ import annotations

import copyreg
import os
import re
from collections.abc import Sequence
from typing import Any, NoReturn

__all__ = ["LoadError", "LoadTimeout", "NotNative", "UnsupportedTransform"]


class LoadError(OSError):
    """A file or folder that cannot be loaded: as Pillow and open() do, by an OSError.

    It is what they raise too: FileNotFoundError, PermissionError and so on by `errno`, and
    PIL.UnidentifiedImageError or PIL.Image.DecompressionBombError where Pillow would raise that.

    `errno` and `strerror` are the system's, None where it was not asked: a damaged image. A batch
    with such a file counts as taken; the iterator may go on.

    >>> from ringfeed import LoadError
    >>> isinstance(LoadError("open: x.jpg: it is gone", "open", errno=2), FileNotFoundError)
    True
    """

    stage: str
    """Where it happened: "setup", "scan", "open", "read" or "decode"."""
    detail: str
    """What is wrong, and what to do about it."""

    def __init__(
        self,
        message: str,
        stage: str = "setup",
        errno: int | None = None,
        path: str | None = None,
        detail: str | None = None,
        kind: type[Exception] | None = None,
    ) -> None:
        """`kind`: what it is too; None: what OSError makes of `errno`."""
        super().__init__(*((errno, os.strerror(errno)) if errno else (message,)))
        self.filename = path or None
        if type(self) is LoadError:
            # OSError too chooses a class of its own by errno.
            self.__class__ = _class_with(kind or type(OSError(errno, "")))
        self._message = message
        self.stage = stage
        self.detail = message if detail is None else detail
        self._kind = kind

    @property
    def path(self) -> str | None:
        """The file or folder concerned; the same as `filename`."""
        return self.filename

    def __str__(self) -> str:
        return self._message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._message!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (self._message, self.stage, self.errno, self.filename, self.detail, self._kind)
        return getattr(self, "_pickled_as", type(self)), arguments


class _Kind(type):
    """The type of the classes below, which pickle cannot find by their name."""

    kind: type[Exception]


_classes: dict[type[Exception], type[LoadError]] = {OSError: LoadError}


def _class_with(kind: type[Exception]) -> type[LoadError]:
    """A LoadError that is a `kind` too."""
    if kind not in _classes:
        body = {"__module__": __name__, "__doc__": LoadError.__doc__, "_pickled_as": LoadError}
        made: Any = _Kind(LoadError.__name__, (LoadError, kind), body)
        made.kind = kind
        _classes[kind] = made
    return _classes[kind]


def _reduce_class(made: Any) -> tuple[Any, ...]:
    return _class_with, (made.kind,)


# torch's workers send the class of an exception apart from its text.
copyreg.pickle(_Kind, _reduce_class)


def pillow_error(name: str) -> type[Exception] | None:
    """PIL.Image's exception; None without Pillow."""
    try:
        from PIL import Image
    except ImportError:
        return None
    found: type[Exception] = getattr(Image, name)
    return found


class LoadTimeout(RuntimeError, TimeoutError):
    """No batch within `timeout`: the message names the files waited for.

    A RuntimeError, as torch's DataLoader raises. No batch is lost; the iterator may go on.
    """


class NotNative(Exception):
    """Raised where `native=True`, or an option of ringfeed's own, asks for ringfeed's threads, and
    torch's DataLoader alone can do it. A ValueError or TypeError too."""

    def __init__(self, why: str) -> None:
        # Where an object without a repr of its own stands, which says nothing of it.
        super().__init__(re.sub(r"( object)? at 0x[0-9a-fA-F]+", "", why))


class UnsupportedTransform(NotNative, ValueError):
    """A transform whose result ringfeed cannot reproduce bit for bit: names the step."""


class NotNativeType(NotNative, TypeError):
    """A dataset of a type that ringfeed's threads cannot read."""


class NotNativeValue(NotNative, ValueError):
    """An option that ringfeed's threads cannot serve."""


def not_native(why: str, kind: type[NotNative] = NotNativeValue) -> NoReturn:
    """Refuses what torch's DataLoader can do and ringfeed's threads cannot. `why`: the reason, and
    what to do. All such refusals come from here."""
    raise kind(f"not native, because {why}")


def with_own_options(obstacle: NotNative, own: Sequence[str]) -> NotNative:
    """`obstacle`, with the options of ringfeed's that keep torch's loader from doing it."""
    if not own:
        return obstacle
    names = ", ".join(f"{name}=" for name in own)
    return type(obstacle)(
        f"{obstacle}. (Without {names} torch's own loader would do it, which knows nothing of "
        f"{'it' if len(own) == 1 else 'them'}.)"
    )
