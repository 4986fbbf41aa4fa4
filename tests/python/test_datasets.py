"""ImageFolder, ImageList, and what resolve makes of the datasets of torch and torchvision."""

import copy
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset, random_split
from torchvision import datasets as tv
from torchvision import transforms as v1
from torchvision.datasets.folder import pil_loader

import ringfeed
from ringfeed._dataset_parts import resolve

TO_TENSOR = v1.Compose([v1.CenterCrop(8), v1.ToTensor()])


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("RINGFEED_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


def plant(root, items):
    """Makes a tree: "a/b/" is a folder, "a -> b" a link, anything else an empty file."""
    for item in items:
        name, _, target = os.fsencode(item).partition(b" -> ")
        path = os.path.join(os.fsencode(root), name)
        if name.endswith(b"/"):
            os.makedirs(path, exist_ok=True)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if target:
            os.symlink(target, path)
        else:
            open(path, "w").close()
    return root


@pytest.fixture
def photos(tmp_path):
    """A folder of two classes with three and two images that tell themselves apart."""
    root = tmp_path / "photos"
    names = ["cat/a.png", "cat/b.png", "cat/c.png", "dog/d.png", "dog/e.png"]
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 8), (number * 40, 1, 2)).save(root / name)
    return str(root)


def entries(parts):
    """(path, label) of every entry a loader would read, in order."""
    indices = range(len(parts.index)) if parts.indices is None else parts.indices.tolist()
    return [(parts.index.path(i), parts.index.label(i)) for i in indices]


TREES = {
    "extensions": ["a/1.jpg", "a/2.JPEG", "a/3.Png", "a/4.txt", "a/5.jpg.bak", "a/.jpg", "a/jpg"]
    + [f"a/6.{e}" for e in ("tif", "tiff", "webp", "ppm", "pgm", "bmp", "gif", "jpgg")],
    "orders": ["b/2.jpg", "b/10.jpg", "B/1.jpg", "b/s/1.jpg", "b/s-1/1.jpg", "b/s.1/1.jpg"]
    + ["b/S/1.jpg", "b/s/t/u/1.jpg", ".hidden/1.jpg", "a b/ c.jpg", "é/1.jpg", "e\u0301/1.jpg"],
    "not UTF-8": [b"\xff/1.jpg", b"\x80/1.jpg", b"a/\xc3.jpg", b"a/\xc3\xa9.jpg"]
    + [b"a/\xed\xa0\x80.jpg", b"\xee\x80\x80/1.jpg", b"\xf0\x9f\x90\x88/1.jpg"]
    + [b"a/\xf0\x9f\x90\x88.jpg"],
    "links": ["a/1.jpg", "top.jpg", "a/2.jpg -> ../top.jpg", "a/3.jpg -> nowhere", "b -> a"]
    + ["c/sub -> ../a", "d -> top.jpg", "c/dir.jpg/1.jpg"],
    "punctuation": ["a/-.jpg", "a/'.jpg", 'a/".jpg', "a/\n.jpg", "a/\\.jpg", "a/%s.jpg", "a/*.jpg"],
    "deep and empty": ["a/b/c/d/1.jpg", "a/b/", "z/y/x/1.jpg", "file.jpg"],
}


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_a_folder_has_torchvisions_classes_and_samples(tmp_path, tree):
    root = plant(str(tmp_path / "root"), tree)
    theirs = tv.ImageFolder(root)
    for ours in (ringfeed.ImageFolder(root), ringfeed.ImageFolder(root)):  # scanned, then cached
        assert ours.classes == theirs.classes and ours.class_to_idx == theirs.class_to_idx
        assert list(ours.samples) == theirs.samples and list(ours.imgs) == theirs.imgs
        assert list(ours.targets) == theirs.targets
        assert len(ours) == len(theirs)


