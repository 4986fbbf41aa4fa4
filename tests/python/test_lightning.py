"""The data module under real Trainers, in this process."""

import dataclasses
import importlib
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tiny_imagenet import MEAN, STD, TRAIN, VAL

pl = pytest.importorskip("lightning.pytorch")
pytest.importorskip("pytorch_lightning")

import torchvision.transforms.v2.functional as F
from torchvision import transforms

import ringfeed
from lightning_runs import PACKAGES, QUIET, data_module, fit, recorder
from ringfeed import DecodeLimits, LoadError
from ringfeed.lightning import ImageNetDataModule

EXAMPLE = Path(__file__).parents[2] / "examples" / "lightning_imagenet"


def files(batches: list) -> list[int]:
    return [index for batch in batches for index in batch[3]]


@pytest.mark.parametrize("found", ["x", "-1", str(2**64)])
def test_a_global_seed_that_is_none_is_refused_by_its_name(root, monkeypatch, found) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", found)
    with pytest.raises(ValueError, match=r"\$PL_GLOBAL_SEED must be a whole number in \[0, 2"):
        data_module(root).setup("fit")


def test_a_global_seed_counts_where_no_argument_gives_one(root, monkeypatch) -> None:
    def order(**options) -> list[int]:
        module = data_module(root, batch_size=16, **options)
        module.setup("fit")
        return module.train_dataloader().draws(0)["index"].tolist()

    given = order(seed=12)
    monkeypatch.setenv("PL_GLOBAL_SEED", "12")
    assert order() == given != order(seed=13)


def test_gives_batches_of_the_documented_shapes_after_setup(root: Path) -> None:
    module = data_module(root, batch_size=16)
    module.setup("fit")
    assert len(module.train_dataset) == TRAIN
    assert len(module.val_dataset) == VAL
    loader = module.train_dataloader()
    assert isinstance(loader, ringfeed.DataLoader)
    images, labels = next(iter(loader))
    assert images.shape == (16, 3, 224, 224) and images.dtype == torch.float32
    assert labels.shape == (16,) and labels.dtype == torch.int64
    assert [len(batch[1]) for batch in module.val_dataloader()] == [VAL]
    assert len(loader) == 3


def test_training_images_are_torchvisions_random_resized_crop_and_flip(root: Path) -> None:
    module = data_module(root, seed=3)
    module.setup("fit")
    loader = module.train_dataloader()
    images = torch.cat([batch[0] for batch in loader])
    draws = loader.draws(0)
    assert sorted(draws["index"]) == list(range(TRAIN))
    assert 0 < draws["hflip"].sum() < TRAIN
    areas = draws["height"] * draws["width"] / (32 * 40)
    assert areas.min() < 0.4 and areas.max() > 0.7
    for image, draw in zip(images, draws):
        path, _ = module.train_dataset.samples[draw["index"]]
        box = [int(draw[name]) for name in ("top", "left", "height", "width")]
        expected = F.resized_crop(Image.open(path), *box, [224, 224])
        if draw["hflip"]:
            expected = F.hflip(expected)
        expected = F.normalize(transforms.ToTensor()(expected), MEAN.tolist(), STD.tolist())
        assert torch.equal(image, expected)


def test_validation_images_are_torchvisions_resize_and_center_crop(root: Path) -> None:
    module = data_module(root)
    module.setup("validate")
    recipe = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(MEAN.tolist(), STD.tolist()),
        ]
    )
    images = torch.cat([batch[0] for batch in module.val_dataloader()])
    paths = sorted((root / "val").rglob("*.png"))
    assert torch.equal(images, torch.stack([recipe(Image.open(path)) for path in paths]))


def test_custom_transforms_and_options_reach_the_loaders(root: Path) -> None:
    small = transforms.Compose([transforms.RandomResizedCrop(32), transforms.PILToTensor()])
    module = data_module(root, train_transform=small, dtype="uint8", channels_last=True)
    module.setup("fit")
    images, _ = next(iter(module.train_dataloader()))
    assert images.shape == (6, 3, 32, 32) and images.dtype == torch.uint8
    assert images.is_contiguous(memory_format=torch.channels_last)
    module = data_module(
        root, seed=5, timeout=7, reader="pool", in_order=False, drop_last=True, batch_size=10
    )
    module.setup("fit")
    train, val = module.train_dataloader(), module.val_dataloader()
    assert (train.seed, train.timeout, train.reader) == (5, 7, "pool")
    assert not train.in_order and val.in_order
    assert len(train) == 4 and len(val) == 1


