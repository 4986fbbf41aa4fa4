"""What a function returns, followed through its code.

Nothing of the script is run. Its code is read statement by statement, and only what cannot depend
on anything but the transforms' own draws is taken: attributes, calls of a transform on the image or
on another's result, lists, loops of a fixed length, and conversions to RGB, which images are.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import types
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import torch

from . import _ringfeed
from ._called import called_of
from ._function_tree import Function, function_tree
from .errors import UnsupportedTransform, not_native

_MOST = _ringfeed.largest["views"]
_DEEPEST = 8
_DEFERRED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def refuse(name: str, why: str) -> NoReturn:
    not_native(
        f"the transform, {name}: {why}. ringfeed reads from its code which transforms give the "
        "views of an image: calls of transforms on the image, lists of their results, and loops "
        "of a fixed length. Give it ringfeed.transforms.Views([...]) instead, with a transform for "
        "each view",
        UnsupportedTransform,
    )


def _is_modules_own(kind: type) -> bool:
    """Whether a class looks attributes up as torch.nn.Module does."""
    looks_up = inspect.getattr_static(kind, "__getattr__")
    return looks_up is inspect.getattr_static(torch.nn.Module, "__getattr__")


class _Image:
    """In place of the image."""


class _Convert:
    """In place of the image's convert()."""


class Result:
    """In place of what a transform makes of the image, or of another's result."""

    def __init__(self, transform: Any, of: _Image | Result, call: ast.expr) -> None:
        self.transform = transform
        self.of = of
        self.call = call

    @property
    def chain(self) -> list[Any]:
        """The transforms that have made it, the first one first."""
        before = self.of.chain if isinstance(self.of, Result) else []
        return [*before, self.transform]


class _Made(list[Any]):
    """A list that the code itself has made, and may change."""


def _one_after_the_other(transforms: list[Any]) -> Any:
    if len(transforms) == 1:
        return transforms[0]
    from torchvision.transforms import Compose

    return Compose(transforms)


