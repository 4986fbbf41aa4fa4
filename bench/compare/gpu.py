#!/usr/bin/env python3
"""What a GPU gets from ringfeed: copies, a training loop's waiting, and how decoding scales.

    .venv/bin/python bench/compare/gpu.py photos/train

Three tables for one CUDA device, each of medians over --repeats interleaved runs:

- Copies of one batch to the device, with events around each: from the page-locked memory of
  pin_memory=True and from plain memory, of 8-bit images and of float32.
- Training steps of --arch (bfloat16 autocast, channels_last, SGD), from each source of batches. The
  first source is one batch that stays on the device: no loader can be faster. "waiting" is the
  share of the time that the loop spends in next(), in which the GPU may still have work.
- Images a second of a loader alone, on as many threads as --threads says, and of torch's DataLoader
  on as many worker processes.

The recipe is that of bench/compare/data_loader.py; every file is listed --copies times. Each run of
steps makes its loader and takes ten steps that are not counted. Loaders that feed a GPU have
persistent workers and pin_memory=True.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torchvision
from data_loader import cpu_model
from torch.utils.data import Subset
from torchvision import transforms
from torchvision.datasets import ImageFolder

import ringfeed

Step = Callable[[torch.Tensor, torch.Tensor], None]


def make_dataset(root: Path, copies: int) -> Subset:
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(224),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    files = ImageFolder(root, transform)
    return Subset(files, list(range(len(files))) * copies)


def forever(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader


def spread(values: list[float], digits: int = 0) -> str:
    low, mid, high = min(values), statistics.median(values), max(values)
    return f"{mid:.{digits}f} [{low:.{digits}f} to {high:.{digits}f}]"


# --- copies ------------------------------------------------------------------------------------


def copy_seconds(source: torch.Tensor, device: torch.device) -> float:
    """Of one copy on the device's clock: the median of 20."""
    target = torch.empty_like(source, device=device)
    seconds = []
    for _ in range(20):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        target.copy_(source, non_blocking=True)
        end.record()
        end.synchronize()
        seconds.append(begin.elapsed_time(end) / 1e3)
    assert torch.equal(target.cpu(), source)
    return statistics.median(seconds)


def show_copies(args: argparse.Namespace, dataset: Subset, device: torch.device) -> None:
    print(f"copies of one batch of {args.batch_size} to the device")
    for finish_on in ("device", "cpu"):
        for pinned in (True, False):
            loader = ringfeed.DataLoader(
                dataset, args.batch_size, pin_memory=pinned, finish_on=finish_on
            )
            batch = next(iter(loader))
            images = batch[0] if finish_on == "cpu" else batch.images
            assert images.is_pinned() == pinned
            times = [copy_seconds(images, device) for _ in range(args.repeats)]
            size = images.numel() * images.element_size()
            rates = [size / seconds / 1e9 for seconds in times]
            print(
                f"  {images.dtype!s:14} {'page-locked' if pinned else 'plain memory':14}"
                f"{size / 1e6:6.1f} MB {1e3 * statistics.median(times):7.2f} ms"
                f"  {spread(rates, 1)} GB/s"
            )


# --- training ----------------------------------------------------------------------------------


def make_step(arch: str, device: torch.device) -> Step:
    torch.manual_seed(0)
    model = torchvision.models.get_model(arch, weights=None).to(device)
    model = model.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cuda", torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def copied(loader: Any, device: torch.device) -> Iterator[list[torch.Tensor]]:
    """As a loop without a prefetcher does."""
    for batch in forever(loader):
        yield [tensor.to(device, non_blocking=True) for tensor in batch]


def sources(
    args: argparse.Namespace, dataset: Subset, device: torch.device
) -> dict[str, Callable[[], Iterator[Any]]]:
    """Each makes a loader of its own: one that waits would use the others' cores to get ahead."""
    options: dict[str, Any] = {"shuffle": True, "drop_last": True, "pin_memory": True}
    options |= {"batch_size": args.batch_size, "num_workers": args.workers}
    options |= {"persistent_workers": True}

    def ours(finish_on: str) -> Any:
        return ringfeed.DataLoader(dataset, **options, finish_on=finish_on)

    def resident() -> Iterator[Any]:
        batch = [tensor.to(device) for tensor in next(iter(ours("cpu")))]
        while True:
            yield batch

    def prefetched(finish_on: str) -> Callable[[], Iterator[Any]]:
        return lambda: forever(ringfeed.DevicePrefetcher(ours(finish_on), device))

    return {
        "a batch that stays there": resident,
        "prefetcher, finish on device": prefetched("device"),
        "prefetcher, finish on CPU": prefetched("cpu"),
        "no prefetcher": lambda: copied(ours("cpu"), device),
        f"DataLoader, {args.workers} workers": lambda: copied(
            torch.utils.data.DataLoader(dataset, **options), device
        ),
    }


