#!/usr/bin/env python3
"""Writes the geometry torchvision's own code gives, for test_geometry.cc to compare with.

    python tests/augment/make_golden.py     (needs torch and torchvision)

The crops come from the real RandomResizedCrop.get_params with its random functions replaced by
ringfeed's draws (Philox4x32-10 spelled out below), so every retry and rounding is torchvision's.
"""

import math
import random
from pathlib import Path
from unittest import mock

import torch
import torchvision
from torchvision.transforms import autoaugment as A
from torchvision.transforms import functional as F
from torchvision.transforms import transforms as T

HERE = Path(__file__).parent
MASK = 2**64 - 1
CROP = 1  # Purpose::crop


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


assert philox([1, 2, 3, 4], [5, 6]) == [0xC0C839BC, 0x889C87C5, 0x61986739, 0x2D4623D0]


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class Draws:
    def __init__(self, seed, epoch, position):
        key = mix(mix(seed) ^ epoch)
        self.key, self.position, self.draw = (key & 0xFFFFFFFF, key >> 32), position, 0

    def u64(self):
        low, high = self.position & 0xFFFFFFFF, self.position >> 32
        block = philox([low, high, CROP | (self.draw & 0xFFFF) << 16, self.draw >> 16], self.key)
        self.draw += 1
        return block[0] | block[1] << 32

    def uniform(self):
        return (self.u64() >> 11) * 2.0**-53

    def bounded(self, n):
        product = self.u64() * n
        while product & MASK < 2**64 % n:
            product = self.u64() * n
        return product >> 64


class Value:
    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value


class FakeTorch:
    """The five functions get_params calls, in double and on our draws."""

    def __init__(self, draws):
        self.draws = draws

    def empty(self, _):
        return self

    def uniform_(self, low, high):
        return Value(low + self.draws.uniform() * (high - low))

    def tensor(self, values):
        return values

    def log(self, values):
        return [math.log(v) for v in values]

    def exp(self, value):
        return Value(math.exp(value.item()))

    def randint(self, low, high, size):
        return Value(low + self.draws.bounded(high - low))


def write(name, columns, rows):
    with open(HERE / name, "w") as out:
        out.write(f"// torchvision {torchvision.__version__}, by make_golden.py: {columns}\n")
        for row in rows:
            out.write("{" + ", ".join(map(str, row)) + "},\n")


def random_crops():
    rng = random.Random(1)
    fixed = [
        (1, 1),
        (1, 5000),
        (5000, 1),
        (2, 3),
        (3, 2),
        (7, 7),
        (500, 375),
        (375, 500),
        (4000, 3000),
        (1, 2),
        (37, 20000),
    ]
    sizes = fixed + [(rng.randint(1, 1200), rng.randint(1, 1200)) for _ in range(150)]
    recipes = [((0.08, 1.0), (3 / 4, 4 / 3)), ((0.3, 0.3), (1.0, 1.0)), ((0.9, 1.0), (0.2, 6.0))]
    for scale, ratio in recipes:
        for n, (height, width) in enumerate(sizes):
            seed, epoch, position = rng.getrandbits(64), n % 5, rng.getrandbits(40)
            draws = Draws(seed, epoch, position)
            image = torch.empty(1).expand(1, height, width)
            with mock.patch.object(T, "torch", FakeTorch(draws)):
                crop = T.RandomResizedCrop.get_params(image, list(scale), list(ratio))
            flip = int(draws.uniform() < 0.5)
            yield (*scale, *ratio, f"{seed}u", epoch, position, height, width, *crop, flip)


def resize_and_center_crop():
    rng = random.Random(2)
    fixed = [(1, 1), (1, 5000), (5000, 1), (256, 256), (256, 300), (301, 256), (255, 257)]
    cases = [(h, w, 256, 224, 224) for h, w in fixed] + [(30, 41, 20, 33, 28), (9, 8, 8, 9, 9)]
    for _ in range(300):
        cases.append(
            (
                rng.randint(1, 900),
                rng.randint(1, 900),
                rng.randint(1, 400),
                rng.randint(1, 300),
                rng.randint(1, 300),
            )
        )
    for height, width, size, out_height, out_width in cases:
        rh, rw = F._compute_resized_output_size((height, width), [size])
        # Pixels that name their row or column, from 1; the padding is 0.
        rows = torch.arange(1, rh + 1).reshape(1, rh, 1).expand(1, rh, rw)
        columns = torch.arange(1, rw + 1).reshape(1, 1, rw).expand(1, rh, rw)
        y = F.center_crop(rows, [out_height, out_width]).amax(2)[0]
        x = F.center_crop(columns, [out_height, out_width]).amax(1)[0]
        assert len(y) == out_height and len(x) == out_width
        top = int(y.max()) - 1 - int(y.argmax())
        left = int(x.max()) - 1 - int(x.argmax())
        yield height, width, size, out_height, out_width, rh, rw, top, left


def resize_with_max_size():
    rng = random.Random(3)
    for _ in range(200):
        height, width, size = rng.randint(1, 900), rng.randint(1, 900), rng.randint(1, 400)
        max_size = size + rng.randint(1, 300)
        resized = F._compute_resized_output_size((height, width), [size], max_size)
        if min(resized) > 0:  # else torchvision fails
            yield height, width, size, max_size, *resized


def policies():
    """What torchvision's policies can do to an image of 224 x 160, in the order of their tables."""
    size = (160, 224)

    def part(space, name, bin):
        magnitudes, signed = space[name]
        has = magnitudes.ndim > 0 and bin is not None
        magnitude = float(magnitudes[bin]) if has else 0.0
        return f'"{name}"', repr(magnitude), str(signed).lower()

    for number, policy in enumerate(A.AutoAugmentPolicy):
        transform = A.AutoAugment(policy)
        space = transform._augmentation_space(10, size)
        for row, parts in enumerate(transform.policies):
            for name, p, bin in parts:
                yield number, row, p, *part(space, name, bin)
    for bins, magnitude in ((31, 9), (10, 3), (11, 5), (31, 30)):
        space = A.RandAugment()._augmentation_space(bins, size)
        for name in space:
            yield 100 * bins + magnitude, 0, 1, *part(space, name, magnitude)
    for bins in (31, 8):
        space = A.TrivialAugmentWide()._augmentation_space(bins)
        for row, name in enumerate(space):
            for bin in range(bins if space[name][0].ndim > 0 else 1):
                yield -bins, row, 1, *part(space, name, bin)


write("policies.inc", "which, choice, probability, name, magnitude, signed", policies())
write(
    "random_crop.inc",
    "scale, ratio, seed, epoch, position, height, width, top, left, h, w, flipped",
    random_crops(),
)
write(
    "center_crop.inc",
    "height, width, resize, out_height, out_width, resized_height, resized_width, top, left",
    resize_and_center_crop(),
)
write(
    "max_size.inc",
    "height, width, resize, max_size, resized_height, resized_width",
    resize_with_max_size(),
)
