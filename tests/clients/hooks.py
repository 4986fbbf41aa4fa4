"""What stands around a client in the tests. The client itself stays as it is.

- `lower`: every loader is made with native=False.
- `record`: what loaders of the native rung draw is written down: the order of their samples, and
  the crops, flips and so on of each.
- `replay`: torch's loaders take that order, and Pillow and torchvision make the images with those
  draws, with which timm's FastCollateMixup mixes them; all else is the client's own code, and
  torch's. Batches are then those of `record`, bit for bit, unless ringfeed makes them otherwise
  than it says.

Iterators are told apart by their number: a client makes as many with either loader.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.utils.data
from torch.utils.data import BatchSampler, RandomSampler, SequentialSampler, Subset
from torchvision import transforms as v1
from torchvision.transforms import v2

import ringfeed

Torch = torch.utils.data.DataLoader


def wrap(kind: str, run_client: Callable, draws: str) -> Callable:
    return {"lower": _lower, "record": _record, "replay": _replay}[kind](run_client, draws)


def _lower(run_client: Callable, _: str) -> Callable:
    defaults = ringfeed.DataLoader.__init__.__kwdefaults__
    assert defaults["native"] is None
    defaults["native"] = False
    return run_client


@contextlib.contextmanager
def _each_iterator(tell: Callable[[Any, Callable[[], Any]], Any]) -> Iterator[None]:
    """tell(loader, make) gives each loader's iterator, which make() makes."""
    kinds = (ringfeed.DataLoader, Torch)
    originals = {kind: kind.__iter__ for kind in kinds}
    within = [False]

    def replaced(original: Callable) -> Callable:
        def __iter__(self: Any) -> Any:
            if within[0]:
                return original(self)
            within[0] = True
            try:
                return tell(self, lambda: original(self))
            finally:
                within[0] = False

        return __iter__

    for kind in kinds:
        kind.__iter__ = replaced(originals[kind])
    try:
        yield
    finally:
        for kind in kinds:
            kind.__iter__ = originals[kind]


# What the native rung draws


class _Recorder:
    """The draws of each iterator, those of its samples and of its mixed batches; None where it is
    not the native rung's."""

    def __init__(self) -> None:
        self.found: list[tuple[np.ndarray, list[Any]] | None] = []
        self._pending: dict[int, tuple[int, Any, Any, Any]] = {}

    def begin(self, loader: Any, make: Callable[[], Any]) -> Any:
        self._end(loader)
        state = torch.get_rng_state()
        iterator = make()
        number = len(self.found)
        self.found.append(None)
        if getattr(loader, "rung", "") == "native":
            before = loader._session.epochs._latest
            order = _order_of(loader, state)
            self._pending[id(loader)] = number, loader, before, order
        return iterator

    def end(self) -> None:
        for _, loader, _, _ in list(self._pending.values()):
            self._end(loader)

    def _end(self, loader: Any) -> None:
        """Of its latest pass, before it begins another."""
        if id(loader) not in self._pending:
            return
        number, _, before, order = self._pending.pop(id(loader))
        latest = loader._session.epochs._latest
        if latest is before or latest is None:
            return  # nobody asked it for a batch
        if order is None:
            epoch = latest.start.epoch
            mixes = [(m.kind, m.lam, m.box) for (m,) in (b.mixes for b in loader.mixing(epoch))]
            self.found[number] = loader.draws(epoch), mixes
            return
        # A list in the order that a script's sampler gave: draws follow from key and position.
        key = list(latest.start.key.numbers)
        listed = ringfeed.DataLoader(
            Subset(loader.dataset, order),
            loader.batch_size or 1,
            collate_fn=loader.collate_fn,
            seed=key,
            native=True,
        )
        self.found[number] = listed.draws(0), []


def _order_of(loader: Any, state: torch.Tensor) -> list[int] | None:
    """What a script's sampler gives to the iterator that was made at `state`; None: a loader says
    so itself."""
    if not loader._sampler_given or loader._order.distributed is not None:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(state)
        _draw()
        return list(loader.sampler)


def _record(run_client: Callable, path: str) -> Callable:
    recorded: dict[str, list[tuple[np.ndarray, list[Any]] | None]] = {}

    def run(client: Any, *args: Any, **options: Any) -> Any:
        recorder = _Recorder()
        with _each_iterator(recorder.begin):
            result = run_client(client, *args, **options)
        recorder.end()
        recorded[client.name] = recorder.found
        with open(path, "wb") as file:
            pickle.dump(recorded, file)
        return result

    return run