class FunctionReader:
    """Follows the code of one function, which is given a PIL image of mode RGB. Each `Result`
    stands for one call of a transform."""

    takes_image = False
    """Whether it has asked for what PIL images alone have."""

    def __init__(self, function: types.FunctionType, name: str, depth: int = 0) -> None:
        """`depth`: of such functions around this one."""
        self._function = function
        self._depth = depth
        self._name = name
        self._image = _Image()
        self._results: list[Result] = []  # of all calls
        self._steps = 0

    def chain(self, tree: Function, receiver: Any) -> list[Any] | None:
        """The transforms that are applied one after the other, where what they make is all that is
        made and returned; else None."""
        value = self._returned(tree, receiver)
        if value is self._image:
            chain = []
        elif isinstance(value, Result):
            chain = value.chain
        else:
            return None
        return chain if len(chain) == len(self._results) else None

    def _returned(self, tree: Function, receiver: Any) -> Any:
        if self._function.__code__.co_flags & _DEFERRED:
            refuse(self._name, "it is a generator or a coroutine")
        names = self._arguments(tree, receiver)
        if isinstance(tree, ast.Lambda):
            return self._value(tree.body, names)
        return self._run(tree.body, names)

    def views(self, tree: Function, receiver: Any) -> list[Any] | tuple[Any, ...] | None:
        """The transforms whose results are returned, in a list or tuple as these; None: it returns
        neither."""
        value = self._returned(tree, receiver)
        if type(value) not in (_Made, tuple):
            return None
        results: list[Any] = list(value)
        if not results:
            refuse(self._name, "it returns no view")
        if not all(isinstance(result, Result) for result in results):
            refuse(self._name, "what it returns is not a list of what transforms made of the image")
        if len(set(map(id, results))) < len(results):
            refuse(self._name, "it returns one view twice")
        used = [*results, *(result.of for result in self._results)]
        for result in self._results:
            uses = sum(result is one for one in used)
            if uses == 0:
                self._not_understood(result.call, "its result is not returned")
            if uses > 1:
                self._not_understood(result.call, "several views are made of its result")
        if len(results) > _MOST:
            refuse(self._name, f"it returns more than {_MOST} views")
        transforms = [_one_after_the_other(result.chain) for result in results]
        return tuple(transforms) if type(value) is tuple else transforms

    def _not_understood(self, node: ast.AST, why: str = "this is not understood") -> NoReturn:
        text = " ".join(ast.unparse(node).split())
        text = text if len(text) <= 80 else text[:77] + "..."
        refuse(self._name, f"`{text}`: {why}")

    def _arguments(self, tree: Function, receiver: Any) -> dict[str, Any]:
        arguments = tree.args
        names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        given = [self._image] if receiver is None else [receiver, self._image]
        values = dict(zip(names, given))
        for name, value in zip(reversed(names), reversed(self._function.__defaults__ or ())):
            values.setdefault(name, value)
        others = arguments.kwonlyargs or arguments.vararg or arguments.kwarg
        if len(values) < max(len(names), len(given)) or others:
            refuse(self._name, "it takes other arguments besides the image")
        return values

    # Statements

    def _run(self, body: Iterable[ast.stmt], names: dict[str, Any]) -> Any:
        """What is returned; None: it goes on behind these statements."""
        for statement in body:
            match statement:
                case ast.Return(value=ast.expr() as expression):
                    value = self._value(expression, names)
                    if value is None:  # which would read as going on
                        self._not_understood(statement)
                    return value
                case ast.Expr(value=ast.Constant()):  # a docstring
                    pass
                case ast.Expr(value=ast.Call() as call):
                    self._value(call, names)
                case ast.Assign(targets=[target], value=value):
                    self._assign(target, self._value(value, names), names)
                case ast.AnnAssign(target=ast.Name() as target, value=ast.expr() as value):
                    self._assign(target, self._value(value, names), names)
                case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value) if (
                    type(names.get(name)) is _Made
                ):
                    names[name].extend(self._row(value, names))
                case ast.For(target=target, iter=row, body=inner, orelse=[]):
                    for item in self._row(row, names):
                        self._assign(target, item, names)
                        if any(isinstance(n, ast.Return) for s in inner for n in ast.walk(s)):
                            self._not_understood(statement, "it returns within a loop")
                        self._run(inner, names)
                case ast.If(test=test, body=body_if, orelse=body_else):
                    is_so = self._known_mode(test, names)
                    if is_so is None:
                        self._not_understood(statement)
                    value = self._run(body_if if is_so else body_else, names)
                    if value is not None:
                        return value
                case _:
                    self._not_understood(statement)
        return None

    def _assign(self, target: ast.expr, value: Any, names: dict[str, Any]) -> None:
        match target:
            case ast.Name(id=name):
                names[name] = value
            case ast.Tuple(elts=parts) if type(value) in (_Made, tuple) and len(value) == len(
                parts
            ):
                for part, item in zip(parts, value):
                    self._assign(part, item, names)
            case _:
                self._not_understood(target, "only names of the function's own are assigned to")

    # Expressions

    def _value(self, node: ast.expr, names: dict[str, Any]) -> Any:
        self._steps += 1
        if self._steps > 100 * _MOST:
            self._not_understood(node, "the loops around it are too long")
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self._named(node, name, names)
            case ast.Attribute(value=value, attr=name):
                return self._attribute(node, self._value(value, names), name)
            case ast.List(elts=items):
                return _Made(self._items(items, names))
            case ast.Tuple(elts=items):
                return tuple(self._items(items, names))
            case ast.ListComp(elt=item, generators=loops):
                return _Made(self._comprehended(node, item, loops, dict(names)))
            case ast.Subscript(value=row, slice=index):
                return self._item(node, self._value(row, names), self._value(index, names))
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() as op, right=right):
                return self._sum(node, self._value(left, names), op, self._value(right, names))
            case ast.IfExp(test=test, body=one, orelse=other):
                is_so = self._known_mode(test, names)
                if is_so is None:
                    self._not_understood(node)
                return self._value(one if is_so else other, names)
            case ast.Call(func=function, args=arguments, keywords=[]):
                return self._call(node, function, arguments, names)
            case _:
                self._not_understood(node)

    def _known_mode(self, test: ast.expr, names: dict[str, Any]) -> bool | None:
        """Whether a comparison of the image's mode holds; None: it is another test."""
        match test:
            case ast.Compare(
                left=ast.Attribute(value=ast.Name() as owner, attr="mode"),
                ops=[ast.Eq() | ast.NotEq() as op],
                comparators=[ast.Constant(value=str(mode))],
            ) if self._value(owner, names) is self._image:
                self.takes_image = True
                return (mode == "RGB") is isinstance(op, ast.Eq)
        return None

    def _named(self, node: ast.expr, name: str, names: dict[str, Any]) -> Any:
        if name in names:
            return names[name]
        code, cells = self._function.__code__, self._function.__closure__ or ()
        if name in code.co_varnames or name in code.co_cellvars:
            self._not_understood(node, "it has no value yet")
        if name in code.co_freevars:
            try:
                return cells[code.co_freevars.index(name)].cell_contents
            except ValueError:
                self._not_understood(node, "it has no value")
        if name in self._function.__globals__:
            return self._function.__globals__[name]
        if hasattr(builtins, name):
            return getattr(builtins, name)
        self._not_understood(node, "it has no value")

    def _attribute(self, node: ast.expr, owner: Any, name: str) -> Any:
        """What stands in the object or its class, without any code of theirs."""
        if owner is self._image and name == "convert":
            return _Convert()
        if isinstance(owner, (_Image, Result)):
            self._not_understood(node, "it looks into the image")
        if name.startswith("__") and not name.endswith("__"):
            self._not_understood(node, "within a class Python gives it another name")
        if isinstance(owner, types.ModuleType) and name in vars(owner):
            return vars(owner)[name]
        get = inspect.getattr_static(type(owner), "__getattribute__")
        if get is inspect.getattr_static(object, "__getattribute__"):
            of_class = inspect.getattr_static(type(owner), name, self)
            own = getattr(owner, "__dict__", {})
            modules = own.get("_modules", {}) if isinstance(owner, torch.nn.Module) else {}
            if isinstance(of_class, types.MemberDescriptorType):  # of __slots__
                try:
                    return of_class.__get__(owner)
                except AttributeError:
                    self._not_understood(node, "it has no value")
            if not hasattr(type(of_class), "__set__") and not hasattr(type(of_class), "__delete__"):
                if name in own:
                    return own[name]
                if of_class is not self and not hasattr(type(of_class), "__get__"):
                    return of_class
                # Python asks Module.__getattr__ for what stands nowhere else.
                if of_class is self and name in modules and _is_modules_own(type(owner)):
                    return modules[name]
        self._not_understood(node, "it is no attribute with a value of its own")

    def _item(self, node: ast.expr, row: Any, index: Any) -> Any:
        if (
            type(row) in (_Made, list, tuple)
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
        lists = (_Made, list)
        if isinstance(op, ast.Add) and type(left) in lists and type(right) in lists:
            return _Made([*left, *right])
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
        if isinstance(node, ast.GeneratorExp):
            return list(self._comprehended(node, node.elt, node.generators, dict(names)))
        row = self._value(node, names)
        if isinstance(row, Result) and row.of is self._image:
            row = self._views_of(row)
        if type(row) is torch.nn.ModuleList:
            row = list(row)  # children() would leave repeated ones out
        if type(row) not in (_Made, list, tuple, range):
            self._not_understood(node, "it is no list, and no range of a fixed length")
        if row[_MOST:]:
            self._not_understood(node, f"it has more than {_MOST} items")
        return list(row)

    def _views_of(self, result: Result) -> Any:
        """What a call gives that makes views itself."""
        called = called_of(result.transform)
        tree = None if called is None or self._depth > _DEEPEST else function_tree(called[0])
        if called is None or tree is None:
            return result
        reader = FunctionReader(called[0], self._name, self._depth + 1)
        transforms = reader.views(tree, called[1])
        if transforms is None:
            return result
        views = [Result(transform, self._image, result.call) for transform in transforms]
        self._results = [one for one in self._results if one is not result] + views
        return _Made(views)

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
            if type(row) is not _Made or len(arguments) != 1:
                self._not_understood(node, "only lists that it makes itself may grow")
            if function.attr == "append":
                return row.append(self._value(arguments[0], names))
            return row.extend(self._row(arguments[0], names))
        called = self._value(function, names)
        if (called is list or called is tuple) and len(arguments) == 1:
            made = self._row(arguments[0], names)
            return tuple(made) if called is tuple else _Made(made)
        values = [self._value(argument, names) for argument in arguments]
        if called is range and [type(value) for value in values] in ([int], [int, int]):
            return range(*values)
        if called is len and len(values) == 1 and type(values[0]) in (_Made, list, tuple):
            return len(values[0])
        if isinstance(called, _Convert):
            if len(values) != 1 or type(values[0]) is not str or values[0] != "RGB":
                self._not_understood(node, "it looks into the image")
            self.takes_image = True
            return self._image
        of_image = len(values) == 1 and isinstance(values[0], _Image | Result)
        others = (type, types.BuiltinFunctionType, _Image, Result)
        if not of_image or isinstance(called, others):
            self._not_understood(node, "only transforms are called, with the image alone")
        result = Result(called, values[0], node)
        self._results.append(result)
        return result
