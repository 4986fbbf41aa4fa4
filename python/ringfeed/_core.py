"""Loaders of the core."""

from __future__ import annotations

import _thread
import os
import sys
from collections.abc import Sequence
from typing import Any

from . import _ringfeed
from ._resolved import Resolved


def core_loader(
    resolved: Resolved,
    batch_size: int,
    options: dict[str, Any],
    plans: Sequence[_ringfeed.Plan] | None = None,
) -> _ringfeed.Loader:
    """Starts nothing: threads are the first next()'s. `plans`: of the views; None: what of the
    recipe is done on the CPU.

    `options`: _ringfeed.Loader's, and `own_order`: whether the core makes the order. It is a flag
    and not the indices, because Session compares options by ==.
    """
    arguments = dict(options)
    # A sampler's indices go through a Subset in Python, which gives entries of the whole dataset.
    # The core then needs them for substitutes alone.
    own_order, replaces = arguments.pop("own_order"), arguments["on_error"] == "replace"
    indices = resolved.parts.indices if own_order or replaces else None
    return _ringfeed.Loader(
        resolved.parts.index,
        plans or [view.core_plan for view in resolved.recipe.views],
        batch_size=batch_size,
        indices=indices,
        **arguments,
    )


def stop_in_background(core: _ringfeed.Loader, process: int) -> None:
    """Stops a core loader of `process` that may be reading. Its end waits for reads in flight, so
    it is left to a thread that nobody waits for. In a forked child there is nothing to end."""
    if os.getpid() != process:
        return
    if sys.is_finalizing():
        return  # all loaders are stopped, and Python 3.11 would wait for ever for a thread to start
    try:
        # Not threading.Thread, whose start() keeps for ever what a KeyboardInterrupt hits in it.
        _thread.start_new_thread(core.stop, ())
    except RuntimeError:
        pass  # no thread can be had: the loader's own end stops it
