"""A transform of a script's own that gives the transformed image together with what does not depend
on it, such as a mask: the image is made natively, and the rest of its code runs as it is, on the
thread of next()."""

from __future__ import annotations

import ast
import types
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ._called import called_of
from ._function_tree import function_tree
from .errors import UnsupportedTransform
from .transforms import Recipe, ViewsRecipe, compile_transform


@dataclass(frozen=True)
class Adding:
    """What such a transform is."""

    owner: Any
    function: types.FunctionType
    """Its class's __call__."""
    attribute: str
    """Of `owner`: the transform of the image."""

    @property
    def transform(self) -> Any:
        return vars(self.owner)[self.attribute]


class Added:
    """Calls a script's transform with images that are made already. What is called has the owner's
    attributes; the owner itself is not touched."""

    def __init__(self, adding: Adding) -> None:
        self._image: Any = None
        self._asked = object.__new__(type(adding.owner))
        self._asked.__dict__ = {**vars(adding.owner), adding.attribute: lambda _: self._image}

    @classmethod
    def of(cls, adding: Adding | None) -> Added | None:
        return None if adding is None else cls(adding)

    def __call__(self, image: Any) -> Any:
        self._image = image
        return self._asked(None)


def compile_added(
    transform: Any, images: bool, **options: Any
) -> tuple[Recipe | ViewsRecipe, Adding | None]:
    """See compile_transform(). Where that refuses `transform`, and it adds to what another gives,
    that one's recipe."""
    try:
        return compile_transform(transform, images=images, **options), None
    except UnsupportedTransform:
        adding = adding_of(transform)
        if adding is None:
            raise
    return compile_transform(adding.transform, images=True, **options), adding


def adding_of(transform: Any) -> Adding | None:
    """None where it is no such transform, or not certain to be one."""
    called = called_of(transform)
    if called is None or not _looks_up_plainly(transform) or called[1] is not transform:
        return None
    function, tree = called[0], function_tree(called[0])
    if not isinstance(tree, ast.FunctionDef) or function.__code__.co_freevars:
        return None
    held = vars(transform)
    attribute = _attribute_in(tree, {n: held[n] for n in held if not hasattr(type(transform), n)})
    return None if attribute is None else Adding(transform, function, attribute)


def _looks_up_plainly(transform: Any) -> bool:
    kind = type(transform)
    own = (name for owner in kind.__mro__[:-1] for name in vars(owner))
    strange = ("__getattribute__", "__getattr__", "__setattr__", "__slots__")
    return (
        type(kind) is type
        and not isinstance(transform, torch.nn.Module)
        and not any(name in strange for name in own)
    )


def _attribute_in(tree: ast.FunctionDef, held: dict[str, Any]) -> str | None:
    """The name of the attribute among `held`, the object's own, that the code calls with the image,
    first and once, and whose result it returns among others and uses for nothing else."""
    arguments = tree.args
    named = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    further = (arguments.vararg, arguments.kwarg, *arguments.kwonlyargs, *arguments.defaults)
    body = [
        s for s in tree.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
    ]
    if len(named) != 2 or any(further) or not body or not isinstance(body[-1], ast.Return):
        return None
    receiver, image = named
    parts = _parts_of(body[-1].value)
    rest: Sequence[ast.AST]
    match body[0]:
        case ast.Assign(targets=[ast.Name(id=result)], value=call):
            rest, names = body[1:], [image, result]
            if sum(isinstance(part, ast.Name) and part.id == result for part in parts) != 1:
                return None
        case ast.Return() if parts:
            call, rest, names = parts[0], parts[1:], [image]
        case _:
            return None
    match call:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=owner), attr=name),
            args=[ast.Name(id=given)],
            keywords=[],
        ) if (owner, given) == (receiver, image) and callable(held.get(name)):
            pass
        case _:
            return None
    nodes = [node for part in rest for node in ast.walk(part)]
    uses = sum(isinstance(node, ast.Name) and node.id in names for node in nodes)
    returns = sum(isinstance(node, ast.Return) for node in nodes)
    if not rest or uses != len(names) - 1 or returns != len(names) - 1:
        return None
    return name if _leaves_it_alone(nodes, receiver, held.keys() - {name}) else None


def _parts_of(returned: ast.expr | None) -> list[ast.expr]:
    """Of a tuple, list or dict of several; else none."""
    match returned:
        case ast.Tuple(elts=parts) | ast.List(elts=parts) if len(parts) > 1:
            return parts
        case ast.Dict(keys=keys, values=parts) if len(parts) > 1:
            return parts if all(isinstance(key, ast.Constant) for key in keys) else []
    return []


def _leaves_it_alone(nodes: list[ast.AST], receiver: str, readable: Container[str]) -> bool:
    """Whether the code only reads these attributes, and neither seeds nor asks for its worker."""
    read = [
        node.value for node in nodes if isinstance(node, ast.Attribute) and node.attr in readable
    ]
    for node in nodes:
        name = getattr(node, "attr", getattr(node, "id", ""))
        stored = not isinstance(getattr(node, "ctx", None), ast.Load | None)
        if isinstance(node, _STRANGE) or any(part in name for part in _STRANGE_NAMES):
            return False
        if stored and (isinstance(node, ast.Attribute | ast.Subscript) or name == receiver):
            return False
        if name == receiver and not any(node is one for one in read):
            return False
    return True


_STRANGE = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.Global, ast.Nonlocal),
    *(ast.Yield, ast.YieldFrom, ast.Await, ast.Delete, ast.Import, ast.ImportFrom),
    *(ast.Try, ast.With, ast.Match),
)
_STRANGE_NAMES = (
    *("seed", "rng_state", "setstate", "set_state", "fork_rng", "get_worker_info"),
    *("super", "__", "locals", "globals", "vars", "eval", "exec"),
)
