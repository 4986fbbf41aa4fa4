"""What a state says, and whether it fits a loader."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ._epochs import Progress
from ._order import Order
from ._passes import PassKey, seeded_key
from ._state_values import check_values, is_word, shown
from ._trainer import called_by_lightning

VERSION = 2


@dataclass(frozen=True)
class Identity:
    """What a state must have in common with the loader that goes on from it."""

    batch_size: int | None
    rank: int
    """Of this process."""
    world_size: int
    """Among how many ranks the order is dealt."""
    fingerprint: str
    dataset: str
    recipe: str
    order: str


def to_state(
    progress: Progress,
    identity: Identity,
    begun: list[list[int]],
    sampler_epoch: int | None,
    generator: str | None,
) -> dict[str, Any]:
    """Plain values only: torch.load(weights_only=True) reads it."""
    key = progress.key
    return {
        "version": VERSION,
        "seed": None if key is None else key.seed,
        "key": None if key is None else list(key.numbers),
        "epoch": progress.epoch,
        "repeat": progress.repeat,
        "begun": begun,
        "positions": progress.positions,
        "beyond": list(progress.beyond),
        "checksum": progress.checksum,
        "sampler_epoch": sampler_epoch,
        "generator": generator,
        **vars(identity),
        # States without it came first.
        **({"failed": progress.failed} if progress.failed else {}),
    }


def from_state(
    state: Mapping[str, Any], mine: Identity, order: Order, length: int, strict: bool
) -> Progress:
    """Where `state` says to go on. Raises ValueError for what is no state, and for what a loader
    that reads `length` images in `order` cannot go on from; unless `strict`, the latter begins the
    epoch anew, with a warning. Between epochs a changed dataset is a warning always."""
    _check_shape(state, mine)
    check_values(state)
    progress = Progress(
        state["epoch"],
        state["positions"],
        tuple(state["beyond"]),
        # Another rank's files are other ones.
        state.get("failed", 0) if saved_here(state, mine) else 0,
        # A checksum taken on another rank is of other indices.
        state["checksum"] if state["rank"] == mine.rank else None,
        state.get("repeat", 0),
        _key_of(state, mine),
        state["sampler_epoch"],
    )
    if progress.within:
        reason = _why_not(state, mine, order, length)
        if reason is not None:
            progress = _begun_anew(progress, reason, strict)
    elif state["fingerprint"] != mine.fingerprint:
        warnings.warn(
            f"{_other_dataset(state, mine)}: the next epoch is the new one's", stacklevel=3
        )
    if state["recipe"] != mine.recipe:
        warnings.warn(
            "the state was saved with other transforms: from now on images are made by\n"
            f"  {mine.recipe}\nand until now they were made by\n  {state['recipe']}",
            stacklevel=3,
        )
    return progress


def _begun_anew(progress: Progress, reason: str, strict: bool) -> Progress:
    key = None if progress.key is None else list(progress.key.numbers)
    anew = f"epoch {progress.epoch} anew" + ("" if key is None else f", with the key {key}")
    if strict:
        raise ValueError(
            f"{reason}. load_state_dict(state, strict=False) begins {anew}; under Lightning "
            "ImageNetDataModule(strict_state=False) does. load_state_dict(None) drops a loaded "
            "state"
        )
    warnings.warn(f"{reason}. As strict=False asks, the loader begins {anew}", stacklevel=4)
    return replace(progress, positions=0, beyond=(), failed=0, checksum=None)


def _key_of(state: Mapping[str, Any], mine: Identity) -> PassKey | None:
    """The key of the state's pass, as far as it holds in this process."""
    seed = state["seed"]
    if state["version"] == 1:
        return seeded_key(seed, state["epoch"], 0)
    if state["key"] is None:
        return None
    order, draws = state["key"]
    elsewhere = not saved_here(state, mine)
    return PassKey(order, None if seed is None and elsewhere else draws, seed)