@pytest.mark.parametrize("empty", [["b/"], ["b/c/d/"], ["b/note.txt"], ["b/"] + ["c/1.txt"]])
def test_classes_without_images_need_allow_empty(tmp_path, empty):
    root = plant(str(tmp_path / "root"), ["a/1.jpg", "z/1.jpg", *empty])
    for folder in (tv.ImageFolder, ringfeed.ImageFolder):
        with pytest.raises(FileNotFoundError, match="b"):
            folder(root)
    ours, theirs = (f(root, allow_empty=True) for f in (ringfeed.ImageFolder, tv.ImageFolder))
    assert ours.classes == theirs.classes and list(ours.samples) == theirs.samples


def test_a_missing_folder_and_a_missing_class_raise_as_in_torchvision(tmp_path):
    plant(str(tmp_path), ["file.jpg", "empty/", "flat/1.jpg"])
    for name, error in [
        ("nowhere", FileNotFoundError),
        ("file.jpg", NotADirectoryError),
        ("empty", FileNotFoundError),
        ("flat", FileNotFoundError),
    ]:
        with pytest.raises(error):
            tv.ImageFolder(str(tmp_path / name))
        with pytest.raises(error) as raised:
            ringfeed.ImageFolder(str(tmp_path / name))
        assert isinstance(raised.value, ringfeed.LoadError)
        assert raised.value.stage == "scan" and str(tmp_path / name) in str(raised.value)
        again = pickle.loads(pickle.dumps(raised.value))
        assert str(again) == str(raised.value) and isinstance(again, error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_folder_raises_permission_error(tmp_path):
    tmp_path.chmod(0)
    with pytest.raises(PermissionError):
        ringfeed.ImageFolder(str(tmp_path))


def spellings(root):
    yield from (root, root + "/", os.path.relpath(root), Path(root))
    home = os.path.expanduser("~")
    yield "~/" + os.path.relpath(root, home)


@pytest.mark.parametrize("spelling", range(5))
def test_the_root_is_kept_and_written_into_paths_as_torchvision_does(photos, spelling):
    root = list(spellings(photos))[spelling]
    ours, theirs = ringfeed.ImageFolder(root), tv.ImageFolder(root)
    assert ours.root == theirs.root and type(ours.root) is type(theirs.root)
    assert list(ours.samples) == theirs.samples


def test_samples_are_lists_to_look_at_and_not_to_change(photos):
    ours, theirs = ringfeed.ImageFolder(photos), tv.ImageFolder(photos)
    assert ours.samples == theirs.samples and ours.targets == theirs.targets
    assert ours.samples != theirs.samples[:-1] and ours.targets != [0, 0, 0, 1, 0]
    for name in ("samples", "targets"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        for part in (0, -1, slice(1, 4), slice(None, None, -2), slice(4, 1)):
            assert mine[part] == other[part]
        for wrong in (5, -6):
            with pytest.raises(IndexError):
                mine[wrong]
        way_out = r"read only.*Subset.*ImageList"
        with pytest.raises(TypeError, match=way_out):
            mine[0] = other[0]
        with pytest.raises(TypeError, match=way_out):
            del mine[0]
        for method in ("append", "extend", "sort", "pop", "remove"):
            with pytest.raises(AttributeError, match=way_out):
                getattr(mine, method)
        with pytest.raises(AttributeError, match=way_out):
            setattr(ours, name, other)
        assert not hasattr(mine, "no_method_of_lists")
        assert repr(other[0]) in repr(mine)
    assert np.array_equal(np.array(ours.targets), theirs.targets)
    assert torch.equal(torch.tensor(ours.targets), torch.tensor(theirs.targets))


def is_no_b(path):
    return not path.endswith("b.png")


def both(photos, **options):
    return ringfeed.ImageFolder(photos, **options), tv.ImageFolder(photos, **options)


def check_same(ours, theirs):
    for name in ("classes", "class_to_idx", "extensions"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert list(ours.samples) == list(ours.imgs) == theirs.samples
    assert list(ours.targets) == theirs.targets and len(ours) == len(theirs)


def test_a_folder_takes_torchvision_s_is_valid_file(photos):
    Path(photos, "cat", "no image.txt").write_text("")
    for valid in (is_no_b, lambda path: True):
        check_same(*both(photos, is_valid_file=valid))
    Path(photos, "cat", "no image.txt").unlink()
    ours, theirs = both(photos, is_valid_file=is_no_b)
    check_same(pickle.loads(pickle.dumps(ours)), theirs)
    parts = resolve(ours)
    assert entries(parts) == theirs.samples
    ours.transform = theirs.transform = TO_TENSOR
    for mine, other in zip(ringfeed.DataLoader(ours, 2), DataLoader(theirs, 2), strict=True):
        assert torch.equal(mine[0], other[0]) and torch.equal(mine[1], other[1])


def test_a_folder_in_which_nothing_is_valid_is_torchvision_s_error(photos):
    errors = []
    for folder in (ringfeed.ImageFolder, tv.ImageFolder):
        with pytest.raises(FileNotFoundError) as error:
            folder(photos, is_valid_file=lambda path: "cat" in path)
        errors.append(str(error.value))
        assert len(folder(photos, is_valid_file=lambda path: "cat" in path, allow_empty=True)) == 3
    assert errors[0] == errors[1]


def test_a_folder_takes_torchvision_s_arguments_in_torchvision_s_order(photos):
    def negative(label):
        return -label

    arguments = (photos, TO_TENSOR, negative, pil_loader, is_no_b, True)
    check_same(ringfeed.ImageFolder(*arguments), tv.ImageFolder(*arguments))
    ours, theirs = ringfeed.ImageFolder(*arguments[:4]), tv.ImageFolder(*arguments[:4])
    check_same(ours, theirs)
    assert repr(ours.transforms) == repr(theirs.transforms) and ours.loader is theirs.loader
    assert [label for _, label in ours] == [label for _, label in theirs]
    plain = ringfeed.ImageFolder(photos)
    assert plain.transforms is tv.ImageFolder(photos).transforms is None


def test_a_folder_calls_its_loader_and_a_ringfeed_loader_refuses_it(photos):
    def loader(path):
        return Image.new("RGB", (8, 8), 77)

    ours, theirs = both(photos, transform=TO_TENSOR, loader=loader)
    for mine, other in zip(DataLoader(ours), DataLoader(theirs), strict=True):
        assert torch.equal(mine[0], other[0])
    with pytest.raises(ValueError, match="not native, because ringfeed.*has loader=<function"):
        ringfeed.DataLoader(ours, native=True)
    default = ringfeed.ImageFolder(photos, TO_TENSOR)
    assert (
        default.loader(default.samples[1][0]).tobytes()
        == default.loader(os.path.join(photos, "cat", "b.png")).tobytes()
    )
    for known in (pil_loader, tv.folder.default_loader, ringfeed.pil_loader):
        known = ringfeed.ImageFolder(photos, TO_TENSOR, loader=known)
        assert len(list(ringfeed.DataLoader(known))) == 5


@pytest.mark.parametrize("base", [tv.ImageFolder, ringfeed.ImageFolder])
def test_a_subclass_s_own_classes_and_listing_count(photos, base):
    class OnlyDogs(base):
        def find_classes(self, directory):
            assert os.fspath(directory) == photos
            return ["dog"], {"dog": 4}

    class Backwards(base):
        @staticmethod
        def make_dataset(directory, class_to_idx, **options):
            rows = base.make_dataset(directory, class_to_idx, **options)
            return rows[::-1]

    dogs, backwards = OnlyDogs(photos), Backwards(photos)
    assert dogs.classes == ["dog"] and dogs.class_to_idx == {"dog": 4}
    assert [label for _, label in dogs.samples] == [4, 4]
    assert list(backwards.samples) == tv.ImageFolder(photos).samples[::-1]
    assert entries(resolve(dogs)) == list(dogs.samples)
    assert backwards.find_classes(photos) == tv.ImageFolder(photos).find_classes(photos)


@pytest.mark.parametrize("transform", [None, TO_TENSOR])
@pytest.mark.parametrize("target_transform", [None, lambda target: target * 10])
def test_a_sample_and_the_repr_are_torchvisions(photos, transform, target_transform):
    theirs = tv.ImageFolder(photos, transform, target_transform)
    ours = ringfeed.ImageFolder(photos, transform, target_transform)
    assert repr(ours) == repr(theirs)
    for index in (0, 3, -1, np.int64(2), torch.tensor(4)):
        (image, label), (expected, target) = ours[index], theirs[index]
        assert label == target and type(image) is type(expected)
        assert np.array_equal(np.asarray(image), np.asarray(expected))
    for wrong in (5, -6):
        with pytest.raises(IndexError):
            ours[wrong]


def listed(photos):
    folder = ringfeed.ImageFolder(photos)
    paths, labels = zip(*folder.samples)
    return ringfeed.ImageList(paths, labels, TO_TENSOR)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_datasets_work_in_torchs_own_loader_and_its_workers(photos, context):
    theirs = DataLoader(ConcatDataset([tv.ImageFolder(photos, TO_TENSOR)] * 2), batch_size=2)
    both = ConcatDataset([ringfeed.ImageFolder(photos, TO_TENSOR), listed(photos)])
    ours = DataLoader(both, batch_size=2, num_workers=1, multiprocessing_context=context)
    for (image, label), (expected, target) in zip(ours, theirs, strict=True):
        assert torch.equal(image, expected) and torch.equal(label, target)


@pytest.mark.parametrize("make", [ringfeed.ImageFolder, listed])
def test_a_copy_reads_the_same_files(photos, make):
    dataset = make(photos)
    for other in (copy.copy(dataset), copy.deepcopy(dataset), pickle.loads(pickle.dumps(dataset))):
        assert list(other.samples) == list(dataset.samples)
        assert vars(other).keys() == vars(dataset).keys()
        assert resolve(other).index.fingerprint == resolve(dataset).index.fingerprint


def test_a_pickled_folder_takes_no_room_for_its_samples(tmp_path):
    root = plant(str(tmp_path / "root"), [f"a/{i}.jpg" for i in range(2000)])
    assert len(pickle.dumps(ringfeed.ImageFolder(root))) < 1000


def test_a_folder_that_changed_is_not_taken_for_the_pickled_one(tmp_path):
    root = plant(str(tmp_path / "root"), ["a/1.jpg"])
    pickled = pickle.dumps(ringfeed.ImageFolder(root))
    plant(root, ["a/2.jpg"])
    with pytest.raises(RuntimeError, match="has changed"):
        pickle.loads(pickled)


def test_a_list_reads_the_paths_as_they_stand(photos, monkeypatch):
    monkeypatch.chdir(photos)
    paths = ["dog/e.png", Path("cat/a.png"), f"{photos}/dog/../cat/b.png", "./cat/c.png"]
    dataset = ringfeed.ImageList(paths, torch.tensor([7, -3, 10**12, 0]))
    assert dataset.samples == [
        ("dog/e.png", 7),
        ("cat/a.png", -3),
        (f"{photos}/dog/../cat/b.png", 10**12),
        ("./cat/c.png", 0),
    ]
    assert [dataset[i][0].getpixel((0, 0))[0] for i in range(4)] == [160, 0, 40, 80]
    assert repr(dataset) == "Dataset ImageList\n    Number of datapoints: 4"


def test_a_list_may_be_empty_or_come_from_a_generator(photos):
    assert len(ringfeed.ImageList([], [])) == 0
    assert len(pickle.loads(pickle.dumps(ringfeed.ImageList([], [])))) == 0
    assert list(ringfeed.ImageList((p for p in ["a", "b"]), range(2)).targets) == [0, 1]


@pytest.mark.parametrize(
    "labels", [(1, 2), np.array([1, 2], np.int32), np.array([1, 0, 2])[::2], torch.tensor([1, 2])]
)
def test_labels_may_be_whole_numbers_of_any_kind(labels):
    dataset = ringfeed.ImageList(["a", "b"], labels)
    assert list(dataset.targets) == [1, 2]
    assert list(pickle.loads(pickle.dumps(dataset)).targets) == [1, 2]


@pytest.mark.parametrize(
    "paths, labels, error, text",
    [
        (["a", "b"], [0], ValueError, "^a label is due for each path: 2 paths, but 1 labels"),
        (["a"], [0.5], TypeError, "^labels must be whole numbers.*float64.*target_transform"),
        (["a"], ["cat"], TypeError, "^labels must be whole numbers"),
        (["a"], [[0]], TypeError, "^labels must be whole numbers"),
        (["a"], [True], TypeError, "^labels must be whole numbers"),
        ([""], [0], ValueError, None),
        ([1], [0], TypeError, None),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(paths, labels, error, text):
    with pytest.raises(error, match=text):
        ringfeed.ImageList(paths, labels)


# resolve


def test_torchvisions_folder_is_read_and_not_listed(photos, monkeypatch):
    dataset = tv.ImageFolder(photos, TO_TENSOR, str)
    for name in ("scandir", "listdir", "walk"):
        monkeypatch.setattr(os, name, None)
    os.rename(photos, photos + ".away")
    parts = resolve(dataset)
    assert parts.indices is None
    assert entries(parts) == dataset.samples
    assert parts.transform is TO_TENSOR and parts.target_transform is str


@pytest.mark.parametrize("spelling", range(5))
def test_a_folder_has_one_fingerprint_whoever_listed_it(photos, spelling):
    root = list(spellings(photos))[spelling]
    prints = {resolve(f(root)).index.fingerprint for f in (tv.ImageFolder, ringfeed.ImageFolder)}
    assert prints == {resolve(ringfeed.ImageFolder(photos)).index.fingerprint}


def test_imagenet_is_read_as_the_folder_of_its_split(photos, tmp_path):
    root = tmp_path / "imagenet"
    root.mkdir()
    os.rename(photos, root / "val")
    names = {"cat": ("tabby", "tabby cat"), "dog": ("pug", "pug-dog")}
    torch.save((names, ["cat"]), root / "meta.bin")
    dataset = tv.ImageNet(str(root), "val", transform=TO_TENSOR)
    assert dataset.classes == list(names.values())
    parts = resolve(dataset)
    assert entries(parts) == dataset.samples and parts.transform is TO_TENSOR
    folder = resolve(ringfeed.ImageFolder(root / "val"))
    assert parts.index.fingerprint == folder.index.fingerprint


def test_changed_samples_and_transforms_are_honoured(photos):
    dataset = tv.ImageFolder(photos)
    dataset.samples = [(path, label + 100) for path, label in dataset.samples[::-2]]
    dataset.samples.append((Path(photos, "cat", "b.png"), np.int32(-5)))
    dataset.transform = TO_TENSOR
    parts = resolve(dataset)
    assert entries(parts) == [(os.fspath(path), label) for path, label in dataset.samples]
    assert parts.transform is TO_TENSOR


class Merged(tv.ImageFolder):
    """Overrides what may be overridden."""

    def __init__(self, root, offset):
        self.offset = offset
        super().__init__(root, transform=TO_TENSOR)

    def find_classes(self, directory):
        return ["all"], {"cat": 0, "dog": 0}

    @staticmethod
    def make_dataset(directory, class_to_idx, **options):
        return tv.DatasetFolder.make_dataset(directory, class_to_idx, **options)[::-1]


def test_a_subclass_that_lists_otherwise_is_read(photos):
    dataset = Merged(photos, 3)
    assert entries(resolve(dataset)) == dataset.samples
    assert {label for _, label in dataset.samples} == {0}


class Listed(tv.ImageFolder):
    """As INatDataset of DeiT, which never calls ImageFolder's constructor."""

    def __init__(self, samples, transform):
        self.samples, self.transform, self.target_transform = samples, transform, None
        self.loader = tv.folder.default_loader


def test_a_subclass_with_samples_and_no_root_is_read(photos):
    samples = tv.ImageFolder(photos).samples[1:4]
    dataset = Listed(samples, TO_TENSOR)
    assert entries(resolve(dataset)) == samples
    loader = ringfeed.DataLoader(dataset, batch_size=3, num_workers=1)
    assert loader.rung == "native" and "3 images in " in repr(loader)
    for ours, theirs in zip(next(iter(loader)), next(iter(DataLoader(dataset, batch_size=3)))):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("loader", [pil_loader, tv.folder.default_loader, ringfeed.pil_loader])
def test_a_dataset_folder_with_a_known_loader_is_read(photos, loader):
    dataset = tv.DatasetFolder(photos, loader, extensions=(".png",))
    assert entries(resolve(dataset)) == dataset.samples


@pytest.mark.parametrize("folder", [tv.ImageFolder, ringfeed.ImageFolder])
@pytest.mark.parametrize(
    "indices",
    [
        [[4, 0, 0, 2]],
        [range(1, 5), [3, 1]],
        [torch.tensor([4, 3, 2, 1]), np.array([0, 2], np.int8), (1, 0)],
        [[-1, -5], [-2]],
        [[]],
        [[1, 2], []],
    ],
)
def test_subsets_are_the_entries_that_torch_would_read(photos, folder, indices):
    dataset = base = folder(photos, lambda image: image, lambda target: -target)
    for chosen in indices:
        dataset = Subset(dataset, chosen)
    parts = resolve(dataset)
    assert parts.indices.dtype == np.uint32 and parts.indices.shape == (len(dataset),)
    assert parts.transform is base.transform and parts.target_transform is base.target_transform
    assert len(parts.index) == 5
    paths = [path for path, _ in entries(parts)]
    colours = [int(Image.open(path).getpixel((0, 0))[0]) for path in paths]
    assert colours == [dataset[i][0].getpixel((0, 0))[0] for i in range(len(dataset))]


def test_random_splits_are_read(photos):
    dataset = tv.ImageFolder(photos)
    for part in random_split(dataset, [0.5, 0.5], torch.Generator().manual_seed(4)):
        assert entries(resolve(part)) == [dataset.samples[i] for i in part.indices]


@pytest.mark.parametrize(
    "indices, error",
    [([5], IndexError), ([-6], IndexError), ([0.5], TypeError), ([[0]], TypeError)],
)
def test_a_subset_of_what_is_not_there_is_refused(photos, indices, error):
    with pytest.raises(error, match="Subset"):
        resolve(Subset(tv.ImageFolder(photos), indices))


def own(base, name):
    """A subclass of `base` with its own method `name`."""
    return type(f"Own{base.__name__}", (base,), {name: lambda self, *_: None})


METHODS = ["__getitem__", "__getitems__", "__len__"]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("base", [tv.ImageFolder, ringfeed.ImageFolder])
def test_a_folder_with_its_own_access_is_refused(photos, base, name):
    with pytest.raises(TypeError, match=rf"Own{base.__name__} has its own {name}"):
        resolve(own(base, name)(photos))


@pytest.mark.parametrize("name", METHODS)
def test_lists_and_subsets_with_their_own_access_are_refused(photos, name):
    with pytest.raises(TypeError, match=rf"OwnImageList has its own {name}"):
        resolve(own(ringfeed.ImageList, name)([], []))
    subset = Subset(tv.ImageFolder(photos), [0])
    subset.__class__ = own(Subset, name)  # its __init__ minds some of them itself
    with pytest.raises(TypeError, match=rf"OwnSubset has its own {name}"):
        resolve(subset)


def test_a_wrapper_for_the_transforms_of_v2_is_refused(photos):
    with pytest.raises(TypeError, match="ImageFolder has its own __len__"):
        resolve(tv.wrap_dataset_for_transforms_v2(tv.ImageFolder(photos)))


def test_a_foreign_loader_is_refused_by_name(photos):
    def my_loader(path):
        return Image.open(path)

    with pytest.raises(ValueError, match="my_loader.*torchvision's default_loader"):
        resolve(tv.ImageFolder(photos, loader=my_loader))


def test_another_image_backend_is_refused(photos, monkeypatch):
    monkeypatch.setattr(torchvision, "_image_backend", "accimage")
    with pytest.raises(ValueError, match="accimage.*set_image_backend"):
        resolve(tv.ImageFolder(photos))
    assert resolve(tv.ImageFolder(photos, loader=pil_loader))


def test_joint_transforms_are_refused(photos):
    dataset = tv.ImageFolder(photos, TO_TENSOR)
    dataset.transforms = lambda image, target: (image, target)
    with pytest.raises(ValueError, match=r"has transforms=.*use transform= and target_transform="):
        resolve(dataset)


def test_any_other_dataset_is_refused_with_what_is_accepted(photos):
    folder = tv.ImageFolder(photos)
    for dataset in (
        ConcatDataset([folder, folder]),
        TensorDataset(torch.zeros(2)),
        Subset(ConcatDataset([folder]), [0]),
        tv.FakeData(2),
        [1, 2],
        photos,
        None,
    ):
        with pytest.raises(TypeError, match=r"torchvision.datasets.ImageFolder.*ImageList"):
            resolve(dataset)
    with pytest.raises(TypeError, match="torch.utils.data.dataset.ConcatDataset"):
        resolve(ConcatDataset([folder]))


# The manifest


# One class, without images. A listing is kept once its folders have been as they are for 2 s, and
# nothing changes these while tests run.
HEADERS = Path(__file__).resolve().parents[2] / "include"


def open_headers(cache, **options):
    return ringfeed.ImageFolder(HEADERS, allow_empty=True, cache_dir=cache, **options)


def made_manifest(cache):
    open_headers(cache)
    (manifest,) = (path for path in cache.iterdir() if path.suffix != ".lock")
    return manifest


def damaged_manifest(cache):
    manifest = made_manifest(cache)
    manifest.write_bytes(manifest.read_bytes()[:-9] + b"ringfeed!")


def no_folder(cache):
    cache.write_text("root may write where modes forbid it, but nobody below a file")


@pytest.mark.parametrize("spoil", [damaged_manifest, no_folder])
def test_a_cache_that_cannot_serve_is_a_warning_at_the_line_that_opened_the_folder(tmp_path, spoil):
    class Named(ringfeed.ImageFolder):
        def __init__(self, cache):
            super().__init__(HEADERS, allow_empty=True, cache_dir=cache)

    for number, opener in enumerate([open_headers, Named]):
        cache = tmp_path / str(number)
        spoil(cache)
        with pytest.warns(RuntimeWarning, match=str(cache)) as caught:
            dataset = opener(cache)
        assert [warning.filename for warning in caught] == [__file__]
        assert dataset.classes == ["ringfeed"]


def test_a_cache_that_serves_gives_no_warning(photos, tmp_path):
    manifest = made_manifest(tmp_path / "listings")
    made = manifest.stat().st_ino
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = open_headers(manifest.parent)
        open_headers(manifest.parent, use_cache=False)
        ringfeed.ImageFolder(photos)
    assert dataset.classes == ["ringfeed"]
    assert manifest.stat().st_ino == made  # another listing would have replaced it


def test_a_folder_that_has_changed_since_it_was_listed_gives_no_warning(photos, tmp_path):
    listings = tmp_path / "listings"
    listings.mkdir()
    while not list(listings.glob("*.manifest")):  # until the folders have been as they are for 2 s
        ringfeed.ImageFolder(photos, cache_dir=listings)
    Image.new("RGB", (9, 8)).save(Path(photos) / "cat" / "new.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(ringfeed.ImageFolder(photos, cache_dir=listings)) == 6
