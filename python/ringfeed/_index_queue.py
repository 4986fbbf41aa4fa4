"""What torch has given a worker to do next, seen while the batch at hand is being made."""

from __future__ import annotations

import functools
import os
import queue
import select
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple


class _Raised(NamedTuple):
    error: BaseException


class IndexQueue:
    """A worker's queue of batches of indices, whose items wait here in their order instead of in
    the pipe once look() has seen them. torch's get() gets them, and raises what reading them has
    raised, when it would have."""

    def __init__(self, index_queue: Any, seen: Callable[[Any], None]) -> None:
        """`seen` is called with each batch of indices that look() finds."""
        self._own_get, self._seen = index_queue.get, seen
        self._has_come = _check_of(index_queue)
        self._items: deque[Any] = deque()
        self._process = os.getpid()
        index_queue.get = self._get

    def _get(self, *args: Any, **options: Any) -> Any:
        if not self._items:
            return self._own_get(*args, **options)
        item = self._items.popleft()
        if isinstance(item, _Raised):
            raise item.error
        return item

    def look(self) -> None:
        """Nothing is looked for while items wait, nor in a process that the worker has forked."""
        if self._items or not self._has_come() or os.getpid() != self._process:
            return
        while True:
            try:
                item = self._own_get(False)
            except queue.Empty:
                return
            except Exception as error:
                self._items.append(_Raised(error))
                return
            self._items.append(item)
            if type(item) is tuple and len(item) == 2:
                self._seen(item[1])


def _check_of(index_queue: Any) -> Callable[[], Any]:
    """Whether get(False) is worth a try, which takes 70 us beside work on images, and this 1 us."""
    try:
        pipe = select.poll()
        pipe.register(index_queue._reader.fileno(), select.POLLIN)
    except AttributeError:
        return lambda: True
    return functools.partial(pipe.poll, 0)


def index_queue_of(frame: FrameType | None) -> Any:
    """That of torch's worker loop, which is this frame. None: it cannot be found."""
    if frame is None or frame.f_code.co_name != "_worker_loop":
        return None
    found = frame.f_locals.get("index_queue")
    return found if callable(getattr(found, "get", None)) and hasattr(found, "__dict__") else None
