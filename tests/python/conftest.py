"""What every test of the Python package may ask for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from PIL import Image

import tiny_imagenet
from native import Native

torch.set_num_threads(1)  # OpenMP's threads wait by spinning, on cores that decode
REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY / "tests" / "decode"))  # compare_pillow and odd_files


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train/ and val/ of ten classes, ImageNet's oddities included. Read only."""
    if "RINGFEED_SAMPLE" in os.environ:
        return Path(os.environ["RINGFEED_SAMPLE"])
    folder = tmp_path_factory.mktemp("sample")
    subprocess.run(
        [
            sys.executable,
            REPOSITORY / "tools/make_sample.py",
            folder,
            "--train-per-class=20",
            "--val-per-class=8",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set in ImageNet's layout. Read only."""
    return tiny_imagenet.make(tmp_path_factory.mktemp("imagenet"))


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listings of the test's own."""
    monkeypatch.setenv("RINGFEED_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def no_global_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning's seed_everything() leaves it behind for the tests that follow."""
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)


@pytest.fixture(scope="session")
def ring_refused(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Why io_uring cannot be used here; empty where it can."""
    folder = tmp_path_factory.mktemp("ring")
    (folder / "a").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "a" / "0.jpg")
    native = Native(folder, reader="ring", batch_size=1)
    try:
        native.loader.epoch(0).next()
    except OSError as error:
        if getattr(error, "stage", None) != "setup":
            raise
        return str(error)
    return ""


@pytest.fixture(params=["ring", "pool"])
def reader(request: pytest.FixtureRequest, ring_refused: str) -> str:
    """Each of the two engines that read files; io_uring is skipped where it is forbidden."""
    if request.param == "ring" and ring_refused:
        pytest.skip(ring_refused)
    return request.param


@pytest.fixture(scope="session")
def slow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images that take long enough to decode for anything to happen meanwhile."""
    folder = tmp_path_factory.mktemp("slow") / "a"
    folder.mkdir()
    Image.new("L", (8000, 8000)).save(folder / "0.png")
    for number in range(1, 4):
        (folder / f"{number}.png").hardlink_to(folder / "0.png")
    return folder.parent
