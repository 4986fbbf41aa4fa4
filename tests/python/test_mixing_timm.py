"""Mixing as timm's Mixup does it, against timm itself."""

from __future__ import annotations

import copy
import itertools
import random
from unittest import mock

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from ringfeed import DataLoader, UnsupportedTransform, _ringfeed
from ringfeed._mixing_apply import Mixer, mix_images, mix_on_device, mix_targets, targets_of
from ringfeed._mixing_compiler import compile_mixing
from ringfeed.transforms import MixUp
from small_images import make

pytest.importorskip("timm", minversion="1.0.31")
timm = pytest.importorskip("timm.data.mixup")

CLASSES = 12
OPTIONS = (
    dict(mixup_alpha=0.8),
    dict(cutmix_alpha=1.0, mixup_alpha=0.0),
    dict(cutmix_alpha=1.0, mixup_alpha=0.0, correct_lam=False),
    dict(mixup_alpha=0.2, cutmix_alpha=1.0, prob=0.7, switch_prob=0.4, label_smoothing=0.0),
    dict(mixup_alpha=0.2, cutmix_minmax=(0.2, 0.9)),
)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make(tmp_path_factory.mktemp("images"), CLASSES)


def numbers_of(rule, stream, size, height, width):
    """The numbers that `rule` draws, a dict for each sample that draws."""
    both = rule.mixup_alpha > 0 and rule.cutmix_alpha > 0
    count = {"batch": 1, "pair": size // 2, "elem": size}[rule.mode]
    samples = []
    for _ in range(count):
        sample = {"mixed": stream.uniform()}
        samples.append(sample)
        if sample["mixed"] >= rule.mix_prob:
            sample.update(switched=0.0, lam=0.5)
            continue
        sample["switched"] = stream.uniform() if both else None
        cut = sample["switched"] < rule.switch_prob if both else rule.cutmix_alpha > 0
        sample["lam"] = stream.beta(rule.cutmix_alpha if cut else rule.mixup_alpha)
        if cut:
            sample["bounded"] = box_numbers(rule.cutmix_minmax, stream, height, width)
    return samples


def box_numbers(minmax, stream, height, width):
    if minmax is None:
        return [stream.bounded(height), stream.bounded(width)]
    least = [int(side * minmax[0]) for side in (height, width)]
    more = [
        stream.bounded(int(side * minmax[1]) - low) for side, low in zip((height, width), least)
    ]
    places = [
        stream.bounded(side - low - number + 1)
        for side, low, number in zip((height, width), least, more)
    ]
    return more + places


def mixed_by_timm(transform, samples, *batch):
    """timm's own, with the recorded numbers for NumPy's in the order in which it asks for them."""
    bounded = iter([value for s in samples for value in s.get("bounded", ())])
    both = transform.mixup_alpha > 0 and transform.cutmix_alpha > 0
    if transform.mode == "batch":
        uniforms = iter([samples[0]["mixed"], samples[0].get("switched")])
    else:
        names = ("switched", "mixed") if both else ("mixed",)
        uniforms = iter([np.array([s[name] for s in samples]) for name in names])

    def beta(a, b, size=None):
        assert a == b
        return samples[0]["lam"] if size is None else np.array([s["lam"] for s in samples])

    def randint(low, high, size=None):
        value = next(bounded)
        return low + value

    with (
        mock.patch("numpy.random.rand", lambda *shape: next(uniforms)),
        mock.patch("numpy.random.beta", beta),
        mock.patch("numpy.random.randint", randint),
    ):
        result = transform(*batch)
    assert next(bounded, None) is None
    return result


@pytest.mark.parametrize("mode", ["batch", "pair", "elem"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_values_are_timm_s_for_its_draws(mode, options, dtype):
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    generator = torch.Generator().manual_seed(seed)
    transform = timm.Mixup(mode=mode, num_classes=CLASSES, **options)
    rule = compile_mixing(transform)
    kinds = set()
    for position in range(40):
        size, height, width = (
            int(torch.randint(low, high, (), generator=generator))
            for low, high in ((1, 5), (5, 40), (5, 40))
        )
        images = torch.randn(2 * size, 3, height, width, generator=generator).to(dtype)
        labels = torch.randint(CLASSES, (2 * size,), generator=generator)
        shape = 2 * size, height, width
        numbers = numbers_of(rule, _ringfeed.MixingStream(seed, 0, position), *shape)
        draw = Mixer(rule, seed, 0).draw(position, *shape)
        kinds |= {mix.kind for mix in draw.mixes}
        mixed = mix_images(images, draw, torch.empty_like)
        targets = mix_targets(targets_of(labels, draw), draw, dtype)
        again = Mixer(rule, seed, 0)(images, labels, position)
        assert torch.equal(again[0], mixed) and torch.equal(again[1], targets)
        theirs = mixed_by_timm(transform, numbers, images.clone(), labels)
        for a, b in zip((mixed, targets), theirs):
            assert a.dtype == b.dtype and torch.equal(a, b)
    wanted = {"mixup"} if options.get("mixup_alpha") else set()
    wanted |= {"cutmix"} if "cutmix_alpha" in options or "cutmix_minmax" in options else set()
    assert kinds - {"none"} == wanted and ("none" in kinds or "prob" not in options)


@pytest.mark.parametrize("collated", [np.asarray, torch.as_tensor], ids=["ToNumpy", "tensors"])
@pytest.mark.parametrize("mode", ["batch", "pair", "elem"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_bytes_are_fast_collate_mixup_s_for_its_draws(mode, options, collated):
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    generator = np.random.default_rng(seed)
    transform = timm.FastCollateMixup(mode=mode, num_classes=CLASSES, **options)
    rule = compile_mixing(transform)
    for position in range(20):
        size, height, width = (2 * int(generator.integers(1, 5)), *generator.integers(5, 40, 2))
        images = generator.integers(0, 256, (size, 3, height, width), np.uint8)
        labels = generator.integers(0, CLASSES, size)
        shape = size, int(height), int(width)
        numbers = numbers_of(rule, _ringfeed.MixingStream(seed, 0, position), *shape)
        draw = Mixer(rule, seed, 0).draw(position, *shape)
        mixed = mix_images(torch.from_numpy(images), draw, torch.empty_like)
        targets = mix_targets(targets_of(torch.from_numpy(labels), draw), draw, torch.uint8)
        batch = [(collated(image.copy()), int(label)) for image, label in zip(images, labels)]
        theirs = mixed_by_timm(transform, numbers, batch)
        for a, b in zip((mixed, targets), theirs):
            assert a.dtype == b.dtype and torch.equal(a, b)
        on_device = mix_on_device(torch.from_numpy(images).clone(), draw)
        assert torch.equal(on_device, mixed)


@pytest.mark.parametrize(("mode", "number"), [("batch", float), ("elem", np.float32)])
def test_boxes_are_timm_s_where_a_side_is_almost_whole(mode, number):
    """Of single samples timm computes them in float32, which now and then makes a pixel."""
    generator = np.random.default_rng(4)
    rule = compile_mixing(timm.Mixup(0, 1.0, mode=mode, num_classes=CLASSES))
    for position in range(10_000):
        height, width = generator.integers(20_000, 40_000, 2).tolist()
        stream = _ringfeed.MixingStream(4, 0, position)
        sample = numbers_of(rule, stream, 2, height, width)[0]
        with mock.patch("numpy.random.randint", side_effect=sample["bounded"]):
            theirs = timm.rand_bbox((3, height, width), number(sample["lam"]))
        left, top, right, bottom = Mixer(rule, 4, 0).draw(position, 2, height, width).mixes[0].box
        assert (top, bottom, left, right) == theirs


@pytest.mark.parametrize("mode", ["batch", "pair", "elem"])
def test_workers_and_resume_change_nothing(images, mode):
    def loader(**options):
        mixup = timm.Mixup(0.8, 1.0, mode=mode, num_classes=CLASSES)
        return DataLoader(images, 4, shuffle=True, seed=3, batch_transform=mixup, **options)

    expected = list(loader())
    for workers, taken in itertools.product((1, 3), range(4)):
        first = loader(num_workers=workers)
        batches = iter(first)
        found = [next(batches) for _ in range(taken)]
        second = loader(num_workers=workers)
        second.load_state_dict(first.state_dict())
        found += list(second) if taken < 3 else []
        for mine, other in zip(found, expected, strict=True):
            assert torch.equal(mine[0], other[0]) and torch.equal(mine[1], other[1])


def test_mixup_enabled_counts_when_an_epoch_begins(images):
    mixup = timm.Mixup(0.8, num_classes=CLASSES, label_smoothing=0.0)
    loader = DataLoader(images, 4, seed=3, batch_transform=mixup)
    assert any((targets.max(1).values < 1).any() for _, targets in loader)
    mixup.mixup_enabled = False
    for (mixed, targets), (plain, labels) in zip(
        loader, set_to(DataLoader(images, 4, seed=3), 1), strict=True
    ):
        assert torch.equal(mixed, plain)
        assert torch.equal(targets, torch.nn.functional.one_hot(labels, CLASSES).float())


def set_to(loader, epoch):
    loader.set_epoch(epoch)
    return loader


class Louder(timm.Mixup):
    def _params_per_batch(self):
        return 0.5, False


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (Louder(num_classes=CLASSES), "own _params_per_batch"),
        (timm.Mixup(num_classes=CLASSES, multi_label=True), "multi_label"),
        (timm.Mixup(num_classes=CLASSES, mode="half"), 'mode of timm\'s Mixup must be "batch"'),
        (timm.Mixup(0, 0, num_classes=CLASSES), "needs mixup_alpha, cutmix_alpha or"),
        (timm.Mixup(-1, 0, num_classes=CLASSES), "mixup_alpha of timm's Mixup must be in"),
        (timm.Mixup(prob=1.5, num_classes=CLASSES), "mix_prob of timm's Mixup must be in"),
        (timm.Mixup(num_classes=3), "num_classes=3 of batch_transform is too small"),
        (timm.Mixup(cutmix_minmax=(0.5, 0.5), num_classes=CLASSES), "leaves no box to draw"),
    ],
)
def test_what_is_not_done_is_named(images, transform, message):
    with pytest.raises(ValueError, match=message) as error:
        DataLoader(images, 4, batch_transform=transform)
    assert isinstance(error.value, UnsupportedTransform) == message.startswith(("own", "multi"))


def bytes_of(images):
    images = copy.copy(images)
    images.transform = v2.Compose([v2.RandomResizedCrop(8), v2.PILToTensor()])
    return images


def test_timm_s_collate_functions_make_the_loader_s_batches(images):
    data = pytest.importorskip("timm.data.loader")
    bytes_ = bytes_of(images)
    plain = list(DataLoader(bytes_, 4, seed=1))
    for mine, other in zip(DataLoader(bytes_, 4, seed=1, collate_fn=data.fast_collate), plain):
        assert torch.equal(mine[0], other[0]) and torch.equal(mine[1], other[1])
    mixup = timm.FastCollateMixup(0.8, 1.0, num_classes=CLASSES)
    loader = DataLoader(bytes_, 4, seed=1, collate_fn=mixup)
    draws = loader.mixing(0)
    assert {draw.mixes[0].kind for draw in draws} - {"none"}
    for (mixed, targets), (other, labels), draw in zip(loader, plain, draws, strict=True):
        assert torch.equal(mixed, mix_images(other, draw, torch.empty_like))
        assert torch.equal(targets, mix_targets(targets_of(labels, draw), draw, torch.uint8))
    assert "FastCollateMixup(mixup_alpha=0.8" in loader.state_dict()["recipe"]


def test_timm_s_collate_functions_are_refused_where_they_would_fail(images):
    data = pytest.importorskip("timm.data.loader")
    mixup = timm.FastCollateMixup(num_classes=CLASSES)
    with pytest.raises(ValueError, match="FastCollateMixup mixes uint8 images, and the transform"):
        DataLoader(images, 4, collate_fn=mixup)
    with pytest.raises(ValueError, match="fast_collate collates uint8 images, and the transform"):
        DataLoader(images, 4, collate_fn=data.fast_collate)
    with pytest.raises(ValueError, match="FastCollateMixup mixes uint8 images, and the transform"):
        DataLoader(images, 4, batch_transform=mixup)
    with pytest.raises(ValueError, match="would both mix: leave one out"):
        DataLoader(bytes_of(images), 4, collate_fn=mixup, batch_transform=mixup)
    half = timm.FastCollateMixup(mode="half", num_classes=CLASSES)
    with pytest.raises(ValueError, match='mode of timm\'s FastCollateMixup must be "batch"'):
        DataLoader(bytes_of(images), 4, collate_fn=half)


def test_odd_batches_are_refused_before_they_come(images):
    mixup = timm.Mixup(num_classes=CLASSES)
    with pytest.raises(ValueError, match="this loader has batch_size=3"):
        DataLoader(images, 3, batch_transform=mixup)
    odd = make_subset(images, 11)
    with pytest.raises(ValueError, match="this loader has a last batch of 3"):
        DataLoader(odd, 4, batch_transform=mixup)
    with pytest.raises(ValueError, match="this loader has a last batch of 1"):
        DataLoader(odd, 2, sampler=range(11), batch_transform=mixup)
    assert len(list(DataLoader(odd, 4, drop_last=True, batch_transform=mixup))) == 2
    assert len(list(DataLoader(odd, 3, batch_transform=MixUp(CLASSES)))) == 4
    batches = iter(DataLoader(odd, batch_sampler=[[1, 2], [3]], batch_transform=mixup))
    next(batches)
    with pytest.raises(ValueError, match="this one has 1 samples"):
        next(batches)


def make_subset(images, count):
    return torch.utils.data.Subset(images, range(count))


@pytest.mark.parametrize("mode", ["pair", "elem"])
def test_mixing_lists_the_smaller_last_batch_as_it_is(images, mode):
    transform = timm.Mixup(0.8, 1.0, mode=mode, num_classes=CLASSES)
    few = torch.utils.data.Subset(images, range(10))
    loader = DataLoader(few, 4, shuffle=True, seed=2, batch_transform=transform)
    *_, (mixed, _) = loader
    *_, (plain, _) = DataLoader(few, 4, shuffle=True, seed=2)
    draw = loader.mixing(0)[-1]
    assert len(mixed) == 2
    assert torch.equal(mixed, mix_images(plain, draw, torch.empty_like))
