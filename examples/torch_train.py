"""Trains a torchvision ResNet with plain torch on one process or many, and goes on where it was.

    python examples/torch_train.py DATA --arch resnet18 --max-steps 20
    torchrun --nproc-per-node 8 examples/torch_train.py DATA --checkpoint last.pt

DATA holds train/CLASS/IMAGE. With --checkpoint the run begins from that file if it exists, at the
very batch that followed, with any number of processes. NCCL with CUDA, gloo without.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torchvision
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler
from torchvision import transforms
from torchvision.transforms import v2

import ringfeed


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--arch", default="resnet50", help="any classifier of torchvision")
    parser.add_argument("--epochs", type=int, default=90)
    parser.add_argument("--batch-size", type=int, default=256, help="of each process")
    parser.add_argument("--num-workers", type=int, default=0, help="0: the cores of this rank")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--label-smoothing", type=float, default=0.0, help="in the loss")
    parser.add_argument("--mixup-alpha", type=float, default=0.0, help="0.2 in torchvision's")
    parser.add_argument("--cutmix-alpha", type=float, default=0.0, help="1.0 in torchvision's")
    parser.add_argument("--checkpoint", type=Path, help="file to go on from and to write")
    parser.add_argument("--checkpoint-steps", type=int, default=500)
    parser.add_argument("--max-steps", type=int, help="stop after so many steps of this run")
    return parser.parse_args()


def mixing(mixup_alpha: float, cutmix_alpha: float, num_classes: int) -> Any:
    """What torchvision's references apply to a batch; None for nothing."""
    choices: list[Any] = []
    if mixup_alpha > 0:
        choices.append(v2.MixUp(alpha=mixup_alpha, num_classes=num_classes))
    if cutmix_alpha > 0:
        choices.append(v2.CutMix(alpha=cutmix_alpha, num_classes=num_classes))
    return v2.RandomChoice(choices) if choices else None


def checkpoint(path: Path, rank: int, parts: dict[str, Any]) -> None:
    """The loader's state speaks of all ranks' batches, so that rank 0 writes for all of them."""
    if rank == 0:
        partial = path.with_name(path.name + ".partial")
        torch.save({name: part.state_dict() for name, part in parts.items()}, partial)
        os.replace(partial, path)  # a kill leaves the old file or the new one, whole


def main() -> None:
    args = parse_args()
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    distributed = "WORLD_SIZE" in os.environ
    if distributed:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    rank = dist.get_rank() if distributed else 0
    world_size = dist.get_world_size() if distributed else 1

    dataset = ringfeed.ImageFolder(
        args.data / "train",
        transforms.Compose(
            [
                transforms.RandomResizedCrop(224),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        ),
    )
    # Also for one process, so that a checkpoint's place in the order means the same there.
    sampler = DistributedSampler(dataset, num_replicas=world_size, rank=rank)
    loader = ringfeed.DataLoader(
        dataset,
        batch_size=args.batch_size,
        sampler=sampler,
        num_workers=args.num_workers,
        pin_memory=device.type == "cuda",
        persistent_workers=True,
        # One seed on all ranks: a state that rank 0 saves then says what every rank's crops are.
        seed=0,
        # Mixes each batch as it is delivered; labels are then rows of probabilities.
        batch_transform=mixing(args.mixup_alpha, args.cutmix_alpha, len(dataset.classes)),
        # Batches travel as 8-bit images; the prefetcher normalises and mixes them on the GPU.
        finish_on="device" if device.type == "cuda" else "cpu",
    )
    batches = ringfeed.DevicePrefetcher(loader, device)

    torch.manual_seed(0)  # the same first weights on every rank
    model = torchvision.models.get_model(args.arch, weights=None, num_classes=len(dataset.classes))
    model = model.to(device)
    criterion = nn.CrossEntropyLoss(label_smoothing=args.label_smoothing)
    optimizer = torch.optim.SGD(model.parameters(), args.lr, momentum=0.9, weight_decay=1e-4)
    parts = {"model": model, "optimizer": optimizer, "loader": batches}
    first_epoch = 0
    if args.checkpoint and args.checkpoint.exists():
        state = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(state[name])
        # The loader knows: after an epoch's last batch its state is the next one's beginning.
        first_epoch = state["loader"]["epoch"]
        if rank == 0:
            samples = state["loader"]["positions"]
            print(f"resumed from {args.checkpoint}: epoch {first_epoch} after {samples} samples")

    network = DistributedDataParallel(model) if distributed else model
    network.train()
    steps = 0
    for epoch in range(first_epoch, args.epochs):
        batches.set_epoch(epoch)  # within the epoch of the state, its position stays
        for group in optimizer.param_groups:
            group["lr"] = args.lr * 0.1 ** (epoch // 30)
        images_seen, waited = 0, 0.0
        begin = step_end = time.perf_counter()
        for images, labels in batches:
            waited += time.perf_counter() - step_end
            loss = criterion(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
            images_seen += len(labels) * world_size
            if rank == 0 and steps % 10 == 0:
                seconds = time.perf_counter() - begin
                rate, waiting = images_seen / seconds, waited / seconds
                print(
                    f"epoch {epoch} step {steps} loss {loss.item():.3f}: {rate:.0f} images/s,"
                    f" {waiting:.0%} of the time waiting for data",
                    flush=True,
                )
            if args.checkpoint and steps % args.checkpoint_steps == 0:
                checkpoint(args.checkpoint, rank, parts)
            if steps == args.max_steps:
                break
            step_end = time.perf_counter()
        if args.checkpoint:
            checkpoint(args.checkpoint, rank, parts)
        if steps == args.max_steps:
            break

    if rank == 0:
        print(f"done after {steps} steps, in epoch {epoch}")
    if distributed:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
