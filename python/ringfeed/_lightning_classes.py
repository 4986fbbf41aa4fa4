"""Lightning's classes, of whichever package is installed."""

from __future__ import annotations

import importlib


def lightning_classes(name: str) -> tuple[type, ...]:
    """The class `name` of `lightning`, of `pytorch_lightning`, or of both.

    A Trainer accepts objects of its own package only, so where both are installed a class derives
    from both (the second costs 0.1 s and 7 MB). Lightning tells an overridden hook by comparing
    code with its own base class, so two different versions would each take the other's hooks for
    the user's: then the first alone serves.
    """
    found = []
    for package in ("lightning.pytorch", "pytorch_lightning"):
        try:
            found.append(importlib.import_module(package))
        except ModuleNotFoundError as error:
            if error.name not in (package, package.partition(".")[0]):
                raise
    if not found:
        raise ImportError(
            "ringfeed.lightning needs Lightning: pip install lightning (or pytorch-lightning)"
        )
    return tuple(getattr(m, name) for m in found if m.__version__ == found[0].__version__)
