"""All that keeps a loader from the native rung, so that nobody climbs one obstacle at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from . import _arguments
from ._adding import compile_added
from ._dataset_parts import checked, own_access
from ._own_behaviour import computed
from ._worker_rung import bases
from .errors import NotNative


def with_others(first: NotNative, dataset: Any, multiprocessing_context: Any) -> NotNative:
    """`first`, and what else there is of the kind in a loader's arguments."""
    reasons = [str(first)]
    for check in _checks(dataset, multiprocessing_context):
        try:
            check()
        except NotNative as obstacle:
            reason = str(obstacle)
            if reason not in reasons:
                reasons.append(reason)
        except Exception:  # an error of the native rung's, which says so itself
            pass
    if len(reasons) == 1:
        return first
    others = [reason.removeprefix("not native, because ") for reason in reasons[1:]]
    return type(first)("\n  and because ".join([reasons[0], *others]))


def _checks(dataset: Any, multiprocessing_context: Any) -> Iterator[Callable[[], Any]]:
    yield lambda: _arguments.refuse_iterable(dataset)
    yield lambda: own_access(checked(dataset)[0])
    for base in bases(dataset):
        transform = None if computed(base, "transform") else getattr(base, "transform", None)
        if transform is not None:
            yield partial(
                compile_added,
                transform,
                dtype=None,
                channels_last=False,
                pillow=None,
                images=True,  # which is an obstacle only where nobody is given them
            )
    yield lambda: _arguments.refuse_multiprocessing(multiprocessing_context)
