"""ToTensor and Normalize as a torch worker does them: torchvision's bits, else its code."""

from __future__ import annotations

import contextlib
import functools
import io
import math
import struct
import warnings

import numpy as np
import PIL.Image
import pytest
import torch
import torch.utils.data
from torch.utils.data import Dataset
from torchvision import transforms as v1
from torchvision import tv_tensors
from torchvision.transforms import functional, transforms, v2

import ringfeed
from ringfeed import _code, _tensor_steps

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
THIRDS = ((1 / 3, 2 / 7, 5 / 11), (1 / 3, 0.1, 0.7))
MODES = ("RGB", "L", "LA", "RGBA", "I;16", "I", "F", "P", "1", "CMYK")


@contextlib.contextmanager
def shortened():
    functions = functional.to_tensor, transforms.Compose.__call__, v2.Compose.forward
    codes = [function.__code__ for function in functions if hasattr(function, "__code__")]
    _tensor_steps.shorten()
    try:
        yield
    finally:
        for function, code in zip(functions, codes):
            function.__code__ = code


class Failing(PIL.Image.Image):
    """An image whose pixels come at the second attempt."""

    def tobytes(self, *args):
        self.asked = getattr(self, "asked", 0) + 1
        if self.asked == 1:
            raise ConnectionError("the server is gone")
        return super().tobytes(*args)


Failing.__module__ = "PIL.Image"


def test_an_error_of_the_image_is_raised_and_not_tried_again():
    image = picture()
    image.__class__ = Failing
    steps = v1.Compose([v1.ToTensor(), v1.Normalize(*IMAGENET)])
    with shortened(), pytest.raises(ConnectionError):
        steps(image)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (functional, "to_tensor"),
        (functional, "normalize"),
        (functional.F_t, "normalize"),
        (transforms.Normalize, "__call__"),
        (transforms.Normalize, "forward"),
        (transforms.ToTensor, "__call__"),
    ],
)
def test_what_a_script_puts_in_later_is_called(monkeypatch, owner, name):
    called = []
    with shortened():
        steps = v1.Compose([v1.ToTensor(), v1.Normalize(*IMAGENET)])
        own = getattr(owner, name)
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, lambda *a, **k: (called.append(1), own(*a, **k))[1])
            steps(picture())
    assert called


@pytest.fixture
def passes(monkeypatch):
    """Grows with each image that is made by look_up_planes()."""
    made, own = [], _tensor_steps.look_up_planes
    monkeypatch.setattr(_tensor_steps, "look_up_planes", lambda *a: (own(*a), made.append(1)))
    return made


def picture(mode="RGB", size=(31, 17), seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    image = PIL.Image.fromarray(noise)
    return image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode)


