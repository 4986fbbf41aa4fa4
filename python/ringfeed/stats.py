"""Figures of a loader."""

from __future__ import annotations

from typing import Any

__all__ = ["Stats"]


class Stats(dict[str, Any]):
    """A snapshot: the core's figures, and Python's. The keys are the same on every rung and at
    every time: 0, or None for a text or a setting, where there is no figure.

    `rung`, `why_not_native`: the loader's. `batches`: delivered by this loader, in all epochs.
    `next_cpu_ms`: CPU time of the calling thread inside next(), a batch; waiting takes none.
    `held_batches`, `held_bytes`: handed out by the native rung in this process and still in use;
    they are the caller's, outside `memory_bound`.

    The others are of the native rung. `begin_cpu_ms`: CPU time of what the first next() of an
    iterator does besides, the last time. The core's begin with the first batch, and are those of
    the present threads, which without persistent_workers are the latest epoch's. `read`, `decode`
    and `deliver` each hold count, failed, bytes, busy_seconds and p50_us, p90_us, p99_us, max_us:
    of files, samples and batches. `verdict` is what holds the loader back. `retries`: files opened
    again; `skipped`, `replaced`: samples, as `on_error` says. `memory_bound`: the most bytes that
    the loader holds. `reserve_waits`, `reserve_seconds`: large images that waited until others gave
    memory back, and for how long in all. `prefetch_factor`, `read_ahead_bytes`: as they were given
    or chosen.
    `entropy`: whose code reads JPEG scans, "streams" or "lanes" (ringfeed's) or "libjpeg";
    `pixels`: whose makes pixels of what they say, "vectors" (ringfeed's) or "libjpeg".
    """

    def __str__(self) -> str:
        lines = [
            f"all epochs: {self['batches']} batches, {self['next_cpu_ms']:.2f} ms CPU in next() "
            f"each; {self['begin_cpu_ms']:.1f} ms to begin the latest",
            f"all loaders of the process: {self['held_batches']} batches held by their callers, "
            f"{_bytes(self['held_bytes'])}",
        ]
        if self["verdict_line"] is not None:
            lines.append(f"the present threads: {self['verdict_line']}")
            for stage, unit in (("read", "files"), ("decode", "images"), ("deliver", "batches")):
                lines.append("  " + _line(stage, unit, self[stage]))
            for count, what in (
                ("retries", "files opened again"),
                ("skipped", "samples left out"),
                ("replaced", "samples replaced"),
            ):
                if self[count]:
                    lines.append(f"  {self[count]} {what}")
            note = f" ({self['reader_note']})" if self["reader_note"] else ""
            lines.append(
                f"  {self['workers']} decode threads; JPEG scans by {self['entropy']} "
                f"({self['entropy_note']}), their pixels by {self['pixels']} "
                f"({self['pixels_note']}); reader {self['reader']}{note}; at most "
                f"{self['depth']} files in flight, {_bytes(self['read_ahead_bytes'])} of files and "
                f"{self['prefetch_factor']} batches ahead, {_bytes(self['memory_bound'])} in all"
            )
        else:
            lines.append("nothing has been read yet")
        if self["why_not_native"]:
            return f"{self['rung']} rung; {self['batches']} batches; {self['why_not_native']}"
        return "\n".join(lines)

    __repr__ = __str__


_STAGE = ("count", "failed", "bytes", "busy_seconds", "p50_us", "p90_us", "p99_us", "max_us")
_COUNTS = (
    *("files_in_flight", "encoded_ready", "decode_queue", "batches_ready"),
    *("read_ahead_bytes_peak", "size_guess", "retries", "skipped", "replaced", "steals"),
    *("reserve_waits", "reserve_seconds"),
    *("starved_seconds", "blocked_seconds", "unordered_seconds", "wall_seconds", "memory_bound"),
)
_SETTINGS = (
    *("workers", "depth", "prefetch_factor", "read_ahead_bytes"),
    *("reader", "reader_note", "entropy", "entropy_note", "pixels", "pixels_note"),
    *("verdict", "verdict_line"),
)


def no_figures() -> dict[str, Any]:
    """The core's before it has read anything."""
    stages = {stage: dict.fromkeys(_STAGE, 0) for stage in ("read", "decode", "deliver")}
    return {**stages, **dict.fromkeys(_COUNTS, 0), **dict.fromkeys(_SETTINGS)}


def _line(stage: str, unit: str, figures: dict[str, Any]) -> str:
    failed = f", {figures['failed']} failed" if figures["failed"] else ""
    return (
        f"{stage}: {figures['count']} {unit}{failed}, {_bytes(figures['bytes'])}; "
        f"p50 {figures['p50_us'] / 1e3:.2f} ms, p99 {figures['p99_us'] / 1e3:.2f} ms, "
        f"max {figures['max_us'] / 1e3:.2f} ms"
    )


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


class Meter:
    """CPU time that a loader's iterators take from the thread that calls them."""

    def __init__(self) -> None:
        self._batches = 0
        self._next_ns = 0
        self._begin_ns = 0

    def begun(self, nanoseconds: int) -> None:
        self._begin_ns = nanoseconds

    def delivered(self, nanoseconds: int) -> None:
        self._batches += 1
        self._next_ns += nanoseconds

    def figures(self) -> dict[str, Any]:
        return {
            "batches": self._batches,
            "next_cpu_ms": self._next_ns / 1e6 / max(1, self._batches),
            "begin_cpu_ms": self._begin_ns / 1e6,
        }
