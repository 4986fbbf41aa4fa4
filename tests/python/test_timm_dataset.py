"""timm's ImageDataset over a folder: native, with timm's samples where files fail."""

from __future__ import annotations

import logging
import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm", minversion="1.0.31")

from PIL import Image
from timm.data import ImageDataset, create_dataset, create_loader, create_transform
from timm.data.loader import fast_collate
from torch.utils.data import Subset
from torchvision import transforms as v1

import odd_images
import ringfeed
from ringfeed.errors import NotNative

SIZES = [(90, 120), (130, 70), (64, 64), (101, 99), (70, 70), (80, 111), (75, 75), (99, 66)]
CPU = torch.device("cpu")


@pytest.fixture
def root(tmp_path):
    """Folders of classes; of 2, 9 and 10 timm makes an order of numbers."""
    for number, path in enumerate(map(str, odd_images.noise(tmp_path, SIZES, 3))):
        folder = tmp_path / "data" / ("2", "9", "10")[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.open(path).save(folder / f"{number}.jpg")
    return tmp_path / "data"


def cut(root, *numbers):
    for number in numbers:
        (path,) = root.glob(f"*/{number}.jpg")
        path.write_bytes(path.read_bytes()[:1500])


def dataset_of(root, **options):
    return create_dataset("", root=str(root), **options)


def evaluation(**options):
    return create_transform(input_size=48, **options)


def training(**options):
    return create_transform(48, is_training=True, auto_augment="rand-m9-mstd0.5-inc1", **options)


def assert_same(ours, theirs):
    assert len(ours) == len(theirs) > 0
    for (images, labels), (images_of_torch, labels_of_torch) in zip(ours, theirs):
        assert images.dtype == images_of_torch.dtype and torch.equal(images, images_of_torch)
        assert labels.dtype == labels_of_torch.dtype and torch.equal(labels, labels_of_torch)


@pytest.mark.parametrize("collate_fn", [None, fast_collate, lambda batch: fast_collate(batch)])
@pytest.mark.parametrize("failing", [(), (1, 7), (3, 4, 5)])
def test_batches_are_torchs_also_where_files_fail(root, caplog, failing, collate_fn):
    cut(root, *failing)
    dataset = dataset_of(root)
    dataset.transform = evaluation(use_prefetcher=collate_fn is not None)
    dataset.target_transform = lambda label: label + 5
    options = dict(batch_size=3, collate_fn=collate_fn)
    expected = list(torch.utils.data.DataLoader(dataset, **options))
    logged = [record.message for record in caplog.records]
    caplog.clear()
    loader = ringfeed.DataLoader(dataset, native=True, **options)
    assert_same(list(loader), expected)
    assert [record.message for record in caplog.records] == logged
    assert len(logged) >= len(failing)
    taken = {failure.index: failure.substitute for failure in loader.failures()}
    assert len(taken) == len(failing)
    for index, substitute in taken.items():
        assert torch.equal(dataset[index][0] + 0.0, dataset[substitute][0] + 0.0)


def test_the_last_file_is_followed_by_the_first(root):
    dataset = dataset_of(root)
    dataset.transform = evaluation(use_prefetcher=False)
    last = dataset.reader.samples[-1][0]
    with open(last, "r+b") as file:
        file.truncate(100)
    (_, (images, labels)) = ringfeed.DataLoader(dataset, 4, native=True)
    assert torch.equal(images[-1], dataset[0][0])
    assert labels[-1] == dataset[0][1]


def test_what_pillow_can_open_timm_takes(root):
    dataset = dataset_of(root)
    dataset.transform = evaluation(use_prefetcher=False)
    path = dataset.reader.samples[2][0]
    Image.open(path).save(path, "WEBP", lossless=True)
    loader = ringfeed.DataLoader(dataset, 8, native=True)
    ((images, labels),) = loader
    assert torch.equal(images[2], dataset[2][0]) and labels[2] == dataset[2][1]
    assert [failure.substitute for failure in loader.failures()] == [2]


def test_too_many_in_a_row_raise_timms_error(root, monkeypatch):
    cut(root, 1, 2, 3, 4, 5)
    dataset = dataset_of(root)
    dataset.transform = evaluation(use_prefetcher=False)
    dataset._max_retries = 2
    with pytest.raises(RuntimeError, match="Failed to load 2 consecutive samples"):
        list(ringfeed.DataLoader(dataset, 4, native=True))


def test_training_gives_what_the_draws_say(root):
    cut(root, 6)
    dataset = dataset_of(root)
    dataset.transform = training(use_prefetcher=False)
    loader = ringfeed.DataLoader(dataset, 4, shuffle=True, seed=4, native=True)
    found = [torch.cat(parts) for parts in zip(*loader)]
    (failure,) = loader.failures()
    rows = loader.draws(0)
    assert len(rows) == 8
    for row, image, label in zip(rows, *found):
        if row["position"] == failure.position:
            continue
        path, expected = dataset.reader.samples[row["index"]]
        opened = Image.open(path).convert("RGB")
        assert torch.equal(image, ringfeed.replay(row, opened, dataset.transform))
        assert label == expected


def test_a_seed_says_what_is_drawn_for_a_file_that_timm_takes_and_scripts_draw_on(root):
    cut(root, 6)
    dataset = dataset_of(root)
    dataset.transform = training(use_prefetcher=False)
    loader = ringfeed.DataLoader(dataset, 8, seed=4, native=True)

    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    batches = iter(loader)
    before = states()
    ((images, _),) = batches
    assert states() == before
    random.seed(8), np.random.seed(8), torch.manual_seed(8)
    again, other = (ringfeed.DataLoader(dataset, 8, seed=seed, native=True) for seed in (4, 5))
    position = loader.failures()[0].position
    ((repeated, _),) = again
    assert torch.equal(images, repeated)
    ((differing, _),) = other
    assert not torch.equal(images[position], differing[position])


def test_on_error_is_ringfeeds_where_it_is_given(root, caplog):
    cut(root, 6)
    dataset = dataset_of(root)
    dataset.transform = evaluation(use_prefetcher=False)
    with pytest.warns(RuntimeWarning, match="1 file of epoch 0 could not be loaded"):
        ((images, _),) = ringfeed.DataLoader(dataset, 8, on_error="skip")
    assert len(images) == 7
    dataset.transform = evaluation(use_prefetcher=True)
    with pytest.raises(ringfeed.LoadError, match="6.jpg"):
        list(ringfeed.DataLoader(dataset, 8, finish_on="device"))


def test_create_loader_is_native_and_its_prefetcher_finishes(root):
    ringfeed.install()
    try:
        loader = create_loader(
            dataset_of(root), 48, 3, num_workers=2, device=CPU, persistent_workers=True
        )
    finally:
        ringfeed.uninstall()
    assert loader.loader.rung == "native"
    theirs = create_loader(dataset_of(root), 48, 3, num_workers=0, device=CPU)
    for _ in range(2):
        assert_same(list(loader), list(theirs))


def test_labels_and_subsets_are_of_the_reader(root):
    dataset = dataset_of(root)
    dataset.transform = v1.Compose([v1.CenterCrop(40), v1.PILToTensor()])
    assert list(dataset.reader.class_to_idx) == ["2", "9", "10"]
    chosen = Subset(dataset, [7, 0, 5])
    options = dict(batch_size=2)
    loader = ringfeed.DataLoader(chosen, native=True, **options)
    assert_same(list(loader), list(torch.utils.data.DataLoader(chosen, **options)))
    dataset.reader.samples[0] = (dataset.reader.samples[0][0], 40)
    assert next(labels.tolist() for _, labels in loader)[1] == 40


class WithIndex(ImageDataset):
    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return image, label, index


class ChangesItsReader(ImageDataset):
    def __getitem__(self, index):
        self.reader.samples = self.reader.samples[::-1]
        return super().__getitem__(index)


def test_a_subclass_may_add_to_its_samples(root):
    cut(root, 5)
    dataset = WithIndex(str(root), transform=evaluation(use_prefetcher=False))
    options = dict(batch_size=3)
    found = list(ringfeed.DataLoader(dataset, native=True, **options))
    for ours, theirs in zip(found, torch.utils.data.DataLoader(dataset, **options), strict=True):
        assert all(map(torch.equal, ours, theirs))


class OtherReader:
    def __init__(self, reader):
        self.samples, self.reader = reader.samples, reader

    def __getitem__(self, index):
        return self.reader[index]

    def __len__(self):
        return len(self.reader)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: setattr(d, "load_bytes", True), "load_bytes=True"),
        (lambda d: setattr(d, "input_img_mode", "L"), "input_img_mode='L'"),
        (lambda d: setattr(d, "reader", OtherReader(d.reader)), "reads by timm's OtherReader"),
        (lambda d: setattr(d, "additional_features", ["a"]), "additional_features"),
        (lambda d: setattr(d, "__class__", ChangesItsReader), "self.reader"),
        (lambda d: setattr(d, "transform", [d.transform] * 3), "separate=True"),
    ],
)
def test_others_are_refused_by_name(root, change, why):
    dataset = dataset_of(root)
    dataset.transform = evaluation(use_prefetcher=False)
    change(dataset)
    with pytest.raises(NotNative, match=why):
        ringfeed.DataLoader(dataset, native=True)


def test_what_timm_logs_comes_at_the_level_of_a_warning(root, caplog):
    cut(root, 0)
    dataset = dataset_of(root)
    dataset.transform = evaluation(use_prefetcher=False)
    with caplog.at_level(logging.WARNING):
        list(ringfeed.DataLoader(dataset, 4, native=True))
    assert "Skipped sample (index" in caplog.text
