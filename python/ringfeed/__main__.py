"""python -m ringfeed script.py [ARGUMENT ...]: a training script as it is, loading by ringfeed."""

from __future__ import annotations

import os
import sys

from ._install import hand_on

USAGE = """\
usage: python -m ringfeed SCRIPT [ARGUMENT ...]
       python -m ringfeed -m MODULE [ARGUMENT ...]

Runs a training script as Python does, but that torch.utils.data.DataLoader(...) makes a
ringfeed.DataLoader, in its process and in those that it starts: workers, torch.multiprocessing,
Lightning's ranks. Under torchrun: torchrun [OPTION ...] -m ringfeed SCRIPT [ARGUMENT ...].
Python processes started with -I, -E or -S are not reached. The command `ringfeed` is another
program, which looks at datasets and measures."""


def main(arguments: list[str]) -> None:
    """Python itself runs the script: this process becomes it."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        raise SystemExit(0 if arguments else 2)
    if sys.flags.ignore_environment or sys.flags.no_site:
        print(
            "python -m ringfeed: works by the environment, without -I, -E and -S", file=sys.stderr
        )
        raise SystemExit(2)
    hand_on()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *own_flags(arguments), *arguments])


def own_flags(arguments: list[str]) -> list[str]:
    """The interpreter's own, as in python -u -W error -m ringfeed ..."""
    *flags, last = sys.orig_argv[1 : len(sys.orig_argv) - len(arguments)]
    if not last.startswith("-"):  # the name of the module, behind -m or -um
        last = flags.pop()
    rest = last.partition("m")[0]
    return flags if rest == "-" else [*flags, rest]


if __name__ == "__main__":
    main(sys.argv[1:])
