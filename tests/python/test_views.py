"""Several views of one image: read from a script's code, and bit for bit torchvision's."""

from __future__ import annotations

import importlib
import linecache
import random
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from torchvision import transforms as v1
from torchvision.transforms import v2

import odd_images
import ringfeed
from lightning_runs import QUIET
from native import Native, train_plan
from replayed import assert_replayed
from ringfeed._unfinished import map_tensors
from ringfeed.transforms import UnsupportedTransform, Views, compile_transform
from torchvision_reference import TAILS, differing, finish, load

SEED = 77


def crop(size, tail="v1", *steps, **options):
    version = v2 if tail == "v2" else v1
    flip = version.RandomHorizontalFlip()
    return version.Compose([version.RandomResizedCrop(size, **options), flip, *steps, *TAILS[tail]])


LARGE, OTHER, SMALL = crop(32), crop(32, "v2"), crop(12, scale=(0.05, 0.4))


def views_text(transform):
    recipe = compile_transform(transform, dtype=None, channels_last=False, pillow="13")
    assert len(recipe.views) >= 1
    return recipe.text


# As scripts write them.


class TwoCropsTransform:
    """Take two random crops of one image as the query and key."""

    def __init__(self, base_transform):
        self.base_transform = base_transform

    def __call__(self, x):
        q = self.base_transform(x)
        k = self.base_transform(x)
        return [q, k]


class TwoDifferent:
    def __init__(self, one: object, two: object) -> None:
        self.transform, self.transform_prime = one, two

    def __call__(self, sample: object) -> tuple[object, object]:
        x1 = self.transform(sample)
        x2 = self.transform_prime(sample)
        return x1, x2


class ContrastiveLearningViewGenerator:
    def __init__(self, base_transform, n_views=2):
        self.base_transform = base_transform
        self.n_views = n_views

    def __call__(self, x):
        return [self.base_transform(x) for i in range(self.n_views)]


class DataAugmentationDINO:
    def __init__(self, one, two, local, local_crops_number):
        self.global_transfo1 = one
        self.global_transfo2 = two
        self.local_crops_number = local_crops_number
        self.local_transfo = local

    def __call__(self, image):
        crops = []
        crops.append(self.global_transfo1(image))
        crops.append(self.global_transfo2(image))
        for _ in range(self.local_crops_number):
            crops.append(self.local_transfo(image))
        return crops


class EachOf(torch.nn.Module):
    def __init__(self, transforms):
        super().__init__()
        self.transforms = torch.nn.ModuleList(transforms)

    def forward(self, image):
        return tuple(transform(image) for transform in self.transforms)


class EachOf2:
    __slots__ = ("groups",)
    others = (SMALL,)

    def __init__(self, *groups):
        self.groups = groups

    def __call__(self, image):
        views: list[object] = []
        for transform, count in self.groups:
            views.extend(transform(image) for _ in range(count))
        views += [self.others[0](image)]
        return views


