"""torch's own tests of its DataLoader, and ringfeed.DataLoader in its place: what passes with both.

python tools/torch_tests.py [FILE] [-- PYTEST-ARGUMENTS]

FILE is test/stateful_dataloader/test_dataloader.py of the repository meta-pytorch/data, which has a
copy of torch's tests; $RINGFEED_TORCH_TESTS may name it too. Without it a clone is made in
build/torch_tests. Tests there wait for times: one whose results differ is run again twice, and
differs if it does so in two runs of the three. Ends with 1 if one passes with torch's class alone.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = "https://github.com/meta-pytorch/data"
INSIDE = "test/stateful_dataloader/test_dataloader.py"
BUILD = Path("build/torch_tests").absolute()
IMPORT = "from torchdata.stateful_dataloader import StatefulDataLoader as DataLoader"
CLASSES = {
    "torch": "from torch.utils.data import DataLoader",
    "ringfeed": "from ringfeed import DataLoader",
}
NEEDED = ("expecttest", "psutil", "pytest-timeout")
SECONDS_A_TEST = 600
JOIN_TIMEOUT = "JOIN_TIMEOUT = 120.0"  # in the place of 60 s: their processes import torch
SECONDS_A_RUN = 3 * 3600


def source(given: str | None) -> str | None:
    """The file's text; None, and why, where it cannot be had."""
    if given:
        return Path(given).read_text()
    clone = BUILD / "data"
    if not clone.exists():
        command = ["git", "clone", "--quiet", "--depth=1", REPOSITORY, str(clone)]
        if (done := subprocess.run(command, capture_output=True, text=True)).returncode != 0:
            print(f"not run: {done.stderr.strip()}; give the path of {INSIDE}")
            return None
    return (clone / INSIDE).read_text()


def install_needed() -> bool:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--target", str(BUILD / "packages"), "--upgrade", *NEEDED]
    if subprocess.run(command).returncode == 0:
        return True
    print(f"not run: pip cannot install {', '.join(NEEDED)}")
    return False


# What a test prints may stand anywhere in pytest's own lines.
NOTES = """
import os

def note(test, result):
    with open(os.environ["TORCH_TESTS_NOTES"], "a") as file:
        print(test, result, file=file)

def pytest_runtest_logstart(nodeid, location):
    note(nodeid, "started")

def pytest_runtest_logreport(report):
    if report.when == "call" or not report.passed:
        expected = report.skipped and hasattr(report, "wasxfail")
        note(report.nodeid, "xfail" if expected else report.outcome)
"""


def results_of(kind: str, number: int, tests: list[str], arguments: list[str]) -> dict[str, str]:
    """passed, failed, skipped or xfail, by test. `number`: of the run, whose log is kept."""
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-W", "ignore"]
    command += ["--tb=short", f"--timeout={SECONDS_A_TEST}", "--color=no", "--rootdir=."]
    command += arguments
    path = os.pathsep.join([str(BUILD / "packages"), *filter(None, sys.path[1:])])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    (BUILD / kind / "conftest.py").write_text(NOTES)
    notes = BUILD / kind / f"notes{number}.txt"
    notes.write_text("")
    with (BUILD / kind / f"run{number}.txt").open("w") as output:
        try:
            subprocess.run(
                [*command, *(tests or ["test_dataloader.py"])],
                cwd=BUILD / kind,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environment, "TORCH_TESTS_NOTES": str(notes)},
                timeout=SECONDS_A_RUN,
            )
        except subprocess.TimeoutExpired:
            print(f"{kind}: not ended after {SECONDS_A_RUN} s")
    found: dict[str, str] = {}
    for test, result in (line.rsplit(" ", 1) for line in notes.read_text().splitlines()):
        if found.get(test) != "failed":  # of its parts, say
            found[test] = result
    # One that the interpreter does not survive has failed.
    return {test: "failed" if result == "started" else result for test, result in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", nargs="?", default=os.environ.get("RINGFEED_TORCH_TESTS"))
    parser.add_argument("arguments", nargs="*", metavar="PYTEST-ARGUMENT")
    options = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    text = source(options.file)
    if text is None or not install_needed():
        return 0
    for kind, line in CLASSES.items():
        (BUILD / kind).mkdir(exist_ok=True)
        changed, times = re.subn(re.escape(IMPORT), line, text)
        assert times > 0, f"no line {IMPORT!r}"
        changed = re.sub(r"\bJOIN_TIMEOUT = [\d.]+", JOIN_TIMEOUT, changed)
        (BUILD / kind / "test_dataloader.py").write_text(changed)

    runs: list[dict[str, dict[str, str]]] = []
    differing: list[str] = []
    while not runs or (differing and len(runs) < 3):
        runs.append({k: results_of(k, len(runs), differing, options.arguments) for k in CLASSES})
        theirs, ours = runs[-1]["torch"], runs[-1]["ringfeed"]
        differ = [test for test in theirs if ours.get(test) != theirs[test]]
        if len(runs) == 1:
            differing = differ
            counts = dict.fromkeys(differ, 1)
        else:
            for test in differ:
                counts[test] += 1
    first = runs[0]["torch"]
    differ = [test for test in differing if counts[test] >= 2]
    same = [result for test, result in first.items() if test not in differ]
    sums = ", ".join(f"{same.count(r)} {r}" for r in ("passed", "failed", "skipped", "xfail"))
    print(f"with both classes alike: {sums}; different: {len(differ)}")
    for test in differ:
        last = [run for run in runs if test in run["torch"]][-1]
        print(f"  {test}: torch {last['torch'][test]}, ringfeed {last['ringfeed'].get(test)}")
    return any(
        runs[-1]["torch"].get(test) == "passed" and runs[-1]["ringfeed"].get(test) != "passed"
        for test in differ
    )


if __name__ == "__main__":
    sys.exit(main())
