"""What tests/python/golden holds, and how it was made.

    python tests/python/golden_runs.py      writes the files that are not there

The files are promises: a state of any release loads for ever, and a seed gives one order for ever.
None is ever written again. Where states differ, raise RELEASE and add its files: those of 0.1 alone
hold states of version 1.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DistributedSampler
from torchvision import transforms

from ringfeed import DataLoader, ImageList

GOLDEN = Path(__file__).parent / "golden"
RELEASE = "0.1_state_2"
COUNT = 23
RECIPE = transforms.Compose(
    [transforms.RandomResizedCrop(8), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
)


def images(folder: Path, count: int = COUNT, files: int = COUNT) -> ImageList:
    """Image k has label k. PNG, so that no encoder decides the pixels; the files come in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(files):
        path = folder / f"{number:03}.png"
        if not path.exists():
            across, down = np.meshgrid(np.arange(20 + number % 7), np.arange(24 + number % 5))
            pixels = np.stack([across * 9, down * 8, across * 0 + number * 11], axis=2)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
        paths.append(path)
    return ImageList([paths[k % files] for k in range(count)], list(range(count)), RECIPE)


# Orders: the draws of whole epochs.

ORDERS = [
    {"count": 1000, "seed": 0, "epoch": 0},
    {"count": 1000, "seed": 0, "epoch": 1},
    {"count": 1000, "seed": (1 << 63) + 5, "epoch": 90},
    {"count": 1000, "seed": 3, "epoch": 2, "rank": 2, "world_size": 3},
    {"count": 7, "seed": 1, "epoch": 0},
    {"count": 7, "seed": 1, "epoch": 4, "shuffle": False},
]


def order(folder: Path, case: dict[str, Any]) -> dict[str, Any]:
    """The first draws of the epoch, and a checksum of all."""
    options = {"shuffle": True, **case}
    dataset = images(folder, options.pop("count"), files=5)
    draws = DataLoader(dataset, 4, **{k: v for k, v in options.items() if k != "epoch"}).draws(
        case["epoch"]
    )
    fields = list(draws.dtype.names)
    table = np.stack([draws[name].astype("<i8") for name in fields], axis=1)
    return {
        "fields": fields,
        "first": table[:12].tolist(),
        "crc32": zlib.crc32(table.tobytes()),
    }


# States: what is left of an epoch.

KINDS = {
    "shuffled": lambda dataset: {"shuffle": True},
    "sequential": lambda dataset: {},
    "second of two ranks": lambda dataset: {"shuffle": True, "rank": 1, "world_size": 2},
    "DistributedSampler": lambda dataset: {"sampler": DistributedSampler(dataset, 2, 1, seed=2)},
    "sampler": lambda dataset: {"sampler": list(reversed(range(COUNT)))},
    "batch_sampler": lambda dataset: {
        "batch_size": 1,
        "batch_sampler": [[3, 2, 1], [4], [5, 6], [7, 8, 9, 22]],
    },
}


def loader(folder: Path, kind: str, **options: Any) -> DataLoader:
    dataset = images(folder)
    return DataLoader(
        dataset, **{"batch_size": 4, "pillow": "13", **KINDS[kind](dataset), **options}
    )


def content(batches: Any) -> dict[str, Any]:
    """Labels, and a checksum of the pixels and so of every draw."""
    labels, crc = [], 0
    for pixels, numbers in batches:
        labels += numbers.tolist()
        crc = zlib.crc32(pixels.numpy().tobytes(), crc)
    return {"labels": labels, "crc32": crc}


def states(folder: Path) -> list[dict[str, Any]]:
    found = []
    for kind in KINDS:
        for epoch, taken in ((0, 2), (3, 1), (3, 0)):
            if kind == "batch_sampler" and epoch:
                continue
            made = loader(folder, kind, seed=5)
            made.set_epoch(epoch)
            batches = iter(made)
            for _ in itertools.islice(batches, taken):
                pass
            found.append({"kind": kind, "state": made.state_dict(), **content(batches)})
    for epoch, taken in ((0, 2), (3, 0)):  # without a seed
        torch.manual_seed(8)
        made = loader(folder, "shuffled")
        made.set_epoch(epoch)
        batches = iter(made)
        for _ in itertools.islice(batches, taken):
            pass
        found.append({"kind": "shuffled", "state": made.state_dict(), **content(batches)})
    # A state such as in_order=False leaves: the second and the fourth batch came before the first.
    beyond = {**found[0]["state"], "positions": 0, "beyond": [1, 3]}
    made = loader(folder, "shuffled", seed=5)
    kept = [batch for number, batch in enumerate(made) if number not in (1, 3)]
    found.append({"kind": "shuffled", "state": beyond, **content(kept)})
    return found


# A Lightning checkpoint, all but the weights, which the test puts in.


def lightning(folder: Path) -> dict[str, Any]:
    import tiny_imagenet
    from lightning_runs import fit

    root = tiny_imagenet.make(folder)
    torch.manual_seed(1)
    whole = fit(root, save_to=folder, data={"pillow": "13"}).train_batches
    checkpoint = torch.load(folder / "step=3.ckpt", weights_only=True)
    for other in ("state_dict", "optimizer_states", "callbacks"):
        del checkpoint[other]
    return {"checkpoint": checkpoint, "left": whole[3:]}


def write(name: str, found: list[Any], folder: Path) -> None:
    path = GOLDEN / name
    if path.exists():
        print(f"{path.name} is there and stays")
        return
    GOLDEN.mkdir(exist_ok=True)
    text = "[\n" + ",\n".join(map(json.dumps, found)) + "\n]\n"
    path.write_text(text.replace(str(folder), "/data"))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        write("orders.json", [{**case, **order(here, case)} for case in ORDERS], here)
        write(f"states_{RELEASE}.json", states(here), here)
        write(f"lightning_{RELEASE}.json", [lightning(here / "imagenet")], here)


if __name__ == "__main__":
    sys.exit(main())
