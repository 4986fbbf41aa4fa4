"""The clients: scripts that use a loader the way a public training script does.

Each is an ordinary function over torch.utils.data.DataLoader, which knows nothing of ringfeed. It
makes datasets, transforms and loaders as its original does and takes the batches as that does; only
the model is left out.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

CLIENTS: dict[str, Client] = {}


class Enough(Exception):
    """No more batches are wanted."""


@dataclass
class Run:
    """What a client is given: its arguments, and who takes the batches."""

    data: str
    """Holds train/ and val/ of class folders; damaged/ like train/, with broken files, if any."""
    epochs: int = 2
    size: int = 64
    """In the place of 224."""
    scratch: str = ""
    """A folder for what a library writes."""
    batch_size: int = 4
    workers: int = 2
    take: Callable[[str, Any], None] = lambda split, batch: None
    loaders: dict[str, Any] = field(default_factory=dict)

    def folder(self, split: str) -> str:
        return os.path.join(self.data, split)

    @property
    def damaged(self) -> str:
        found = self.folder("damaged")
        return found if os.path.isdir(found) else self.folder("train")

    def scaled(self, size: int) -> int:
        """A size that the original gives for 224."""
        return size * self.size // 224

    def use(self, **loaders: Any) -> None:
        """train=, val=: for the record of what they are."""
        self.loaders.update(loaders)

    def train(self, *batch: Any) -> None:
        self.take("train", batch)

    def validate(self, *batch: Any) -> None:
        self.take("val", batch)


@dataclass(frozen=True)
class Client:
    name: str
    function: Callable[[Run], None]
    rows: tuple[str, ...]
    """The originals: repository and script."""
    needs: tuple[str, ...] = ()
    """Packages besides torchvision."""
    val_shuffled: bool = False

    @property
    def missing(self) -> list[str]:
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


def client(
    *rows: str, needs: tuple[str, ...] = (), val_shuffled: bool = False, name: str = ""
) -> Callable[[Callable[[Run], None]], Callable[[Run], None]]:
    """Registers a function as the client of these originals."""

    def register(function: Callable[[Run], None]) -> Callable[[Run], None]:
        key = name or function.__name__
        assert key not in CLIENTS, key
        CLIENTS[key] = Client(key, function, rows, needs, val_shuffled)
        return function

    return register