def every_byte():
    return PIL.Image.frombytes("RGB", (256, 2), bytes(i // 3 % 256 for i in range(256 * 2 * 3)))


def outcome(function, *args):
    """Everything that can be seen of a tensor, or of what was raised; and the generator after."""
    torch.manual_seed(5)
    try:
        made = function(*args)
    except Exception as error:
        return type(error), str(error)
    bits = made.detach().numpy().tobytes()
    seen = (
        type(made),
        made.dtype,
        made.shape,
        made.stride(),
        made.is_contiguous(),
        made.requires_grad,
    )
    return seen, bits, torch.get_rng_state().numpy().tobytes()


def check(steps, image, call=None, compose=v1.Compose):
    pipeline = compose(steps)
    call = call or pipeline
    expected = outcome(call, image.copy())
    with shortened():
        assert outcome(call, image.copy()) == expected


def normalizes(mean, std):
    yield v1.Normalize(mean, std)
    yield v1.Normalize(list(mean), list(std), inplace=True)


@pytest.mark.parametrize(
    "numbers", [IMAGENET, THIRDS, ((0.5,) * 3, (0.5,) * 3), ((-0.0,) * 3, (-1e-30, 3e38, math.inf))]
)
@pytest.mark.parametrize("image", [picture(), every_byte(), picture(size=(2, 9))])
def test_a_pair_gives_torchvisions_bits_in_one_pass(numbers, image, passes):
    for normalize in normalizes(*numbers):
        passes.clear()
        check([v1.ToTensor(), normalize], image)
        assert len(passes) == 1


def firsts_of_v2():
    scaled = v2.ToDtype(torch.float32, scale=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ToTensor is deprecated
        return {
            "ToImage": [v2.ToImage(), scaled],
            "PILToTensor": [v2.PILToTensor(), scaled],
            "ToTensor": [v2.ToTensor()],
        }


COMPOSES = {"v1": v1.Compose, "v2": v2.Compose, "tuple": lambda steps: v2.Compose(tuple(steps))}


@pytest.mark.parametrize("compose", COMPOSES)
@pytest.mark.parametrize("numbers", [IMAGENET, THIRDS, None])
@pytest.mark.parametrize("image", [picture(), every_byte(), picture(size=(2, 9))])
@pytest.mark.parametrize("first", firsts_of_v2())
def test_steps_of_v2_give_torchvisions_tensor_in_one_pass(first, numbers, image, compose, passes):
    steps = firsts_of_v2()[first]
    for normalize in (
        [None]
        if numbers is None
        else [
            v2.Normalize(*numbers),
            v2.Normalize(*numbers, inplace=True),
        ]
    ):
        passes.clear()
        check([*steps, *([normalize] if normalize else [])], image, compose=COMPOSES[compose])
        assert len(passes) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(9, 7), (1, 5), (5, 1)])
def test_other_images_are_as_v2_makes_them(mode, size):
    for steps in firsts_of_v2().values():
        check([*steps, v2.Normalize(*IMAGENET)], picture(mode, size), compose=v2.Compose)
        check([*steps, v2.Normalize([0.5], [0.25])], picture(mode, size), compose=v2.Compose)


class Halved(v2.ToImage):
    def transform(self, inpt, params):
        return super().transform(inpt.resize((5, 5)), params)


OTHERS = {
    "unscaled": [v2.ToImage(), v2.ToDtype(torch.float32), v2.Normalize(*IMAGENET)],
    "half": [v2.ToImage(), v2.ToDtype(torch.float16, scale=True), v2.Normalize(*IMAGENET)],
    "not converted": [v2.ToImage(), v2.Normalize(*IMAGENET)],
    "a dict": [v2.ToImage(), v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, True)],
    "a subclass": [Halved(), v2.ToDtype(torch.float32, scale=True)],
    "no deviation": [*firsts_of_v2()["ToImage"], v2.Normalize([0.5] * 3, [0.5, 0.0, 0.5])],
    "v1's after v2's": [*firsts_of_v2()["ToImage"], v1.Normalize(*IMAGENET)],
    "v2's after v1's": [v1.ToTensor(), v2.Normalize(*IMAGENET)],
    "a step between": [v2.ToImage(), v2.RandomHorizontalFlip(1.0), *firsts_of_v2()["ToImage"][1:]],
    "erasing": [*firsts_of_v2()["ToImage"], v2.Normalize(*IMAGENET), v2.RandomErasing(0.0)],
    "pure": [*firsts_of_v2()["ToImage"], v2.ToPureTensor()],
}


@pytest.mark.parametrize("name", OTHERS)
def test_whatever_else_stands_there_is_as_v2_makes_it(name):
    check(OTHERS[name], picture(), compose=v2.Compose)


def test_images_beside_labels_and_boxes_are_v2_s_affair():
    steps = [*firsts_of_v2()["ToImage"], v2.Normalize(*IMAGENET)]
    pipeline = v2.Compose(steps)
    for inputs in [(picture(), 3), ((picture(), 3),), ({"image": picture(), "label": 3},)]:
        expected = pipeline(*inputs)
        with shortened():
            found = pipeline(*inputs)
        for key in expected if isinstance(expected, dict) else range(2):
            assert type(found[key]) is type(expected[key])
            assert torch.equal(torch.as_tensor(found[key]), torch.as_tensor(expected[key]))


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (v2.functional, "to_image"),
        (v2.functional, "to_dtype"),
        (v2.functional, "normalize"),
        (v2.ToImage, "transform"),
        (v2.ToDtype, "forward"),
        (v2.Normalize, "__call__"),
    ],
)
def test_what_a_script_puts_into_v2_later_does_what_it_does_there(monkeypatch, owner, name):
    own, called = getattr(owner, name), []

    @functools.wraps(own)
    def other(*args, **options):
        called.append(1)
        return own(*args, **options)

    outcomes = []
    for context in (contextlib.nullcontext, shortened):
        with context():
            steps = v2.Compose([*firsts_of_v2()["ToImage"], v2.Normalize(*IMAGENET)])
            steps(picture())
            with monkeypatch.context() as patch:
                patch.setattr(owner, name, other)
                outcomes.append((outcome(steps, picture()), len(called)))
                called.clear()
    # Where v2 looks kernels up by the function it knows no other and raises.
    assert outcomes[0] == outcomes[1] and (outcomes[0][1] or outcomes[0][0][0] is ValueError)


