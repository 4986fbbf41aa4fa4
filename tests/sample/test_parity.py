"""Whole transforms against the installed torchvision and Pillow, bit for bit: files go through the
decode_tensor of the build folder that $RINGFEED_BUILD names and through torchvision. Train's crops
and flips are ringfeed's own draws, whose distribution is compared with torchvision's; val's
geometry is torchvision's own."""

import collections
import functools
import json
import math
import os
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

import numpy as np
import PIL
from PIL import Image
from torchvision import transforms as v1
from torchvision.transforms import v2

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY / "tests/python"))

import odd_images

PILLOW = 13 if int(PIL.__version__.split(".")[0]) >= 13 else 12  # whose resize it has
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
INTEGERS = {
    torch.float32: torch.int32,
    torch.float16: torch.int16,
    torch.bfloat16: torch.int16,
    torch.uint8: torch.uint8,
}
HEAD = struct.Struct("<13i")
Reply = collections.namedtuple(
    "Reply",
    "failed top left height width resized_height resized_width window_top window_left out_height "
    "out_width hflip body",
)


@dataclass(frozen=True)
class Case:
    """One transform, as options of decode_tensor and as torchvision's own objects."""

    transform: str
    size: tuple = (224, 224)
    resize: int | tuple | None = 256
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    v2: bool = False

    def __str__(self):
        parts = [self.transform, *map(str, self.size), str(self.dtype).removeprefix("torch.")]
        parts += [f"resize {self.resize}"] * (self.resize != 256)
        return "-".join(parts + ["channels_last"] * self.channels_last + ["v2"] * self.v2)

    def options(self):
        yield from ("--transform", self.transform, "--size", *self.size)
        exact = isinstance(self.resize, tuple)
        yield from ("--resize", 0 if exact else self.resize or 0)
        yield from ("--resize-to", *(self.resize if exact else (0, 0)))
        yield from ("--dtype", str(self.dtype).removeprefix("torch."), "--pillow", PILLOW)
        yield from ["--channels-last"] * self.channels_last + ["--v2"] * self.v2

    def expected(self, image, reply):
        """torchvision's batch of one, with train's crop and flip as `reply` says."""
        t = v2 if self.v2 else v1
        f = t.functional
        if self.transform == "train":
            box = reply.top, reply.left, reply.height, reply.width
            image = f.resized_crop(image, *box, list(self.size), antialias=True)
            image = f.hflip(image) if reply.hflip else image
        else:
            image = image if self.resize is None else t.Resize(self.resize)(image)
            image = t.CenterCrop(self.size)(image)
        if self.dtype == torch.uint8:
            tensor = f.pil_to_tensor(image)
        elif self.v2:
            tensor = v2.ToDtype(torch.float32, scale=True)(v2.ToImage()(image))
        else:
            tensor = v1.ToTensor()(image)
        if self.dtype != torch.uint8:
            tensor = t.Normalize(MEAN, STD)(tensor).to(self.dtype)
        order = torch.channels_last if self.channels_last else torch.contiguous_format
        return tensor.as_subclass(torch.Tensor)[None].contiguous(memory_format=order)

    def differing(self, expected, reply):
        """How many values of the reply's tensor are not the expected one's, bit for bit."""
        got = torch.frombuffer(bytearray(reply.body), dtype=self.dtype)
        got = got.as_strided(expected.shape, expected.stride())
        return int((got.view(INTEGERS[self.dtype]) != expected.view(INTEGERS[self.dtype])).sum())


@functools.lru_cache(maxsize=256)
def load(path):
    """torchvision's pil_loader."""
    with open(path, "rb") as file:
        return Image.open(file).convert("RGB")


@pytest.fixture(scope="session")
def decode_tensor():
    """decode_tensor(*options, stdin=file) starts the tool."""
    build = os.environ.get("RINGFEED_BUILD")
    if not build:
        pytest.fail("RINGFEED_BUILD names no Meson build folder", pytrace=False)
    tool = Path(build, "tests", "sample", "decode_tensor").resolve()

    def start(*options, stdin=subprocess.DEVNULL):
        return subprocess.Popen([tool, *map(str, options)], stdin=stdin, stdout=subprocess.PIPE)

    return start


@pytest.fixture
def replies(decode_tensor, tmp_path):
    """replies(case, files, seed) -> the reply for each file, at position 0, 1, ..."""

    def run(case, files, seed=0):
        listing = tmp_path / "listing"
        listing.write_text("".join(f"{i} {path}\n" for i, path in enumerate(files)))
        with open(listing) as stdin:
            process = decode_tensor(*case.options(), "--seed", seed, stdin=stdin)
        with process:
            for _ in files:
                *numbers, size = HEAD.unpack(process.stdout.read(HEAD.size))
                yield Reply(*numbers, process.stdout.read(size))
            assert process.stdout.read() == b""
        assert process.returncode == 0

    return run


