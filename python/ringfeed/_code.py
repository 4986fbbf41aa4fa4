"""What functions of torch, torchvision and Pillow do in a torch worker. They run this code by
run_instead(), among the names of their own module: so each imports what it needs."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any


def run_instead(function: Any, other: Any) -> Callable[..., Any]:
    """Wherever `function` has been imported, kept or pickled by its name: it is the same object,
    and runs what `other` does from here on. Gives one that does what it did."""
    before = copy_of(function)
    function.__code__ = other.__code__.replace(co_name=function.__name__)
    return before


def copy_of(function: Any) -> Any:
    """Another function that does the same, also after run_instead(). What is none stays itself."""
    if type(function) is not types.FunctionType:
        return function
    copied = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copied.__kwdefaults__ = function.__kwdefaults__
    return copied


def runs_instead(function: Any) -> bool:
    """Whether run_instead() has been at it."""
    code = getattr(function, "__code__", None)
    return code is not None and code.co_filename == _HERE


_HERE = copy_of.__code__.co_filename

does: dict[str, Callable[..., Any]] = {}
"""What the functions below do, by their names; of the modules above this one."""


def fetch(self: Any, possibly_batched_index: Any) -> Any:
    import sys

    return sys.modules["ringfeed._code"].does["fetch"](self, possibly_batched_index)


def open(fp: Any, mode: Any = "r", formats: Any = None) -> Any:
    import sys

    return sys.modules["ringfeed._code"].does["open"](fp, mode, formats)


def pil_loader(path: Any) -> Any:
    import sys

    return sys.modules["ringfeed._code"].does["pil_loader"](path)


load_image = pil_loader


def to_tensor(pic: Any) -> Any:
    import sys

    return sys.modules["ringfeed._code"].does["to_tensor"](pic)


def compose_call(self: Any, img: Any) -> Any:
    import sys

    return sys.modules["ringfeed._code"].does["compose_call"](self, img)


def compose_forward(self: Any, *inputs: Any) -> Any:
    import sys

    return sys.modules["ringfeed._code"].does["compose_forward"](self, inputs)