RECIPES = {
    "AutoAugment": (
        {"auto_augment": "svhn"},
        [
            transforms.AutoAugment(
                transforms.AutoAugmentPolicy.SVHN, transforms.InterpolationMode.BILINEAR
            )
        ],
        [],
    ),
    "RandAugment, bicubic": (
        {"rand_augment": 7, "interpolation": "bicubic"},
        [transforms.RandAugment(magnitude=7, interpolation=transforms.InterpolationMode.BICUBIC)],
        [],
    ),
    "TrivialAugmentWide": (
        {"trivial_augment": True, "random_erasing": 0.4, "train_size": 33},
        [transforms.TrivialAugmentWide(interpolation=transforms.InterpolationMode.BILINEAR)],
        [transforms.RandomErasing(0.4)],
    ),
    "noise": (
        {"random_erasing": 0.9, "random_erasing_value": "random", "train_size": 40},
        [],
        [transforms.RandomErasing(0.9, value="random")],
    ),
}


@pytest.mark.parametrize("options, policy, erasing", RECIPES.values(), ids=RECIPES)
def test_options_of_the_recipe_are_torchvisions_classes_in_training_alone(
    root: Path, options: dict, policy: list, erasing: list
) -> None:
    data = data_module(root, batch_size=8, seed=3, **options)
    data.setup("fit")
    mode = transforms.InterpolationMode(options.get("interpolation", "bilinear"))
    size = options.get("train_size", 224)
    same = transforms.Compose(
        [
            transforms.RandomResizedCrop(size, interpolation=mode),
            transforms.RandomHorizontalFlip(),
            *policy,
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
            *erasing,
        ]
    )
    dataset = ringfeed.ImageFolder(root / "train", same)
    with ringfeed.DataLoader(dataset, 8, shuffle=True, num_workers=1, seed=3) as loader:
        for (got, _), (wanted, _) in zip(data.train_dataloader(), loader, strict=True):
            assert torch.equal(got, wanted)
    assert_validates_by(root, data, 256, 224, mode)


def assert_validates_by(root, data, resize: int, size: int, mode) -> None:
    steps = [transforms.Resize(resize, mode), transforms.CenterCrop(size), transforms.ToTensor()]
    transform = transforms.Compose([*steps, transforms.Normalize(MEAN, STD)])
    dataset = ringfeed.ImageFolder(root / "val", transform)
    batch_size = data.hparams.batch_size
    with ringfeed.DataLoader(dataset, batch_size, num_workers=1) as loader:
        for (got, _), (wanted, _) in zip(data.val_dataloader(), loader, strict=True):
            assert torch.equal(got, wanted)


