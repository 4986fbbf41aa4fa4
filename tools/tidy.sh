#!/usr/bin/env bash
# Runs clang-tidy (.clang-tidy says what it looks for) on the library, its command and its Python
# module as build/test compiles them.
#
#   tools/tidy.sh          the sources that a change touches: what differs from main or, on main,
#                          what the last commit changed; no more than 12 of them
#   tools/tidy.sh --all    every source, which takes minutes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=build/test
most=12
export PATH="$PWD/.venv/bin:$PATH"
[ -f $build/build.ninja ] || meson setup $build

mapfile -t sources < <(python3 - $build <<'PYTHON'
import json, os, sys
with open(f"{sys.argv[1]}/compile_commands.json") as file:
    paths = {os.path.relpath(os.path.join(c["directory"], c["file"])) for c in json.load(file)}
print(*sorted(p for p in paths if p.startswith(("src/", "cli/", "python/bindings/"))), sep="\n")
PYTHON
)

# A header is seen from the source of its name, else from the first that includes it.
source_of() {
  local path=${1%.*}.cc
  path=${path/#include\/ringfeed/src}
  if [ -f "$path" ]; then
    echo "$path"
  else
    grep -lE "[/\"]${1##*/}\"" "${sources[@]}" | head -n 1 || true
  fi
}

if [ "${1-}" = --all ]; then
  units=("${sources[@]}")
else
  head=$(git rev-parse HEAD)
  base=$(git merge-base HEAD origin/main 2>/dev/null || git merge-base HEAD main 2>/dev/null) ||
    base=$head
  [ "$base" != "$head" ] || base=HEAD~1
  git rev-parse --quiet --verify "$base" >/dev/null ||
    { echo "tidy: no earlier commit to compare with"; exit 0; }
  mapfile -t units < <(
    git diff --name-only --diff-filter=d "$base" -- src cli python/bindings include |
      grep -E '\.(cc|h)$' | while read -r path; do source_of "$path"; done | sort -u |
      grep -xFf <(printf '%s\n' "${sources[@]}"))
  if [ ${#units[@]} -gt $most ]; then
    echo "tidy: these wait for the nightly run: ${units[*]:$most}"
    units=("${units[@]:0:$most}")
  fi
fi
[ ${#units[@]} -gt 0 ] || { echo "tidy: no source has changed"; exit 0; }
printf '%s\0' "${units[@]}" | xargs -0 -n 1 -P "$(nproc)" clang-tidy-19 -p $build --quiet
