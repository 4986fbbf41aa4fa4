"""Feeds PyTorch's image training from a plain folder of class folders.

Change one import and keep the script:

    from ringfeed import DataLoader
"""

import sys

if not getattr(sys, "_is_gil_enabled", lambda: True)():
    raise ImportError(
        "ringfeed is not made for running without the GIL: start Python with PYTHON_GIL=1"
    )
try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError(
        "ringfeed needs PyTorch: install torch, and torchvision for its transforms, as "
        "https://pytorch.org/get-started says"
    ) from error

from ._decode import decode, decode_many
from ._failures import Failure
from ._install import install, uninstall
from ._limits import DecodeLimits
from ._open import open, pil_loader
from ._repeats import RepeatedAugmentationSampler
from ._replay import replay
from ._ringfeed import __version__, choose_decoder
from ._unfinished import UnfinishedBatch
from .datasets import ImageFolder, ImageList
from .errors import LoadError, LoadTimeout, UnsupportedTransform
from .loader import DataLoader
from .prefetch import DevicePrefetcher

choose_decoder()  # before any fork; ValueError where $RINGFEED_ENTROPY or $RINGFEED_PIXELS is wrong
del choose_decoder

__all__ = [
    "DataLoader",
    "DecodeLimits",
    "DevicePrefetcher",
    "Failure",
    "ImageFolder",
    "ImageList",
    "LoadError",
    "LoadTimeout",
    "RepeatedAugmentationSampler",
    "UnfinishedBatch",
    "UnsupportedTransform",
    "__version__",
    "decode",
    "decode_many",
    "install",
    "open",
    "pil_loader",
    "replay",
    "uninstall",
]
