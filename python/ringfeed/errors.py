"""What ringfeed raises besides ValueError and TypeError. Free of torch."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["LoadError", "LoadTimeout", "UnsupportedTransform"]


class LoadError(OSError):
    """A file or folder that cannot be loaded: as Pillow and open() do, by an OSError.

    `errno` and `strerror` are the system's, None where it was not asked: a damaged image. A batch
    with such a file counts as taken; the iterator may go on.
    """

    stage: str
    """Where it happened: "setup", "scan", "open", "read" or "decode"."""
    detail: str
    """What is wrong, and what to do about it."""

    def __init__(self, message: str, stage: str, errno: int | None, path: str, detail: str) -> None:
        super().__init__(errno or None, os.strerror(errno) if errno else None, path or None)
        self._message = message
        self.stage = stage
        self.detail = detail

    @property
    def path(self) -> str | None:
        """The file or folder concerned; the same as `filename`."""
        return self.filename

    def __str__(self) -> str:
        return self._message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._message!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (self._message, self.stage, self.errno, self.filename, self.detail)
        return type(self), arguments


class LoadTimeout(RuntimeError, TimeoutError):
    """No batch within `timeout`: the message names the files waited for.

    A RuntimeError, as torch's DataLoader raises. No batch is lost; the iterator may go on.
    """


class UnsupportedTransform(ValueError):
    """A transform whose result ringfeed cannot reproduce bit for bit: names the step."""