def warn_of_key(
    state: Mapping[str, Any], place: Progress, own: PassKey | None, seed: Any, stacklevel: int
) -> None:
    """Where the pass from `place` on has another key than the state's, or than `seed` says.

    `own`: what the loader's seed= gives, if it has one. `stacklevel`: 1 is who calls this.
    """
    key = place.key
    if key is None:
        return
    if key.draws is None:
        if own is None or own.draws != state["key"][1]:
            warnings.warn(
                "the state has no seed, and another rank saved it or the number of ranks was "
                "another: crops on this rank are new; give seed= on all ranks for an exact elastic "
                "resume",
                stacklevel=stacklevel,
            )
    elif own is not None and own.numbers != key.numbers:
        what = "key" if key.seed is None else f"seed {key.seed}"
        warnings.warn(
            f"the state's {what} is used, not seed={seed}, for the pass that it goes on with",
            stacklevel=stacklevel,
        )


def saved_here(state: Mapping[str, Any], mine: Identity) -> bool:
    """Whether a process of the same rank among as many has saved it."""
    return (state["rank"], state["world_size"]) == (mine.rank, mine.world_size)


def _check_shape(state: Mapping[str, Any], mine: Identity) -> None:
    version = state["version"]
    if type(version) is not int or version not in (1, VERSION):
        raise ValueError(
            f"the state has version {shown(version)}, and this ringfeed reads versions 1 and "
            f"{VERSION}: it was saved by a later one"
        )
    expected = to_state(Progress(), mine, [], None, None)
    if version == 1:  # which had one seed for all epochs, and no repeats
        expected = {name: expected[name] for name in expected if name not in _SINCE_VERSION_2}
    missing = [key for key in expected if key not in state]
    if missing:
        raise ValueError(f"the state lacks {', '.join(missing)}")
    if version == 1 and not is_word(state["seed"]):
        raise ValueError(f"the state's seed must be a whole number, not {shown(state['seed'])}")
    if version == VERSION and state["key"] is None and (state["positions"] or state["beyond"]):
        raise ValueError("the state's key must be two whole numbers in mid-epoch, not None")


_SINCE_VERSION_2 = ("key", "repeat", "begun", "generator")


def _other_dataset(state: Mapping[str, Any], mine: Identity) -> str:
    return (
        f"the state belongs to another dataset: it was saved with {state['dataset']} "
        f"(fingerprint {state['fingerprint']}), and this loader reads {mine.dataset} "
        f"(fingerprint {mine.fingerprint})"
    )


def _why_not(state: Mapping[str, Any], mine: Identity, order: Order, length: int) -> str | None:
    """Why the loader cannot go on within the state's epoch."""
    if state["fingerprint"] != mine.fingerprint:
        return _other_dataset(state, mine)
    if state["order"] != mine.order:
        return (
            f"the state was saved within an epoch whose order was {state['order']}, and this "
            f"loader's is {mine.order}: its progress means nothing here. Use the same sampler and "
            "shuffle"
        )
    samples, ranks = order.samples_of(length), state["world_size"]
    if samples is not None:
        if state["positions"] >= samples + ranks:
            return (
                f"the state has consumed {state['positions']} samples of an epoch, which has "
                f"{samples}: its positions were changed"
            )
        last = state["beyond"][-1] if state["beyond"] else 0
        if state["positions"] + last * (state["batch_size"] or 1) * ranks >= samples + ranks:
            return (
                f"the state has had batch {last} after {state['positions']} samples of an epoch, "
                f"which has {samples}: its beyond was changed"
            )
    if state["beyond"] and state["batch_size"] != mine.batch_size:
        return (
            "the state was saved out of order (in_order=False) with batches of "
            f"{state['batch_size']}: resume it with that batch_size, not {mine.batch_size}"
        )
    if ranks == mine.world_size:
        return None
    change = f"the state was saved within an epoch on {ranks} ranks, and now there "
    change += "is 1: " if mine.world_size == 1 else f"are {mine.world_size}: "
    if called_by_lightning():
        return (
            change + "Lightning counts an epoch's batches itself and cannot go on. Resume with "
            "the same number, or from a checkpoint taken at the end of an epoch"
        )
    if state["beyond"]:
        return change + "with in_order=False resume with the same number"
    if not order.can_reshard:
        return (
            change + f"only ringfeed's own order and DistributedSampler's can be dealt anew, not "
            f"{mine.order}"
        )
    return None
