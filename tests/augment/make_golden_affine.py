#!/usr/bin/env python3
"""Writes golden_affine.inc, what the real Pillow gives, for test_affine.cc to compare with.

The interpreter has Pillow 13 and xxhash; Pillow 12, whose results are the same, lies in a folder of
its own:

    python -m pip install xxhash
    python -m pip install --no-deps --target build/pillow12 'pillow<13'
    python tests/augment/make_golden_affine.py build/pillow12
"""

import json
import math
import os
import pathlib
import random
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
FILTERS = {"nearest": 0, "bilinear": 2, "bicubic": 3}


def synthetic_image(kind, height, width):
    """The formula of test_affine.cc: noise, black and white, or flat areas with slopes."""
    import numpy as np

    y, x, c = (np.arange(n, dtype=np.uint32) for n in (height, width, 3))
    y, x, c = y[:, None, None], x[None, :, None], c[None, None, :]
    h = (y * np.uint32(73856093)) ^ (x * np.uint32(19349663)) ^ (c * np.uint32(83492791))
    h ^= h >> np.uint32(13)
    h = h * np.uint32(0x5BD1E995)
    h ^= h >> np.uint32(15)
    slopes = np.minimum((x // 8 * (c + 1) + y // 16 * 5) & 511, 255)
    return [h & 255, (h & 1) * 255, slopes + 0 * h][kind].astype(np.uint8)


def matrices(height, width):
    r = random.Random(f"{height} {width}")
    cx, cy = width / 2, height / 2

    def centred(a, b, d, e):
        return a, b, cx - a * cx - b * cy, d, e, cy - d * cx - e * cy

    for angle in (17, -63.2, r.uniform(0, 360)):
        t = math.radians(angle)
        cos, sin = round(math.cos(t), 15), round(math.sin(t), 15)
        yield centred(cos, sin, -sin, cos)
    yield centred(1, 0.3 * r.random(), 0, 1)
    yield centred(1, 0, -0.3 * r.random(), 1)
    yield 1, 0, 5, 0, 1, -3
    yield 1, 0, 2.375, 0, 1, 1 / 3
    yield centred(-1, 0, 0, 1)
    yield centred(0, 1, -1, 0)
    yield centred(0.37, 0, 0, -1.9)
    yield tuple(r.gauss(0, 1) * s for s in (1, 1, width, 1, 1, height))
    yield 300.5, 1e5, -7, 1e5, 200.25, 3
    yield 1, 5e-324, -1e-16, 0, 1 - 2**-53, 0


def perspectives(height, width):
    """Coefficients of a distortion by torchvision's rule."""
    from torchvision.transforms import functional as f

    r = random.Random(f"{height} {width}")
    right, bottom = width - 1, height - 1
    corners = [[0, 0], [right, 0], [right, bottom], [0, bottom]]
    for part in (0.25, 0.5, 0.9):
        x, y = int(part * (width // 2)), int(part * (height // 2))
        moved = [[abs(cx - r.randint(0, x)), abs(cy - r.randint(0, y))] for cx, cy in corners]
        yield tuple(f._get_perspective_coeffs(corners, moved))


def cases():
    for height, width in ((224, 224), (225, 223), (1, 1), (1, 40), (40, 1), (3, 7), (97, 161)):
        for i, matrix in enumerate(matrices(height, width)):
            for name in FILTERS:
                yield i % 3, height, width, name, [float(v) for v in matrix]
    for height, width in ((224, 224), (97, 161), (16, 5)):
        for i, values in enumerate(perspectives(height, width)):
            for name in FILTERS:
                yield i, height, width, name, list(values)


def hashes():
    import xxhash
    from PIL import Image

    out = []
    for kind, height, width, name, matrix in cases():
        image = Image.fromarray(synthetic_image(kind, height, width))
        method = Image.Transform.AFFINE if len(matrix) == 6 else Image.Transform.PERSPECTIVE
        fill = (9, 99, 200)
        image = image.transform(image.size, method, matrix, FILTERS[name], fillcolor=fill)
        out.append(xxhash.xxh64_intdigest(image.tobytes()))
    return out


def main():
    import PIL

    if len(sys.argv) == 1:
        print(json.dumps([PIL.__version__, hashes()]))
        return
    found = hashes()
    environment = os.environ | {"PYTHONPATH": sys.argv[1]}
    older = subprocess.run(
        [sys.executable, __file__], env=environment, check=True, capture_output=True
    )
    version, same = json.loads(older.stdout)
    assert found == same
    lines = [f"// Pillow {version} and {PIL.__version__}, by tests/augment/make_golden_affine.py"]
    for (kind, height, width, name, matrix), value in zip(cases(), found, strict=True):
        numbers = ", ".join(v.hex() for v in matrix)
        lines.append(
            f"{{{kind}, {height}, {width}, Interpolation::{name}, {{{numbers}}}, {value:#018x}}},"
        )
    (HERE / "golden_affine.inc").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