@pytest.fixture
def compare(replies):
    """compare(case, files) -> the replies without their tensors, once every tensor was found
    equal to torchvision's."""

    def run(case, files, seed=0):
        kept, wrong = [], []
        for path, reply in zip(files, replies(case, files, seed)):
            assert not reply.failed, f"{path}: {reply.body.decode()}"
            differing = case.differing(case.expected(load(path), reply), reply)
            reply = reply._replace(body=None)
            if differing:
                wrong.append(f"{path}: {differing} values differ, position {len(kept)}, {reply}")
            kept.append(reply)
        assert not wrong, f"{len(wrong)} of {len(files)} differ:\n" + "\n".join(wrong[:5])
        assert len(kept) == len(files)
        return kept

    return run


@pytest.fixture(scope="session")
def manifest(tmp_path_factory):
    """What make_sample.py says of its files, paths made absolute: ./sample where it was made, else
    a smaller set."""
    root = REPOSITORY / "sample"
    if not (root / "manifest.json").exists():
        root = tmp_path_factory.mktemp("sample")
        script = REPOSITORY / "tools" / "make_sample.py"
        few = ["--train-per-class", "8", "--val-per-class", "4"]
        subprocess.run([sys.executable, script, *few, root], check=True)
    files = json.loads((root / "manifest.json").read_text())["files"]
    kinds = {file["kind"] for file in files} | {file["subsampling"] for file in files}
    assert kinds >= {"plain", "progressive", "gray", "cmyk", "exif", "png", "4:4:4"}
    return [{**file, "path": str(root / file["path"])} for file in files]


@pytest.fixture(scope="session")
def train_files(manifest):
    return [file["path"] for file in manifest if "/train/" in file["path"]]


@pytest.fixture(scope="session")
def val_files(manifest):
    return [file["path"] for file in manifest if "/val/" in file["path"]]


@pytest.fixture(scope="session")
def few_files(manifest):
    """At most three of each kind and subsampling."""
    groups = collections.defaultdict(list)
    for file in manifest:
        groups[file["kind"], file["subsampling"]].append(file["path"])
    return [path for group in groups.values() for path in group[:3]]


@pytest.fixture(scope="session")
def odd_files(tmp_path_factory):
    return odd_images.make(tmp_path_factory.mktemp("odd"))


