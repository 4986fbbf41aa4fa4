"""The compiled core: what loader.py, datasets.py and transforms.py stand on. Not public.

Paths are str as os.fsdecode gives them (undecodable bytes as surrogates). One thread at a time may
use a Loader's epochs; stop(), stats() and memory_bound may be used from any thread.
"""

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

__version__: str
error_policies: tuple[str, ...]  # what a Loader's on_error= may be
reader_names: tuple[str, ...]  # what a Loader's reader= may be

default_limits: dict[str, int]
"""DecodeLimits's fields."""
largest: dict[str, int]
"""What the core refuses more of: "num_workers", "prefetch_factor", "depth", DecodeLimits's fields,
"side", the pixels of a finished image's sides, and "canvas_side", those of one on its way."""

def choose_decoder() -> None:
    """Chooses how JPEG files are decoded, once; what decodes would do so itself. ValueError where
    $RINGFEED_ENTROPY or $RINGFEED_PIXELS names no way, or one that cannot be used here."""

def usable_cores(ranks: int = 0) -> int:
    """Cores this process may keep busy: its affinity mask, and of what `ranks` processes on this
    machine have together no more than its part. 0: as many as launched_ranks() says, else 1."""

def launched_ranks() -> int | None:
    """Processes of this job on this machine, by the launcher's environment variables."""

def meets_on_this_host() -> bool:
    """Whether $MASTER_ADDR is an address that no other machine reaches."""

def held_bytes() -> tuple[int, int]:
    """Batches handed out through DLPack and not yet returned: how many, and their bytes."""

def printable(text: str) -> str:
    """A file's name as a message may show it: control characters are written out."""

def inspect_image(file: Buffer) -> tuple[int, int, str, bool] | None:
    """Width, height, mode as Pillow names it, and whether nothing in the bytes can keep the image
    from being decoded; None of what Pillow would not open as JPEG or PNG. GIL released."""

def decode_window(
    file: Buffer,
    box: tuple[int, int, int, int],
    size: tuple[int, int],
    interpolation: _Filter = "nearest",
    *,
    mirrored: bool = False,
    pillow13: bool = True,
) -> bytes:
    """RGB bytes of `box` (left, top, right, bottom; within the image, in its own pixels), mirrored
    if that is asked for, then resized to `size` (width, height): what Pillow's convert("RGB"),
    crop, transpose and resize give. Any thread; GIL released. Raises ValueError saying why."""

def look_up_planes(
    pixels: Buffer, table: NDArray[Any], planes: NDArray[Any], interleaved: bool = ...
) -> None:
    """Writes `planes`, float32 [3, pixels], of RGB bytes [pixels, 3]: table[channel, byte] of a
    float32 table [3, 256]. `interleaved`: `planes` is [pixels, 3]. Any thread; GIL released. Raises
    ValueError of other sizes."""

def decode_image(
    file: Buffer | str | PathLike[str],
    label: str,
    *,
    max_file_bytes: int,
    max_pixels: int,
    max_scans: int,
    max_decoder_bytes: int,
    load_truncated: bool,
) -> Any:
    """uint8 [H, W, 3] as a 'dltensor' capsule: Pillow's convert("RGB") of a path or of bytes, which
    errors call `label`. Any thread; GIL released. Raises LoadError."""

@final
class FileFetcher:
    """Reads whole files ahead of whoever opens them one after the other: all of a batch at once. It
    has no thread of its own: reads go on within announce() and take(). Calls belong to the thread
    that made it; those of another thread, of a forked child or of a signal handler within take()
    are refused."""

    def __init__(self, reader: str = "auto") -> None:
        """Raises OSError where the ring was asked for and is refused, ValueError of a wrong name
        here or in $RINGFEED_READER."""
    @property
    def reader(self) -> str:
        """Which of the two it is: "ring" or "pool"."""
    def announce(self, paths: Iterable[str | bytes | PathLike[str]]) -> bool:
        """Starts to read them, each as often as it is named, and returns. What has been announced
        before stays; 64 MiB are held, and what does not fit waits for those before it. Once a file
        of a later call is taken, those of earlier ones are dropped where room lacks. False:
        refused. A path that open() would call a ValueError is passed over. GIL released."""
    def take(self, path: str | bytes | PathLike[str]) -> bytes | None:
        """Its bytes, waited for with the GIL released; signals are looked for every 100 ms, and
        after a KeyboardInterrupt the file may be taken still. Raises the OSError of open(). None:
        the caller opens it, because it was not announced or has been taken as often, was dropped
        or found no room, is over 64 MiB or no regular file, or because the call is refused."""

