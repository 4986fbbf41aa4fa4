"""The train loader's place, where Lightning does not restore it: with the data module it is right,
without one a warning says so."""

import copy
import itertools
import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import SequentialSampler

import tiny_imagenet

pl = pytest.importorskip("lightning.pytorch")
pytest.importorskip("pytorch_lightning")

from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities import CombinedLoader

from lightning_runs import QUIET, data_module, fit, recorder
from ringfeed import DataLoader, ImageFolder
from ringfeed._imagenet_recipes import train_recipe

BATCHES = 7  # an epoch: 42 images, 6 at a time


@pytest.fixture(scope="module")
def images(root: Path) -> ImageFolder:
    return ImageFolder(root / "train", train_recipe(data_module(root).hparams))


class RestoresLate(SingleDeviceStrategy):
    """Reads a checkpoint when the loaders are made, as FSDP and DeepSpeed do."""

    @property
    def restore_checkpoint_after_setup(self) -> bool:
        return True


def strategy(late: bool) -> dict[str, Any]:
    return {"strategy": RestoresLate(torch.device("cpu"))} if late else {}


@pytest.mark.parametrize("seed", [None, 4])
def test_the_data_module_goes_on_where_it_was_though_the_steps_were_estimated(
    root: Path, tmp_path: Path, seed: int | None
) -> None:
    torch.manual_seed(1)
    data = {"seed": seed, "repeats": 1 if seed is None else 2}
    whole = fit(root, data=data, save_to=tmp_path, estimates=True).train_batches
    for done, late in itertools.product((3, BATCHES, 9), (False, True)):
        torch.manual_seed(done)
        saved = tmp_path / f"step={done}.ckpt"
        rest = fit(root, data=data, ckpt_path=saved, estimates=True, **strategy(late))
        assert rest.train_batches == whole[done:], (done, late)


