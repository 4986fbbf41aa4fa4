"""The syntax tree of a function, where it is certain that this is what runs."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from types import CodeType, FunctionType

Function = ast.FunctionDef | ast.Lambda

_DECIDING = (
    "co_name",
    "co_firstlineno",
    "co_code",
    "co_names",
    "co_varnames",
    "co_freevars",
    "co_cellvars",
    "co_flags",
    "co_argcount",
    "co_posonlyargcount",
    "co_kwonlyargcount",
)
"""What two functions of the same code have in common, but for their constants."""


_known: dict[CodeType, Function] = {}
"""Trees that have been found: reading a file anew takes 30 ms. Code does not change."""


def function_tree(function: FunctionType) -> Function | None:
    """None where there is no source, or where the source is of other code, as in a file that has
    changed since: its file is compiled again, and must give the very code that runs. None too for
    one of several lambdas in a line that differ."""
    code = function.__code__
    if code not in _known:
        tree = _tree_of(function)
        if tree is None:
            return None
        _known[code] = tree
    return _known[code]


def _tree_of(function: FunctionType) -> Function | None:
    code = function.__code__
    linecache.checkcache(code.co_filename)
    source = "".join(linecache.getlines(code.co_filename, function.__globals__))
    try:
        tree = ast.parse(source)
        module = compile(tree, code.co_filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    if not any(_same(other, code) for other in _codes_within(module)):
        return None
    nodes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, Function)
        and _first_line(node) == code.co_firstlineno
        and getattr(node, "name", "<lambda>") == code.co_name
    ]
    same = {ast.dump(node) for node in nodes}  # lambdas of a line: which it is does not matter
    return nodes[0] if len(same) == 1 else None


def _codes_within(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes_within(constant)


def _first_line(node: Function) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _same(a: CodeType, b: CodeType) -> bool:
    if any(getattr(a, name) != getattr(b, name) for name in _DECIDING):
        return False
    return len(a.co_consts) == len(b.co_consts) and all(
        _same(x, y)
        if isinstance(x, CodeType) and isinstance(y, CodeType)
        else type(x) is type(y) and x == y
        for x, y in zip(a.co_consts, b.co_consts)
    )
