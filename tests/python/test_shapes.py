"""Steps that change an image's size, in any order, against the installed torchvision, Pillow and
timm: every sample of a loader against ringfeed.replay(). Run it in an environment of each
Pillow."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from PIL import Image
from torchvision import transforms as v1
from torchvision.transforms import InterpolationMode, v2

import odd_images
import replayed
import ringfeed
from ringfeed import UnsupportedTransform
from ringfeed.transforms import compile_transform
from torchvision_reference import differing, load

SEED = 37
MODES = ["constant", "edge", "reflect", "symmetric"]
FILL = (124, 117, 104)
BICUBIC = InterpolationMode.BICUBIC


@pytest.fixture(scope="session")
def images(sample, tmp_path_factory):
    """Photos, odd files, and images smaller than a crop."""
    files = json.loads((Path(sample) / "manifest.json").read_text())["files"]
    train = [file["path"] for file in files if file["path"].startswith("train/")]
    paths = [str(Path(sample) / path) for path in train[:12]]
    folder = tmp_path_factory.mktemp("odd")
    paths += odd_images.make(folder)[::6]
    sizes = [(1, 1), (1, 40), (33, 2), (32, 32), (31, 33), (20, 90), (64, 64)]
    return paths + odd_images.noise(folder, sizes, SEED)


def mirrored_alike(paths):
    """Those whose mirrored padding is the same with every NumPy: before version 2 it repeats the
    image otherwise where it pads both sides, one of them by three times as much as it has."""
    if int(np.__version__.split(".")[0]) >= 2:
        return paths
    return [path for path in paths if min(load(path).size) >= 30]


def assert_replayed(paths, *steps, version=v1, **options):
    transform = version.Compose([*steps, v1.PILToTensor()])
    return replayed.assert_replayed(paths, transform, **options)


JITTER = v1.ColorJitter(0.4, 0.4, 0.4, 0.1)
FLIP = v1.RandomHorizontalFlip()
STEPS = {
    "flip before a crop": [FLIP, v1.RandomResizedCrop((61, 75))],
    "flip before a bicubic crop": [FLIP, v2.RandomResizedCrop(48, interpolation=BICUBIC)],
    "flip before Resize and CenterCrop": [FLIP, v1.Resize(70), v1.CenterCrop((61, 55))],
    "flip before a stretch": [FLIP, v1.Resize((33, 90), InterpolationMode.BOX)],
    "flip between Resize and CenterCrop": [v1.Resize(71), FLIP, v1.CenterCrop((60, 55))],
    "Resize, then RandomCrop": [v1.Resize(64), v1.RandomCrop((60, 51)), FLIP],
    "flip, Resize, RandomCrop": [FLIP, v1.Resize(64), v2.RandomCrop(60)],
    "CenterCrop alone": [v1.CenterCrop((61, 75))],
    "colour before the crop": [JITTER, v1.RandomResizedCrop(64)],
    "several sizes": [v1.Resize(90), v1.Pad(3), v1.RandomResizedCrop(64), v1.Resize((40, 90))],
    "a crop of a crop": [v1.RandomResizedCrop(64, scale=(0.3, 1)), v1.RandomCrop(50), JITTER],
    "rotation before the crop": [
        v1.RandomRotation(30, InterpolationMode.BILINEAR, fill=FILL),
        v1.RandomAffine(0, (0.1, 0.1), (0.8, 1.2)),
        v1.RandomAdjustSharpness(2, 0.7),
        v1.CenterCrop(64),
    ],
    "turned after a change of size": [
        v1.RandomResizedCrop(40),
        v1.Pad(12, FILL),
        v1.RandomRotation(30, BICUBIC),
    ],
    "one of several crops": [
        v1.RandomChoice([v1.RandomResizedCrop(48), v1.CenterCrop(48), v1.Resize((48, 48))])
    ],
    "steps within steps": [
        v1.RandomApply([v1.Compose([v1.Pad(5, padding_mode="edge"), v1.RandomResizedCrop(50)])]),
        v1.RandomApply([v1.Resize(99)]),
        v1.RandomOrder([v1.CenterCrop(50), FLIP, JITTER]),
        v1.CenterCrop(50),
    ],
    "a long side with a limit": [JITTER, v1.Resize(40, max_size=60), v1.CenterCrop(50)],
}


@pytest.mark.parametrize("pillow", [None, "12"])
@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_steps_in_any_order_are_torchvisions(images, steps, pillow):
    if pillow is not None and int(Image.__version__.split(".")[0]) != int(pillow):
        pytest.skip("that Pillow is not installed")
    assert_replayed(images, *steps, epochs=2, pillow=pillow)


@pytest.mark.parametrize("filter", list(InterpolationMode), ids=lambda mode: mode.value)
def test_every_filter_resizes_whole_images_as_pillow_does(images, filter):
    assert_replayed(images, v1.Grayscale(3), v1.Resize((37, 53), filter))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("version", [v1, v2], ids=["v1", "v2"])
def test_padded_crops_are_torchvisions(images, version, mode):
    if mode in ("reflect", "symmetric"):
        images = mirrored_alike(images)
    crop = version.RandomCrop(32, padding=4, pad_if_needed=True, fill=FILL, padding_mode=mode)
    rows = assert_replayed(images, crop, FLIP, version=version, epochs=2)
    assert (rows["operations"]["kind"] == "crop").any()
    sides = version.RandomCrop((90, 70), (1, 9, 30, 0), True, FILL, mode)
    assert_replayed(images, sides, version=version)
    needed = version.RandomCrop(100, pad_if_needed=True, padding_mode=mode, fill=7)
    assert_replayed(images, needed, version=version)
    pad = version.Pad([3, 50], FILL, mode)
    assert_replayed(images, pad, version.CenterCrop(80), version=version)
    assert_replayed(images, version.Resize((30, 20)), version.Pad((1, 2, 3, 40), FILL, mode))


def fixed(version):
    """Steps that draw nothing, behind one that makes the core decode the whole image."""
    turn = version.Grayscale(3)
    steps = {
        f"Pad by {mode}": [version.Pad((1, 7, 3, 12), FILL, mode), version.Resize((30, 20))]
        for mode in MODES
    }
    steps |= {
        f"Resize by {filter.value}": [turn, version.Resize((37, 53), filter)]
        for filter in InterpolationMode
    }
    steps["Pad of one number"] = [version.Pad(5, 77), version.CenterCrop((90, 80))]
    steps["Pad below 0"] = [version.Pad((-3, 4, 9, -5), FILL), version.CenterCrop(60)]
    steps["Pad by a mode that needs no colour"] = [
        version.Pad(9, fill=300, padding_mode="edge"),
        version.CenterCrop(40),
    ]
    steps["Resize of the shorter side"] = [
        turn,
        version.Resize(40, BICUBIC, max_size=60),
        version.CenterCrop((90, 40)),
    ]
    steps["RandomCrop of all, whose colour is not needed"] = [
        turn,
        version.Resize((30, 20)),
        version.RandomCrop((30, 20), fill=300),
    ]
    steps["CenterCrop of more than the image"] = [turn, version.CenterCrop((70, 45))]
    return [
        pytest.param(each, version, id=f"{'v1' if version is v1 else 'v2'} {name}")
        for name, each in steps.items()
    ]


@pytest.mark.parametrize("steps, version", [*fixed(v1), *fixed(v2)])
def test_steps_without_a_draw_give_torchvisions_own_result(images, steps, version):
    paths = [path for path in images if min(load(path).size) > 20]
    transform = version.Compose([*steps, v1.PILToTensor()])
    dataset = ringfeed.ImageList(paths, [0] * len(paths), transform)
    with ringfeed.DataLoader(dataset, batch_size=8, num_workers=2) as loader:
        made = torch.cat([images for images, _ in loader])
    for path, got in zip(paths, made, strict=True):
        assert not differing(got, transform(load(path))), path


@pytest.mark.parametrize("version", [v1, v2], ids=["v1", "v2"])
def test_the_window_of_a_padded_crop_reaches_as_far_as_its_padding(tmp_path, version):
    path = str(tmp_path / "a.png")
    Image.new("RGB", (30, 40)).save(path)
    crop = version.RandomCrop((32, 28), (1, 9, 3, 5), fill=FILL, padding_mode="edge")
    colour = version.RandomCrop((32, 28), (1, 9, 3, 5), fill=FILL)
    for step, mode, fill in ((crop, "edge", (0, 0, 0)), (colour, "constant", FILL)):
        transform = version.Compose([step, v1.PILToTensor()])
        dataset = ringfeed.ImageList([path] * 2000, [0] * 2000, transform)
        with ringfeed.DataLoader(dataset, batch_size=8, num_workers=1, seed=SEED) as loader:
            rows = loader.draws(0)["operations"][:, 0]
        top, left, height, width, modes = rows["values"][:, :5].astype(int).T
        assert (top.min(), top.max(), left.min(), left.max()) == (-9, 13, -1, 5), f"seed {SEED}"
        assert {*height, *width, *modes} == {32, 28, MODES.index(mode)}
        assert (rows["fill"] == fill).all()


@pytest.mark.parametrize("version", [v1, v2], ids=["v1", "v2"])
@pytest.mark.parametrize("mode", MODES)
def test_a_random_crop_cuts_what_torchvision_cuts_at_that_place(
    monkeypatch, tmp_path, version, mode
):
    """The whole way of torchvision's RandomCrop, its padding included, at the row's offsets."""
    # What was padded by `padding` is padded anew where it does not do; v2 pads once by the sum,
    # and of constants and edges that is the same.
    twice = version is v1 and mode in ("reflect", "symmetric")
    crop = version.RandomCrop((20, 18), (2, 1, 3, 4), True, FILL, mode)
    transform = version.Compose([crop, v1.PILToTensor()])
    for path in odd_images.noise(tmp_path, [(8, 7), (1, 1), (1, 9), (30, 6), (40, 41)], SEED):
        image = load(path)
        dataset = ringfeed.ImageList([path] * 20, [0] * 20, transform)
        with ringfeed.DataLoader(dataset, batch_size=20, num_workers=1, seed=SEED) as loader:
            rows = loader.draws(0)["operations"]
            ((images, _),) = loader
        for row, got in zip(rows, images, strict=True):
            done = row[row["kind"] != ""]
            assert len(done) == 1 + twice
            before = np.zeros(2) if twice else np.array([1, 2])
            lacking = np.maximum(0, [20 - image.height - 5, 18 - image.width - 5])
            offsets = iter((done[-1]["values"][:2] + before + lacking).astype(int).tolist())
            with monkeypatch.context() as patch:
                patch.setattr(
                    torch,
                    "randint",
                    lambda low, high, size, o=offsets, **_: torch.full(size, next(o)),
                )
                wanted = transform(image)
            assert next(offsets, None) is None
            assert not differing(got, wanted), f"seed {SEED}, {path}, {done}"


def test_offsets_of_a_random_crop_are_uniform(tmp_path):
    path = str(tmp_path / "a.png")
    Image.new("RGB", (9, 8)).save(path)
    transform = v1.Compose([v1.RandomCrop(6, padding=1), v1.PILToTensor()])
    dataset = ringfeed.ImageList([path] * 25_000, [0] * 25_000, transform)
    with ringfeed.DataLoader(dataset, batch_size=8, num_workers=1, seed=SEED) as loader:
        rows = np.concatenate([loader.draws(epoch) for epoch in range(4)])
    places = rows["operations"]["values"][:, 0, :2].astype(int) + 1
    counts = np.zeros((5, 6))
    np.add.at(counts, tuple(places.T), 1)
    expected = len(rows) / 30
    assert (abs(counts - expected) < 6 * np.sqrt(expected)).all(), f"seed {SEED}: {counts}"


def test_the_place_of_a_crop_while_decoding_is_in_the_row(images):
    big = [path for path in images if min(load(path).size) >= 30]
    rows = assert_replayed(big, v1.RandomCrop((30, 20)))
    assert set(rows["height"]) == {30} and set(rows["width"]) == {20}
    assert "operations" not in rows.dtype.names
    assert len(set(rows["left"])) > 3


def test_an_image_smaller_than_the_crop_fails_by_name(images):
    small = [path for path in images if path.endswith("/20x90.png")]
    assert len(small) == 1
    for steps in ([v1.RandomCrop(32)], [JITTER, v1.RandomCrop(32)]):
        dataset = ringfeed.ImageList(small, [0], v1.Compose([*steps, v1.PILToTensor()]))
        with (
            ringfeed.DataLoader(dataset, batch_size=1, num_workers=1) as loader,
            pytest.raises(ringfeed.LoadError, match=r"20x90.*20 x 90.*RandomCrop of 32 x 32"),
        ):
            next(iter(loader))
        with (
            ringfeed.DataLoader(dataset, batch_size=1, num_workers=1) as loader,
            pytest.raises(ringfeed.LoadError, match=r"20x90.*20 x 90.*RandomCrop of 32 x 32"),
        ):
            loader.draws(0)


def test_a_giant_image_fails_by_the_limits_name(images):
    big = [path for path in images if path.endswith("/64x64.png")]
    assert len(big) == 1
    transform = v1.Compose([JITTER, v1.RandomResizedCrop(32), v1.PILToTensor()])
    dataset = ringfeed.ImageList(big, [0], transform)
    limits = ringfeed.DecodeLimits(max_canvas_bytes=64 * 64 * 3)  # and no slack
    with (
        ringfeed.DataLoader(dataset, batch_size=1, num_workers=1, limits=limits) as loader,
        pytest.raises(ringfeed.LoadError, match=r"64x64.*max_canvas_bytes=\.\.\."),
    ):
        next(iter(loader))
    enough = ringfeed.DecodeLimits(max_canvas_bytes=64 * 64 * 3 + 64)
    with ringfeed.DataLoader(dataset, batch_size=1, num_workers=1, limits=enough) as loader:
        next(iter(loader))


class OwnCrop(v1.RandomResizedCrop):
    @staticmethod
    def get_params(img, scale, ratio):
        return 0, 0, 10, 10


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([v1.Resize(40)], "different shapes"),
        ([v1.RandomApply([v1.CenterCrop(40)])], "different shapes"),
        ([v1.RandAugment(), v1.CenterCrop(40)], "RandAugment.*size of the image"),
        ([v1.FiveCrop(40)], "FiveCrop.*several images"),
        ([v2.TenCrop(40)], "TenCrop.*several images"),
        ([OwnCrop(40)], "its own get_params"),
        ([v1.RandomCrop(40, padding=-3)], "RandomCrop.*0 or more"),
        ([v1.Pad(-3, padding_mode="edge"), v1.CenterCrop(40)], "padding below 0"),
        ([v1.PILToTensor(), v1.CenterCrop(40)], "after PILToTensor"),
        ([v1.Pad(9, fill=300), v1.CenterCrop(40)], r"fill must be a number in \[0, 255\]"),
        ([v1.Resize((8192, 8192)), v1.Pad(1)], r"step 2, Pad.*8194 x 8194.*8192 on a side"),
        ([v1.CenterCrop(10), v1.Pad(-5)], r"step 2, Pad.*leaves nothing of images of 10 x 10"),
        ([v1.CenterCrop((4, 10)), v1.Pad((0, -2))], r"step 2, Pad.*nothing of images of 4 x 10"),
        ([v1.CenterCrop(10), v1.Pad(-6), v1.CenterCrop(4)], r"step 2, Pad.*leaves nothing"),
        ([v1.CenterCrop(9), v1.RandomApply([v1.Pad(-5)]), v1.CenterCrop(4)], r"step 2.1, Pad"),
        ([v1.CenterCrop(30), v1.Pad(0), v1.RandomCrop(32)], r"step 3.*30 x 30.*pad_if_needed"),
        ([v1.CenterCrop(30), v1.RandomCrop(32, (0, 1))], r"RandomCrop.*32 x 30 pixels here"),
        ([v1.Resize((20, 20)), v1.RandomCrop(32)], r"step 2, RandomCrop.*20 x 20 pixels here"),
        (
            [v1.Resize((9, 8192)), v1.Pad(4097), v1.CenterCrop(9)],
            r"step 2, Pad.*8203 x 16386.*16384",
        ),
        (
            [v1.CenterCrop((1, 9)), v1.Resize(8000), v1.CenterCrop(9)],
            r"step 2, Resize.*8000 x 72000",
        ),
    ],
)
def test_what_cannot_be_exact_is_refused_by_name(steps, message):
    transform = v1.Compose([*steps, v1.PILToTensor()])
    with pytest.raises(UnsupportedTransform, match=message):
        compile_transform(transform, dtype=None, channels_last=False, pillow=None)


NEVER = {
    "of no probability": v1.RandomApply([v1.RandomCrop(32), v1.Pad(-20)], p=0.0),
    "of no weight": v1.RandomChoice([v1.RandomCrop(32), v1.RandomCrop(20)], p=[0, 1]),
}


@pytest.mark.parametrize("step", NEVER.values(), ids=NEVER)
def test_what_never_happens_is_not_asked_whether_it_could(images, step):
    assert_replayed(images, v1.CenterCrop(30), step)


def test_a_loader_says_that_it_decodes_whole_images(images):
    for steps, whole in (([JITTER, v1.CenterCrop(9)], True), ([v1.CenterCrop(9), JITTER], False)):
        dataset = ringfeed.ImageList(images[:1], [0], v1.Compose([*steps, v1.PILToTensor()]))
        with ringfeed.DataLoader(dataset, batch_size=1, num_workers=1) as loader:
            assert ("decodes whole images" in repr(loader)) == whole
