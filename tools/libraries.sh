#!/usr/bin/env bash
# Makes build/libraries: an environment over .venv's packages, with the libraries that make loaders.
# Ends with 1, and says so, where pip cannot install them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh
environment=build/libraries
libraries=(accelerate datasets fastai pytorch-ignite 'ray[train]' timm torchdata transformers)
[ -x $environment/bin/python ] || .venv/bin/python -m venv --clear $environment
site() { "$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }
site .venv/bin/python >"$(site $environment/bin/python)/under.pth"
# Not another torch or Pillow than .venv's.
.venv/bin/python -m pip freeze --exclude ringfeed >$environment/constraints.txt
$environment/bin/python -m pip install --quiet --disable-pip-version-check \
  -c $environment/constraints.txt "${libraries[@]}" || {
  echo "not run: pip cannot install ${libraries[*]}"
  exit 1
}
