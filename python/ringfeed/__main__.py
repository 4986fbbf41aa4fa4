"""python -m ringfeed script.py [ARGUMENT ...]: a training script as it is, loading by ringfeed."""

from __future__ import annotations

import builtins
import io
import os
import runpy
import sys
import types
from importlib.machinery import SourceFileLoader

from ._install import hand_on, install

USAGE = """\
usage: python -m ringfeed SCRIPT [ARGUMENT ...]
       python -m ringfeed -m MODULE [ARGUMENT ...]

Runs a training script as Python would, but that torch.utils.data.DataLoader(...) makes a
ringfeed.DataLoader, in this process and in those that it starts: workers, torch.multiprocessing,
Lightning's ranks. Under torchrun: torchrun [OPTION ...] -m ringfeed SCRIPT [ARGUMENT ...].
Python processes started with -I, -E or -S are not reached. The command `ringfeed` is another
program, which looks at datasets and measures."""


def main(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        raise SystemExit(0 if arguments else 2)
    if arguments[0] == "-m" and len(arguments) == 1:
        print(f"python -m ringfeed: -m needs the name of a module\n{USAGE}", file=sys.stderr)
        raise SystemExit(2)
    hand_on()
    install()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        run_script(arguments)


def run_script(arguments: list[str]) -> None:
    """Runs a file as `python FILE` does: its folder comes first in sys.path, and `__main__` is a
    module that spawned children can make again."""
    path = arguments[0]
    try:
        with io.open_code(os.path.abspath(path)) as file:
            source = file.read()
    except OSError as error:
        print(f"python -m ringfeed: can't open file {path!r}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    sys.argv = arguments
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    module = types.ModuleType("__main__")
    module.__file__ = path
    module.__loader__ = SourceFileLoader("__main__", path)
    module.__builtins__ = builtins  # type: ignore[attr-defined]
    module.__spec__ = None
    sys.modules["__main__"] = module
    exec(compile(source, path, "exec"), vars(module))


if __name__ == "__main__":
    main(sys.argv[1:])
