#!/usr/bin/env bash
# Sets up, makes a sample set, loads one training epoch of it and shows what a batch looks like.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh
.venv/bin/python tools/make_sample.py sample

echo
echo "One training epoch: ringfeed load sample/train"
.venv/bin/ringfeed load sample/train --batch-size 64

sheet=$PWD/sample/sheet.png
.venv/bin/ringfeed preview sample/train -o "$sheet" >/dev/null
echo
echo "A training batch as the network sees it: $sheet"
