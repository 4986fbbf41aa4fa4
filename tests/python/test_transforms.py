"""What compile_transform accepts gives torchvision's bits; what it cannot reproduce it refuses."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

import PIL
from PIL import Image
from torch import nn
from torchvision import transforms as v1
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

import ringfeed
from ringfeed.errors import UnsupportedTransform
from ringfeed.transforms import compile_transform
from torchvision_reference import MEAN, PILLOW13, STD, TAILS, differing, finish, load

F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16


def compiled(transform, dtype=None, channels_last=False, pillow="13"):
    return compile_transform(transform, dtype=dtype, channels_last=channels_last, pillow=pillow)


def batch(paths, transform, **options):
    """All the files as one batch of ringfeed's."""
    dataset = ringfeed.ImageList(paths, [0] * len(paths), transform)
    with ringfeed.DataLoader(dataset, batch_size=len(paths), num_workers=1, **options) as loader:
        ((images, _),) = loader
        return images


def assert_equals_torchvision(paths, transform, dtype=None, **options):
    images = batch(paths, transform, dtype=dtype, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's, of antialias=False
        expected = [finish(load(path), [transform], dtype) for path in paths]
    assert differing(images, torch.stack(expected)) == 0


@pytest.fixture(scope="session")
def every_value(tmp_path_factory):
    """A 16x16 file that has each of the 256 values in each channel."""
    rng = np.random.default_rng(1)
    pixels = np.stack([rng.permutation(256).reshape(16, 16) for _ in range(3)], -1)
    path = tmp_path_factory.mktemp("values") / "values.png"
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return str(path)


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """Files of several shapes, one of them very tall and one small."""
    folder, rng = tmp_path_factory.mktemp("shapes"), np.random.default_rng(2)
    paths = []
    for width, height in [(150, 100), (100, 151), (64, 64), (40, 160), (9, 7)]:
        waves = np.add.outer(np.arange(height) * 3, np.arange(width) * 5)[..., None] * (1, 2, 3)
        pixels = (waves + rng.integers(0, 60, (height, width, 3))) % 256
        paths.append(str(folder / f"{width}x{height}.png"))
        Image.fromarray(pixels.astype(np.uint8)).save(paths[-1])
    return paths


CONVERSIONS = {
    "v1.ToTensor": [v1.ToTensor()],
    "v1.PILToTensor, v1.Convert": [v1.PILToTensor(), v1.ConvertImageDtype(F32)],
    "v1.PILToTensor, v2.Convert": [v1.PILToTensor(), v2.ConvertImageDtype(F32)],
    "v2.PILToTensor, v1.Convert": [v2.PILToTensor(), v1.ConvertImageDtype(F32)],
    "v2.PILToTensor, v2.ToDtype": [v2.PILToTensor(), v2.ToDtype(F32, scale=True)],
    "v2.ToImage, v2.ToDtype": [v2.ToImage(), v2.ToDtype(F32, scale=True)],
    "v2.ToImage, v2.Convert": [v2.ToImage(), v2.ConvertImageDtype(F32)],
    "v2.ToImage, v1.Convert": [v2.ToImage(), v1.ConvertImageDtype(F32)],
    "v2.ToDtype by type": [
        v2.ToImage(),
        v2.ToDtype({tv_tensors.Image: F32, "others": F16}, scale=True),
    ],
    "v2.ToDtype of a pure tensor": [
        v2.ToImage(),
        v2.ToPureTensor(),
        v2.ToDtype({tv_tensors.Image: F16, "others": F32}, scale=True),
    ],
    "v2.ToDtype of what v1.Convert makes": [
        v2.ToImage(),
        v1.ConvertImageDtype(F32),
        v2.ToDtype({tv_tensors.Image: F16, "others": None}),
    ],
    "v2.ToDtype of others": [v2.ToImage(), v2.ToDtype({"others": F32}, scale=True)],
    "no-ops": [
        v2.RGB(),
        nn.Identity(),
        v2.PILToTensor(),
        v2.ToImage(),
        v2.ToDtype(torch.uint8, scale=True),
        v2.ToDtype({"others": None}),
        v2.ToDtype(F32, scale=True),
        v2.ToDtype(F32),
        v1.ConvertImageDtype(F32),
        v2.RGB(),
        v2.ToPureTensor(),
    ],
}
CONVERSIONS = {name: [v1.CenterCrop(16), *steps] for name, steps in CONVERSIONS.items()}
NORMALIZE = {
    "v1": v1.Normalize(MEAN, STD),
    "v2": v2.Normalize(MEAN, STD, inplace=True),
    "one number": v1.Normalize(0.5, 0.25),
    "one number in a list": v2.Normalize([0.5], [0.25]),
    "tensors": v1.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
    "tensors of shape [3, 1, 1]": v1.Normalize(
        torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    ),
    "double": v2.Normalize([0.1, 1 / 3, -2], [1e-3, 1 / 7, -3]),
}


@pytest.mark.parametrize("steps", CONVERSIONS.values(), ids=CONVERSIONS)
def test_every_value_converts_as_in_torchvision(every_value, steps):
    assert_equals_torchvision([every_value], v1.Compose(steps))


@pytest.mark.parametrize("steps", CONVERSIONS.values(), ids=CONVERSIONS)
def test_every_value_normalizes_as_in_torchvision(every_value, steps):
    assert_equals_torchvision([every_value], v1.Compose([*steps, NORMALIZE["v1"]]))
    assert_equals_torchvision([every_value], v2.Compose([*steps, NORMALIZE["v2"]]))


@pytest.mark.parametrize("step", NORMALIZE.values(), ids=NORMALIZE)
def test_every_form_of_mean_and_std_gives_torchvisions_values(every_value, step):
    assert_equals_torchvision([every_value], v1.Compose([v1.CenterCrop(16), v1.ToTensor(), step]))


@pytest.mark.parametrize("dtype", [F16, BF16])
@pytest.mark.parametrize("steps", CONVERSIONS.values(), ids=CONVERSIONS)
def test_half_precision_asked_of_the_loader_is_the_float32_result_rounded(
    every_value, steps, dtype
):
    transform = v1.Compose([*steps, NORMALIZE["v1"]])
    assert_equals_torchvision([every_value], transform, dtype=dtype)


@pytest.mark.parametrize("dtype", [F16, BF16])
@pytest.mark.parametrize(
    "steps",
    [
        lambda dtype: [v1.PILToTensor(), v1.ConvertImageDtype(dtype)],
        lambda dtype: [v2.ToImage(), v2.ToDtype(dtype, scale=True)],
        lambda dtype: [v2.ToImage(), v2.ConvertImageDtype(dtype)],
        lambda dtype: [v1.ToTensor(), v2.ToDtype(dtype)],
        lambda dtype: [v1.ToTensor(), NORMALIZE["v1"], v1.ConvertImageDtype(dtype)],
        lambda dtype: [*TAILS["v2"], v2.ToDtype(dtype, scale=True)],
        lambda dtype: [*TAILS["v2"], v2.ToDtype({tv_tensors.Image: dtype, "others": None})],
        lambda dtype: [
            v2.ToImage(),
            v2.ToDtype(F32, scale=True),
            v1.Normalize(MEAN, STD),
            v2.ToDtype({tv_tensors.Image: None, "others": dtype}),
        ],
        lambda dtype: [*TAILS["v2"], v2.ToDtype(dtype), v2.ToDtype(dtype)],
    ],
)
def test_half_precision_that_the_transform_yields_is_torchvisions(every_value, steps, dtype):
    transform = v1.Compose([v1.CenterCrop(16), *steps(dtype)])
    assert compiled(transform).dtype == dtype
    assert_equals_torchvision([every_value], transform)


@pytest.mark.parametrize("tail", [[v1.PILToTensor()], [v2.PILToTensor()], [v2.ToImage()]])
def test_without_conversion_the_bytes_come_as_they_are(every_value, tail):
    transform = v1.Compose([v1.CenterCrop(16), *tail])
    assert compiled(transform).dtype == torch.uint8
    assert_equals_torchvision([every_value], transform)


GEOMETRIES = {
    "Resize, CenterCrop": [v1.Resize(48), v1.CenterCrop(40)],
    "v2.Resize, v2.CenterCrop": [v2.Resize(48), v2.CenterCrop(40)],
    "Resize([n]), CenterCrop([n])": [v1.Resize([48]), v1.CenterCrop([40])],
    "crop of a pair": [v1.Resize(48), v1.CenterCrop((33, 20))],
    "crop larger than the image": [v2.Resize(20), v2.CenterCrop((24, 200))],
    "max_size": [v1.Resize(48, max_size=50), v1.CenterCrop(40)],
    "max_size that none reaches": [v1.Resize(48, max_size=10**12), v1.CenterCrop(40)],
    "v2 max_size that few reach": [v2.Resize(20, max_size=60), v2.CenterCrop((24, 200))],
    "resize to a pair": [v1.Resize((31, 57))],
    "v2.Resize to a pair": [v2.Resize([57, 31])],
    "resize to a pair, crop": [v1.Resize((50, 60)), v1.CenterCrop((20, 59))],
    "crop alone": [v1.CenterCrop(50)],
    "crop alone of a pair": [v2.CenterCrop((20, 61))],
    "flip always": [v1.Resize(48), v1.CenterCrop(40), v1.RandomHorizontalFlip(1.0)],
    "v2.flip always": [v2.Resize((30, 50)), v2.RandomHorizontalFlip(1.0)],
    "flip never": [v1.RandomHorizontalFlip(0.0), v1.CenterCrop(8), v2.RandomHorizontalFlip(0)],
    "antialias=False": [v1.Resize(48, antialias=False), v1.CenterCrop(40)],
    "v2 antialias=None": [v2.Resize((20, 30), antialias=None)],
    "bilinear of Pillow": [v1.Resize((20, 30), interpolation=Image.BILINEAR)],
    "v2 bilinear of Pillow": [v2.Resize((20, 30), interpolation=Image.BILINEAR)],
    "bilinear by enum": [v2.Resize((20, 30), interpolation=InterpolationMode.BILINEAR)],
    **{
        f"{version.__name__[-2:]} {mode.value}": [version.Resize((20, 30), interpolation=mode)]
        for version in (v1, v2)
        for mode in InterpolationMode
    },
    **{f"Pillow's number {number}": [v1.Resize((20, 30), number)] for number in range(6)},
}
try:
    GEOMETRIES |= {
        f"{name} by name": [v2.Resize((20, 30), interpolation=name)]
        for name in ("bilinear", "nearest")
    }
except ValueError:
    pass  # torchvision before 0.29 takes no names


@pytest.mark.parametrize("steps", GEOMETRIES.values(), ids=GEOMETRIES)
def test_fixed_geometry_gives_torchvisions_pixels(shapes, steps):
    assert_equals_torchvision(shapes, v1.Compose([*steps, *TAILS["v1"]]))
    assert_equals_torchvision(shapes, v2.Compose([*steps, *TAILS["uint8"]]))


# With one ratio and the whole area there is one box to draw where its sides are whole numbers.
@pytest.mark.parametrize("version", [v1, v2])
@pytest.mark.parametrize("size", [40, [40], (33, 50)])
def test_a_crop_without_choice_gives_torchvisions_pixels(shapes, version, size):
    path = shapes[0]
    crop = version.RandomResizedCrop(size, scale=(1, 1), ratio=[1.5, 1.5], antialias=None)
    assert_equals_torchvision([path], version.Compose([crop, *TAILS["v1"]]))


class RenamedResize(v1.Resize):
    def __init__(self):
        super().__init__(48)

    def extra_repr(self):
        return "of mine"


@pytest.mark.parametrize(
    "transform",
    [
        nn.Sequential(v1.Resize(48), v1.CenterCrop(40), *TAILS["v2"]),
        v2.Compose([v1.Compose([v1.Resize(48), v1.CenterCrop(40)]), nn.Sequential(*TAILS["v2"])]),
        v1.Compose([RenamedResize(), v1.CenterCrop(40), *TAILS["v2"]]),
    ],
    ids=["Sequential", "nested", "subclass that only names its arguments"],
)
def test_containers_and_harmless_subclasses_are_looked_into(shapes, transform):
    assert_equals_torchvision(shapes, transform)


def weights_transforms():
    """One of torchvision's `weights.transforms()` for each preset of its classifiers."""
    from torchvision import models

    found = {}
    for name in models.list_models(module=models):
        for weights in models.get_model_weights(name):
            transform = weights.transforms()
            found.setdefault(repr(transform), transform)
    return list(found.values())


def test_the_transforms_of_torchvisions_weights_give_its_pixels(shapes):
    transforms = weights_transforms()
    assert len(transforms) > 10
    for transform in transforms:
        assert_equals_torchvision(shapes[:2], transform)


def test_a_preset_with_its_own_forward_is_refused(shapes):
    class Preset(type(weights_transforms()[0])):
        def forward(self, image):
            return image.rotate(9)

    with pytest.raises(UnsupportedTransform, match="its own forward"):
        compiled(Preset(crop_size=32))


def test_channels_last_has_the_same_values(shapes):
    transform = v1.Compose([v1.Resize(48), v1.CenterCrop((30, 40)), *TAILS["v1"]])
    plain, last = (batch(shapes, transform, channels_last=way) for way in (False, True))
    assert last.is_contiguous(memory_format=torch.channels_last) and plain.is_contiguous()
    assert differing(last, plain) == 0


def test_the_pillow_rule_is_the_one_named(tmp_path):
    rng = np.random.default_rng(3)
    path = str(tmp_path / "tall.png")
    Image.fromarray(rng.integers(0, 256, (300, 60, 3), np.uint8)).save(path)
    transform = v1.Compose([v1.Resize((50, 50)), v1.ToTensor()])
    before, after = (batch([path], transform, pillow=name) for name in ("12.3", "13.0.0"))
    assert differing(before, after) > 0
    expected = finish(load(path), [transform])[None]
    assert differing(after if PILLOW13 else before, expected) == 0
    assert differing(batch([path], transform), expected) == 0


@pytest.mark.parametrize(
    "installed, named",
    [("9.5.0", False), ("12.3.0", False), ("13.0.0", True), ("13.1.0.dev0", True), ("20.1", True)],
)
def test_the_installed_pillow_decides_where_none_is_named(monkeypatch, installed, named):
    monkeypatch.setattr(PIL, "__version__", installed)
    transform = v1.Compose([v1.CenterCrop(16), v1.ToTensor()])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = compiled(transform, pillow=None).text
        assert text == compiled(transform, pillow=installed).text
    assert ("pillow>=13" in text) == named


def test_pillow_simd_is_warned_of_unless_a_version_is_named(monkeypatch):
    monkeypatch.setattr(PIL, "__version__", "9.5.0.post2")
    transform = v1.Compose([v1.CenterCrop(16), v1.ToTensor()])
    with pytest.warns(UserWarning, match=r"pillow-simd.*Pillow 9\.5\.0"):
        assert "pillow<13" in compiled(transform, pillow=None).text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled(transform, pillow="9.5")


@pytest.mark.parametrize("pillow", ["", "new", "13x", 13, 12.3, "v13"])
def test_a_pillow_that_is_no_version_is_refused(pillow):
    with pytest.raises(ValueError, match="pillow must be a version"):
        compiled(v1.Compose([v1.CenterCrop(16), v1.ToTensor()]), pillow=pillow)


# The state keeps them: another text means that tensors may differ.
@pytest.mark.parametrize(
    "transform, options, text",
    [
        (
            v1.Compose([v1.RandomResizedCrop(224), v1.RandomHorizontalFlip(), *TAILS["v1"]]),
            dict(dtype=F16, channels_last=True, pillow="12"),
            "random_resized_crop(224x224, scale=0.08..1.0, ratio=0.75..1.3333333333333333) "
            "hflip(0.5) to_tensor normalize(mean=(0.485, 0.456, 0.406), "
            "std=(0.229, 0.224, 0.225)) float16 channels_last pillow<13",
        ),
        (
            v2.Compose([v2.Resize(256), v2.CenterCrop(224), *TAILS["v2"]]),
            dict(),
            "resize(256) center_crop(224x224) to_dtype normalize(mean=(0.485, 0.456, 0.406), "
            "std=(0.229, 0.224, 0.225)) float32 contiguous pillow>=13",
        ),
        (
            v1.Compose([v1.Resize((20, 30)), v1.PILToTensor()]),
            dict(),
            "resize(20x30) none uint8 contiguous pillow>=13",
        ),
    ],
)
def test_the_text_says_all_of_it_in_one_line(transform, options, text):
    assert compiled(transform, **options).text == text


class OwnEnd(v2.RandAugment):
    def _unflatten_and_insert_image_or_video(self, flat_inputs_with_spec, image):
        raise NotImplementedError


class OwnPolicy(v1.AutoAugment):
    def _get_policies(self, policy):
        return [(("Melt", 0.5, None), ("Invert", 0.5, None))]

    def _augmentation_space(self, num_bins, image_size):
        return {name: (torch.tensor(0.0), False) for name in ("Melt", "Invert")}


class OwnForward(v1.Resize):
    def forward(self, img):
        return img.rotate(9)


class OwnCall(v1.ToTensor):
    def __call__(self, pic):
        return super().__call__(pic) * 2


class OwnTransform(v2.CenterCrop):
    def transform(self, inpt, params):
        return inpt


class OwnParams(v1.RandomResizedCrop):
    @staticmethod
    def get_params(img, scale, ratio):
        return 0, 0, 1, 1


class OwnMakeParams(v2.RandomResizedCrop):
    def make_params(self, flat_inputs):
        return dict(top=0, left=0, height=1, width=1)


class OwnCompose(v1.Compose):
    def __call__(self, img):
        return self.transforms[0](img.rotate(9))


def patched():
    step = v1.Resize(8)
    step.forward = lambda image: image
    return step


def hooked():
    step = v1.Resize(8)
    step.register_forward_hook(lambda *_: None)
    return step


CROP, FLIP, END = v1.RandomResizedCrop(8), v1.RandomHorizontalFlip(), v1.ToTensor()


def changed_ratio(transform):
    transform.ratio = (0.5, 0.6)
    return transform


class GaussianBlur:
    """As scripts define one."""


class Solarization:
    pass


REFUSED = {
    "a script's blur": (
        [CROP, v1.RandomApply([GaussianBlur()]), END],
        r"step 2\.1.*GaussianBlur.*PILGaussianBlur\(radius, p\) is Pillow's blur",
    ),
    "a script's solarization": ([CROP, Solarization(), END], r"step 2.*RandomSolarize\(thresh"),
    "a mix of batches": ([CROP, END, v2.MixUp(num_classes=3)], r"step 3, MixUp.*batch_transform="),
    "AugMix": ([CROP, v1.AugMix(), END], r"step 2, AugMix.*on tensors even for PIL images.*Leave"),
    "GaussianBlur": ([CROP, v2.GaussianBlur(3), END], r"step 2, GaussianBlur.*on tensors even"),
    "RandomPerspective of a line": (
        [v1.RandomResizedCrop((1, 9)), v1.RandomPerspective(), END],
        r"step 2, RandomPersp.*no four corners",
    ),
    "distortion_scale": (
        [CROP, v1.RandomPerspective(1.5), END],
        r"step 2, RandomPersp.*distortion_scale must be in \[0, 1\]",
    ),
    "AutoAugment of its own": (
        [CROP, OwnPolicy(), END],
        r'step 2, OwnPolicy.*"Melt" is no operation',
    ),
    "an own end": ([CROP, OwnEnd(), END], r"step 2, OwnEnd.*its own _unflatten"),
    "too many operations": ([CROP, v1.RandAugment(100), END], r"step 2, RandAugment.*at most 64"),
    "a fill of words": ([CROP, v1.RandAugment(fill="red"), END], r"step 2.*fill must be a number"),
    "a centre of nothing": (
        [CROP, v1.RandomRotation(9, center=(float("nan"), 0)), END],
        r"step 2.*center must be two finite numbers",
    ),
    "a ratio changed afterwards": (
        [changed_ratio(v2.RandomResizedCrop(8)), END],
        r"step 1.*ratio was changed after",
    ),
    "erasing with a ratio changed afterwards": (
        [CROP, END, changed_ratio(v2.RandomErasing())],
        r"step 3.*ratio was changed after",
    ),
    "colour after ToTensor": ([CROP, END, v1.ColorJitter(0.1)], r"step 3.*move it before ToTensor"),
    "one channel": ([CROP, v1.Grayscale(), END], r"step 2, Grayscale.*one channel"),
    "bits": ([CROP, v1.RandomPosterize(9), END], r"step 2.*bits must be"),
    "threshold": ([CROP, v1.RandomSolarize(float("nan")), END], r"step 2.*threshold must be"),
    "sharpness": ([CROP, v1.RandomAdjustSharpness(-1), END], r"step 2.*sharpness_factor must"),
    "probability": ([CROP, v1.RandomInvert(2), END], r"step 2.*p must be in \[0, 1\]"),
    "weights": ([CROP, v1.RandomChoice([FLIP], p=[0]), END], r"step 2.*p must be a weight"),
    "no choice": ([CROP, v1.RandomChoice([]), END], r"step 2.*no transform to choose"),
    "expand": ([CROP, v1.RandomRotation(9, expand=True), END], r"step 2.*expand=True"),
    "a filter that draws nothing": (
        [CROP, v1.RandAugment(interpolation=v1.InterpolationMode.BOX), END],
        r"step 2.*cannot draw with box",
    ),
    "fill": ([CROP, v1.RandomRotation(9, fill=256), END], r"step 2.*fill must be"),
    "magnitude": ([CROP, v1.RandAugment(magnitude=31), END], r"step 2.*magnitude must be"),
    "a tensor in a choice": (
        [CROP, v1.RandomApply([END])],
        r"step 2\.1, ToTensor.*cannot do this here",
    ),
    "erasing of bytes": ([CROP, v1.PILToTensor(), v1.RandomErasing()], r"step 3.*float32"),
    "erasing of halves": (
        [CROP, END, v1.ConvertImageDtype(F16), v1.RandomErasing()],
        r"step 4, RandomErasing.*float32",
    ),
    "erasing twice": ([CROP, END, v1.RandomErasing(), v2.RandomErasing()], r"step 4.*second"),
    "Normalize after erasing": ([CROP, END, v1.RandomErasing(), NORMALIZE["v1"]], r"step 4.*after"),
    "Lambda": ([CROP, v1.Lambda(lambda x: x.rotate(9)), END], r"step 2, Lambda"),
    "a function": ([CROP, END, len], r"step 3, <built-in function len>"),
    "nested": ([v2.Compose([CROP, v1.Compose([v1.FiveCrop(1)])]), END], r"step 1\.2\.1, Five"),
    "ToTensor before the crop": ([END, CROP], r"step 2, RandomResizedCrop.*after ToTensor.*move"),
    "ToImage before Resize": (
        [v2.ToImage(), v2.Resize((8, 8)), v2.ToDtype(F32, scale=True)],
        r"step 2, Resize.*after ToImage.*move it before ToImage",
    ),
    "PILToTensor before CenterCrop": (
        [v1.Resize(9), v1.PILToTensor(), v1.CenterCrop(8)],
        r"step 3, CenterCrop.*after PILToTensor",
    ),
    "flip after ToTensor": ([CROP, END, FLIP], r"step 3, RandomHorizontal.*after ToTensor: move"),
    "p": ([CROP, v1.RandomHorizontalFlip(1.5), END], r"step 2.*p must be in \[0, 1\]"),
    "interpolation of tensors": (
        [v2.Resize((8, 8), interpolation="area"), END],
        r"step 1, Resize.*none of Pillow's: use an InterpolationMode",
    ),
    "interpolation of no number": (
        [v2.RandomResizedCrop(8, interpolation=6), END],
        r"step 1.*of P",
    ),
    "max_size of size": ([v2.Resize(9, max_size=9), v1.CenterCrop(8), END], r"step 1.*above size"),
    "max_size of a pair": ([v2.Resize((8, 9), max_size=99), END], r"step 1.*size one number"),
    "max_size alone": ([v2.Resize(None, max_size=9), v1.CenterCrop(8), END], r"step 1.*beside"),
    "scale of nothing": ([v1.RandomResizedCrop(8, scale=(0, 1)), END], r"step 1.*scale must be"),
    "size of nothing": ([v1.Resize(0), v1.CenterCrop(8), END], r"step 1, Resize.*size must be in"),
    "no width": ([v1.CenterCrop((8, 0)), END], r"step 1, CenterCrop.*size must be"),
    "huge": ([v1.CenterCrop(10_000), END], r"step 1, CenterCrop.*size must be in \[1, 8192\]"),
    "huge height": ([v1.Resize((8193, 8)), END], r"step 1, Resize.*size must be"),
    "no size": ([END], r"different shapes.*add RandomResizedCrop\(224\)"),
    "Resize without a crop": ([v1.Resize(256), END], r"different shapes"),
    "Resize after CenterCrop": (
        [v1.CenterCrop((9, 8)), v1.RandomApply([v1.Resize(7)]), END],
        "shap",
    ),
    "no tensor": ([CROP, FLIP], r"ends with a PIL image.*: add ToTensor"),
    "two ToTensors": ([CROP, END, END], r"step 3, ToTensor.*leave this one out"),
    "v2.PILToTensor after ToImage": ([CROP, v2.ToImage(), v2.PILToTensor()], r"step 3"),
    "Normalize before conversion": (
        [CROP, v1.PILToTensor(), NORMALIZE["v1"]],
        r"step 3, Normalize.*needs float values: put ToTensor",
    ),
    "Normalize of a PIL image": ([CROP, NORMALIZE["v2"], END], r"step 2, Normalize.*float"),
    "two Normalizes": ([CROP, END, NORMALIZE["v1"], NORMALIZE["v2"]], r"step 4.*put both into one"),
    "std of 0": ([CROP, END, v1.Normalize(MEAN, (1, 0, 1))], r"step 3.*std must not be 0"),
    "std that rounds to 0": ([CROP, END, v1.Normalize(MEAN, (1, 1e-99, 1))], r"std must not be 0"),
    "mean of infinity": ([CROP, END, v1.Normalize((0, 0, float("inf")), STD)], r"step 3.*finite"),
    "mean of four channels": ([CROP, END, v1.Normalize([0] * 4, STD)], r"step 3.*R, G and B"),
    "mean by column": ([CROP, END, v1.Normalize(torch.tensor([MEAN]), 1)], r"step 3.*R, G and B"),
    "std by row": (
        [CROP, END, v1.Normalize(0, torch.tensor(STD).view(3, 1))],
        r"step 3.*std must be one finite number",
    ),
    "Normalize in half precision": (
        [CROP, v2.ToImage(), v2.ToDtype(F16, scale=True), v2.Normalize(MEAN, STD)],
        r"step 4, Normalize.*torch.float16.*use DataLoader\(dtype=torch.float16\)",
    ),
    "half precision before Normalize": (
        [CROP, END, v1.ConvertImageDtype(BF16), NORMALIZE["v1"]],
        r"step 4, Normalize.*DataLoader\(dtype=torch.bfloat16\)",
    ),
    "back from half precision": (
        [CROP, END, v2.ToDtype(F16), v2.ToDtype(F32)],
        r"step 4, ToDtype.*torch.float16 to torch.float32",
    ),
    "float to bytes": ([CROP, END, v1.ConvertImageDtype(torch.uint8)], r"step 3.*does not convert"),
    "float64": ([CROP, v2.ToImage(), v2.ToDtype(torch.float64, scale=True)], r"step 3.*float64"),
    "int64": ([CROP, v1.PILToTensor(), v1.ConvertImageDtype(torch.int64)], r"step 3.*int64"),
    "unscaled floats": ([CROP, v2.ToImage(), v2.ToDtype(F32)], r"step 3, ToDtype.*scale=True"),
    "ToDtype of a PIL image": ([CROP, v2.ToDtype(F32), END], r"step 2.*put ToImage\(\) before"),
    "ToDtype without the type": (
        [CROP, v2.ToImage(), v2.ToDtype({torch.Tensor: F32}, scale=True)],
        r"step 3, ToDtype.*no entry for Image",
    ),
    "own forward": ([OwnForward((8, 8)), END], r"step 1, OwnForward.*its own forward"),
    "own __call__": ([CROP, OwnCall()], r"step 2,.*its own __call__"),
    "own transform": ([OwnTransform(8), END], r"step 1, OwnTransform.*its own transform"),
    "own get_params": ([OwnParams(8), END], r"step 1, OwnParams.*its own get_params"),
    "own make_params": ([OwnMakeParams(8), END], r"step 1, OwnMakeParams.*its own make_params"),
    "own Compose": ([OwnCompose([CROP, END])], r"step 1, OwnCompose.*its own __call__"),
    "patched forward": ([patched(), END], r"step 1, Resize.*its own forward"),
    "hooks": ([hooked(), END], r"step 1, Resize.*hooks"),
}


@pytest.mark.parametrize(
    ("kind", "name"),
    [(v1.Resize, "forward"), (v1.Compose, "__call__"), (torch.nn.Module, "_call_impl")],
)
def test_a_library_s_class_that_a_script_has_changed_is_refused(monkeypatch, kind, name):
    theirs = getattr(kind, name)
    monkeypatch.setattr(kind, name, lambda *arguments: theirs(*arguments))
    with pytest.raises(UnsupportedTransform, match=f"it has a {name} that has been put into"):
        compiled(v1.Compose([v1.Resize((8, 8)), END]))


def test_a_way_to_call_that_a_script_has_changed_is_refused():
    resize = v1.Resize((8, 8))
    resize._call_impl = lambda image: image
    with pytest.raises(UnsupportedTransform, match="its own _call_impl"):
        compiled(v1.Compose([resize, END]))


def test_a_fill_of_v2_is_the_one_it_was_made_with():
    """As torchvision sees it."""
    texts = []
    for fill, later in ((0, 0), (0, 255), (255, 255)):
        rotation = v2.RandomRotation(9, fill=fill)
        rotation.fill = later
        texts.append(compiled(v1.Compose([CROP, rotation, END])).text)
    assert texts[0] == texts[1] != texts[2]


def test_an_augmentation_shows_in_the_recipe_by_name_and_digest():
    texts = {
        compiled(v1.Compose([CROP, *steps, END])).text
        for steps in (
            [],
            [v1.RandAugment()],
            [v1.RandAugment(magnitude=8)],
            [v2.RandAugment()],
            [v1.RandAugment(interpolation=v1.InterpolationMode.BICUBIC)],
            [v1.RandAugment(fill=1)],
            [v1.ColorJitter(0.1)],
        )
    }
    assert len(texts) == 7
    assert sum("augment(RandAugment; " in text for text in texts) == 5
    assert compiled(v1.Compose([CROP, END, v1.RandomErasing()])).text.endswith(
        "erase(0.5, scale=0.02..0.33, ratio=0.3..3.3, value=(0.0, 0.0, 0.0)) float32 contiguous "
        + compiled(v1.Compose([CROP, END])).text.split()[-1]
    )


@pytest.mark.parametrize("steps, message", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_reproduced_is_refused_by_name(steps, message):
    with pytest.raises(UnsupportedTransform, match=message) as refusal:
        compiled(v1.Compose(steps))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "transform, message",
    [
        (None, "the dataset has no transform"),
        (v1.FiveCrop(8), r"the transform, FiveCrop"),
        (v1.RandomPerspective(), "different shapes"),
        (v1.ToTensor(), "different shapes"),
        ((v1.Compose([CROP] * 50), END), r"^the transform, .{,320}: .*several: put.*a Compose"),
        (len, r"the transform, <built-in function len>"),
    ],
)
def test_a_transform_that_is_no_compose_is_refused_as_such(transform, message):
    with pytest.raises(UnsupportedTransform, match=message):
        compiled(transform)


def test_a_sample_may_get_64_operations():
    def transform(count):
        return v1.Compose([v1.RandomResizedCrop(8), v1.RandAugment(count), v1.ToTensor()])

    compiled(transform(64))
    with pytest.raises(UnsupportedTransform, match="65 operations, and at most 64"):
        compiled(transform(65))


@pytest.mark.parametrize(
    "tail, dtype, message",
    [
        ([v1.PILToTensor()], F32, r"yields torch.uint8: add ToDtype\(torch.float32, scale=True\)"),
        ([v1.PILToTensor()], F16, r"yields torch.uint8"),
        (TAILS["v1"], torch.uint8, r"yields torch.float32: dtype may be"),
        (TAILS["v1"], torch.float64, r"dtype=torch.float64"),
        ([*TAILS["v1"], v2.ToDtype(F16)], F32, r"yields torch.float16: leave dtype out"),
        ([*TAILS["v1"], v2.ToDtype(F16)], BF16, r"yields torch.float16"),
    ],
)
def test_a_dtype_that_cannot_be_had_exactly_is_refused(tail, dtype, message):
    with pytest.raises(UnsupportedTransform, match=message):
        compiled(v1.Compose([CROP, *tail]), dtype=dtype)
