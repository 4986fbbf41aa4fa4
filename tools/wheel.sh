#!/usr/bin/env bash
# Makes dist/ringfeed-*.whl for the Python of .venv: module and command with every library but glibc
# and GCC's inside, for glibc 2.34 or later. To be run on Debian 12: a later one's glibc is too new,
# and tools/repair_wheel.py takes the licence texts from Debian's packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh
export PATH="$PWD/.venv/bin:$PATH"
work=build/dist
rm -rf "$work/wheel"
args=(-Cbuild-dir="$work/build")
if [ "$(uname -m)" = x86_64 ]; then
  args+=(-Csetup-args="-Dcpp_args=['-include', '$PWD/tools/old_libstdcxx.h']")
fi
python -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps \
  "${args[@]}" -w "$work/wheel" .
python tools/repair_wheel.py "$work"/wheel/ringfeed-*.whl dist
