"""How a data module finishes batches where the Trainer has put them."""

from __future__ import annotations

import warnings
from typing import Any

from ._unfinished import finish_all


class FinishHook:
    """Before LightningDataModule among a data module's bases: finishes what finish_on="device"
    leaves, and then calls the hook that Lightning would have called."""

    trainer: Any
    hparams: Any

    def _set_hook(self) -> None:
        """On the instance: a hook of the class would take the LightningModule's place also where
        there is nothing to finish."""
        object.__setattr__(self, "on_after_batch_transfer", self._finish)

    def _silence_hook(self) -> None:
        if not self._has_own_hook():
            warnings.filterwarnings(
                "ignore", "You have overridden `on_after_batch_transfer` in both"
            )  # whose hook _finish() calls

    def _has_own_hook(self) -> bool:
        own: Any = type(self).on_after_batch_transfer  # type: ignore[attr-defined]
        base: Any = super().on_after_batch_transfer  # type: ignore[misc]
        return own is not base.__func__

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "on_after_batch_transfer"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.hparams.finish_on == "device":
            self._set_hook()  # of this copy

    def _finish(self, batch: Any, dataloader_idx: int) -> Any:
        # The Trainer converts floats before the transfer, when there were none.
        finished = finish_all(batch, self.trainer.precision_plugin.convert_input)
        if self._has_own_hook():
            hook: Any = type(self).on_after_batch_transfer  # type: ignore[attr-defined]
            return hook(self, finished, dataloader_idx)
        return self.trainer.lightning_module.on_after_batch_transfer(finished, dataloader_idx)
