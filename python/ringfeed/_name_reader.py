"""What the names and attributes in a function's code mean, found without running any of it."""

from __future__ import annotations

import ast
import builtins
import inspect
import types
from typing import Any, NoReturn

import torch

from ._function_values import Convert, Image, Result, refuse


def _is_modules_own(kind: type) -> bool:
    """Whether a class looks attributes up as torch.nn.Module does."""
    looks_up = inspect.getattr_static(kind, "__getattr__")
    return looks_up is inspect.getattr_static(torch.nn.Module, "__getattr__")


class NameReader:
    """Finds the values of one function's names."""

    def __init__(self, function: types.FunctionType, name: str) -> None:
        """`name`: of what is read, for refusals."""
        self._function = function
        self._name = name
        self._image = Image()

    def _not_understood(self, node: ast.AST, why: str = "this is not understood") -> NoReturn:
        text = " ".join(ast.unparse(node).split())
        text = text if len(text) <= 80 else text[:77] + "..."
        self._refuse(f"`{text}`: {why}")

    def _refuse(self, why: str) -> NoReturn:
        refuse(self._name, why)

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
            return Convert()
        if isinstance(owner, (Image, Result)):
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
