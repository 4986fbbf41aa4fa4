"""Batches that wait in a worker's queue: their files are announced, and nothing else changes."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import queue
import sys

import PIL.Image
import pytest
import torch
import torch.utils.data
from torchvision import datasets
from torchvision import transforms as v1

import ringfeed
from ringfeed import DataLoader, _read_ahead, _worker_rung
from ringfeed._index_queue import IndexQueue, index_queue_of
from small_images import make_folder

Torch = torch.utils.data.DataLoader
pytestmark = pytest.mark.filterwarnings("ignore:torch's own loader makes")


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    make_folder(folder, 16)
    return folder


@pytest.fixture
def log(tmp_path, monkeypatch):
    """What is announced, as workers say it: a list of paths a line."""
    file, announce = tmp_path / "announced", _read_ahead.announce
    file.touch()

    def announce_and_tell(paths):
        with open(file, "a") as to:
            to.write(json.dumps(list(paths)) + "\n")
        announce(paths)

    monkeypatch.setattr(_read_ahead, "announce", announce_and_tell)
    return lambda: [json.loads(line) for line in file.read_text().splitlines()]


def small(image):
    return v1.functional.to_tensor(image.resize((8, 8)))


def batches_of(dataset, size):
    paths = [path for path, _ in dataset.samples]
    return [paths[at : at + size] for at in range(0, len(paths), size)]


class Waits:
    """A transform. Its image of this number is not ready before so many batches have been
    announced: it opens another file meanwhile, after which the worker looks for further ones."""

    def __init__(self, log, image, count, other):
        PIL.Image.new("RGB", (8, 8)).save(other)
        self.log, self.image, self.count, self.other = log, image, count, other
        self.made, self.waits = 0, multiprocessing.get_context("fork").Event()

    def __call__(self, image):
        if self.made == self.image:
            self.waits.set()
            while len(self.log()) < self.count:
                ringfeed.open(self.other)
        self.made += 1
        return small(image)


def test_files_of_a_batch_are_announced_while_the_one_before_it_is_made(root, tmp_path, log):
    second_waits_for_third = Waits(log, 4, 3, tmp_path / "other.png")
    dataset = datasets.ImageFolder(root, second_waits_for_third)
    batches = iter(DataLoader(dataset, 4, num_workers=1, timeout=30))
    # The worker is given the third batch when the first has been taken.
    assert second_waits_for_third.waits.wait(30)
    ours = list(batches)
    assert log() == batches_of(dataset, 4)  # each once, in their order
    expected = list(Torch(datasets.ImageFolder(root, small), 4))
    for one, other in zip(ours, expected, strict=True):
        assert all(map(torch.equal, one, other))


class OpensHalf(datasets.ImageFolder):
    """Opens the first two files of each batch of four; the images are tensors already."""

    def __getitem__(self, index):
        return super().__getitem__(index)[0] if index % 4 < 2 else torch.zeros(3, 8, 8)


def test_where_files_stay_unopened_no_batch_is_read_before_its_turn(root, tmp_path, log):
    dataset = OpensHalf(root, Waits(log, 0, 2, tmp_path / "other.png"))
    ours = list(DataLoader(dataset, 4, num_workers=1, timeout=30))
    first, *rest = batches_of(dataset, 4)
    # What has been read of the second when the first ends is forgotten with the first's files.
    assert log() == [first, rest[0], *rest]
    assert all(map(torch.equal, ours, Torch(OpensHalf(root, small), 4)))


@pytest.mark.parametrize("persistent", [False, True])
def test_passes_that_are_left_and_begun_anew_are_torch_s(root, persistent):
    dataset, found = datasets.ImageFolder(root, small), []
    for kind in (DataLoader, Torch):
        torch.manual_seed(3)
        loader = kind(
            dataset, 2, shuffle=True, num_workers=2, prefetch_factor=3,
            persistent_workers=persistent,
        )  # fmt: skip
        left = list(itertools.islice(loader, 2))
        found.append([labels.tolist() for _, labels in [*left, *loader, *loader]])
    assert found[0] == found[1]


def test_without_the_queue_a_worker_serves_as_before(root, monkeypatch, log):
    monkeypatch.setattr(_worker_rung, "index_queue_of", lambda frame: None)
    dataset = datasets.ImageFolder(root, small)
    ours = list(DataLoader(dataset, 4, num_workers=1, native=False))
    assert log() == batches_of(dataset, 4) and len(ours) == len(log())


def test_a_queue_is_sought_in_torch_s_worker_loop_alone():
    index_queue = queue.Queue()
    assert index_queue_of(sys._getframe()) is None and index_queue_of(None) is None

    def _worker_loop(index_queue):
        return index_queue_of(sys._getframe())

    assert _worker_loop(index_queue) is index_queue
    assert _worker_loop(None) is None and _worker_loop(object()) is None


def test_items_come_in_their_order_whether_they_have_been_seen_or_not():
    given, seen = queue.Queue(), []
    ahead = IndexQueue(given, seen.append)
    for item in ((0, [3, 4]), None, (1, [5])):
        given.put(item)
    ahead.look()
    assert seen == [[3, 4], [5]]
    given.put((2, [6]))
    ahead.look()  # while items wait
    assert [given.get(timeout=5) for _ in range(4)] == [(0, [3, 4]), None, (1, [5]), (2, [6])]
    with pytest.raises(queue.Empty):
        given.get(timeout=0.01)
    assert seen == [[3, 4], [5]]


class Unreadable:
    def __reduce__(self):
        return int, ("no number",)


def test_what_cannot_be_read_from_the_queue_is_raised_in_its_turn():
    given, seen = multiprocessing.get_context("fork").SimpleQueue(), []
    held = queue.Queue()
    held.get = lambda *args, **options: given.get() if not given.empty() else raise_(queue.Empty)
    ahead = IndexQueue(held, seen.append)
    for item in ((0, [1]), (1, Unreadable()), (2, [7])):
        given.put(item)
    ahead.look()
    assert held.get(timeout=5) == (0, [1])
    with pytest.raises(ValueError, match="no number"):
        held.get(timeout=5)
    assert held.get(timeout=5) == (2, [7]) and seen == [[1]]


def raise_(error):
    raise error


def test_a_process_that_a_worker_forks_leaves_its_queue_alone():
    given = queue.Queue()
    ahead = IndexQueue(given, lambda batch: None)
    given.put((0, [1]))
    child = os.fork()
    if child == 0:
        ahead.look()
        os._exit(given.qsize())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


class MadeWhenAsked(datasets.ImageFolder):
    """Writes a file just before it is opened."""

    def __getitem__(self, index):
        path, label = self.samples[index]
        if not os.path.exists(path):
            PIL.Image.new("RGB", (8, 8), (200, 0, 0)).save(path)
        return self.transform(self.loader(path)), label


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_is_not_there_before_the_script_opens_it_is_read_then(root, workers):
    dataset = MadeWhenAsked(root, small)
    for path, _ in dataset.samples:
        os.remove(path)
    loader = DataLoader(dataset, batch_size=4, num_workers=workers)
    assert sum(len(labels) for _, labels in loader) == len(dataset)


class Drawing(list):
    """Asking for an item draws."""

    def __getitem__(self, at):
        torch.rand(1)
        return super().__getitem__(at)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sequence_of_the_scripts_is_asked_by_its_own_code_alone(root, workers):
    found = []
    for kind in (DataLoader, Torch):
        dataset = datasets.ImageFolder(root, lambda image: torch.rand(3))
        dataset.samples = Drawing(dataset.samples)
        torch.manual_seed(1)
        options = {"native": False} if kind is DataLoader else {}
        loader = kind(dataset, batch_size=4, num_workers=workers, **options)
        found.append(torch.cat([images for images, _ in loader]))
    assert torch.equal(*found)


class WithALoaderOfItsOwn(datasets.ImageFolder):
    """Each sample runs through a small loader, within the worker."""

    def __getitem__(self, index):
        numbers = torch.utils.data.TensorDataset(torch.arange(4))
        assert len(list(Torch(numbers, batch_size=2))) == 2
        return super().__getitem__(index)


def test_a_loader_within_a_worker_leaves_what_is_announced(root, log):
    dataset = WithALoaderOfItsOwn(root, small)
    loader = DataLoader(dataset, batch_size=4, num_workers=1, native=False)
    assert sum(len(labels) for _, labels in loader) == len(dataset)
    assert log() == batches_of(dataset, 4)  # each once
