"""A loader's epochs, and the state to go on from."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ._epochs import Progress
from ._native_parts import NativeParts
from ._order import NoSeed
from ._pass_counts import PassCounts
from ._passes import Numbers, PassKey, key_for
from ._resolved import Resolved
from ._sampler_batches import batch_size_of
from ._state import Identity, from_state, saved_here, to_state, warn_of_key
from ._torch_rung import NATIVE, epoch_of, loads_on
from ._trainer import calling_trainer, strict_state

T = TypeVar("T", covariant=True)


class LoaderState(NativeParts[T]):
    """set_epoch(), state_dict() and load_state_dict() of a loader."""

    def set_epoch(self, epoch: int) -> None:
        """The epoch that the next iterator begins. A place that load_state_dict() has set comes
        first: another epoch than its own then counts from the pass after it, with a warning. Calls
        the sampler's set_epoch()."""
        epoch = operator.index(epoch)
        if not 0 <= epoch < 2**62:  # as in states
            raise ValueError(f"epoch must be in [0, 2**62), not {epoch}")
        for sampler in self._order.samplers:
            if callable(getattr(sampler, "set_epoch", None)):
                sampler.set_epoch(epoch)
        self._up_to_date_epochs().set(epoch)

    def state_dict(self) -> dict[str, Any]:
        """What the iterator that began last has given so far, to go on from: plain ints, strings
        and lists. After the last batch: the beginning of the next epoch. `key` names what order and
        draws follow from: DataLoader(seed=key) repeats that pass. On the thread of next().

        A pass that has not begun has no key yet, unless there is a seed. The state then holds the
        one that it gets if nothing else draws before, and the state of a given `generator`; no
        generator is advanced. On the lower rungs: the rung, the epoch, how many of its batches have
        been given, and what torch's order follows from.
        """
        epochs, order = self._up_to_date_epochs(), self._order
        if self.rung != NATIVE:
            return self._torch_state(epochs, order)
        place, generator = epochs.progress(), None
        if epochs.at_rest:
            try:
                place = replace(place, key=self._key_of(place))
            except NoSeed:
                pass  # the next pass will say so
            if not place.within:
                generator = self._session.passes.coming_generator_state(self.generator)
        known = place.sampler_epoch, epochs.pending_epoch, order.sampler_epoch
        sampler_epoch = next((epoch for epoch in known if epoch is not None), None)
        begun = epochs.begun.runs()
        identity = self._identity(None if epochs.at_rest else self._read)
        return to_state(place, identity, begun, sampler_epoch, generator)

    def load_state_dict(self, state: Mapping[str, Any] | None, strict: bool = True) -> None:
        """Goes on from `state` at the next iterator's first next(), whatever set_epoch() says
        meanwhile. None: drops a state that has been loaded and not used.

        The state's key is that of one pass; later ones have this loader's own. Saved by another
        rank, or among another number of them, a state without a seed gives the order alone: a
        warning. So do other transforms. Batch size and, outside Lightning, world size may have
        changed, unless the state was taken out of order. Raises ValueError, and changes nothing,
        for what is no state, and in mid-epoch for another dataset or order: `strict=False` begins
        the epoch anew, with a warning. Between epochs another dataset is a warning. A state of the
        native rung gives the others its epoch alone, and theirs it: in mid-epoch that is for
        `strict=False`.
        """
        epochs, order, passes = self._up_to_date_epochs(), self._order, self._session.passes
        if state is None:
            epochs.drop_loaded(order)
            passes.drop_restored(self.generator)
            if self._place.loaded:
                self._drop_torch_state()
            return
        # Lightning hands on no `strict`.
        strict = strict and strict_state(calling_trainer()) is not False
        here = loads_on(state, self.rung, strict)
        if not here or self.rung != NATIVE:
            if here:
                begins = self._load_torch_state(state, strict)
            else:
                self._drop_torch_state()
                begins = epoch_of(state)
            if begins is not None:
                epochs.load(begins, epochs.begun, order)
            return
        identity = self._identity()
        place = from_state(state, identity, order, self._resolved().length, strict)
        own = None if self.seed is None else self._key_of(replace(place, key=None))
        warn_of_key(state, place, own, self.seed, stacklevel=3)
        if saved_here(state, identity):
            passes.restore(self.generator, state.get("generator"))
        epochs.load(place, PassCounts(state.get("begun", ())), order)

    def _key_of(self, place: Progress, drawn: Numbers | None = None) -> PassKey | None:
        """`place`'s, or what its pass gets. `drawn`: by that pass; None: what it will draw. None
        where that is not known."""
        key, order = place.key, self._order
        if key is not None and key.draws is not None:
            return key

        def numbers() -> Numbers | None:
            return drawn or self._session.passes.coming(self.generator, order.shuffled)

        own = key_for(order.shared_seed(self.seed), place.epoch, place.repeat, numbers)
        return own if key is None or own is None else replace(key, draws=own.draws)

    def _key_in(self, epoch: int) -> PassKey:
        """Of the latest pass of `epoch`, or of the one to come."""
        epochs, key = self._up_to_date_epochs(), None
        place = epochs.pass_of(epoch)
        if place is not None:
            key = self._key_of(place)
        elif self._order.shared_seed(self.seed) is not None:
            key = self._key_of(Progress(epoch, repeat=max(0, epochs.begun[epoch] - 1)))
        if key is None:
            raise ValueError(
                f"what epoch {epoch} draws is not known: without seed= a pass follows from torch's "
                "generator, as it stands when the pass begins"
            )
        return key

    def _identity(self, resolved: Resolved | None = None) -> Identity:
        """Of what a pass reads; None: of what the next one will."""
        resolved, order = resolved or self._resolved(), self._order
        return Identity(
            batch_size=batch_size_of(self.batch_sampler),
            rank=order.process_rank,
            world_size=order.shares[1],
            fingerprint=resolved.fingerprint,
            dataset=resolved.description,
            recipe=self._recipe_text(resolved),
            order=str(order),
        )
