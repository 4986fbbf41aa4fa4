"""What timm.data.create_transform() gives, as a loader's transform."""

from __future__ import annotations

import inspect
import itertools
import re
import warnings

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm", minversion="1.0.31")

from PIL import Image
from timm.data import create_transform
from timm.data.loader import fast_collate
from timm.data.transforms import MaybePILToTensor, MaybeToTensor, ToNumpy
from timm.data.transforms import ToTensor as UnscaledToTensor
from torchvision import transforms as v1
from torchvision.transforms import v2

import odd_images
import ringfeed
from ringfeed import UnsupportedTransform
from ringfeed.transforms import compile_transform

SEED = 5
FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
SIZES = [(260, 300), (99, 140), (233, 233), (320, 191), (30, 200), (47, 501)]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return odd_images.noise(tmp_path_factory.mktemp("images"), SIZES, SEED)


def made(**options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return create_transform(**options)


def loader_of(paths, transform, **options):
    dataset = ringfeed.ImageList(paths, [0] * len(paths), transform)
    options = {"batch_size": 3, "num_workers": 1, "seed": SEED} | options
    return ringfeed.DataLoader(dataset, **options)


def opened(path):
    return Image.open(path).convert("RGB")


EVALUATION = {
    "by default": {"input_size": 96},
    "a pair": {"input_size": (3, 64, 96), "interpolation": "bicubic", "crop_pct": 0.9},
    "bits of bytes": {"input_size": 96, "use_prefetcher": True},
    "not normalised": {"input_size": 96, "normalize": False},
    "other channels": {"input_size": 96, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.5)},
    "of a border": {"input_size": 96, "crop_border_pixels": 8},
    "as training does without augmentation": {
        "input_size": 96, "is_training": True, "no_aug": True,
    },
    **{
        f"crop_mode {mode}, {interpolation}": {
            "input_size": size, "crop_mode": mode, "interpolation": interpolation,
        }
        for mode in ("center", "squash", "border")
        for interpolation in FILTERS
        for size in (80, (3, 64, 96))
    },
}  # fmt: skip


@pytest.mark.parametrize("options", EVALUATION.values(), ids=EVALUATION)
def test_evaluation_gives_timms_bits(paths, options):
    transform = made(**options)
    images = torch.cat([images for images, _ in loader_of(paths, transform)])
    for path, got in zip(paths, images, strict=True):
        wanted = torch.as_tensor(transform(opened(path)))
        assert got.dtype == wanted.dtype
        assert torch.equal(got, wanted), path


TRAINING = {
    "by default": {},
    "without jitter": {"color_jitter": None},
    "jitter of some": {"color_jitter": (0.2, 0.3, 0.4), "color_jitter_prob": 0.5},
    "jitter of hues too": {"color_jitter": (0.2, 0.3, 0.4, 0.1)},
    "no augmentation": {"no_aug": True, "interpolation": "random"},
    "both flips": {"vflip": 0.5, "hflip": 0.2},
    "no flip": {"hflip": 0.0},
    "one filter": {"interpolation": "bicubic"},
    "filters drawn": {"interpolation": "random", "auto_augment": "rand-m9-mstd0.5-inc1"},
    "grayscale": {"grayscale_prob": 0.5},
    "scale and ratio": {"scale": (0.3, 0.9), "ratio": (0.5, 1.5)},
    "bytes": {"use_prefetcher": True, "auto_augment": "rand-m9-mstd0.5-inc1"},
    "not normalised": {"normalize": False},
    **{
        f"auto_augment {policy}": {"auto_augment": policy}
        for policy in ("rand-m9-mstd0.5-inc1", "rand-m7-n3", "original", "v0", "3a")
    },
    "augmix": {"auto_augment": "augmix-m5-w4-d2"},
    **{
        f"erasing by {mode}": {"re_prob": 0.9, "re_mode": mode, "re_count": 2}
        for mode in ("const", "rand", "pixel")
    },
    **{
        f"crop mode {mode}": {"train_crop_mode": mode, "input_size": (3, 64, 80)}
        for mode in ("rrc", "rkrc", "rkrr")
    },
}


@pytest.mark.parametrize("options", TRAINING.values(), ids=TRAINING)
def test_training_is_replayed_by_timms_own_steps(paths, options):
    transform = made(**{"input_size": 64, "is_training": True} | options)
    for epoch in range(3):
        loader = loader_of(paths, transform, shuffle=True)
        loader.set_epoch(epoch)
        images = torch.cat([images for images, _ in loader])
        for row, got in zip(loader.draws(epoch), images, strict=True):
            path = paths[row["index"]]
            wanted = torch.as_tensor(ringfeed.replay(row, opened(path), transform))
            assert torch.equal(got, wanted), f"seed {SEED}, {path}, {row}"


@pytest.mark.parametrize("end", [MaybePILToTensor(), ToNumpy(), UnscaledToTensor(torch.uint8)])
def test_bytes_are_collated_as_timm_collates_them(paths, end):
    transform = made(input_size=64, use_prefetcher=True)
    transform = v1.Compose([*transform.transforms[:-1], end])
    (images, labels), *_ = loader_of(paths, transform, collate_fn=fast_collate)
    wanted, targets = fast_collate([(transform(opened(path)), 0) for path in paths[:3]])
    assert images.dtype == wanted.dtype == torch.uint8
    assert torch.equal(images, wanted)
    assert torch.equal(labels, targets)


def test_a_step_that_may_make_a_tensor_leaves_a_tensor_as_it_is(paths):
    steps = [v1.Resize((32, 40)), v1.ToTensor(), MaybeToTensor()]
    images, _ = next(iter(loader_of(paths[:1], v1.Compose(steps))))
    assert torch.equal(images[0], v1.Compose(steps)(opened(paths[0])))


