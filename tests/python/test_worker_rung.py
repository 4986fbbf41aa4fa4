"""Scripts' own code for images: torch's tensors and draws, with files and images of ringfeed's."""

from __future__ import annotations

import copy
import gc
import inspect
import itertools
import os
import pickle
import random
import threading
import weakref
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
import torch.utils.data
from torch.utils.data import ConcatDataset, Subset, TensorDataset
from torch.utils.data._utils.fetch import _MapDatasetFetcher
from torch.utils.data.datapipes.map import SequenceWrapper
from torchvision import datasets
from torchvision import transforms as v1
from torchvision.datasets import folder as tv_folder
from torchvision.transforms import v2

import ringfeed
from ringfeed import DataLoader
from ringfeed._late_image import is_late
from ringfeed._worker_rung import InWorker, may_read_images, paths_of
from small_images import make_folder

Torch = torch.utils.data.DataLoader
pytestmark = pytest.mark.filterwarnings("ignore:torch's own loader makes")


def unknown(image):
    """A step of a script's own, which draws."""
    return image.rotate(random.uniform(-20, 20)) if torch.rand(()) < 0.5 else image


TAIL = (v1.ToTensor(), v1.Normalize((0.5,) * 3, (0.25,) * 3))
PIPELINES = {
    "v1": v1.Compose([v1.RandomResizedCrop(16), v1.RandomHorizontalFlip(), unknown, *TAIL]),
    "v2": v2.Compose(
        [v2.RandomResizedCrop(16), v2.RandomHorizontalFlip(), unknown, v2.ToImage()]
        + [v2.ToDtype(torch.float32, scale=True), v2.Normalize((0.5,) * 3, (0.25,) * 3)]
    ),
    "bicubic, policy, erasing": v1.Compose(
        [v1.RandomResizedCrop(16, interpolation=v1.InterpolationMode.BICUBIC), v1.AutoAugment()]
        + [unknown, *TAIL, v1.RandomErasing(1.0)]
    ),
    "colours before the crop": v1.Compose(
        [v1.ColorJitter(0.4, 0.4, 0.4), unknown, v1.RandomResizedCrop(16), *TAIL]
    ),
    "padding": v1.Compose([v1.Resize(20), v1.RandomCrop(16, padding=2), unknown, *TAIL]),
    "five crops": v1.Compose(
        [v1.Resize(20), v1.FiveCrop(16), v1.Lambda(lambda c: torch.stack([*map(TAIL[0], c)]))]
    ),
    "perspective": v1.Compose([v1.Resize((20, 20)), v1.RandomPerspective(p=1), unknown, *TAIL]),
}
WORKERS = [
    {"num_workers": 0},
    {"num_workers": 2},
    {"num_workers": 2, "persistent_workers": True},
]


@pytest.fixture
def root(tmp_path):
    make_folder(tmp_path, 18)
    rng = np.random.default_rng(5)
    for number in range(4):
        pixels = rng.integers(0, 256, (30 + number, 50, 3), np.uint8)
        image = PIL.Image.fromarray(pixels)
        if number % 2:
            image = image.convert("L")
        image.save(tmp_path / "dog" / f"other{number}.png")
        image.save(tmp_path / "cat" / f"other{number}.jpg", progressive=number > 1)
    return tmp_path


class Own(torch.utils.data.Dataset):
    def __init__(self, root, transform):
        self.samples = datasets.ImageFolder(root).samples
        self.transform = transform

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        path, label = self.samples[index]
        return self.transform(PIL.Image.open(path).convert("RGB")), label


class Pickled(Own):
    def __getitem__(self, index):
        assert pickle.dumps(self)
        return super().__getitem__(index)


KINDS = {
    "ImageFolder": datasets.ImageFolder,
    "ringfeed.ImageFolder": lambda root, t: ringfeed.ImageFolder(root, t, use_cache=False),
    "Subset": lambda root, t: Subset(datasets.ImageFolder(root, t), [7, 3, 3, 20, 11, 0]),
    "ConcatDataset": lambda root, t: ConcatDataset(
        [datasets.ImageFolder(root, t), Subset(ringfeed.ImageFolder(root, t), range(5))]
    ),
    "own": Own,
}


def states():
    return [torch.rand(2).tolist(), random.random(), float(np.random.rand())]


