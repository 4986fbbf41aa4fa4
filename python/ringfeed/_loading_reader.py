"""A dataset's __getitem__ that loads by itself, as SwAV's and copies of torchvision's: which views
it makes of an image, and what it gives besides, read from its code."""

from __future__ import annotations

import ast
import enum
import types
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ._function_reader import FunctionReader
from ._function_tree import Function, function_tree
from ._function_values import Made, Result
from ._views import Views
from .errors import UnsupportedTransform


class Part(enum.Enum):
    """What is known of a sample besides its image."""

    INDEX = enum.auto()
    PATH = enum.auto()
    LABEL = enum.auto()
    TARGET = enum.auto()  # what target_transform makes of the label
    SAMPLES = enum.auto()
    LOADER = enum.auto()


@dataclass(frozen=True)
class View:
    number: int


@dataclass(frozen=True)
class OwnLoading:
    """A script's __getitem__ that loads by itself."""

    function: types.FunctionType
    gives: Any
    """What it returns, with a View or Part for what differs between samples."""
    transforms: list[Any] = field(compare=False)
    """Of each view."""

    @property
    def transform(self) -> Any:
        return self.transforms[0] if len(self.transforms) == 1 else Views(self.transforms)

    def target_transform_of(self, dataset: Any) -> Any:
        return dataset.target_transform if _has(self.gives, Part.TARGET) else None

    def ask(self, index: int, sample: Any) -> Any:
        """What the dataset's [index] is, of `sample`, which has the images of all views, or the one
        image, and the label."""
        images = sample[0] if len(self.transforms) > 1 else [sample[0]]

        def filled(value: Any) -> Any:
            if isinstance(value, View):
                return images[value.number]
            if isinstance(value, Part):
                return index if value is Part.INDEX else sample[1]
            if isinstance(value, list | tuple):
                return type(value)(map(filled, value))
            return value

        return filled(self.gives)


def loading_of(dataset: Any, function: Any) -> OwnLoading:
    """Of its class's own __getitem__. UnsupportedTransform, and why, where that is not understood
    or does something else."""
    if not isinstance(function, types.FunctionType) or not hasattr(dataset, "samples"):
        raise UnsupportedTransform("it is not a function over samples")
    tree = function_tree(function)
    if tree is None:
        raise UnsupportedTransform("its source cannot be read, or is not what runs")
    return LoadingReader(function, dataset).read(tree)


class LoadingReader(FunctionReader):
    """Follows the code of a __getitem__."""

    def __init__(self, function: types.FunctionType, dataset: Any) -> None:
        super().__init__(function, type(dataset).__qualname__)
        self._dataset = dataset
        self._argument = Part.INDEX

    def read(self, tree: Function) -> OwnLoading:
        results: list[Result] = []
        gives = self._given(self._returned(tree, self._dataset), results)
        if not results:
            self._refuse("it returns no image that a transform has made")
        if _has(gives, Part.LABEL) and _has(gives, Part.TARGET):
            self._refuse("it returns the label twice")
        transforms = self._transforms_of(results)
        return OwnLoading(self._function, gives, transforms)

    def _given(self, value: Any, results: list[Result]) -> Any:
        """As in OwnLoading.gives. Adds to `results`."""
        if isinstance(value, Result):
            results.append(value)
            return View(len(results) - 1)
        if type(value) in (Made, tuple):
            parts = [self._given(part, results) for part in value]
            return tuple(parts) if type(value) is tuple else parts
        given = isinstance(value, Part) and value.name in ("INDEX", "LABEL", "TARGET")
        if given or type(value) in _CONSTANT:
            return value
        self._refuse("it returns something else than images, label and index")

    def _refuse(self, why: str) -> NoReturn:
        raise UnsupportedTransform(why)

    def _attribute(self, node: ast.expr, owner: Any, name: str) -> Any:
        if owner is self._dataset and name in _OF_DATASET:
            return _OF_DATASET[name]
        return super()._attribute(node, owner, name)

    def _item(self, node: ast.expr, row: Any, index: Any) -> Any:
        if row is Part.SAMPLES and index is Part.INDEX:
            return Part.PATH, Part.LABEL
        return super()._item(node, row, index)

    def _applied(self, node: ast.expr, called: Any, values: list[Any]) -> Any:
        if len(values) == 1:
            (value,) = values
            if called is Part.LOADER and value is Part.PATH:
                return self._image
            if value is Part.LABEL and called is self._dataset.target_transform:
                return Part.TARGET
        if isinstance(called, Part):
            self._not_understood(node)
        return super()._applied(node, called, values)


_OF_DATASET = {"samples": Part.SAMPLES, "loader": Part.LOADER}
_CONSTANT = (int, float, str, bool, type(None))


def _has(given: Any, part: Part) -> bool:
    if isinstance(given, list | tuple):
        return any(_has(one, part) for one in given)
    return given is part
