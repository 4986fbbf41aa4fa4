#!/usr/bin/env python3
"""Resident memory of `ringfeed load` against the bound it states; exits 1 if it is passed.

    .venv/bin/python bench/compare/memory.py photos/train
    .venv/bin/python bench/compare/memory.py photos/large -- --memory-limit 300000000

What may be resident: the process as it is before it loads anything (measured on `ringfeed
--version`), the loader's bound (`memory_bound_bytes`) and the one batch that the command holds
while it asks for the next. RSS is the kernel's own high-water mark, PSS is sampled every 5 ms.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ITEM_SIZE = {"float32": 4, "float16": 2, "bfloat16": 2, "uint8": 1}


def field(pid, file, name):
    """Bytes of a kB field of /proc/PID/FILE; None once the process is gone."""
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/{file}").read_text(), re.M)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def measure(command):
    """(standard output, peak RSS, peak PSS). A child's ru_maxrss would not do: it starts from the
    parent's."""
    peaks = {"VmHWM": 0, "Pss": 0}
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen(command, stdout=output)
        while child.poll() is None:
            for file, name in (("status", "VmHWM"), ("smaps_rollup", "Pss")):
                peaks[name] = max(peaks[name], field(child.pid, file, name) or 0)
            time.sleep(0.005)
        output.seek(0)
        text = output.read()
    if child.returncode != 0:
        raise SystemExit(f"failed ({child.returncode}): {' '.join(map(str, command))}")
    return text, peaks["VmHWM"], peaks["Pss"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], epilog="What follows -- goes to ringfeed load."
    )
    parser.add_argument("root", type=Path, help="folder of class folders")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--dtype", choices=ITEM_SIZE, default="float32")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--ringfeed", default=Path(sys.executable).parent / "ringfeed")
    parser.add_argument("--json", action="store_true")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args = parser.parse_args(sys.argv[1:end])
    args.load_options = sys.argv[end + 1 :]

    # Too short-lived to be seen at its largest once: the largest of several runs.
    baseline = max(measure([args.ringfeed, "--version"])[1] for _ in range(20))
    command = [
        args.ringfeed, "load", args.root, "--epochs", args.epochs, "--batch-size", args.batch_size,
        "--dtype", args.dtype, "--workers", args.workers, "--no-checksum", "--json",
        *args.load_options,
    ]  # fmt: skip
    text, rss, pss = measure(list(map(str, command)))
    loaded = json.loads(text)
    report = {
        "images": loaded["images"],
        "reader": loaded["reader"],
        "workers": loaded["workers"],
        "process_bytes": baseline,
        "memory_bound_bytes": loaded["memory_bound_bytes"],
        "held_batch_bytes": args.batch_size * 3 * 224 * 224 * ITEM_SIZE[args.dtype],
        "peak_rss_bytes": rss,
        "peak_pss_bytes": pss,
    }
    report["allowed_bytes"] = sum(
        report[name] for name in ("process_bytes", "memory_bound_bytes", "held_batch_bytes")
    )
    report["within"] = rss <= report["allowed_bytes"]
    if args.json:
        print(json.dumps(report, indent=1))
    else:
        for name, value in report.items():
            print(
                f"{name[:-6]:16}{value / 1e6:10.1f} MB"
                if name.endswith("_bytes")
                else f"{name:16}{value!s:>10}"
            )
    return 0 if report["within"] else 1


if __name__ == "__main__":
    sys.exit(main())
