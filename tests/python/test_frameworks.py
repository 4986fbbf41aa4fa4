"""Libraries that make loaders, or make them anew: what a script gets of them under torch alone,
under python -m ringfeed, and under install(). tools/frameworks.sh installs them all."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torchvision")

COUNT = 14  # neither 3 nor 6 divides it
SCRIPT = Path(__file__).with_name("framework_runs.py")
LIBRARIES = {
    "accelerate": "accelerate",
    "fabric": "lightning",
    "fastai": "fastai",
    "ignite": "ignite",
    "ray": "ray",
    "timm": "timm",
    "torchdata": "torchdata",
    "transformers": "transformers",
}
TOLD = {
    "fabric": ["set_epoch(0) does not agree with the state that was loaded", "crops on this rank"],
    "torchdata": ["StatefulDataLoader derives from torch's DataLoader and stays torch's"],
}
"""What else ringfeed warns of than what keeps a loader from the native rung."""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What a library gave each rank, by library, by how it was started and by number of ranks."""
    folder = tmp_path_factory.mktemp("frameworks")
    rng = np.random.default_rng(1)
    for number in range(COUNT):
        path = folder / "images" / f"{number:02d}" / "0.jpg"
        path.parent.mkdir(parents=True)
        pixels = rng.integers(0, 256, (24 + number % 5, 20 + number % 7, 3), np.uint8)
        Image.fromarray(pixels).save(path)

    @cache
    def found(library: str, way: str, ranks: int) -> list[dict[str, Any]]:
        start = ["-m", "ringfeed"] if way == "module" else []
        if ranks > 1 and library != "ray":
            start = [
                "-m",
                "torch.distributed.run",
                "--standalone",
                f"--nproc-per-node={ranks}",
                *start,
            ]
        written = folder / f"{library}-{way}-{ranks}"
        run([*start, SCRIPT, library, folder / "images", written], INSTALL=way, RANKS=str(ranks))
        return [json.loads(Path(f"{written}.rank{rank}").read_text()) for rank in range(ranks)]

    return found


def run(arguments, **environment):
    """Ends well, and leaves no process behind."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "RAY_AUTH_MODE": "disabled",
        **environment,
    }
    with subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        said, _ = process.communicate(timeout=400)
    assert process.returncode == 0, said[-4000:]
    deadline = time.monotonic() + 10
    while left := processes_of(process.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def processes_of(session: int) -> list[str]:
    """Those that started in it and live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().rpartition(")")
        except OSError:  # it has just ended
            continue
        if rest.split()[3] == str(session) and rest.split()[0] != "Z":
            found.append(name)
    return found


def labels(batches):
    return [label for batch in batches for label, _ in batch]


def pixels(batches):
    return {label: digest for batch in batches for label, digest in batch}


@pytest.fixture(params=LIBRARIES)
def library(request):
    if importlib.util.find_spec(LIBRARIES[request.param]) is None:
        pytest.skip(f"{LIBRARIES[request.param]} is not installed")
    return request.param


@pytest.fixture(params=[1, 2])
def ranks(request, library):
    if library == "fastai" and request.param > 1:
        pytest.skip("fastai deals by itself")
    return request.param


@pytest.fixture
def theirs(results, library, ranks):
    """What each rank got of torch's loaders."""
    return results(library, "torch", ranks)


@pytest.fixture(params=["module", "line"])
def ours(request, results, library, ranks):
    return results(library, request.param, ranks)


def pairs(ours, theirs):
    """What each rank got, by name: the rung that it should be of comes first there."""
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["found"].keys() == other["found"].keys()
        for name, part in mine["found"].items():
            yield name, name.partition(",")[0], part, other["found"][name]


def test_a_loader_is_ringfeed_s_and_of_the_best_rung(ours, theirs):
    for name, rung, mine, other in pairs(ours, theirs):
        if rung == "torch" and mine["rung"] is None:  # a class that install() leaves alone
            assert mine["class"] == other["class"], name
        else:
            assert mine["rung"] == rung, name
            assert mine["class"] in ("ringfeed.loader.DataLoader", other["class"]), name
        assert other["rung"] is None


def test_a_lower_rung_gives_what_torch_gives_bit_for_bit(ours, theirs):
    for name, rung, mine, other in pairs(ours, theirs):
        if rung != "native":
            assert {key: mine[key] for key in other} == {**other, **named(mine)}, name


def named(part):
    return {key: part[key] for key in ("class", "rung")}


def test_the_native_rung_gives_the_pixels_of_torch(ours, theirs):
    for name, rung, mine, other in pairs(ours, theirs):
        given, expected = (
            [sample for epoch in part["epochs"] for sample in flat(epoch)] for part in (mine, other)
        )
        assert mine["length"] == other["length"], name
        if rung == "native" and "drawn" not in name:
            expected = dict(expected)
            assert len(expected.keys() & dict(given).keys()) >= 3
            assert all(expected.get(label, found) == found for label, found in given), name


def test_all_ranks_together_get_each_image_as_often_as_of_torch(ours, theirs):
    for name in ours[0]["found"]:
        for epoch in range(2):
            given, expected = (
                Counter(
                    label
                    for part in parts
                    for label, _ in flat(part["found"][name]["epochs"][epoch])
                )
                for parts in (ours, theirs)
            )
            assert sorted(given.values()) == sorted(expected.values()), name
            if len(expected) == COUNT:
                assert len(given) == COUNT, name


def test_what_is_left_of_an_epoch_comes_after_a_resume(ours, theirs):
    for name, rung, mine, _ in pairs(ours, theirs):
        if "left" in mine:
            left, resumed = flat(mine["left"]), flat(mine["resumed"])
            assert [label for label, _ in resumed] == [label for label, _ in left], name
            if rung == "native":
                assert resumed == left, name


def test_ignite_s_deterministic_engine_has_torch_s_order(ours, theirs):
    for name, rung, mine, other in pairs(ours, theirs):
        assert mine.get("in torch's order") == other.get("in torch's order"), name


def test_a_rung_is_explained_and_nothing_else_is_said(ours, theirs, library):
    named = {text for part in ours for text in part["warnings"] if "ringfeed" in text}
    allowed = ["torch's own loader makes these batches", *TOLD.get(library, [])]
    assert not [text for text in named if not any(known in text for known in allowed)]
    assert any(allowed[0] in text for text in named) or library in TOLD


def flat(batches):
    return [sample for batch in batches for sample in map(tuple, batch)]
