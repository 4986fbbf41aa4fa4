"""DataLoader: torch's, with ringfeed behind it."""

from __future__ import annotations

import copy
import inspect
import operator
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
import torch.utils.data
from numpy.typing import NDArray
from torch.utils.data import BatchSampler, Dataset, RandomSampler, Sampler

from . import _arguments, _ringfeed
from ._collate import check_collate
from ._core import core_loader
from ._epochs import Epochs, Progress
from ._failures import Failure, check_failure_options, check_replaceable
from ._iterator import Beginning, LoaderIterator
from ._limits import DecodeLimits
from ._mixing_apply import Mixer
from ._mixing_compiler import rule_of
from ._mixing_rules import BatchMix
from ._order import NoSeed, Order
from ._pass_counts import PassCounts
from ._passes import Numbers, PassKey, PassStart, key_for
from ._reading import Reading, core_options, read_next, start_pass
from ._request import EpochRequest, delivered_entries
from ._resolved import Resolved, resolve_dataset
from ._sampler_batches import batch_size_of
from ._samplers import (
    OwnOrder,
    SequentialOrder,
    ShuffledOrder,
    stands_for_own_order,
)
from ._session import Session
from ._state import Identity, from_state, saved_here, to_state, warn_of_key
from ._torch_rung import NATIVE, TORCH, WORKER, TorchRung, loads_on
from ._trainer import calling_trainer, strict_state
from ._worker_rung import reads_images
from .datasets import warn_user
from .errors import NotNative, NotNativeValue, not_native, with_own_options
from .stats import Stats
from .transforms import ViewsRecipe

__all__ = ["DataLoader"]

T = TypeVar("T", covariant=True)


