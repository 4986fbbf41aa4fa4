"""Whole epochs of ringfeed.DataLoader against the installed torchvision and Pillow, bit for bit.

Train samples are made again by ringfeed.replay(), which torchvision and Pillow carry out. Run it in
an environment of each Pillow generation: their resizes differ.
"""

import collections
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from PIL import Image
from torchvision import datasets as tv
from torchvision import transforms as v1
from torchvision.transforms import InterpolationMode, v2

import odd_images
import ringfeed
from torchvision_reference import (
    PILLOW13,
    TAILS,
    differing,
    finish,
    load,
    vertical_first,
)

SEED = 20240
FLOATS = (torch.float32, torch.float16, torch.bfloat16)
OUTPUTS = [("uint8", None)] + [(tail, dtype) for tail in ("v1", "v2") for dtype in FLOATS]


@pytest.fixture(scope="session")
def kinds(sample):
    """At most three paths of each kind and subsampling of the sample set."""
    groups = collections.defaultdict(list)
    for file in json.loads((Path(sample) / "manifest.json").read_text())["files"]:
        groups[file["kind"], file["subsampling"]].append(str(Path(sample) / file["path"]))
    assert {kind for kind, _ in groups} >= {"plain", "progressive", "gray", "cmyk", "exif", "png"}
    return [path for group in groups.values() for path in group[:3]]


@pytest.fixture(scope="session")
def odd(tmp_path_factory):
    return odd_images.make(tmp_path_factory.mktemp("odd"))


def train(tail, size=(224, 224), **options):
    version = v2 if tail == "v2" else v1
    crop = version.RandomResizedCrop(size, **options)
    return version.Compose([crop, version.RandomHorizontalFlip(), *TAILS[tail]])


def val(tail, resize=256, size=(224, 224), **options):
    version = v2 if tail == "v2" else v1
    steps = [version.Resize(resize, **options), version.CenterCrop(size), *TAILS[tail]]
    return version.Compose(steps)


def assert_train_is_torchvisions(dataset, epochs=1, dtype=None, **options):
    """Compares every sample of the epochs; gives the rows of draws that were replayed."""
    rows = []
    with ringfeed.DataLoader(
        dataset, batch_size=32, shuffle=True, num_workers=2, seed=SEED, dtype=dtype, **options
    ) as loader:
        for epoch in range(epochs):
            loader.set_epoch(epoch)
            draws = loader.draws(epoch)
            assert sorted(draws["index"]) == list(range(len(dataset)))
            at = 0
            for images, labels in loader:
                for image, label in zip(images, labels.tolist(), strict=True):
                    row, at = draws[at], at + 1
                    path, target = dataset.samples[row["index"]]
                    assert label == target
                    wanted = ringfeed.replay(row, load(path), dataset.transform)
                    wrong = differing(image, finish(wanted, [], dtype))
                    assert not wrong, f"seed {SEED}, epoch {epoch}: {wrong} values of {path}, {row}"
            assert at == len(draws)
            rows.append(draws)
    return np.concatenate(rows)


def assert_val_is_torchvisions(dataset, tail, dtype=None, **options):
    """Compares every sample, whose fixed transform torchvision carries out itself."""
    with ringfeed.DataLoader(
        dataset, batch_size=32, num_workers=2, dtype=dtype, **options
    ) as loader:
        at = 0
        for images, labels in loader:
            for image, label in zip(images, labels.tolist(), strict=True):
                (path, target), at = dataset.samples[at], at + 1
                assert label == target
                wrong = differing(image, finish(load(path), [dataset.transform], dtype))
                assert not wrong, f"{wrong} values of {path}"
        assert at == len(dataset)


def listed(paths, transform):
    return ringfeed.ImageList(paths, range(len(paths)), transform)


def test_train_is_torchvisions_on_two_thousand_draws(sample, reader):
    dataset = tv.ImageFolder(str(Path(sample) / "train"), train("v1"))
    epochs = math.ceil(2000 / len(dataset))
    rows = assert_train_is_torchvisions(dataset, epochs=epochs, reader=reader)
    assert len(rows) >= 2000
    assert sum(vertical_first(row, (224, 224)) for row in rows) > 100  # both orders of passes
    assert 0.4 < rows["hflip"].mean() < 0.6


