#!/usr/bin/env bash
# The Python module under AddressSanitizer and UBSan, with its tests. (.ci/run has the core under the
# sanitizers; Python and torch are not made for them, so that here they are preloaded.)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh
export PATH="$PWD/.venv/bin:$PATH"
build=build/module_address
# vptr: its check opens a pipe, and a test leaves no descriptor for it.
[ -f "$build/build.ninja" ] || CXX=g++ meson setup "$build" -Dtests=false -Dtorch=disabled \
  -Dpython=enabled -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized \
  -Dcpp_args='-fno-sanitize-recover=all -fno-sanitize=vptr'
meson compile -C "$build"

package=$build/package
mkdir -p "$package"
cp -r python/ringfeed "$package"
cp "$build"/python/_ringfeed*.so "$package/ringfeed"
preload=
for library in libasan.so libubsan.so libstdc++.so.6; do
  preload+="$(g++ -print-file-name="$library") "
done
# Leaks: Python's own are many. Forks: the child of one that comes during an allocation hangs in
# AddressSanitizer's lock.
LD_PRELOAD=$preload ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
  PYTHONPATH=$package python -m pytest -q -k 'not fork' \
  tests/python/test_{module,tensors,loader,samplers,datasets,state,prefetch,interrupts}.py
