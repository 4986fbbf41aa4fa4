"""Where a data module's training stands, from the checkpoint to the train loader and back."""

from __future__ import annotations

import weakref
from typing import Any

from ._lightning_classes import lightning_classes
from ._repeats import RepeatedAugmentationSampler

_PLACE = ("epoch", "positions", "beyond", "repeat", "key", "batches", "shuffled_by")
"""What of a state says where a loader stands, on any rung."""


class TrainPlace:
    """The train loader's place and seed, which a checkpoint may bring before there is a loader or
    after it: Lightning makes the loader early where configure_optimizers() asks for
    estimated_stepping_batches, loads no state into it then, and reads checkpoints late under FSDP
    and DeepSpeed. The Trainer's loader may be another than the one that was made."""

    def __init__(self, *kinds: type) -> None:
        """`kinds`: of loaders whose state it knows how to load."""
        self._kinds = kinds
        self._loaded: dict[str, Any] | None = None
        """What no loader has yet."""
        self._made: weakref.ref[Any] | None = None
        self._made_with: int | None = None

    def made(self, loader: Any, seed: int, trainer: Any, strict: bool) -> None:
        """`loader` is the train loader, unless the Trainer makes another of it."""
        self._made, self._made_with = weakref.ref(loader), seed
        if trainer is None:
            self._give(loader, strict)

    def state(self, trainer: Any) -> dict[str, Any] | None:
        """For the checkpoint."""
        loader = self._loader_of(trainer)
        if self._loaded is not None or loader is None:
            return self._loaded
        state: dict[str, Any] = loader.state_dict()
        return state

    def load(self, state: dict[str, Any], trainer: Any, strict: bool) -> None:
        """From the checkpoint. A Trainer that does not fit loads it too, and it means nothing."""
        if trainer is not None and trainer.state.status == "running" and trainer.state.fn != "fit":
            return
        self._loaded = state
        loader = self._loader_of(trainer)
        if trainer is None and loader is not None:
            self._give(loader, strict)

    def drop(self) -> None:
        self._loaded = None

    def begin(self, trainer: Any, seed: int, strict: bool) -> None:
        """Training is about to begin, or to go on."""
        loader = self._loader_of(trainer)
        if loader is None:
            return
        if self._made_with != seed:
            for part in (loader, loader.sampler):
                own = isinstance(part, (*self._kinds, RepeatedAugmentationSampler))
                if own and getattr(part, "seed", None) == self._made_with:
                    part.seed = seed
            self._made_with = seed
        if self._loaded is not None:
            there = loader.state_dict()
            place = {name: self._loaded.get(name) for name in _PLACE}
            epoch = place["epoch"]
            left_behind = isinstance(epoch, int) and epoch < trainer.current_epoch
            if left_behind or place == {name: there.get(name) for name in _PLACE}:
                self.drop()  # a limit had ended the epoch there, or Lightning has loaded it
        self._give(loader, strict)

    def _give(self, loader: Any, strict: bool) -> None:
        state, self._loaded = self._loaded, None
        if state is not None:
            loader.load_state_dict(state, strict=strict)

    def _loader_of(self, trainer: Any) -> Any:
        found = None if trainer is None else trainer.train_dataloader
        if found is None and self._made is not None:
            found = self._made()
        # A data module derived from ringfeed's may have given others, or several: Lightning's.
        return found if isinstance(found, self._kinds) else None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_made": None}


class BeginTraining(*lightning_classes("Callback")):  # type: ignore[misc]
    """Tells the Trainer's data module when training begins, which Lightning does not."""

    @classmethod
    def attach(cls, trainer: Any) -> None:
        if trainer is not None and not any(isinstance(c, cls) for c in trainer.callbacks):
            trainer.callbacks.append(cls())

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        begin = getattr(trainer.datamodule, "_begin_training", None)
        if begin is not None:
            begin()
