"""How often the passes of each epoch have begun."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class PassCounts:
    """How many passes have begun in each epoch, as runs of epochs that had equally many: a loader
    that is iterated for ever keeps one."""

    def __init__(self, runs: Iterable[Sequence[int]] = ()) -> None:
        """`runs`: (first epoch, last epoch, passes), ascending, as runs() gives them."""
        self._runs = [(first, last, passes) for first, last, passes in runs]

    def __getitem__(self, epoch: int) -> int:
        run = next((run for run in self._runs if run[0] <= epoch <= run[1]), None)
        return 0 if run is None else run[2]

    def with_count(self, epoch: int, passes: int) -> PassCounts:
        """The same with `passes` in `epoch`."""
        before = [
            (first, min(last, epoch - 1), n) for first, last, n in self._runs if first < epoch
        ]
        after = [(max(first, epoch + 1), last, n) for first, last, n in self._runs if last > epoch]
        runs: list[tuple[int, int, int]] = []
        for first, last, n in [*before, (epoch, epoch, passes), *after]:
            if runs and runs[-1][1] + 1 == first and runs[-1][2] == n:
                runs[-1] = (runs[-1][0], last, n)
            else:
                runs.append((first, last, n))
        return PassCounts(runs)

    def runs(self) -> list[list[int]]:
        return [list(run) for run in self._runs]