def test_val_is_torchvisions_on_every_file(sample, reader):
    dataset = tv.ImageFolder(str(Path(sample) / "val"), val("v1"))
    assert_val_is_torchvisions(dataset, "v1", reader=reader)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("tail, dtype", OUTPUTS)
def test_every_form_of_output_is_torchvisions(kinds, tail, dtype, channels_last):
    options = dict(dtype=dtype, channels_last=channels_last)
    rows = assert_train_is_torchvisions(listed(kinds, train(tail)), **options)
    assert any(vertical_first(row, (224, 224)) for row in rows)
    assert_val_is_torchvisions(listed(kinds, val(tail)), tail, **options)


@pytest.mark.parametrize("size", [(97, 161), (33, 320), (301, 47), (1, 1), (2, 3)])
def test_train_is_torchvisions_at_odd_sizes(kinds, odd, size):
    assert_train_is_torchvisions(listed(kinds + odd, train("v1", size)))


@pytest.mark.parametrize(
    "resize, size",
    [(232, (224, 224)), (256, (101, 255)), (64, (63, 64)), (11, (8, 5)), (100, (224, 224))]
    + [(255, (257, 256)), (1, (3, 2)), ((64, 90), (64, 90)), ((300, 50), (30, 60))],
)
def test_val_is_torchvisions_at_odd_sizes_and_padded(kinds, odd, resize, size):
    assert_val_is_torchvisions(listed(kinds + odd, val("v1", resize, size)), "v1")


@pytest.mark.parametrize("mode", InterpolationMode, ids=lambda mode: mode.value)
def test_every_interpolation_is_torchvisions(kinds, odd, mode):
    options = dict(interpolation=mode)
    for size in ((224, 224), (33, 320)):
        rows = assert_train_is_torchvisions(
            listed(kinds + odd, train("uint8", size, scale=(1e-3, 1), **options))
        )
        assert any(vertical_first(row, size) for row in rows)
    for resize, size in ((256, (224, 224)), (11, (8, 5)), ((300, 50), (300, 50))):
        assert_val_is_torchvisions(
            listed(kinds + odd, val("uint8", resize, size, **options)), "uint8"
        )


def test_the_other_pillows_rule_changes_the_boxes_it_should_and_no_others(kinds):
    other = "12" if PILLOW13 else "13"
    dataset = listed(kinds * 4, train("uint8"))
    options = dict(batch_size=len(dataset), shuffle=True, num_workers=2, seed=SEED)
    with (
        ringfeed.DataLoader(dataset, **options) as ours,
        ringfeed.DataLoader(dataset, pillow=other, **options) as theirs,
    ):
        ((a, _),), ((b, _),) = ours, theirs
        changed = (a != b).flatten(1).any(1).tolist()
        may = [vertical_first(row, (224, 224)) for row in ours.draws(0)]
    assert not any(c and not m for c, m in zip(changed, may))
    assert sum(changed) > sum(may) / 2 > 5


# Kolmogorov and Smirnov


def furthest_apart(a, b):
    """The Kolmogorov-Smirnov distance of two samples."""
    at = np.concatenate([a, b])
    share = [np.searchsorted(np.sort(x), at, side="right") / len(x) for x in (a, b)]
    return np.abs(share[0] - share[1]).max()