@final
class Dataset:
    """An index of image files and labels. Immutable; cheap to copy; any thread."""

    @staticmethod
    def open(
        root: str,
        *,
        allow_empty: bool = False,
        use_cache: bool = True,
        always_use_cache: bool = False,
        cache_dir: str | None = None,
    ) -> Dataset:
        """Scans `root`, or loads its manifest. Raises errors.LoadError (stage "scan")."""
    @staticmethod
    def from_samples(
        root: str, classes: Sequence[str], paths: Sequence[str], labels: NDArray[np.int64]
    ) -> Dataset:
        """Files in the order given; nothing is listed. See ImageFolder::from_samples."""
    def __len__(self) -> int: ...
    @property
    def root(self) -> str: ...
    @property
    def classes(self) -> list[str]: ...
    @property
    def fingerprint(self) -> int: ...
    @property
    def warnings(self) -> list[str]: ...
    def path(self, index: int) -> str: ...
    def label(self, index: int) -> int: ...
    def labels(self) -> NDArray[np.int64]:
        """Of every entry: shape [n]."""
    def other_formats(self, indices: NDArray[np.uint32] | None) -> tuple[str, str] | None:
        """How many of these entries (None: all) are named as formats that are not decoded, such as
        "3 .bmp, 10 .webp", and the path of the first; None for none."""

_Filter = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
PaddingMode = Literal["constant", "edge", "reflect", "symmetric"]

@final
class RandomResizedCrop:
    def __init__(
        self,
        height: int,
        width: int,
        scale: tuple[float, float],
        ratio: tuple[float, float],
        interpolations: Sequence[_Filter] = (),
    ) -> None:
        """`interpolations`: one is drawn; none: the plan's."""

@final
class ResizeCenterCrop:
    def __init__(
        self, resize: int | tuple[int, int] | None, height: int, width: int, max_size: int = 0
    ) -> None: ...

@final
class ResizeRandomCrop:
    def __init__(
        self, resize: int | tuple[int, int] | None, height: int, width: int, max_size: int = 0
    ) -> None: ...

@final
class WholeImage:
    """The augmentation gives it its size."""

@final
class RandomErasing:
    def __init__(
        self,
        probability: float,
        scale: tuple[float, float],
        ratio: tuple[float, float],
        value: Sequence[float],
        fill: Literal["value", "channel_noise", "noise"],
        count: tuple[int, int],
    ) -> None: ...

def erasing_noise(noise_key: int, box: int, count: int) -> bytes:
    """The float32 numbers of the noise in a sample's erased box."""

_Drawing = Literal["nearest", "bilinear", "bicubic"]

@final
class Augmentation:
    """A step of what happens to the 8-bit image: a tree of plain data. str() is one line, of which
    equal ones give equal samples."""

    @property
    def max_operations(self) -> int:
        """The most that one sample can get of it."""
    def check(self) -> None:
        """Raises ValueError naming what makes no sense."""
    def size_after(self, size: tuple[int, int] | None) -> tuple[int, int] | None:
        """What an image of height and width becomes, a side below 1 where nothing is left of it;
        None: not known."""

def applied(step: Augmentation, probability: float) -> Augmentation:
    """`step`, or nothing."""

def in_order(steps: Sequence[Augmentation]) -> Augmentation: ...
def shuffled(steps: Sequence[Augmentation]) -> Augmentation: ...
def one_of(steps: Sequence[Augmentation], weights: Sequence[float] = ()) -> Augmentation: ...
def operation(kind: str, value: float = 0.0) -> Augmentation:
    """One of OperationKind that takes one number or none."""

def random_adjustment(kind: str, range: tuple[float, float]) -> Augmentation: ...
def random_rotation(
    degrees: tuple[float, float],
    interpolation: _Drawing,
    fill: tuple[int, int, int],
    center: tuple[float, float] | None,
) -> Augmentation: ...
def random_affine(
    degrees: tuple[float, float],
    translate: tuple[float, float],
    scale: tuple[float, float],
    shear_x: tuple[float, float],
    shear_y: tuple[float, float],
    interpolation: _Drawing,
    fill: tuple[int, int, int],
    center: tuple[float, float] | None,
) -> Augmentation: ...
def random_perspective(
    distortion_scale: float, interpolation: _Drawing, fill: tuple[int, int, int]
) -> Augmentation: ...
def some_of(
    steps: Sequence[Augmentation], count: int, weights: Sequence[float]
) -> Augmentation: ...
def timm_operation(
    name: str,
    magnitude: float,
    magnitude_std: float,
    magnitude_max: float,
    translate: float,
    interpolations: Sequence[str],
    fill: tuple[int, int, int],
) -> Augmentation:
    """timm's AugmentOp of that name. Raises ValueError for a name that is none."""

