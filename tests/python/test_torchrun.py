"""Plain torch under torchrun: shares, padding, and states that move between numbers of ranks."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import rank_runs
import seed_runs
import tiny_imagenet
from rank_runs import BATCH_SIZE
from tiny_imagenet import TRAIN

pytest.importorskip("torchvision")

EXAMPLE = Path(__file__).parents[2] / "examples" / "torch_train.py"
COUNT = TRAIN + 1  # neither 2 nor 3 ranks divide it
MODES = ("sampler", "rank")


def torchrun(ranks: int, script: Path, *arguments: object) -> str:
    """What the processes printed. Anything but success fails the test."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*command, f"--nproc-per-node={ranks}", script, *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=300,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tiny_imagenet.make(tmp_path_factory.mktemp("imagenet")) / "train"
    (root / "n02" / "last.png").hardlink_to(root / "n02" / "041.png")
    return root


@pytest.fixture(scope="module")
def found(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Any]]:
    """By number of ranks, what each rank found. 2 and 3 of them ran everything; the key -3 is
    3 ranks that went on from the state of 2."""
    results = tmp_path_factory.mktemp("results")
    script = Path(rank_runs.__file__)
    torchrun(2, script, folder, results / "2")
    torchrun(3, script, folder, results / "-3", results / "2.states")
    states = torch.load(results / "2.states", weights_only=True)
    one = {mode: rank_runs.run(folder, mode, 0, 1, None) for mode in MODES}
    rest = {mode: rank_runs.run(folder, mode, 0, 1, states[mode]) for mode in MODES}
    read = {
        ranks: [json.loads((results / f"{ranks}.rank{r}").read_text()) for r in range(abs(ranks))]
        for ranks in (2, -3)
    }
    return {**read, 1: [one], -1: [rest]}


def positions(ranks: list[Any], mode: str, part: str, start: int = 0) -> dict[int, tuple]:
    """Label and digest by place in the global order, which is dealt in turn from `start` on."""
    return {
        start + k * len(ranks) + rank: tuple(sample)
        for rank, parts in enumerate(ranks)
        for k, sample in enumerate(parts[mode][part])
    }


@pytest.mark.parametrize("mode", MODES)
def test_two_ranks_share_what_one_rank_has(found: dict, mode: str) -> None:
    whole = positions(found[1], mode, "epoch 0")
    assert sorted(label for label, _ in whole.values()) == list(range(COUNT))
    shared = positions(found[2], mode, "epoch 0")
    assert sorted(shared) == list(range(COUNT + 1))
    # DistributedSampler's padding, ringfeed's too: the first sample again, in a crop of its own.
    assert shared.pop(COUNT)[0] == whole[0][0]
    assert shared == whole


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ranks", [1, 3])
def test_a_state_of_two_ranks_goes_on_with_another_number(
    found: dict, mode: str, ranks: int
) -> None:
    whole = {**positions(found[1], mode, "head")}
    whole.update(positions(found[1], mode, "rest", start=2 * BATCH_SIZE))
    done = positions(found[2], mode, "head")
    assert sorted(done) == list(range(2 * 2 * BATCH_SIZE))
    rest = positions(found[-ranks], mode, "rest", start=len(done))
    left = COUNT - len(done)
    assert sorted(rest) == list(range(len(done), len(done) + -(-left // ranks) * ranks))
    for padding in range(COUNT, max(rest) + 1):
        rest.pop(padding)
    assert {**done, **rest} == whole


@pytest.fixture(scope="module")
def drawn(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two ranks found in seed_runs.py."""
    results = tmp_path_factory.mktemp("drawn")
    torchrun(2, Path(seed_runs.__file__), folder, results)
    return [json.loads((results / f"rank={rank}.json").read_text()) for rank in range(2)]


def labels(samples: list[Any]) -> list[int]:
    return [label for label, _ in samples]


def test_without_a_sampler_each_rank_has_what_its_own_seed_gives(drawn: list) -> None:
    assert drawn[0]["alike"][0] == drawn[1]["alike"][0]
    (first, again), (other, _) = (found["differently"][0] for found in drawn)
    for samples in (again, other):
        assert sorted(labels(samples)) == sorted(labels(first)) == list(range(COUNT))
        assert labels(samples) != labels(first) and not {*map(tuple, samples)} & {
            *map(tuple, first)
        }


def test_shuffling_all_samples_on_several_ranks_warns_once_how_to_shard(drawn: list) -> None:
    for found in drawn:
        for name in ("alike", "differently"):
            (message,) = found[name][1]
            assert "DistributedSampler(dataset), or rank= and world_size=" in message
        assert found["sequential"][1] == []


@pytest.mark.parametrize("name", ["mid", "end"])
def test_a_state_of_rank_0_keeps_every_order_and_the_crops_of_rank_0(
    drawn: list, name: str
) -> None:
    for rank, found in enumerate(drawn):
        uninterrupted, resumed, warned = found[name]
        assert labels(resumed) == labels(uninterrupted)
        if rank == 0:
            assert resumed == uninterrupted and warned == []
        else:
            both = {*map(tuple, resumed)} & {*map(tuple, uninterrupted)}
            assert not both and len(warned) == 1
            assert "crops on this rank are new; give seed= on all ranks" in warned[0]


def test_a_rank_iterates_and_loads_while_the_other_waits(drawn: list) -> None:
    assert [found["alone"] for found in drawn] == [-(-COUNT // 2)] * 2


def test_the_example_trains_on_two_ranks_and_goes_on_with_one(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkpoint = tmp_path / "last.pt"
    arguments = [folder.parent, "--arch=shufflenet_v2_x0_5", "--batch-size=8", "--num-workers=1"]
    arguments += [f"--checkpoint={checkpoint}", "--mixup-alpha=0.2", "--cutmix-alpha=1.0"]
    begun = torchrun(2, EXAMPLE, *arguments, "--max-steps=2")
    assert "done after 2 steps, in epoch 0" in begun and "resumed" not in begun
    state = torch.load(checkpoint, weights_only=True)["loader"]
    assert (state["epoch"], state["positions"]) == (0, 2 * 2 * 8)
    # One rank has 11 images left: two batches, and the rest of the steps are of epoch 1.
    monkeypatch.setattr("sys.argv", [str(EXAMPLE), *map(str, arguments), "--max-steps=3"])
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    assert f"resumed from {checkpoint}: epoch 0 after {2 * 2 * 8} samples" in printed
    assert "done after 3 steps, in epoch 1" in printed
