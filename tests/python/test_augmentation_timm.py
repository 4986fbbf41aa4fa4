"""timm's policies: what a loader yields against ringfeed.replay(), that against timm's own
operations, and what is drawn, and how often, against timm's own draws."""

from __future__ import annotations

import collections
import json
import math
import os
import random
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm", minversion="1.0.31")
aa = pytest.importorskip("timm.data.auto_augment")

from PIL import Image
from torchvision import transforms as v1

import drawn
import odd_images
from drawn import furthest_apart
from replayed import SEED, assert_replayed, kinds
from ringfeed import UnsupportedTransform, _replay
from ringfeed.transforms import compile_transform

EPOCHS = int(os.environ.get("RINGFEED_TEST_EPOCHS", "1"))  # many more by night
MEAN = (124, 116, 104)


def hparams(**more):
    return {"translate_const": 100, "img_mean": MEAN, **more}


POLICIES = {
    aa.rand_augment_transform: [
        "rand-m9-mstd0.5-inc1",
        "rand-m7-n3-p0.9",
        "rand-m15-mstd101-mmax20",
        "rand-m9-n3-mstd0.5-tweights",
        "rand-m9-n2-t3a",
        "rand-m6-n4-p1-t3aw",
    ],
    aa.auto_augment_transform: ["original", "originalr-mstd0.5", "v0", "v0r", "3a"],
    aa.augment_and_mix_transform: ["augmix-m5-w4-d2", "augmix-m3", "augmix-m8-w2-b1-mstd1"],
}
POLICIES = {name: partial(make, name) for make, names in POLICIES.items() for name in names}


@pytest.fixture(scope="session")
def images(sample, tmp_path_factory):
    files = json.loads((Path(sample) / "manifest.json").read_text())["files"]
    train = [file["path"] for file in files if file["path"].startswith("train/")]
    paths = [str(Path(sample) / path) for path in train[:100]]
    return paths + odd_images.make(tmp_path_factory.mktemp("odd"))[::6]


def recipe(*steps, size=(61, 75)):
    return v1.Compose([v1.RandomResizedCrop(size, (0.3, 1)), *steps, v1.PILToTensor()])


@pytest.mark.parametrize("interpolation", [None, Image.NEAREST, Image.BILINEAR, Image.BICUBIC])
@pytest.mark.parametrize("name", POLICIES)
def test_policies_are_pillows(images, name, interpolation):
    options = {} if interpolation is None else {"interpolation": interpolation}
    step = POLICIES[name](hparams(**options))
    done = kinds(assert_replayed(images, recipe(step), epochs=EPOCHS))
    print(done.total(), "operations:", dict(done))
    assert done.total() > EPOCHS * len(images) / 2 and len(done) >= 2


@pytest.mark.parametrize("size", [(224, 224), (1, 1), (3, 130), (97, 2)])
def test_policies_are_pillows_at_other_sizes(images, size):
    steps = [POLICIES[name](hparams()) for name in ("rand-m9-mstd0.5-inc1", "augmix-m3", "3a")]
    assert_replayed(images, recipe(*steps, size=size))


@pytest.fixture
def rows_of(tmp_path):
    """rows_of(transform, count) -> the draws of `count` samples, all of one image."""
    return lambda transform, count: drawn.rows_of(tmp_path, transform, count, SEED)


def distinct(rows):
    """One row of each set of operations."""
    return {row["operations"].tobytes(): row for row in rows}.values()


def applied(op, image):
    """timm's result; black where it keeps no bit, which Pillow refuses from version 13 on."""
    try:
        return op(image)
    except ValueError as error:
        assert op.name.startswith("Posterize") and "bits must be" in str(error)
        return Image.new("RGB", image.size)


MODES = {None: aa._RANDOM_INTERPOLATION, "nearest": 0, "sequence": [0, 3]}


