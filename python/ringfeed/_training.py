"""How a loader's passes agree with the Lightning Trainer that begins them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from ._epochs import Epochs, Progress
from ._order import Order
from ._trainer import strict_state, training_batch


def follow_trainer(epochs: Epochs, order: Order) -> None:
    """Where a Trainer is about to begin a pass: that has its epoch, and should have its batch.

    ValueError under ringfeed's data module, else a warning, where the Trainer goes on in
    mid-epoch and the loader's place is another: batches would come again, and as many never.
    """
    batch = training_batch()
    if batch is None:
        return
    epochs.follow_trainer(batch.epoch, order)
    trainer, place = batch.trainer, epochs.next
    if not 0 < batch.index < trainer.num_training_batches:
        return
    if isinstance(trainer.train_dataloader, (Sequence, Mapping)):
        # Several, cycled beside each other. These are states that it has read and not handed on.
        if place.within or not getattr(trainer.fit_loop, "_combined_loader_states_to_load", ()):
            return
    elif _batches_before(place, order) in (batch.index, None):
        return
    strict = strict_state(trainer)
    told = f"Lightning goes on with batch {batch.index} of epoch {batch.epoch}, and this loader"
    told += f" from {place.positions} samples of all ranks: some would come again, or never. "
    if strict is None:
        told += (
            "Lightning loads no loader's state where configure_optimizers asks for "
            "trainer.estimated_stepping_batches. ringfeed.lightning.ImageNetDataModule carries the "
            "place itself; else call trainer.train_dataloader.load_state_dict() in "
            "on_train_start(), with the checkpoint's "
            '["loops"]["fit_loop"]["state_dict"]["combined_loader"][0]'
        )
    else:
        told += (
            "The checkpoint has no place of the loader, or the batch size has changed. Resume with "
            "the same, or from an epoch's end; ImageNetDataModule(strict_state=False) goes on so"
        )
    if strict:
        raise ValueError(told)
    warnings.warn(told, stacklevel=2)


def _batches_before(place: Progress, order: Order) -> float | None:
    """How many of the epoch this rank has had. None: a batch_sampler's own, of any size."""
    size = 1 if order.batch_sampler is None else order.batching[0]
    if size is None:
        return None if place.within else 0
    return place.positions / (size * order.shares[1]) + len(place.beyond)