def run(kind, dataset, **options):
    """Two passes over it, and what is drawn afterwards."""
    loader = kind(dataset, 4, shuffle=True, **options)
    torch.manual_seed(11)
    random.seed(11)
    np.random.seed(11)
    return loader, [[*batch] for batch in itertools.chain(loader, loader)], states()


def check_equal(dataset, **options):
    loader, ours, after = run(DataLoader, dataset, **options)
    _, theirs, expected = run(Torch, dataset, **options)
    assert loader.rung == "worker"
    assert after == expected and len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


@pytest.mark.parametrize("workers", WORKERS, ids=["0", "2", "persistent"])
@pytest.mark.parametrize("kind", KINDS)
def test_tensors_and_draws_are_torch_s(root, kind, workers):
    check_equal(KINDS[kind](root, PIPELINES["v1"]), **workers)


@pytest.mark.parametrize("name", PIPELINES)
def test_every_pipeline_gives_torch_s_tensors(root, name):
    check_equal(datasets.ImageFolder(root, PIPELINES[name]), num_workers=2)
    check_equal(datasets.ImageFolder(root, PIPELINES[name]))


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_of_every_start_method_serve(root, method):
    transform = v1.Compose([v1.RandomResizedCrop(16), v1.RandomRotation(9, expand=True)])
    transform.transforms += [v1.Resize((8, 8)), *TAIL]
    check_equal(
        datasets.ImageFolder(root, transform), num_workers=1, multiprocessing_context=method
    )


def test_what_a_script_sees_of_its_loader_is_its_own(root):
    dataset = datasets.ImageFolder(root, PIPELINES["v1"])
    before = dict(vars(dataset))
    seen = torch.zeros(2, dtype=torch.int64).share_memory_()

    def init(worker):
        seen[worker] = 1 + torch.utils.data.get_worker_info().dataset.samples.index(
            dataset.samples[0]
        )

    loader = DataLoader(dataset, 4, num_workers=2, worker_init_fn=init)
    list(loader)
    assert seen.tolist() == [1, 1]
    assert loader.worker_init_fn is init and loader.dataset is dataset
    list(DataLoader(dataset, 4, num_workers=0))
    assert vars(dataset) == before and PIL.Image.open.__module__ == "PIL.Image"


KEPT = {
    "to_tensor": v1.functional.to_tensor,
    "Compose.__call__": v1.Compose.__call__,
    "v2.Compose.forward": v2.Compose.forward,
    "PIL.Image.open": PIL.Image.open,
    "default_loader": tv_folder.default_loader,
    "pil_loader": tv_folder.pil_loader,
    "load_image": ringfeed.ImageFolder.loader,
    "fetch": _MapDatasetFetcher.fetch,
}


class Keeping(datasets.ImageFolder):
    """Tells what has become of objects that it has, in the process that asks it."""

    def __init__(self, root):
        super().__init__(root, TAIL[0])
        self.before = set(vars(self)) | {"before"}

    def __getitem__(self, index):
        changed = set(vars(self)) ^ self.before
        if self.loader is not tv_folder.default_loader:
            changed.add("loader")
        for name, kept in KEPT.items():
            again = pickle.loads(pickle.dumps(kept)), copy.copy(kept), copy.deepcopy(kept)
            if any(one is not kept for one in again):
                changed.add(name)
            if inspect.signature(kept) != SIGNATURES[name]:
                changed.add(f"the signature of {name}")
        return ", ".join(sorted(changed))


SIGNATURES = {name: inspect.signature(kept) for name, kept in KEPT.items()}


def test_what_a_worker_replaces_pickles_copies_and_compares_as_before(root):
    assert set(itertools.chain(*DataLoader(Keeping(root), 4, num_workers=1))) == {""}


def test_files_of_a_batch_are_taken_in_a_worker_as_they_are_opened(root):
    from ringfeed import _read_ahead

    dataset = datasets.ImageFolder(root, lambda image: (image.load(), _read_ahead.taken())[1])
    assert next(iter(DataLoader(dataset, 4, num_workers=1)))[0].tolist() == [1, 2, 3, 4]


