"""What an earlier release gave is given for ever: its states load, its seeds keep their order."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import golden_runs
from golden_runs import GOLDEN


def golden(pattern: str) -> list[Any]:
    """The cases of all such files; a line each."""
    cases = [case for file in GOLDEN.glob(pattern) for case in json.loads(file.read_text())]
    assert cases
    return cases


@pytest.mark.parametrize("case", golden("orders.json"))
def test_a_seed_gives_the_order_and_draws_that_it_always_gave(tmp_path, case):
    asked = {name: case[name] for name in case if name not in ("fields", "first", "crc32")}
    assert {**asked, **golden_runs.order(tmp_path, asked)} == case


@pytest.mark.parametrize("case", golden("states_*.json"))
def test_a_state_of_any_release_goes_on_with_the_very_next_batch(tmp_path, case):
    loader = golden_runs.loader(tmp_path, case["kind"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader.load_state_dict(case["state"])
    found = golden_runs.content(loader)
    assert found == {"labels": case["labels"], "crc32": case["crc32"]}
    assert loader.state_dict()["epoch"] == case["state"]["epoch"] + 1


@pytest.mark.parametrize("case", golden("lightning_*.json"))
def test_a_lightning_checkpoint_of_any_release_goes_on_with_the_very_next_batch(
    tmp_path: Path, case: Any
) -> None:
    pl = pytest.importorskip("lightning.pytorch")
    pytest.importorskip("pytorch_lightning")
    import tiny_imagenet
    from lightning_runs import fit, recorder

    model = recorder(pl)
    optimizer = model.configure_optimizers()
    checkpoint = {
        **case["checkpoint"],
        "state_dict": model.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
    }
    torch.save(checkpoint, tmp_path / "old.ckpt")
    root = tiny_imagenet.make(tmp_path / "imagenet")
    torch.manual_seed(2)
    left = fit(root, ckpt_path=tmp_path / "old.ckpt", data={"pillow": "13"}).train_batches
    assert [list(batch) for batch in left] == case["left"]