class Pipelines:
    """Each of which gives views."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, x):
        out = []
        for transform in self.transforms:
            out.extend(transform(x))
        return out


def spread(image):
    return (*two(image), *PIPELINES(image))


def two(image, second=OTHER):
    first, last = LARGE(image), second(image)
    return (first,) + (last,)


def nested(transform, count):
    def apply(image):
        return list(transform(image) for _ in range(2 * count - 1))  # noqa: C400

    return apply


class Method:
    def views(self, image):
        return [LARGE(image)] + [SMALL(image)]


class Class_first(torch.nn.Module):
    def __init__(self, transform):
        super().__init__()
        self.own = transform  # which stands in _modules: Python finds the class's first

    def forward(self, image):
        return [self.own(image)]


class InSteps:
    """What comes before and after the crop stands apart."""

    def __init__(self, crop, normalize):
        self.crop, self.normalize = crop, normalize

    def __call__(self, image):
        image = image.convert("RGB")
        views = [self.normalize(self.crop(image))]
        views.append(self.normalize(self.crop(image)))
        return views


CROP9, TAIL = v1.RandomResizedCrop(9), v1.Compose(TAILS["v1"])
MODULES = [v2.Compose([v2.RandomResizedCrop(9), *TAILS["v2"]]) for _ in range(3)]

Class_first.own = MODULES[0]

PIPELINES = Pipelines([two, ContrastiveLearningViewGenerator(SMALL, 3)])
READ = [
    (Views([LARGE, OTHER]), [LARGE, OTHER]),
    (Views([SMALL]), [SMALL]),
    (TwoCropsTransform(LARGE), [LARGE, LARGE]),
    (TwoDifferent(LARGE, OTHER), [LARGE, OTHER]),
    (ContrastiveLearningViewGenerator(SMALL), [SMALL] * 2),
    (ContrastiveLearningViewGenerator(SMALL, 5), [SMALL] * 5),
    (DataAugmentationDINO(LARGE, OTHER, SMALL, 8), [LARGE, OTHER, *[SMALL] * 8]),
    (DataAugmentationDINO(LARGE, OTHER, SMALL, 0), [LARGE, OTHER]),
    (EachOf(MODULES), MODULES),
    (EachOf([MODULES[0], MODULES[0], MODULES[1]]), [MODULES[0], MODULES[0], MODULES[1]]),
    (Class_first(MODULES[1]), [MODULES[0]]),
    (EachOf2((LARGE, 2), (OTHER, 1)), [LARGE, LARGE, OTHER, SMALL]),
    (InSteps(CROP9, TAIL), [v1.Compose([CROP9, TAIL])] * 2),
    (two, [LARGE, OTHER]),
    (spread, [LARGE, OTHER, LARGE, OTHER, SMALL, SMALL, SMALL]),
    (PIPELINES, [LARGE, OTHER, SMALL, SMALL, SMALL]),
    (Pipelines([PIPELINES, Views([OTHER])]), [LARGE, OTHER, SMALL, SMALL, SMALL, OTHER]),
    (nested(SMALL, 2), [SMALL] * 3),
    (Method().views, [LARGE, SMALL]),
    (lambda x: [LARGE(x), SMALL(x)], [LARGE, SMALL]),
]


@pytest.mark.parametrize(("transform", "views"), READ, ids=lambda x: type(x).__name__)
def test_views_are_read_from_the_code(transform, views):
    assert views_text(transform) == views_text(Views(views))
    recipe = compile_transform(transform, dtype=None, channels_last=False, pillow="13")
    assert [view.plan.height for view in recipe.views] == [
        compile_transform(view, dtype=None, channels_last=False, pillow="13").plan.height
        for view in views
    ]


# What must not be taken for views that do not change.


class Refused:
    def __init__(self, call):
        self.one, self.two, self.count, self.list = LARGE, SMALL, 2, [LARGE, SMALL]
        self.mode = "RGB"
        self.call = call

    @property
    def drawn(self):
        return LARGE


def refused(why):
    def register(call):
        name = f"{call.__name__}_"
        own = type(name, (Refused,), {"__call__": call})
        CASES.append(pytest.param(own(call), why, id=call.__name__))
        return call

    return register


CASES = []


def WORKS_IN_PLACE(image):
    image.paste(0, (0, 0, 1, 1))


@refused("`random.choice")
def a_random_choice(self, x):
    return [self.one(x), random.choice(self.list)(x)]


@refused("`self.one if random.random() < 0.5 else self.two`")
def a_choice_by_chance(self, x):
    return [self.one(x), (self.one if random.random() < 0.5 else self.two)(x)]


@refused("`if random.random() < 0.5")
def a_branch(self, x):
    views = [self.one(x)]
    if random.random() < 0.5:
        views.append(self.two(x))
    return views


@refused("`x.size`: it looks into the image")
def the_images_size(self, x):
    return [self.one(x) for _ in range(x.size[0])]


@refused("`x.convert('L')`: it looks into the image")
def the_image_changed(self, x):
    y = x.convert("L")
    return [self.one(y), self.two(x)]


@refused("`self.count")
def a_counter(self, x):
    self.count += 1
    return [self.one(x) for _ in range(self.count)]


@refused("`self.count`: only names")
def an_attribute_set(self, x):
    self.count = 3
    return [self.one(x), self.two(x)]


@refused("`self.list.append(self.one)`: only lists that it makes itself")
def a_list_that_grows(self, x):
    self.list.append(self.one)
    return [transform(x) for transform in self.list]


@refused("several views are made of its result")
def two_of_one_crop(self, x):
    y = self.one(x)
    return [self.two(y), self.two(y)]


@refused("several views are made of its result")
def a_crop_and_what_comes_of_it(self, x):
    y = self.one(x)
    return [y, self.two(y)]


@refused("`if x.mode == self.mode")
def another_question(self, x):
    if x.mode == self.mode:
        return [self.one(x)]
    return [self.two(x)]


@refused("`x.mode`: it looks into the image")
def the_mode_itself(self, x):
    return [self.one(x), x.mode]


@refused("it returns one view twice")
def the_same_view_twice(self, x):
    q = self.one(x)
    return [q, q]


@refused("it is no list, and no range of a fixed length")
def itself(self, x):
    views = []
    views.extend(self(x))
    return views


@refused("it is no list, and no range of a fixed length")
def no_views(self, x):
    return list(self.one(x))


@refused("`[self.one(x)] * 2`")
def a_list_times_two(self, x):
    return [self.one(x)] * 2


@refused("is not a list of what transforms made")
def the_image_beside(self, x):
    return [self.one(x), x]


@refused("is not a list of what transforms made")
def a_list_of_lists(self, x):
    return [[self.one(x), self.one(x)], self.two(x)]


@refused("`self.drawn`: it is no attribute with a value of its own")
def a_property(self, x):
    return [self.one(x), self.drawn(x)]


@refused("with the image alone")
def a_transform_with_options(self, x):
    return [self.one(x), self.two(x, 3)]


@refused("`[t(x) for t in self.list if t is not None]`")
def a_filter(self, x):
    return [t(x) for t in self.list if t is not None]


@refused("it returns within a loop")
def a_return_in_a_loop(self, x):
    for t in self.list:
        return [t(x)]


@refused("`range(10 ** 9)`|`10 ** 9`")
def a_power(self, x):
    return [self.one(x) for _ in range(10**9)]


@refused("it has more than 256 items")
def a_long_loop(self, x):
    return [self.one(x) for _ in range(1000000)]


@refused("too long")
def loops_within_loops(self, x):
    return [self.one(x) for _ in range(250) for _ in range(250) for _ in range(250)]


@refused("other arguments besides the image")
def another_argument(self, x, y):
    return [self.one(x), self.one(y)]


@refused("`with torch.no_grad()")
def a_context(self, x):
    with torch.no_grad():
        views = [self.one(x), self.two(x)]
    return [*views]


@refused("`lambda y: self.one(y)`")
def a_function_within(self, x):
    f = lambda y: self.one(y)  # noqa: E731
    return [f(x), f(x)]


@refused("`print(x)`|its result is not returned")
def a_call_for_its_effect(self, x):
    WORKS_IN_PLACE(x)
    return [self.one(x), self.two(x)]


@refused("its result is not returned")
def a_result_that_is_dropped(self, x):
    y = self.one(x)  # noqa: F841
    return [self.two(x)]


@refused("it takes other arguments")
def any_arguments(self, x, *SMALL):
    return [self.one(x)] + [t(x) for t in SMALL]


@refused("it takes other arguments")
def any_keywords(self, x, **SMALL):
    return [self.one(x)] + [t(x) for t in SMALL]


@refused("it has no value yet")
def a_name_without_a_value(self, x):
    for SMALL in []:
        pass
    return [self.one(x), SMALL(x)]


@refused("it is a generator")
def a_generator(self, x):
    return [self.one(x), self.two(x)]
    yield


@refused("it returns no view")
def nothing(self, x):
    return []


@refused("items")
def too_many(self, x):
    return [self.one(x) for _ in range(1000000000000000000000000000000)]


@refused("this is not understood")
def a_dict(self, x):
    return {"one": self.one(x), "two": self.two(x)}


@refused("this is not understood|only transforms are called")
def a_stack(self, x):
    return torch.stack([self.one(x), self.two(x)])


@refused("`torch.rand")
def noise(self, x):
    return [self.one(x) for _ in range(int(torch.rand(1) * 3))]


@pytest.mark.parametrize(("transform", "why"), CASES)
def test_other_code_is_refused_by_what_is_not_understood(transform, why):
    with pytest.raises(UnsupportedTransform) as error:
        views_text(transform)
    text = str(error.value)
    assert any(w in text for w in why.split("|")), text
    assert type(transform).__qualname__ in text and "ringfeed.transforms.Views([" in text


class ViewsOfTheirOwn(Views):
    def __call__(self, image):
        return super().__call__(image)[:1]


def test_views_of_another_kind_and_among_other_steps_are_refused():
    with pytest.raises(UnsupportedTransform, match="ViewsOfTheirOwn: it has its own __call__"):
        views_text(ViewsOfTheirOwn([LARGE, OTHER]))
    with pytest.raises(UnsupportedTransform, match="into each view's transform"):
        views_text(v2.Compose([v2.RandomHorizontalFlip(), Views([LARGE, OTHER])]))


class Preset:
    """As in torchvision's references."""

    def __init__(self, size):
        self.transforms = v2.Compose([v2.RandomResizedCrop(size), *TAILS["v2"]])

    def __call__(self, img):
        return self.transforms(img)


