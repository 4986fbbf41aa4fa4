#!/usr/bin/env bash
# Programs outside of ringfeed's build, each run on FOLDER: made by pkg-config from an installed
# static and an installed shared library, and as a Meson project that has ringfeed for a subproject.
#
#   tests/consumer/run.sh BUILD FOLDER     BUILD: a build folder of ringfeed, compiled, static
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=$1 folder=$2
work=$PWD/build/consumer
rm -rf "$work"/{static,shared,project/subprojects}
mkdir -p "$work"/project/subprojects

# ask NAME OPTION...: pkg-config about what is installed in $work/NAME.
ask() {
  local prefix=$work/$1/usr/local
  PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name ringfeed.pc)") \
    pkg-config --define-variable=prefix="$prefix" "${@:2}" ringfeed
}
# by_pkg_config NAME: from what lies in $work/NAME to $work/NAME/consumer.
by_pkg_config() {
  local flags
  flags=$(ask "$1" --cflags --libs)
  # shellcheck disable=SC2086  # flags are words
  g++ -std=c++20 -Wall -Wextra -Werror -o "$work/$1/consumer" tests/consumer/main.cc $flags
}

meson install -C "$build" --quiet --no-rebuild --destdir "$work/static"
by_pkg_config static

# How it is built is what counts here: nothing is optimised, and the standard library's headers are
# compiled once (else it takes twice as long; where the options differ, GCC reads them as text).
cp tests/consumer/{main.cc,meson.build} "$work/project"
ln -s "$PWD" "$work/project/subprojects/ringfeed"
if [ ! -f "$work/build/build.ninja" ]; then
  headers=$work/standard.h
  printf '#include <%s>\n' algorithm chrono coroutine filesystem functional memory mutex optional \
    span string thread vector >"$headers"
  g++ -std=c++20 -O0 -fPIC -pthread -Wall -Wextra -Wpedantic -D_GLIBCXX_ASSERTIONS=1 \
    -D_FILE_OFFSET_BITS=64 -x c++-header "$headers" -o "$headers.gch"
  CXX=g++ CXXFLAGS="-std=c++20 -O0 -g0 -Wno-invalid-pch -include $headers" meson setup "$work/build" \
    "$work/project" --force-fallback-for=ringfeed -Dringfeed:default_library=shared \
    -Dringfeed:python=disabled -Dringfeed:torch=disabled
fi
meson compile -C "$work/build"
meson install -C "$work/build" --quiet --no-rebuild --destdir "$work/shared"
by_pkg_config shared

libraries=$(dirname "$(find "$work/shared" -name libringfeed.so)")
soname=$(readelf -d "$work/shared/consumer" | sed -n 's/.*\[\(libringfeed.*\)\]/\1/p')
version=$(ask shared --modversion)
[ "$soname" = "libringfeed.so.${version%.*}" ] || { echo "soname $soname of $version"; exit 1; }

want=$("$work/static/consumer" "$folder")
echo "static: $want"
[ "${want%% *}" = "$version" ] || { echo "pkg-config says $version"; exit 1; }
for program in shared/consumer build/consumer; do
  got=$(LD_LIBRARY_PATH=$libraries "$work/$program" "$folder")
  echo "$program: $got"
  [ "$got" = "$want" ] || exit 1
done
