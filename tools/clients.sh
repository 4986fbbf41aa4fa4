#!/usr/bin/env bash
# Every client of tests/clients, those of libraries that .venv does not hold too: their tests, then
# their speed beside torch's.
#
#   tools/clients.sh PHOTOS
set -euo pipefail
photos=$(realpath "${1:?usage: tools/clients.sh PHOTOS}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/libraries.sh || exit 0
build/libraries/bin/python -m pytest -q -rs tests/clients
build/libraries/bin/python bench/compare/clients.py "$photos" --repeats 1
