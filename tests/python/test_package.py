"""import ringfeed: what it offers, where it refuses, and what its modules know of each other."""

from __future__ import annotations

import ast
import graphlib
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ringfeed

PACKAGE = Path(ringfeed.__file__).parent
PUBLIC = ["datasets", "errors", "lightning", "loader", "prefetch", "stats", "transforms"]


@pytest.mark.parametrize("module", ["ringfeed", *(f"ringfeed.{name}" for name in PUBLIC)])
def test_a_public_module_says_what_it_promises(module):
    if module == "ringfeed.lightning":
        pytest.importorskip("lightning")
    found = importlib.import_module(module)
    assert found.__all__
    for name in found.__all__:
        assert getattr(found, name) is not None


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("sys._is_gil_enabled = lambda: False", "PYTHON_GIL=1"),
        ("sys.modules['torch'] = None", "install torch"),
    ],
)
def test_an_interpreter_that_will_not_do_is_told_what_to_do(setting, words):
    code = f"import sys; sys.path = {sys.path!r}; {setting}\nimport ringfeed"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ringfeed") and words in last


def imports_of(tree: ast.Module, modules: set[str]) -> set[str]:
    """The package's modules that a module imports, wherever it does and whatever for: also within
    functions, and under TYPE_CHECKING."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            paths = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, ["ringfeed" * (node.level > 0), node.module]))
            paths = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for path in paths:
            package, name, *_ = [*path.split("."), ""]
            if package == "ringfeed":
                found.add(name if name in modules else "__init__")
    return found


def own_attributes(tree: ast.Module) -> set[str]:
    """The attributes that a module's own classes define: in their bodies, or as self.NAME = ..."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                targets = getattr(part, "targets", [getattr(part, "target", part)])
                found |= {getattr(t, "id", getattr(t, "name", "")) for t in targets}
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found |= {node.attr} if ast.unparse(node.value) == "self" else set()
    return found


def faults_of(package: Path) -> list[str]:
    """Where a folder's modules know of those above them, or of what another keeps to itself."""
    trees = {path.stem: ast.parse(path.read_text()) for path in package.glob("*.py")}
    modules = {*trees, "_ringfeed"}
    graph = {name: imports_of(tree, modules) for name, tree in trees.items()}
    faults = []
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        faults.append(" <- ".join(error.args[1]))
    for name, tree in trees.items():
        if name not in ("__init__", "__main__", "_install", "lightning"):
            faults += [f"{name} imports {top}" for top in graph[name] & {"loader", "lightning"}]
        own = own_attributes(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and re.match("_(?!_)", node.attr):
                owner = ast.unparse(node.value)
                # A `transform` is torchvision's and an `iterator` may be torch's: they have no
                # other way to tell their tables, or to begin again.
                foreign = owner.rpartition(".")[2] in ("transform", "iterator")
                # A worker's queue has no other way to say that something waits in it.
                foreign |= owner == "index_queue"
                # A late image is Pillow's own object, all of it.
                foreign |= name.startswith("_late_") and owner in ("image", "Image")
                if owner not in ("self", "cls", "sys") and not foreign and node.attr not in own:
                    faults.append(f"{name}:{node.lineno} reaches for {owner}.{node.attr}")
    return faults


def test_modules_know_of_those_below_alone():
    assert faults_of(PACKAGE) == []


def test_a_module_is_public_or_has_an_underscore():
    stems = {path.stem for path in PACKAGE.glob("*.py")}
    assert sorted(stem for stem in stems if not stem.startswith("_")) == PUBLIC


@pytest.mark.parametrize(
    ("sources", "fault"),
    [
        ({"a": "from .b import x", "b": "from . import a"}, "a <- b <- a"),
        (
            {"a": "import ringfeed.b", "b": "if TYPE_CHECKING:\n    from .a import A"},
            "a <- b <- a",
        ),
        (
            {"__init__": "from .a import A", "a": "def f():\n    from . import A"},
            "__init__ <- a <- __init__",
        ),
        ({"a": "if TYPE_CHECKING:\n    from .loader import L", "loader": ""}, "a imports loader"),
        ({"a": "from ringfeed import lightning", "lightning": ""}, "a imports lightning"),
        ({"a": "def f(run):\n    return run._core"}, "a:2 reaches for run._core"),
        ({"a": "def f(run):\n    run._core = 1"}, "a:2 reaches for run._core"),
        (
            {"a": "class A:\n    def f(self):\n        return self._run._core"},
            "a:3 reaches for self._run._core",
        ),
        ({"a": "from . import b\nb._c()", "b": "def _c(): ..."}, "a:2 reaches for b._c"),
    ],
)
def test_what_a_module_must_not_know_is_found(tmp_path, sources, fault):
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source)
    (found,) = faults_of(tmp_path)
    nodes = found.split(" <- ")
    assert found == fault or sorted(set(nodes)) == sorted(set(fault.split(" <- ")))


def test_what_a_module_s_own_classes_define_may_be_asked_of_others(tmp_path):
    (tmp_path / "a.py").write_text(
        "class A:\n    _x: int\n    def _f(self):\n        self._y = 1\n"
        "def g(a):\n    return a._x, a._f(), a._y\n"
    )
    assert faults_of(tmp_path) == []
