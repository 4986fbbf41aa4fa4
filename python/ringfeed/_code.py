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


def fetch(self: Any, possibly_batched_index: Any) -> Any:
    from ringfeed._worker_rung import fetch_in_worker

    return fetch_in_worker(self, possibly_batched_index)


def open(fp: Any, mode: Any = "r", formats: Any = None) -> Any:
    from ringfeed._worker_rung import open_as_pillow

    return open_as_pillow(fp, mode, formats)


def pil_loader(path: Any) -> Any:
    from ringfeed._open import pil_loader

    return pil_loader(path)


load_image = pil_loader


def to_tensor(pic: Any) -> Any:
    from ringfeed._tensor_steps import short

    return short.to_tensor(pic)


def compose_call(self: Any, img: Any) -> Any:
    from ringfeed._tensor_steps import short

    return short.compose(self, img)


def compose_forward(self: Any, *inputs: Any) -> Any:
    from ringfeed._tensor_steps import short

    return short.forward(self, inputs)
