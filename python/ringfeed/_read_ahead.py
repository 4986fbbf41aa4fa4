"""The files of a batch, read at once in the process that is about to open them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable

from . import _ringfeed


class _Here(threading.local):
    fetcher: tuple[int, _ringfeed.FileFetcher | None] = (0, None)
    """The core's, which belongs to one thread, and its process."""
    announced = 0
    """How many files of the latest batch."""
    watched: frozenset[str] = frozenset()
    """Files that nothing is read of until they are opened."""
    taken = 0
    """How many of these."""


_here = _Here()

_of_parents: list[_ringfeed.FileFetcher] = []
"""Of the process that this one was forked from: their threads are not here to be ended."""


def announce(paths: Iterable[str]) -> None:
    """They are about to be taken, on this thread."""
    fetcher = _fetcher()
    if fetcher is None:
        fetcher = _ringfeed.FileFetcher()
        _here.fetcher = os.getpid(), fetcher
    announced = list(paths)
    _here.announced, _here.watched, _here.taken = len(announced), frozenset(), 0
    fetcher.announce(announced)


def watch(paths: Iterable[str]) -> None:
    """In the place of announce(): they are counted as they are opened, and not read before."""
    _here.announced, _here.watched, _here.taken = 0, frozenset(paths), 0


def take(path: str) -> bytes | None:
    """The file's bytes, once. None where they have not been announced, or had no room. Raises the
    OSError of open()."""
    _here.taken += path in _here.watched
    fetcher = _fetcher()
    if fetcher is None:
        return None
    _here.taken += 1  # even if what comes is its OSError
    data = fetcher.take(path)
    _here.taken -= data is None
    return data


def taken() -> int:
    """How many of those that have been announced or watched last."""
    return _here.taken


def drop() -> None:
    """Those that have been announced and not taken: a file may be another by the time that it is
    opened. Watches none."""
    _here.watched = frozenset()
    if _here.taken < _here.announced:
        _here.fetcher = (0, None)


def _fetcher() -> _ringfeed.FileFetcher | None:
    process, fetcher = _here.fetcher
    if fetcher is not None and process != os.getpid():
        _of_parents.append(fetcher)
        _here.fetcher, fetcher = (0, None), None
    return fetcher