# The same batches, made by torch and torchvision


COMPOSES = [
    (v1.Compose, "__call__", v1.Compose.__call__),
    (v2.Compose, "forward", v2.Compose.forward),
]


class _Drawn:
    """Composes do what rows of draws say: the first that a sample meets is its first view."""

    def __init__(self) -> None:
        self.row: Any = None
        self.view = 0

    def put_in(self) -> None:
        for kind, name, original in COMPOSES:
            setattr(kind, name, self.compose(original))

    @staticmethod
    def take_out() -> None:
        for kind, name, original in COMPOSES:
            setattr(kind, name, original)

    def compose(self, original: Callable) -> Callable:
        def __call__(compose: Any, *images: Any) -> Any:
            if self.row is None:
                return original(compose, *images)
            return self.transformed(compose, *images)

        return __call__

    def transformed(self, transform: Any, image: Any) -> Any:
        row = self.row[self.view] if self.row.shape else self.row
        self.view += 1
        self.take_out()  # replay() wants the library's own
        try:
            return ringfeed.replay(row, image, transform)
        finally:
            self.put_in()


class _Replayed(torch.utils.data.Dataset):
    """A dataset whose samples come in the order of the rows, with their draws."""

    def __init__(self, dataset: Any, rows: np.ndarray, drawn: _Drawn) -> None:
        self.dataset, self.rows, self.drawn = dataset, rows, drawn

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Any:
        row, drawn, base = self.rows[number], self.drawn, self.dataset
        index = int((row[0] if row.shape else row)["index"])
        while isinstance(base, Subset):
            base = base.dataset
        drawn.row, drawn.view = row, 0
        own = base.transform
        if not _has_compose(own):
            base.transform = lambda image: drawn.transformed(own, image)
        try:
            return base[index]
        finally:
            drawn.row, base.transform = None, own


def _has_compose(transform: Any) -> bool:
    kinds = (v1.Compose, v2.Compose)
    held = vars(transform).values() if hasattr(transform, "__dict__") else ()
    return isinstance(transform, kinds) or any(
        isinstance(part, (*kinds, list)) or (hasattr(part, "__dict__") and _has_compose(part))
        for part in held
        if not isinstance(part, type)
    )


def _replay(run_client: Callable, path: str) -> Callable:
    with open(path, "rb") as file:
        recorded = pickle.load(file)
    drawn = _Drawn()
    drawn.put_in()

    def run(client: Any, *args: Any, **options: Any) -> Any:
        coming = iter(recorded[client.name])
        base_drawn = set()

        def begin(loader: Any, make: Callable[[], Any]) -> Any:
            found = next(coming, None)
            if found is None:
                return make()
            rows, mixes = found
            if not (loader.persistent_workers and id(loader) in base_drawn):
                base_drawn.add(id(loader))
                _draw()  # as torch does for its workers
            if isinstance(loader.sampler, RandomSampler):
                _draw()
            size, drop_last = loader.batch_sampler.batch_size, loader.drop_last
            replayed = Torch(
                _Replayed(loader.dataset, rows, drawn),
                batch_sampler=BatchSampler(SequentialSampler(rows), size, drop_last),
                collate_fn=_mixing_as(mixes, loader.collate_fn) if mixes else loader.collate_fn,
                generator=torch.Generator(),
            )
            return iter(replayed)

        with _each_iterator(begin):
            return run_client(client, *args, **options)

    return run


def _mixing_as(mixes: list[Any], collate: Any) -> Callable[[Any], Any]:
    """timm's FastCollateMixup, which mixes a whole batch at once, with these draws."""
    import timm.data.mixup

    coming = iter(mixes)

    def collate_fn(batch: Any) -> Any:
        kind, lam, box = next(coming)
        left, top, right, bottom = box or (0, 0, 0, 0)
        given = (top, bottom, left, right), lam
        drawn = 1.0 if kind == "none" else lam, kind == "cutmix"
        with (
            mock.patch.object(collate, "_params_per_batch", lambda: drawn),
            mock.patch.object(timm.data.mixup, "cutmix_bbox_and_lam", lambda *_, **__: given),
        ):
            return collate(batch)

    return collate_fn


def _draw() -> None:
    torch.empty((), dtype=torch.int64).random_()
