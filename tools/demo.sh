#!/usr/bin/env bash
# Sets up, makes a sample set, and shows ringfeed at work: from the command line, as Lightning's data
# module, in a short training, and beside torch's DataLoader. Three to six minutes on two cores once
# set up, which takes five to ten.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh
.venv/bin/python tools/make_sample.py sample
export PATH="$PWD/.venv/bin:$PATH" sample=$PWD/sample

title() { printf '\n== %s\n' "$*"; }

title "One training epoch: ringfeed load sample/train"
ringfeed load "$sample/train" --batch-size 64
ringfeed preview "$sample/train" -o "$sample/sheet.png" >/dev/null
echo "A training batch as the network sees it: $sample/sheet.png"

cd examples/lightning_imagenet
title "The data module, in examples/lightning_imagenet"
lines='from data.datamodule import ImageNetDataModule
dm = ImageNetDataModule(data_root="../../sample", batch_size=64, num_workers=2)
dm.setup("fit")
print(len(dm.train_dataset), "training images")
images, labels = next(iter(dm.train_dataloader()))
print(images.shape, images.dtype, labels.shape, labels.dtype)
dm = ImageNetDataModule("../../sample", 64, 2, mixup_alpha=0.2, cutmix_alpha=1.0, label_smoothing=0.1)
dm.setup("fit")
images, targets = next(iter(dm.train_dataloader()))
print(images.shape, images.dtype, targets.shape, targets.dtype)'
printf '%s\n' "$lines" | sed 's/^/>>> /'
python -c "$lines"

title "A short training: ResNet-18, 8 batches of 32"
python train.py fit --data.data_root "$sample" --data.batch_size 32 --data.num_workers 2 \
  --model.arch resnet18 --model.num_classes 10 --model.lr 0.01 --trainer.max_epochs 1 \
  --trainer.limit_train_batches 8 --trainer.limit_val_batches 2 --trainer.logger false \
  --trainer.enable_checkpointing false --trainer.num_sanity_val_steps 0
cd ../..

title "Side by side with torch.utils.data.DataLoader, briefly"
echo "(bench/compare/data_loader.py sample/train --quick; README.md has the figures of a long run)"
python bench/compare/data_loader.py sample/train --quick