def test_sizes_of_validation_reach_its_loader(root: Path) -> None:
    data = data_module(root, batch_size=4, val_size=48, val_resize_size=64)
    data.setup("validate")
    assert_validates_by(root, data, 64, 48, transforms.InterpolationMode.BILINEAR)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"auto_augment": "cifar100"}, "auto_augment must be one of"),
        ({"rand_augment": 31}, r"rand_augment must be a magnitude in \[0, 30\]"),
        ({"rand_augment": True}, "rand_augment must be"),
        ({"rand_augment": 9, "trivial_augment": True}, "exclude one another"),
        ({"train_size": 0}, "train_size must be in"),
        ({"val_size": 288}, "val_size=288 is above val_resize_size=256"),
        ({"auto_augment": "svhn", "interpolation": "box"}, "interpolation='box' cannot rotate"),
        ({"mix_prob": 0.3}, "mix_prob=0.3 needs mixup_alpha or cutmix_alpha"),
        ({"random_erasing": 2}, r"random_erasing must be in \[0, 1\]"),
        ({"random_erasing": True}, "random_erasing must be a number"),
        ({"random_erasing_value": 1}, "random_erasing_value needs a random_erasing above 0"),
        ({"random_erasing": 0.1, "random_erasing_value": "pixel"}, 'a number or "random"'),
        ({"random_erasing": 0.1, "random_erasing_value": True}, "random_erasing_value must be a n"),
        ({"repeats": 0}, "repeats must be at least 1"),
        ({"repeats": 2.5}, "repeats must be a whole number"),
        ({"interpolation": "cubic"}, r"interpolation must be one of \['nearest'"),
        ({"train_transform": transforms.ToTensor(), "train_size": 99}, "the place of train_size"),
        ({"val_transform": transforms.ToTensor(), "val_size": 99}, "the place of val_size"),
    ],
)
def test_recipes_that_make_no_sense_are_refused_by_the_constructor(
    root: Path, options: dict, message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        data_module(root, **options)


@pytest.mark.parametrize("limits", [DecodeLimits(max_pixels=99), {"max_pixels": 99}])
def test_limits_and_the_read_ahead_reach_the_loaders_and_are_saved_as_plain_values(
    root: Path, limits: object
) -> None:
    module = data_module(root, limits=limits, depth=9, read_ahead_bytes=1 << 20)
    module.setup("validate")
    loader = module.val_dataloader()
    assert loader.limits == DecodeLimits(max_pixels=99)
    assert (loader.depth, loader.read_ahead_bytes) == (9, 1 << 20)
    assert module.hparams.limits == dataclasses.asdict(loader.limits)
    with pytest.raises(LoadError, match="max_pixels"):
        next(iter(loader))


def test_wrong_limits_are_refused_by_the_constructor(root: Path) -> None:
    with pytest.raises(ValueError, match="max_pixels must be in"):
        data_module(root, limits={"max_pixels": 0})


def test_a_command_line_can_say_the_limits(root: Path) -> None:
    jsonargparse = pytest.importorskip("jsonargparse")
    parser = jsonargparse.ArgumentParser()
    parser.add_class_arguments(ImageNetDataModule, "data")
    chosen = parser.parse_args(
        [f"--data.data_root={root}", "--data.limits", '{"max_pixels": 77}', "--data.depth=5"]
    )
    module = parser.instantiate_classes(chosen).data
    assert module.hparams.limits == dataclasses.asdict(DecodeLimits(max_pixels=77))
    assert module.hparams.depth == 5


@pytest.mark.parametrize("use_cache", [True, False, "always"])
def test_listings_are_kept_as_the_data_module_says(root: Path, use_cache: bool | str) -> None:
    module = data_module(root, use_cache=use_cache)
    module.setup("fit")
    assert (module.train_dataset.use_cache, module.val_dataset.use_cache) == (use_cache, use_cache)
    jsonargparse = pytest.importorskip("jsonargparse")
    parser = jsonargparse.ArgumentParser()
    parser.add_class_arguments(ImageNetDataModule, "data")
    chosen = parser.parse_args([f"--data.data_root={root}", f"--data.use_cache={use_cache}"])
    assert parser.instantiate_classes(chosen).data.hparams.use_cache == use_cache


def test_a_wrong_use_cache_is_refused_by_the_constructor(root: Path) -> None:
    with pytest.raises(ValueError, match='use_cache must be True, False or "always", not \'never'):
        data_module(root, use_cache="never")


def test_setup_builds_what_its_stage_needs_and_keeps_what_is_there(root: Path) -> None:
    module = data_module(root)
    with pytest.raises(RuntimeError, match=r"setup\('fit'\)"):
        module.train_dataloader()
    module.setup("test")
    assert module.train_dataset is None
    val = module.val_dataset
    module.setup("fit")
    train = module.train_dataset
    module.setup("fit")
    module.setup(None)
    assert module.val_dataset is val and module.train_dataset is train


def test_data_root_may_begin_with_the_home_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    module = data_module(f"~/{root.name}")
    module.setup("fit")
    assert len(module.train_dataset) == TRAIN


def test_missing_folders_are_named_with_what_is_there_instead(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        data_module(tmp_path / "imagenet").setup("fit")
    assert str(tmp_path / "imagenet") in str(error.value)
    (tmp_path / "ILSVRC").mkdir()
    with pytest.raises(FileNotFoundError) as error:
        data_module(tmp_path).setup("fit")
    assert str(tmp_path / "train") in str(error.value) and "ILSVRC/" in str(error.value)
    shutil.copytree(root / "train", tmp_path / "train")
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "flat.JPEG").touch()
    with pytest.raises(FileNotFoundError, match="folder per class.*val.*flat.JPEG"):
        data_module(tmp_path).setup("fit")


def test_classes_missing_from_one_split_are_refused(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "val" / "n01")
    with pytest.raises(ValueError, match="2 and 1 classes.*'n01' in train"):
        data_module(tmp_path).setup("fit")


@pytest.mark.parametrize("package", PACKAGES)
def test_epochs_hold_every_image_once_in_the_loaders_order(root: Path, package: str) -> None:
    run = fit(root, package, data={"seed": 11})
    first, second = (files([b for b in run.train_batches if b[0] == e]) for e in (0, 1))
    assert sorted(first) == sorted(second) == list(range(TRAIN))
    module = data_module(root, seed=11)
    module.setup("fit")
    loader = module.train_dataloader()
    assert first == loader.draws(0)["index"].tolist()
    assert second == loader.draws(1)["index"].tolist()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_validation_begins_at_the_first_image(root: Path, package: str) -> None:
    run = fit(
        root,
        package,
        data={"batch_size": 4},
        limit_val_batches=1.0,
        num_sanity_val_steps=1,
        val_check_interval=0.5,
    )
    sanity, validations = run.val_batches[:1], run.val_batches[1:]
    assert files(sanity) == list(range(4))
    assert files(validations) == 4 * list(range(VAL))


def test_limited_validations_begin_at_the_first_image(root: Path) -> None:
    run = fit(root, data={"batch_size": 4}, limit_val_batches=2, num_sanity_val_steps=0)
    assert files(run.val_batches) == 2 * list(range(8))


def test_limited_epochs_begin_at_their_first_batch(root: Path) -> None:
    full = fit(root, data={"seed": 11})
    limited = fit(root, data={"seed": 11}, limit_train_batches=3)
    assert limited.train_batches == [b for b in full.train_batches if b[1] < 3]


def test_overfit_batches_repeats_the_first_images(root: Path) -> None:
    run = fit(root, overfit_batches=2, limit_val_batches=1.0, num_sanity_val_steps=0)
    assert files(run.train_batches) == 2 * list(range(12))
    assert files(run.val_batches) == 2 * list(range(VAL))


def test_reloaded_loaders_go_on_with_the_next_epoch(root: Path) -> None:
    kept = fit(root, data={"seed": 11})
    reloaded = fit(root, data={"seed": 11}, reload_dataloaders_every_n_epochs=1)
    assert reloaded.train_batches == kept.train_batches


@pytest.mark.parametrize("package", PACKAGES)
def test_validate_test_and_predict_see_every_validation_image_once(
    root: Path, package: str
) -> None:
    lightning = importlib.import_module(package)
    model, module = recorder(lightning), data_module(root, batch_size=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(**QUIET, enable_checkpointing=False)
        trainer.validate(model, module, verbose=False)
        trainer.test(model, module, verbose=False)
        predicted = trainer.predict(model, module)
    assert files(model.val_batches) == 2 * list(range(VAL))
    assert [index for batch in predicted for index in batch] == list(range(VAL))


def test_a_checkpoint_is_plain_and_gives_the_module_back(root: Path, tmp_path: Path) -> None:
    module = data_module(root, batch_size=7, val_transform=transforms.ToTensor(), pillow="12")
    trainer = pl.Trainer(
        **QUIET, default_root_dir=tmp_path, max_epochs=1, limit_train_batches=1, limit_val_batches=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(recorder(pl), module)
    path = tmp_path / "module.ckpt"
    trainer.save_checkpoint(path)
    saved = torch.load(path, weights_only=True)["datamodule_hyper_parameters"]
    assert saved["data_root"] == str(root) and saved["pillow"] == "12"
    again = ImageNetDataModule.load_from_checkpoint(path, num_workers=1)
    assert again.hparams == {**module.hparams, "num_workers": 1}


@pytest.mark.parametrize(
    "config",
    [
        "local.yaml",
        "fsx.yaml",
        "local.yaml mixing.yaml",
        "local.yaml new_recipe.yaml",
        "local.yaml deit.yaml",
    ],
)
def test_the_example_runs_from_its_configs(
    config: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jsonargparse")
    monkeypatch.syspath_prepend(EXAMPLE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["train.py"])
    train = importlib.import_module("train")
    monkeypatch.setattr(
        train.torchvision.models, "get_model", lambda *_, num_classes, **__: Pooled(num_classes)
    )
    seen: dict[str, float] = {}
    monkeypatch.setattr(
        train.Throughput,
        "on_train_end",
        lambda self, trainer, _: seen.update(trainer.logged_metrics),
        raising=False,
    )
    small = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=3", "--trainer.devices=1"]
    plain = ["--trainer.accelerator=cpu", "--trainer.strategy=auto", "--trainer.precision=32"]
    data = [f"--data.data_root={root}", "--data.batch_size=8", "--data.num_workers=2"]
    configs = [f"--config={EXAMPLE / 'configs' / name}" for name in config.split()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cli = train.CLI(
            train.Classifier,
            train.ImageNetDataModule,
            trainer_defaults={"callbacks": [train.Throughput()]},
            args=["fit", *configs, *small, *plain, *data],
        )
    assert cli.trainer.global_step == 3
    targets = next(iter(cli.datamodule.train_dataloader()))[1]
    assert targets.shape == ((8, 1000) if " " in config else (8,))
    assert seen["images/s"] > 0 and seen["data_ms"] >= 0
    assert np.isfinite(float(cli.trainer.callback_metrics["val_loss"]))


class Pooled(torch.nn.Module):
    """Stands for a ResNet where only the feeding matters."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images.mean((2, 3)))
