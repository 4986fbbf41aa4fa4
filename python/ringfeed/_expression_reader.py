"""What expressions in a function's code give."""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator
from typing import Any

import torch

from . import _ringfeed
from ._function_values import Convert, Image, Made, Result
from ._name_reader import NameReader

MOST = _ringfeed.largest["views"]


class ExpressionReader(NameReader):
    """Takes calls of transforms on the image or on another's result, lists, and loops of a fixed
    length."""

    takes_image = False
    """Whether it has asked for what PIL images alone have."""

    def __init__(self, function: types.FunctionType, name: str) -> None:
        super().__init__(function, name)
        self._results: list[Result] = []  # of all calls
        self._steps = 0

    def _value(self, node: ast.expr, names: dict[str, Any]) -> Any:
        self._steps += 1
        if self._steps > 100 * MOST:
            self._not_understood(node, "the loops around it are too long")
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self._named(node, name, names)
            case ast.Attribute(value=value, attr=name):
                return self._attribute(node, self._value(value, names), name)
            case ast.List(elts=items):
                return Made(self._items(items, names))
            case ast.Tuple(elts=items):
                return tuple(self._items(items, names))
            case ast.ListComp(elt=item, generators=loops):
                return Made(self._comprehended(node, item, loops, dict(names)))
            case ast.Subscript(value=row, slice=index):
                return self._item(node, self._value(row, names), self._value(index, names))
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() as op, right=right):
                return self._sum(node, self._value(left, names), op, self._value(right, names))
            case ast.IfExp(test=test, body=one, orelse=other):
                return self._value(one if self._decided(node, test, names) else other, names)
            case ast.Call(func=function, args=arguments, keywords=[]):
                return self._call(node, function, arguments, names)
            case _:
                self._not_understood(node)

    def _item(self, node: ast.expr, row: Any, index: Any) -> Any:
        if (
            type(row) in (Made, list, tuple)
            and type(index) is int
            and -len(row) <= index < len(row)
        ):
            return row[index]
        self._not_understood(node)

    def _sum(self, node: ast.expr, left: Any, op: ast.operator, right: Any) -> Any:
        if type(left) is type(right) is int:
            if isinstance(op, ast.Mult):
                return left * right
            return left + right if isinstance(op, ast.Add) else left - right
        lists = (Made, list)
        if isinstance(op, ast.Add) and type(left) in lists and type(right) in lists:
            return Made([*left, *right])
        if isinstance(op, ast.Add) and type(left) is type(right) is tuple:
            return left + right
        self._not_understood(node)

    def _items(self, nodes: list[ast.expr], names: dict[str, Any]) -> list[Any]:
        """Their values, those of starred ones one by one."""
        values: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                values += self._row(node.value, names)
            else:
                values.append(self._value(node, names))
        return values

    def _row(self, node: ast.expr, names: dict[str, Any]) -> list[Any]:
        """What a loop goes over."""
        match node:
            case ast.GeneratorExp(elt=item, generators=loops):
                return list(self._comprehended(node, item, loops, dict(names)))
            case ast.Call(func=ast.Name() as called, args=[function, items], keywords=[]) if (
                self._value(called, names) is map
            ):
                return self._mapped(node, function, self._row(items, names), names)
        row = self._value(node, names)
        if isinstance(row, Result) and row.of is self._image:
            row = self._views_of(row)
        if type(row) is torch.nn.ModuleList:
            row = list(row)  # children() would leave repeated ones out
        if type(row) not in (Made, list, tuple, range):
            self._not_understood(node, "it is no list, and no range of a fixed length")
        if row[MOST:]:
            self._not_understood(node, f"it has more than {MOST} items")
        return list(row)

    def _mapped(
        self, node: ast.expr, function: ast.expr, row: list[Any], names: dict[str, Any]
    ) -> list[Any]:
        match function:
            case ast.Lambda(
                args=ast.arguments(
                    posonlyargs=[],
                    args=[ast.arg(arg=name)],
                    vararg=None,
                    kwonlyargs=[],
                    kwarg=None,
                    defaults=[],
                ),
                body=body,
            ):
                return [self._value(body, {**names, name: item}) for item in row]
        self._not_understood(node)

    def _comprehended(
        self,
        node: ast.expr,
        item: ast.expr,
        loops: list[ast.comprehension],
        names: dict[str, Any],
    ) -> Iterator[Any]:
        if not loops:
            yield self._value(item, names)
            return
        loop, *inner = loops
        if loop.ifs or loop.is_async:
            self._not_understood(node)
        for value in self._row(loop.iter, names):
            self._assign(loop.target, value, names)
            yield from self._comprehended(node, item, inner, names)

    def _call(
        self, node: ast.expr, function: ast.expr, arguments: list[ast.expr], names: dict[str, Any]
    ) -> Any:
        if isinstance(function, ast.Attribute) and function.attr in ("append", "extend"):
            row = self._value(function.value, names)
            if type(row) is not Made or len(arguments) != 1:
                self._not_understood(node, "only lists that it makes itself may grow")
            if function.attr == "append":
                return row.append(self._value(arguments[0], names))
            return row.extend(self._row(arguments[0], names))
        called = self._value(function, names)
        if (called is list or called is tuple) and len(arguments) == 1:
            made = self._row(arguments[0], names)
            return tuple(made) if called is tuple else Made(made)
        values = [self._value(argument, names) for argument in arguments]
        return self._applied(node, called, values)

    def _applied(self, node: ast.expr, called: Any, values: list[Any]) -> Any:
        if called is range and [type(value) for value in values] in ([int], [int, int]):
            return range(*values)
        if called is len and len(values) == 1 and type(values[0]) in (Made, list, tuple):
            return len(values[0])
        if isinstance(called, Convert):
            if len(values) != 1 or type(values[0]) is not str or values[0] != "RGB":
                self._not_understood(node, "it looks into the image")
            self.takes_image = True
            return self._image
        of_image = len(values) == 1 and isinstance(values[0], Image | Result)
        others = (type, types.BuiltinFunctionType, Image, Result)
        if not of_image or isinstance(called, others):
            self._not_understood(node, "only transforms are called, with the image alone")
        result = Result(called, values[0], node)
        self._results.append(result)
        return result

    def _views_of(self, result: Result) -> Any:
        """What a call gives that makes views itself."""
        raise NotImplementedError

    def _decided(self, node: ast.AST, test: ast.expr, names: dict[str, Any]) -> bool:
        """Whether `test`, on which `node` depends, holds."""
        is_so = self._holds(test, names)
        if is_so is None:
            self._not_understood(node)
        return is_so

    def _holds(self, test: ast.expr, names: dict[str, Any]) -> bool | None:
        """Whether it does, of what is known whatever the image: its mode and type, what is None,
        and what is True or False. None: it is another test."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                is_so = self._holds(operand, names)
                return None if is_so is None else not is_so
            case ast.Compare(
                left=ast.Attribute(value=ast.Name() as owner, attr="mode"),
                ops=[ast.Eq() | ast.NotEq() as op],
                comparators=[ast.Constant(value=str(mode))],
            ) if self._value(owner, names) is self._image:
                self.takes_image = True
                return (mode == "RGB") is isinstance(op, ast.Eq)
            case ast.Compare(
                left=left,
                ops=[ast.Is() | ast.IsNot() as op],
                comparators=[ast.Constant(value=None)],
            ):
                return (self._value(left, names) is None) is isinstance(op, ast.Is)
            case ast.Call(func=function, args=[ast.Name() as what, kind], keywords=[]) if (
                self._value(function, names) is isinstance
                and self._value(what, names) is self._image
            ):
                return self._is_image(self._value(kind, names))
            case ast.Name() | ast.Attribute():
                value = self._value(test, names)
                return value if type(value) is bool else None
        return None

    def _is_image(self, kind: Any) -> bool | None:
        """Whether a PIL image is a `kind`; None: not known."""
        from PIL.Image import Image as PILImage

        if kind is not PILImage and kind is not torch.Tensor:
            return None
        self.takes_image = True
        return bool(kind is PILImage)

    def _assign(self, target: ast.expr, value: Any, names: dict[str, Any]) -> None:
        match target:
            case ast.Name(id=name):
                names[name] = value
            case ast.Tuple(elts=parts) if type(value) in (Made, tuple) and len(value) == len(parts):
                for part, item in zip(parts, value):
                    self._assign(part, item, names)
            case _:
                self._not_understood(target, "only names of the function's own are assigned to")
