"""torch's DataLoader, wherever a script or a library has its name from, makes ringfeed's."""

from __future__ import annotations

import inspect
import os
from typing import Any

from torch.utils.data import DataLoader as _Torch

from ._samplers import OwnOrder
from .datasets import warn_user
from .loader import DataLoader

__all__ = ["install", "uninstall"]

_SITE = os.path.join(os.path.dirname(__file__), "_site")

# Classes of libraries that are torch's DataLoader but for what they add, and call its __init__.
_KNOWN = {("timm.data.loader", "MultiEpochsDataLoader")}

_installed = False
_warned_of: set[type] = set()
_with_ringfeed: dict[type, type] = {}


def install() -> None:
    """From now on `torch.utils.data.DataLoader(...)` makes a `ringfeed.DataLoader`.

    >>> import ringfeed, torch.utils.data
    >>> ringfeed.install()
    >>> type(torch.utils.data.DataLoader([1, 2, 3], native=False))
    <class 'ringfeed.loader.DataLoader'>
    >>> ringfeed.uninstall()

    For scripts that are left as they are, and for libraries that make loaders. No name is replaced:
    whoever has imported the class, and wherever it stands, has the same class as before, and
    `isinstance`, pickles and base classes stay right. Subclasses of it stay torch's, with a warning
    for each that is not made around another loader, but for timm's MultiEpochsDataLoader. What was
    made before stays as it is. Spawned children are reached where the script calls this at its
    top level, outside of `if __name__ == "__main__"`; `python -m ringfeed script.py` reaches all
    of them.
    """
    global _installed
    _installed = True
    if _Torch.__new__ is not _new:
        _Torch.__new__ = _new  # type: ignore[method-assign]


def uninstall() -> None:
    """`torch.utils.data.DataLoader(...)` makes torch's again."""
    global _installed
    _installed = False
    _Torch.__new__ = _new  # type: ignore[method-assign]  # without one object's would refuse arguments
    os.environ.pop("RINGFEED_INSTALL", None)


def _new(cls: type, *args: Any, **kwargs: Any) -> Any:
    # Without arguments it is a copy or a pickle.
    if _installed and (args or kwargs) and not issubclass(cls, DataLoader):
        wraps = any(isinstance(value, _Torch) for value in (*args, *kwargs.values()))
        if cls is _Torch:
            cls = DataLoader
            # `sampler` and `batch_sampler`, of which one may be None.
            for given in (*args[3:5], kwargs.get("sampler"), kwargs.get("batch_sampler")):
                _warn_of_lost_options(given)
        elif not wraps:  # what gives another loader's batches, as Ray's does, makes none itself
            cls = _of_library(cls)
    # Of another base, behind torch's class.
    following: Any = super(_Torch, cls).__new__  # type: ignore[misc]
    return following(cls) if following is object.__new__ else following(cls, *args, **kwargs)


_new.__name__ = "__new__"
_new.__signature__ = inspect.signature(_Torch.__init__)  # type: ignore[attr-defined]


def _warn_of_lost_options(sampler: Any) -> None:
    """Where a library makes a loader around the order of one of ringfeed's."""
    for _ in range(8):  # wrappers
        if isinstance(sampler, OwnOrder):
            break
        sampler = getattr(sampler, "batch_sampler", getattr(sampler, "sampler", None))
    if isinstance(sampler, OwnOrder) and sampler.options:
        names = ", ".join(f"{name}=" for name in sampler.options)
        warn_user(
            f"a loader is made around the order of a ringfeed.DataLoader, without its {names}: "
            "what makes loaders anew, as accelerate's prepare() does, knows torch's arguments "
            "alone. Keep the loader out of it"
        )


def _of_library(cls: type) -> type:
    """A subclass that somebody else has made."""
    if (cls.__module__, cls.__qualname__) in _KNOWN:
        if cls not in _with_ringfeed:
            body = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
            _with_ringfeed[cls] = type(cls.__name__, (cls, DataLoader), body)
        return _with_ringfeed[cls]
    if cls not in _warned_of:
        _warned_of.add(cls)
        warn_user(
            f"{cls.__module__}.{cls.__qualname__} derives from torch's DataLoader and stays "
            "torch's: to load by ringfeed put a ringfeed.DataLoader in its place, or derive it "
            "from that"
        )
    return cls


def hand_on() -> None:
    """Python processes that this one starts are installed in too: by the environment, and a
    sitecustomize at the head of $PYTHONPATH, which runs the one that was there."""
    before = os.environ.get("PYTHONPATH")
    if before is None or before.split(os.pathsep)[0] != _SITE:
        os.environ["PYTHONPATH"] = _SITE if not before else _SITE + os.pathsep + before
    os.environ["RINGFEED_INSTALL"] = "1"