class DataLoader(TorchRung[T]):
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
    that names the reason: `rung` is then "worker" where it loads images, and files and images are
    still ringfeed's, or "torch"; otherwise "native". Each iter() decides anew.

    Arguments are torch's, on the native rung with these differences:

    - `dataset`: torchvision's ImageFolder or ImageNet, ringfeed.ImageFolder or ImageList, or Subset
      of these. Its transform is compiled; `target_transform` runs on the thread of next().
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
    - `collate_fn` may be timm's fast_collate, or its FastCollateMixup in place of a
      `batch_transform`; others, and `multiprocessing_context`, are a lower rung's. `worker_init_fn`
      is not called: there is no worker process. `persistent_workers` keeps threads and buffers
      between epochs.
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
    - `read_ahead_bytes`: encoded bytes read ahead; None: 128 KiB a file of `depth`, less where
      memory is short. `depth`: files read at once; None: 320 a worker, within 64 and 1024.
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
      the position. `max_failures`: how many files of an epoch may fail, an int, or their share, a
      float; None: any. `retries`: times that a file is opened again after EIO, ESTALE, EAGAIN,
      ETIMEDOUT or ENOTCONN, after 50 ms and then twice as long each time, up to 5 s.
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
        self._warned_of_sharding = False
        self._settled: Reading | None = None  # by iter(), for the iterator that it makes
        self._cached: Resolved | None = None
        self._read: Resolved | None = None  # what the pass that began last reads
        self._iterator_ref: weakref.ref[LoaderIterator] | None = None
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
        self.dataset = dataset
        try:
            if native is False:
                not_native(_NOT_WANTED)
            _arguments.refuse_multiprocessing(multiprocessing_context)
            _arguments.refuse_iterable(dataset)
            if collate_fn is not None:
                check_collate(collate_fn, batch_size is not None or batch_sampler is not None)
            self._resolved()
        except NotNative as obstacle:
            self._sampler_given = not (sampler is None and batch_sampler is None)
            self._go_to_torch(obstacle)
            workers = _arguments.resolve_workers(None) if num_workers is None else num_workers
            super().__init__(
                num_workers=workers, multiprocessing_context=multiprocessing_context, **theirs
            )
            if sampler is None and type(self.sampler) is RandomSampler:
                self._use_torchs_samplers(True, batch_size, drop_last)
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
            channels_last=channels_last,
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

    def _replace_sampler(self, shuffle: bool) -> None:
        """Puts a sampler that passes set_epoch() on in the place of the one that torch made.

        Also where there is a batch_sampler: Lightning looks for set_epoch() here. By object's
        __setattr__, because torch and Lightning each watch their own.
        """
        dataset: Any = self.dataset  # which has a length, though torch's Dataset need not
        own: Any = (
            ShuffledOrder(dataset, self.generator, self.rank, self.world_size)
            if shuffle
            else SequentialOrder(dataset, self.rank, self.world_size)
        )
        own.options = tuple(name for name in self._own_given() if name not in _OF_SHARES)
        object.__setattr__(self, "sampler", own)
        if not self._sampler_given and self.batch_size is not None:
            batches = BatchSampler(own, self.batch_size, self.drop_last)
            object.__setattr__(self, "batch_sampler", batches)

    # Rungs

    def _settle_rung(self) -> Reading | None:
        """What the next iterator reads on the native rung; None: it is torch's. What the dataset
        and its transform are now counts."""
        try:
            if self.native is False:
                not_native(_NOT_WANTED)
            reading = self._reading()
            reading.resolved.check_default_dtype(iterating=True)
        except NotNative as obstacle:
            self._go_to_torch(obstacle)
            return None
        if self.rung != NATIVE:
            if self._to_skip:
                raise ValueError(_PLACE_STANDS)
            self._end_workers()
            if not self._sampler_given:
                self._replace_sampler(isinstance(self.sampler, RandomSampler))
            self._set(_rung=NATIVE, _why_not_native="", _to_skip=0, _latest=None)
            self._session.epochs = Epochs(self._order.samplers)
        return reading

    def _go_to_torch(self, obstacle: NotNative) -> None:
        """Raises `obstacle` where ringfeed's threads are insisted on."""
        own = self._own_given()
        if self.native or own:
            raise with_own_options(obstacle, own)
        if self.rung == NATIVE:
            if self._session.epochs.stands_within:
                raise ValueError(_PLACE_STANDS)
            self._session.drop_core()
            if not self._sampler_given:
                size, drop_last = self._order.batching
                self._use_torchs_samplers(
                    isinstance(self.sampler, RandomSampler), size, bool(drop_last)
                )
        why, before = str(obstacle), self.why_not_native
        images = reads_images(self.dataset)
        self._set(_rung=WORKER if images else TORCH, _why_not_native=why)
        if self.native is None and not before:
            how = "with files and images of ringfeed's" if images else "as without ringfeed"
            what = f"torch's own loader makes these batches, {how}"
            warn_user(
                f"{what}: {why}. native=True makes an error of this, native=False says that it is "
                "wanted"
            )

    def _own_given(self) -> list[str]:
        return [name for name, default in _OWN.items() if getattr(self, name) != default]

    def _need_threads(self, what: str) -> None:
        if self.rung != NATIVE:
            raise NotNativeValue(f"{what} is of the native rung, and {self.why_not_native}")

    # Iteration

    def __iter__(self) -> Any:
        reading = self._settle_rung()
        if reading is None:
            return self._iterate()
        self._set(_settled=reading)
        iterator: LoaderIterator | None = self._iterator if self.persistent_workers else None
        if iterator is None:
            iterator = self._get_iterator()
            if self.persistent_workers:
                vars(self)["_iterator_ref"] = weakref.ref(iterator)
        else:
            iterator._reset(self)  # torch's name: a subclass may make iterators of its own
        return iterator

    def _get_iterator(self) -> Any:
        if self.rung != NATIVE:
            return super()._get_iterator()
        return LoaderIterator(self, self._session, self._begin_pass)

    def _begin_pass(self) -> Beginning:
        """What iter() settles: what the attributes say at this moment counts."""
        order, epochs = self._order, self._up_to_date_epochs()
        reading = self._settled or self._reading()
        self._set(_settled=None)
        if not self._warned_of_sharding:
            vars(self)["_warned_of_sharding"] = order.warn_if_unshared(stacklevel=7)
        started = start_pass(self, order, epochs, self._session.passes)
        return Beginning(started, partial(self._make_request, reading, started))

    def _make_request(self, reading: Reading, started: PassStart) -> EpochRequest:
        vars(self)["_read"] = reading.resolved
        epochs = self._up_to_date_epochs()
        return read_next(self, self._order, epochs, reading, started, self._key_of)

    def _reading(self) -> Reading:
        return Reading(self, self._order, self._resolved())

    def check_worker_number_rationality(self) -> None:
        """torch warns here of too many processes: these are threads."""
        if self.rung != NATIVE:
            super().check_worker_number_rationality()

    @property
    def _iterator(self) -> Any:
        """The persistent iterator, held weakly: it holds the loader, and in a cycle both would keep
        threads and buffers until a garbage collection. Threads and buffers are kept here."""
        if self.rung != NATIVE:
            return self._of_torch
        return None if self._iterator_ref is None else self._iterator_ref()

    @_iterator.setter
    def _iterator(self, iterator: Any) -> None:
        if self.rung != NATIVE:
            self._set(_of_torch=iterator)
            return
        vars(self)["_iterator_ref"] = None if iterator is None else weakref.ref(iterator)
        if iterator is None:  # as Lightning ends workers
            self._session.drop_core()
            self._session.passes.forget()

    def close(self) -> None:
        """Stops all threads; iterators end. Any thread. The loader can be iterated again."""
        self._session.stop()
        self._end_workers()

    def __enter__(self) -> DataLoader[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Epochs and state

    def set_epoch(self, epoch: int) -> None:
        """The epoch that the next iterator begins. A place that load_state_dict() has set comes
        first: another epoch than its own then counts from the pass after it, with a warning. Calls
        the sampler's set_epoch()."""
        epoch = operator.index(epoch)
        if not 0 <= epoch < 2**62:  # as in states
            raise ValueError(f"epoch must be in [0, 2**62), not {epoch}")
        for sampler in self._order.samplers:
            if callable(getattr(sampler, "set_epoch", None)):
                sampler.set_epoch(epoch)
        if self.rung == NATIVE:
            self._up_to_date_epochs().set(epoch)

    def _up_to_date_epochs(self) -> Epochs:
        """The session's, after a look for set_epoch() calls on the samplers."""
        self._session.epochs.notice_set_epoch(self._order.samplers)
        return self._session.epochs

    def state_dict(self) -> dict[str, Any]:
        """What the iterator that began last has given so far, to go on from: plain ints, strings
        and lists. After the last batch: the beginning of the next epoch. `key` names what order and
        draws follow from: DataLoader(seed=key) repeats that pass. On the thread of next().

        A pass that has not begun has no key yet, unless there is a seed. The state then holds the
        one that it gets if nothing else draws before, and the state of a given `generator`; no
        generator is advanced.
        """
        if self.rung != NATIVE:
            return super().state_dict()
        epochs, order = self._up_to_date_epochs(), self._order
        place, generator = epochs.progress(), None
        if epochs.at_rest:
            try:
                place = replace(place, key=self._key_of(place))
            except NoSeed:
                pass  # the next pass will say so
            if not place.within:
                generator = self._session.passes.coming_generator_state(self.generator)
        known = place.sampler_epoch, epochs.pending_epoch, order.sampler_epoch
        sampler_epoch = next((epoch for epoch in known if epoch is not None), None)
        begun = epochs.begun.runs()
        identity = self._identity(None if epochs.at_rest else self._read)
        return to_state(place, identity, begun, sampler_epoch, generator)

    def load_state_dict(self, state: Mapping[str, Any] | None, strict: bool = True) -> None:
        """Goes on from `state` at the next iterator's first next(), whatever set_epoch() says
        meanwhile. None: drops a state that has been loaded and not used.

        The state's key is that of one pass; later ones have this loader's own. Saved by another
        rank, or among another number of them, a state without a seed gives the order alone: a
        warning. So do other transforms. Batch size and, outside Lightning, world size may have
        changed, unless the state was taken out of order. Raises ValueError, and changes nothing,
        for what is no state, and in mid-epoch for another dataset or order: `strict=False` begins
        the epoch anew, with a warning. Between epochs another dataset is a warning.
        """
        if self.rung != NATIVE:
            super().load_state_dict(state, strict)
            return
        epochs, order, passes = self._up_to_date_epochs(), self._order, self._session.passes
        if state is not None and not loads_on(state, NATIVE):
            return
        if state is None:
            epochs.drop_loaded(order)
            passes.drop_restored(self.generator)
            return
        identity = self._identity()
        # Lightning hands on no `strict`.
        strict = strict and strict_state(calling_trainer()) is not False
        place = from_state(state, identity, order, self._resolved().length, strict)
        own = None if self.seed is None else self._key_of(replace(place, key=None))
        warn_of_key(state, place, own, self.seed, stacklevel=3)
        if saved_here(state, identity):
            passes.restore(self.generator, state.get("generator"))
        epochs.load(place, PassCounts(state.get("begun", ())), order)

    def _key_of(self, place: Progress, drawn: Numbers | None = None) -> PassKey | None:
        """`place`'s, or what its pass gets. `drawn`: by that pass; None: what it will draw. None
        where that is not known."""
        key, order = place.key, self._order
        if key is not None and key.draws is not None:
            return key

        def numbers() -> Numbers | None:
            return drawn or self._session.passes.coming(self.generator, order.shuffled)

        own = key_for(order.shared_seed(self.seed), place.epoch, place.repeat, numbers)
        return own if key is None or own is None else replace(key, draws=own.draws)

    def _key_in(self, epoch: int) -> PassKey:
        """Of the latest pass of `epoch`, or of the one to come."""
        epochs, key = self._up_to_date_epochs(), None
        place = epochs.pass_of(epoch)
        if place is not None:
            key = self._key_of(place)
        elif self._order.shared_seed(self.seed) is not None:
            key = self._key_of(Progress(epoch, repeat=max(0, epochs.begun[epoch] - 1)))
        if key is None:
            raise ValueError(
                f"what epoch {epoch} draws is not known: without seed= a pass follows from torch's "
                "generator, as it stands when the pass begins"
            )
        return key

    @property
    def _order(self) -> Order:
        given = self._sampler_given
        return Order(self.sampler, self.batch_sampler, given, self.rank, self.world_size)

    def _identity(self, resolved: Resolved | None = None) -> Identity:
        """Of what a pass reads; None: of what the next one will."""
        resolved, order = resolved or self._resolved(), self._order
        return Identity(
            batch_size=batch_size_of(self.batch_sampler),
            rank=order.process_rank,
            world_size=order.shares[1],
            fingerprint=resolved.fingerprint,
            dataset=resolved.description,
            recipe=self._recipe_text(resolved),
            order=str(order),
        )

    def _resolved(self) -> Resolved:
        found = resolve_dataset(
            self.dataset,
            self._cached,
            dtype=self.dtype,
            channels_last=self.channels_last,
            pillow=self.pillow,
            finish_on=self.finish_on,
        )
        vars(self)["_cached"] = found  # not by __setattr__, which Lightning records
        return found

    def _recipe_text(self, resolved: Resolved) -> str:
        mixing, text = rule_of(self.batch_transform, self.collate_fn), resolved.recipe.text
        return text if mixing is None else f"{text}; batches: {mixing.text}"

    # Figures

    def draws(self, epoch: int) -> NDArray[np.void]:
        """Crops and flips of this rank's samples in `epoch`, in the order of delivery: shape [n],
        or [n, views] where the transform gives several; fields position u8, index u4 (of the whole
        dataset), top, left, height, width i4 (pixels), hflip bool. Reads the beginning of every
        file. ValueError for samplers whose order only iterating tells; a DistributedSampler is not
        disturbed, and taken as set to `epoch`. Of an epoch that had several passes, the latest.
        ValueError without `seed` for an epoch that is neither the next nor among the last 100 that
        had one. Of the epoch that began last, what failures() lists is as in the batches: with
        on_error="replace" the substitute's row, with "skip" none. Which files fail is not known
        before: a row is then that of the order's own sample, and LoadError where its beginning
        cannot be read."""
        self._need_threads("draws()")
        epoch, resolved, order = operator.index(epoch), self._resolved(), self._order
        entries, _ = delivered_entries(order, resolved, epoch)
        key, options = self._key_in(epoch), core_options(self, order, pinned=False)
        options["memory_limit"] = 0  # no batch is made
        size = min(order.batching[0] or 1, max(1, resolved.length))
        failed = [
            (failure.position, failure.substitute)
            for failure in self._session.epochs.failures(key).first
        ]
        core = core_loader(resolved, size, options, [view.plan for view in resolved.recipe.views])
        assert key.draws is not None
        rows = core.draws(key.draws, entries, key.order, failed)
        if isinstance(resolved.recipe, ViewsRecipe):
            rows = rows.reshape(-1, len(resolved.recipe.views))
        return rows

    def mixing(self, epoch: int) -> list[BatchMix]:
        """What `batch_transform` draws for this rank's batches in `epoch`, in the order of the
        epoch; empty without one. Reads no file. ValueError as from draws()."""
        self._need_threads("mixing()")
        epoch, order, reading = operator.index(epoch), self._order, self._reading()
        resolved, rule = reading.resolved, reading.mixing
        if rule is None:
            return []
        count = delivered_entries(order, resolved, epoch)[1]
        size, (rank, ranks) = getattr(self.batch_sampler, "batch_size", 1), order.shares
        draws, plan = self._key_in(epoch).draws, resolved.recipe.views[0].plan
        assert draws is not None
        mixer = Mixer(rule, 0, draws)
        return [
            mixer.draw(first * ranks + rank, min(size, count - first), plan.height, plan.width)
            for first in range(0, count, size)
        ]

    def failures(self) -> list[Failure]:
        """The files that could not be loaded in the epoch that began last, and what came in their
        places: the first thousand. At its end a RuntimeWarning names ten. Of this process, since
        the epoch was begun or gone on with; `max_failures` counts those before a state too. Any
        thread."""
        return list(self._session.epochs.failures().first)

    def stats(self) -> Stats:
        """Figures of the iterator that began last; print them. Any thread."""
        count, size = _ringfeed.held_bytes()
        held = {"held_batches": count, "held_bytes": size, "rung": self.rung}
        if self.rung != NATIVE:
            held["why_not_native"] = self.why_not_native
        return Stats({**self._session.stats(), **held})

    def __repr__(self) -> str:
        if self.rung != NATIVE:
            shown = f"batch_size={self.batch_size}, num_workers={self.num_workers}"
            return f"ringfeed.DataLoader({shown}, rung={self.rung!r})"
        resolved, order = self._resolved(), self._order
        size = batch_size_of(self.batch_sampler)
        threads = "" if self.num_workers else f" ({_arguments.resolve_workers(0)} here)"
        parts = [
            resolved.description,
            "no batches" if not self._auto_collation else f"batch_size={size}",
            f"num_workers={self.num_workers}{threads}",
            str(order),
            f"seed={self.seed}",
            f"epoch={self._session.epochs.progress().epoch}",
            f"reader={self.reader!r}",
        ]
        if resolved.recipe.decodes_whole:
            parts.append("decodes whole images")
        return f"ringfeed.DataLoader({', '.join(parts)})"

    def __getstate__(self) -> dict[str, Any]:
        state = dict(vars(self))
        for name in _OF_PROCESS:
            state.pop(name, None)
        # A copy goes its own way from here on. A sampler of the caller's stays shared, as in torch.
        state["_session"] = copy.copy(self._session.epochs)
        if isinstance(self.sampler, OwnOrder):
            own = state["sampler"] = copy.copy(self.sampler)
            size, drop_last = self._order.batching
            if self._order.own and size is not None:
                state["batch_sampler"] = BatchSampler(own, size, drop_last)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, **dict.fromkeys(_OF_PROCESS))
        vars(self)["_session"] = Session(state["_session"])


_NOT_WANTED = "native=False asks for torch's own loader"
_PLACE_STANDS = (
    "a state has been loaded that stands within an epoch, and the dataset, its transform or the "
    "loader has changed since, so that another rung would go on from it: the orders of rungs "
    "differ. Change it back, or drop the state with load_state_dict(None)"
)

_OF_PROCESS = ("_cached", "_read", "_settled", "_iterator_ref", "_of_torch", "_latest")
"""What belongs to a process and is not copied."""

# Of the functions, not the classes: torch's may have a __new__ that install() has put there.
_TORCHS = inspect.signature(torch.utils.data.DataLoader.__init__).parameters
_OWN = {
    name: argument.default
    for name, argument in inspect.signature(DataLoader.__init__).parameters.items()
    if name not in _TORCHS and name != "native"
}
"""Options of ringfeed's own, and what they are where they are not given."""
_OF_SHARES = ("rank", "world_size")
