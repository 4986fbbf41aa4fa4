#!/usr/bin/env bash
# Every client of tests/clients, those of libraries that .venv does not hold too: their tests, then
# their speed beside torch's. The libraries go into build/clients, on top of what .venv has.
#
#   tools/clients.sh PHOTOS
set -euo pipefail
photos=$(realpath "${1:?usage: tools/clients.sh PHOTOS}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
purelib='import sysconfig; print(sysconfig.get_path("purelib"))'
[ -d build/clients ] || .venv/bin/python -m venv build/clients
.venv/bin/python -c "$purelib" > "$(build/clients/bin/python -c "$purelib")/venv_below.pth"
build/clients/bin/python -m pip install --quiet --disable-pip-version-check \
  timm accelerate transformers datasets fastai
build/clients/bin/python -m pytest -q -rs tests/clients
build/clients/bin/python bench/compare/clients.py "$photos" --repeats 1