def test_functions_that_a_script_has_imported_before_open_late(root):
    opened = PIL.Image.open

    class ByName(torch.utils.data.Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            path = datasets.ImageFolder(root).samples[index][0]
            return is_late(opened(path)), is_late(tv_folder.pil_loader(path))

    [late] = DataLoader(ByName(), 2, num_workers=1)
    assert all(map(torch.all, late))
    assert not is_late(opened(datasets.ImageFolder(root).samples[0][0]))


def test_files_of_a_batch_are_announced_before_the_first_is_opened(root, monkeypatch):
    from ringfeed import _read_ahead

    announced, opened, announce = [], [], _read_ahead.announce
    monkeypatch.setattr(
        _read_ahead, "announce", lambda paths: (announced.append(list(paths)), announce(paths))
    )

    def transform(image):
        opened.append(len(announced))
        return v1.functional.to_tensor(image.resize((8, 8)))

    dataset = datasets.ImageFolder(root, transform)
    list(DataLoader(dataset, 4))
    paths = [path for path, _ in dataset.samples]
    assert announced == [paths[at : at + 4] for at in range(0, len(paths), 4)]
    assert opened == [1 + at // 4 for at in range(len(paths))]


def test_a_file_of_a_batch_that_failed_is_read_when_it_is_opened(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    for number in range(3):
        PIL.Image.new("RGB", (8, 8)).save(folder / f"{number}.png")

    def refuse(image):
        raise RuntimeError("no image")

    with pytest.raises(RuntimeError, match="no image"):
        list(DataLoader(datasets.ImageFolder(tmp_path, refuse), 3, native=False))
    last = str(folder / "2.png")
    PIL.Image.new("RGB", (5, 5)).save(last)
    assert ringfeed.open(last).size == (5, 5)


class KeepsImages(datasets.ImageFolder):
    def __init__(self, root):
        super().__init__(root)
        self.kept = {}

    def __getitem__(self, index):
        if index not in self.kept:
            self.kept[index] = v1.functional.to_tensor(super().__getitem__(index)[0].resize((8, 8)))
        return self.kept[index]


@pytest.fixture
def announced(monkeypatch):
    """How many files of each batch that are read at once."""
    from ringfeed import _read_ahead

    found, announce = [], _read_ahead.announce
    monkeypatch.setattr(
        _read_ahead, "announce", lambda paths: (found.append(len(paths)), announce(paths))
    )
    return found


def test_files_that_a_dataset_keeps_are_not_read_again(root, announced):
    loader = DataLoader(KeepsImages(root), 4, native=False)
    first = list(loader)
    assert announced == [len(batch) for batch in first]
    announced.clear()
    assert all(map(torch.equal, loader, first)) and announced == [4] * 3


def test_files_are_read_at_once_again_when_a_batch_opens_some(root, announced):
    dataset = KeepsImages(root)
    for index in (*range(17), 20, 21):
        dataset.kept[index] = torch.zeros(3, 8, 8)
    batches = [
        [0, 1],
        [2, 3],
        [17, 1],
        [4, 5],
        [6, 7],
        [8, 9],
        [10, 11],
        [18, 2],
        [19, 3],
        [20, 21],
    ]
    list(DataLoader(dataset, batch_sampler=batches, native=False))
    # None from the fourth in a row that opens none of its files on, to the one that opens one.
    assert len(announced) == 8 and len(dataset.kept) == 22


def test_a_dataset_that_stands_twice_in_another_is_what_it_was(root):
    dataset = datasets.ImageFolder(root, PIPELINES["v1"])
    before = dict(vars(dataset))
    list(DataLoader(ConcatDataset([Subset(dataset, [0, 1]), dataset]), 4, native=False))
    assert vars(dataset) == before


def test_a_dataset_that_threads_share_is_what_it_was(root):
    """One thread begins a batch while the other makes one, and ends it later."""
    first_is_in, first_may_end = threading.Event(), threading.Event()

    def transform(image):
        if threading.current_thread() is first:
            first_is_in.set()
            assert first_may_end.wait(60)
        else:
            first_may_end.set()
            first.join()
        return TAIL[0](image.resize((8, 8)))

    dataset = datasets.ImageFolder(root, transform)
    before = dict(vars(dataset))

    def one_batch():
        next(iter(DataLoader(dataset, 1, native=False)))

    first = threading.Thread(target=one_batch)
    first.start()
    assert first_is_in.wait(60)
    one_batch()
    assert vars(dataset) == before


def test_paths_are_known_beneath_subsets_and_concatenations(root):
    whole = datasets.ImageFolder(root, loader=ringfeed.pil_loader)
    paths = [path for path, _ in whole.samples]
    assert paths_of(datasets.ImageFolder(root), [2]) == []  # whose loader opens them itself
    assert paths_of(whole, [2, -1]) == [paths[2], paths[-1]]
    assert paths_of(Subset(Subset(whole, [5, 4, 3]), [0, 2]), [1]) == [paths[3]]
    both = ConcatDataset([Subset(whole, [1]), whole])
    assert paths_of(both, [0, 1, -1]) == [paths[1], paths[0], paths[-1]]
    assert paths_of(TensorDataset(torch.arange(3)), [0]) == []


class Tokens(torch.utils.data.Dataset):
    """No image, though it names a loader."""

    def __init__(self):
        self.rows = torch.arange(60).reshape(20, 3)
        self.loader = self.rows.__getitem__

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.loader(index) + torch.randint(9, (3,))


class Slots(Tokens):
    __slots__ = ("more",)


class Forwarding(torch.utils.data.Dataset):
    """Around another dataset, whose attributes it has."""

    def __init__(self, inner):
        self.inner = inner

    def __len__(self):
        return len(self.inner)

    def __getattr__(self, name):
        if name == "inner":  # copies have none yet
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __getitem__(self, index):
        return self.inner[index]


class Batches(Tokens):
    def __getitems__(self, indices):
        return [self[index] for index in reversed(indices)]


class Closed:
    """No class of torch's, and no dict."""

    __slots__ = ()

    def __len__(self):
        return 20

    def __getitem__(self, index):
        return torch.tensor([index]) + torch.randint(9, (1,))


@pytest.mark.parametrize("workers", WORKERS, ids=["0", "2", "persistent"])
@pytest.mark.parametrize(
    "dataset",
    [Tokens(), Slots(), Forwarding(Tokens()), Forwarding(Batches()), Batches(), Closed()]
    + [torch.utils.data.StackDataset(Tokens(), Closed()), SequenceWrapper(list(range(20)))],
    ids=lambda dataset: type(dataset).__name__,
)
def test_datasets_without_images_are_read_as_by_torch(dataset, workers):
    found = []
    for kind in (DataLoader, Torch):
        loader = kind(dataset, 4, shuffle=True, **workers)
        torch.manual_seed(5)
        found.append([loader, *[list(loader) for _ in range(2)], torch.rand(2)])
    (loader, *ours), (_, *theirs) = found
    assert loader.rung == "worker"
    for one, other in zip(ours[0] + ours[1], theirs[0] + theirs[1], strict=True):
        one, other = ([part] if isinstance(part, torch.Tensor) else part for part in (one, other))
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert torch.equal(ours[2], theirs[2])


def test_a_wrapper_of_a_folder_has_its_images_decode_late(root):
    late = torch.zeros(1, dtype=torch.int64).share_memory_()

    def transform(image):
        late[0] += type(image) is not PIL.Image.Image
        return v1.functional.to_tensor(image.resize((8, 8)))

    dataset = Forwarding(datasets.ImageFolder(root, transform))
    list(Torch(dataset, 4, num_workers=1))
    assert late.item() == 0
    list(DataLoader(dataset, 4, num_workers=1))
    assert late.item() > 0


def test_what_is_in_memory_is_left_to_torch(root):
    whole = datasets.ImageFolder(root)
    for images in (whole, Subset(whole, [1]), ConcatDataset([whole]), Own(root, None), Tokens()):
        assert may_read_images(images)
    tensors = TensorDataset(torch.arange(3))
    for other in (tensors, [1, 2], Subset(tensors, [0]), torch.arange(3), np.arange(3)):
        assert not may_read_images(other)


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_of_files_are_those_of_torch_s_loader(root, workers):
    dataset = datasets.ImageFolder(root, PIPELINES["v1"])
    whole = Path(dataset.samples[0][0]).read_bytes()
    for damage in ("gone", "cut", "no image", "empty"):
        path = dataset.samples[0][0]
        if damage == "gone":
            os.remove(path)
        else:
            data = {"cut": whole[: len(whole) // 2], "no image": b"text" * 99, "empty": b""}
            with open(path, "wb") as file:
                file.write(data[damage])
        found = []
        for kind in (DataLoader, Torch):
            with pytest.raises(Exception) as error:
                next(iter(kind(dataset, 4, num_workers=workers)))
            found.append(type(error.value))
            assert damage == "cut" or path in str(error.value)
        assert found[0] == found[1], damage


def test_a_script_s_own_way_out_of_a_bad_file_is_taken_where_torch_takes_it(root):
    class Forgiving(Own):
        """Another image in the place of one that cannot be opened, as many scripts do."""

        def __getitem__(self, index):
            path, label = self.samples[index]
            try:
                image = PIL.Image.open(path).convert("RGB")
            except OSError:
                return self[torch.randint(len(self), ()).item()]
            return self.transform(image), label

    dataset = Forgiving(root, PIPELINES["v1"])
    for number, cut in ((1, 2), (5, 3), (12, 4)):
        path = dataset.samples[number][0]
        data = Path(path).read_bytes()
        with open(path, "wb") as file:
            file.write(data[: len(data) // cut])
    for workers in (0, 2):
        check_equal(dataset, num_workers=workers)


def test_pillow_s_open_takes_in_workers_what_it_takes_elsewhere(root):
    class Paths(Own):
        def __getitem__(self, index):
            path, label = self.samples[index]
            with open(path, "rb") as file:
                fp = [path, os.fsencode(path), Path(path), file][index % 4]
                return self.transform(PIL.Image.open(fp).convert("RGB")), label

    check_equal(Paths(root, PIPELINES["v1"]), num_workers=2)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_of_the_script_s_own_is_called(root, workers):
    def loader(path):
        return PIL.Image.new("RGB", (20, 20), len(path) % 256)

    check_equal(datasets.ImageFolder(root, PIPELINES["v1"], loader=loader), num_workers=workers)


def test_a_patched_image_open_stays_in_the_workers(root, monkeypatch):
    monkeypatch.setattr(PIL.Image, "open", lambda *_: PIL.Image.new("RGB", (20, 20), 9))
    for dataset in (Own(root, PIPELINES["v1"]), datasets.ImageFolder(root, PIPELINES["v1"])):
        check_equal(dataset, num_workers=1)
    monkeypatch.undo()
    monkeypatch.setattr(tv_folder, "pil_loader", lambda _: PIL.Image.new("RGB", (20, 20), 7))
    check_equal(datasets.ImageFolder(root, PIPELINES["v1"]), num_workers=1)


def test_datasets_with_an_access_by_batches_keep_it(root):
    class Batched(Own):
        def __getitems__(self, indices):
            return [self[index] for index in reversed(indices)]

    check_equal(Batched(root, PIPELINES["v1"]), num_workers=2)
    check_equal(Batched(root, PIPELINES["v1"]))


def test_single_samples_are_torch_s(root):
    dataset = datasets.ImageFolder(root, PIPELINES["v1"])
    for workers in (0, 1):
        found = []
        for kind in (DataLoader, Torch):
            torch.manual_seed(2)
            random.seed(2)
            found.append(list(kind(dataset, batch_size=None, num_workers=workers)))
        for one, other in zip(*found, strict=True):
            assert torch.equal(one[0], other[0]) and one[1] == other[1]


def test_the_worker_s_function_pickles_with_the_script_s():
    made = pickle.loads(pickle.dumps(InWorker(abs)))
    assert made.own is abs
    made(0)  # outside of a worker it calls the script's, and no more


def test_odd_datasets_and_samplers_are_served_as_by_torch(root):
    class Bare(datasets.ImageFolder):
        """Without what ImageFolder's constructor sets."""

        def __init__(self, samples):
            self.samples = samples

        def __len__(self):
            return len(self.samples)

        def __getitem__(self, index):
            return self.samples[index][1]

    samples = datasets.ImageFolder(root).samples
    for workers in (0, 1):
        found = [list(kind(Bare(samples), 4, num_workers=workers)) for kind in (DataLoader, Torch)]
        assert torch.equal(torch.cat(found[0]), torch.cat(found[1]))
        check_equal(Pickled(root, v1.Compose([v1.Resize((8, 8)), *TAIL])), num_workers=workers)
    dataset = datasets.ImageFolder(root, PIPELINES["v1"])
    batches = [(i for i in range(at, at + 4)) for at in (0, 4)]
    assert sum(len(labels) for _, labels in DataLoader(dataset, batch_sampler=batches)) == 8


def test_a_dataset_goes_with_its_loader(root):
    dataset = datasets.ImageFolder(root, PIPELINES["v1"])
    gone = weakref.ref(dataset)
    gc.disable()
    try:
        loader = DataLoader(dataset, 4)
        next(iter(loader))
        del loader, dataset
        assert gone() is None
    finally:
        gc.enable()