def test_a_place_that_another_stage_loads_moves_nothing(root: Path, tmp_path: Path) -> None:
    whole = fit(root, data={"seed": 4}, save_to=tmp_path).train_batches
    data, model = data_module(root, seed=4), recorder(pl)
    trainer = pl.Trainer(**QUIET, max_epochs=1, enable_checkpointing=False, limit_val_batches=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.validate(model, data, tmp_path / "step=3.ckpt", verbose=False, weights_only=False)
        trainer.fit(model, data)
    assert model.train_batches == whole[:BATCHES]


def test_without_a_trainer_the_place_goes_to_the_loader_that_is_there_or_comes(root: Path) -> None:
    def begun() -> Any:
        data = data_module(root, seed=4)
        data.setup("fit")
        return data

    def digests(loader: Any) -> list[str]:
        return [tiny_imagenet.digest(batch) for batch in loader]

    first = begun()
    loader = first.train_dataloader()
    batches = iter(loader)
    next(batches), next(batches)
    state, left = first.state_dict(), digests(batches)
    before, after = begun(), begun()
    before.load_state_dict(state)
    assert digests(before.train_dataloader()) == left
    loader = after.train_dataloader()
    after.load_state_dict(state)
    assert digests(loader) == left


def test_a_checkpoint_without_the_place_is_refused_unless_the_state_need_not_be_strict(
    root: Path, tmp_path: Path
) -> None:
    fit(root, data={"seed": 4}, save_to=tmp_path)
    checkpoint = torch.load(tmp_path / "step=3.ckpt", weights_only=True)
    del checkpoint["ImageNetDataModule"]["loader"]
    torch.save(checkpoint, tmp_path / "old.ckpt")
    resume: dict[str, Any] = {"ckpt_path": tmp_path / "old.ckpt", "estimates": True}
    with pytest.raises(ValueError, match=r"goes on with batch 3 of epoch 0.*strict_state=False"):
        fit(root, data={"seed": 4}, **resume)
    with pytest.warns(UserWarning, match="goes on with batch 3 of epoch 0"):
        fit(root, data={"seed": 4, "strict_state": False}, quiet=False, **resume)


@pytest.mark.parametrize("estimates", [False, True])
def test_not_strict_training_goes_on_after_a_bad_file_was_removed(
    root: Path, tmp_path: Path, estimates: bool
) -> None:
    smaller = tmp_path / "smaller"
    shutil.copytree(root, smaller)
    next((smaller / "train" / "n01").iterdir()).unlink()
    fit(root, data={"seed": 4}, save_to=tmp_path)
    resume: dict[str, Any] = {"ckpt_path": tmp_path / "step=3.ckpt", "estimates": estimates}
    with pytest.raises(ValueError, match=r"another dataset.*strict_state=False"):
        fit(smaller, data={"seed": 4}, **resume)
    with pytest.warns(UserWarning, match="begins epoch 0 anew, with the key"):
        rest = fit(smaller, data={"seed": 4, "strict_state": False}, quiet=False, **resume)
    assert {batch[0] for batch in rest.train_batches} == {0, 1}
    assert len(rest.train_batches) == BATCHES - 3 + BATCHES
    resume["ckpt_path"] = tmp_path / "epoch=0.ckpt"
    rest = fit(smaller, data={"seed": 4}, **resume)
    assert len(rest.train_batches) == BATCHES


def test_a_loader_without_the_data_module_says_that_its_place_was_not_loaded(
    images: ImageFolder, tmp_path: Path
) -> None:
    def feed(**options: Any) -> DataLoader:
        return DataLoader(images, 6, shuffle=True, seed=2, **options)

    whole = fit(tmp_path, feed=feed(), save_to=tmp_path).train_batches
    saved = tmp_path / "step=3.ckpt"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        rest = fit(tmp_path, feed=feed(), ckpt_path=saved).train_batches
    assert rest == whole[3:]
    loader = feed()
    with pytest.warns(UserWarning, match=r"batch 3 of epoch 0, and this loader from 0 samples"):
        fit(tmp_path, feed=loader, ckpt_path=saved, estimates=True, quiet=False)
    # The way out that the warning names.
    states = torch.load(saved, weights_only=True)["loops"]["fit_loop"]["state_dict"]

    class Restores(pl.Callback):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            trainer.train_dataloader.load_state_dict(states["combined_loader"][0])

    there: dict[str, Any] = {"estimates": True, "callbacks": [Restores()]}
    assert fit(tmp_path, feed=feed(), ckpt_path=saved, **there).train_batches == whole[3:]


@pytest.mark.parametrize("limit", [{"overfit_batches": 3}, {"limit_train_batches": 3}])
@pytest.mark.parametrize("data", [False, True])
def test_epochs_that_a_limit_cuts_short_count_though_the_sampler_has_no_set_epoch(
    root: Path, images: ImageFolder, tmp_path: Path, limit: dict[str, Any], data: bool
) -> None:
    def run(**options: Any) -> list[Any]:
        feed = None
        if not data:
            feed = DataLoader(images, 6, sampler=SequentialSampler(images), seed=2)
        return fit(root, feed=feed, data={"seed": 2}, **limit, **options).train_batches

    whole = run(save_to=tmp_path)
    assert len({batch[2] for batch in whole}) == 6
    for name, done in (("step=3", 3), ("epoch=0", 3), ("step=4", 4)):
        assert run(ckpt_path=tmp_path / f"{name}.ckpt") == whole[done:], name


class Pairs(pl.LightningModule):
    """Takes two loaders' batches side by side, and notes their digests."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
        self.seen: list[tuple[str, str]] = []
        self.estimates = False

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.seen.append(tuple(tiny_imagenet.digest(batch[name]) for name in ("long", "short")))
        return self.layer(batch["long"][0].mean((2, 3))).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.estimates:
            assert self.trainer.estimated_stepping_batches > 0
        return torch.optim.SGD(self.parameters(), 0.1)


def test_loaders_of_different_lengths_both_keep_their_places_and_no_pass_repeats(
    images: ImageFolder, tmp_path: Path
) -> None:
    def run(
        ckpt_path: Path | None = None, callbacks: Any = (), estimates: bool = False
    ) -> list[tuple[str, str]]:
        few = torch.utils.data.Subset(images, range(18))
        pair = {
            "long": DataLoader(images, 6, shuffle=True, seed=2),
            "short": DataLoader(few, 6, shuffle=True, seed=2),
        }
        model = Pairs()
        model.estimates = estimates
        options = {**QUIET, "max_epochs": 2, "callbacks": list(callbacks)}
        with warnings.catch_warnings():
            warnings.filterwarnings("error", ".*set_epoch|.*this loader from")
            trainer = pl.Trainer(**options, enable_checkpointing=bool(callbacks))
            trainer.fit(model, CombinedLoader(pair, "max_size_cycle"), ckpt_path=ckpt_path)
        return model.seen

    saves = pl.callbacks.ModelCheckpoint(
        tmp_path, "{step}", save_top_k=-1, every_n_train_steps=1, save_on_train_epoch_end=False
    )
    whole = run(callbacks=[saves])
    for column in zip(*whole):
        assert len(set(column)) == len(column) == 2 * BATCHES
    for done in (2, 3, 4, BATCHES, BATCHES + 4):
        assert run(tmp_path / f"step={done}.ckpt") == whole[done:], done
    with pytest.raises(
        UserWarning, match="goes on with batch 2 of epoch 0, and this loader from 0"
    ):
        run(tmp_path / "step=2.ckpt", estimates=True)


def test_a_combined_loader_pickles_in_mid_epoch(images: ImageFolder) -> None:
    loader = DataLoader(images, 6, shuffle=True, seed=2)
    combined = CombinedLoader({"a": loader, "b": DataLoader(images, 4)})
    next(iter(combined))
    again = pickle.loads(pickle.dumps(combined))
    assert again.iterables["a"].state_dict() == loader.state_dict()


def test_a_loader_made_in_train_dataloader_copies_and_pickles(images: ImageFolder) -> None:
    from lightning.fabric.utilities.data import _replace_dunder_methods

    with _replace_dunder_methods(torch.utils.data.DataLoader, "dataset"):
        for persistent in (False, True):
            loader = DataLoader(images, 6, shuffle=True, seed=2, persistent_workers=persistent)
            repr(loader)
            batches = iter(loader)
            next(batches)
            recorded = [args[0] for args, _ in getattr(loader, "__pl_attrs_record", [])]
            assert not [name for name in recorded if name.startswith("_")]
            for other in (copy.deepcopy(loader), pickle.loads(pickle.dumps(loader))):
                assert other.state_dict() == loader.state_dict()
                next(iter(other))
            loader._iterator = None  # as Lightning does
