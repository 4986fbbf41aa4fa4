"""The compiled module with less to type."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ringfeed import _ringfeed

NORMALIZE = {
    "normalize": "to_tensor",
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "dtype": "float32",
}


def val_plan(size: int = 32, **changes: Any) -> _ringfeed.Plan:
    options = {"hflip": 0.0, "channels_last": False, "pillow13": True, **NORMALIZE, **changes}
    return _ringfeed.Plan(_ringfeed.ResizeCenterCrop(size + size // 8, size, size), **options)


def train_plan(size: int = 32, **changes: Any) -> _ringfeed.Plan:
    options = {"hflip": 0.5, "channels_last": False, "pillow13": True, **NORMALIZE, **changes}
    geometry = _ringfeed.RandomResizedCrop(size, size, (0.08, 1.0), (3 / 4, 4 / 3))
    return _ringfeed.Plan(geometry, **options)


class Native:
    """A Loader over a folder, with the options that most tests want."""

    def __init__(
        self, folder: os.PathLike[str] | str, plan: _ringfeed.Plan | None = None, **changes: Any
    ) -> None:
        self.dataset = _ringfeed.Dataset.open(os.fspath(folder), use_cache=False)
        options: dict[str, Any] = {
            "batch_size": 4,
            "num_workers": 2,
            "prefetch_factor": 2,
            "shuffle": False,
            "drop_last": False,
            "in_order": True,
            "seed": 0,
            **changes,
        }
        self.loader = _ringfeed.Loader(self.dataset, [plan or val_plan()], **options)

    def batches(self, epoch: int = 0, **start: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Every batch of an epoch."""
        return list(drain(self.loader.epoch(epoch, **start)))

    def wait_until_consumed(self) -> None:
        """Returns once a thread is inside next(), without the GIL."""
        wait_until(lambda: self.loader.stats()["wall_seconds"] > 0)


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.001)


def tensors(batch: _ringfeed.Batch) -> tuple[torch.Tensor, torch.Tensor]:
    (images,) = batch.images()
    return torch.from_dlpack(images), torch.from_dlpack(batch.labels())


def drain(epoch: _ringfeed.Epoch):
    while (batch := epoch.next()) is not None:
        yield tensors(batch)


def run_python(
    code: str, *arguments: object, timeout: float = 120, prefix: Sequence[str] = ()
) -> str:
    """Runs `code` under -X dev in a Python of its own, which must end well and say nothing on
    stderr. Returns what it prints. `prefix`: the command that runs it."""
    here = os.path.dirname(__file__)
    done = subprocess.run(
        [*prefix, sys.executable, "-X", "dev", "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([here, *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout
