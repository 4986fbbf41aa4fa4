"""What timm.data.create_transform() gives, as a loader's transform."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm", minversion="1.0.31")

from PIL import Image
from timm.data import create_transform
from timm.data.loader import fast_collate
from timm.data.transforms import MaybeToTensor, ToNumpy
from timm.data.transforms import ToTensor as UnscaledToTensor
from torchvision import transforms as v1

import odd_images
import ringfeed
from ringfeed import UnsupportedTransform

SEED = 5
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
        for interpolation in ("bilinear", "bicubic", "lanczos")
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
    "both flips": {"vflip": 0.5, "hflip": 0.2},
    "no flip": {"hflip": 0.0},
    "one filter": {"interpolation": "bicubic"},
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


def test_arrays_of_numpy_are_collated_as_timm_collates_them(paths):
    transform = made(input_size=64, use_prefetcher=True)
    arrays = v1.Compose([*transform.transforms[:-1], ToNumpy()])
    (images, labels), *_ = loader_of(paths, arrays, collate_fn=fast_collate)
    wanted, targets = fast_collate([(arrays(opened(path)), 0) for path in paths[:3]])
    assert torch.equal(images, wanted)
    assert torch.equal(labels, targets)


def test_a_step_that_may_make_a_tensor_leaves_a_tensor_as_it_is(paths):
    steps = [v1.Resize((32, 40)), v1.ToTensor(), MaybeToTensor()]
    images, _ = next(iter(loader_of(paths[:1], v1.Compose(steps))))
    assert torch.equal(images[0], v1.Compose(steps)(opened(paths[0])))


class Own(MaybeToTensor):
    def __call__(self, image):
        return super().__call__(image) * 2


REFUSED = {
    "torchvision's blur": (
        made(input_size=64, is_training=True, gaussian_blur_prob=0.5), "GaussianBlur",
    ),
    "three transforms": (
        made(input_size=64, is_training=True, separate=True), r"separate=True\) gives three",
    ),
    "patches": (
        made(input_size=64, is_training=True, naflex=True, patch_size=16, patchify=True),
        "RandomResizedCropToSequence",
    ),
    "a subclass": (v1.Compose([v1.CenterCrop(9), Own()]), "its own __call__"),
    "a step behind an array": (
        v1.Compose([v1.CenterCrop(9), ToNumpy(), MaybeToTensor()]), "ToNumpy makes an array",
    ),
    "unscaled floats": (
        v1.Compose([v1.CenterCrop(9), UnscaledToTensor()]), "ToTensor.*ringfeed cannot do this",
    ),
}  # fmt: skip


@pytest.mark.parametrize("transform, message", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_exact_is_refused_by_name(paths, transform, message):
    with pytest.raises(UnsupportedTransform, match=message):
        loader_of(paths, transform)
