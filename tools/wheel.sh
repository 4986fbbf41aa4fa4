#!/usr/bin/env bash
# Makes dist/ringfeed-*.whl for the Python of .venv: module and command with every library but glibc
# and GCC's inside, for glibc 2.34 or later. To be run on Debian 12: a later one's glibc is too new,
# and tools/repair_wheel.py takes the licence texts from Debian's packages. It shares the build
# folder of tools/setup.sh, whose objects are the same.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh
export PATH="$PWD/.venv/bin:$PATH"
work=build/dist
rm -rf "$work"
mkdir -p "$work"
c++ -c tools/old_libstdcxx.S -o "$work/old_libstdcxx.o"
python -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps \
  -Cbuild-dir=build/wheel -Csetup-args="-Dcpp_link_args=$PWD/$work/old_libstdcxx.o" -w "$work" .
python tools/repair_wheel.py "$work"/ringfeed-*.whl dist
# Later builds of this folder must not depend on that object.
meson configure build/wheel -Dcpp_link_args=
