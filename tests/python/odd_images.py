"""Small and extreme sizes in every mode that JPEG and PNG have."""

import numpy as np
from PIL import Image

SIZES = [(1, 1), (3, 2), (7, 41), (90, 17), (64, 64), (256, 300), (300, 256), (223, 225)]
SIZES += [(600, 31), (31, 600)]


def make(folder):
    """Writes the images and gives their paths."""
    rng, paths = np.random.default_rng(5), []
    for width, height in SIZES:
        waves = np.add.outer(np.arange(height) * 3, np.arange(width) * 5)[..., None]
        pixels = (waves * (1, 2, 3, 1) + rng.integers(0, 60, (height, width, 4))) % 256
        image = Image.fromarray(pixels.astype(np.uint8))
        variants = {f"{s}.jpg": ("RGB", {"subsampling": s}) for s in range(3)}
        variants["progressive.jpg"] = "RGB", {"progressive": True}
        variants |= {f"{mode}.jpg": (mode, {}) for mode in ("L", "CMYK")}
        variants |= {f"{mode}.png": (mode, {}) for mode in ("RGB", "RGBA", "L", "LA", "P", "1")}
        for name, (mode, options) in variants.items():
            paths.append(str(folder / f"{width}x{height}_{name}"))
            # By way of RGB: what alpha would hide must be seen to be kept.
            shown = image if mode in ("RGBA", "LA") else image.convert("RGB")
            shown.convert(mode).save(paths[-1], **options)
    return paths


def noise(folder, sizes, seed):
    """Paths of PNG files of noise, of these heights and widths."""
    rng = np.random.default_rng(seed)
    paths = []
    for height, width in sizes:
        paths.append(str(folder / f"{height}x{width}.png"))
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(paths[-1])
    return paths
