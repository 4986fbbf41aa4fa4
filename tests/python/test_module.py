"""The compiled module: datasets, plans, batches, orders, errors."""

from __future__ import annotations

import errno
import gc
import itertools
import os
import pickle
import resource
import weakref
from functools import partial

import numpy as np
import PIL
import pytest
import torch
import torchvision
from torchvision import transforms

from native import NORMALIZE, Native, drain, tensors, train_plan, val_plan
from ringfeed import LoadError, LoadTimeout, _ringfeed

entries = partial(np.array, dtype=np.uint32)
PILLOW13 = int(PIL.__version__.split(".")[0]) >= 13


@pytest.fixture
def four(sample, tmp_path):
    """Four files of the sample's first class, as a folder of their own."""
    source = sorted((sample / "val").iterdir())[0]
    (tmp_path / "a").mkdir()
    for file in sorted(source.iterdir())[:4]:
        (tmp_path / "a" / file.name).symlink_to(file)
    return tmp_path


def test_a_dataset_lists_what_torchvision_lists(sample):
    expected = torchvision.datasets.ImageFolder(sample / "train")
    dataset = _ringfeed.Dataset.open(str(sample / "train"), use_cache=False)
    assert len(dataset) == len(expected)
    assert dataset.classes == expected.classes
    assert [(dataset.path(i), dataset.label(i)) for i in range(len(dataset))] == expected.samples
    assert dataset.labels().dtype == np.int64
    assert dataset.labels().tolist() == expected.targets


def test_images_and_labels_equal_torchvisions(sample, reader):
    transform = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(NORMALIZE["mean"], NORMALIZE["std"]),
        ]
    )
    expected = torchvision.datasets.ImageFolder(sample / "val", transform)
    geometry = _ringfeed.ResizeCenterCrop(256, 224, 224)
    plan = _ringfeed.Plan(geometry, hflip=0, channels_last=False, pillow13=PILLOW13, **NORMALIZE)
    batches = Native(sample / "val", plan, batch_size=24, reader=reader).batches()
    whole, rest = divmod(len(expected), 24)
    assert [len(labels) for _, labels in batches] == [24] * whole + [rest] * (rest > 0)
    images = torch.cat([images for images, _ in batches])
    labels = torch.cat([labels for _, labels in batches])
    assert labels.dtype == torch.int64
    assert labels.tolist() == expected.targets
    for index, (image, _) in enumerate(expected):
        assert torch.equal(images[index].view(torch.int32), image.view(torch.int32)), index


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [False, True])
def test_dtype_and_layout_are_those_of_the_plan(four, dtype, channels_last):
    name = str(dtype).removeprefix("torch.")
    (images, _), *_ = Native(four, val_plan(dtype=name, channels_last=channels_last)).batches()
    (expected, _), *_ = Native(four, val_plan()).batches()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert images.is_contiguous(memory_format=layout)
    assert torch.equal(images, expected.to(dtype))


def test_positions_and_indices_say_what_a_batch_holds(four):
    native = Native(four, batch_size=3, shuffle=True)
    batches = [native.loader.epoch(0)]
    found = [(b.positions, b.indices) for b in iter(batches[0].next, None)]
    assert [positions.tolist() for positions, _ in found] == [[0, 1, 2], [3]]
    assert sorted(np.concatenate([indices for _, indices in found])) == [0, 1, 2, 3]
    assert found[0][0].dtype == np.uint64 and found[0][1].dtype == np.uint32


def test_images_and_labels_are_given_once(four):
    batch = Native(four).loader.epoch(0).next()
    tensors(batch)
    with pytest.raises(RuntimeError, match="images"):
        batch.images()
    with pytest.raises(RuntimeError, match="labels"):
        batch.labels()


