"""Plain torch on several ranks: what each sample of each rank is. Run by torchrun, or imported."""

import hashlib
import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.utils.data import DistributedSampler
from torchvision import transforms

import ringfeed

BATCH_SIZE = 5
CROP = transforms.Compose([transforms.RandomResizedCrop(32), transforms.PILToTensor()])


def loader(folder: Path, mode: str, rank: int, world_size: int) -> ringfeed.DataLoader:
    """The images of `folder`, each labelled by its place. `mode`: how the ranks share them."""
    paths = sorted(map(str, folder.rglob("*.png")))
    dataset = ringfeed.ImageList(paths, range(len(paths)), CROP)
    options: dict[str, Any] = {"batch_size": BATCH_SIZE, "num_workers": 2, "seed": 9}
    if mode == "sampler":
        sampler = DistributedSampler(dataset, num_replicas=world_size, rank=rank, seed=9)
        return ringfeed.DataLoader(dataset, sampler=sampler, **options)
    return ringfeed.DataLoader(dataset, shuffle=True, rank=rank, world_size=world_size, **options)


def samples(batches: Iterator[Any]) -> list[tuple[int, str]]:
    """Label and digest of the pixels of every sample."""
    return [
        (int(label), hashlib.sha256(image.contiguous().numpy().tobytes()).hexdigest()[:16])
        for images, labels in batches
        for image, label in zip(images, labels)
    ]


def run(folder: Path, mode: str, rank: int, world_size: int, state: dict | None) -> dict[str, Any]:
    """The rest of epoch 1 from `state`; without one, epoch 0, and epoch 1 with a state after two
    batches."""
    feed = loader(folder, mode, rank, world_size)
    if state is not None:
        feed.load_state_dict(state)
        feed.set_epoch(1)
        return {"rest": samples(feed)}
    feed.set_epoch(0)
    found: dict[str, Any] = {"epoch 0": samples(feed)}
    feed.set_epoch(1)
    batches = iter(feed)
    found["head"] = samples(islice(batches, 2))
    found["state"] = feed.state_dict()
    found["rest"] = samples(batches)
    return found


if __name__ == "__main__":
    # FOLDER RESULTS [STATES]: writes RESULTS.rankN
    folder, results, *states = map(Path, sys.argv[1:])
    dist.init_process_group("gloo")
    rank, world_size = dist.get_rank(), dist.get_world_size()
    given = torch.load(states[0], weights_only=True) if states else {}
    found = {
        mode: run(folder, mode, rank, world_size, given.get(mode)) for mode in ("sampler", "rank")
    }
    if not states and rank == 0:
        torch.save({mode: part["state"] for mode, part in found.items()}, f"{results}.states")
    Path(f"{results}.rank{rank}").write_text(json.dumps(found))
    dist.destroy_process_group()