# In the second shape the ten tries fail every other time.
@pytest.mark.parametrize("height, width, count", [(375, 500, 100_000), (500, 90, 25_000)])
def test_crops_and_flips_are_distributed_as_torchvisions(tmp_path, height, width, count):
    path = str(tmp_path / "image.png")
    Image.new("L", (width, height)).save(path)
    dataset = ringfeed.ImageList([path] * count, [0] * count, train("v1"))
    with ringfeed.DataLoader(dataset, batch_size=1, seed=SEED) as loader:
        rows = loader.draws(0)
    ours = np.stack([rows[name] for name in ("top", "left", "height", "width")]).astype(float)
    crop, flip = train("v1").transforms[:2]
    image, mark = Image.new("L", (width, height)), torch.tensor([[[0.0, 1.0]]])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        theirs = np.array(
            [crop.get_params(image, crop.scale, crop.ratio) for _ in range(count)], float
        ).T
        flips = np.array([bool(flip(mark)[0, 0, 0]) for _ in range(count)])

    def features(top, left, crop_height, crop_width):
        yield "area", crop_height * crop_width / (height * width)
        yield "log ratio", np.log(crop_width / crop_height)
        yield "top", top / np.maximum(1, height - crop_height)
        yield "left", left / np.maximum(1, width - crop_width)

    # Two equal distributions are so far apart once in a million pairs of samples.
    limit = math.sqrt(math.log(2e6) / count)
    for (name, a), (_, b) in zip(features(*ours), features(*theirs)):
        assert furthest_apart(a, b) < limit, f"seed {SEED}: {name}"
        for flipped in (a[rows["hflip"]], a[~rows["hflip"]]):  # a flip knows nothing of its crop
            assert furthest_apart(flipped, a) < 2 * limit, f"seed {SEED}: {name} of flipped"
    assert abs(rows["hflip"].mean() - flips.mean()) < 5 * math.sqrt(2 * 0.25 / count)


# Beside other decoders

BESIDE = """
import io, sys, threading
{imports}
from torchvision import transforms as v1

paths = sys.argv[1:]
transform = v1.Compose([v1.Resize((64, 64)), v1.ToTensor()])

def pillow():
    return [transform(Image.open(path).convert("RGB")) for path in paths]

def torchvisions():
    return [torchvision.io.decode_jpeg(torchvision.io.read_file(path)) for path in paths]

def ringfeeds():
    dataset = ringfeed.ImageList(paths, [0] * len(paths), transform)
    with ringfeed.DataLoader(dataset, batch_size=3, num_workers=2) as loader:
        return [image for images, _ in loader for image in images]

same = lambda a, b: len(a) == len(b) and all(map(torch.equal, a, b))
first = [each() for each in (ringfeeds, torchvisions, pillow)]
assert same(first[0], first[2])
dataset = ringfeed.ImageList(paths * 5, range(len(paths) * 5), transform)
with ringfeed.DataLoader(dataset, batch_size=1, num_workers=2) as loader:
    for images, labels in loader:
        at = int(labels) % len(paths)
        assert torch.equal(images[0], first[0][at])
        image = Image.open(paths[at])
        image.draft("RGB", (1, 1))
        image.load()
        assert torch.equal(transform(Image.open(paths[at]).convert("RGB")), first[2][at])
        data = torchvision.io.read_file(paths[at])
        assert torch.equal(torchvision.io.decode_jpeg(data), first[1][at])
        try:
            torchvision.io.decode_jpeg(data[: len(data) // 3])
        except RuntimeError:
            pass
        try:
            Image.open(io.BytesIO(bytes(data[: len(data) // 3].tolist()))).load()
        except OSError:
            pass
wrong = []
def repeat(each, expected):
    for _ in range(5):
        if not same(each(), expected):
            wrong.append(each.__name__)
threads = [threading.Thread(target=repeat, args=pair)
           for pair in zip((ringfeeds, torchvisions, pillow), first)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not wrong, wrong
print("equal")
"""
IMPORTS = {
    "ringfeed first": "import ringfeed; import torch, torchvision; from PIL import Image",
    "ringfeed last": "import torch, torchvision; from PIL import Image; import ringfeed",
}


@pytest.mark.parametrize("imports", IMPORTS.values(), ids=IMPORTS)
def test_it_works_beside_the_libjpegs_of_pillow_and_torchvision(kinds, imports):
    paths = []
    for path in kinds:
        with Image.open(path) as image:
            if image.format == "JPEG" and image.mode == "RGB":
                paths.append(path)
    paths = paths[::2]
    assert len(paths) > 5
    script = BESIDE.format(imports=imports)
    done = subprocess.run(
        [sys.executable, "-c", script, *paths], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0 and done.stdout == "equal\n", done.stderr