def test_an_epoch_goes_on_from_its_progress(four, reader):
    native = Native(four, train_plan(), batch_size=1, shuffle=True, reader=reader)
    whole = native.batches(3)
    epoch = native.loader.epoch(3)
    assert epoch.progress() == (0, [], 0)
    epoch.next()
    positions, beyond, failed = epoch.progress()
    assert (positions, beyond, failed) == (1, [], 0)
    rest = native.batches(3, positions=positions, beyond=beyond)
    assert len(rest) == 3
    for (images, labels), (again, labels_again) in zip(whole[1:], rest, strict=True):
        assert torch.equal(images, again) and torch.equal(labels, labels_again)


def test_draws_describe_the_batches(sample, reader):
    native = Native(sample / "val", train_plan(), batch_size=16, shuffle=True, reader=reader)
    draws = native.loader.draws(5)
    assert draws.dtype == np.dtype(
        [
            ("position", "u8"),
            ("index", "u4"),
            ("top", "i4"),
            ("left", "i4"),
            ("height", "i4"),
            ("width", "i4"),
            ("hflip", "?"),
        ]
    )
    batches = list(iter(native.loader.epoch(5).next, None))
    assert np.array_equal(draws["index"], np.concatenate([b.indices for b in batches]))
    assert np.array_equal(draws["position"], np.concatenate([b.positions for b in batches]))
    assert set(draws["hflip"]) == {False, True} and draws["height"].min() > 0
    order = np.array([3, 3], np.uint32)
    assert native.loader.draws(5, order)["index"].tolist() == [3, 3]


def test_a_source_decides_the_order(sample, reader):
    wanted = [[3, 1], [0, 0, 2], [5]]
    source = map(entries, wanted)
    native = Native(sample / "val", reader=reader)
    epoch = native.loader.epoch(0, source=lambda: next(source, None))
    assert [b.indices.tolist() for b in iter(epoch.next, None)] == wanted


def test_what_a_source_raises_comes_out_unchanged_after_the_batches_before(four, reader):
    error = KeyError("mine")

    def order():
        yield entries([0, 1])
        yield entries([2])
        raise error

    epoch = Native(four, reader=reader).loader.epoch(0, source=order().__next__)
    assert epoch.next().indices.tolist() == [0, 1]
    assert epoch.next().indices.tolist() == [2]
    with pytest.raises(KeyError) as caught:
        epoch.next()
    assert caught.value is error
    assert caught.traceback[-1].name == "order"
    assert epoch.next() is None


@pytest.mark.parametrize(
    ("batch", "error", "words"),
    [
        (entries([0, 4]), IndexError, ["4", "4 entries"]),
        (entries([]), ValueError, ["empty"]),
        (np.array([0]), TypeError, ["array of uint32", "ndarray"]),
        (entries([[0]]), TypeError, ["shape [n]", "ndarray"]),
        ([0], TypeError, ["NumPy array", "list"]),
    ],
)
def test_what_a_source_may_not_give_is_named(four, batch, error, words):
    epoch = Native(four).loader.epoch(0, source=lambda: batch)
    with pytest.raises(error) as caught:
        epoch.next()
    for word in words:
        assert word in str(caught.value)


def test_a_source_that_owns_the_epoch_is_no_leak(four):
    import weakref

    class Iterator:
        def __init__(self, loader):
            self.epoch = loader.epoch(0, source=self.order)

        def order(self):
            return entries([0])

    iterator = Iterator(Native(four).loader)
    iterator.epoch.next()
    gone = weakref.ref(iterator)
    del iterator
    gc.collect()
    assert gone() is None


def test_a_damaged_file_is_named_and_the_next_batch_comes(four, reader):
    broken = sorted((four / "a").iterdir())[1]
    broken.unlink()
    broken.write_bytes(b"no image")
    epoch = Native(four, batch_size=2, reader=reader).loader.epoch(0)
    with pytest.raises(LoadError) as caught:
        epoch.next()
    error = caught.value
    assert error.stage == "decode" and error.path == error.filename == str(broken)
    assert error.errno is None and str(broken) in str(error) and error.detail in str(error)
    assert epoch.next().indices.tolist() == [2, 3]
    assert epoch.next() is None


