"""A loader's iterators."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any, TypeVar

from ._iterator import Beginning, LoaderIterator
from ._loader_state import LoaderState
from ._passes import PassStart
from ._reading import Reading, read_next, start_pass
from ._request import EpochRequest
from ._rungs import Rungs
from ._torch_rung import NATIVE

T = TypeVar("T", covariant=True)


class LoaderIteration(Rungs[T], LoaderState[T]):
    """iter() of a loader."""

    _warned_of_sharding = False
    _settled: Reading | None = None
    """By iter(), for the iterator that it makes."""
    _iterator_ref: weakref.ref[LoaderIterator] | None = None

    def __iter__(self) -> Any:
        reading = self._settle_rung()
        if reading is None:
            epochs = self._up_to_date_epochs()
            return self._iterate(self._order, epochs, self._session.meter)
        self._set(_settled=reading)
        iterator: LoaderIterator | None = self._iterator if self.persistent_workers else None
        if iterator is None:
            iterator = self._get_iterator()
            if self.persistent_workers:
                vars(self)["_iterator_ref"] = weakref.ref(iterator)
        else:
            iterator._reset(self)  # torch's name: a subclass may make iterators of its own
        return iterator

    def _get_iterator(self) -> Any:
        if self.rung != NATIVE:
            return super()._get_iterator()
        return LoaderIterator(self, self._session, self._begin_pass)

    def _begin_pass(self) -> Beginning:
        """What iter() settles: what the attributes say at this moment counts."""
        order, epochs = self._order, self._up_to_date_epochs()
        reading = self._settled or self._reading()
        self._set(_settled=None)
        if not self._warned_of_sharding:
            vars(self)["_warned_of_sharding"] = order.warn_if_unshared(stacklevel=7)
        started = start_pass(self, order, epochs, self._session.passes)
        return Beginning(started, partial(self._make_request, reading, started))

    def _make_request(self, reading: Reading, started: PassStart) -> EpochRequest:
        vars(self)["_read"] = reading.resolved
        epochs = self._up_to_date_epochs()
        return read_next(self, self._order, epochs, reading, started, self._key_of)

    def check_worker_number_rationality(self) -> None:
        """torch warns here of too many processes: these are threads."""
        if self.rung != NATIVE:
            super().check_worker_number_rationality()

    @property
    def _iterator(self) -> Any:
        """The persistent iterator, held weakly: it holds the loader, and in a cycle both would keep
        threads and buffers until a garbage collection. Threads and buffers are kept here."""
        if self.rung != NATIVE:
            return self._of_torch
        return None if self._iterator_ref is None else self._iterator_ref()

    @_iterator.setter
    def _iterator(self, iterator: Any) -> None:
        if self.rung != NATIVE:
            self._set(_of_torch=iterator)
            return
        vars(self)["_iterator_ref"] = None if iterator is None else weakref.ref(iterator)
        if iterator is None:  # as Lightning ends workers
            self._session.drop_core()
            self._session.passes.forget()