class Counting(Preset):
    calls = 0

    def __call__(self, img):
        self.calls += 1
        return self.transforms(img)


class Twice(Preset):
    def __call__(self, img):
        self.transforms(img)
        return self.transforms(img)


def test_a_class_around_one_transform_is_that_transform():
    def text(transform):
        return compile_transform(transform, dtype=None, channels_last=False, pillow="13").text

    preset = Preset(9)
    assert text(preset) == text(preset.transforms) == text(lambda image: preset(image))
    assert views_text(Views([preset, LARGE])) == views_text(Views([preset.transforms, LARGE]))
    for other in Counting(9), Twice(9):
        with pytest.raises(UnsupportedTransform, match="the transform, "):
            text(other)


# Transforms that only hand the image on.


class Module(torch.nn.Module):
    def __init__(self, transform):
        super().__init__()
        self.transform = transform

    def forward(self, img):
        img = self.transform(img)
        return img


class ConvertsFirst:
    def __init__(self, *steps):
        self.first, self.last = steps

    def __call__(self, image: object) -> object:
        """Convert, crop, and the rest."""
        if image.mode != "RGB":
            image = image.convert("RGB")
        cropped = self.first(image)
        return self.last(cropped)


def to_rgb(image):
    return image.convert("RGB")


CROPPED = v1.Compose([CROP9, TAIL])


