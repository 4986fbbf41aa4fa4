"""What the order and the draws of a pass follow from, and the numbers drawn for it where torch's
DataLoader draws its own."""

from __future__ import annotations

import base64
import itertools
import operator
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class PassKey:
    """The numbers that the core takes for its epoch, with seed 0: any of 64 bits.

    The core's own key of (seed, epoch) is mix(mix(seed) ^ epoch), and mix(0) is 0. So
    mix(seed) ^ epoch in the place of the epoch gives the same draws, and what a pass follows from
    is two numbers, whether it has a seed or not.
    """

    order: int
    """Of the core's own order."""
    draws: int | None
    """Of crops, augmentation and mixing. None: this process's own, whatever the state says."""
    seed: int | None = None
    """What both follow from, with the epoch and how often it had begun; None: drawn numbers."""

    @property
    def numbers(self) -> tuple[int, int | None]:
        return self.order, self.draws


class Numbers(NamedTuple):
    """What a pass has drawn."""

    base: int
    passes: int
    """Begun since `base` was drawn."""
    order: int | None


def seeded_key(seed: int, epoch: int, repeat: int) -> PassKey:
    """`repeat`: how many passes have begun within `epoch` before."""
    number = _mix(_nth(seed, repeat)) ^ epoch
    return PassKey(number, number, seed)


def drawn_key(numbers: Numbers) -> PassKey:
    order = 0 if numbers.order is None else _mix(numbers.order)
    return PassKey(order, _mix(_nth(numbers.base, numbers.passes)))


def key_for(
    seed: int | Sequence[int] | None,
    epoch: int,
    repeat: int,
    numbers: Callable[[], Numbers | None],
) -> PassKey | None:
    """`seed`: the loader's, or a key that a state names. None where `numbers` are needed and not
    known."""
    if isinstance(seed, Sequence):
        return PassKey(*map(operator.index, seed))
    if seed is not None:
        return seeded_key(int(operator.index(seed)), epoch, repeat)
    drawn = numbers()
    return None if drawn is None else drawn_key(drawn)


def _nth(number: int, n: int) -> int:
    """The number itself, then those of SplitMix64 from it on."""
    return number if n == 0 else _mix((_mix(number) + n * 0x9E3779B97F4A7C15) & _MASK)


def _mix(z: int) -> int:
    """SplitMix64's finaliser, as in the core."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


@dataclass
class _Base:
    """The base seed of torch's workers, which they keep from pass to pass where they persist."""

    number: int
    passes: int = 0


class PassStart:
    """What iter() has drawn and begun to read, until the first next() begins the pass."""

    def __init__(self, base: _Base, generator: torch.Generator | None) -> None:
        self.base = base
        self.order: int | None = None
        """RandomSampler's number; None: not drawn yet, or none needed."""
        self.generator = generator
        self.generator_state: torch.Tensor | None = None
        """A given generator's, before anything was drawn."""
        self.begun = False
        self._passes = base.passes
        self._items: Iterator[Any] | None = None
        self._read: tuple[Any, ...] = ()
        self._loads = 0

    def keep(self, items: Iterator[Any] | None, read: tuple[Any, ...], loads: int) -> None:
        """`items` of the caller's samplers `read`, begun after so many of Epochs.loads."""
        self._items, self._read, self._loads = items, read, loads

    def items(self, read: tuple[Any, ...], loads: int) -> Iterator[Any] | None:
        """The kept items; None where there are none, or they were begun for something else."""
        same = loads == self._loads and len(read) == len(self._read)
        same = same and all(a is b for a, b in zip(read, self._read))
        return self._items if same else None

    @property
    def kept_items(self) -> Iterator[Any] | None:
        """The items, whatever they were begun for."""
        return self._items

    def drop_items(self) -> None:
        """They are about to be read, or have been: who asks again begins anew."""
        self._items = None

    def numbers(self, shuffled: bool) -> Numbers:
        """Draws what torch draws at the first next(). Called again it draws nothing more."""
        if shuffled and self.order is None:
            self.order = _draw(self.generator)
        self._passes = self.base.passes
        return Numbers(self.base.number, self._passes, self.order)

    def began(self) -> None:
        """The pass has begun. Called again it changes nothing."""
        self.begun, self.base.passes = True, self._passes + 1
        self._items = None


