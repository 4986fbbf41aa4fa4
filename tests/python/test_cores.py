"""How many decode threads num_workers=0 means: the rank's part of the cores, however it was
started."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ringfeed import DataLoader, _ringfeed
from small_images import make

# Starts two ranks by `how`, each of which makes a loader before its process group exists, and
# prints the decode threads of a first batch taken once it does.
RANKS = """
import json, os, sys
from pathlib import Path
import torch.distributed as dist
import torch.multiprocessing as mp
from ringfeed import DataLoader
from small_images import make

def run(rank, folder, port):
    if folder.name == "bound":
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
    loader = DataLoader(make(folder, 4), 2)
    dist.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    next(iter(loader))
    (folder / f"{rank}.json").write_text(json.dumps(loader.stats()["workers"]))
    dist.destroy_process_group()

if __name__ == "__main__":
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    if "LOCAL_RANK" in os.environ:
        run(int(os.environ["LOCAL_RANK"]), folder, port)
    else:
        mp.spawn(run, (folder, port), nprocs=2)
"""
LAUNCHERS = ("LOCAL_", "OMPI_", "MPI_", "MV2_", "PALS_", "SLURM_", "MASTER_", "WORLD_SIZE", "RANK")


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(LAUNCHERS)}
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), kept.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **more}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def workers(folder: Path, *environments: dict[str, str]) -> list[int]:
    """Of each rank."""
    folder.mkdir()
    script = folder / "ranks.py"
    script.write_text(RANKS)
    command = [sys.executable, str(script), str(folder), str(free_port())]
    started = [subprocess.Popen(command, env=environment(**one)) for one in environments]
    assert [one.wait(timeout=120) for one in started] == [0] * len(started)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("name", ["shared", "bound"])
def test_ranks_of_mp_spawn_divide_the_cores_by_the_process_group(tmp_path, name):
    part = max(1, _ringfeed.usable_cores(1) // 2)
    assert workers(tmp_path / name, {}) == [1 if name == "bound" else part] * 2


def test_ranks_of_lightning_s_launcher_divide_the_cores(tmp_path):
    """Its variables, and no LOCAL_WORLD_SIZE."""
    job = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "NODE_RANK": "0", "WORLD_SIZE": "2"}
    part = max(1, _ringfeed.usable_cores(1) // 2)
    ranks = [{**job, "LOCAL_RANK": str(rank)} for rank in (0, 1)]
    assert workers(tmp_path / "ranks", *ranks) == [part] * 2


def test_a_number_of_workers_that_was_given_is_never_divided(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1000000")
    loader = DataLoader(make(tmp_path, 4), 2, num_workers=3)
    next(iter(loader))
    assert loader.stats()["workers"] == 3
    other = DataLoader(make(tmp_path, 4), 2)
    next(iter(other))
    assert other.stats()["workers"] == 1
    other.num_workers = 2  # as torch reads it, at the next iterator
    next(iter(other))
    assert other.stats()["workers"] == 2