def of_rgb(image):
    return CROPPED(image) if image.mode == "RGB" else SMALL(image)


def unless_rgb(image):
    if image.mode != "RGB":
        return SMALL(image)
    return CROPPED(image)


HANDING_ON = [
    Module(CROPPED),
    v1.Compose([Module(CROP9), TAIL]),
    ConvertsFirst(CROP9, TAIL),
    ConvertsFirst(v1.Lambda(lambda x: x), CROPPED),
    Module(ConvertsFirst(CROP9, TAIL)),
    v1.Compose([CROP9, to_rgb, TAIL]),
    v1.Compose([v1.Lambda(lambda img: img.convert("RGB") if img.mode != "RGB" else img), CROPPED]),
    v2.Compose([v2.Lambda(lambda img: img if img.mode == "RGB" else img.convert("RGB")), CROPPED]),
    v1.Compose([CROPPED, lambda x: x]),
    of_rgb,
    unless_rgb,
]


@pytest.mark.parametrize("number", range(len(HANDING_ON)))
def test_code_that_only_hands_the_image_on_is_seen_through(odd, number):
    transform = HANDING_ON[number]
    assert compile_text(transform) == compile_text(CROPPED)
    assert_replayed(odd[:8], transform)


def compile_text(transform):
    return compile_transform(transform, dtype=None, channels_last=False, pillow="13").text


