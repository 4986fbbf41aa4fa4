#!/usr/bin/env python3
"""Runs clients over a folder, and tells what their loaders gave.

    python tests/clients/run.py pytorch_examples,moco DATA --out FILE
    python -m ringfeed tests/clients/run.py all DATA --out FILE

DATA holds train/ and val/ of class folders. FILE gets, for each client by its name, a hash of each
batch that it took, what made its loaders, and the error that ended it, if one did; or which of its
packages are missing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import tempfile
import time
import traceback
import warnings
from typing import Any

import numpy as np
import torch

import collated  # noqa: F401  (each registers its clients)
import libraries  # noqa: F401
import masked  # noqa: F401
import multi_crop  # noqa: F401
import own_steps  # noqa: F401
import probes  # noqa: F401
import recipes  # noqa: F401
import references  # noqa: F401
import supervised  # noqa: F401
import views  # noqa: F401
import with_lightning  # noqa: F401
from registry import CLIENTS, Client, Run

SEED = 20


def digest(batch: Any) -> str:
    """Of all values within it, and of how they are nested."""
    found = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, torch.Tensor | np.ndarray):
            value = torch.as_tensor(value)
            found.update(f"{value.dtype} {tuple(value.shape)} ".encode())
            found.update(value.detach().contiguous().flatten().view(torch.uint8).numpy())
        elif isinstance(value, dict):
            found.update(f"dict {list(value)} ".encode())
            for part in value.values():
                add(part)
        elif isinstance(value, list | tuple):
            found.update(f"{type(value).__name__} {len(value)} ".encode())
            for part in value:
                add(part)
        else:
            found.update(f"{value!r} ".encode())

    add(batch)
    return found.hexdigest()[:16]


def seed_all() -> None:
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)


def made_by(loader: Any) -> tuple[str, str]:
    """Who makes its batches, and why, as far as it says so."""
    return getattr(loader, "rung", type(loader).__name__), getattr(loader, "why_not_native", "")


def run_client(client: Client, data: str, **options: Any) -> dict[str, Any]:
    hashes: dict[str, list[str]] = {}

    def take(split: str, batch: Any) -> None:
        hashes.setdefault(split, []).append(digest(batch))

    error = None
    seed_all()
    with warnings.catch_warnings(record=True) as told, tempfile.TemporaryDirectory() as scratch:
        run = Run(data, take=take, scratch=scratch, **options)
        warnings.simplefilter("always")
        try:
            client.function(run)
        except Exception:
            error = traceback.format_exc()
    rungs = {split: made_by(loader) for split, loader in run.loaders.items()}
    draws = random.random(), float(np.random.rand()), float(torch.rand(()))
    said = [str(warning.message) for warning in told]
    return {"hashes": hashes, "rungs": rungs, "error": error, "warnings": said, "after": draws}


def chosen(names: str) -> list[Client]:
    return [CLIENTS[name] for name in (CLIENTS if names == "all" else names.split(","))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", help='clients, separated by commas, or "all"')
    parser.add_argument("data")
    parser.add_argument("--out", required=True)
    parser.add_argument("--hook", help="of the tests: lower, record or replay")
    parser.add_argument("--draws", help="a file for it")
    args = parser.parse_args()
    torch.set_num_threads(1)
    run_one = run_client
    if args.hook is not None:
        import hooks

        run_one = hooks.wrap(args.hook, run_client, args.draws)
    found = {}
    for client in chosen(args.names):
        began = time.perf_counter()
        told = {"missing": client.missing} if client.missing else run_one(client, args.data)
        told |= {"rows": client.rows, "val_shuffled": client.val_shuffled}
        found[client.name] = {**told, "seconds": round(time.perf_counter() - began, 2)}
    with open(args.out, "w") as file:
        json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
