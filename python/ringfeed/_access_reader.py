"""Whether a script's __getitem__ only adds to what the one of its base gives: read from its code.

Nothing of it is run. It may do with the sample what it likes. Of the dataset it may read what does
not belong to the loading of images, since that has happened before it is called.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import types
from collections.abc import Iterator
from typing import Any, NoReturn

from ._function_tree import function_tree
from .errors import NotNativeType, not_native

_LOADING = ("transform", "transforms", "target_transform", "loader", "reader")
_LISTS = ("samples", "imgs", "targets")
_DEFERRED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_PLAIN = (int, len, str, min, max, abs, bool, float)
"""Builtins that change nothing."""


class AccessReader:
    """Reads the methods of one dataset's class."""

    def __init__(self, dataset: Any, base: type) -> None:
        self._kind = type(dataset)
        self._base = base
        self._methods: set[types.FunctionType] = set()  # read, or being read
        self.instead = ""
        """Why what a __getitem__ without a call of super() does is not understood."""

    def refuse(self, why: str) -> NoReturn:
        name = f"{self._kind.__module__}.{self._kind.__qualname__}"
        not_native(
            f"{name} has its own __getitem__, and {why}. ringfeed loads images before that runs: "
            f"it may add to what `super().__getitem__(index)` of {self._base.__name__} gives, and "
            "change nothing of how images are loaded. Put what it does into the transform, the "
            "target_transform or the samples",
            NotNativeType,
        )

    def read(self, owner: type) -> types.FunctionType:
        """The __getitem__ of `owner`, which asks the next class's."""
        function, tree = self._function(vars(owner)["__getitem__"], "__getitem__")
        names = [argument.arg for argument in (*tree.args.posonlyargs, *tree.args.args)]
        if len(names) != 2 or tree.args.vararg or tree.args.kwonlyargs or tree.args.kwarg:
            self.refuse("it takes other arguments than the index")
        method = _Method(self, function, tree, names[0], owner)
        asked = method.find_super_call(names[1])
        method.check(asked)
        return function

    def read_method(self, name: str, function: Any) -> None:
        """A method that a __getitem__ may call."""
        function, tree = self._function(function, name)
        if function in self._methods:
            return
        self._methods.add(function)
        arguments = [*tree.args.posonlyargs, *tree.args.args]
        if not arguments:
            self.refuse(f"its {name} does not take it as first argument")
        _Method(self, function, tree, arguments[0].arg, None).check(None)

    def _function(self, function: Any, name: str) -> tuple[types.FunctionType, ast.FunctionDef]:
        if not isinstance(function, types.FunctionType):
            self.refuse(f"its {name} is no function of Python's")
        if function.__code__.co_flags & _DEFERRED:
            self.refuse(f"its {name} is a generator or a coroutine")
        tree = function_tree(function)
        if not isinstance(tree, ast.FunctionDef):
            self.refuse(f"the source of its {name} cannot be read, or is not what runs")
        return function, tree

    def check_attribute(self, name: str) -> None:
        """One that a method reads of the dataset."""
        if name in _LOADING:
            self.refuse(f"it uses self.{name}")
        if name.startswith("__"):
            self.refuse(f"it uses self.{name}")
        for owner in self._kind.__mro__:
            if name in vars(owner):
                break
        else:
            return  # of the object alone
        found = vars(owner)[name]
        if not hasattr(type(found), "__get__") or isinstance(found, staticmethod):
            return
        if owner in self._base.__mro__:
            self.refuse(f"it uses {name} of {owner.__qualname__}")
        self.read_method(name, found.fget if isinstance(found, property) else found)


class _Method:
    """The code of one method."""

    def __init__(
        self,
        reader: AccessReader,
        function: types.FunctionType,
        tree: ast.FunctionDef,
        receiver: str,
        owner: type | None,
    ) -> None:
        self._reader, self._function, self._tree = reader, function, tree
        self._receiver, self._owner = receiver, owner
        self._parents = {
            child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)
        }
        self._bound: dict[str, list[ast.AST]] = {}
        for name, node in _bound_names(tree):
            self._bound.setdefault(name, []).append(node)

    def find_super_call(self, index: str) -> ast.Call:
        """The one call of super().__getitem__(index), which always runs, and first."""
        refuse = self._reader.refuse
        found = [
            node
            for node in ast.walk(self._tree)
            if isinstance(node, ast.Call) and self._asks_super(node, index)
        ]
        if len(found) != 1:
            refuse(
                f"it calls super().__getitem__({index}) more than once"
                if found
                else f"it does not call super().__getitem__({index}), and of what it does instead "
                f"not all is understood: {self._reader.instead}"
            )
        (call,) = found
        around = list(self._around(call))
        if (
            not all(isinstance(node, ast.expr | ast.keyword) for node in around[:-2])
            or not isinstance(around[-2], _PLAIN_STATEMENTS)
            or any(isinstance(node, _PERHAPS) for node in around)
        ):
            refuse(f"super().__getitem__({index}) is called under a condition, in a loop or a try")
        # What a statement assigns it assigns last, wherever that is written.
        targets = {node for part in getattr(around[-2], "targets", ()) for node in ast.walk(part)}
        for node in self._bound.get(index, ()):
            later = node in targets or (isinstance(node, ast.Name) and _place(node) > _place(call))
            if not later:
                refuse(f"it changes {index}")
        for node in ast.walk(self._tree):
            if not isinstance(node, ast.Call | ast.Return | ast.Raise) or node in around:
                continue
            if _place(node) >= _place(call):
                continue
            if isinstance(node, ast.Call) and self._value_of(node.func) in _PLAIN:
                continue
            refuse(f"`{ast.unparse(node)}` comes before the sample is loaded")
        return call

    def check(self, asked: ast.Call | None) -> None:
        """Refuses what could change how a dataset loads. `asked`: the call of super()."""
        if self._receiver in self._bound:
            self._reader.refuse(f"it changes {self._receiver}")
        allowed = set() if asked is None else set(ast.walk(asked.func))
        for node in ast.walk(self._tree):
            if node in allowed:
                continue
            if isinstance(node, ast.Name) and node.id == self._receiver:
                self._check_use(node)
            elif isinstance(node, ast.Name) and node.id in ("super", "__class__"):
                self._reader.refuse(f"`{node.id}` is used for something else than the sample")
            elif isinstance(node, ast.Call):
                self._check_call(node)

    def _check_use(self, node: ast.Name) -> None:
        """Of the dataset itself."""
        parent = self._parents[node]
        if isinstance(parent, ast.Call) and node in parent.args[:1]:
            called = self._value_of(parent.func)
            if called is len and len(parent.args) == 1:
                return
            match parent.args[1:]:
                case [ast.Constant(value=str(name)), *_] if called in (getattr, hasattr):
                    if name in _LISTS:
                        self._reader.refuse(f"it uses self.{name}")
                    self._reader.check_attribute(name)
                    return
        if not isinstance(parent, ast.Attribute):
            self._reader.refuse(f"it hands itself on in `{ast.unparse(parent)}`")
        end: ast.AST = parent
        while isinstance(outer := self._parents[end], ast.Attribute | ast.Subscript):
            if end is not outer.value:
                break
            end = outer
        if not isinstance(getattr(end, "ctx", None), ast.Load):
            self._reader.refuse(f"it changes {ast.unparse(end)}")
        if parent.attr not in _LISTS:
            self._reader.check_attribute(parent.attr)
        elif not self._only_reads_row(parent):
            self._reader.refuse(f"it uses self.{parent.attr} otherwise than by an index")

    def _only_reads_row(self, node: ast.AST) -> bool:
        outer = self._parents[node]
        if isinstance(outer, ast.Call):
            return self._value_of(outer.func) is len
        return isinstance(outer, ast.Subscript) and outer.value is node

    def _check_call(self, node: ast.Call) -> None:
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name == "get_worker_info":
            self._reader.refuse("it asks for its worker, and there is none")
        if "seed" in name or name in ("set_rng_state", "setstate", "set_state", "fork_rng"):
            owner = node.func.value if isinstance(node.func, ast.Attribute) else None
            while isinstance(owner, ast.Attribute):
                owner = owner.value
            if owner is None or isinstance(self._value_of(owner), types.ModuleType):
                self._reader.refuse(f"`{ast.unparse(node)}` seeds the script's random numbers")

    def _asks_super(self, node: ast.AST, index: str) -> bool:
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Call(func=ast.Name() as called, args=args, keywords=[]),
                    attr="__getitem__",
                ),
                args=[ast.Name(id=name)],
                keywords=[],
            ) if name == index and self._value_of(called) is super:
                match args:
                    case []:
                        return self._free("__class__") is self._owner
                    case [named, ast.Name(id=self._receiver)]:
                        return self._value_of(named) is self._owner
        return False

    def _around(self, node: ast.AST) -> Iterator[ast.AST]:
        """What encloses `node`, the function last."""
        while node is not self._tree:
            node = self._parents[node]
            yield node

    def _value_of(self, node: ast.AST) -> Any:
        """What a name means that the function does not set; None: something else, or unknown."""
        if not isinstance(node, ast.Name) or node.id in self._bound:
            return None
        name = node.id
        code = self._function.__code__
        if name in code.co_varnames or name in code.co_cellvars:
            return None
        if name in code.co_freevars:
            return self._free(name)
        return self._function.__globals__.get(name, getattr(builtins, name, None))

    def _free(self, name: str) -> Any:
        free = self._function.__code__.co_freevars
        try:
            return (self._function.__closure__ or ())[free.index(name)].cell_contents
        except ValueError:  # it is none, or has no value
            return None


_PLAIN_STATEMENTS = (ast.Return, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)
_PERHAPS = (
    *(ast.IfExp, ast.BoolOp, ast.Lambda, ast.Compare),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


def _place(node: ast.expr | ast.stmt) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _bound_names(tree: ast.FunctionDef) -> Iterator[tuple[str, ast.AST]]:
    """Every name that is given a meaning within, in whatever way, and where."""
    own = {*tree.args.posonlyargs, *tree.args.args}
    for node in ast.walk(tree):
        if node is tree or node in own or isinstance(node, ast.keyword):
            continue
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id, node
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).split(".")[0], node
        elif isinstance(node, ast.Global | ast.Nonlocal):
            yield from ((name, node) for name in node.names)
        for field in ("name", "arg", "rest"):  # functions, handlers, arguments, patterns
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield name, node