class Endless:
    def __init__(self):
        self.inner = self

    def __call__(self, image):
        return self.inner(image)


def not_rgb(image):
    return image.convert("L")


def by_size(image):
    return LARGE(image) if image.size == (3, 3) else SMALL(image)


def nothing_of_rgb(image):
    if image.mode == "RGB":
        return None
    return CROPPED(image)


class OwnName:
    def __init__(self):
        self.__transform = CROPPED
        self.__dict__["__transform"] = v1.Compose([v1.RandomInvert(1.0), CROPPED])

    def __call__(self, image):
        return self.__transform(image)


class Undeletable:
    """What has __delete__ comes before the object's own attributes."""

    def __get__(self, owner, kind=None):
        return CROPPED

    def __delete__(self, owner):
        raise AttributeError


class ByDescriptor:
    transform = Undeletable()

    def __init__(self):
        self.__dict__["transform"] = v1.Compose([v1.RandomInvert(1.0), CROPPED])

    def __call__(self, image):
        return self.transform(image)


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (nothing_of_rgb, "the transform, <function nothing_of_rgb"),
        (OwnName(), "the transform, <.*OwnName"),
        (ByDescriptor(), "the transform, <.*ByDescriptor"),
        (Endless(), "the transform, .*Endless.*ringfeed cannot do this"),
        (v1.Compose([CROP9, not_rgb, TAIL]), "step 2, <function not_rgb"),
        (by_size, "the transform, <function by_size"),
        (v1.Compose([CROPPED, to_rgb]), "it converts PIL images, and comes after ToTensor"),
        (v1.Compose([CROPPED, lambda x: x * 2]), "step 2, <function <lambda>"),
        (v2.Compose([v2.Lambda(lambda x: x, torch.Tensor), CROPPED]), "step 1, Lambda"),
    ],
)
def test_code_that_does_more_is_named(transform, words):
    with pytest.raises(UnsupportedTransform, match=words):
        compile_text(transform)


class GlobalTransform:
    calls = 0

    def __call__(self, image):
        return image.rotate(9)


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (Views([LARGE, v1.CenterCrop(8)]), "view 2: the transform ends with a PIL image"),
        (Views([LARGE, Views([SMALL])]), "view 2: it gives several views itself"),
        (TwoCropsTransform(GlobalTransform()), "view 1: .*the transform, <.*GlobalTransform"),
        (GlobalTransform(), "the transform, <.*GlobalTransform.*ringfeed cannot do this"),
        (v1.Compose([TwoCropsTransform(LARGE)]), "step 1, <.*TwoCropsTransform"),
        (TwoCropsTransform(random.random), "view 1|image alone"),
    ],
)
def test_a_view_that_cannot_be_done_is_named(transform, words):
    with pytest.raises(UnsupportedTransform, match=words):
        views_text(transform)


def test_one_of_two_lambdas_in_a_line_is_refused():
    first, second = lambda x: [LARGE(x)], lambda x: [SMALL(x)]
    for transform in (first, second):
        with pytest.raises(UnsupportedTransform, match="<lambda>: its source cannot be read"):
            views_text(transform)


def test_lambdas_in_a_line_that_are_alike_are_read():
    first, second = lambda x: [LARGE(x)], lambda x: [LARGE(x)]
    assert views_text(first) == views_text(second) == views_text(lambda x: [LARGE(x)])


