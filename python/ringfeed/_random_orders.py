"""What the orders of torch's random samplers follow from, and how one is drawn again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import (
    BatchSampler,
    RandomSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from ._passes import generator_text, state_of


class ShuffledByTorch(RandomSampler):
    """torch's RandomSampler, where `shuffle` asks for one."""


_DRAWING = [
    sampler.__iter__ for sampler in (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)
]


@dataclass
class Origin:
    """What a random sampler's order follows from."""

    number: int | None = None
    """What RandomSampler drew of torch's default generator; None: nothing yet, or another case."""
    generator: torch.Tensor | None = None
    """The state that the sampler's generator had, or torch's default one."""

    @property
    def known(self) -> bool:
        return self.number is not None or self.generator is not None

    @property
    def text(self) -> str | None:
        """The generator's state as loaders' states hold it."""
        return None if self.generator is None else generator_text(self.generator)


def origin_of(sampler: Any, number: int | None, text: str | None) -> Origin:
    """What a state says. ValueError where its generator is of another kind than the sampler's."""
    generator = sampler.generator or torch.default_generator
    return Origin(number, None if text is None else state_of(generator, text))


def random_sampler(batches: Any) -> Any:
    """The one of torch's that draws the order of `batches`, which is it or torch's BatchSampler of
    it. None: another sampler, or one with an `__iter__` or a `generator` of its class's own."""
    sampler = batches.sampler if type(batches) is BatchSampler else batches
    if hasattr(type(sampler), "generator"):
        return None
    return sampler if getattr(type(sampler), "__iter__", None) in _DRAWING else None


def coming(sampler: Any) -> Origin:
    """What the next order follows from if nothing else draws before it. Advances no generator."""
    if sampler.generator is not None:
        return Origin(generator=sampler.generator.get_state())
    if torch.empty(0).device.type != "cpu":  # whose default generator cannot be copied
        return Origin()
    if not isinstance(sampler, RandomSampler):
        return Origin(generator=torch.get_rng_state())
    clone = torch.Generator()
    clone.set_state(torch.get_rng_state())
    return Origin(number=_number(clone))


@contextlib.contextmanager
def drawn_again(sampler: Any, repeated: Origin) -> Iterator[Origin]:
    """Around the first step of an order, which follows from `repeated` if that is known. Gives what
    it follows from. Draws what torch draws in any case."""
    own = sampler.generator
    if own is not None and repeated.generator is not None:
        own.set_state(repeated.generator)
        yield repeated
    elif own is None and isinstance(sampler, RandomSampler):
        number = _number(None)  # as it draws it, and then follows from it
        origin = repeated if repeated.known else Origin(number=number)
        with _lent(sampler, origin):
            yield origin
    elif repeated.known:
        next(iter(sampler), None)
        with _lent(sampler, repeated):
            yield repeated
    else:
        yield coming(sampler)


@contextlib.contextmanager
def _lent(sampler: Any, origin: Origin) -> Iterator[None]:
    """The sampler has a generator that gives the order."""
    own, lent = sampler.generator, torch.Generator()
    if origin.generator is not None:
        lent.set_state(origin.generator)
    elif origin.number is not None:
        lent.manual_seed(origin.number)
    sampler.generator = lent
    try:
        yield
    finally:
        sampler.generator = own


def _number(generator: torch.Generator | None) -> int:
    return int(torch.empty((), dtype=torch.int64).random_(generator=generator).item())
