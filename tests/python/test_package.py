"""import ringfeed: what it offers, where it refuses, and what its modules know of each other."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import ringfeed

PACKAGE = Path(ringfeed.__file__).parent
PUBLIC = ["datasets", "errors", "lightning", "loader", "prefetch", "stats", "transforms"]


def test_every_exported_name_is_there():
    for name in ringfeed.__all__:
        assert getattr(ringfeed, name) is not None


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


def faults_of(package: Path) -> list[str]:
    """What is wrong with the direction in which the modules of a folder know of each other."""
    trees = {path.stem: ast.parse(path.read_text()) for path in package.glob("*.py")}
    modules = {*trees, "_ringfeed"}
    graph = {name: imports_of(tree, modules) for name, tree in trees.items()}
    faults = []
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        faults.append(" <- ".join(error.args[1]))
    for name, tree in trees.items():
        if name not in ("__init__", "lightning"):
            faults += [f"{name} imports {top}" for top in graph[name] & {"loader", "lightning"}]
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and name != "loader":
                owner = getattr(node.value, "id", getattr(node.value, "attr", ""))
                if owner.strip("_") == "loader":
                    faults.append(f"{name}:{node.lineno} reads loader.{node.attr}")
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
        ({"a": "def f(loader):\n    return loader._seed"}, "a:2 reads loader._seed"),
        ({"a": "def f(it):\n    it._loader._seed = 1"}, "a:2 reads loader._seed"),
    ],
)
def test_a_wrong_direction_is_found(tmp_path, sources, fault):
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source)
    (found,) = faults_of(tmp_path)
    nodes = found.split(" <- ")
    assert found == fault or sorted(set(nodes)) == sorted(set(fault.split(" <- ")))