def test_code_without_its_source_is_refused():
    names = {"LARGE": LARGE}
    exec("def two(x): return [LARGE(x), LARGE(x)]\ndef one(x): return LARGE(x)", names)
    with pytest.raises(UnsupportedTransform, match="the transform, two: its source cannot be read"):
        views_text(names["two"])
    with pytest.raises(
        UnsupportedTransform, match="the transform, <function one>: ringfeed cannot do this"
    ):
        views_text(names["one"])


def test_source_that_is_not_what_runs_is_refused(tmp_path, monkeypatch):
    """Of a file that has changed since it was imported."""
    code = "class T:\n    def __call__(self, x):\n        return [self.a(x), self.{}(x)]\n"
    file = tmp_path / "changed_views.py"
    file.write_text(code.format("a"))
    monkeypatch.syspath_prepend(tmp_path)
    transform = importlib.import_module("changed_views").T()
    transform.a, transform.b = LARGE, SMALL
    file.write_text(code.format("b") + "\n")
    linecache.checkcache()
    with pytest.raises(UnsupportedTransform, match="or is not what runs"):
        views_text(transform)
    del sys.modules["changed_views"]


def test_views_take_transforms_and_show_them():
    assert repr(Views([v1.CenterCrop(4), len])) == (
        "Views(\n    CenterCrop(size=(4, 4))\n    <built-in function len>\n)"
    )
    for wrong, error in (([], ValueError), ([LARGE] * 257, ValueError), ([LARGE, 3], TypeError)):
        with pytest.raises(error, match="Views takes|view 2"):
            Views(wrong)


# What a loader gives.

STRONG = (v1.ColorJitter(0.4, 0.4, 0.2, 0.1), v1.RandomGrayscale(0.2), v1.RandAugment())
DINO = DataAugmentationDINO(
    crop(40, "v1", *STRONG), crop((31, 47), "v2"), crop(16, "uint8", scale=(0.05, 0.4)), 3
)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    return odd_images.make(tmp_path_factory.mktemp("odd"))


def check_replayed(loader, epoch=0, dtype=None):
    """Every view of every sample; how many samples there were."""
    dataset, rows, at = loader.dataset, loader.draws(epoch), 0
    transforms = Views([dataset.transform]).transforms
    if isinstance(dataset.transform, DataAugmentationDINO):
        dino = dataset.transform
        transforms = [dino.global_transfo1, dino.global_transfo2]
        transforms += [dino.local_transfo] * dino.local_crops_number
    assert rows.shape[1:] == (len(transforms),)
    loader.set_epoch(epoch)
    for views, labels in loader:
        assert type(views) is list and len(views) == len(transforms)
        for i, label in enumerate(labels.tolist()):
            path, target = dataset.samples[rows[at, 0]["index"]]
            assert label == target
            for row, view, transform in zip(rows[at], views, transforms, strict=True):
                wanted = finish(ringfeed.replay(row, load(path), transform), [], dtype)
                assert not differing(view[i], wanted), f"seed {SEED}, {path}, {row}"
            at += 1
    assert at == len(rows)
    return at


def test_every_view_is_torchvisions(odd, reader):
    dataset = ringfeed.ImageList(odd, range(len(odd)), DINO)
    with ringfeed.DataLoader(
        dataset, batch_size=32, shuffle=True, num_workers=2, seed=SEED, reader=reader
    ) as loader:
        assert len(odd) % 32 != 0
        for epoch in range(2):
            assert check_replayed(loader, epoch) == len(odd)


def test_dtype_and_layout_are_those_of_every_view(odd):
    transform = DataAugmentationDINO(LARGE, OTHER, SMALL, 2)
    dataset = ringfeed.ImageList(odd[:20], range(20), transform)
    with ringfeed.DataLoader(
        dataset, batch_size=8, num_workers=2, seed=SEED, dtype=torch.bfloat16, channels_last=True
    ) as loader:
        check_replayed(loader, dtype=torch.bfloat16)
        views, _ = next(iter(loader))
    assert [tuple(view.shape) for view in views] == [(8, 3, 32, 32)] * 2 + [(8, 3, 12, 12)] * 2
    assert all(view.is_contiguous(memory_format=torch.channels_last) for view in views)


