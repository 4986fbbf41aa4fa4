"""How no batch is lost to a KeyboardInterrupt.

Python raises KeyboardInterrupt where a function begins, where a loop turns, and after a call; what
the call gave is then lost. It does not raise it between a `for` loop's step and the store, nor
among plain stores, nor as __next__() returns to a `for` loop. Therefore:

- An iterator of others is advanced by `for` alone, and what it gives stays in a `Pending` until the
  next step has it.
- What next() gives stays among a `Handover`'s offers until plain stores and the return are left.
- Each step between can be done again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")

NOTHING = object()
"""What a `Pending` holds when it is empty."""
END = StopIteration()
"""What it holds once its iterator has ended."""


class Pending:
    """Holds what an iterator has given until it is passed on: by plain stores, and with no call
    between them and the one that empties it, `item = NOTHING`."""

    item: Any = NOTHING
    failed = False
    """Whether the iterator has raised."""

    def fill(self, items: Iterator[Any]) -> None:
        """Takes the next of `for_loop(iterator)`, unless there is an item."""
        if self.item is not NOTHING:
            return
        try:
            for self.item in items:
                return
            self.item = END
        except BaseException:
            self.failed = True
            raise


def for_loop(iterator: Iterator[T]) -> Iterator[T]:
    """The same items for a `for` loop, which calls iter(): some iterators begin anew at that."""
    return map(next, itertools.repeat(iterator))


@dataclass
class Offer(Generic[T]):
    """An item that next() is about to give, or the error in its place."""

    item: Any = None
    error: Exception | None = None
    given: Any = None
    """What `_record.given` becomes once the caller has the item."""


class Handover(Iterator[T], Generic[T]):
    """An iterator whose items stay with it until the caller has them.

    A base class, because an item that a method returned to __next__() could be lost there.
    """

    _record: Any = None
    """Its `given` says how far the caller is, for those who ask between two calls."""
    _offers: tuple[Offer[T], ...] = ()
    """Those that are made and not given, the next one first."""

    def _prepare(self) -> None:
        """Makes an offer if there is none, and does what is to be done before it is given.

        It may be interrupted anywhere and called again. Raises StopIteration where nothing is left.
        It must keep no local reference to an offered error: the error's traceback holds this frame.
        """
        raise NotImplementedError

    def __next__(self) -> T:
        self._prepare()
        # No call from here to the caller's hands.
        offer = self._offers[0]
        self._record.given = offer.given
        self._offers = self._offers[1:]
        if offer.error is not None:
            try:
                raise offer.error
            finally:
                del offer  # the error refers to this frame
        return offer.item
