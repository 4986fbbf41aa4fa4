"""The data module on two processes: Lightning's DistributedSampler over gloo."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DistributedSampler

import tiny_imagenet
from tiny_imagenet import TRAIN, VAL

pytest.importorskip("lightning.pytorch")

from lightning_runs import data_module, fit
from ringfeed import DataLoader, RepeatedAugmentationSampler
from ringfeed.transforms import MixUp

BATCHES = 4  # of each rank: 21 images, 6 at a time


@pytest.fixture(scope="module")
def results(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    other = folder / "other"
    shutil.copytree(root, other)
    next((other / "train" / "n01").iterdir()).unlink()
    script = Path(__file__).with_name("lightning_runs.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for name in ("PL_GLOBAL_SEED", "RANK", "LOCAL_RANK", "WORLD_SIZE"):
        environment.pop(name, None)
    subprocess.run(
        [sys.executable, script, "ranks", root, other, folder],
        env=environment,
        timeout=300,
        check=True,
    )
    return folder


@pytest.fixture(scope="module")
def ranks(results: Path) -> list[dict[str, Any]]:
    return [json.loads((results / f"rank={rank}.json").read_text()) for rank in (0, 1)]


def test_every_image_comes_once_in_the_distributed_samplers_order(ranks: list) -> None:
    for rank, found in enumerate(ranks):
        for epoch in (0, 1):
            sampler = DistributedSampler(range(TRAIN), num_replicas=2, rank=rank, seed=0)
            sampler.set_epoch(epoch)
            got = [index for batch in found["fit"] if batch[0] == epoch for index in batch[3]]
            assert got == list(sampler)


def test_resumed_ranks_get_the_batches_that_were_left(ranks: list) -> None:
    for found in ranks:
        assert found["step=2"] == found["fit"][2:]
        assert found["epoch=0"] == found["fit"][BATCHES:]


@pytest.mark.parametrize("seed", [None, 4])
def test_ranks_go_on_where_they_were_though_their_steps_were_estimated(
    ranks: list, seed: int | None
) -> None:
    for found in ranks:
        for done in (2, 3):
            assert found[f"{seed} step={done}"] == found[f"{seed}"][done:]


def test_each_rank_mixes_its_batches_in_its_own_way(root: Path, ranks: list) -> None:
    data = data_module(root)
    data.setup("fit")
    dataset = data.train_dataset
    for rank, found in enumerate(ranks):
        sampler = DistributedSampler(dataset, num_replicas=2, rank=rank, seed=0)
        loader = DataLoader(dataset, 6, sampler=sampler, batch_transform=MixUp(2), seed=4)
        for epoch in (0, 1):
            sampler.set_epoch(epoch)
            expected = [tiny_imagenet.digest(batch) for batch in loader]
            assert [batch[2] for batch in found["mixed"] if batch[0] == epoch] == expected
        assert found["finished"] == found["mixed"]


def test_without_a_seed_all_ranks_have_what_rank_0_drew(ranks: list) -> None:
    for found in ranks:
        assert found["seeds"] == [found["drawn alone"]] * 2


def test_ranks_share_the_repetitions_of_an_image(ranks: list) -> None:
    for rank, found in enumerate(ranks):
        for epoch in (0, 1):
            sampler = RepeatedAugmentationSampler(range(TRAIN), 2, rank, seed=4, repeats=2)
            sampler.set_epoch(epoch)
            got = [index for batch in found["repeated"] if batch[0] == epoch for index in batch[3]]
            assert got == list(sampler)
    both = [[tuple(batch[3]) for batch in found["repeated"]] for found in ranks]
    assert both[0] == both[1]
    digests = [[batch[2] for batch in found["repeated"]] for found in ranks]
    assert not set(digests[0]) & set(digests[1])


def test_validation_is_shared_and_prediction_sees_every_image_once(ranks: list) -> None:
    validated = [index for found in ranks for batch in found["validate"] for index in batch[3]]
    assert sorted(validated) == list(range(VAL))
    assert sorted(ranks[0]["predict"] + ranks[1]["predict"]) == list(range(VAL))


def test_ranks_that_see_other_files_are_told_on_every_rank(ranks: list) -> None:
    for found in ranks:
        message = found["other"]
        assert "RuntimeError" in message and "train" in message
        assert f"{TRAIN} images on rank 0, {TRAIN - 1} on rank 1" in message
    assert "RuntimeError: rank 1 has no dataset" in ranks[0]["missing"]
    assert "FileNotFoundError" in ranks[1]["missing"]


def test_another_number_of_ranks_goes_on_between_epochs_only(
    root: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = results / "checkpoints"
    with pytest.raises(ValueError, match="within an epoch"):
        fit(root, ckpt_path=saved / "step=2.ckpt")
    rest = fit(root, ckpt_path=saved / "epoch=0.ckpt").train_batches
    assert [batch[0] for batch in rest] == [1] * 7
    assert sorted(index for batch in rest for index in batch[3]) == list(range(TRAIN))
