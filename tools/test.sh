#!/usr/bin/env bash
# Sets up, builds and runs every test; the last line is "N passed, N failed". Arguments go to Meson,
# as in: tools/test.sh -Dwerror=true
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh
export PATH="$PWD/.venv/bin:$PATH"

if [ -f build/test/build.ninja ]; then
  [ $# = 0 ] || meson configure build/test "$@"
else
  meson setup build/test "$@"
fi
meson compile -C build/test

pytest=()
if [ -n "$(find tests -name 'test_*.py' -print -quit)" ]; then
  pytest=(--pytest tests --command .venv/bin/ringfeed)
fi
python tools/run_tests.py build/test "${pytest[@]}"