def aug_mix(
    steps: Sequence[Augmentation], alpha: float, width: int, depth: int, blended: bool
) -> Augmentation:
    """timm's AugMixAugment; a depth of 0 is drawn."""

def resized_crop(crop: RandomResizedCrop) -> Augmentation: ...
def resize(size: int | tuple[int, int], max_size: int, interpolation: _Filter) -> Augmentation: ...
def resize_keep_ratio(
    size: tuple[int, int],
    longest: float,
    interpolations: Sequence[_Filter],
    scale_probability: float,
    scale: tuple[float, float],
    scale_is_area: bool,
    aspect_probability: float,
    aspect: tuple[float, float],
) -> Augmentation: ...
def pad(
    sides: tuple[int, int, int, int], padding_mode: PaddingMode, fill: tuple[int, int, int]
) -> Augmentation:
    """`sides`: left, top, right, bottom."""

def center_crop(
    size: tuple[int, int], padding_mode: PaddingMode, fill: tuple[int, int, int]
) -> Augmentation: ...
def random_crop(
    size: tuple[int, int],
    padding: tuple[int, int, int, int],
    pad_if_needed: bool,
    padding_mode: PaddingMode,
    fill: tuple[int, int, int],
) -> Augmentation:
    """`padding`: left, top, right, bottom."""

def random_crop_or_pad(
    size: tuple[int, int], padding_mode: PaddingMode, fill: tuple[int, int, int]
) -> Augmentation: ...
def policy_scales(
    height: int, width: int, num_magnitude_bins: int, wide: bool, v2: bool
) -> list[tuple[str, list[float], bool]]:
    """The name of each operation of torchvision's policies, its magnitudes and whether signed."""

def policy_operation(
    name: str,
    magnitude: float,
    height: int,
    width: int,
    interpolation: _Drawing,
    fill: tuple[int, int, int],
) -> Augmentation:
    """An operation of torchvision's policies. Raises ValueError for a name that is none."""

@final
class Plan:
    """A TransformPlan. Raises ValueError naming the field that makes no sense."""

    def __init__(
        self,
        geometry: RandomResizedCrop | ResizeCenterCrop | ResizeRandomCrop | WholeImage,
        *,
        interpolation: _Filter = "bilinear",
        hflip: float,
        hflip_first: bool = False,
        normalize: Literal["none", "to_tensor", "to_dtype"],
        mean: Sequence[float],
        std: Sequence[float],
        dtype: Literal["float32", "float16", "bfloat16", "uint8"],
        channels_last: bool,
        pillow13: bool,
        augmentation: Sequence[Augmentation] = (),
        erasing: RandomErasing | None = None,
    ) -> None: ...
    def unfinished(self) -> Plan:
        """The same up to the 8-bit image: uint8, not normalised, nothing erased."""
    def value_table(self) -> NDArray[np.uint32]:
        """What each byte becomes in each channel, as bits of the dtype: shape [3 * 256]."""
    def erased(self, seed: int, epoch: int, positions: NDArray[np.uint64]) -> NDArray[np.int32]:
        """The boxes erased in the samples at these positions: shape [n * 5], the sample's number,
        top, left, height and width."""
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def sample_bytes(self) -> int: ...
    @property
    def decodes_whole(self) -> bool: ...

@final
class MixingStream:
    """The random numbers of the batch whose first sample stands at `position`. A pure function of
    the three arguments and of how many numbers were drawn before. One thread at a time."""

    def __init__(self, seed: int, epoch: int, position: int) -> None: ...
    def uniform(self) -> float:
        """[0, 1)."""
    def bounded(self, n: int) -> int:
        """[0, n), n > 0."""
    def beta(self, alpha: float) -> float:
        """Beta(alpha, alpha) as torch's: a float32's value within (0, 1)."""

_Mix = tuple[Literal["none", "mixup", "cutmix"], float, tuple[int, int, int, int] | None]
"""How a batch or a sample is mixed: by what; its own share; the box's left, top, right and
bottom."""

def choose_mix(
    stream: MixingStream,
    choices: Sequence[tuple[str, float, float]],
    height: int,
    width: int,
) -> tuple[int, _Mix]:
    """By torchvision's rules: the index of one of the `choices` (kind, alpha, probability), and
    what that draws for images of height x width."""

def draw_timm_mix(
    stream: MixingStream,
    *,
    size: int,
    height: int,
    width: int,
    mixup_alpha: float,
    cutmix_alpha: float,
    cutmix_minmax: tuple[float, float] | None,
    prob: float,
    switch_prob: float,
    mode: str,
    correct_lam: bool,
) -> list[_Mix]:
    """By timm's: one for a batch of `size` images, or with the modes "pair" and "elem" one for
    each."""