def test_a_missing_file_has_the_systems_errno(four):
    native = Native(four)
    gone = sorted((four / "a").iterdir())[0]
    gone.unlink()
    with pytest.raises(LoadError) as caught:
        native.loader.epoch(0).next()
    assert (caught.value.errno, caught.value.stage) == (2, "open")
    assert caught.value.strerror == os.strerror(2)


def test_a_start_that_fails_is_a_setup_error_and_may_be_tried_again(four, reader):
    if reader == "pool":
        pytest.skip("it starts without a descriptor")
    native = Native(four, reader=reader)
    epoch = native.loader.epoch(0)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        with pytest.raises(LoadError) as caught:
            epoch.next()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert (caught.value.errno, caught.value.stage) == (errno.EMFILE, "setup")
    assert epoch.next().size == 4 and epoch.next() is None


def test_the_error_of_a_source_goes_with_its_epoch(four):
    class Broken(Exception):
        pass

    def source():
        raise Broken

    native = Native(four)
    epoch = native.loader.epoch(0, source=source)
    with pytest.raises(Broken) as caught:
        epoch.next()
    gone = weakref.ref(caught.value)
    del caught, epoch
    gc.collect()
    assert gone() is None


def test_what_was_never_initialised_is_collected():
    bare = [_ringfeed.Loader.__new__(_ringfeed.Loader)]
    bare.append(bare)
    del bare
    gc.collect()


def test_errors_survive_pickling():
    error = LoadError("open: /x: No such file", "open", 2, "/x", "look")
    again = pickle.loads(pickle.dumps(error))
    for name in ("errno", "strerror", "filename", "path", "stage", "detail"):
        assert getattr(again, name) == getattr(error, name), name
    assert type(again) is type(error) and str(again) == str(error)
    assert isinstance(again, FileNotFoundError)
    late = pickle.loads(pickle.dumps(LoadTimeout("no batch")))
    assert type(late) is LoadTimeout and str(late) == "no batch"
    assert isinstance(late, RuntimeError) and isinstance(late, TimeoutError)


def test_a_load_error_is_what_open_raises_for_its_errno():
    for code in errno.errorcode:
        error = LoadError("open: /x", "open", code, "/x")
        assert isinstance(error, LoadError) and isinstance(error, type(OSError(code, "")))
        assert type(error).__name__ == "LoadError" and error.errno == code


class NamedError(LoadError):
    def __init__(self, path):
        super().__init__("open: it is gone", "open", errno.ENOENT, path)


def test_a_subclass_of_load_error_has_all_of_it():
    error = NamedError("/x")
    assert (error.errno, error.filename, error.path) == (errno.ENOENT, "/x", "/x")
    assert error.strerror == os.strerror(errno.ENOENT) and str(error) == "open: it is gone"


class Gone(torch.utils.data.Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, _):
        raise LoadError("open: /x: gone", "open", errno.ENOENT, "/x")


def test_a_load_error_comes_from_torchs_workers():
    kind = type(LoadError("open: /x: gone", "open", errno.ENOENT, "/x"))
    assert pickle.loads(pickle.dumps(kind)) is kind
    with pytest.raises(FileNotFoundError, match="open: /x: gone"):
        next(iter(torch.utils.data.DataLoader(Gone(), num_workers=1, timeout=60)))


def test_a_load_error_can_be_made_of_its_text():
    """As what carries exceptions between processes does."""
    error = LoadError("read: /x: gone")
    assert type(error) is LoadError and str(error) == error.detail == "read: /x: gone"
    assert (error.stage, error.errno, error.path) == ("setup", None, None)


def test_undecodable_paths_come_as_surrogates(tmp_path):
    folder = os.fsencode(tmp_path) + b"/class\xff"
    os.mkdir(folder)
    with open(folder + b"/image\xfe.jpg", "wb") as file:
        file.write(b"no image")
    native = Native(tmp_path)
    assert native.dataset.classes == ["class\udcff"]
    path = native.dataset.path(0)
    assert os.fsencode(path) == folder + b"/image\xfe.jpg"
    with pytest.raises(LoadError) as caught:
        native.loader.epoch(0).next()
    assert caught.value.path == path and path in str(caught.value)


