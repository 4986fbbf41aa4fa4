#!/usr/bin/env bash
# Makes dist/ringfeed-*.whl for the Python of .venv: module and command with every library but glibc
# and GCC's inside, for glibc 2.34 or later. To be run on Debian 12: a later one's glibc is too new,
# and tools/repair_wheel.py takes the licence texts from Debian's packages. The compiler is Debian's
# clang-19, whose loop over a JPEG scan takes a tenth less time than GCC 12's (docs/decode.md).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh --wheel
export PATH="$PWD/.venv/bin:$PATH" CC=clang-19 CXX=clang++-19
work=build/dist
rm -rf "$work"
mkdir -p "$work"
"$CXX" -c tools/old_libstdcxx.S -o "$work/old_libstdcxx.o"
python -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps \
  -Cbuild-dir="$work/build" -Csetup-args="-Dcpp_link_args=$PWD/$work/old_libstdcxx.o" -w "$work" .
python tools/repair_wheel.py "$work"/ringfeed-*.whl dist