# Every option of create_transform(), with values other than its default.
OPTIONS = {
    "input_size": [(3, 64, 80)],
    "is_training": [True],
    "no_aug": [True],
    "train_crop_mode": ["rrc", "rkrc", "rkrr"],
    "scale": [(0.3, 0.9)],
    "ratio": [(0.5, 1.5)],
    "hflip": [0.0, 1.0],
    "vflip": [0.5],
    "color_jitter": [None, 0.0, (0.1, 0.2, 0.3), (0.1, 0.2, 0.3, 0.1)],
    "color_jitter_prob": [0.5],
    "grayscale_prob": [0.2],
    "gaussian_blur_prob": [0.3],
    "auto_augment": ["rand-m9-n9-mstd0.5", "original", "v0r-mstd0.5", "3a", "augmix-m5-b1-a2"],
    "interpolation": [*FILTERS, "random"],
    "mean": [(0.5, 0.4, 0.3)],
    "std": [(0.2, 0.3, 0.5)],
    "re_prob": [0.3],
    "re_mode": ["rand", "pixel"],
    "re_count": [3],
    "re_num_splits": [2],
    "crop_pct": [0.5, 1.0, 1.5],
    "crop_mode": ["squash", "border"],
    "crop_border_pixels": [4],
    "tf_preprocessing": [True],
    "use_prefetcher": [True],
    "normalize": [False],
    "separate": [True],
    "naflex": [True],
    "patch_size": [8],
    "max_seq_len": [64],
    "patchify": [True],
    "patchify_channels_last": [False],
    "patchify_flatten": [False],
}


UNTURNED = ("box", "hamming", "lanczos")  # with which Pillow itself turns no image


def refused_step(options):
    """The step of what these options make that ringfeed refuses; None: it takes them all."""
    trains = options.get("is_training") and not options.get("no_aug")
    erases = "re_prob" in options and options.keys().isdisjoint(("use_prefetcher", "normalize"))
    if "separate" in options:
        return r"the transform, \(Compose.*separate=True"
    if "naflex" in options:
        return "step [12], RandomResizedCropToSequence" if trains else "step [12], ResizeToSequence"
    if trains and erases and "re_num_splits" in options:
        return "RandomErasing.*num_splits"
    if "patchify" in options and (trains or "is_training" not in options):
        return "Patchify"
    turns = options.get("auto_augment", "3a") != "3a"
    if trains and turns and options.get("interpolation") in UNTURNED:
        return "(Auto|Rand|AugMix)Augment.*BILINEAR or BICUBIC"
    if trains and "gaussian_blur_prob" in options:
        return "GaussianBlur.*PILGaussianBlur"
    return None


def all_of_two():
    """Each value of each option with each of another, for evaluation and for training."""
    values = [(name, value) for name, all_values in OPTIONS.items() for value in all_values]
    for trains in ({}, {"is_training": True}):
        for one, other in itertools.combinations_with_replacement(values, 2):
            if one == other or one[0] != other[0]:
                yield {"input_size": 64} | trains | dict([one, other])


def test_every_option_is_taken_or_refused_by_its_step():
    assert OPTIONS.keys() == inspect.signature(create_transform).parameters.keys()
    count = 0
    for options in all_of_two():
        try:
            transform = made(**options)
        except (AssertionError, KeyError, ModuleNotFoundError):
            continue  # timm's own refusals, and TensorFlow's absence
        count += 1
        try:
            compile_transform(transform, dtype=None, channels_last=False, pillow=None)
            refusal = None
        except UnsupportedTransform as error:
            refusal = str(error)
        wanted = refused_step(options)
        if refusal is None or wanted is None:
            assert refusal is wanted, f"{options}: {refusal}, and not {wanted}"
        else:
            assert re.search(wanted, refusal), f"{options}: {refusal}"
    assert count > 2000


def test_a_policy_may_do_64_operations():
    for layers, taken in ((64, True), (65, False)):
        transform = made(input_size=64, is_training=True, auto_augment=f"rand-m9-n{layers}")
        try:
            compile_transform(transform, dtype=None, channels_last=False, pillow=None)
        except UnsupportedTransform as error:
            assert not taken and "65 operations, and at most 64" in str(error)
        else:
            assert taken


def test_three_transforms_in_a_compose_are_the_one_that_they_are_parts_of():
    options = {"input_size": 64, "is_training": True, "auto_augment": "3a", "re_prob": 0.5}
    texts = [
        compile_transform(each, dtype=None, channels_last=False, pillow=None).text
        for each in (made(**options), v1.Compose(made(**options, separate=True)))
    ]
    assert texts[0] == texts[1]


class Own(MaybeToTensor):
    def __call__(self, image):
        return super().__call__(image) * 2


FLOAT32 = v2.ToDtype(torch.float32, scale=True)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([Own()], "step 2, .*its own __call__"),
        ([UnscaledToTensor()], "step 2, .*ToTensor.*torch.float32 of 0 to 255"),
        ([MaybePILToTensor(), UnscaledToTensor(torch.uint8)], "step 3, .*a tensor already"),
        ([ToNumpy(), MaybeToTensor()], "step 3, MaybeToTensor.*ToNumpy makes an array"),
        ([ToNumpy(), FLOAT32], "step 3, ToDtype.*ToNumpy makes an array"),
        ([ToNumpy(), v1.RandomHorizontalFlip()], "step 3, .*Flip.*ToNumpy makes an array"),
    ],
)
def test_what_cannot_be_exact_is_refused_by_name(steps, message):
    transform = v1.Compose([v1.CenterCrop(9), *steps])
    with pytest.raises(UnsupportedTransform, match=message):
        compile_transform(transform, dtype=None, channels_last=False, pillow=None)