def test_hooks_of_a_step_of_v2_are_called():
    for at in range(3):
        steps, seen = [*firsts_of_v2()["ToImage"], v2.Normalize(*IMAGENET)], []
        steps[at].register_forward_hook(lambda _, args, made, seen=seen: seen.append(made.clone()))
        check(steps, picture(), compose=v2.Compose)
        assert torch.equal(*seen)


def test_to_tensor_alone_gives_torchvisions_bits_in_one_pass(passes):
    check([v1.ToTensor()], every_byte())
    check([], picture(), v1.ToTensor())
    check([], picture(), lambda image: functional.to_tensor(image))
    assert len(passes) == 3


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(9, 7), (1, 5), (5, 1), (1, 1)])
def test_other_modes_and_lines_are_as_torchvision_makes_them(mode, size):
    check([v1.ToTensor()], picture(mode, size))
    for normalize in normalizes(*IMAGENET):
        check([v1.ToTensor(), normalize], picture(mode, size))
    check([v1.ToTensor(), v1.Normalize((0.5,), (0.25,))], picture(mode, size))


@pytest.mark.parametrize(
    "normalize",
    [
        v1.Normalize((0.5, 0.5, 0.5), (0.5, 0.0, 0.5)),
        v1.Normalize((0.5, 0.5), (0.5, 0.5)),
        v1.Normalize(0.5, 0.25),
        v1.Normalize((0, 0, 0), (1, 2, 3)),
        v1.Normalize(torch.tensor(IMAGENET[0]), torch.tensor(IMAGENET[1])),
        v1.Normalize(torch.zeros(3, requires_grad=True), torch.ones(3)),
        v1.Normalize(None, None),
    ],
)
def test_odd_means_and_deviations_are_torchvisions_affair(normalize):
    check([v1.ToTensor(), normalize], picture())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_another_default_dtype_is_kept(dtype, passes):
    pipeline = v1.Compose([v1.ToTensor(), v1.Normalize(*IMAGENET)])
    with shortened():
        pipeline(picture())  # whose table is kept
        passes.clear()
        torch.set_default_dtype(dtype)
        try:
            made = pipeline(picture())
        finally:
            torch.set_default_dtype(torch.float32)
    assert made.dtype is dtype
    assert not passes


def test_a_table_follows_the_numbers_that_a_step_has_now():
    normalize = v1.Normalize(*IMAGENET)
    pipeline = v1.Compose([v1.ToTensor(), normalize])
    with shortened():
        pipeline(picture())
        normalize.mean = THIRDS[0]
        normalize.std = THIRDS[1]
        made = pipeline(picture())
    assert torch.equal(made, pipeline(picture()))


def test_what_stands_between_sees_the_tensor_that_is_not_normalized_yet():
    seen = []
    steps = [v1.ToTensor(), lambda t: (seen.append(t.clone()), t)[1], v1.Normalize(*IMAGENET)]
    check(steps, picture())
    assert torch.equal(*seen)


def test_erasing_after_a_pair_draws_and_gives_the_same():
    def call(image):
        torch.manual_seed(4)
        return v1.Compose([v1.ToTensor(), v1.Normalize(*IMAGENET), v1.RandomErasing(1.0)])(image)

    check([], picture(), call)


def test_hooks_of_a_step_are_called_with_what_torchvision_gives_them():
    for register in ("register_forward_hook", "register_forward_pre_hook"):
        seen, normalize = [], v1.Normalize(*IMAGENET)
        getattr(normalize, register)(lambda _, args, *made, seen=seen: seen.append(args[0].clone()))
        check([v1.ToTensor(), normalize], picture())
        assert torch.equal(*seen)
    seen = []
    handle = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, args: seen.append(args[0].clone())
    )
    try:
        check([v1.ToTensor(), v1.Normalize(*IMAGENET)], picture())
    finally:
        handle.remove()
    assert torch.equal(*seen)


