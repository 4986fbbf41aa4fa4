"""The files of batches, read at once in the process that is about to open them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence

from . import _ringfeed


class _Here(threading.local):
    fetcher: tuple[int, _ringfeed.FileFetcher | None] = (0, None)
    """The core's, which belongs to one thread, and its process."""
    announced = 0
    """How many files of the batch at hand."""
    watched: frozenset[str] = frozenset()
    """Files of it that nothing is read of until they are opened."""
    taken = 0
    """How many of all these."""
    look: Callable[[], None] | None = None
    """For further batches, after each file."""


_here = _Here()

_of_parents: list[_ringfeed.FileFetcher] = []
"""Of the process that this one was forked from: their threads are not here to be ended."""


def announce(paths: Sequence[str]) -> None:
    """They are about to be taken, on this thread, after those announced before."""
    fetcher = _fetcher()
    if fetcher is None:
        fetcher = _ringfeed.FileFetcher()
        _here.fetcher = os.getpid(), fetcher
    fetcher.announce(paths)


def begin(announced: int, watched: Iterable[str] = ()) -> None:
    """The batch at hand is made of this many announced files, or of others that are only counted as
    they are opened."""
    _here.announced, _here.watched, _here.taken = announced, frozenset(watched), 0
    look()


def look_by(look: Callable[[], None]) -> None:
    """`look` is called on this thread while the files of a batch are being taken, and may announce
    those of the next."""
    _here.look = look


def look() -> None:
    if _here.look is not None:
        _here.look()


def take(path: str) -> bytes | None:
    """The file's bytes, once. None where they have not been announced, or had no room. Raises the
    OSError of open()."""
    _here.taken += path in _here.watched
    fetcher = _fetcher()
    if fetcher is None:
        return None
    _here.taken += 1
    try:
        data = fetcher.take(path)
        _here.taken -= data is None
    except OSError as error:
        if error.filename != path:  # of a signal's handler
            raise
        data = None  # it may be there by now: open() says
    look()
    return data


def taken() -> int:
    """How many of the files of the batch at hand."""
    return _here.taken


def all_taken() -> bool:
    return _here.taken >= _here.announced


def forget() -> None:
    """Whatever has been announced and not taken: a file may be another by the time that it is
    opened."""
    _here.fetcher = (0, None)


def _fetcher() -> _ringfeed.FileFetcher | None:
    process, fetcher = _here.fetcher
    if fetcher is not None and process != os.getpid():
        _of_parents.append(fetcher)
        _here.fetcher, fetcher = (0, None), None
    return fetcher
