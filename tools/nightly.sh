#!/usr/bin/env bash
# What takes too long or too quiet a machine for every change: the figures and bounds that ringfeed
# promises, on the set for speed figures, the Python module under the sanitizers, clang-tidy on every
# source, the libraries that make loaders, and torch's own tests of its DataLoader: a clone of the
# repository that has these, or $RINGFEED_TORCH_TESTS (tools/torch_tests.py). Figures go to
# build/nightly. Fails if one is missed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh
bench/make_photos.sh photos
results=build/nightly
mkdir -p "$results"
failed=0
# check NAME COMMAND...: keeps what it prints
check() {
  local name=$1
  shift
  echo "=== $name"
  "$@" | tee "$results/$name.txt" || { echo "=== $name FAILED"; failed=1; }
}
check train_pipeline .venv/bin/python bench/compare/train_pipeline.py photos/train --at-least 4.5
check train_pipeline_augmented .venv/bin/python bench/compare/train_pipeline.py photos/train \
  --augment imagenet --at-least 2.8
check data_loader .venv/bin/python bench/compare/data_loader.py photos/train --check
check short_loops .venv/bin/python bench/compare/short_loops.py photos/train --check
check data_loader_256 \
  .venv/bin/python bench/compare/data_loader.py photos/train --batch-size 256 --copies 16
for reader in ring pool; do
  check "memory_$reader" \
    .venv/bin/python bench/compare/memory.py photos/train -- --reader "$reader"
  check "memory_large_$reader" \
    .venv/bin/python bench/compare/memory.py photos/large --batch-size 8 -- --reader "$reader"
done
check augmentations env RINGFEED_TEST_EPOCHS=25 \
  .venv/bin/python -m pytest -q -rP tests/python/test_augmentation.py -k policies_are
check fuzz tools/fuzz.sh --runs 1000000
check clients tools/clients.sh photos/train
check tidy tools/tidy.sh --all
check sanitize_module tools/sanitize_module.sh
check frameworks tools/frameworks.sh
check torch_tests .venv/bin/python tools/torch_tests.py
for stage in read decode load; do
  check "bench_$stage" .venv/bin/ringfeed bench "$stage" photos/train
done
exit $failed
