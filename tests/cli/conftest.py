"""Drives the command that $RINGFEED_CLI names on folders that Pillow makes."""

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image


def picture(width, height, hue):
    """A picture whose every pixel depends on its place, so that a wrong crop shows."""
    image = Image.radial_gradient("L").resize((width, height))
    return Image.merge("RGB", [image.point(lambda v, k=k: (v * k + hue) % 256) for k in (1, 2, 3)])


@pytest.fixture(scope="session")
def cli_path():
    path = os.environ.get("RINGFEED_CLI")
    if not path:
        pytest.fail("RINGFEED_CLI names no binary; try build/dev/cli/ringfeed", pytrace=False)
    return str(Path(path).resolve())


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RINGFEED_")}
    return kept | {"RINGFEED_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="session")
def cli(cli_path, environment):
    """cli("load", root, "--json") -> code, out, err, and `json`, the document on stdout."""

    def run(*args):
        done = subprocess.run(
            [cli_path, *map(str, args)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
        )
        document = json.loads(done.stdout) if "--json" in args and done.stdout else None
        return SimpleNamespace(
            code=done.returncode, out=done.stdout, err=done.stderr, json=document
        )

    return run


def make_folder(root, classes=3, per_class=9):
    for c in range(classes):
        folder = root / f"class_{c}"
        folder.mkdir(parents=True)
        for i in range(per_class):
            image = picture(240 + 17 * i, 200 + 31 * c, 20 * c + i)
            image.save(folder / f"{i}.jpg", quality=80 + i)
    return root


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """28 pictures in 3 classes: three ranks cannot share them without padding."""
    root = make_folder(tmp_path_factory.mktemp("data") / "train")
    picture(300, 300, 7).save(root / "class_1" / "extra.png")
    return root


@pytest.fixture
def small_folder(tmp_path):
    """Two pictures in one class, to be damaged."""
    return make_folder(tmp_path / "train", classes=1, per_class=2)


@pytest.fixture
def medium_folder(tmp_path):
    """Four pictures in each of two classes, to be damaged."""
    return make_folder(tmp_path / "train", classes=2, per_class=4)
