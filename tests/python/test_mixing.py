"""Mixing a batch: torchvision's and timm's values for the same draws, and whose draws they are."""

from __future__ import annotations

import itertools
import random

import pytest
import torch
from torch.distributions import Beta
from torch.utils.data import BatchSampler, DistributedSampler, RandomSampler
from torchvision import transforms as v1
from torchvision.transforms import v2

from native import run_python
from ringfeed import DataLoader, DevicePrefetcher, UnsupportedTransform, _ringfeed
from ringfeed._mixing_apply import Mixer, mix_images
from ringfeed._mixing_compiler import compile_mixing
from ringfeed.transforms import CutMix, LabelSmoothing, MixUp
from small_images import PLAIN, make

COUNT = 23
CLASSES = 23
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
EITHER = v2.RandomChoice([v2.MixUp(num_classes=CLASSES), v2.CutMix(num_classes=CLASSES)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("images")


@pytest.fixture
def images(folder):
    return make(folder, COUNT)


@pytest.fixture
def seed():
    """Another one each time, and printed where a test fails."""
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    return seed


def same(ours, theirs):
    assert type(ours) is type(theirs) is list and len(ours) == len(theirs) == 2
    for a, b in zip(ours, theirs):
        assert a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)


def all_same(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        same(mine, other)


def mixer(transform, seed=1, epoch=0):
    return Mixer(compile_mixing(transform), seed, epoch)


def batch(generator, size, height, width, dtype, classes, channels_last=False):
    images = torch.randn(size, 3, height, width, generator=generator).to(dtype)
    if channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    return images, torch.randint(classes, (size,), generator=generator)


def given_draws(transform, draw):
    """torchvision's own transform, with the values of `draw` for its random numbers."""
    (mix,) = draw.mixes
    params = {"lam": mix.lam, "lam_adjusted": mix.lam, "box": mix.box}
    transform.make_params = lambda flat_inputs: params
    return transform


@pytest.mark.parametrize("kind", [v2.MixUp, v2.CutMix])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
def test_values_are_torchvision_s_for_its_draws(kind, dtype, channels_last, seed):
    generator = torch.Generator().manual_seed(seed)
    for number in range(60):
        size, height, width, classes = (
            int(torch.randint(low, high, (), generator=generator))
            for low, high in ((1, 9), (1, 40), (1, 40), (2, 12))
        )
        images, labels = batch(generator, size, height, width, dtype, classes, channels_last)
        ours = mixer(kind(num_classes=classes, alpha=(0.2, 1.0)[number % 2]))
        draw = ours.draw(number, size, height, width)
        theirs = given_draws(kind(num_classes=classes), draw)(images, labels)
        before = images.clone()
        mixed = ours(images, labels, number)
        all_same([list(mixed)], [list(theirs)])
        assert torch.equal(images, before)
        format = torch.channels_last if channels_last else torch.contiguous_format
        assert mixed[0].is_contiguous(memory_format=format)


def test_targets_that_are_given_are_mixed_as_torchvision_does(seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(5, 3, 8, 8, generator=generator)
    for targets in (torch.rand(5, 7, generator=generator), torch.eye(7)[:5].long()):
        ours = mixer(v2.MixUp())
        theirs = given_draws(v2.MixUp(), ours.draw(9, 5, 8, 8))(images, targets)
        same(list(ours(images, targets, 9)), list(theirs))


@pytest.mark.parametrize("alpha", [0.2, 0.8, 1.0, 3.0])
def test_lam_is_distributed_as_torch_s_beta(alpha, seed):
    count = 100_000
    ours = torch.tensor([_ringfeed.MixingStream(seed, 0, i).beta(alpha) for i in range(count)])
    torch.manual_seed(seed)
    theirs = Beta(torch.tensor(alpha), torch.tensor(alpha)).sample((count,))
    # Two samples' Kolmogorov and Smirnov: above 2.69 / sqrt(count / 2) once in a million runs.
    values = torch.cat([ours, theirs]).double().sort().values
    below = [
        torch.searchsorted(x.double().sort().values, values, right=True) for x in (ours, theirs)
    ]
    assert (below[0] - below[1]).abs().max() / count < 2.69 * (2 / count) ** 0.5


def test_boxes_and_choices_are_distributed_as_torchvision_s(seed):
    """The mean of each side of the box and of lam, and how often each was chosen."""
    count, height, width = 20_000, 24, 40
    ours = mixer(EITHER, seed)
    draws = [ours.draw(i, 4, height, width).mixes[0] for i in range(count)]
    cuts = torch.tensor([[*d.box, d.lam] for d in draws if d.kind == "cutmix"], dtype=torch.float64)
    assert abs(len(cuts) - count / 2) < 5 * (count / 4) ** 0.5
    torch.manual_seed(seed)
    theirs = v2.CutMix(num_classes=2)
    blank = [torch.zeros(1, 3, height, width)]
    params = [theirs.make_params(blank) for _ in range(count // 2)]
    expected = torch.tensor([[*p["box"], p["lam_adjusted"]] for p in params], dtype=torch.float64)
    error = (cuts.var(0) / len(cuts) + expected.var(0) / len(expected)).sqrt()
    assert ((cuts.mean(0) - expected.mean(0)).abs() < 5 * error).all()


def test_a_loader_mixes_what_it_gives_without(images):
    plain = DataLoader(images, 4, shuffle=True, seed=5)
    mixed = DataLoader(images, 4, shuffle=True, seed=5, batch_transform=EITHER)
    kinds = set()
    for epoch in range(3):
        ours = mixer(EITHER, 5, epoch)
        for number, (before, after) in enumerate(zip(plain, mixed, strict=True)):
            draw = ours.draw(4 * number, len(before[1]), 8, 8)
            kinds.add(draw.mixes[0].kind)
            theirs = given_draws(
                (v2.MixUp if draw.mixes[0].kind == "mixup" else v2.CutMix)(num_classes=CLASSES),
                draw,
            )
            same(after, list(theirs(*before)))
    assert kinds == {"mixup", "cutmix"}


def test_smoothing_alone_and_with_mixing(images):
    labels = torch.cat([labels for _, labels in DataLoader(images, 4)])
    loader = DataLoader(images, 4, batch_transform=LabelSmoothing(CLASSES, 0.1))
    targets = torch.cat([targets for _, targets in loader])
    expected = torch.full((COUNT, CLASSES), 0.1 / CLASSES)
    expected[torch.arange(COUNT), labels] = 1 - 0.1 + 0.1 / CLASSES
    assert targets.dtype == torch.float32 and torch.equal(targets, expected)
    hard = LabelSmoothing(CLASSES, 0)
    targets = torch.cat([t for _, t in DataLoader(images, 4, batch_transform=hard)])
    assert torch.equal(targets, torch.nn.functional.one_hot(labels, CLASSES).float())
    smoothed = MixUp(CLASSES, 0.2, label_smoothing=0.1)
    ours = mixer(smoothed)
    draw = ours.draw(0, 4, 8, 8)
    theirs = given_draws(v2.MixUp(), draw)(torch.zeros(4, 3, 8, 8), expected[:4])[1]
    assert torch.equal(ours(torch.zeros(4, 3, 8, 8), labels[:4], 0)[1], theirs)


def test_ringfeed_s_own_classes_are_torchvision_s(images):
    for mine, other in (
        (MixUp(CLASSES, 0.2), v2.MixUp(num_classes=CLASSES, alpha=0.2)),
        (CutMix(CLASSES), v2.CutMix(num_classes=CLASSES)),
        (v1.RandomChoice([MixUp(CLASSES), CutMix(CLASSES)]), EITHER),
    ):
        all_same(
            DataLoader(images, 6, seed=1, batch_transform=mine),
            DataLoader(images, 6, seed=1, batch_transform=other),
        )


def test_p_of_random_choice_is_followed(images):
    only = v2.RandomChoice([MixUp(CLASSES), CutMix(CLASSES), LabelSmoothing(CLASSES)], p=[0, 3, 1])
    kinds = [mixer(only).draw(i, 4, 8, 8).mixes[0].kind for i in range(4000)]
    assert kinds.count("mixup") == 0 and abs(kinds.count("cutmix") - 3000) < 150
    nested = v2.RandomChoice([EITHER, LabelSmoothing(CLASSES)], p=[0.5, 0.5])
    kinds = [mixer(nested).draw(i, 4, 8, 8).mixes[0].kind for i in range(4000)]
    assert abs(kinds.count("mixup") - 1000) < 150 and abs(kinds.count("cutmix") - 1000) < 150


# Whose draws they are


def epoch_of(images, **options):
    return list(DataLoader(images, 4, shuffle=True, seed=7, batch_transform=EITHER, **options))


def test_workers_and_prefetch_change_nothing(images):
    expected = epoch_of(images)
    for workers, prefetch in itertools.product((1, 2, 4), (1, 4)):
        all_same(epoch_of(images, num_workers=workers, prefetch_factor=prefetch), expected)


def test_order_of_arrival_changes_nothing(images):
    def by_first(batches):
        return sorted(batches, key=lambda b: b[1].flatten().tolist())

    expected = by_first(epoch_of(images))
    all_same(by_first(epoch_of(images, in_order=False, num_workers=4)), expected)


def test_a_resumed_epoch_goes_on_with_the_same_bytes(images):
    expected = epoch_of(images)
    for taken in range(len(expected)):
        loader = DataLoader(images, 4, shuffle=True, seed=7, batch_transform=EITHER)
        batches = iter(loader)
        for _ in range(taken):
            next(batches)
        state = loader.state_dict()
        resumed = DataLoader(images, 4, shuffle=True, seed=8, batch_transform=EITHER, num_workers=3)
        with pytest.warns(UserWarning, match="state's seed"):
            resumed.load_state_dict(state)
        all_same(resumed, expected[taken:])


def test_another_batch_transform_is_named_when_a_state_is_loaded(images):
    mixed = DataLoader(images, 4, batch_transform=EITHER).state_dict()
    plain = DataLoader(images, 4).state_dict()
    assert "mix" not in plain["recipe"]
    with pytest.warns(UserWarning, match="other transforms.*\n.*\n.*\n.*mixup"):
        DataLoader(images, 4).load_state_dict(mixed)
    with pytest.warns(UserWarning, match="other transforms.*\n.*mixup"):
        DataLoader(images, 4, batch_transform=EITHER).load_state_dict(plain)


def test_epochs_ranks_seeds_and_batches_draw_differently(images):
    draws = {
        mixer(v2.MixUp(num_classes=2), seed, epoch).draw(position, 4, 8, 8).mixes[0].lam
        for seed, epoch, position in itertools.product((0, 1), (0, 1), (0, 4, 8))
    }
    assert len(draws) == 12
    shares = [
        [float(targets.max(1).values[0]) for _, targets in loader]
        for loader in (
            DataLoader(images, 4, seed=7, rank=rank, world_size=2, batch_transform=MixUp(CLASSES))
            for rank in range(2)
        )
    ]
    assert len(shares[0]) == len(shares[1]) == 3 and not set(shares[0]) & set(shares[1])


def test_ranks_number_their_batches_by_the_global_order(images):
    for rank in range(2):
        sampler = DistributedSampler(images, 2, rank, seed=3)
        plain = DataLoader(images, 4, sampler=sampler, seed=3)
        mixed = DataLoader(images, 4, sampler=sampler, seed=3, batch_transform=MixUp(CLASSES))
        for number, (before, after) in enumerate(zip(plain, mixed, strict=True)):
            position = number * 4 * 2 + rank
            same(after, list(mixer(MixUp(CLASSES), 3)(*before, position)))


def test_mixing_lists_what_the_batches_of_an_epoch_are_made_by(images):
    for options in (
        dict(shuffle=True),
        dict(rank=1, world_size=2),
        dict(drop_last=True),
        dict(sampler=DistributedSampler(images, 3, 2, seed=7)),
    ):
        plain = DataLoader(images, 4, seed=7, **options)
        mixed = DataLoader(images, 4, seed=7, batch_transform=EITHER, **options)
        for epoch in (0, 1):
            listed = mixed.mixing(epoch)
            plain.set_epoch(epoch)
            mixed.set_epoch(epoch)
            for draw, before, after in zip(listed, plain, mixed, strict=True):
                kind = v2.MixUp if draw.mixes[0].kind == "mixup" else v2.CutMix
                same(after, list(given_draws(kind(num_classes=CLASSES), draw)(*before)))
    assert DataLoader(images, 4).mixing(0) == []
    shuffled = DataLoader(images, 4, sampler=RandomSampler(images), batch_transform=EITHER)
    with pytest.raises(ValueError, match="cannot know the order"):
        shuffled.mixing(0)


def test_the_memory_of_dropped_batches_is_used_again(images):
    held = _ringfeed.held_bytes()[0]
    loader = DataLoader(images, 2, seed=7, batch_transform=EITHER)
    places = set()
    for mixed, _ in loader:
        places.add(mixed.data_ptr())
        assert _ringfeed.held_bytes()[0] == held + 1  # the core's own is back
    assert len(places) <= 3
    kept = list(loader)
    assert len({mixed.data_ptr() for mixed, _ in kept}) == len(kept) == 12


def test_mixing_starts_no_threads_of_torch_s():
    """They would wait by spinning, on the cores that decode."""
    program = """
import os, torch
from ringfeed._mixing_apply import Mixer
from ringfeed._mixing_compiler import compile_mixing
from ringfeed.transforms import CutMix, MixUp
torch.set_num_threads(4)
for transform in MixUp(1000, label_smoothing=0.1), CutMix(1000):
    for layout in torch.contiguous_format, torch.channels_last:
        images = torch.empty(48, 3, 224, 224, memory_format=layout)
        before = len(os.listdir("/proc/self/task"))
        for position in range(4):
            Mixer(compile_mixing(transform), 0, 0)(images, torch.arange(48), position)
        assert len(os.listdir("/proc/self/task")) == before
torch.empty(1 << 20).fill_(1)
assert len(os.listdir("/proc/self/task")) > before  # else the test shows nothing
"""
    assert run_python(program) == ""


def test_the_caller_s_batches_are_mixed_too(images):
    batches = BatchSampler(RandomSampler(images, generator=torch.Generator()), 5, True)
    loader = DataLoader(images, batch_sampler=batches, batch_transform=EITHER)
    assert [tuple(targets.shape) for _, targets in loader] == [(5, CLASSES)] * 4


def test_the_core_s_batches_are_not_changed_by_an_interrupt(images, monkeypatch):
    """A batch whose making was interrupted is made again, of the same memory."""
    expected = epoch_of(images)
    loader = DataLoader(images, 4, shuffle=True, seed=7, batch_transform=EITHER)
    real, interrupted = mix_images, []

    def interrupt(*arguments):
        mixed = real(*arguments)
        if len(interrupted) < 3:
            interrupted.append(True)
            raise KeyboardInterrupt
        return mixed

    monkeypatch.setattr("ringfeed._mixing_apply.mix_images", interrupt)
    batches, found = iter(loader), []
    while len(found) < len(expected):
        try:
            for batch in batches:
                found.append(batch)
        except KeyboardInterrupt:
            pass
    assert len(interrupted) == 3
    all_same(found, expected)


def test_a_prefetcher_passes_mixed_batches_on(images):
    loader = DataLoader(images, 4, shuffle=True, seed=7, batch_transform=EITHER)
    all_same(DevicePrefetcher(loader, "cpu"), epoch_of(images))


def test_half_precision_is_mixed_in_it(images):
    options = dict(seed=1, batch_transform=MixUp(CLASSES), dtype=torch.bfloat16)
    plain = next(iter(DataLoader(images, 4, seed=1, dtype=torch.bfloat16)))
    same(next(iter(DataLoader(images, 4, **options))), list(mixer(MixUp(CLASSES))(*plain, 0)))


# What is refused


class Louder(v2.MixUp):
    def make_params(self, flat_inputs):
        return {"lam": 0.5}


class Renamed(v2.MixUp):
    """Behaves alike."""


def hooked():
    transform = v2.MixUp(num_classes=CLASSES)
    transform.register_forward_hook(lambda *_: None)
    return transform


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (Louder(num_classes=CLASSES), "Louder.*own make_params"),
        (hooked(), "forward hooks"),
        (v2.MixUp(num_classes=CLASSES, labels_getter=lambda x: x[1]), "labels_getter"),
        (v2.RandomChoice([EITHER, torch.nn.Identity()]), "Identity"),
        (v2.Compose([EITHER]), r"Compose.*RandomChoice\(\[MixUp\(\.\.\.\), CutMix"),
        ([EITHER], r"RandomChoice\(\[MixUp\(\.\.\.\), CutMix"),
        (v2.RandomApply([EITHER]), "RandomApply.*batch_transform takes MixUp"),
        (lambda images, labels: (images, labels), "lambda"),
        (MixUp, "class.*MixUp"),
    ],
)
def test_what_is_not_known_is_refused_by_name(images, transform, message):
    with pytest.raises(UnsupportedTransform, match=message):
        DataLoader(images, 4, batch_transform=transform)


def test_a_subclass_that_behaves_alike_is_taken(images):
    ours = DataLoader(images, 4, seed=7, batch_transform=Renamed(num_classes=CLASSES))
    all_same(ours, DataLoader(images, 4, seed=7, batch_transform=MixUp(CLASSES)))


@pytest.mark.parametrize(
    ("make_transform", "message"),
    [
        (lambda: MixUp(0), r"num_classes of MixUp\(\) must be at least 1, not 0"),
        (lambda: MixUp(3, alpha=0), r"alpha of MixUp\(\) must be in"),
        (lambda: CutMix(3, alpha=float("nan")), r"alpha of CutMix\(\) must be in"),
        (lambda: CutMix(3, label_smoothing=2), r"label_smoothing of CutMix\(\) must be in"),
        (lambda: LabelSmoothing(3, -1), r"label_smoothing of LabelSmoothing\(\) must be in"),
        (lambda: MixUp(CLASSES - 1), "num_classes=22 of batch_transform.* label 22.* least 23"),
        (lambda: v2.MixUp(), "batch_transform needs num_classes.* pass num_classes=23"),
    ],
)
def test_values_that_make_no_sense_are_named(images, make_transform, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(images, 4, batch_transform=make_transform())
    with pytest.raises(TypeError, match="num_classes of MixUp"):
        MixUp(2.5)


def test_uint8_is_refused_where_pixels_are_multiplied(folder):
    pixels = make(folder, COUNT, v1.Compose([v1.CenterCrop(8), v1.PILToTensor()]))
    with pytest.raises(ValueError, match="uint8: end it with ToTensor"):
        DataLoader(pixels, 4, batch_transform=EITHER)
    plain = next(iter(DataLoader(pixels, 4)))
    cut = next(iter(DataLoader(pixels, 4, seed=2, batch_transform=CutMix(CLASSES))))
    theirs = given_draws(v2.CutMix(num_classes=CLASSES), mixer(CutMix(CLASSES), 2).draw(0, 4, 8, 8))
    same(cut, list(theirs(*plain)))


def test_single_samples_are_refused(images):
    with pytest.raises(ValueError, match="batch_size=None gives single samples"):
        DataLoader(images, None, batch_transform=EITHER)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (lambda label: {"label": label}, "target_transform makes dict"),
        (lambda label: label - 1, "no column for the label -1"),
        (lambda label: label + CLASSES, "no column for the label 25"),
        (lambda label: label / 2, "labels of torch.float64"),
        (lambda label: torch.zeros(5), "targets of 5 classes"),
    ],
)
def test_labels_that_cannot_be_mixed_raise_at_their_batch(folder, target, message):
    loader = DataLoader(make(folder, 6, PLAIN, target_transform=target), 3, batch_transform=EITHER)
    batches = iter(loader)
    with pytest.raises(ValueError, match=message):
        next(batches)
    assert loader.state_dict()["positions"] == 3  # that batch counts as taken


def test_labels_without_num_classes_raise(images):
    with pytest.raises(ValueError, match="needs num_classes"):
        next(iter(DataLoader(images, 4, batch_transform=v2.CutMix())))


def test_a_distribution_that_is_not_alphas_is_refused(images):
    mixup = v2.MixUp(num_classes=CLASSES)
    mixup.alpha = 0.2  # torchvision goes on with Beta(1, 1)
    with pytest.raises(UnsupportedTransform, match="not that of its alpha"):
        DataLoader(images, 4, batch_transform=mixup)


def test_whole_and_float_numbers_are_one_recipe(images):
    texts = {
        DataLoader(images, 4, seed=1, batch_transform=MixUp(CLASSES, alpha=a)).state_dict()[
            "recipe"
        ]
        for a in (1, 1.0)
    }
    assert len(texts) == 1


def test_numbers_that_are_none_are_named():
    with pytest.raises(TypeError, match=r"alpha of MixUp\(\) must be a number, not '0.2'"):
        MixUp(3, alpha="0.2")
    with pytest.raises(
        TypeError, match=r"label_smoothing of CutMix\(\) must be a number, not True"
    ):
        CutMix(3, label_smoothing=True)
