"""The files of a batch, read at once in the process that is about to open them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable

from . import _ringfeed

_fetcher: tuple[int, int, _ringfeed.FileFetcher] | None = None
"""Whose process and thread it is, and the core's FileFetcher, which belongs to these."""


def announce(paths: Iterable[str]) -> None:
    """They are about to be taken, on this thread. Without a fetcher nothing happens."""
    global _fetcher
    here, paths = (os.getpid(), threading.get_ident()), list(paths)
    # A thread that has ended may have had the same number: then it refuses.
    if _fetcher is None or _fetcher[:2] != here or not _fetcher[2].announce(paths):
        _fetcher = *here, _ringfeed.FileFetcher()
        _fetcher[2].announce(paths)


def take(path: str) -> bytes | None:
    """The file's bytes, once. None where they have not been announced, or had no room. Raises the
    OSError of open()."""
    if _fetcher is None or _fetcher[:2] != (os.getpid(), threading.get_ident()):
        return None
    return _fetcher[2].take(path)
