#!/usr/bin/env bash
# Makes .venv with torch, torchvision, Lightning, the ringfeed package and its command. Safe to call
# again: what is up to date is left alone, so a second run with nothing changed takes well under two
# seconds.
#
#   tools/setup.sh          what a user or a developer needs
#   tools/setup.sh --wheel  also the compiler of the release wheel
#   tools/setup.sh --ci     also the second compiler, the formatter, clang-tidy, doxygen, strace and valgrind
#
# PYTHON                    the interpreter for .venv (default: python3, at least 3.10)
# RINGFEED_SKIP_PACKAGES=1  trust that the compiler and the headers are there, look for no package
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(
  g++ pkg-config git python3-venv
  liburing-dev libjpeg62-turbo-dev libpng-dev libhwy-dev librandom123-dev libexpected-dev
  libxxhash-dev libcli11-dev nlohmann-json3-dev doctest-dev
)
case "${1-}" in
  '') ;;
  --wheel) packages+=(clang-19) ;;
  --ci) packages+=(clang-19 libclang-rt-19-dev clang-format-19 clang-tidy-19
    doxygen shellcheck strace valgrind) ;;
  *) echo "usage: tools/setup.sh [--wheel | --ci]" >&2; exit 2 ;;
esac

python=${PYTHON:-python3}
# Many an interpreter brings its own headers.
[ -f "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null)/Python.h" ] ||
  packages+=(python3-dev)

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# --- Debian packages -------------------------------------------------------------------------

missing_packages() {
  local installed
  installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${packages[@]}" 2>/dev/null |
    sed -n 's/^ii  *//p') || true
  printf '%s\n' "${packages[@]}" | grep -vxF -f <(printf '%s\n' "$installed") || true
}

install_packages() {
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    as_root=(sudo)
    # Without a terminal to ask for a password on, only a sudo that asks for none will do.
    [ -t 0 ] || as_root=(sudo -n)
    command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; } || return 1
  fi
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get)
  # A list that is too old names files that are gone, so update once and try again.
  "${apt[@]}" install -y --no-install-recommends "$@" ||
    { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; }
}

if [ "${RINGFEED_SKIP_PACKAGES-}" != 1 ]; then
  if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    mapfile -t missing < <(missing_packages)
    if [ ${#missing[@]} -gt 0 ]; then
      say "installing ${missing[*]}"
      install_packages "${missing[@]}" || die "these Debian packages are missing:
  ${missing[*]}
Ask for them to be installed with
  sudo apt-get update && sudo apt-get install -y ${missing[*]}
or, where the compiler and the headers come from elsewhere (conda, modules, a prefix that
PKG_CONFIG_PATH names), run again with RINGFEED_SKIP_PACKAGES=1: Meson then downloads what it
still misses (subprojects/*.wrap). Highway and Random123 have no such fallback."
    fi
  else
    say "no apt here: expecting a C++20 compiler, pkg-config and the libraries below to be found"
    say "  ${packages[*]} (Debian's names)"
  fi
fi

# --- .venv -----------------------------------------------------------------------------------

hash_of() { sha256sum "$@" | sha256sum | cut -d ' ' -f 1; }
stamp_is() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
  die "$python is not Python 3.10 or newer; name another one with PYTHON=/path/to/python3"

requirements=$(hash_of tools/requirements.txt)
if ! stamp_is .venv/requirements.stamp "$requirements" || ! .venv/bin/python -c '' 2>/dev/null; then
  say "making .venv (torch is large: minutes on a first run)"
  .venv/bin/python -c '' 2>/dev/null || "$python" -m venv --clear .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r tools/requirements.txt
  echo "$requirements" > .venv/requirements.stamp
fi

# --- the package -----------------------------------------------------------------------------

mapfile -d '' sources < <(find include src cli python subprojects -type f \
  \( -name '*.h' -o -name '*.cc' -o -name '*.py' -o -name '*.pyi' -o -name py.typed \
     -o -name '*.wrap' -o -name '*.in' -o -name meson.build \) \
  -not -path 'subprojects/*/*' -print0 2>/dev/null | LC_ALL=C sort -z)
package=$(hash_of pyproject.toml meson.build meson.options "${sources[@]}")
if ! stamp_is .venv/package.stamp "$package"; then
  say "building and installing ringfeed"
  rm -f .venv/package.stamp
  # The build folder is kept, so that only what changed is compiled again. A folder left by
  # another Meson or compiler is no use: start afresh once.
  install_package() {
    PATH="$PWD/.venv/bin:$PATH" .venv/bin/python -m pip install --quiet \
      --disable-pip-version-check --no-build-isolation --no-deps --force-reinstall \
      -Cbuild-dir=build/wheel .
  }
  install_package || { say "trying again from an empty build folder"; rm -rf build/wheel; install_package; }
  echo "$package" > .venv/package.stamp
fi