def test_equal_transforms_give_other_draws_and_the_first_those_of_one_view(odd):
    def first_batch(transform):
        dataset = ringfeed.ImageList(odd[60:68], range(8), transform)
        with ringfeed.DataLoader(dataset, batch_size=8, num_workers=1, seed=SEED) as loader:
            return next(iter(loader))[0], loader.draws(0)

    (one, two), rows = first_batch(Views([LARGE, LARGE]))
    alone, alone_rows = first_batch(LARGE)
    assert not torch.equal(one, two) and torch.equal(one, alone)
    assert rows.shape == (8, 2) and alone_rows.shape == (8,)
    assert np.array_equal(rows[:, 0], alone_rows)


def test_replay_makes_one_view_and_says_so(odd):
    dataset = ringfeed.ImageList(odd[:2], range(2), TwoCropsTransform(LARGE))
    rows = ringfeed.DataLoader(dataset, batch_size=2, num_workers=1, seed=SEED).draws(0)
    with pytest.raises(ValueError, match="several views, and replay.. makes one"):
        ringfeed.replay(rows[0, 0], load(odd[0]), dataset.transform)


def test_a_sample_alone_has_its_views(odd):
    dataset = ringfeed.ImageList(odd[:3], range(3), Views([LARGE, SMALL]))
    with ringfeed.DataLoader(dataset, batch_size=None, num_workers=1, seed=SEED) as loader:
        samples = list(loader)
    assert [[tuple(v.shape) for v in views] for views, _ in samples] == [
        [(3, 32, 32), (3, 12, 12)]
    ] * 3


def test_an_epoch_goes_on_with_its_views(odd):
    dataset = ringfeed.ImageList(odd[:30], range(30), Views([LARGE, SMALL, SMALL]))

    def loader():
        return ringfeed.DataLoader(dataset, batch_size=4, shuffle=True, num_workers=2, seed=SEED)

    with loader() as whole, loader() as rest:
        batches = iter(whole)
        for _ in range(3):
            next(batches)
        state = whole.state_dict()
        assert (
            state["recipe"].startswith("views(random_resized_crop(32x32")
            and "; 2 x " in (state["recipe"])
        )
        rest.load_state_dict(state)
        for (expected, labels), (views, others) in zip(batches, rest, strict=True):
            assert torch.equal(labels, others)
            assert all(map(torch.equal, expected, views))
    other = ringfeed.DataLoader(
        ringfeed.ImageList(odd[:30], range(30), Views([LARGE, SMALL])), batch_size=4, shuffle=True
    )
    with pytest.warns(UserWarning, match="views"):
        other.load_state_dict(state)


def test_torchs_own_loader_takes_views_too(odd):
    dataset = ringfeed.ImageList(odd[:4], range(4), Views([LARGE, SMALL]))
    views, _ = next(iter(torch.utils.data.DataLoader(dataset, batch_size=4)))
    assert [tuple(view.shape) for view in views] == [(4, 3, 32, 32), (4, 3, 12, 12)]


def test_mixing_is_refused_with_views(odd):
    dataset = ringfeed.ImageList(odd[:4], range(4), Views([LARGE, SMALL]))
    with pytest.raises(ValueError, match="batch_transform mixes one image .* several views"):
        ringfeed.DataLoader(
            dataset, batch_size=4, batch_transform=ringfeed.transforms.MixUp(num_classes=9)
        )


def test_what_takes_one_image_of_a_sample_is_refused(odd):
    dataset = ringfeed.ImageList(odd[:4], range(4), Views([LARGE, SMALL]))
    with pytest.raises(ValueError, match='finish_on="device" takes .* one image'):
        ringfeed.DataLoader(dataset, batch_size=4, finish_on="device")
    fast_collate = pytest.importorskip("timm.data.loader").fast_collate
    with pytest.raises(ValueError, match="collate_fn=fast_collate collates one image"):
        ringfeed.DataLoader(dataset, batch_size=4, collate_fn=fast_collate)


