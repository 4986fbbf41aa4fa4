"""Run by every Python whose PYTHONPATH begins with this folder: the children of a script that was
started by `python -m ringfeed`. Imports neither torch nor ringfeed before the script does."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import warnings
from typing import Any

__package__ = "ringfeed"  # whose frames warnings pass over

_HERE = os.path.dirname(os.path.abspath(__file__))
_LOADERS = "torch.utils.data.dataloader"


def _new(cls: Any, *args: Any, **kwargs: Any) -> Any:
    """torch's DataLoader is made for the first time in this process."""
    try:
        from ringfeed import install
    except ImportError as error:  # another environment's Python
        warnings.warn(f"loads by torch, because of {error!r}", RuntimeWarning, stacklevel=2)
        sys.modules[_LOADERS].DataLoader.__new__ = lambda cls, *_, **__: object.__new__(cls)
        return object.__new__(cls)
    install()
    return cls.__new__(cls, *args, **kwargs)


class _AfterLoaders(importlib.abc.MetaPathFinder):
    """Has a hand in the import of torch's DataLoader."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != _LOADERS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                import inspect  # as torch has

                run(module)
                signature = inspect.signature(module.DataLoader.__init__)
                _new.__signature__ = signature  # type: ignore[attr-defined]
                module.DataLoader.__new__ = _new

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if os.environ.get("RINGFEED_INSTALL") == "1":
    sys.meta_path.insert(0, _AfterLoaders())

# The sitecustomize that this one stands before, if there is one.
_others = [path for path in sys.path if os.path.abspath(path or os.curdir) != _HERE]
_spec = importlib.machinery.PathFinder.find_spec("sitecustomize", _others)
if _spec is not None and _spec.loader is not None:
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["sitecustomize"] = _module
    _spec.loader.exec_module(_module)
