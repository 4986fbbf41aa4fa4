"""What stands for the values of a function whose code is followed."""

from __future__ import annotations

import ast
from typing import Any, NoReturn

from .errors import UnsupportedTransform, not_native


def refuse(name: str, why: str) -> NoReturn:
    not_native(
        f"the transform, {name}: {why}. ringfeed reads from its code which transforms give the "
        "views of an image: calls of transforms on the image, lists of their results, and loops "
        "of a fixed length. Give it ringfeed.transforms.Views([...]) instead, with a transform for "
        "each view",
        UnsupportedTransform,
    )


class Image:
    """In place of the image."""


class Convert:
    """In place of the image's convert()."""


class Result:
    """In place of what a transform makes of the image, or of another's result."""

    def __init__(self, transform: Any, of: Image | Result, call: ast.expr) -> None:
        self.transform = transform
        self.of = of
        self.call = call

    @property
    def chain(self) -> list[Any]:
        """The transforms that have made it, the first one first."""
        before = self.of.chain if isinstance(self.of, Result) else []
        return [*before, self.transform]


class Made(list[Any]):
    """A list that the code itself has made, and may change."""