def test_a_batch_is_held_until_its_last_view_is_dropped(sample):
    plans = [train_plan(16), train_plan(9), train_plan(8, dtype="float16")]
    native = Native(sample / "val", batch_size=6)
    loader = ringfeed._ringfeed.Loader(
        native.dataset,
        plans,
        batch_size=6,
        num_workers=1,
        prefetch_factor=1,
        shuffle=False,
        drop_last=False,
        in_order=True,
        seed=0,
    )
    batch = loader.epoch(0).next()
    before = ringfeed._ringfeed.held_bytes()[0]
    views = [torch.from_dlpack(capsule) for capsule in batch.images()]
    assert [view.data_ptr() - views[0].data_ptr() for view in views] == batch.offsets
    assert ringfeed._ringfeed.held_bytes()[0] == before + 1
    del views[:2]
    assert ringfeed._ringfeed.held_bytes()[0] == before + 1
    views.clear()
    assert ringfeed._ringfeed.held_bytes()[0] == before


def test_page_locked_batches_hold_the_same_views(odd, monkeypatch):
    """With plain memory in the place of page-locked: what finds the views in it is the same."""
    from ringfeed import _tensors

    def plain(size):
        memory = torch.empty(size, dtype=torch.uint8)
        return memory, memory.data_ptr()

    dataset = ringfeed.ImageList(odd[:21], range(21), DINO)
    batches = []
    for pinned in (False, True):
        if pinned:
            monkeypatch.setattr(_tensors, "should_pin", lambda *_: True)
            monkeypatch.setattr(_tensors, "page_locked", plain)
            monkeypatch.setattr(_tensors, "pin", lambda labels: labels)
        with ringfeed.DataLoader(
            dataset, batch_size=8, num_workers=2, seed=SEED, channels_last=pinned
        ) as loader:
            batches.append(list(loader))
    for (expected, _), (views, _) in zip(*batches, strict=True):
        assert all(map(torch.equal, expected, views))
        assert all(v.is_contiguous(memory_format=torch.channels_last) for v in views)


def test_the_data_module_trains_on_views(sample):
    pl = pytest.importorskip("lightning.pytorch")
    lightning = pytest.importorskip("ringfeed.lightning")
    seen = []

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)

        def training_step(self, batch, batch_idx):
            seen.append(batch)
            return self.layer(sum(view.mean((2, 3)) for view in batch[0])).mean()

        def validation_step(self, batch, batch_idx):
            assert batch[0].shape == (4, 3, 224, 224)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    def data():
        return lightning.ImageNetDataModule(
            sample, batch_size=4, num_workers=1, seed=1, train_transform=Views([LARGE, SMALL])
        )

    trainer = pl.Trainer(
        **QUIET, max_epochs=1, limit_train_batches=3, limit_val_batches=1, num_sanity_val_steps=0,
        enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(Module(), data())
    other = data()
    other.setup("fit")
    for (views, labels), (expected, others) in zip(seen, other.train_dataloader()):
        assert [tuple(view.shape) for view in views] == [(4, 3, 32, 32), (4, 3, 12, 12)]
        assert all(map(torch.equal, views, expected)) and torch.equal(labels, others)
    assert len(seen) == 3


def test_views_pass_through_the_prefetcher(odd):
    dataset = ringfeed.ImageList(odd[:10], range(10), Views([LARGE, SMALL]))
    loader = ringfeed.DataLoader(dataset, 4, seed=1)
    expected = list(loader)
    ahead = ringfeed.DevicePrefetcher(ringfeed.DataLoader(dataset, 4, seed=1), "cpu")
    for (views, labels), (whole, others) in zip(ahead, expected, strict=True):
        assert all(map(torch.equal, views, whole)) and torch.equal(labels, others)
    halved = map_tensors(lambda tensor: tensor[:1], expected[0])
    assert [len(view) for view in halved[0]] == [1, 1] and len(halved[1]) == 1