class Doubled(v1.ToTensor):
    def __call__(self, pic):
        return super().__call__(pic) * 2


class Shifted(v1.Normalize):
    def forward(self, tensor):
        return super().forward(tensor) + 1


class Counted(v1.Compose):
    calls = 0

    def __call__(self, img):
        Counted.calls += 1
        return super().__call__(img)


def test_subclasses_run_their_own_code():
    check([Doubled(), v1.Normalize(*IMAGENET)], picture())
    check([v1.ToTensor(), Shifted(*IMAGENET)], picture())
    check([], picture(), Counted([v1.ToTensor(), v1.Normalize(*IMAGENET)]))
    assert Counted.calls == 2


def test_a_forward_of_an_instance_is_called():
    normalize = v1.Normalize(*IMAGENET)
    normalize.forward = lambda tensor: tensor * 3
    check([v1.ToTensor(), normalize], picture())


def test_a_function_in_the_place_of_torchvisions_is_called(monkeypatch):
    monkeypatch.setattr(functional, "normalize", lambda tensor, *a, **k: tensor + 9)
    check([v1.ToTensor(), v1.Normalize(*IMAGENET)], picture())
    monkeypatch.setattr(functional, "to_tensor", lambda pic: torch.ones(3, 2, 2))
    check([v1.ToTensor(), v1.Normalize(*IMAGENET)], picture())


def test_a_cut_file_raises_what_pillow_raises():
    file = io.BytesIO()
    picture(size=(200, 200)).save(file, "JPEG")
    image = PIL.Image.open(io.BytesIO(file.getvalue()[:3000]))
    with shortened(), pytest.raises(OSError, match="truncated"):
        v1.Compose([v1.ToTensor(), v1.Normalize(*IMAGENET)])(image)


def test_steps_that_a_step_adds_or_removes_count():
    def steps():
        found = []
        found += [lambda image: (found.insert(1, v1.ToTensor()), image)[1], v1.Normalize(*IMAGENET)]
        return found

    expected = v1.Compose(steps())(picture())
    with shortened():
        assert torch.equal(v1.Compose(steps())(picture()), expected)


def test_an_image_that_decodes_late_gives_the_same():
    file = io.BytesIO()
    picture(size=(64, 48)).save(file, "JPEG")
    steps = v1.Compose([v1.CenterCrop(32), v1.Resize(24), v1.ToTensor(), v1.Normalize(*IMAGENET)])
    expected = steps(PIL.Image.open(file).convert("RGB"))
    with shortened():
        assert torch.equal(steps(ringfeed.open(file).convert("RGB")), expected)


def test_sizes_that_do_not_agree_are_refused():
    table, planes = np.zeros((3, 256), np.float32), np.zeros((3, 2), np.float32)
    for wrong in [(b"12345", table, planes), (b"123", table, planes), (b"123456", planes, planes)]:
        with pytest.raises(ValueError, match="3 x 256"):
            _tensor_steps.look_up_planes(*wrong)
    with pytest.raises(BufferError):
        _tensor_steps.look_up_planes(b"123456", table, struct.pack("6f", *range(6)))


class Own(Dataset):
    """A script's, which says whether the short cut is there."""

    def __init__(self):
        self.steps = v1.Compose([v1.ToTensor(), v1.Normalize(*IMAGENET)])

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.steps(picture(seed=index)), _code.runs_instead(functional.to_tensor)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.filterwarnings("ignore:torch's own loader makes")
def test_it_is_done_in_workers_alone(workers):
    own = Own()
    before = functional.to_tensor.__code__, transforms.Compose.__call__.__code__
    [(batch, short)] = ringfeed.DataLoader(own, 4, num_workers=workers)
    [(expected, _)] = torch.utils.data.DataLoader(own, 4)
    assert torch.equal(batch, expected)
    assert short.all() == (workers == 1)
    assert (functional.to_tensor.__code__, transforms.Compose.__call__.__code__) == before
