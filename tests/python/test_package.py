"""import ringfeed: what it offers and where it refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ringfeed


def test_every_exported_name_is_there():
    for name in ringfeed.__all__:
        assert getattr(ringfeed, name) is not None


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("sys._is_gil_enabled = lambda: False", "PYTHON_GIL=1"),
        ("sys.modules['torch'] = None", "install torch"),
    ],
)
def test_an_interpreter_that_will_not_do_is_told_what_to_do(setting, words):
    code = f"import sys; sys.path = {sys.path!r}; {setting}\nimport ringfeed"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ringfeed") and words in last
