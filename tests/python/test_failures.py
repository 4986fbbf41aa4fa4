"""What on_error, max_failures and retries make of files that cannot be loaded."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from torch.utils.data import (
    DistributedSampler,
    RandomSampler,
    Subset,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

import ringfeed
import small_images
import tiny_imagenet
from lightning_runs import PACKAGES, fit
from ringfeed import DataLoader, LoadError
from ringfeed._file_dataset import load_image

COUNT = 24
BAD = (3, 7, 20)


@pytest.fixture
def damaged(tmp_path: Path) -> ringfeed.ImageList:
    """Picture k has label k; three are cut off or gone."""
    dataset = small_images.make(tmp_path, COUNT)
    for number in BAD[:2]:
        with open(tmp_path / f"{number:03d}.jpg", "r+b") as file:
            file.truncate(200)
    (tmp_path / f"{BAD[2]:03d}.jpg").unlink()
    return dataset


def batches_of(loader: DataLoader) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return list(loader)


def by_label(batches: list[Any]) -> list[int]:
    return [int(label) for _, labels in batches for label in labels]


def test_skip_compacts_batches_in_order_and_changes_nothing_else(damaged, reader) -> None:
    loader = DataLoader(damaged, 4, num_workers=2, seed=1, reader=reader, on_error="skip")
    batches = batches_of(loader)
    assert len(batches) == len(loader) == 6
    assert by_label(batches) == [k for k in range(COUNT) if k not in BAD]
    assert [len(labels) for _, labels in batches] == [3, 3, 4, 4, 4, 3]
    alone = {}
    singles = iter(DataLoader(damaged, 1, num_workers=2, seed=1, reader=reader))
    for _ in range(COUNT):
        try:
            image, label = next(singles)
            alone[int(label)] = image[0]
        except LoadError:
            pass
    for images, labels in batches:
        for image, label in zip(images, labels):
            assert torch.equal(image, alone[int(label)])
    assert [(f.position, f.index, f.substitute) for f in loader.failures()] == [
        (k, k, None) for k in BAD
    ]
    assert loader.stats()["skipped"] == 3


def test_replace_is_the_same_for_any_threads_and_ranks_and_after_a_resume(damaged, reader) -> None:
    def loader(**options: Any) -> DataLoader:
        options = {"num_workers": 2, "seed": 5, "reader": reader, **options}
        return DataLoader(damaged, 4, shuffle=True, on_error="replace", **options)

    def positions(batches: list[Any], first: int = 0, ranks: int = 1) -> dict[int, Any]:
        pairs = [
            (image, int(label))
            for images, labels in batches
            for image, label in zip(images, labels)
        ]
        return {first + k * ranks: pair for k, pair in enumerate(pairs)}

    def assert_equal(found: dict[int, Any]) -> None:
        for position, (image, label) in found.items():
            assert label == whole[position][1]
            assert torch.equal(image, whole[position][0])

    first = loader()
    whole = positions(batches_of(first))
    assert len(whole) == COUNT
    failures = first.failures()
    assert {failure.index for failure in failures} >= set(BAD)
    for failure in failures:
        assert failure.substitute not in BAD
        assert whole[failure.position][1] == failure.substitute
        assert failure.path == damaged.samples[failure.index][0]
        assert failure.path in failure.reason
    assert first.stats()["replaced"] == 3

    assert_equal(positions(batches_of(loader(num_workers=1))))
    for rank in range(2):
        shared = loader(rank=rank, world_size=2)
        assert_equal(positions(batches_of(shared), rank, 2))

    begun = loader()
    iterator = iter(begun)
    taken = [next(iterator) for _ in range(2)]
    state = begun.state_dict()
    resumed = loader()
    resumed.load_state_dict(state)
    assert_equal(positions(taken + batches_of(resumed)))


def test_replace_follows_a_distributed_sampler_by_position(damaged, reader) -> None:
    def labels(world_size: int) -> dict[int, int]:
        found = {}
        for rank in range(world_size):
            sampler = DistributedSampler(damaged, world_size, rank, shuffle=True, seed=2)
            loader = DataLoader(
                damaged,
                4,
                sampler=sampler,
                num_workers=1,
                seed=2,
                on_error="replace",
                reader=reader,
            )
            for k, label in enumerate(by_label(batches_of(loader))):
                found[rank + k * world_size] = label
        return found

    assert labels(1) == labels(2) == labels(3)
    assert len(labels(2)) == COUNT
    assert not set(labels(2).values()) & set(BAD)


@pytest.mark.parametrize("given", ["shuffle", "sampler", "weighted"])
def test_substitutes_of_a_subset_are_of_the_subset(damaged, given) -> None:
    subset = Subset(damaged, [3, 7, 9, 10, 20, 11])
    options: dict[str, Any] = {"shuffle": True}
    if given == "sampler":
        options = {"sampler": RandomSampler(subset)}
    elif given == "weighted":
        options = {"sampler": WeightedRandomSampler([1.0] * 6, 40)}
    for seed in range(10):
        loader = DataLoader(subset, 2, num_workers=1, seed=seed, on_error="replace", **options)
        assert set(by_label(batches_of(loader))) <= {9, 10, 11}


def test_the_end_of_an_epoch_warns_of_what_failed(damaged) -> None:
    for on_error in ("skip", "replace"):
        loader = DataLoader(damaged, 4, num_workers=1, seed=0, on_error=on_error)
        for epoch in range(2):
            loader.set_epoch(epoch)
            batches = iter(loader)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                for _ in range(5):
                    next(batches)
            with pytest.warns(RuntimeWarning) as caught:
                next(batches)
                assert next(batches, None) is None
            (warning,) = caught
            text = str(warning.message)
            assert f" of epoch {epoch} could not be loaded:" in text
            assert "position 3: decode: " in text and "position 20: open: " in text
            assert ("left out" in text) == (on_error == "skip")
            assert warning.filename == __file__
    loader = DataLoader(damaged, 4, num_workers=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(LoadError):
            list(loader)


def test_more_than_max_failures_raises_and_names_the_files(damaged, tmp_path) -> None:
    def run(most: Any) -> None:
        options = {"num_workers": 1, "on_error": "skip", "max_failures": most}
        batches_of(DataLoader(damaged, 4, **options))

    for enough in (3, 0.125, 1.0, None):
        run(enough)
    for most, text in ((2, "where 2 may"), (0.124, "where 2 may"), (0, "where 0 may")):
        with pytest.raises(LoadError, match=f"{text}: .*raise max_failures") as caught:
            run(most)
        assert str(tmp_path / "003.jpg") in str(caught.value)


@pytest.mark.parametrize("on_error", ["skip", "replace"])
@pytest.mark.parametrize("given", ["shuffle", "rank", "distributed", "drop_last"])
def test_draws_follow_what_the_latest_epoch_gave(damaged, on_error, given) -> None:
    options: dict[str, Any] = {"shuffle": True}
    if given == "rank":
        options.update(rank=1, world_size=3)
    elif given == "distributed":
        options = {"sampler": DistributedSampler(damaged, 2, 1, seed=3)}
    elif given == "drop_last":
        options.update(drop_last=True)
    loader = DataLoader(damaged, 5, num_workers=1, seed=4, on_error=on_error, **options)
    for epoch in range(4):
        loader.set_epoch(epoch)
        batches = batches_of(loader)
        rows = loader.draws(epoch)
        assert [int(row["index"]) for row in rows] == by_label(batches)
        images = torch.cat([images for images, _ in batches])
        replayed = [
            ringfeed.replay(row, load_image(damaged.samples[row["index"]][0]), damaged.transform)
            for row in rows
        ]
        assert torch.equal(images, torch.stack(replayed))
        failed = {failure.position: failure.substitute for failure in loader.failures()}
        for position, substitute in failed.items():
            assert [int(r["index"]) for r in rows if r["position"] == position] == (
                [] if on_error == "skip" else [substitute]
            )
    if given == "shuffle":
        with pytest.raises(LoadError):
            loader.draws(0)  # what failed then is not kept


@pytest.mark.filterwarnings("ignore:.*could not be loaded:RuntimeWarning")
def test_a_file_that_comes_again_counts_again(damaged) -> None:
    """Distinct files would have to stand in the state."""
    sampler = [0, 1, BAD[0], 2, BAD[0], 4, BAD[0], 5]
    options = {"sampler": sampler, "num_workers": 1, "on_error": "skip"}
    loader = DataLoader(damaged, 2, **options, max_failures=3)
    assert by_label(batches_of(loader)) == [0, 1, 2, 4, 5]
    assert [failure.index for failure in loader.failures()] == [BAD[0]] * 3
    batches = iter(DataLoader(damaged, 2, **options, max_failures=2))
    assert [next(batches)[1].tolist() for _ in range(3)] == [[0, 1], [2], [4]]
    with pytest.raises(LoadError, match="3 files of this epoch have failed, where 2 may"):
        next(batches)


def test_max_failures_counts_on_after_a_resume(damaged) -> None:
    def loader(most: int | None = 2, **options: Any) -> DataLoader:
        kinds = {"on_error": "skip", "max_failures": most, **options}
        return DataLoader(damaged, 4, num_workers=1, seed=0, **kinds)

    def failing_batch(batches: Any, first: int = 0) -> int:
        for number in range(first, 6):
            try:
                next(batches)
            except LoadError as error:
                assert "3 files of this epoch have failed, where 2 may" in str(error)
                return number
        return -1

    assert failing_batch(iter(loader())) == 5
    begun = loader()
    batches = iter(begun)
    next(batches)
    assert begun.state_dict()["failed"] == 1
    next(batches)
    state = begun.state_dict()
    assert state["failed"] == 2 and state["version"] == 2
    resumed = loader()
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert failing_batch(iter(resumed), 2) == 5
    assert [failure.index for failure in resumed.failures()] == [BAD[2]]

    for change in ({"failed": 0}, {"rank": 1, "world_size": 2}):  # other files, and its own number
        elsewhere = loader()
        elsewhere.load_state_dict({**state, **change})
        assert failing_batch(iter(elsewhere), 2) == -1
    without = loader()
    without.load_state_dict({name: value for name, value in state.items() if name != "failed"})
    assert failing_batch(iter(without), 2) == -1
    with pytest.raises(ValueError, match="the state's failed must be a whole number"):
        loader().load_state_dict({**state, "failed": -1})


def test_a_state_without_failures_says_nothing_of_them(damaged) -> None:
    whole = Subset(damaged, [0, 1, 2, 4])
    loader = DataLoader(whole, 2, num_workers=1, seed=0, on_error="skip", max_failures=3)
    next(iter(loader))
    assert "failed" not in loader.state_dict()
    loader = DataLoader(damaged, 4, num_workers=1, seed=0, on_error="skip")
    batches_of(loader)
    assert "failed" not in loader.state_dict()  # that of the next epoch


def test_a_batch_without_a_sample_left_raises_and_the_iterator_goes_on(damaged) -> None:
    batches = iter(DataLoader(damaged, 1, num_workers=1, on_error="skip"))
    failed = 0
    labels = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for _ in range(COUNT):
            try:
                labels += next(batches)[1].tolist()
            except LoadError as error:
                failed += 1
                assert "none is left" in str(error)
    assert failed == 3
    assert labels == [k for k in range(COUNT) if k not in BAD]


def test_files_that_are_all_gone_raise_whatever_on_error_says(tmp_path, reader) -> None:
    dataset = small_images.make(tmp_path / "there", 12)

    def assert_raises(match: str) -> None:
        for on_error in ("skip", "replace"):
            loader = DataLoader(dataset, 4, num_workers=1, on_error=on_error, reader=reader)
            with pytest.raises(FileNotFoundError, match=match):
                next(iter(loader))

    for path, _ in dataset.samples:
        Path(path).rename(f"{path}.moved")
    assert_raises("none (is left|of the 15)")
    (tmp_path / "there").rename(tmp_path / "gone")
    assert_raises("none (is left|of the 15)")


def test_wrong_values_and_what_does_not_go_together_are_refused_by_name(damaged) -> None:
    def refused(match: str, kind: type[Exception] = ValueError, **options: Any) -> None:
        with pytest.raises(kind, match=match):
            DataLoader(damaged, **{"batch_size": 4, **options})

    refused('on_error must be "raise", "skip" or "replace"', on_error="ignore")
    refused("give one of them too", max_failures=3)
    refused("must not be negative", on_error="skip", max_failures=-1)
    refused("from 0 to 1", on_error="skip", max_failures=1.5)
    refused("from 0 to 1", on_error="skip", max_failures=float("nan"))
    refused("max_failures must be", TypeError, on_error="skip", max_failures=True)
    refused("retries must be in", retries=-1)
    refused("single samples", batch_size=None, on_error="skip")
    refused("SubsetRandomSampler", on_error="replace", sampler=SubsetRandomSampler([0, 1, 2, 3]))


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("on_error", ["skip", "replace"])
def test_a_bad_file_does_not_end_lightnings_fit(tmp_path, package, on_error) -> None:
    root = tiny_imagenet.make(tmp_path / "imagenet")
    bad = sorted((root / "train").rglob("*.png"))[5]
    bad.write_bytes(bad.read_bytes()[:100])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        run = fit(root, package, data={"on_error": on_error})
    sizes = [len(batch[3]) for batch in run.train_batches]
    assert len(sizes) == 2 * tiny_imagenet.TRAIN // 6
    assert sum(sizes) == 2 * (tiny_imagenet.TRAIN - (on_error == "skip"))
    assert 5 not in [index for batch in run.train_batches for index in batch[3]]