def test_files_may_be_given_one_by_one(sample, reader):
    folder = torchvision.datasets.ImageFolder(sample / "val")
    paths, labels = zip(*folder.samples, strict=True)
    ids = np.array(labels, np.int64)
    dataset = _ringfeed.Dataset.from_samples(folder.root, folder.classes, paths, ids)
    assert [dataset.path(i) for i in range(len(dataset))] == list(paths)
    opened = _ringfeed.Dataset.open(str(folder.root), use_cache=False)
    assert dataset.fingerprint == opened.fingerprint
    with pytest.raises(ValueError, match="labels"):
        _ringfeed.Dataset.from_samples("", [], ["a.jpg"], ids[:0])
    with pytest.raises(TypeError, match="paths must be a sequence"):
        _ringfeed.Dataset.from_samples("", [], "a.jpg", ids[:1])


@pytest.mark.parametrize("labels", [np.array([0.0]), np.array([0], np.int32), np.array([[0]]), [0]])
def test_labels_that_are_no_int64_array_are_refused_not_converted(labels):
    with pytest.raises(TypeError, match="labels: ndarray.dtype=int64, shape"):
        _ringfeed.Dataset.from_samples("", [], ["a.jpg"], labels)


def test_indices_choose_entries(four):
    native = Native(four, indices=np.array([3, 0], np.uint32))
    assert native.loader.epoch(0).next().indices.tolist() == [3, 0]
    none = Native(four, indices=np.array([], np.uint32))
    assert none.loader.epoch(0).next() is None
    assert len(none.loader.draws(0)) == 0
    with pytest.raises(IndexError, match="4 entries"):
        Native(four, indices=np.array([4], np.uint32))


@pytest.mark.parametrize(
    ("beyond", "error", "words"),
    [
        ([2**70], ValueError, f"beyond holds {2**70}"),
        ([0, 1.5], TypeError, r"beyond must be integers, but number 1 is 1.5 \(float\)"),
        ("01", TypeError, "beyond must be a sequence of integers, not str"),
        (7, TypeError, "beyond must be a sequence of integers, not int"),
    ],
)
def test_progress_that_makes_no_sense_is_named(four, beyond, error, words):
    with pytest.raises(error, match=words):
        Native(four).loader.epoch(0, beyond=beyond)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"batch_size": 0}, "^batch_size must be in"),
        ({"prefetch_factor": -1}, "^prefetch_factor must be in"),
        ({"timeout": -1}, "^timeout must not be negative"),
        ({"timeout": float("nan")}, "^timeout must be a number"),
        ({"reader": "magic"}, "^reader must be one of 'auto', 'ring', 'pool', not 'magic'"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(four, option, words):
    with pytest.raises(ValueError, match=words):
        Native(four, **option)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mean": (0.0,)}, "^mean must have 3 values"),
        ({"std": (1.0, 0.0, 1.0)}, "std"),
        ({"dtype": "float64"}, "^dtype must be one of 'float32'"),
        ({"hflip": 2.0}, "hflip"),
    ],
)
def test_a_plan_that_makes_no_sense_is_named(change, words):
    with pytest.raises(ValueError, match=words):
        val_plan(**change)


def test_one_epoch_at_a_time(four):
    native = Native(four, batch_size=1)
    first, second = native.loader.epoch(0), native.loader.epoch(1)
    first.next()
    assert len(list(drain(second))) == 4
    with pytest.raises(RuntimeError, match="another epoch"):
        first.next()


def test_stats_are_nested_dicts(four):
    native = Native(four, reader="pool")
    native.batches()
    stats = native.loader.stats()
    assert stats["decode"]["count"] == 4 and stats["reader"] == "pool"
    assert stats["verdict"] in stats["verdict_line"]


def test_an_epoch_outlives_its_loader(sample):
    epoch = Native(sample / "val").loader.epoch(0)
    assert all(images.isfinite().all() for images, _ in itertools.islice(drain(epoch), 3))