class Passes:
    """The passes of one loader in this process."""

    def __init__(self) -> None:
        self._base: _Base | None = None
        self._latest: weakref.ref[PassStart] | None = None
        self._unrestored: torch.Tensor | None = None
        """A given generator's state before restore()."""

    def forget(self) -> None:
        """As torch forgets a base seed together with the workers that had it."""
        self._base = None

    def start(
        self,
        generator: torch.Generator | None,
        workers: bool,
        persistent: bool,
        shuffled: bool,
        begin_items: Callable[[], Iterator[Any] | None],
        read: tuple[Any, ...],
        loads: int,
    ) -> PassStart:
        """Draws and begins what torch's iter() does, in its order: the sampler, the base seed, and
        with workers the sampler once more, and its first item; RandomSampler's number is drawn for
        that. Workers that persist begin the sampler once and keep their base seed. `read`,
        `loads`: see PassStart.keep()."""
        state = None if generator is None else generator.get_state()
        items = begin_items()
        base = self._base if persistent and workers else None
        if base is None:
            base = _Base(_draw(generator))
            if workers:
                items = begin_items()
        start = PassStart(base, generator)
        start.generator_state = state
        if workers:
            start.order = _draw(generator) if shuffled else None
            items = None if items is None else _primed(items)
        start.keep(items, read, loads)
        self._base = base if persistent and workers else None
        self._latest = weakref.ref(start)
        return start

    def waiting(self) -> PassStart | None:
        """The latest iterator's that has not begun its pass."""
        start = None if self._latest is None else self._latest()
        return None if start is None or start.begun else start

    def coming(self, generator: torch.Generator | None, shuffled: bool) -> Numbers | None:
        """What the next pass will have, if nothing else draws before it. Advances no generator.
        None where torch's default device has a default generator that cannot be copied."""
        start = self.waiting()
        base = self._base if start is None else start.base
        order = None if start is None else start.order
        device = torch.empty(0).device if generator is None else generator.device
        if generator is None and device.type != "cpu":
            return None
        clone = torch.Generator(device)
        clone.set_state(torch.get_rng_state() if generator is None else generator.get_state())
        if base is None:
            base = _Base(_draw(clone))
        if shuffled and order is None:
            order = _draw(clone)
        return Numbers(base.number, base.passes, order)

    def coming_generator_state(self, generator: torch.Generator | None) -> str | None:
        """A given generator's, before the next pass draws."""
        if generator is None:
            return None
        start = self.waiting()
        state = generator.get_state() if start is None else start.generator_state
        return None if state is None else generator_text(state)

    def restore(self, generator: torch.Generator | None, state: str | None) -> None:
        """Gives a given generator the `state` that coming_generator_state() has told. An iterator
        that waits draws anew from there. ValueError for the state of another kind of generator."""
        if generator is None or state is None:
            return
        before = generator.get_state()
        generator.set_state(state_of(generator, state))
        if self._unrestored is None:
            self._unrestored = before
        self._draw_anew(generator)

    def drop_restored(self, generator: torch.Generator | None) -> None:
        """As if restore() had not been called, where no pass has begun since."""
        before, self._unrestored = self._unrestored, None
        if generator is not None and before is not None:
            generator.set_state(before)
            self._draw_anew(generator)

    def _draw_anew(self, generator: torch.Generator) -> None:
        start = self.waiting()
        if start is None:
            return
        start.generator_state = generator.get_state()
        start.base.number, start.base.passes = _draw(generator), 0
        if start.order is not None:
            start.order = _draw(generator)

    def began(self, start: PassStart) -> None:
        """The pass that follows from `start` has begun. Called again it changes nothing."""
        start.began()
        self._unrestored = None


def generator_text(state: torch.Tensor) -> str:
    """A generator's state as loaders' states hold it."""
    return base64.b64encode(state.numpy().tobytes()).decode()


def state_of(generator: torch.Generator, text: str) -> torch.Tensor:
    """What generator_text() has told, for a `generator`. ValueError for the state of another kind
    of generator."""
    state = torch.from_numpy(np.frombuffer(base64.b64decode(text), np.uint8).copy())
    try:
        torch.Generator(generator.device).set_state(state)
    except RuntimeError as error:
        raise ValueError(
            f"the state's generator does not fit this loader's on {generator.device}: {error}"
        ) from None
    return state


def _primed(items: Iterator[Any]) -> Iterator[Any]:
    """The same, with the first item read."""
    return itertools.chain(list(itertools.islice(items, 1)), items)


def _draw(generator: torch.Generator | None) -> int:
    """An int64 from `generator` (None: torch's default), as torch's iterators draw it."""
    return int(torch.empty((), dtype=torch.int64).random_(generator=generator).item())