@pytest.fixture(autouse=True)
def one_torch_thread():
    """The tool runs beside it, and the tensors are small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def vertical_first(reply):
    """Pillow 13 resizes these otherwise than Pillow 12."""
    rows = reply.height - reply.resized_height
    return rows > 0 and rows > 2 * (reply.width - reply.resized_width)


def test_train_equals_torchvision_on_two_thousand_draws(compare, train_files):
    files = train_files * math.ceil(2000 / len(train_files))
    kept = compare(Case("train"), files, seed=1)
    assert len(kept) >= 2000
    assert sum(map(vertical_first, kept)) > 100
    assert 0.4 < sum(reply.hflip for reply in kept) / len(kept) < 0.6


def test_val_equals_torchvision_on_every_file(compare, val_files):
    compare(Case("val"), val_files)


FLOATS = (torch.float32, torch.float16, torch.bfloat16)
OUTPUTS = [
    dict(dtype=dtype, channels_last=last, v2=flavour)
    for dtype in FLOATS
    for last in (False, True)
    for flavour in (False, True)
] + [dict(dtype=torch.uint8, channels_last=last) for last in (False, True)]
TRAIN_SIZES = [(97, 161), (33, 320), (301, 47), (299, 299), (1, 1), (2, 3)]
VAL_SIZES = [
    *[(232, (224, 224)), (256, (101, 255)), (257, (256, 1)), (64, (63, 64)), (11, (8, 5))],
    *[
        (100, (224, 224)),
        (256, (300, 301)),
        (255, (257, 256)),
        (31, (40, 7)),
        (1, (3, 2)),
    ],  # padded
]


@pytest.mark.parametrize("case", [Case("train", **output) for output in OUTPUTS], ids=str)
def test_train_equals_torchvision_in_every_form_of_output(compare, few_files, case):
    compare(case, few_files * 2, seed=2)


@pytest.mark.parametrize("case", [Case("val", **output) for output in OUTPUTS], ids=str)
def test_val_equals_torchvision_in_every_form_of_output(compare, few_files, case):
    compare(case, few_files)


@pytest.mark.parametrize("case", [Case("train", size) for size in TRAIN_SIZES], ids=str)
def test_train_equals_torchvision_at_odd_sizes(compare, few_files, odd_files, case):
    compare(case, few_files + odd_files, seed=3)


@pytest.mark.parametrize("case", [Case("val", size, resize) for resize, size in VAL_SIZES], ids=str)
def test_val_equals_torchvision_at_odd_sizes_and_padded(compare, few_files, odd_files, case):
    compare(case, few_files + odd_files)


# Exact sizes (both ways of rounding in one image, upscaled and not), and none: CenterCrop alone.
EXACT_SIZES = [
    *[
        ((224, 224), (224, 224)),
        ((256, 256), (224, 224)),
        ((300, 40), (298, 33)),
        ((9, 700), (8, 5)),
    ],
    *[((64, 48), (70, 47)), ((1, 1), (1, 1)), ((1, 3), (4, 2)), ((256, 300), (300, 256))],  # padded
    *[(None, (224, 224)), (None, (1, 1)), (None, (31, 598)), (None, (97, 640)), (None, (501, 3))],
]


@pytest.mark.parametrize("case", [Case("val", size, to) for to, size in EXACT_SIZES], ids=str)
def test_exact_and_no_resize_equal_torchvision(compare, few_files, odd_files, case):
    compare(case, few_files + odd_files)


@pytest.mark.parametrize("resize", [(331, 123), None], ids=str)
@pytest.mark.parametrize("output", OUTPUTS[1::3], ids=str)
def test_exact_and_no_resize_equal_torchvision_in_other_outputs(compare, few_files, resize, output):
    compare(Case("val", (301, 120), resize, **output), few_files)


@pytest.mark.skipif(
    tuple(map(int, PIL.__version__.split(".")[:2])) < (12, 2), reason="Pillow 12.2 began with it"
)
@pytest.mark.parametrize("resize", [1, 2])
def test_val_equals_torchvision_past_a_hundred_times_as_tall_as_wide(compare, tmp_path, resize):
    files, rng = [], np.random.default_rng(9)
    for width, height in [(3, 300), (3, 301), (2, 900), (5, 499), (5, 501), (301, 3)]:
        files.append(str(tmp_path / f"{width}x{height}.png"))
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(files[-1])
    compare(Case("val", (130, 2), resize), files)
    compare(Case("val", (130, 2), (130 // resize, 2)), files)


def test_a_truncated_file_is_refused_and_spoils_no_other(replies, few_files, tmp_path):
    cut = tmp_path / "cut.JPEG"
    whole = Path(few_files[0]).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OSError, match="truncated"):
        load(str(cut))
    case = Case("train")
    first, refused, last = replies(case, [few_files[0], cut, few_files[0]])
    assert refused.failed and b"truncated" in refused.body
    for reply in (first, last):
        assert case.differing(case.expected(load(few_files[0]), reply), reply) == 0


def draws(decode_tensor, height, width, count, seed):
    """Geometries for images of that size, a column a field."""
    options = ["--draws", height, width, count, "--seed", seed]
    output, _ = decode_tensor(*options).communicate()
    table = np.frombuffer(output, "<i4").reshape(count, 13)
    return Reply(*table.T)


@pytest.mark.parametrize("height, width", [(1, 1), (2, 3), (1, 60), (60, 1), (375, 500), (2000, 9)])
def test_crops_lie_inside_the_image(decode_tensor, height, width):
    drawn = draws(decode_tensor, height, width, 5000, seed=4)
    assert (drawn.top >= 0).all() and (drawn.left >= 0).all()
    assert (drawn.height > 0).all() and (drawn.top + drawn.height <= height).all()
    assert (drawn.width > 0).all() and (drawn.left + drawn.width <= width).all()


def furthest_apart(a, b):
    """The Kolmogorov-Smirnov distance of two samples."""
    at = np.concatenate([a, b])
    share = [np.searchsorted(np.sort(x), at, side="right") / len(x) for x in (a, b)]
    return np.abs(share[0] - share[1]).max()


# In the second size the ten tries fail every other time.
@pytest.mark.parametrize("height, width", [(375, 500), (500, 90)])
def test_crops_are_distributed_as_torchvisions(decode_tensor, height, width):
    count = 20000
    drawn = draws(decode_tensor, height, width, count, seed=5)
    ours = np.stack([drawn.top, drawn.left, drawn.height, drawn.width]).astype(float)
    image = Image.new("L", (width, height))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        crop = functools.partial(
            v1.RandomResizedCrop.get_params, image, scale=[0.08, 1.0], ratio=[3 / 4, 4 / 3]
        )
        theirs = np.array([crop() for _ in range(count)], float).T

    def features(top, left, crop_height, crop_width):
        yield "area", crop_height * crop_width / (height * width)
        yield "log ratio", np.log(crop_width / crop_height)
        yield "top", top / np.maximum(1, height - crop_height)
        yield "left", left / np.maximum(1, width - crop_width)

    # Two equal distributions are so far apart once in a million pairs of samples.
    limit = math.sqrt(math.log(2e6) / count)
    for (name, a), (_, b) in zip(features(*ours), features(*theirs)):
        assert furthest_apart(a, b) < limit, name


def test_flips_are_as_frequent_as_torchvisions(decode_tensor):
    count = 20000
    ours = draws(decode_tensor, 375, 500, count, seed=7).hflip.mean()
    flip, image = v1.RandomHorizontalFlip(), torch.tensor([[[0.0, 1.0]]])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(8)
        theirs = sum(float(flip(image)[0, 0, 0]) for _ in range(count)) / count
    assert abs(ours - theirs) < 5 * math.sqrt(2 * 0.25 / count)
