#!/usr/bin/env bash
# Renders docs/ into build/docs/html: the pages, and a reference made of the headers in
# include/ringfeed and the docstrings of the installed package. A warning is an error, a name that
# leads nowhere too. Needs doxygen (tools/setup.sh --ci).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh
command -v doxygen >/dev/null || { echo "docs: doxygen is missing (Debian: doxygen)" >&2; exit 1; }

# Not into .venv: nothing else needs them, and their requirements are not to decide its versions.
packages=build/docs/packages
stamp=$(sha256sum tools/requirements-docs.txt)
if [ "$(cat "$packages/stamp" 2>/dev/null)" != "$stamp" ]; then
  rm -rf "$packages"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --target "$packages" \
    -r tools/requirements-docs.txt
  echo "$stamp" > "$packages/stamp"
fi

rm -rf build/docs/xml build/docs/html
doxygen docs/Doxyfile
PYTHONPATH=$packages .venv/bin/python -m sphinx -b html -q -W -n --keep-going \
  -d build/docs/doctrees docs build/docs/html
echo "docs: build/docs/html/index.html"
