"""Clients as they are, under plain python and under python -m ringfeed: the same batches.

Each runs four times, with the same seeds: plain; by ringfeed; by ringfeed with native=False for
every loader; and by torch once more, in the order and with the draws that the native rung tells.
Run as a script this prints why a loader is not native, and brings rungs.txt up to date:

    python tests/clients/test_clients.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

HERE = Path(__file__).resolve().parent
TABLE = HERE / "rungs.txt"
ROWS = 54
"""Public scripts that the clients stand for."""


def read_table() -> dict[str, list[str]]:
    """The rungs of each client's loaders, train and val."""
    lines = [line.split() for line in TABLE.read_text().splitlines() if line[0] != "#"]
    return {name: rungs for name, *rungs in lines}


KEPT = read_table()
NAMES = sorted(KEPT)


def make_pictures(root: Path) -> None:
    """Folders of two classes. In damaged/ some files are cut off."""
    rng = np.random.default_rng(6)
    for split, count in (("train", 10), ("val", 5), ("damaged", 10)):
        for kind in ("cat", "dog"):
            folder = root / split / kind
            folder.mkdir(parents=True)
            for number in range(count + (kind == "dog")):
                height, width = rng.integers(70, 120, 2).tolist()
                pixels = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
                image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
                path = folder / f"{number:03}.{'png' if number == 3 else 'jpg'}"
                image.save(path)
                if split == "damaged" and number in (2, 5):
                    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def run_all(folder: Path) -> dict[str, dict[str, Any]]:
    """What the four runs give, by their names, for each client."""
    make_pictures(folder / "data")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "RINGFEED_CACHE_DIR": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    runs = {
        "plain": [],
        "ringfeed": ["--hook", "record"],
        "lower": ["--hook", "lower"],
        "replay": ["--hook", "replay"],
    }

    def start(name: str) -> subprocess.Popen:
        launcher = ["-m", "ringfeed"] if name in ("ringfeed", "lower") else []
        command = [sys.executable, *launcher, str(HERE / "run.py"), "all", str(folder / "data")]
        command += ["--out", str(folder / f"{name}.json"), "--draws", str(folder / "draws")]
        return subprocess.Popen([*command, *runs[name]], env=environment, cwd=folder)

    # Two at a time; the last needs what the second has written.
    for pair in (("plain", "ringfeed"), ("lower", "replay")):
        processes = [start(name) for name in pair]
        assert [process.wait(timeout=900) for process in processes] == [0, 0]
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in runs}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return run_all(tmp_path_factory.mktemp("clients"))


def of_client(runs: dict[str, dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    found = {run: results[name] for run, results in runs.items()}
    if missing := found["plain"].get("missing"):
        pytest.skip(f"without {', '.join(missing)}")
    return found


def rungs_of(result: dict[str, Any]) -> list[str]:
    return [result["rungs"].get(split, ["-"])[0] for split in ("train", "val")]


def test_every_script_has_its_client(runs):
    assert sorted(runs["plain"]) == NAMES
    assert len({row for result in runs["plain"].values() for row in result["rows"]}) == ROWS


@pytest.mark.parametrize("name", NAMES)
def test_a_client_ends_as_it_does_with_torch(runs, name):
    for run, result in of_client(runs, name).items():
        assert result["error"] is None, f"{run}: {result['error']}"
        assert all(result["hashes"].values()) and result["hashes"]


@pytest.mark.parametrize("name", NAMES)
def test_native_false_gives_torchs_batches_and_draws(runs, name):
    found = of_client(runs, name)
    assert found["lower"]["hashes"] == found["plain"]["hashes"]
    assert found["lower"]["after"] == found["plain"]["after"]
    assert "native" not in rungs_of(found["lower"])


@pytest.mark.parametrize("name", NAMES)
def test_batches_are_torchs_or_what_the_draws_say(runs, name):
    found = of_client(runs, name)
    rungs = {split: rung for split, (rung, _) in found["ringfeed"]["rungs"].items()}
    for split, hashes in found["ringfeed"]["hashes"].items():
        if rungs[split] == "native":
            assert hashes == found["replay"]["hashes"][split], split
        drawn = split == "train" or found["plain"]["val_shuffled"]
        if rungs[split] != "native" or not drawn:
            assert hashes == found["plain"]["hashes"][split], split
    alike = "replay" if "native" in rungs.values() else "plain"
    assert found["ringfeed"]["after"] == found[alike]["after"]


@pytest.mark.parametrize("name", NAMES)
def test_loaders_have_the_rungs_that_are_kept(runs, name):
    found = of_client(runs, name)["ringfeed"]
    assert rungs_of(found) == KEPT[name], found["rungs"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = run_all(Path(folder))["ringfeed"]
    lines = ["# What makes the batches of each client's loaders: train, val"]
    scripts: dict[str, list[str]] = {}
    for name in sorted(found):
        result = found[name]
        rungs = KEPT.get(name, ["?", "?"]) if "missing" in result else rungs_of(result)
        lines.append(f"{name:32}{rungs[0]:14}{rungs[1]}")
        print(lines[-1])
        for split, (_, why) in result.get("rungs", {}).items():
            print(f"    {split}: {why}" if why else "", end="\n" if why else "")
        for row in result["rows"]:
            scripts.setdefault(row, rungs)  # the client of the script's default comes first
    TABLE.write_text("\n".join(lines) + "\n")
    native = sum(all(rung in ("native", "-") for rung in rungs) for rungs in scripts.values())
    print(f"{native} of {len(scripts)} scripts are native, with train and val")


if __name__ == "__main__":
    main()