def has_cutmix_box(minmax: tuple[float, float], height: int, width: int) -> bool:
    """Whether timm's cutmix_minmax leaves a box to draw in such images."""

@final
class Loader:
    """The core's Loader. Raises ValueError for options that make no sense."""

    def __init__(
        self,
        dataset: Dataset,
        plans: Sequence[Plan],
        *,
        batch_size: int,
        num_workers: int,
        prefetch_factor: int,
        shuffle: bool,
        drop_last: bool,
        in_order: bool,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        indices: NDArray[np.uint32] | None = None,
        reader: Literal["auto", "ring", "pool"] = "auto",
        memory_limit: int = 0,
        timeout: float = 0,
        read_ahead_bytes: int = 0,
        depth: int = 0,
        max_file_bytes: int = ...,
        max_pixels: int = ...,
        max_scans: int = ...,
        max_decoder_bytes: int = ...,
        max_canvas_bytes: int = ...,
        load_truncated: bool = False,
        on_error: str = "raise",
        max_failures: float = ...,
        retries: int = 0,
        pinned: Callable[[int], tuple[Any, int]] | None = None,
    ) -> None:
        """`plans`: one for each view of an image. `timeout` in seconds, 0 for ever.
        `pinned(bytes)` returns an object that owns that much page-locked memory and its address;
        None: the huge-page pool."""
    def epoch(
        self,
        epoch: int,
        positions: int = 0,
        beyond: Sequence[int] = (),
        source: Callable[[], NDArray[np.uint32] | None] | None = None,
        order_of: int | None = None,
        failed: int = 0,
    ) -> Epoch:
        """Starts nothing: that is the first next()'s. `source` gives the next batch's entries.
        Without one `order_of` is the epoch whose order is taken; None: `epoch`. `failed`: files of
        the epoch that have failed before."""
    def draws(
        self,
        epoch: int,
        order: NDArray[np.uint32] | None = None,
        order_of: int | None = None,
        failed: Sequence[tuple[int, int | None]] = (),
    ) -> NDArray[np.void]:
        """Structured: position u8, index u4, top, left, height, width i4, hflip ?. A row for each
        view of a sample, then the next sample's. `failed`: positions, and the entries that came
        in their places. Blocks, GIL released."""
    @property
    def memory_bound(self) -> int: ...
    def stats(self) -> dict[str, Any]:
        """Stats as nested dicts under the names of stats.h, with verdict and verdict_line."""
    def stop(self) -> None:
        """Ends every epoch; a thread in next() gets None. Any thread; GIL released."""

@final
class Epoch:
    def next(self, *, keep: bool = False) -> Batch | None:
        """Waits with the GIL released; signals are looked for every 100 ms, and a KeyboardInterrupt
        that ends the wait loses no batch. With `keep` one that comes later loses none either: until
        accept() the next call gives the same batch, in the same memory, or raises the same
        LoadError or error of `source`. progress() is before it. None at the end and after stop().
        Raises errors.LoadError, errors.LoadTimeout, what `source` raised, RuntimeError where two
        threads call at once, in a forked child, or once another epoch of the loader has begun."""
    def accept(self) -> None:
        """What next(keep=True) gave or raised is taken. On the thread of next()."""
    @property
    def offers(self) -> bool:
        """Whether there is something to accept."""
    def progress(self) -> tuple[int, list[int], int]:
        """Progress: (positions, beyond, failed) after the batches that have been taken. Any time,
        also from a signal handler while next() waits."""
    def failures(self) -> tuple[int, list[tuple[int, int, str, str, int | None]]]:
        """How many files could not be loaded, and of the first thousand: position, index, path,
        message and the substitute's index. Any thread."""

@final
class Batch:
    """One batch; images() and labels() may be called once each."""

    @property
    def size(self) -> int: ...
    def images(self) -> Any:
        """For each view a fresh 'dltensor' capsule of shape [size, 3, H, W] (strides tell
        channels_last), in a list; or, with `pinned`, the object that it returned, which holds the
        images of each view from `offsets` on."""
    @property
    def offsets(self) -> list[int]:
        """Where each view begins in the batch's memory, in bytes."""
    def labels(self) -> Any:
        """A fresh 'dltensor' capsule, int64 [size]."""
    @property
    def positions(self) -> NDArray[np.uint64]: ...
    @property
    def indices(self) -> NDArray[np.uint32]: ...

@final
class BatchPool:
    """Memory for images that are made of a batch's; kept for the next once it is dropped, while
    there are no more than `keep` blocks. One thread at a time; blocks are dropped on any."""

    def __init__(self, keep: int) -> None: ...
    def empty_like(self, batch: Batch) -> Any:
        """A 'dltensor' capsule of shape and layout of the first view's images; held_bytes() counts
        it. Also after images() has been called."""