def train(step: Step, batches: Iterator[Any], steps: int) -> tuple[float, float]:
    """(seconds a step, share of them in next())."""
    torch.cuda.synchronize()
    waited = 0.0
    begin = time.perf_counter()
    for _ in range(steps):
        before = time.perf_counter()
        images, labels = next(batches)
        waited += time.perf_counter() - before
        step(images, labels)
        del images, labels
    torch.cuda.synchronize()
    seconds = time.perf_counter() - begin
    return seconds / steps, waited / seconds


def show_training(args: argparse.Namespace, dataset: Subset, device: torch.device) -> None:
    step = make_step(args.arch, device)
    every = sources(args, dataset, device)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in every}
    peaks = dict.fromkeys(every, 0.0)
    for _ in range(args.repeats):
        for name, make in every.items():
            torch.cuda.reset_peak_memory_stats(device)
            batches = make()
            train(step, batches, 10)  # the workers there, the GPU's algorithms chosen
            found[name].append(train(step, batches, args.steps))
            peaks[name] = max(peaks[name], torch.cuda.max_memory_allocated(device) / 1e6)
            del batches
    print(f"{args.arch}, {args.steps} steps of {args.batch_size} images, on {args.workers} workers")
    floor = statistics.median(seconds for seconds, _ in next(iter(found.values())))
    for name, runs in found.items():
        rates = [args.batch_size / seconds for seconds, _ in runs]
        ratio = floor / statistics.median(seconds for seconds, _ in runs)
        waiting = statistics.median(share for _, share in runs)
        print(
            f"  {name:30}{spread(rates):26} images/s {ratio:7.1%} of the first, "
            f"{waiting:4.0%} waiting, peak {peaks[name]:.0f} MB on the device"
        )


# --- scaling -----------------------------------------------------------------------------------


def images_per_second(loader: Any) -> float:
    """Of one epoch, after an epoch that is not counted."""
    for _ in loader:
        pass
    count, begin = 0, time.perf_counter()
    for batch in loader:
        count += len(batch[1])
    return count / (time.perf_counter() - begin)


def show_scaling(args: argparse.Namespace, dataset: Subset) -> None:
    options = {"batch_size": args.batch_size, "shuffle": True, "persistent_workers": True}
    classes = {"ringfeed": ringfeed.DataLoader, "DataLoader": torch.utils.data.DataLoader}
    found: dict[tuple[str, int], list[float]] = {}
    for _ in range(args.repeats):
        for threads in args.threads:
            for name, loader in classes.items():
                # torch's processes are slow: fewer images, but some batches for each.
                part = dataset
                if name == "DataLoader":
                    part = Subset(dataset, range(min(len(dataset), 2 * threads * args.batch_size)))
                rate = images_per_second(loader(part, num_workers=threads, **options))
                found.setdefault((name, threads), []).append(rate)
    print("images a second of a loader alone")
    single = statistics.median(found["ringfeed", args.threads[0]]) / args.threads[0]
    for threads in args.threads:
        ours, theirs = (found[name, threads] for name in classes)
        medians = statistics.median(ours), statistics.median(theirs)
        print(
            f"  {threads:3} threads: ringfeed {spread(ours):26}"
            f"{medians[0] / threads / single:5.0%} of {threads // args.threads[0]} x the first; "
            f"DataLoader {spread(theirs):26}: {medians[0] / medians[1]:.2f} x"
        )


def main() -> None:
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("root", type=Path, help="folder of class folders")
    parser.add_argument("--arch", default="resnet50", help="any classifier of torchvision")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--copies", type=int, default=40, help="of every file in an epoch")
    parser.add_argument("--steps", type=int, default=40, help="of a counted run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=cores, help="of each loader")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--skip", nargs="+", default=[], choices=["copies", "training", "scaling"])
    args = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("torch sees no CUDA device here")
    warnings.filterwarnings("ignore", "This DataLoader will create")

    device = torch.device("cuda")
    dataset = make_dataset(args.root, args.copies)
    print(
        f"{torch.cuda.get_device_name()}, {cpu_model()}, {cores} cores; torch {torch.__version__}, "
        f"torchvision {torchvision.__version__}, ringfeed {ringfeed.__version__}; medians of "
        f"{args.repeats} [least to most]",
        flush=True,
    )
    if "copies" not in args.skip:
        show_copies(args, dataset, device)
    if "training" not in args.skip:
        show_training(args, dataset, device)
    if "scaling" not in args.skip:
        show_scaling(args, dataset)


if __name__ == "__main__":
    main()
