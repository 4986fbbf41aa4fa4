"""What a Lightning Trainer on the call stack says: it asks a loader for next(), no more."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

_PACKAGES = ("lightning.pytorch.", "pytorch_lightning.")


@dataclass(frozen=True)
class TrainingBatch:
    """The batch of training for which a Trainer calls next()."""

    trainer: Any
    epoch: int
    index: int
    """Within the epoch, as the Trainer counts."""


def training_batch() -> TrainingBatch | None:
    """None where no Trainer asks this loader for it, or another has wrapped the loader."""
    frames = _frames()
    name = _name_of(next(frames, None))
    if not name.endswith(".utilities.combined_loader"):
        return None
    for frame in frames:
        name = _name_of(frame)
        if name.endswith((".utilities.combined_loader", ".loops.fetchers")):
            continue
        if name.endswith(".loops.training_epoch_loop") and frame.f_code.co_name == "advance":
            loop = frame.f_locals["self"]
            ready = loop.batch_progress.current.ready
            return TrainingBatch(loop.trainer, loop.trainer.current_epoch, ready)
        return None
    return None


def called_by_lightning() -> bool:
    """Whether a Lightning Trainer is on the call stack."""
    return any(_name_of(frame) for frame in _frames())


def calling_trainer() -> Any:
    """The Lightning Trainer that is on the call stack, at one of its loops; None: there is none."""
    for frame in _frames():
        if ".loops." in _name_of(frame):
            trainer = getattr(frame.f_locals.get("self"), "trainer", None)
            if trainer is not None:
                return trainer
    return None


def strict_state(trainer: Any) -> bool | None:
    """What its data module's argument of that name says; None: it is none of ringfeed's."""
    found = getattr(getattr(trainer, "datamodule", None), "hparams", {}).get("strict_state")
    return found if isinstance(found, bool) else None


def _frames() -> Iterator[FrameType]:
    """The callers', from the first on that is not ringfeed's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("ringfeed."):
        frame = frame.f_back
    while frame is not None:
        yield frame
        frame = frame.f_back


def _name_of(frame: FrameType | None) -> str:
    """Of the frame's module, if that is Lightning's."""
    name = "" if frame is None else frame.f_globals.get("__name__", "")
    return name if name.startswith(_PACKAGES) else ""
