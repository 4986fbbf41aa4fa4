"""One pass over an epoch's batches, and how far it has come."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from . import _ringfeed, _tensors
from ._access import StandIn
from ._adding import Added
from ._core import stop_in_background
from ._epochs import Progress
from ._failures import Failures
from ._handover import Offer
from ._mixing_apply import Mixer
from ._request import EpochRequest
from ._samples import ByScript
from ._timm_dataset import TimmsOwn
from .errors import LoadError


class Given(NamedTuple):
    """What the caller of next() has had."""

    positions: int
    beyond: Sequence[int]
    failed: int
    batches: int = 0
    """Of this run, the failed ones too."""


@dataclass
class BatchOffer(Offer[Any]):
    """A batch, or the error in its place."""

    counts: bool = True
    """Whether it counts as a batch; an error of the sampler does not."""


class EpochRun:
    """An epoch of the core, from its first next() on.

    The core too offers a batch until it is accepted. So a batch whose making was interrupted is
    made again, of the same memory.
    """

    def __init__(self, request: EpochRequest, core: _ringfeed.Loader | None) -> None:
        """`core` None: there is nothing to load."""
        start, recipe = request.start, request.resolved.recipe
        draws = request.key.draws
        assert draws is not None
        target_transform = request.resolved.parts.target_transform
        self.start = replace(start, key=request.key)
        self.given = Given(start.positions, start.beyond, start.failed)
        self._sampler = request.batches.of_sampler
        self._count = request.batches.count
        self._checked = request.batches.checked
        self._world_size = request.world_size
        self._keep_core = request.keep_core
        self._core = core
        self._epoch = (
            None
            if core is None
            else core.epoch(
                draws,
                start.positions,
                start.beyond,
                self._sampler,
                order_of=request.key.order,
                failed=start.failed,
            )
        )
        rule = request.mixing
        mixer = None if rule is None else Mixer(rule, 0, draws)
        make: Callable[..., Any] = _tensors.batch
        self._by_script = None
        if request.collate_fn is not None:
            parts = request.resolved.parts
            stand_in = StandIn.of(parts.base, parts.access)
            added = Added.of(parts.adding)
            make = self._by_script = ByScript(
                request.collate_fn, stand_in, added, request.one_by_one
            )
        elif recipe.finish is not None:
            make = partial(_tensors.unfinished, draws=draws, mixer=mixer)
        elif mixer is not None:
            make = partial(_tensors.batch, mixing=_tensors.Mixing(mixer, request.pinned))
        self._make = partial(
            make, recipe=recipe, target_transform=target_transform, pinned=request.pinned
        )
        self._timms_own = None
        if request.timms_own:
            self._timms_own = TimmsOwn(request.resolved.parts, recipe, draws)
        scripts = target_transform, request.mixing, request.collate_fn, self._timms_own
        self._may_fail = any(each is not None for each in scripts)
        self._ended = core is None
        self._stopped = False
        self._last_progress = self.start
        self._last_stats: dict[str, Any] = {}
        self._last_failures = Failures()
        # By threads that persist.
        self._decoded_before = 0.0 if self._by_script is None else self._decoding()
        self._warned = request.timms_own or request.core_options["on_error"] == "raise"
        self._process = os.getpid()

    def make_offer(self) -> BatchOffer | None:
        """The next batch or error, and the same again until it is accepted. None at the end and
        after stop()."""
        if self._epoch is None:
            return None
        batch = None
        try:
            batch = self._epoch.next(keep=True)
            if batch is not None:
                own = self._timms_own
                changes = None if own is None else own.changes(self._epoch)
                made = self._make(batch, changes=changes) if changes else self._make(batch)
                return BatchOffer(made)
        except Exception as error:
            if batch is not None:
                if self._may_fail:  # an error of the script's code or of mixing: the batch's
                    return BatchOffer(error=error)
            elif self._epoch.offers:
                return BatchOffer(error=error, counts=isinstance(error, LoadError))
            raise  # a timeout's or a signal handler's: the next call finds out for itself
        pulled_all = self._sampler is not None and self._sampler.ended
        self._ended = self._ended or (pulled_all and not self._stopped)
        self._warn_at_end()
        return None

    def accept(self, offer: BatchOffer) -> None:
        """The core goes on, and the offer is complete. Called again it changes nothing."""
        assert self._epoch is not None
        self._epoch.accept()
        offer.given = Given(*self._epoch.progress(), self.given.batches + offer.counts)
        if self._count is not None and offer.given.batches >= self._count:
            self._warn_at_end()

    def _decoding(self) -> float:
        """Seconds that each decode thread has been busy."""
        stats = self.stats()
        return stats["decode"]["busy_seconds"] / stats["workers"] if "decode" in stats else 0.0

    def _warn_at_end(self) -> None:
        if self._by_script is not None:
            self._by_script.warn_if_slow(self._decoding() - self._decoded_before)
        if not self._warned and (failures := self.failures()).count:
            self._warned = True
            failures.warn(self.start.epoch)

    @property
    def finished(self) -> bool:
        """Whether all has been given. Known with the last batch where the order has a length:
        Lightning asks for the state there, and never for the end. A caller's sampler may have more
        than its length."""
        given = self.given.batches
        if self._ended or self._count is None or given < self._count:
            return self._ended
        return self._sampler is None or self._sampler.ends_after(given)

    def progress(self) -> Progress:
        """What has been given so far. On the thread of next()."""
        if self._epoch is None:
            return self._last_progress
        positions, beyond, failed, _ = self.given
        checksum = None
        if self._sampler is not None and self._checked:
            checksum = self._sampler.checksum_after(positions // self._world_size)
        return replace(
            self.start,
            positions=positions,
            beyond=tuple(beyond),
            failed=failed,
            checksum=checksum,
        )

    def stats(self) -> dict[str, Any]:
        """The core's figures, also when it has been let go. Any thread."""
        if (core := self._core) is None:
            return self._last_stats
        return {**core.stats(), "memory_bound": core.memory_bound}

    def failures(self) -> Failures:
        """The files that could not be loaded so far. Any thread."""
        if (epoch := self._epoch) is None:
            return self._last_failures
        found = Failures.of(epoch)
        return found if self._timms_own is None else self._timms_own.told(found)

    def stop(self) -> None:
        """Ends it; a next() that waits gets None. Any thread."""
        self._stopped = True
        if (core := self._core) is not None:
            core.stop()

    def release(self) -> None:
        """Lets go of the core, keeping what state and stats need. Waits for no I/O."""
        if self._epoch is None:
            return
        if os.getpid() == self._process:
            self._last_progress = self.progress()
            self._last_stats = self.stats()
            self._ended, self._count = self.finished, None
            self._last_failures = self.failures()
        core, self._core, self._epoch = self._core, None, None
        self._sampler = None  # and with it what the sampler's iterator holds
        if core is not None and not self.finished and not self._keep_core:
            stop_in_background(core, self._process)
