"""A script's own step that changes the image by one of Pillow's operations, perhaps by chance and
by a number that it draws: the blur and the solarization of many self-supervised recipes.

It becomes transforms that do the same by draws of ringfeed's, of the same distribution.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterable
from typing import Any

import numpy as np

from ._function_reader import FunctionReader
from ._function_tree import Function
from ._function_values import Result
from ._pil_gaussian_blur import PILGaussianBlur

_BETWEEN = (random.uniform, np.random.uniform)
_BELOW_ONE = (random.random, np.random.rand, np.random.random, np.random.random_sample)


class _Once:
    """Something that is drawn. What uses it twice makes two things that hang together, and draws of
    ringfeed's are independent."""

    used = False


class _Number(_Once):
    """In place of a number that is drawn evenly."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high


class _Chance(_Once):
    """In place of a question that chance answers with yes by the probability `p`."""

    def __init__(self, p: float) -> None:
        self.p = min(1.0, max(0.0, p))


class _Filter:
    """In place of the image's filter()."""


class _Blur:
    """In place of ImageFilter.GaussianBlur(radius)."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high


class _Perhaps:
    """In place of an image that is changed by the probability `p`."""

    def __init__(self, p: float, changed: Result) -> None:
        self.p, self.changed = p, changed


class OperationReader(FunctionReader):
    """Follows the code of a step."""

    def chain(self, tree: Function, receiver: Any) -> list[Any] | None:
        from torchvision.transforms import RandomApply

        value = self._returned(tree, receiver)
        changed = value.changed if isinstance(value, _Perhaps) else value
        if not isinstance(changed, Result) or len(changed.chain) != len(self._results):
            return None
        if isinstance(value, _Perhaps):
            return [RandomApply(changed.chain, p=value.p)]
        return changed.chain

    def _run(self, body: Iterable[ast.stmt], names: dict[str, Any]) -> Any:
        statements = list(body)
        for number, statement in enumerate(statements, start=1):
            match statement:
                case ast.If(test=test, body=one, orelse=other):
                    rest = statements[number:]
                    ways = [*one, *rest], [*other, *rest]
                    found = [self._run(way, dict(names)) for way in ways]
                    return self._either(statement, self._value(test, names), *found)
            value = super()._run([statement], names)
            if value is not None:
                return value
        return None

    def _value(self, node: ast.expr, names: dict[str, Any]) -> Any:
        match node:
            case ast.IfExp(test=test, body=one, orelse=other):
                found = [self._value(way, names) for way in (one, other)]
                return self._either(node, self._value(test, names), *found)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._chance(node, self._value(left, names), op, self._value(right, names))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                value = self._value(operand, names)
                if not isinstance(value, _Chance):
                    self._not_understood(node)
                return _Chance(1 - self._once(node, value).p)
            case ast.Call(func=function, args=arguments, keywords=keywords):
                values = self._items(arguments, names)
                named = {k.arg or "": self._value(k.value, names) for k in keywords}
                return self._operation(node, self._value(function, names), values, named)
        return super()._value(node, names)

    def _attribute(self, node: ast.expr, owner: Any, name: str) -> Any:
        if owner is self._image and name == "filter":
            return _Filter()
        return super()._attribute(node, owner, name)

    def _either(self, node: ast.AST, chance: Any, one: Any, other: Any) -> _Perhaps:
        if isinstance(chance, _Chance):
            p = self._once(node, chance).p
            if isinstance(one, Result) and other is self._image:
                return _Perhaps(p, one)
            if isinstance(other, Result) and one is self._image:
                return _Perhaps(1 - p, other)
        self._not_understood(node)

    def _chance(self, node: ast.AST, one: Any, op: ast.cmpop, other: Any) -> _Chance:
        less = isinstance(op, ast.Lt | ast.LtE)
        if less or isinstance(op, ast.Gt | ast.GtE):
            if _is_number(one) and isinstance(other, _Number):
                one, other, less = other, one, not less
            if isinstance(one, _Number) and _is_number(other) and one.low < one.high:
                drawn = self._once(node, one)
                below = (other - drawn.low) / (drawn.high - drawn.low)
                return _Chance(below if less else 1 - below)
        self._not_understood(node)

    def _sum(self, node: ast.expr, left: Any, op: ast.operator, right: Any) -> Any:
        if isinstance(left, _Number) and _is_number(right):
            ends = [_arithmetic(end, op, right) for end in (left.low, left.high)]
        elif isinstance(right, _Number) and _is_number(left):
            ends = [_arithmetic(left, op, end) for end in (right.low, right.high)]
        elif _is_number(left) and _is_number(right):
            return _arithmetic(left, op, right)
        else:
            return super()._sum(node, left, op, right)
        self._once(node, left if isinstance(left, _Number) else right)
        return _Number(min(ends), max(ends))

    def _operation(
        self, node: ast.expr, called: Any, values: list[Any], named: dict[str, Any]
    ) -> Any:
        from PIL import ImageFilter, ImageOps
        from torchvision import transforms as v1

        if any(called is one for one in _BELOW_ONE) and not values and not named:
            return _Number(0.0, 1.0)
        two_numbers = len(values) == 2 and all(map(_is_number, values)) and not named
        if two_numbers and any(called is one for one in _BETWEEN):
            return _Number(min(values), max(values))
        if called is ImageFilter.GaussianBlur and len(values) + len(named) == 1:
            return self._blur(node, *values, **named)
        match called, values:
            case _Filter(), [_Blur() as blur] if not named:
                return self._changed(PILGaussianBlur((blur.low, blur.high)), node)
        if values and values[0] is self._image:
            if called is ImageOps.solarize:
                return self._solarized(node, *values[1:], **named)
            if called is ImageOps.equalize and len(values) == 1 and not named:
                return self._changed(v1.RandomEqualize(p=1.0), node)
        self._not_understood(node)

    def _blur(self, node: ast.expr, radius: Any = None, **others: Any) -> _Blur:
        if isinstance(radius, _Number):
            drawn = self._once(node, radius)
            low, high = drawn.low, drawn.high
        elif _is_number(radius):
            low = high = radius
        else:
            self._not_understood(node)
        if others or not 0 <= low <= high <= 1000:
            self._not_understood(node)
        return _Blur(low, high)

    def _solarized(self, node: ast.expr, threshold: Any = 128, **others: Any) -> Result:
        from torchvision.transforms import RandomSolarize

        if others or not _is_number(threshold):
            self._not_understood(node)
        return self._changed(RandomSolarize(threshold, p=1.0), node)

    def _changed(self, transform: Any, node: ast.expr) -> Result:
        result = Result(transform, self._image, node)
        self._results.append(result)
        return result

    def _once(self, node: ast.AST, drawn: Any) -> Any:
        if drawn.used:
            self._not_understood(node, "it uses twice what it draws")
        drawn.used = True
        return drawn


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _arithmetic(one: float, op: ast.operator, other: float) -> float:
    if isinstance(op, ast.Mult):
        return one * other
    return one + other if isinstance(op, ast.Add) else one - other
