#!/usr/bin/env bash
# Makes the set that speed figures are taken on, from photographs in Debian packages.
#
#   bench/make_photos.sh photos
#
# writes photos/train (16 classes, 384 different files of about 99 kB, mostly 4:2:0 at quality 90 to
# 96 around 500x375), photos/val (64 files) and photos/large (24 files of 2000x1500). The packages
# are downloaded (290 MB) and unpacked below photos/.packages, never installed; nothing of them is
# part of this repository. Licences: photos/SOURCES.txt, with the packages' own copyright files
# beside it in photos/licences. Crops of one photograph repeat its textures: fine for speed,
# useless for accuracy. A set that is there is left alone.
#
# Needs Debian or Ubuntu (apt-get, dpkg-deb) and .venv (tools/setup.sh), but no root.
set -euo pipefail
[ $# = 1 ] || { echo "usage: bench/make_photos.sh DIR" >&2; exit 2; }
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=$repository/.venv/bin/python
[ -x "$python" ] || { echo "make_photos: run tools/setup.sh first" >&2; exit 1; }
for tool in apt-get dpkg-deb; do
  command -v "$tool" >/dev/null || { echo "make_photos: needs $tool (Debian, Ubuntu)" >&2; exit 1; }
done
mkdir -p "$1"
target=$(cd "$1" && pwd)

packages=(
  lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 mate-backgrounds plasma-workspace-wallpapers
  palapeli-data opencv-doc python3-sklearn python3-skimage
)
unpacked=$target/.packages
mkdir -p "$unpacked"
for package in "${packages[@]}"; do
  [ -e "$unpacked/$package.unpacked" ] && continue
  echo "make_photos: fetching $package"
  rm -rf "${unpacked:?}/$package" "$unpacked/download"
  mkdir "$unpacked/download"
  (cd "$unpacked/download" && apt-get download -q -o APT::Sandbox::User= "$package" >/dev/null) ||
    { echo "make_photos: no $package to be had; try 'apt-get update'" >&2; exit 1; }
  dpkg-deb -x "$unpacked/download"/*.deb "$unpacked/$package"
  rm -r "$unpacked/download"
  touch "$unpacked/$package.unpacked"
done

exec "$python" "$repository/bench/make_photos.py" "$unpacked" "$target"
