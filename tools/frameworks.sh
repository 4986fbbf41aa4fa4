#!/usr/bin/env bash
# The tests of what works with other libraries, with all of them. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/libraries.sh || exit 0
exec build/libraries/bin/python -m pytest -q -rs \
  tests/python/test_{frameworks,libraries,install,create_transform}.py tests/python/test_*_timm.py "$@"
