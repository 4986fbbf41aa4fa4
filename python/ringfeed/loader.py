"""DataLoader: torch's, with ringfeed behind it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import torch
import torch.utils.data
from torch.utils.data import BatchSampler, Dataset, RandomSampler, Sampler

from . import _arguments
from ._core import core_loader
from ._epochs import Epochs
from ._failures import check_failure_options, check_replaceable
from ._limits import DecodeLimits
from ._loader_figures import LoaderFigures
from ._loader_iteration import LoaderIteration
from ._random_orders import ShuffledByTorch
from ._reading import core_options
from ._rungs import NOT_WANTED, own_options_of
from ._samplers import OwnOrder, stands_for_own_order
from ._session import Session
from ._torch_pass import Place
from ._torch_rung import NATIVE
from .errors import NotNative, not_native

__all__ = ["DataLoader"]

T = TypeVar("T", covariant=True)


class DataLoader(LoaderIteration[T], LoaderFigures[T]):
    """torch.utils.data.DataLoader for folders of images, with ringfeed's threads for workers.

    >>> from torchvision import transforms
    >>> from ringfeed import DataLoader, ImageFolder
    >>> recipe = transforms.Compose([transforms.RandomResizedCrop(224), transforms.ToTensor()])
    >>> dataset = ImageFolder("imagenet/train", recipe)
    >>> loader = DataLoader(dataset, batch_size=4, shuffle=True, num_workers=2, seed=0)
    >>> for images, labels in loader:
    ...     print(images.shape, labels.shape)
    torch.Size([4, 3, 224, 224]) torch.Size([4])
    torch.Size([4, 3, 224, 224]) torch.Size([4])

    Yields lists [images, labels] like torch's: images [B, 3, H, W] in the dtype and layout asked
    for (a list of these where the transform gives several views), labels int64 [B]; `finish_on`
    says what comes in their place. They are the caller's to keep. iter() draws from torch's
    generator what torch's iter() draws, whatever `seed` is, and settles what the dataset and its
    transform are, which may have changed in place. It starts nothing: files are read, and the epoch
    chosen, from an iterator's first next() on.

    Takes all that torch's takes. What the threads cannot do makes it torch's loader, with a warning
    that names all reasons: `rung` is then "worker" where it may load images, and files and images
    are still ringfeed's, or "torch"; otherwise "native". Each iter() decides anew.

    Arguments are torch's, on the native rung with these differences:

    - `dataset`: torchvision's ImageFolder or ImageNet, ringfeed.ImageFolder or ImageList, timm's
      ImageDataset of a folder, or Subset of these. Its transform is compiled; `target_transform`
      runs on the thread of next(), and so does a __getitem__ of a subclass's own, which may add to
      what super() gives.
    - `num_workers`: threads that decode; 0 or None: the cores this process may use.
    - `prefetch_factor`: batches ready ahead in all, not for each worker; None: 2, or 1 where memory
      is short.
    - `batch_size=None`: yields [image [3, H, W], label], one sample at a time; prefetch_factor is
      then for each worker.
    - `shuffle` draws the order from the seed, or from the number that torch's RandomSampler would
      draw; a `sampler` or `batch_sampler` of the caller's is read on the thread of next(): before
      the first batch `prefetch_factor` batches of it, later about a second's worth ahead.
    - `generator`: gives two numbers a pass, one for the crops and one for the order, and no
      permutation.
    - `collate_fn` is called on the thread of next(), but for torch's default and timm's
      fast_collate. timm's FastCollateMixup there is a `batch_transform`.
    - `multiprocessing_context` is a lower rung's. `worker_init_fn` is not called: there is no
      worker process. `persistent_workers` keeps threads and buffers between epochs.
    - `pin_memory`: batches are made in page-locked memory where there is an accelerator.
    - `timeout`: seconds to wait for a batch before LoadTimeout, which names the files.

    Its own, which but for `native` need the native rung:

    - `native`: True: UnsupportedTransform, ValueError or TypeError for what the threads cannot do.
      False: the worker or torch's rung, without a warning.
    - `seed`: of order and augmentation, which then follow from (seed, epoch, how many passes the
      epoch had before). None: they follow from what each pass draws from `generator` or torch's
      default, as torch's do. A state's `key` in its place repeats that one pass.
    - `rank`, `world_size`: deal ringfeed's own order to several processes, padded as by
      DistributedSampler. Never done by itself. Under shuffle they need a seed: `seed`, else
      $PL_GLOBAL_SEED. With a `sampler` they only number its samples.
    - `memory_limit`: the most bytes that the loader may hold; None: no limit, and the container's
      memory, or the machine's, is looked at as an epoch begins.
    - `reader`: "ring" (io_uring), "pool" (threads), or "auto": what $RINGFEED_READER names, else
      the ring where it is allowed.
    - `limits`: what one file may ask for, a DecodeLimits; None: its defaults.
    - `read_ahead_bytes`: encoded bytes read ahead; None: 128 KiB a file of `depth`, without which
      no more than the larger of 4 MiB a worker and 32 MiB; less where memory is short. `depth`:
      files read at once; None: 320 a worker, within 64 and 1024.
    - `dtype`: torch.float32, float16, bfloat16 of a float transform; None: the transform's.
    - `batch_transform`: MixUp, CutMix or LabelSmoothing of ringfeed.transforms, torchvision v2's
      MixUp and CutMix, RandomChoice of these, or timm's Mixup. Labels become float targets
      [B, num_classes].
    - `finish_on`: "device" gives an UnfinishedBatch of 8-bit images, a quarter of the memory of
      float32, which becomes the batch on the device where it is finish()ed: of the same bits.
      DevicePrefetcher does that too. "cpu": batches are finished when they are given.
    - `on_error`: what becomes of a sample whose file cannot be read or decoded. "raise": its batch
      is a LoadError. "skip": its batch comes without it; a batch without any is a LoadError.
      "replace", for training: a sample drawn from the dataset by the position, with the crop of
      the position. `max_failures`: how often files may fail in an epoch, an int, or the share of
      its samples, a float; a file that comes again counts again. None: any. `retries`: times that
      a file is opened again after EIO, ESTALE, EAGAIN, ETIMEDOUT or ENOTCONN, after 50 ms and then
      twice as long each time, up to 5 s.
    - `channels_last`: the images' memory format. `pillow`: whose pixels, such as "12"; None: of the
      Pillow that is installed.

    The same dataset, seed and epoch give the same batches, whatever the threads. Each iterator that
    yields takes the next epoch, unless set_epoch() said which; a further pass over an epoch that
    had one has other batches. Two iterators at once read independently.

    Raises LoadError (an OSError) from next() for a file that cannot be read or decoded, at its
    batch, unless `on_error` says otherwise; next() may go on after it. MemoryError from next()
    where the batches do not fit in the memory that there is, naming what to lower.
    """

    def __init__(
        self,
        dataset: Dataset[T],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[list[Any]] | Iterable[list[Any]] | None = None,
        num_workers: int | None = 0,
        collate_fn: Any = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Any = None,
        multiprocessing_context: Any = None,
        generator: torch.Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        seed: int | Sequence[int] | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        memory_limit: int | None = None,
        reader: str = "auto",
        limits: DecodeLimits | None = None,
        read_ahead_bytes: int | None = None,
        depth: int | None = None,
        dtype: torch.dtype | None = None,
        channels_last: bool = False,
        pillow: str | None = None,
        batch_transform: Any = None,
        finish_on: str = "cpu",
        on_error: str = "raise",
        max_failures: int | float | None = None,
        retries: int = 0,
        native: bool | None = None,
    ) -> None:
        self.native = native
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.memory_limit = memory_limit
        self.reader = reader
        self.limits = limits
        self.read_ahead_bytes = read_ahead_bytes
        self.depth = depth
        self.dtype = dtype
        self.channels_last = channels_last
        self.pillow = pillow
        self.batch_transform = batch_transform
        self.finish_on = finish_on
        self.on_error = on_error
        self.max_failures = max_failures
        self.retries = retries
        self._place = Place()
        self._workers_left_open = num_workers is None
        self._session = Session(Epochs([]))  # torch's constructor sets _iterator, which needs one
        _arguments.check_batch_size(batch_size)
        if native is not None and not isinstance(native, bool):
            raise TypeError(f"native must be True, False or None, not {native!r}")
        theirs: dict[str, Any] = dict(
            dataset=dataset,
            batch_size=batch_size,
            shuffle=shuffle,
            sampler=sampler,
            batch_sampler=batch_sampler,
            collate_fn=collate_fn,
            pin_memory=pin_memory,
            drop_last=drop_last,
            timeout=timeout,
            worker_init_fn=worker_init_fn,
            generator=generator,
            prefetch_factor=prefetch_factor,
            persistent_workers=persistent_workers,
            pin_memory_device=pin_memory_device,
            in_order=in_order,
        )
        self.dataset, self.collate_fn = dataset, collate_fn  # which _resolved() reads
        self.batch_size, self.batch_sampler = batch_size, batch_sampler
        try:
            if native is False:
                not_native(NOT_WANTED)
            _arguments.refuse_multiprocessing(multiprocessing_context)
            _arguments.refuse_iterable(dataset)
            self._resolved()
        except NotNative as obstacle:
            self._sampler_given = not (sampler is None and batch_sampler is None)
            self._go_to_torch(obstacle, multiprocessing_context)
            workers = _arguments.resolve_workers(None) if num_workers is None else num_workers
            super().__init__(
                num_workers=workers, multiprocessing_context=multiprocessing_context, **theirs
            )
            if sampler is None and type(self.sampler) is RandomSampler:
                self._use_torchs_samplers(True, batch_size, drop_last)
            self._session = Session(Epochs(self._order.samplers))
            self._warn_of_new_loader()
            return
        self._set(_rung=NATIVE)
        handed_back = stands_for_own_order(sampler, dataset, rank, world_size)
        handed_back = handed_back and not shuffle and batch_sampler is None
        self._sampler_given = not (handed_back or (sampler is None and batch_sampler is None))
        super().__init__(num_workers=_arguments.resolve_workers(num_workers), **theirs)
        # torch refuses what has no meaning without worker processes. Here threads decode.
        self.num_workers = num_workers or 0
        if prefetch_factor is None:
            self.prefetch_factor = _arguments.LeftOpen(2) if self.num_workers else None
        _arguments.check_own(
            prefetch_factor=prefetch_factor,
            seed=seed,
            rank=rank,
            world_size=world_size,
            memory_limit=memory_limit,
            reader=reader,
            limits=limits,
            read_ahead_bytes=read_ahead_bytes,
            depth=depth,
        )
        _arguments.check_finish_on(finish_on, self._auto_collation)
        check_failure_options(on_error, max_failures, retries, batch_size, batch_sampler)
        check_replaceable(on_error, self._order.samplers)
        _arguments.refuse_two_shardings(rank, self._order.distributed)
        if sampler is None:
            self._replace_sampler(bool(shuffle))
        self._session = Session(Epochs(self._order.samplers))
        resolved = self._reading().resolved
        resolved.check_default_dtype(iterating=False)
        sized = any(option is not None for option in (memory_limit, read_ahead_bytes, depth))
        if sized and self.batch_size is not None and resolved.length:
            # Too small a number is refused here and not in the first next(). Starts nothing.
            size = min(self.batch_size, resolved.length)
            core_loader(resolved, size, core_options(self, self._order, pinned=False))

    _own_options = own_options_of(__init__)

    def close(self) -> None:
        """Stops all threads; iterators end. Any thread. The loader can be iterated again."""
        self._session.stop()
        self._end_workers()

    def __enter__(self) -> DataLoader[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        state = dict(vars(self))
        for name in _OF_PROCESS:
            state.pop(name, None)
        # A copy goes its own way from here on. A sampler of the caller's stays shared, as in torch.
        state["_session"] = copy.copy(self._session.epochs)
        state["_place"] = copy.copy(self._place)
        if isinstance(self.sampler, OwnOrder | ShuffledByTorch):
            own = state["sampler"] = copy.copy(self.sampler)
            size, drop_last = self._order.batching
            if size is not None and self._order.index_sampler is self.sampler:
                state["batch_sampler"] = BatchSampler(own, size, drop_last)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, **dict.fromkeys(_OF_PROCESS))
        vars(self)["_session"] = Session(state["_session"])


_OF_PROCESS = ("_cached", "_read", "_settled", "_iterator_ref", "_of_torch", "_latest")
"""What belongs to a process and is not copied."""
