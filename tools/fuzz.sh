#!/usr/bin/env bash
# Fuzzes under the address and undefined-behaviour sanitizers, each target for SECONDS (20), from
# generated seeds and what earlier runs have found in DIR/corpus (DIR: build/fuzz). A failing input
# stays in DIR/crashes.
#   tools/fuzz.sh [--build DIR] [--seconds N | --runs N] [TARGET...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=build/fuzz limit=-max_total_time=20
if [ "${1-}" = --build ]; then build=$2 && shift 2; fi
case ${1-} in
  --seconds) limit=-max_total_time=$2 && shift 2 ;;
  --runs) limit=-runs=$2 && shift 2 ;;
esac
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(entropy jpeg manifest png sample)
[ -d .venv/bin ] && export PATH="$PWD/.venv/bin:$PATH"
[ -f "$build/build.ninja" ] ||
  CXX=${CXX-clang++-19} meson setup "$build" -Dfuzzers=true -Dpython=disabled -Dtorch=disabled \
    -Doptimization=1 -Db_sanitize=address,undefined -Db_lundef=false \
    -Dcpp_args="-fno-sanitize-recover=all -fsanitize=fuzzer-no-link \
      -fsanitize-coverage-ignorelist=$PWD/tests/fuzz/uncounted.txt"
ninja -C "$build" tests/fuzz/make_seeds "${targets[@]/#/tests/fuzz/fuzz_}" >"$build/ninja.log" || {
  cat "$build/ninja.log"
  exit 1
}
rm -rf "$build/seeds" && "$build/tests/fuzz/make_seeds" "$build/seeds"
mkdir -p "$build/seeds"/{entropy,sample} "$build/crashes"
cp "$build/seeds"/jpeg/* "$build/seeds/entropy/"
cp "$build/seeds"/jpeg/* "$build/seeds/sample/"
for file in "$build/seeds"/png/*; do cp "$file" "$build/seeds/sample/png-${file##*/}"; done
passed=0 failed=0
for target in "${targets[@]}"; do
  mkdir -p "$build/corpus/$target"
  echo "== $target"
  if "$build/tests/fuzz/fuzz_$target" "$limit" -max_len=8192 -rss_limit_mb=2048 -timeout=20 \
    -print_final_stats=1 -artifact_prefix="$build/crashes/$target-" \
    "$build/corpus/$target" "$build/seeds/$target" >"$build/$target.log" 2>&1; then
    # What no input has reached has not been tested.
    if grep -qE '^reached.* 0 (streams|dropped|bands|run|intervals|escapes|decoded|images|out)' "$build/$target.log"; then
      echo "$target has not reached all that it tests: let it run longer"
      failed=$((failed + 1))
    else
      passed=$((passed + 1))
    fi
    grep -E 'stat::number_of_executed_units|stat::average_exec|^reached' "$build/$target.log"
  else
    failed=$((failed + 1))
    tail -n 60 "$build/$target.log"
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