DRAWN = ("Rotate", "ShearX", "ShearY")
DRAWN += ("TranslateX", "TranslateY", "TranslateXRel", "TranslateYRel")


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (name, mode)
        for name in sorted(aa.NAME_TO_OP.keys() - {"GaussianBlurRand"})
        for mode in (MODES if name in DRAWN else [None])
    ],
)
def test_every_operation_and_level_is_timms(rows_of, name, mode):
    """All that a row can say, applied with Pillow, gives what timm's own function can give."""
    size = 61, 75
    pixels = np.random.default_rng(SEED).integers(0, 256, (*size, 3), np.uint8)
    pixels[: size[0] // 2, :, 1] //= 3
    image = Image.fromarray(pixels)
    options = {} if mode is None else {"interpolation": MODES[mode]}
    for magnitude in (0, 0.5, 1, 2, 3, 4, 5.5, 6, 7, 8, 9, 10, 13):
        op = aa.AugmentOp(name, 1, magnitude, hparams(magnitude_max=12, **options))
        ours = {
            _replay._operations(row, image).tobytes()
            for row in distinct(rows_of(recipe(op, size=size), 60))
        }
        choices = MODES[mode] if isinstance(MODES[mode], list | tuple) else [MODES[mode]]
        theirs = set()
        for sign in (0.0, 1.0):
            for choice in choices:
                with (
                    mock.patch.object(random, "random", lambda sign=sign: sign),
                    mock.patch.object(random, "choice", lambda _, choice=choice: choice),
                ):
                    theirs.add(applied(op, image).tobytes())
        assert ours == theirs, (name, magnitude)


def numbers_of_timm(op, count):
    """What timm's function is called with, `count` times; NaN where it is not."""
    found = []
    state = random.getstate()
    random.seed(SEED)
    with mock.patch.object(op, "aug_fn", lambda image, value, **_: value):
        for _ in range(count):
            value = op(None)
            found.append(math.nan if value is None else value)
    random.setstate(state)
    return np.array(found, float)


NOISE = {"none": 0, "some": 0.5, "much": 4.0, "uniform": math.inf}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("name", ["ShearX", "ColorIncreasing", "Desaturate", "SolarizeAdd"])
def test_magnitudes_signs_and_probabilities_are_drawn_as_timms(rows_of, name, noise):
    count = 40_000
    op = aa.AugmentOp(name, 0.7, 9, hparams(magnitude_std=NOISE[noise]))
    rows = rows_of(recipe(op), count)["operations"][:, 0]
    values = rows["values"][:, 1 if name == "ShearX" else 0]
    ours = values[rows["kind"] != ""]
    theirs = numbers_of_timm(op, count)
    if name == "Desaturate":  # timm's function has the last step of it
        theirs = np.minimum(1, np.maximum(0, 1 - theirs))
    theirs = theirs[~np.isnan(theirs)]
    assert abs(len(ours) - 0.7 * count) < 6 * math.sqrt(0.21 * count), SEED
    limit = math.sqrt(math.log(2e6) / len(theirs))
    assert furthest_apart(ours, theirs) < limit, SEED


def test_a_random_blurs_radius_is_drawn_as_timms(rows_of):
    count = 40_000
    for magnitude in (0, 4, 10):
        op = aa.AugmentOp("GaussianBlurRand", 1, magnitude, hparams())
        ours = rows_of(recipe(op), count)["operations"]["values"][:, 0, 0]
        high = 2.0 * op.level_fn(magnitude, None)[0]
        theirs = 0.1 + (high - 0.1) * np.linspace(0, 1, count)
        assert furthest_apart(ours, theirs) < math.sqrt(math.log(2e6) / count), SEED


def choices_of_timm(policy, count):
    """How often each row of operations' names is chosen."""
    found, done = collections.Counter(), []
    state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(SEED)
    np.random.seed(SEED)

    def record(op, image):
        done.append(op.name)
        return image

    with mock.patch.object(aa.AugmentOp, "__call__", record):
        for _ in range(count):
            policy(Image.new("RGB", (2, 2)))
            found[tuple(done)] += 1
            done.clear()
    random.setstate(state)
    np.random.set_state(numpy_state)
    return found


# Each of timm's names that these policies hold becomes another kind of operation.
TOLD_APART = ("AutoContrast", "Equalize", "Invert", "PosterizeIncreasing", "SolarizeAdd")
TOLD_APART += ("ColorIncreasing", "SharpnessIncreasing", "Rotate")
KINDS = ("autocontrast", "equalize", "invert", "posterize", "solarize_add")
KINDS += ("saturation", "sharpness", "affine")


def told_apart(weights=None, count=2):
    ops = [aa.AugmentOp(name, 1, 5, hparams()) for name in TOLD_APART]
    return aa.RandAugment(ops, count, weights)


@pytest.mark.parametrize("weights", [None, [0.3, 0.25, 0.2, 0.1, 0.05, 0.06, 0.04, 0]])
def test_operations_are_chosen_as_often_as_timms(rows_of, weights):
    """Those of choice_weights without repeating one."""
    count = 60_000
    policy = told_apart(weights, 3)
    rows = rows_of(recipe(policy), count)["operations"]["kind"]
    names = dict(zip(KINDS, TOLD_APART, strict=True))
    ours = collections.Counter(tuple(names[str(kind)] for kind in row) for row in rows)
    theirs = choices_of_timm(policy, count // 4)
    assert_as_often(ours, theirs, count)


def assert_as_often(ours, theirs, count):
    for key in ours.keys() | theirs.keys():
        one, other = ours[key] / ours.total(), theirs[key] / theirs.total()
        spread = math.sqrt(max(one, other) * (1 / ours.total() + 1 / theirs.total()))
        assert abs(one - other) < 6 * spread + 1e-4, (SEED, key)


def test_sub_policies_are_chosen_alike(rows_of):
    count = 50_000
    policy = aa.AutoAugment([[op] for op in told_apart().ops])
    rows = rows_of(recipe(policy), count)["operations"]["kind"][:, 0]
    found = collections.Counter(map(str, rows))
    assert set(found) == set(KINDS)
    assert all(abs(n / count - 1 / 8) < 6 * math.sqrt(7 / 64 / count) for n in found.values()), SEED


@pytest.mark.parametrize("blended", [False, True])
@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_aug_mix_draws_as_timm(rows_of, alpha, blended):
    count, width = 30_000, 3
    ops = told_apart().ops
    mix = aa.AugMixAugment(ops, alpha, width, -1, blended)
    rows = rows_of(recipe(mix), count)["operations"]
    kinds, values = rows["kind"], rows["values"][..., 0]
    chains = values[(kinds == "mix_add") | (kinds == "mix_blend")].reshape(count, width)
    state = np.random.get_state()
    np.random.seed(SEED)
    n = count // 3
    weights = np.float32(np.random.dirichlet([alpha] * width, n))
    shares = np.float32(np.random.beta(alpha, alpha, n))
    np.random.set_state(state)
    if blended:
        theirs = np.array(
            [mix._calc_blended_weights(w, m) for w, m in zip(weights, shares, strict=True)]
        )
    else:
        theirs = weights
        ends = values[kinds == "mix_end"]
        assert furthest_apart(ends, shares) < math.sqrt(math.log(2e6) / n), SEED
        assert np.abs(chains.sum(1) - 1).max() < 1e-6
    for chain in range(width):
        assert furthest_apart(chains[:, chain], theirs[:, chain]) < math.sqrt(math.log(2e6) / n)
    # As many links as 1, 2 or 3, each of the operations.
    lengths = np.isin(kinds, KINDS).sum(1)
    assert set(lengths) == set(range(3, 10))
    assert abs(lengths.mean() - 6) < 6 * math.sqrt(2 / count)
    links = collections.Counter(map(str, kinds[np.isin(kinds, KINDS)]))
    total = links.total()
    assert all(abs(m / total - 1 / 8) < 6 * math.sqrt(7 / 64 / total) for m in links.values()), SEED


@pytest.mark.parametrize("blended", [False, True])
def test_a_mix_is_timms_for_the_same_weights(rows_of, blended):
    """timm's own AugMixAugment, told to draw what a row says."""
    image = Image.fromarray(np.random.default_rng(SEED).integers(0, 256, (61, 75, 3), np.uint8))
    ops = [
        op for op in told_apart().ops if op.name not in ("ColorIncreasing", "SharpnessIncreasing")
    ]
    by_kind = dict(zip(KINDS, told_apart().ops, strict=True))
    mix = aa.AugMixAugment(ops[:-1], 1.0, 3, -1, blended)
    for row in rows_of(recipe(mix), 40):
        chains, weights, end, chain = [], [], 0.0, []
        for operation in row["operations"]:
            kind, value = str(operation["kind"]), operation["values"][0]
            if kind in ("mix_add", "mix_blend"):
                chains.append(chain)
                weights.append(value)
                chain = []
            elif kind == "mix_end":
                end = value
            elif kind in by_kind:
                chain.append(by_kind[kind])
        left = iter(chains)
        with (
            mock.patch.object(np.random, "dirichlet", lambda _, w=weights: np.array(w)),
            mock.patch.object(np.random, "beta", lambda a, b, m=end: m),
            mock.patch.object(mix, "_calc_blended_weights", lambda w, m: np.float32(w)),
            mock.patch.object(np.random, "randint", lambda a, b: 0),
            mock.patch.object(np.random, "choice", lambda *a, left=left, **k: next(left)),
        ):
            theirs = mix(image)
        assert _replay._operations(row, image).tobytes() == theirs.tobytes(), row


def changed(op, **attributes):
    for name, value in attributes.items():
        setattr(op, name, value)
    return op


def rotate(**options):
    return aa.AugmentOp("Rotate", 0.5, 9, hparams(**options))


class Own(aa.AugmentOp):
    def __call__(self, img):
        return img


REFUSED = {
    "another function": (changed(rotate(), aug_fn=aa.invert), "functions are not those of timm"),
    "an argument": (
        changed(aa.AugmentOp("SolarizeAdd"), kwargs={"thresh": 64}),
        "its kwargs have thresh",
    ),
    "another level": (
        changed(aa.AugmentOp("Desaturate"), level_fn=partial(aa._minmax_level_to_arg, max_val=0.4)),
        "functions are not those of timm",
    ),
    "a new name": (changed(rotate(), name="Twist"), "functions are not those of timm"),
    "interpolation": (
        rotate(interpolation=Image.LANCZOS),
        "interpolation must be Pillow's NEAREST",
    ),
    "fill": (rotate(img_mean=(0.5, 0.5, 0.5)), "img_mean must be three whole numbers"),
    "magnitude": (changed(rotate(), magnitude=math.nan), "must be numbers"),
    "subclass": (Own("Invert"), "its own __call__"),
    "subclass within": (aa.RandAugment([Own("Invert")]), "is no AugmentOp of timm's"),
    "no constant": (aa.AugmentOp("TranslateX", hparams={"img_mean": MEAN}), "translate_const"),
    "weights": (told_apart([0.5] * 8), "choice_weights must be a probability"),
    "layers": (told_apart([1] + [0] * 7), "num_layers is more than"),
    "empty": (aa.RandAugment([]), "no operation to choose"),
    "no policy": (aa.AutoAugment([]), "its policy is empty"),
    "width": (aa.AugMixAugment(told_apart().ops, width=99), r"width must be in \[1, 16\]"),
    "alpha": (aa.AugMixAugment(told_apart().ops, alpha=0.0), "alpha must be above 0"),
}


@pytest.mark.parametrize("step, message", REFUSED.values(), ids=REFUSED)
def test_what_is_not_timms_is_refused_by_name(step, message):
    with pytest.raises(UnsupportedTransform, match=message) as refusal:
        compile_transform(recipe(step), dtype=None, channels_last=False, pillow=None)
    assert "step 2, " in str(refusal.value)


def test_a_recipes_text_tells_timms_policies_apart():
    texts = {
        compile_transform(
            recipe(make(hparams())), dtype=None, channels_last=False, pillow="13"
        ).text
        for make in POLICIES.values()
    }
    assert len(texts) == len(POLICIES)
    assert sum("augment(timm's RandAugment; " in text for text in texts) == 6
