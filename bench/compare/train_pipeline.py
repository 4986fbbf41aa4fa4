#!/usr/bin/env python3
"""Images per CPU second: `ringfeed load` against torchvision's PIL training pipeline.

    .venv/bin/python bench/compare/train_pipeline.py photos/train

(the set: bench/make_photos.sh photos). Same files, one core, one thread a side, alternating: in
each repeat torchvision loads the folder once, then ringfeed loads it --epochs times. Both start
with a pass that is not counted, so that files and code are in memory.

torchvision: ImageFolder with RandomResizedCrop(224), RandomHorizontalFlip, with --augment
AutoAugment or one of its kin, ToTensor, Normalize, batched by DataLoader(num_workers=0) in this
process, torch.set_num_threads(1); imports and scan are not counted. With --samples torchvision's
samples are made and dropped one by one, which spares it the batches that ringfeed goes on making.

ringfeed: the process's user and system time as the kernel accounts it, as the difference between
1 + epochs epochs and 1 epoch, so that start-up, scan and the first epoch's page faults are left out
as they are for torchvision. The second line counts everything, from exec to exit. The decoder is
the only worker; the reading thread shares its core. No checksum is taken of the tensors.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def augmentation(name, interpolation):
    """torchvision's, by the name that `ringfeed load --augment` has for it."""
    from torchvision import transforms

    mode = transforms.InterpolationMode(interpolation)
    if name == "randaugment":
        return [transforms.RandAugment(interpolation=mode)]
    if name == "trivialaugment":
        return [transforms.TrivialAugmentWide(interpolation=mode)]
    if name is None:
        return []
    return [transforms.AutoAugment(transforms.AutoAugmentPolicy(name), mode)]


class Torchvision:
    def __init__(self, root, batch_size, batches, steps):
        import torch
        from torchvision import transforms
        from torchvision.datasets import ImageFolder

        torch.set_num_threads(1)
        torch.manual_seed(0)
        transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(224),
                transforms.RandomHorizontalFlip(),
                *steps,
                transforms.ToTensor(),
                transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ]
        )
        self.dataset = ImageFolder(root, transform)
        if batches:
            self.loader = torch.utils.data.DataLoader(self.dataset, batch_size, shuffle=True)
        else:
            self.loader = None
        self.permutation = lambda: torch.randperm(len(self.dataset)).tolist()

    def epoch(self):
        """(images, CPU seconds, seconds)"""
        images = 0
        wall, cpu = time.perf_counter(), time.process_time()
        if self.loader:
            for _, labels in self.loader:
                images += len(labels)
        else:
            for index in self.permutation():
                self.dataset[index]
                images += 1
        return images, time.process_time() - cpu, time.perf_counter() - wall


def run_ringfeed(args, epochs):
    """(its JSON, CPU seconds from exec to exit)"""
    command = [
        str(args.ringfeed), "load", str(args.root), "--epochs", str(epochs), "--workers", "1",
        "--batch-size", str(args.batch_size), "--no-checksum", "--json", *args.load_options,
    ]  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"failed ({done.returncode}): {' '.join(command)}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout), cpu


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], epilog="What follows -- goes to ringfeed load."
    )
    parser.add_argument("root", type=Path, help="folder of class folders")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--epochs", type=int, default=4, help="ringfeed's, a repeat")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--core", type=int, help="the core both run on (default: the last)")
    parser.add_argument("--samples", action="store_true", help="torchvision makes no batches")
    parser.add_argument("--augment", help="a policy, as of `ringfeed load --augment`; both sides")
    parser.add_argument("--augment-interpolation", default="nearest")
    parser.add_argument("--ringfeed", default=Path(sys.executable).parent / "ringfeed")
    parser.add_argument("--at-least", type=float, metavar="X", help="exit 1 if the ratio is less")
    parser.add_argument("--json", action="store_true")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args = parser.parse_args(sys.argv[1:end])
    args.load_options = sys.argv[end + 1 :]
    if args.augment:
        args.load_options += ["--augment", args.augment]
        args.load_options += ["--augment-interpolation", args.augment_interpolation]

    core = args.core if args.core is not None else max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})  # the child inherits it
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"

    import PIL.features
    import torch
    import torchvision

    def say(text):
        print(text, file=sys.stderr if args.json else sys.stdout, flush=True)

    steps = augmentation(args.augment, args.augment_interpolation)
    reference = Torchvision(args.root, args.batch_size, not args.samples, steps)
    sizes = [os.path.getsize(path) for path, _ in reference.dataset.samples]
    report = {
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "files": len(sizes),
        "bytes_per_image": statistics.fmean(sizes),
        "cpu": cpu_model(),
        "core": core,
        "versions": {
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "Pillow": PIL.__version__,
            "Pillow's libjpeg-turbo": PIL.features.version("libjpeg_turbo"),
        },
    }
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    say(f"{len(sizes)} files, {report['bytes_per_image'] / 1000:.1f} kB each; {versions}")
    say(f"{report['cpu']}, core {core}, load {os.getloadavg()[0]:.2f}")

    reference.epoch()
    first, _ = run_ringfeed(args, 1)
    if first["images"] != len(sizes):
        raise SystemExit(f"ringfeed loaded {first['images']} of {len(sizes)} images")
    theirs, ours, whole, reported, walls = [], [], [], [], []
    for repeat in range(args.repeats):
        images, cpu, seconds = reference.epoch()
        theirs.append(images / cpu)
        one, cpu_one = run_ringfeed(args, 1)
        many, cpu_many = run_ringfeed(args, 1 + args.epochs)
        ours.append((many["images"] - one["images"]) / (cpu_many - cpu_one))
        whole.append(many["images"] / cpu_many)
        reported.append(many["images"] / many["cpu_seconds"])
        walls.append((images / seconds, many["images_per_second"]))
        say(
            f"{repeat + 1:3}: torchvision {theirs[-1]:6.0f}, ringfeed {ours[-1]:6.0f} images per "
            f"CPU second, {ours[-1] / theirs[-1]:.2f} x"
        )

    def ratios(values):
        return {
            "of_medians": statistics.median(values) / statistics.median(theirs),
            "per_repeat": spread([a / b for a, b in zip(values, theirs)]),
        }

    report.update(
        reader=many["reader"],
        verdict=many["verdict"],
        repeats=args.repeats,
        epochs=args.epochs,
        images_per_cpu_second={
            "torchvision": spread(theirs),
            "ringfeed": spread(ours),
            "ringfeed, from exec to exit": spread(whole),
            "ringfeed, as it reports": spread(reported),
        },
        images_per_second={
            "torchvision": spread([wall[0] for wall in walls]),
            "ringfeed": spread([wall[1] for wall in walls]),
        },
        ratio=ratios(ours),
        ratio_from_exec_to_exit=ratios(whole),
    )
    if args.json:
        print(json.dumps(report, indent=1))
    else:
        print()
        for name, values in report["images_per_cpu_second"].items():
            print(f"{name:30}{values['median']:7.0f} [{values['min']:.0f} to {values['max']:.0f}]")
        for name, label in (("ratio", "ratio"), ("ratio_from_exec_to_exit", "from exec to exit")):
            ratio, each = report[name], report[name]["per_repeat"]
            print(
                f"{label:30}{ratio['of_medians']:7.2f} of medians; per repeat {each['median']:.2f} "
                f"[{each['min']:.2f} to {each['max']:.2f}]"
            )
        print(f"reader {report['reader']}, {report['verdict']}")
    if args.at_least and report["ratio"]["of_medians"] < args.at_least:
        raise SystemExit(f"the ratio is below {args.at_least}")


if __name__ == "__main__":
    main()
