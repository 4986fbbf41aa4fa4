"""Which transforms a class or function of a script applies to one image to give several views."""

from __future__ import annotations

import ast
import dis
import types
from typing import Any

from ._called import called_of
from ._function_reader import FunctionReader
from ._function_tree import Function, function_tree
from ._function_values import refuse
from ._views import Views
from .errors import UnsupportedTransform


def views_of(transform: Any) -> list[Any] | tuple[Any, ...] | None:
    """The transforms of its views, in the order of what it returns, and in a tuple where it returns
    one; None: it returns no list.

    Raises UnsupportedTransform, naming what is not understood, where it seems to return views.
    """
    if isinstance(transform, Views):
        if type(transform).__call__ is not Views.__call__:
            refuse(type(transform).__qualname__, "it has its own __call__")
        return list(transform.transforms)
    called = called_of(transform)
    if called is None:
        return None
    function, receiver = called
    name = function.__qualname__ if receiver is None else type(receiver).__qualname__
    tree = function_tree(function)
    if tree is None:
        if _builds_a_list(function.__code__):
            refuse(name, "its source cannot be read, or is not what runs")
        return None
    reader = FunctionReader(function, name)
    try:
        return reader.views(tree, receiver)
    except UnsupportedTransform:
        if _returns_a_list(tree):
            raise
        return None


def _returns_a_list(tree: Function) -> bool:
    """Whether it looks like views: then what is not understood is said."""

    def is_row(node: ast.AST | None) -> bool:
        match node:
            case ast.List() | ast.ListComp() | ast.Tuple() | ast.Dict():
                return True
            case ast.Call(func=ast.Name(id="list" | "tuple") | ast.Attribute(attr="stack")):
                return True
            case ast.Subscript(value=row):
                return is_row(row)
            case ast.BinOp(left=one, right=other) | ast.IfExp(body=one, orelse=other):
                return is_row(one) or is_row(other)
        return False

    if isinstance(tree, ast.Lambda):
        return is_row(tree.body)
    nodes = [node for statement in tree.body for node in ast.walk(statement)]
    made = {
        getattr(target, "id", None)
        for node in nodes
        if isinstance(node, ast.Assign) and is_row(node.value)
        for target in node.targets
    }
    return any(
        is_row(node.value) or any(getattr(n, "id", "") in made for n in ast.walk(node))
        for node in nodes
        if isinstance(node, ast.Return)
    )


def _builds_a_list(code: types.CodeType) -> bool:
    """The same of code without a source."""
    within = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return any(map(_builds_a_list, within)) or any(
        instruction.opname in ("BUILD_LIST", "BUILD_TUPLE", "LIST_APPEND")
        for instruction in dis.get_instructions(code)
    )
