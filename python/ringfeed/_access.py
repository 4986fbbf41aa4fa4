"""A dataset class of a script's own that adds to what its base's __getitem__ gives: that is native,
and the rest of its code runs as it is, on the thread of next()."""

from __future__ import annotations

import abc
import types
from dataclasses import dataclass
from typing import Any

from ._access_reader import AccessReader
from ._loading_reader import OwnLoading, loading_of
from .errors import UnsupportedTransform


@dataclass(frozen=True)
class Access:
    """What stands between a script's dataset and the one of torchvision's or ringfeed's beneath."""

    base: type
    """The class whose __getitem__ gives the sample."""
    functions: tuple[types.FunctionType, ...]
    """The script's own __getitem__, the outermost first."""


def access_of(dataset: Any, base: type) -> Access | OwnLoading | None:
    """None where `dataset` has the __getitem__ of `base`. NotNativeType where its own does more
    than to add to what that gives, or to load as that does and apply transforms."""
    kind = type(dataset)
    owners = [
        owner for owner in kind.__mro__[: kind.__mro__.index(base)] if "__getitem__" in vars(owner)
    ]
    if not owners:
        return None
    reader = AccessReader(dataset, base)
    if type(kind) not in (type, abc.ABCMeta):
        reader.refuse(f"its metaclass is {type(kind).__qualname__}")
    for owner in kind.__mro__[: kind.__mro__.index(base)]:
        for name in ("__init_subclass__", "__slots__"):
            if name in vars(owner):
                reader.refuse(f"{owner.__qualname__} has its own {name}")
    try:
        return loading_of(dataset, vars(owners[0])["__getitem__"])
    except UnsupportedTransform as error:
        reader.instead = str(error)
    return Access(base, tuple(reader.read(owner) for owner in owners))


class StandIn:
    """Asks a script's dataset for samples whose images are loaded already.

    What is asked is an object of a class between the script's and the base: its __getitem__ is what
    super() finds there. It has the very attributes of the dataset, which itself is not touched.
    """

    def __init__(self, dataset: Any, access: Access) -> None:
        self._loaded: list[tuple[int, Any]] = []

        def give(stand_in: Any, index: int) -> Any:
            wanted, sample = self._loaded.pop()
            assert index == wanted
            return sample

        kind: Any = type(dataset)
        between = type(access.base)(access.base.__name__, (access.base,), {"__getitem__": give})
        body = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
        asked: Any = type(kind)(kind.__name__, (kind, between), body)
        self._asked = object.__new__(asked)
        self._asked.__dict__ = vars(dataset)

    @classmethod
    def of(cls, dataset: Any, access: Access | OwnLoading | None) -> StandIn | OwnLoading | None:
        """None where the base's __getitem__ is the dataset's own."""
        return cls(dataset, access) if isinstance(access, Access) else access

    def ask(self, index: int, sample: Any) -> Any:
        """What the dataset's [index] is, where its base gives `sample`."""
        self._loaded = [(index, sample)]
        return self._asked[index]
