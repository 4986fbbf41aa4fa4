#!/usr/bin/env python3
"""ringfeed among the other image loaders for PyTorch, and the decoders alone.

    .venv/bin/python bench/compare/field.py photos/train --environments /tmp/field --output field

makes an environment for each loader, by pip, and writes field.md and field.svg. Each loader is a
process that stays; they take turns, --epochs each after one that is not counted, and the first
round is not counted. The recipe is RandomResizedCrop(224), flip, normalise, to float32 batches;
each loader's filter is set as near to Pillow's bilinear as it can be. On one core: images per CPU
second of the process and its children. On two: images a second, time from iter() to the first batch
(what a loader has made ahead between turns flatters it there), and memory: the most PSS in an
epoch, beside that of a process which imports torch alone, while no other loader runs. Pixels: of
Resize(256), CenterCrop(224), against torchvision with Pillow; "-" where a loader has none such.
Figures are medians with the least and the most.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from field import environments, report
from field.peers import DECODERS, IMPORTS, PEERS
from field.rounds import Failed, Process, take_turns
from train_pipeline import cpu_model

HERE = Path(__file__).resolve().parent / "field"


def say(text):
    print(text, file=sys.stderr, flush=True)


def process_of(peer, pythons, spec):
    made = {**spec, "module": peer.module, "kind": peer.kind}
    return Process(pythons.get(peer.name, sys.executable), made)


def start(peers, pythons, spec, results):
    """The peers' processes; who cannot start has its reason in `results`."""
    processes = {}
    for peer in peers:
        result = results[peer.name]
        if "error" in result:
            continue
        try:
            processes[peer.name] = process_of(peer, pythons, spec)
            result["versions"] = processes[peer.name].versions
        except Failed as error:
            result["error"] = str(error)
            say(f"  {peer.name}: {error}")
    return processes


def run_loaders(args, peers, pythons, results, spec):
    for label, cores in (("one core", args.cores[:1]), ("two cores", args.cores[:2])):
        say(label)
        spec = {**spec, "cores": cores, "threads": len(cores)}
        processes = start(peers, pythons, spec, results)
        try:
            figures, failed = take_turns(processes, args.rounds, args.epochs, say)
            for name, error in failed.items():
                results[name]["error"] = error
            for name in processes.keys() - failed.keys():
                results[name][label] = figures[name]
                if label == "one core":
                    results[name]["pixels"] = pixels(name, processes, args.scratch)
        finally:
            for process in processes.values():
                process.close()
    measure_memory(peers, pythons, results, spec)


def measure_memory(peers, pythons, results, spec):
    """Of one process after the other."""
    imports = process_of(IMPORTS, pythons, spec)
    try:
        besides = imports.pss()
    finally:
        imports.close()
    for peer in peers:
        result = results[peer.name]
        if "error" in result:
            continue
        try:
            process = process_of(peer, pythons, spec)
            try:
                result["pss"] = process.peak_pss() - besides
            finally:
                process.close()
        except Failed as error:
            result["error"] = str(error)


def pixels(name, processes, scratch):
    """How the validation images differ from those of torchvision with Pillow."""
    import numpy

    arrays = []
    for number, process in enumerate((processes[PEERS[0].name], processes[name])):
        path = f"{scratch}/{number}.npy"
        try:
            if (number or not os.path.exists(path)) and not process.ask("val", path)["saved"]:
                return None
        except Failed as error:
            return {"error": str(error)}
        arrays.append(numpy.load(path).astype(int))
    if arrays[0].shape != arrays[1].shape:
        return {"error": f"another shape: {arrays[1].shape}"}
    difference = numpy.abs(arrays[0] - arrays[1])
    return {"mean": float(difference.mean()), "max": int(difference.max())}


def run_decoders(args, files):
    python, error = environments.make(args.environments, "decoders", DECODERS)
    if error:
        return {"all": {"error": error}}
    spec = {"files": files, "cores": args.cores[:1], "rounds": args.rounds}
    command = [python, str(HERE / "decoders.py"), json.dumps(spec)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"all": {"error": environments.last_error(done.stderr)}}
    return json.loads(done.stdout)


def write(args, results, decoders, files):
    versions = {}
    for result in results.values():
        if "error" not in result:
            for name, version in result["versions"].items():
                versions.setdefault(name, []).append(version)
    shown = ", ".join(f"{name} {' and '.join(sorted(set(v)))}" for name, v in versions.items())
    size = sum(map(os.path.getsize, files)) / len(files) / 1000
    parts = [
        f"{len(files)} files of {size:.0f} kB, {args.rounds} rounds, in each {args.epochs} epochs; "
        f"batches of {args.batch_size}. {cpu_model()}, {os.cpu_count()} cores; load average "
        f"{args.load:.1f} at the start and {os.getloadavg()[0]:.1f} at the end. "
        f"Python {platform.python_version()}, {shown}. {datetime.date.today()}.",
        f"    python {args.command}",
        report.loaders_table(results),
        "Decoders alone, one thread, bytes in memory:",
        report.decoders_table(decoders),
    ]
    Path(f"{args.output}.md").write_text("\n\n".join(parts) + "\n")
    fine = {name: result for name, result in results.items() if "error" not in result}
    rates = {
        "images per CPU second, one core": {
            n: [x["images"] / x["cpu"] for x in r["one core"] if x["cpu"]] for n, r in fine.items()
        },
        "images a second, two cores": {
            n: [x["images"] / x["seconds"] for x in r["two cores"]] for n, r in fine.items()
        },
        "decoders alone, images per CPU second": {
            n: r["rates"] for n, r in decoders.items() if "rates" in r
        },
    }
    Path(f"{args.output}.svg").write_text(report.bars(rates))
    say(f"wrote {args.output}.md and {args.output}.svg")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("root", type=Path, help="folder of class folders")
    parser.add_argument("--environments", type=Path, required=True, help="made where they lack")
    parser.add_argument("--output", default="field", help="path without .md and .svg")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4, help="each time it is one's turn")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--only", help="a part of the names of those that take part")
    args = parser.parse_args()
    args.command = " ".join(["bench/compare/field.py", *sys.argv[1:]])
    args.cores, args.load = sorted(os.sched_getaffinity(0)), os.getloadavg()[0]
    if len(args.cores) < 2:
        parser.error("two cores are needed")
    files = [str(p) for p in sorted(args.root.glob("*/*")) if p.is_file()]
    peers = [p for p in PEERS if p == PEERS[0] or not args.only or args.only in p.name]
    results = {peer.name: {"remark": peer.remark} for peer in peers}
    pythons = {}
    for peer in peers:
        folder = "-".join(peer.packages) or "none"
        made, error = environments.make(args.environments, folder, peer.packages)
        pythons[peer.name] = made
        if error:
            results[peer.name]["error"] = error
            say(f"  {peer.name}: {error}")
    spec = {"root": str(args.root), "files": files, "batch_size": args.batch_size}
    with tempfile.TemporaryDirectory() as args.scratch:
        spec["scratch"] = args.scratch
        run_loaders(args, peers, pythons, results, spec)
    write(args, results, run_decoders(args, files), files)


if __name__ == "__main__":
    main()
