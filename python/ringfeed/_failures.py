"""What becomes of files that cannot be loaded."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch.utils.data import SubsetRandomSampler

from . import _ringfeed
from ._numbers import whole

_MOST_RETRIES = _ringfeed.largest["retries"]
_MOST_NAMED = 10


@dataclass(frozen=True)
class Failure:
    """A file that could not be loaded. Among those of `DataLoader.failures()`."""

    position: int
    """Its sample's place in the epoch's global order."""
    index: int
    """Its place in the whole dataset."""
    path: str
    reason: str
    """What a LoadError would say."""
    substitute: int | None
    """The place in the dataset of the sample that came instead; None: none did."""


@dataclass(frozen=True)
class Failures:
    """Those of an epoch so far."""

    count: int = 0
    first: tuple[Failure, ...] = ()
    """The first thousand of them."""

    @classmethod
    def of(cls, epoch: _ringfeed.Epoch) -> Failures:
        count, listed = epoch.failures()
        return cls(count, tuple(Failure(*fields) for fields in listed))

    def warn(self, epoch: int) -> None:
        """At the epoch's end."""
        lines = [
            f"\n  position {failure.position}: {failure.reason}; "
            + ("left out" if failure.substitute is None else f"sample {failure.substitute} instead")
            for failure in self.first[:_MOST_NAMED]
        ]
        if self.count > len(lines):
            lines.append(f"\n  and {self.count - len(lines)} more: failures() lists them")
        files = "file" if self.count == 1 else "files"
        warnings.warn(
            f"{self.count} {files} of epoch {epoch} could not be loaded:{''.join(lines)}",
            RuntimeWarning,
            stacklevel=6,
        )


def check_failure_options(
    on_error: str,
    max_failures: int | float | None,
    retries: int,
    batch_size: int | None,
    batch_sampler: Any = None,
) -> None:
    """Raises ValueError or TypeError, naming the argument."""
    if on_error not in _ringfeed.error_policies:
        *names, last = (f'"{name}"' for name in _ringfeed.error_policies)
        raise ValueError(f"on_error must be {', '.join(names)} or {last}, not {on_error!r}")
    if on_error == "skip" and batch_size is None and batch_sampler is None:
        raise ValueError(
            'on_error="skip" leaves samples out of their batches, and batch_size=None gives single '
            'samples: pass a batch_size, or on_error="replace"'
        )
    if not 0 <= whole("retries", retries) <= _MOST_RETRIES:
        raise ValueError(f"retries must be in [0, {_MOST_RETRIES}], not {retries}")
    if max_failures is None:
        return
    if isinstance(max_failures, bool) or not isinstance(max_failures, int | float):
        raise TypeError(
            "max_failures must be a whole number of files, or a float from 0 to 1, their share of "
            f"an epoch, or None, not {max_failures!r}"
        )
    if isinstance(max_failures, float) and not 0 <= max_failures <= 1:
        raise ValueError(
            f"max_failures, as a float, is a share of an epoch, from 0 to 1, not {max_failures}"
        )
    if max_failures < 0:
        raise ValueError(f"max_failures must not be negative, not {max_failures}")
    if on_error == "raise":
        raise ValueError(
            'max_failures limits what on_error="skip" or "replace" lets pass: give one of them too'
        )


def check_replaceable(on_error: str, samplers: Iterable[Any]) -> None:
    """A substitute is drawn from the whole dataset, which such a sampler's is not."""
    if on_error == "replace" and any(isinstance(s, SubsetRandomSampler) for s in samplers):
        raise ValueError(
            'on_error="replace" draws from the whole dataset, of which SubsetRandomSampler takes a '
            "part: pass Subset(dataset, indices) and shuffle=True in its place, or "
            'on_error="skip"'
        )


def failure_options(
    on_error: str, max_failures: int | float | None, retries: int
) -> dict[str, Any]:
    """As arguments of core_loader()."""
    options: dict[str, Any] = dict(on_error=on_error, retries=retries)
    # 1.0, all of an epoch, would be one file to the core.
    if max_failures is not None and not (isinstance(max_failures, float) and max_failures == 1):
        options["max_failures"] = float(max_failures)
    return options
