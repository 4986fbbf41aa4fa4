"""What torchvision makes of a file, for the tests to compare with, bit for bit."""

import functools

import PIL
import torch
from PIL import Image
from torchvision import transforms as v1
from torchvision.transforms import v2

PILLOW13 = int(PIL.__version__.split(".")[0]) >= 13
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
INTEGERS = {4: torch.int32, 2: torch.int16, 1: torch.uint8}

# The end of a Compose: from a PIL image to a tensor.
TAILS = {
    "v1": [v1.ToTensor(), v1.Normalize(MEAN, STD)],
    "v2": [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)],
    "uint8": [v1.PILToTensor()],
}


@functools.lru_cache(maxsize=512)
def load(path):
    """torchvision's pil_loader."""
    with open(path, "rb") as file:
        return Image.open(file).convert("RGB")


def finish(image, tail, dtype=None):
    """The steps of `tail` on a PIL image, then Tensor.to: a plain tensor."""
    for step in tail:
        image = step(image)
    image = image.as_subclass(torch.Tensor)
    return image if dtype is None else image.to(dtype)


def vertical_first(row, size):
    """Pillow 13 resizes these boxes otherwise than Pillow 12."""
    rows, columns = int(row["height"]) - size[0], int(row["width"]) - size[1]
    return rows > 0 and rows > 2 * columns


def differing(got, expected):
    """How many values are not the same bits."""
    assert got.dtype == expected.dtype and got.shape == expected.shape
    kind = INTEGERS[got.element_size()]
    return int((got.contiguous().view(kind) != expected.contiguous().view(kind)).sum())
