"""What ranks draw, and what they make of each other's states. Run by torchrun."""

import json
import sys
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.utils.data import DistributedSampler

import ringfeed
from rank_runs import CROP, samples


def told(run: Any) -> tuple[Any, list[str]]:
    """What `run` gives, and its warnings."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        result = run()
    return result, [str(warning.message) for warning in found]


def main(folder: Path, results: Path) -> None:
    rank = dist.get_rank()
    paths = sorted(map(str, folder.rglob("*.png")))
    dataset = ringfeed.ImageList(paths, range(len(paths)), CROP)

    def loader(**options: Any) -> ringfeed.DataLoader:
        return ringfeed.DataLoader(dataset, batch_size=5, num_workers=1, **options)

    found: dict[str, Any] = {}
    # Ranks seeded alike, and each in its own way.
    for name, seed in (("alike", 3), ("differently", rank)):
        torch.manual_seed(seed)
        feed = loader(shuffle=True)
        found[name] = told(lambda feed=feed: [samples(feed), samples(feed)])
    found["sequential"] = told(lambda: samples(loader()))
    # Rank 0's state, taken in mid-epoch and at an end, on both ranks.
    for name, taken in (("mid", 2), ("end", 0)):
        torch.manual_seed(rank)
        sampler = DistributedSampler(dataset, seed=9)
        feed = loader(sampler=sampler)
        batches = iter(feed)
        for _ in range(taken):
            next(batches)
        states = [feed.state_dict()]
        # From a file in a real run; only the test sends it.
        dist.broadcast_object_list(states)
        rest = samples(batches)
        resumed = loader(sampler=DistributedSampler(dataset, seed=9))

        def go_on(resumed: Any = resumed, states: Any = states) -> Any:
            resumed.load_state_dict(states[0])
            return samples(resumed)

        found[name] = rest, *told(go_on)
    # Nothing is asked of the other rank: each iterates and loads while the other waits.
    for turn in range(2):
        if rank == turn:
            feed = loader(shuffle=True, rank=rank, world_size=2, seed=4)
            state = feed.state_dict()
            found["alone"] = len(samples(feed))
            feed.load_state_dict(state)
            next(iter(feed))
        dist.barrier()
    (results / f"rank={rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    dist.init_process_group("gloo", timeout=timedelta(seconds=120))
    main(*map(Path, sys.argv[1:]))
    dist.destroy_process_group()
