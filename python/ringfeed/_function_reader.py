"""What a function returns, followed through its code.

Nothing of the script is run. Its code is read statement by statement, and only what cannot depend
on anything but the transforms' own draws is taken: attributes, calls of a transform on the image or
on another's result, lists, loops of a fixed length, and conversions to RGB, which images are.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterable, Sequence
from typing import Any

from ._called import called_of
from ._expression_reader import MOST, ExpressionReader
from ._function_tree import Function, function_tree
from ._function_values import Made, Result

_DEEPEST = 8
_DEFERRED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def _one_after_the_other(transforms: list[Any]) -> Any:
    if len(transforms) == 1:
        return transforms[0]
    from torchvision.transforms import Compose

    return Compose(transforms)


class FunctionReader(ExpressionReader):
    """Follows the code of one function, which is given a PIL image of mode RGB. Each `Result`
    stands for one call of a transform."""

    def __init__(self, function: types.FunctionType, name: str, depth: int = 0) -> None:
        """`depth`: of such functions around this one."""
        super().__init__(function, name)
        self._depth = depth
        self._argument: Any = self._image

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
            self._refuse("it is a generator or a coroutine")
        names = self._arguments(tree, receiver)
        if isinstance(tree, ast.Lambda):
            return self._value(tree.body, names)
        return self._run(tree.body, names)

    def views(self, tree: Function, receiver: Any) -> list[Any] | tuple[Any, ...] | None:
        """The transforms whose results are returned, in a list or tuple as these; None: it returns
        neither."""
        value = self._returned(tree, receiver)
        if type(value) not in (Made, tuple):
            return None
        if not value:
            self._refuse("it returns no view")
        if not all(isinstance(result, Result) for result in value):
            self._refuse("what it returns is not a list of what transforms made of the image")
        transforms = self._transforms_of(value)
        return tuple(transforms) if type(value) is tuple else transforms

    def _transforms_of(self, results: Sequence[Result]) -> list[Any]:
        """Of views that are returned, where nothing else has been made."""
        if len(set(map(id, results))) < len(results):
            self._refuse("it returns one view twice")
        used = [*results, *(result.of for result in self._results)]
        for result in self._results:
            uses = sum(result is one for one in used)
            if uses == 0:
                self._not_understood(result.call, "its result is not returned")
            if uses > 1:
                self._not_understood(result.call, "several views are made of its result")
        if len(results) > MOST:
            self._refuse(f"it returns more than {MOST} views")
        return [_one_after_the_other(result.chain) for result in results]

    def _arguments(self, tree: Function, receiver: Any) -> dict[str, Any]:
        arguments = tree.args
        names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        given = [self._argument] if receiver is None else [receiver, self._argument]
        values = dict(zip(names, given))
        for name, value in zip(reversed(names), reversed(self._function.__defaults__ or ())):
            values.setdefault(name, value)
        others = arguments.kwonlyargs or arguments.vararg or arguments.kwarg
        if len(values) < max(len(names), len(given)) or others:
            self._refuse("it takes other arguments besides the image")
        return values

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
        return Made(views)

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
                    type(names.get(name)) is Made
                ):
                    names[name].extend(self._row(value, names))
                case ast.For(target=target, iter=row, body=inner, orelse=[]):
                    for item in self._row(row, names):
                        self._assign(target, item, names)
                        if any(isinstance(n, ast.Return) for s in inner for n in ast.walk(s)):
                            self._not_understood(statement, "it returns within a loop")
                        self._run(inner, names)
                case ast.If(test=test, body=body_if, orelse=body_else):
                    is_so = self._decided(statement, test, names)
                    value = self._run(body_if if is_so else body_else, names)
                    if value is not None:
                        return value
                case _:
                    self._not_understood(statement)
        return None
